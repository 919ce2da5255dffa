//! The queueing discipline of network devices, by `tc(8)`.
//!
//! A place is `eth0 root`, or `eth0 queue 3` below a root of several queues. A value is a kind, with
//! `default` before it where nobody has set one: only those are ever changed, so that what is put back is
//! always the kernel's own choice.

use super::access::{TC, devices, is_device, may_change_network, read};
use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::Qdisc;

/// The root of a device with several queues: one discipline below it for each.
const SEVERAL: &str = "mq";
const DEFAULT: &str = "default ";
/// The handle that we give such a root: below the kernel's own default nothing can be addressed.
const HANDLE: &str = "1:";
/// What a device gets that nobody has said anything of; of the whole host.
const DEFAULT_KIND: &str = "/proc/sys/net/core/default_qdisc";

/// The disciplines of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Queues {
    root: String,
    /// The root's handle; empty where the kernel made it.
    handle: String,
    /// Number (as `tc` shows it, in hexadecimal) and value of each queue.
    below: Vec<(String, String)>,
}

impl Queues {
    /// Of what `tc qdisc show` says; `None`: there is no root.
    fn of(text: &str) -> Option<Self> {
        let mut queues = Self::default();
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let ["qdisc", kind, handle, place, rest @ ..] = words.as_slice() else { continue };
            let own = if *handle == "0:" { DEFAULT } else { "" };
            let value = format!("{own}{kind}");
            match (*place, rest.first()) {
                ("root", _) => {
                    queues.root = value;
                    queues.handle =
                        if own.is_empty() { (*handle).to_owned() } else { String::new() };
                }
                ("parent", Some(parent)) => {
                    let number = parent.strip_prefix(&queues.handle).and_then(|it| {
                        if queues.handle.is_empty() { it.strip_prefix(':') } else { Some(it) }
                    });
                    queues.below.extend(number.map(|number| (number.to_owned(), value)));
                }
                _ => {}
            }
        }
        let number = |text: &str| u32::from_str_radix(text, 16).unwrap_or(u32::MAX);
        queues.below.sort_by_key(|(name, _)| number(name));
        (!queues.root.is_empty()).then_some(queues)
    }

    fn is_several(&self) -> bool {
        self.root.ends_with(SEVERAL)
    }

    fn queue(&self, number: &str) -> Option<&str> {
        self.below.iter().find(|(name, _)| name == number).map(|(_, value)| value.as_str())
    }
}

fn ask(host: &Host, device: &str) -> Result<Queues, Cannot> {
    let text = TC.run(host, &["qdisc", "show", "dev", device])?;
    Queues::of(&text).ok_or_else(|| Cannot::Missing(format!("a queue of {device}")))
}

/// Device and queue of a place; no queue: the root.
fn split(place: &str) -> Result<(&str, Option<&str>), Cannot> {
    let known = place.split_once(' ').and_then(|(device, what)| match what {
        "root" => Some((device, None)),
        _ => Some((device, Some(what.strip_prefix("queue ")?))),
    });
    let is_number = |text: &str| u16::from_str_radix(text, 16).is_ok();
    known
        .filter(|(device, queue)| is_device(device) && queue.is_none_or(is_number))
        .ok_or_else(|| Cannot::Missing(place.to_owned()))
}

impl Qdisc {
    /// What should stand in place of `now`, and a note.
    fn judge(&self, now: &str) -> (Option<String>, String) {
        match now.strip_prefix(DEFAULT) {
            Some("noqueue") => {
                (None, "hands its packets on at once: nothing waits here".to_owned())
            }
            Some(kind) if kind == self.kind => (None, String::new()),
            Some(_) => (Some(self.kind.clone()), String::new()),
            None if now == self.kind => (None, String::new()),
            None => (None, "somebody has set this up: left alone".to_owned()),
        }
    }

    fn findings(&self, host: &Host, device: &str) -> Vec<Finding> {
        let finding = |place: &str, now, (wanted, note)| Finding {
            place: format!("{device} {place}"),
            now,
            wanted,
            note,
        };
        let queues = match ask(host, device) {
            Ok(queues) => queues,
            Err(error) => return vec![finding("root", Err(error), (None, String::new()))],
        };
        if !queues.is_several() {
            return vec![finding("root", Ok(queues.root.clone()), self.judge(&queues.root))];
        }
        // All queues as they should be: the kernel's own root is as good as one of ours.
        let judged: Vec<_> = queues.below.iter().map(|(_, now)| self.judge(now)).collect();
        let wrong = judged.iter().any(|(wanted, _)| wanted.is_some());
        let root = (wrong && queues.handle.is_empty()).then(|| SEVERAL.to_owned());
        let root = finding("root", Ok(queues.root.clone()), (root, String::new()));
        let below = queues.below.iter().zip(judged);
        let below = below.map(|((number, now), judged)| {
            finding(&format!("queue {number}"), Ok(now.clone()), judged)
        });
        [root].into_iter().chain(below).collect()
    }

