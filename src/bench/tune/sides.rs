//! A setting's two values: as it is and as it should be, and how a scratch network is given each.

use crate::bench::wan::stage::Stage;
use crate::edge::tune::how::{How, Route, Shown, Want, knob_of};
use crate::edge::tune::knob::{Cannot, Finding, Host};
use crate::edge::tune::unit::Unit;
use crate::sim::wan::UPLINK;

/// What connections begin with where no route says otherwise.
const KERNELS_OWN: &str = "10, the kernel's own";

/// As it is, as it should be.
pub(super) const SIDES: [&str; 2] = ["as is", "wanted"];

/// Both values of one setting.
#[derive(Clone, Debug)]
pub(super) struct Sides {
    lever: Lever,
    /// Each value for people.
    pub(super) shown: [String; 2],
}

#[derive(Clone, Debug)]
enum Lever {
    /// Values of the network: place, then what it is to be on each side.
    Values(Box<Values>),
    /// The first window of new connections, in packets; 0: the kernel's own.
    FirstWindow([u32; 2]),
    /// The congestion control that sockets ask for: a network of its own may not choose any for all.
    Congestion([String; 2]),
}

#[derive(Clone, Debug)]
struct Values {
    how: How,
    host: Host,
    rows: Vec<Row>,
}

/// A place, and what it is to be on each side.
pub(super) type Row = (String, [String; 2]);

impl Sides {
    /// Finds both for the calling thread's network, which is a new one and looked at by `host`; `outside`
    /// was found on the host itself. What is right there already is held against the kernel's default.
    /// `Err`: why there is nothing to hold against each other.
    pub(super) fn find(unit: &Unit, host: Host, outside: &[Finding]) -> Result<Self, String> {
        let found = unit.knob().look(&host);
        match &unit.text.how {
            How::Route(keys) => Self::windows(keys, outside),
            How::File(keys) if keys.path.ends_with(CONGESTION) => {
                Self::congestion(&host, &found, outside)
            }
            how => Self::values(how, host, &found, outside),
        }
    }

    fn windows(keys: &Route, outside: &[Finding]) -> Result<Self, String> {
        let now = outside.iter().filter_map(|it| it.now.as_ref().ok()?.parse().ok()).min();
        let as_is = now.filter(|packets| *packets < u32::from(keys.packets)).unwrap_or(0);
        let packets = [as_is, u32::from(keys.packets)];
        let shown = packets.map(|it| if it == 0 { KERNELS_OWN.to_owned() } else { it.to_string() });
        Ok(Self { lever: Lever::FirstWindow(packets), shown })
    }

    fn congestion(host: &Host, found: &[Finding], outside: &[Finding]) -> Result<Self, String> {
        let offered = host.text(CONGESTION_OFFERED).unwrap_or_default();
        // Where the right one is there already: another that many have.
        let other = |_: &str, now: &str| {
            let mut words = ["cubic", "bbr", "reno"].into_iter();
            words
                .find(|it| *it != now && offered.split(' ').any(|word| word == *it))
                .map(str::to_owned)
        };
        let Rows { rows, against, .. } = rows(found, outside, &other)?;
        let (_, mut values) = rows.into_iter().chain(against).next().ok_or(SAME)?;
        let lever = Lever::Congestion(values.clone());
        if let Some(now) = values.first_mut() {
            *now += " (instead: what is here is right)";
        }
        Ok(Self { lever, shown: values })
    }

    fn values(
        how: &How,
        host: Host,
        found: &[Finding],
        outside: &[Finding],
    ) -> Result<Self, String> {
        let told = rows(found, outside, &|place, now| contrary(how, place, now))?;
        let mut why = told.why;
        let mut usable = |rows: Vec<Row>| -> Vec<Row> {
            let takes = |row: &Row| {
                let refused = refused(how, &host, row);
                let is_taken = refused.is_none();
                why = why.take().or(refused);
                is_taken
            };
            rows.into_iter().filter(takes).collect()
        };
        let (rows, against) = (usable(told.rows), usable(told.against));
        let is_contrary = rows.is_empty();
        let rows = if is_contrary { against } else { rows };
        let mut shown = shown(&rows);
        if rows.is_empty() {
            return Err(why.unwrap_or_else(|| SAME.to_owned()));
        }
        if is_contrary {
            shown[0] += " (wrong on purpose: here it is right already)";
        }
        Ok(Self { lever: Lever::Values(Box::new(Values { how: how.clone(), host, rows })), shown })
    }

