//! Loading programs, and taking what they tell out of their ring.

use std::cell::RefCell;
use std::sync::Once;
use std::sync::mpsc::{self, Receiver};

use libbpf_rs::{
    ErrorKind, MapCore, MapFlags, MapType, Object, ObjectBuilder, OpenObject, PrintLevel,
    ProgramInput, RingBuffer, RingBufferBuilder, btf::Btf, btf::types,
};
use rustix::thread::{CapabilitySet, capabilities};

use super::BpfError;

/// A program as clang compiled it; an ELF file is read in place, so it is aligned.
#[repr(align(8))]
pub(super) struct Compiled<B: ?Sized>(pub(super) B);

/// Last words of libbpf that are kept for an error's text, in bytes.
const WORDS_BYTES_MAX: usize = 1_000;
/// Events taken out of a ring before they are told.
const BATCH_EVENTS: usize = 1_024;

thread_local! {
    /// What libbpf has said on this thread: it says why, its errors are numbers.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        libbpf_rs::set_print(Some((PrintLevel::Warn, |_, words| {
            SAID.with_borrow_mut(|said| said.push_str(&words));
        })));
    });
    SAID.with_borrow_mut(String::clear);
}

/// What became of one step of libbpf's.
pub(super) fn step<T>(
    doing: &'static str,
    result: Result<T, libbpf_rs::Error>,
) -> Result<T, BpfError> {
    result.map_err(|error| {
        let said = SAID.take();
        // The verifier's refusal has the same number as a lack of rights, and a log.
        if error.kind() == ErrorKind::PermissionDenied && !said.contains("PROG LOAD LOG") {
            return BpfError::NotAllowed;
        }
        let mut from = said.len().saturating_sub(WORDS_BYTES_MAX);
        while !said.is_char_boundary(from) {
            from += 1;
        }
        let words = said[from..].split_whitespace().collect::<Vec<_>>().join(" ");
        let why = if words.is_empty() { error.to_string() } else { format!("{error} ({words})") };
        BpfError::Failed { doing, why }
    })
}

/// Whether this process may do it at all: all of `rights`, or root's.
///
/// # Errors
/// [`BpfError::NotAllowed`].
pub(super) fn allowed(rights: CapabilitySet) -> Result<(), BpfError> {
    let own = capabilities(None).map_err(|_| BpfError::NotAllowed)?.effective;
    if own.contains(CapabilitySet::SYS_ADMIN) || own.contains(rights) {
        Ok(())
    } else {
        Err(BpfError::NotAllowed)
    }
}

/// What the kernel says of its own types.
///
/// # Errors
/// It says nothing.
pub(super) fn kernel_types() -> Result<Btf<'static>, BpfError> {
    listen();
    Btf::from_vmlinux().map_err(|_| BpfError::NotSupported {
        what: "a description of its types (BTF)",
        needs: "Linux 5.14 built with CONFIG_DEBUG_INFO_BTF",
    })
}

/// Whether programs can call this function of the kernel.
pub(super) fn has_function(kernel: &Btf<'_>, name: &str) -> bool {
    kernel.type_by_name::<types::Func<'_>>(name).is_some()
}

pub(super) fn open(program: &[u8]) -> Result<OpenObject, BpfError> {
    listen();
    step("opening the program", ObjectBuilder::default().open_memory(program))
}

pub(super) fn load(object: OpenObject) -> Result<Object, BpfError> {
    listen();
    step("loading the program", object.load())
}

/// Runs a program of kind `syscall` here and now.
pub(super) fn run_once(object: &Object, name: &str) -> Result<(), BpfError> {
    let program = object.progs_mut().find(|program| program.name() == name);
    let Some(program) = program else { return Err(missing(name)) };
    listen();
    step("running the program", program.test_run(ProgramInput::default())).map(drop)
}

pub(super) fn missing(name: &str) -> BpfError {
    BpfError::Failed { doing: "looking into the program", why: format!("it has no {name}") }
}

/// The first eight bytes of a program's state: how much found no room or was not told.
pub(super) fn lost(object: &Object) -> u64 {
    let state = object.maps().find(|map| map.name() == super::STATE);
    let bytes =
        state.and_then(|map| map.lookup(&0_u32.to_ne_bytes(), MapFlags::ANY).ok().flatten());
    bytes.as_deref().and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// The reading end of a program's ring.
#[derive(Debug)]
pub(super) struct Events<T> {
    ring: RingBuffer<'static>,
    taken: Receiver<T>,
    batches_max: usize,
}

impl<T: 'static> Events<T> {
    /// `parse` makes an event of the bytes as the program wrote them, which are `event_bytes`.
    pub(super) fn of(
        object: &Object,
        event_bytes: usize,
        parse: fn(&[u8]) -> Option<T>,
    ) -> Result<Self, BpfError> {
        let map = object.maps().find(|map| map.map_type() == MapType::RingBuf);
        let Some(map) = map else { return Err(missing("ring")) };
        let (to, taken) = mpsc::channel();
        let mut builder = RingBufferBuilder::new();
        listen();
        let take = move |bytes: &[u8]| {
            if let Some(event) = parse(bytes) {
                // The other end lives as long as this one.
                let _ = to.send(event);
            }
            0
        };
        step("mapping the ring", builder.add(&map, take))?;
        let ring = step("mapping the ring", builder.build())?;
        let events_max = map.max_entries() as usize / event_bytes;
        Ok(Self { ring, taken, batches_max: events_max.div_ceil(BATCH_EVENTS) })
    }

    /// Tells what is in the ring now. What comes meanwhile may be told too, or next time: it ends.
    pub(super) fn read(&mut self, tell: &mut dyn FnMut(T)) -> Result<(), BpfError> {
        for _ in 0..self.batches_max {
            let count = self.ring.consume_raw_n(BATCH_EVENTS);
            for event in self.taken.try_iter() {
                tell(event);
            }
            match usize::try_from(count) {
                Ok(BATCH_EVENTS..) => {}
                Ok(_) => break,
                Err(_) => {
                    let why = std::io::Error::from_raw_os_error(-count).to_string();
                    return Err(BpfError::Failed { doing: "reading the ring", why });
                }
            }
        }
        Ok(())
    }
}
