//! The queueing discipline of network devices, by `tc(8)`.
//!
//! A place is `eth0 root`, or `eth0 queue 3` below a root of several queues. A value is a kind; a root's has
//! `default` before it where nobody has set it. Only what nobody has set is ever changed, so that what is put
//! back is always the kernel's own choice.

use super::access::{TC, devices, is_device, may_change_network, read};
use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::Qdisc;

/// The root of a device with several queues: one discipline below it for each.
const SEVERAL: &str = "mq";
const DEFAULT: &str = "default ";
/// The handle that we give such a root: below the kernel's own default nothing can be addressed.
const HANDLE: &str = "1:";
/// What kernels choose by themselves, as they are built.
const OWN_KINDS: [&str; 6] = ["pfifo_fast", "fq_codel", "fq", "sfq", "cake", "fq_pie"];
/// What every kernel has.
const ALWAYS: [&str; 2] = ["pfifo", "pfifo_fast"];
/// What a device gets that nobody has said anything of; of the whole host.
const DEFAULT_KIND: &str = "/proc/sys/net/core/default_qdisc";

/// The disciplines of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Queues {
    root: String,
    /// The root's handle; empty where the kernel made it.
    handle: String,
    below: Vec<Queue>,
}

/// One of several queues.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Queue {
    /// As `tc` shows it, in hexadecimal.
    number: String,
    kind: String,
    /// Nobody has set it.
    is_default: bool,
}

impl Queues {
    /// Of what `tc qdisc show` says; `None`: there is no root.
    fn of(text: &str) -> Option<Self> {
        let mut queues = Self::default();
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let ["qdisc", kind, handle, place, rest @ ..] = words.as_slice() else { continue };
            let is_default = *handle == "0:";
            match (*place, rest.first()) {
                ("root", _) if is_default => queues.root = format!("{DEFAULT}{kind}"),
                ("root", _) => {
                    queues.root = (*kind).to_owned();
                    queues.handle = (*handle).to_owned();
                }
                ("parent", Some(parent)) => {
                    let number = parent.strip_prefix(&queues.handle).and_then(|it| {
                        if queues.handle.is_empty() { it.strip_prefix(':') } else { Some(it) }
                    });
                    queues.below.extend(number.map(|number| Queue {
                        number: number.to_owned(),
                        kind: (*kind).to_owned(),
                        is_default,
                    }));
                }
                _ => {}
            }
        }
        let number = |queue: &Queue| u32::from_str_radix(&queue.number, 16).unwrap_or(u32::MAX);
        queues.below.sort_by_key(number);
        (!queues.root.is_empty()).then_some(queues)
    }

    fn is_several(&self) -> bool {
        self.root.ends_with(SEVERAL)
    }

    /// What stands at this queue; `None`: at the root.
    fn at(&self, queue: Option<&str>) -> Option<&str> {
        let Some(number) = queue else { return Some(&self.root) };
        self.below.iter().find(|queue| queue.number == number).map(|queue| queue.kind.as_str())
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
    /// What should stand in place of this kind, and a note.
    fn judge(&self, kind: &str, is_default: bool) -> (Option<String>, String) {
        match kind {
            kind if kind == self.kind => (None, String::new()),
            "noqueue" => (None, "hands its packets on at once: nothing waits here".to_owned()),
            _ if is_default => (Some(self.kind.clone()), String::new()),
            _ => (None, "somebody has set this up: left alone".to_owned()),
        }
    }

    fn findings(&self, host: &Host, device: &str) -> Vec<Finding> {
        let finding = |place: &str, now, (wanted, note)| Finding {
            place: format!("{device} {place}"),
            now,
            wanted,
            note,
        };
        let known = if self.is_lacking(host) { Err(self.missing()) } else { ask(host, device) };
        let queues = match known {
            Ok(queues) => queues,
            Err(error) => return vec![finding("root", Err(error), (None, String::new()))],
        };
        if !queues.is_several() {
            let kind = queues.root.strip_prefix(DEFAULT);
            let judged = self.judge(kind.unwrap_or(&queues.root), kind.is_some());
            return vec![finding("root", Ok(queues.root), judged)];
        }
        // All queues as they should be: the kernel's own root is as good as one of ours.
        let below = queues.below.iter().map(|queue| {
            let judged = self.judge(&queue.kind, queue.is_default);
            finding(&format!("queue {}", queue.number), Ok(queue.kind.clone()), judged)
        });
        let below: Vec<_> = below.collect();
        let is_wrong = below.iter().any(|queue| queue.wanted.is_some());
        let root = (is_wrong && queues.handle.is_empty()).then(|| SEVERAL.to_owned());
        let root = finding("root", Ok(queues.root), (root, String::new()));
        [root].into_iter().chain(below).collect()
    }

    fn set(&self, host: &Host, words: &[&str]) -> Result<(), Cannot> {
        TC.run(host, words).map(drop).map_err(|error| match error {
            Cannot::Refused(words) if words.contains("kind is unknown") => self.missing(),
            other => other,
        })
    }

    fn missing(&self) -> Cannot {
        let option = format!("CONFIG_NET_SCH_{}", self.kind.to_ascii_uppercase());
        Cannot::Missing(format!("the {} queueing discipline ({option} of the kernel)", self.kind))
    }

    /// Whether the lists of what this kernel has are there, and do not have it. Where there are none, as in
    /// a container, only trying tells.
    fn is_lacking(&self, host: &Host) -> bool {
        let release = read(host, "/proc/sys/kernel/osrelease").unwrap_or_default();
        let lists = ["modules.builtin", "modules.dep"];
        let lists = lists.map(|list| read(host, &format!("/lib/modules/{release}/{list}")));
        let has = |list: &String| list.contains(&format!("/sch_{}.ko", self.kind));
        !ALWAYS.contains(&self.kind.as_str())
            && lists.iter().all(Result::is_ok)
            && !lists.iter().flatten().any(has)
    }
}

