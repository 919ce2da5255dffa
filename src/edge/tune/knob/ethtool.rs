//! Rings, channels, coalescing and offloads of network devices, by `ethtool(8)`.
//!
//! A place is a device and one of the program's own names: `eth0 rx-usecs`.

use super::access::{ETHTOOL, devices, field, is_device, may_change_network};
use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::{Ethtool, Shown};

/// How the program is asked for something, told to change it, and what it is called.
struct Kind {
    show: &'static str,
    set: &'static str,
    spoken: &'static str,
}

/// What has to be on before others can be: it is set before them, and put back after them.
const FIRST: [&str; 2] = ["tx-checksumming", "tx-scatter-gather"];
/// Behind a value: asked for, and off only because another one that it needs is.
const REQUESTED: &str = "[requested on]";

impl Ethtool {
    fn kind(&self) -> Kind {
        let (show, set, spoken) = match self.show {
            Shown::Rings => ("-g", "-G", "ring sizes"),
            Shown::Channels => ("-l", "-L", "queues"),
            Shown::Coalescing => ("-c", "-C", "coalescing"),
            Shown::Offloads => ("-k", "-K", "offloads"),
        };
        Kind { show, set, spoken }
    }

    /// What the program says of `device`; a driver that says nothing is named.
    fn ask(&self, host: &Host, device: &str) -> Result<String, Cannot> {
        let kind = self.kind();
        ETHTOOL.run(host, &[kind.show, device]).map_err(|error| match error {
            Cannot::Refused(words) if words.contains("not supported") => {
                let driver = driver(host, device);
                Cannot::Refused(format!("{device}: its driver ({driver}) tells no {}", kind.spoken))
            }
            Cannot::Refused(words)
                if words.contains("o such device") || words.contains("no device") =>
            {
                Cannot::Missing(format!("network device {device}"))
            }
            other => other,
        })
    }

    /// The names in the order in which they can be set.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.want.keys().map(String::as_str).collect();
        names.sort_by_key(|name| {
            FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len())
        });
        names
    }

    fn findings(&self, host: &Host, device: &str) -> Vec<Finding> {
        let text = match self.ask(host, device) {
            Ok(text) => text,
            Err(error) => {
                let place = format!("{device} {}", self.kind().spoken);
                return vec![Finding { place, now: Err(error), wanted: None, note: String::new() }];
            }
        };
        let shards = host.shard_cores.len() as u64;
        let found = self.names().into_iter().filter_map(|name| {
            let now = value(&text, name)?;
            let (wanted, note) = judge(&self.want[name], now, most(&text, name), shards);
            let (place, now) = (format!("{device} {name}"), Ok(plain(now).to_owned()));
            Some(Finding { place, now, wanted, note })
        });
        found.collect()
    }

    /// Device and name of a place.
    fn split<'a>(&self, place: &'a str) -> Result<(&'a str, &'a str), Cannot> {
        let known = place
            .split_once(' ')
            .filter(|(device, name)| is_device(device) && self.want.contains_key(*name));
        known.ok_or_else(|| Cannot::Missing(place.to_owned()))
    }
}

/// The value behind `name` as the program shows it now: the last one, as the most that is possible stands
/// before it. `None`: this device has no such thing.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let found = match name.strip_prefix("adaptive-") {
        Some(side) => {
            let line = field(text, "Adaptive ")?;
            let side = format!("{}: ", side.to_ascii_uppercase());
            line.split(&side).nth(1)?.split_whitespace().next()?
        }
        None => text.lines().rev().find_map(|line| after_name(line, name))?,
    };
    (found != "n/a").then_some(found)
}

/// The most that the device can have, where the program says so.
fn most(text: &str, name: &str) -> Option<u64> {
    let (front, _) = text.split_once("Current hardware settings")?;
    front.lines().find_map(|line| after_name(line, name))?.parse().ok()
}

fn after_name<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = line.trim().split_once(':')?;
    found.eq_ignore_ascii_case(name).then_some(value.trim())
}

/// The value without what only says that it can't be changed.
fn plain(value: &str) -> &str {
    value.strip_suffix("[fixed]").unwrap_or(value).trim()
}

/// What should stand in place of `now`, and a note.
fn judge(want: &str, now: &str, most: Option<u64>, shards: u64) -> (Option<String>, String) {
    let right = |note: &str| (None, note.to_owned());
    if now.ends_with("[fixed]") {
        return right("the driver can't change it");
    }
    if now.ends_with(REQUESTED) {
        return right("comes on by itself once what it needs is on");
    }
    let number = now.parse::<u64>().ok();
    let bound = |text: &str| if text == "shards" { Some(shards) } else { text.parse::<u64>().ok() };
    let right_one = if let Some(least) = want.strip_prefix("at least ").and_then(bound) {
        let least = most.map_or(least, |most| least.min(most));
        if number.is_none_or(|now| now >= least) {
            return right("");
        }
        least.to_string()
    } else if let Some(largest) = want.strip_prefix("at most ").and_then(bound) {
        if number.is_none_or(|now| now <= largest) {
            return right("");
        }
        largest.to_string()
    } else {
        want.to_owned()
    };
    if right_one == now { right("") } else { (Some(right_one), String::new()) }
}