    /// Gives the calling thread's network and what is launched next the value of one side.
    pub(super) fn set(&self, side: usize, stage: &mut Stage<'_>) -> Result<(), Cannot> {
        match &self.lever {
            Lever::FirstWindow(packets) => stage.first_packets = packets.get(side).copied(),
            Lever::Congestion(names) => stage.congestion_control = names.get(side).cloned(),
            Lever::Values(all) => set_values(&all.how, &all.host, &all.rows, side)?,
        }
        Ok(())
    }
}

/// Both sides' values for people: each once.
pub(super) fn shown(rows: &[Row]) -> [String; 2] {
    [0, 1].map(|side: usize| {
        let mut values: Vec<&str> =
            rows.iter().filter_map(|(_, both)| both.get(side)).map(String::as_str).collect();
        values.dedup();
        values.join("; ")
    })
}

/// What is wrong at `place`, where `now` is right: what it is held against where host and kernel have it
/// right already.
fn contrary(how: &How, place: &str, now: &str) -> Option<String> {
    let wrong = match (how, now) {
        (How::File(keys), "0" | "1") if matches!(keys.want, Want::Exactly(_)) => {
            if now == "0" {
                "1"
            } else {
                "0"
            }
        }
        // What guides for web servers say.
        (How::File(_), _) if place.ends_with("/tcp_notsent_lowat") => "131072",
        (How::Ethtool(keys), "on") if keys.show == Shown::Offloads => "off",
        _ => return None,
    };
    Some(wrong.to_owned())
}

/// `outside`, found on the host, as the scratch network has it: its one device in the place of the host's.
pub(super) fn moved(mut outside: Vec<Finding>, devices: &[String]) -> Vec<Finding> {
    for finding in &mut outside {
        let parts = finding.place.split_inclusive(['/', ' ']).map(|part| {
            let word = part.trim_end_matches(['/', ' ']);
            match devices.iter().any(|device| device == word) {
                true => [UPLINK, &part[word.len()..]].concat(),
                false => part.to_owned(),
            }
        });
        finding.place = parts.collect();
    }
    outside
}

/// The setting of which each socket has its own.
const CONGESTION: &str = "/tcp_congestion_control";
const CONGESTION_OFFERED: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";
const SAME: &str =
    "as it should be here, and that is the kernel's default: there is nothing to hold against it";

/// Writes one side's values.
pub(super) fn set_values(how: &How, host: &Host, rows: &[Row], side: usize) -> Result<(), Cannot> {
    let knob = knob_of(how);
    for (place, values) in rows {
        let Some(value) = values.get(side) else { continue };
        if knob.read(host, place)? != *value {
            knob.write(host, place, value)?;
        }
    }
    Ok(())
}

/// Why one of a row's values can't be set; what was there is put back.
fn refused(how: &How, host: &Host, (place, values): &Row) -> Option<String> {
    let knob = knob_of(how);
    let before = match knob.read(host, place) {
        Ok(before) => before,
        Err(why) => return Some(why.to_string()),
    };
    let set = values.iter().try_for_each(|value| knob.write(host, place, value));
    let back = knob.write(host, place, &before);
    set.and(back).err().map(|why| why.to_string())
}

/// Both values of each place.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rows {
    /// The host's own where it is wrong there, else the new network's.
    rows: Vec<Row>,
    /// Where both are right: what is wrong on purpose.
    against: Vec<Row>,
    /// Why some could not be read.
    why: Option<String>,
}

