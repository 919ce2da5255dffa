//! The clock: which counter it reads, and whether it agrees with others'.

use super::access::{read, writable, write};
use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::{Clock, ClockPart};
use crate::sys::clock::is_synchronised;

const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const SOURCES: &str = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
const SYNCHRONISED: &str = "synchronised";

/// Whether the clock of this host is kept by others': the kernel tells for its own host alone.
fn synchronised() -> Result<String, Cannot> {
    let told = is_synchronised().map(|is| if is { "yes" } else { "no" }.to_owned());
    told.ok_or_else(|| {
        Cannot::NotFromHere("the kernel does not tell whether its clock is right".to_owned())
    })
}

impl Clock {
    fn place(&self) -> &'static str {
        match self.of {
            ClockPart::Source => SOURCE,
            ClockPart::Synchronised => SYNCHRONISED,
        }
    }

    /// The first of the right ones that this host has, where it uses none of them.
    fn better(&self, host: &Host, now: &str) -> Option<String> {
        if self.want.iter().any(|right| right == now) {
            return None;
        }
        let offered = read(host, SOURCES).unwrap_or_default();
        self.want.iter().find(|right| offered.split_whitespace().any(|it| it == *right)).cloned()
    }
}

impl Knob for Clock {
    fn look(&self, host: &Host) -> Vec<Finding> {
        let place = self.place().to_owned();
        let now = self.read(host, &place);
        let wanted = match now.as_deref() {
            Ok(now) if self.place() == SOURCE => self.better(host, now),
            Ok(now) => (now == "no").then(|| "yes".to_owned()),
            Err(_) => None,
        };
        vec![Finding { place, now, wanted, note: String::new() }]
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        match place {
            _ if place != self.place() => Err(Cannot::Missing(place.to_owned())),
            SOURCE => read(host, SOURCE),
            _ => synchronised(),
        }
    }

    fn write(&self, host: &Host, place: &str, value: &str) -> Result<(), Cannot> {
        self.settable(host, place)?;
        let offered = read(host, SOURCES)?;
        if !offered.split_whitespace().any(|it| it == value) {
            return Err(Cannot::Missing(format!("clock source {value}")));
        }
        write(host, SOURCE, value)
    }

    fn settable(&self, host: &Host, place: &str) -> Result<(), Cannot> {
        match place {
            _ if place != self.place() => Err(Cannot::Missing(place.to_owned())),
            SOURCE => writable(host, SOURCE),
            _ => Err(Cannot::ByHand(
                "install and start a time service (Debian: apt-get install chrony); in a virtual machine or \
                 container, on its host"
                    .to_owned(),
            )),
        }
    }
}