fn driver(host: &Host, device: &str) -> String {
    let said = ETHTOOL.run(host, &["-i", device]).ok();
    let name =
        said.as_deref().and_then(|text| field(text, "driver:")).filter(|name| !name.is_empty());
    name.unwrap_or("unknown").to_owned()
}

impl Knob for Ethtool {
    fn look(&self, host: &Host) -> Vec<Finding> {
        devices(host).iter().flat_map(|device| self.findings(host, device)).collect()
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        let (device, name) = self.split(place)?;
        let text = self.ask(host, device)?;
        let now = value(&text, name).map(|now| plain(now).to_owned());
        now.ok_or_else(|| Cannot::Missing(place.to_owned()))
    }

    fn write(&self, host: &Host, place: &str, value: &str) -> Result<(), Cannot> {
        let (device, name) = self.split(place)?;
        let allowed = value == "on" || value == "off" || value.parse::<u32>().is_ok();
        if !allowed {
            return Err(Cannot::Refused(format!("{place}: no value of ethtool: {value}")));
        }
        let kind = self.kind();
        ETHTOOL.run(host, &[kind.set, device, name, value]).map(drop).map_err(|error| match error {
            Cannot::Refused(words) if words.contains("not supported") => Cannot::Refused(format!(
                "{device}: its driver ({}) can't set {name}",
                driver(host, device)
            )),
            other => other,
        })
    }

    fn settable(&self, host: &Host, place: &str) -> Result<(), Cannot> {
        may_change_network(host, place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RINGS: &str = "Ring parameters for eth0:\nPre-set maximums:\nRX:\t\t4096\nRX Mini:\tn/a\n\
        TX:\t\t512\nCurrent hardware settings:\nRX:\t\t256\nRX Mini:\tn/a\nTX:\t\t512\nTX Push:\toff\n";
    const COALESCING: &str = "Coalesce parameters for eth0:\nAdaptive RX: on  TX: n/a\n\
        stats-block-usecs: n/a\n\nrx-usecs: 50\nrx-frames: 1\nrx-usecs-irq: n/a\n";
    const OFFLOADS: &str = "Features for eth0:\nrx-checksumming: on [fixed]\ntx-checksumming: on\n\
        \ttx-scatter-gather: off\n\ttx-tcp-segmentation: off [requested on]\n\
        \ttx-tcp6-segmentation: off [fixed]\ngeneric-segmentation-offload: off\n";

    #[test]
    fn values_are_found_in_what_the_program_says() {
        assert_eq!((value(RINGS, "rx"), most(RINGS, "rx")), (Some("256"), Some(4096)));
        assert_eq!((value(RINGS, "tx"), most(RINGS, "tx")), (Some("512"), Some(512)));
        assert_eq!(value(RINGS, "rx-mini"), None);
        assert_eq!(value(COALESCING, "adaptive-rx"), Some("on"));
        assert_eq!(value(COALESCING, "adaptive-tx"), None);
        assert_eq!(value(COALESCING, "rx-usecs"), Some("50"));
        assert_eq!(value(COALESCING, "rx-usecs-irq"), None);
        assert_eq!(value(OFFLOADS, "tx-tcp-segmentation"), Some("off [requested on]"));
        for text in ["", ":", "Adaptive ", "Adaptive RX:", "Current hardware settings"] {
            assert_eq!((value(text, "adaptive-rx"), most(text, "rx")), (None, None));
        }
    }

    #[test]
    fn only_what_is_wrong_and_can_be_changed_is_changed() {
        let wanted = |want: &str, now: &str, most| judge(want, now, most, 4).0;
        assert_eq!(wanted("at least 1024", "256", Some(4096)).as_deref(), Some("1024"));
        assert_eq!(wanted("at least 1024", "256", Some(512)).as_deref(), Some("512"));
        assert_eq!(wanted("at least 1024", "256", Some(256)), None);
        assert_eq!(wanted("at least 1024", "2048", None), None);
        assert_eq!(wanted("at least shards", "1", Some(8)).as_deref(), Some("4"));
        assert_eq!(wanted("at most 10", "50", None).as_deref(), Some("10"));
        assert_eq!(wanted("at most 10", "0", None), None);
        assert_eq!(wanted("on", "off", None).as_deref(), Some("on"));
        assert_eq!(wanted("on", "on", None), None);
        assert_eq!(wanted("on", "off [fixed]", None), None);
        assert_eq!(wanted("on", "off [requested on]", None), None);
    }

    proptest::proptest! {
        #[test]
        fn any_answer_is_dealt_with(text in "((Adaptive |RX|TX|rx|off|on|n/a|Current hardware settings|[:\\n\\t 0-9])){0,30}") {
            for name in ["rx", "adaptive-rx", "adaptive-tx"] {
                let _ = (value(&text, name), most(&text, name));
            }
            let _ = judge("at least shards", &text, Some(1), 2);
        }
    }
}