    fn set(&self, host: &Host, words: &[&str]) -> Result<(), Cannot> {
        TC.run(host, words).map(drop).map_err(|error| match error {
            Cannot::Refused(words) if words.contains("kind is unknown") => {
                let option = format!("CONFIG_NET_SCH_{}", self.kind.to_ascii_uppercase());
                Cannot::Missing(format!("the {} queueing discipline ({option})", self.kind))
            }
            other => other,
        })
    }
}

/// Whether the kernel would choose `kind` by itself now.
fn would_be_default(host: &Host, place: &str, kind: &str) -> Result<(), Cannot> {
    let own = read(host, DEFAULT_KIND).unwrap_or_else(|_| kind.to_owned());
    if own == kind || [SEVERAL, "noqueue"].contains(&kind) {
        return Ok(());
    }
    Err(Cannot::Refused(format!(
        "{place}: net.core.default_qdisc is {own} now, so taking ours away would not bring back {kind}: set \
         that first (broadside tune undo --only default_qdisc), then undo again"
    )))
}

impl Knob for Qdisc {
    fn look(&self, host: &Host) -> Vec<Finding> {
        devices(host).iter().flat_map(|device| self.findings(host, device)).collect()
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        let (device, queue) = split(place)?;
        let queues = ask(host, device)?;
        let now = queue.map_or(Some(queues.root.as_str()), |number| queues.queue(number));
        now.map(str::to_owned).ok_or_else(|| Cannot::Missing(place.to_owned()))
    }

    fn write(&self, host: &Host, place: &str, value: &str) -> Result<(), Cannot> {
        let (device, queue) = split(place)?;
        let queues = ask(host, device)?;
        let parent = queue.map(|number| format!("{}{number}", queues.handle));
        let at = parent.as_deref().map_or(vec!["root"], |parent| vec!["parent", parent]);
        if queue.is_some() && queues.handle.is_empty() {
            // The kernel's own root: its queues are as the kernel makes them.
            let now = self.read(host, place)?;
            let why = format!("{place}: the root has to be set first");
            return if now == value { Ok(()) } else { Err(Cannot::Refused(why)) };
        }
        let words = match value.strip_prefix(DEFAULT) {
            Some(kind) => {
                would_be_default(host, place, kind)?;
                [&["qdisc", "del", "dev", device], at.as_slice()].concat()
            }
            None if value == self.kind => {
                [&["qdisc", "replace", "dev", device], at.as_slice(), &[value]].concat()
            }
            None if value == SEVERAL && queue.is_none() => {
                vec!["qdisc", "replace", "dev", device, "root", "handle", HANDLE, SEVERAL]
            }
            None => return Err(Cannot::Refused(format!("{place}: {value} is not ours to set"))),
        };
        self.set(host, &words)
    }

    fn settable(&self, host: &Host, place: &str) -> Result<(), Cannot> {
        may_change_network(host, place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_has_set_is_changed() {
        let fq = Qdisc { kind: "fq".to_owned() };
        assert_eq!(fq.judge("default pfifo_fast").0.as_deref(), Some("fq"));
        for right in ["default fq", "fq", "default noqueue", "htb", "cake"] {
            assert_eq!(fq.judge(right).0, None, "{right}");
        }
    }

    #[test]
    fn queues_are_told_apart() {
        let text = "qdisc mq 0: root \nqdisc fq_codel 0: parent :a limit 10240p\n\
            qdisc fq 0: parent :2 \nqdisc clsact ffff: parent ffff:fff1 \n";
        let own = Queues::of(text).unwrap();
        let below = [("2", "default fq"), ("a", "default fq_codel")];
        assert_eq!(own.root, "default mq");
        assert_eq!(own.below, below.map(|(at, kind)| (at.to_owned(), kind.to_owned())));
        let set = Queues::of("qdisc mq 1: root\nqdisc fq 8001: parent 1:1 limit 1p").unwrap();
        assert_eq!((set.handle.as_str(), set.queue("1")), ("1:", Some("fq")));
        assert_eq!(Queues::of("noise\nqdisc\nqdisc fq"), None);
        for wrong in ["eth0", "eth0 queue", "eth0 queue x", "-x root", "a/b root"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }
}
