//! `bpf/tcp_delivery.bpf.c`: loaded, attached, read.

use std::os::fd::AsRawFd;

use libbpf_rs::{Link, Object};
use rustix::thread::CapabilitySet;

use super::load::{self, Compiled, Events};
use super::{BpfError, Delivery, DeliverySettings, Moment, STATE, cgroup};
use crate::limits::DELIVERY_RING_BYTES;

static PROGRAM: &Compiled<[u8]> =
    &Compiled(*include_bytes!(concat!(env!("OUT_DIR"), "/tcp_delivery.bpf.o")));

/// `struct delivery` of `bpf/events.h`.
const EVENT_BYTES: usize = 24;

/// The program `tcp_delivery`, attached to this process's control group until it is dropped. It minds
/// connections that this process makes from then on, and nobody else's.
#[derive(Debug)]
pub struct DeliveryWatch {
    // Before the rest: nothing runs any more when that goes.
    _link: Link,
    events: Option<Events<Delivery>>,
    object: Object,
}

impl DeliveryWatch {
    /// Loads and attaches it.
    ///
    /// # Errors
    /// See [`BpfError`].
    pub fn start(settings: DeliverySettings) -> Result<Self, BpfError> {
        let rights = CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::NET_ADMIN;
        load::allowed(rights)?;
        let kernel = load::kernel_types()?;
        let stamps = load::has_function(&kernel, "bpf_sock_ops_enable_tx_tstamp");
        if !stamps && !settings.window_only {
            return Err(BpfError::NotSupported {
                what: "time stamps of sent packets for BPF",
                needs: "Linux 6.15",
            });
        }
        let group = cgroup::own()?;
        let name = if settings.window_only { "tcp_window" } else { "tcp_delivery" };
        let object = load_one(name, settings.initial_window_packets)?;
        load::run_once(&object, "who_loads")?;
        let events = match settings.window_only {
            true => None,
            false => Some(Events::of(&object, EVENT_BYTES, parse)?),
        };
        let Some(program) = object.progs_mut().find(|program| program.name() == name) else {
            return Err(load::missing(name));
        };
        let link = load::step("attaching", program.attach_cgroup(group.as_raw_fd()))?;
        Ok(Self { _link: link, events, object })
    }

    /// Tells everything that has happened since the last call, without waiting. The kernel wakes
    /// nobody: call it a few times a second.
    ///
    /// # Errors
    /// See [`BpfError`].
    pub fn read(&mut self, tell: &mut dyn FnMut(Delivery)) -> Result<(), BpfError> {
        self.events.as_mut().map_or(Ok(()), |events| events.read(tell))
    }

    /// Moments that found no room since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        load::lost(&self.object)
    }
}

fn load_one(name: &str, window_packets: u32) -> Result<Object, BpfError> {
    let mut open = load::open(&PROGRAM.0)?;
    for mut program in open.progs_mut() {
        let wanted = program.name() == name || program.name() == "who_loads";
        program.set_autoload(wanted);
    }
    for mut map in open.maps_mut() {
        if map.name() == STATE
            && let Some(state) = map.initial_value_mut()
            && let Some(window) = state.get_mut(12..16)
        {
            window.copy_from_slice(&window_packets.to_ne_bytes());
        } else if map.name() == "moments" {
            let is_used = name == "tcp_delivery";
            load::step("sizing the ring", map.set_autocreate(is_used))?;
            load::step("sizing the ring", map.set_max_entries(DELIVERY_RING_BYTES))?;
        }
    }
    load::load(open)
}

/// Reads `struct delivery` of `bpf/events.h`.
fn parse(bytes: &[u8]) -> Option<Delivery> {
    let long = |at: usize| bytes.get(at..)?.first_chunk().map(|part| u64::from_ne_bytes(*part));
    let word = |at: usize| bytes.get(at..)?.first_chunk().map(|part| u32::from_ne_bytes(*part));
    let moment = match word(20)? {
        0 => Moment::Given,
        1 => Moment::Queued,
        2 => Moment::Wire,
        3 => Moment::Acknowledged,
        _ => return None,
    };
    Some(Delivery { cookie: long(8)?, last_byte: word(16)?, moment, at_ns: long(0)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_at_every_cut() {
        let mut bytes = Vec::new();
        bytes.extend(7_u64.to_ne_bytes());
        bytes.extend(8_u64.to_ne_bytes());
        bytes.extend([9_u32.to_ne_bytes(), 3_u32.to_ne_bytes()].concat());
        assert_eq!(bytes.len(), EVENT_BYTES);
        let event = Delivery { cookie: 8, last_byte: 9, moment: Moment::Acknowledged, at_ns: 7 };
        assert_eq!(parse(&bytes), Some(event));
        for cut in 0..EVENT_BYTES {
            assert_eq!(parse(&bytes[..cut]), None, "{cut}");
        }
        bytes[20] = 4;
        assert_eq!(parse(&bytes), None, "no such moment");
    }
}