/// Finds them; `contrary` says what is wrong where that is right.
fn rows(
    found: &[Finding],
    outside: &[Finding],
    contrary: &dyn Fn(&str, &str) -> Option<String>,
) -> Result<Rows, String> {
    if found.is_empty() {
        return Err("not on this host".to_owned());
    }
    let mut told = Rows::default();
    for finding in found {
        let fresh = match &finding.now {
            Ok(now) => now,
            Err(error) => {
                told.why.get_or_insert_with(|| error.to_string());
                continue;
            }
        };
        let place = &finding.place;
        let twin = outside.iter().find(|it| it.place == *place);
        let on_host = twin.and_then(|it| it.now.as_ref().ok());
        let wanted_on_host = twin.and_then(|it| it.wanted.as_ref().or(it.now.as_ref().ok()));
        let wanted = wanted_on_host.or(finding.wanted.as_ref()).unwrap_or(fresh);
        let as_is = on_host.filter(|now| *now != wanted).unwrap_or(fresh);
        if as_is != wanted {
            told.rows.push((place.clone(), [as_is.clone(), wanted.clone()]));
        } else if let Some(wrong) = contrary(place, wanted) {
            told.against.push((place.clone(), [wrong, wanted.clone()]));
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::tune::unit::units;

    fn finding(place: &str, now: Result<&str, Cannot>, wanted: Option<&str>) -> Finding {
        let (now, wanted) = (now.map(str::to_owned), wanted.map(str::to_owned));
        Finding { place: place.to_owned(), now, wanted, note: String::new() }
    }

    #[test]
    fn the_hosts_own_value_is_held_against_the_right_one() {
        let fresh = [finding("/a", Ok("1"), Some("0"))];
        let of = |outside: &[Finding]| rows(&fresh, outside, &|_, _| None).unwrap().rows;
        let both = |values: [&str; 2]| vec![("/a".to_owned(), values.map(str::to_owned))];
        assert_eq!(of(&[finding("/a", Ok("7"), Some("0"))]), both(["7", "0"]));
        // What is right on the host is held against the kernel's default.
        assert_eq!(of(&[finding("/a", Ok("0"), None)]), both(["1", "0"]));
        assert_eq!(of(&[]), both(["1", "0"]));
        assert!(rows(&[], &[], &|_, _| None).unwrap_err().contains("not on this host"));
        let missing = finding("/a", Err(Cannot::Missing("fq".to_owned())), None);
        let told = rows(&[missing, finding("/b", Ok("0"), None)], &[], &|_, _| None).unwrap();
        assert!(told.why.unwrap().contains("fq") && told.rows.is_empty());
    }

    /// What is right everywhere is held against what is wrong, and said so.
    #[test]
    fn what_is_right_everywhere_is_held_against_the_contrary() {
        let of = |text: &str| {
            let unit = units().unwrap().into_iter().find(|unit| unit.name == text).unwrap();
            unit.text.how
        };
        let against = |name: &str, place: &str, now: &str| contrary(&of(name), place, now);
        assert_eq!(against("tcp/sack", "/x", "1").as_deref(), Some("0"));
        assert_eq!(against("queues/offloads", "eth0 tso", "on").as_deref(), Some("off"));
        assert_eq!(against("tcp/send_memory", "/x", "1 2 3"), None);
        let found = rows(&[finding("/a", Ok("1"), None)], &[], &|_, _| Some("0".to_owned()));
        let found = found.unwrap();
        assert!(found.rows.is_empty() && shown(&found.against) == ["0", "1"].map(str::to_owned));
    }

    #[test]
    fn places_of_the_hosts_devices_are_found_again() {
        let found = ["/proc/sys/net/ipv4/conf/eth0/x", "eth0 tso", "eth0", "/a/eth01/b"];
        let found = found.map(|place| finding(place, Ok("1"), None)).to_vec();
        let moved = moved(found, &["eth1".to_owned(), "eth0".to_owned()]);
        let places: Vec<_> = moved.iter().map(|it| it.place.as_str()).collect();
        let expected = ["/proc/sys/net/ipv4/conf/uplink/x", "uplink tso", "uplink", "/a/eth01/b"];
        assert_eq!(places, expected);
    }

    #[test]
    fn a_route_that_begins_low_is_held_against_the_right_window() {
        let keys = Route { window: crate::edge::tune::how::Window::Initcwnd, packets: 64 };
        let shown = |now: &str| {
            let routes = [finding("-4 default", Ok(now), Some("64"))];
            Sides::windows(&keys, &routes).unwrap().shown
        };
        assert_eq!(shown("unset"), [KERNELS_OWN, "64"]);
        assert_eq!((shown("32"), shown("64")), (["32", "64"].map(str::to_owned), shown("unset")));
    }
}
