//! `bpf/core_jitter.bpf.c`: loaded, attached, read.

use libbpf_rs::btf::{Btf, types::Typedef};
use libbpf_rs::{Link, MapCore, MapFlags, Object, OpenObject};
use rustix::thread::CapabilitySet;

use super::load::{self, Compiled, Events};
use super::{BpfError, Runner, STATE, Stolen};
use crate::limits::{CORES_RING_BYTES, OWN_THREADS_MAX, WATCHED_CORE_MAX};

static PROGRAM: &Compiled<[u8]> =
    &Compiled(*include_bytes!(concat!(env!("OUT_DIR"), "/core_jitter.bpf.o")));

/// `struct stolen` of `bpf/events.h`.
const EVENT_BYTES: usize = 48;
/// Where the bits of watched cores stand in `struct cores_state`.
const WATCHED_AT: usize = 16;
/// Where programs on tracepoints stand: `tp_btf/` and the tracepoint's name.
const TRACEPOINT: &str = "tp_btf/";
/// Softirqs by their vector (`linux/interrupt.h`).
const SOFT: [&str; 10] =
    ["hi", "timer", "net_tx", "net_rx", "block", "irq_poll", "tasklet", "sched", "hrtimer", "rcu"];
/// The processor's own interrupts, from `SOURCE_LOCAL_TIMER` of `bpf/events.h` on.
const VECTORS: [&str; 11] = [
    "local_timer",
    "reschedule",
    "call_function",
    "call_one",
    "irq_work",
    "platform",
    "thermal",
    "threshold",
    "deferred_error",
    "error",
    "spurious",
];

/// The program `core_jitter`, until it is dropped.
#[derive(Debug)]
pub struct CoreWatch {
    // Before the rest: nothing runs any more when that goes.
    _links: Vec<Link>,
    events: Events<Stolen>,
    object: Object,
}

impl CoreWatch {
    /// Loads and attaches it for these cores. `ours` are threads (ids as `gettid(2)` gives them, of any
    /// process) whose own running is not told.
    ///
    /// # Errors
    /// See [`BpfError`].
    pub fn start(cores: &[usize], ours: &[u32]) -> Result<Self, BpfError> {
        load::allowed(CapabilitySet::BPF | CapabilitySet::PERFMON)?;
        if ours.len() > OWN_THREADS_MAX {
            let why = format!("{} threads are ours, at most {OWN_THREADS_MAX} can be", ours.len());
            return Err(BpfError::Failed { doing: "telling threads apart", why });
        }
        let kernel = load::kernel_types()?;
        if !has_tracepoint(&kernel, "sched_switch") {
            return Err(BpfError::NotSupported {
                what: "tracepoints for BPF",
                needs: "CONFIG_BPF_EVENTS, CONFIG_TRACEPOINTS",
            });
        }
        let mut open = load::open(&PROGRAM.0)?;
        choose_programs(&mut open, &kernel);
        size_maps(&mut open, cores, ours)?;
        let object = load::load(open)?;
        load::run_once(&object, "who_loads")?;
        let threads = object.maps().find(|map| map.name() == "threads");
        let threads = threads.ok_or_else(|| load::missing("threads"))?;
        for thread in ours {
            let set = threads.update(&thread.to_ne_bytes(), &[1], MapFlags::ANY);
            load::step("naming our threads", set)?;
        }
        let events = Events::of(&object, EVENT_BYTES, parse)?;
        let links = attach(&object)?;
        Ok(Self { _links: links, events, object })
    }

    /// As [`DeliveryWatch::read`](super::DeliveryWatch::read).
    ///
    /// # Errors
    /// See [`BpfError`].
    pub fn read(&mut self, tell: &mut dyn FnMut(Stolen)) -> Result<(), BpfError> {
        self.events.read(tell)
    }

    /// What found no room since the start, and switches that the kernel did not tell of: who ran before those
    /// is not told either.
    #[must_use]
    pub fn lost(&self) -> u64 {
        load::lost(&self.object)
    }
}

fn has_tracepoint(kernel: &Btf<'_>, name: &str) -> bool {
    kernel.type_by_name::<Typedef<'_>>(&format!("btf_trace_{name}")).is_some()
}

/// Leaves out programs for tracepoints that this kernel or processor does not have.
fn choose_programs(open: &mut OpenObject, kernel: &Btf<'_>) {
    for mut program in open.progs_mut() {
        let section = program.section().to_string_lossy();
        if let Some(point) = section.strip_prefix(TRACEPOINT) {
            program.set_autoload(has_tracepoint(kernel, point));
        }
    }
}