/// Whether the kernel would choose what there was, as far as this network can tell.
fn would_be_default(host: &Host, place: &str, kind: &str, queues: &Queues) -> Result<(), Cannot> {
    let Ok(own) = read(host, DEFAULT_KIND) else { return Ok(()) };
    // Below a root of several, the queues are as they were again by now.
    let before: Vec<_> = match kind {
        SEVERAL => queues.below.iter().map(|queue| queue.kind.as_str()).collect(),
        kind => vec![kind],
    };
    match before.into_iter().find(|kind| *kind != own && *kind != "noqueue") {
        None => Ok(()),
        Some(kind) => Err(Cannot::Refused(format!(
            "{place}: net.core.default_qdisc is {own} now, so taking ours away would not bring back \
             {kind}: set that first (broadside tune undo --only default_qdisc), then undo again"
        ))),
    }
}

impl Knob for Qdisc {
    fn look(&self, host: &Host) -> Vec<Finding> {
        devices(host).iter().flat_map(|device| self.findings(host, device)).collect()
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        let (device, queue) = split(place)?;
        let queues = ask(host, device)?;
        queues.at(queue).map(str::to_owned).ok_or_else(|| Cannot::Missing(place.to_owned()))
    }

    fn write(&self, host: &Host, place: &str, value: &str) -> Result<(), Cannot> {
        let (device, queue) = split(place)?;
        let queues = ask(host, device)?;
        // tc can't delete what nobody has set, nor set anything below the kernel's own root.
        if queues.at(queue) == Some(value) {
            return Ok(());
        }
        let refused = |why| Err(Cannot::Refused(format!("{place}: {value} {why}")));
        let parent = queue.map(|number| format!("{}{number}", queues.handle));
        let words = match (parent.as_deref(), value.strip_prefix(DEFAULT)) {
            (Some(_), _) if queues.handle.is_empty() => {
                return refused("takes a root that is set first");
            }
            // A queue alone has no way back to the kernel's own: without one it would drop its packets.
            (Some(parent), None) if value == self.kind || OWN_KINDS.contains(&value) => {
                vec!["qdisc", "replace", "dev", device, "parent", parent, value]
            }
            (None, None) if value == self.kind => {
                vec!["qdisc", "replace", "dev", device, "root", value]
            }
            (None, None) if value == SEVERAL => {
                vec!["qdisc", "replace", "dev", device, "root", "handle", HANDLE, SEVERAL]
            }
            (None, Some(kind)) => {
                would_be_default(host, place, kind, &queues)?;
                vec!["qdisc", "del", "dev", device, "root"]
            }
            _ => return refused("is not ours to set"),
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
        assert_eq!(fq.judge("pfifo_fast", true).0.as_deref(), Some("fq"));
        for (kind, is_default) in
            [("fq", true), ("fq", false), ("noqueue", true), ("htb", false), ("pfifo_fast", false)]
        {
            assert_eq!(fq.judge(kind, is_default).0, None, "{kind}");
        }
    }

    #[test]
    fn queues_are_told_apart() {
        let text = "qdisc mq 0: root \nqdisc fq_codel 0: parent :a limit 10240p\n\
            qdisc fq 0: parent :2 \nqdisc clsact ffff: parent ffff:fff1 \n";
        let own = Queues::of(text).unwrap();
        let below = own.below.iter().map(|queue| (queue.number.as_str(), queue.kind.as_str()));
        assert_eq!(own.root, "default mq");
        assert_eq!(below.collect::<Vec<_>>(), [("2", "fq"), ("a", "fq_codel")]);
        let set = Queues::of("qdisc mq 1: root\nqdisc fq 8001: parent 1:1 limit 1p").unwrap();
        assert_eq!((set.handle.as_str(), set.at(Some("1"))), ("1:", Some("fq")));
        assert_eq!(Queues::of("noise\nqdisc\nqdisc fq"), None);
        for wrong in ["eth0", "eth0 queue", "eth0 queue x", "-x root", "a/b root"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_answer_is_dealt_with(text in "(qdisc |mq |fq |0: |1: |root |parent |1:1 |:[0-9a-g]{1,5} |\\n){0,40}") {
            let _ = Queues::of(&text);
        }
    }
}