fn size_maps(open: &mut OpenObject, cores: &[usize], ours: &[u32]) -> Result<(), BpfError> {
    let highest = cores.iter().copied().max().unwrap_or(0);
    if highest >= WATCHED_CORE_MAX {
        let why = format!("core {highest}; they are watched up to {}", WATCHED_CORE_MAX - 1);
        return Err(BpfError::Failed { doing: "choosing cores", why });
    }
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        let sized = match name.as_str() {
            "events" => map.set_max_entries(CORES_RING_BYTES),
            "cores" => map.set_max_entries(highest as u32 + 1),
            "threads" => map.set_max_entries(ours.len().max(1) as u32),
            STATE => {
                let state = map.initial_value_mut().and_then(|state| state.get_mut(WATCHED_AT..));
                watch(state.unwrap_or_default(), cores);
                Ok(())
            }
            _ => Ok(()),
        };
        load::step("sizing maps", sized)?;
    }
    Ok(())
}

/// Sets the cores' bits: words of 64.
fn watch(bits: &mut [u8], cores: &[usize]) {
    for (number, word) in bits.chunks_exact_mut(8).enumerate() {
        let inside = cores.iter().filter(|core| **core / 64 == number);
        let set = inside.fold(0_u64, |set, core| set | 1 << (core % 64));
        word.copy_from_slice(&set.to_ne_bytes());
    }
}

/// Exits before entries, and tasks last: what is entered can be left.
fn attach(object: &Object) -> Result<Vec<Link>, BpfError> {
    let mut links = Vec::new();
    for round in 0..2 {
        for program in object.progs_mut() {
            let section = program.section().to_string_lossy();
            let leaves = section.ends_with("_exit");
            if !program.autoload() || !section.starts_with(TRACEPOINT) || leaves != (round == 0) {
                continue;
            }
            links.push(load::step("attaching", program.attach())?);
        }
    }
    Ok(links)
}

/// Reads `struct stolen` of `bpf/events.h`.
fn parse(bytes: &[u8]) -> Option<Stolen> {
    let long = |at: usize| bytes.get(at..)?.first_chunk().map(|part| u64::from_ne_bytes(*part));
    let word = |at: usize| bytes.get(at..)?.first_chunk().map(|part| u32::from_ne_bytes(*part));
    let told = *bytes.get(32..)?.first_chunk::<16>()?;
    let (source, number) = (word(24)? as usize, word(20)?);
    let (runner, name) = match source {
        0 => (Runner::Task, told),
        1 => (Runner::Interrupt, told),
        2 => (Runner::SoftInterrupt, padded(SOFT.get(number as usize)?)),
        _ => (Runner::Interrupt, padded(VECTORS.get(source - 3)?)),
    };
    let (start_ns, took_ns, core) = (long(0)?, long(8)?, word(16)?);
    Some(Stolen { core, runner, number, name, start_ns, took_ns, held_us_up: word(28)? != 0 })
}

fn padded(name: &str) -> [u8; 16] {
    let mut padded = [0; 16];
    padded.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(source: u32, number: u32) -> Vec<u8> {
        let mut bytes = [1_u64.to_ne_bytes(), 2_u64.to_ne_bytes()].concat();
        for word in [3, number, source, 1_u32] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(padded("thief"));
        bytes
    }

    #[test]
    fn an_event_is_read_at_every_cut() {
        let bytes = event(0, 4);
        assert_eq!(bytes.len(), EVENT_BYTES);
        let expected = Stolen {
            core: 3,
            runner: Runner::Task,
            number: 4,
            name: padded("thief"),
            start_ns: 1,
            took_ns: 2,
            held_us_up: true,
        };
        assert_eq!(parse(&bytes), Some(expected));
        for cut in 0..EVENT_BYTES {
            assert_eq!(parse(&bytes[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn runners_have_their_names() {
        let named = |source, number| {
            let told = parse(&event(source, number))?;
            let name = String::from_utf8_lossy(&told.name).trim_end_matches('\0').to_owned();
            Some((told.runner, name))
        };
        assert_eq!(named(1, 9), Some((Runner::Interrupt, "thief".to_owned())));
        assert_eq!(named(2, 3), Some((Runner::SoftInterrupt, "net_rx".to_owned())));
        assert_eq!(named(3, 236), Some((Runner::Interrupt, "local_timer".to_owned())));
        assert_eq!(named(13, 255), Some((Runner::Interrupt, "spurious".to_owned())));
        assert_eq!((named(2, 10), named(14, 0)), (None, None), "nothing that we know");
    }

    #[test]
    fn watched_cores_are_bits() {
        let mut bits = [0xff; WATCHED_CORE_MAX / 8];
        watch(&mut bits, &[0, 3, 64, 1023]);
        let set: Vec<_> =
            (0..WATCHED_CORE_MAX).filter(|core| bits[core / 8] >> (core % 8) & 1 == 1).collect();
        assert!(set == [0, 3, 64, 1023] || cfg!(target_endian = "big"), "{set:?}");
    }
}
