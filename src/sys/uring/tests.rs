use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use io_uring::opcode;

use super::{NO_IMAGE, Uring};
use crate::limits::{RECEIVE_BUFFERS, RING_FAULT_PAUSE_MS};
use crate::sys::doorbell::Doorbell;
use crate::sys::memory::Arena;
use crate::sys::ring::{Event, Ring, TokenKind, Wait};

const MOMENT: Wait = Wait::UpTo(1_000_000);

/// A ring, unless the host refuses it.
fn ring() -> Option<Uring> {
    let bell = || Arc::new(Doorbell::new().unwrap());
    Uring::new(Arena::new().unwrap(), bell(), bell())
        .inspect_err(|error| eprintln!("NOT TESTED on io_uring: {error}"))
        .ok()
}

/// A connection in slot 0 of the ring; its far end.
fn connect(ring: &mut Uring) -> TcpStream {
    connect_in(ring, 0)
}

fn connect_in(ring: &mut Uring, slot: u16) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    near.set_nonblocking(true).unwrap();
    ring.adopt(slot, near.into()).unwrap();
    listener.accept().unwrap().0
}

/// Enters until there is an event that `is_it` takes; whether there was one.
fn until(ring: &mut Uring, mut is_it: impl FnMut(&mut Uring, Event) -> bool) -> bool {
    (0..2_000).any(|_| {
        ring.enter(MOMENT);
        let mut found = false;
        while let Some(event) = ring.next() {
            found |= is_it(ring, event);
        }
        found
    })
}

/// A connection whose receive ended for want of buffers is let go of like any other.
#[test]
fn a_starving_connection_goes_home() {
    let Some(mut ring) = ring() else {
        return;
    };
    let mut far = connect(&mut ring);
    let writing = thread::spawn(move || {
        let _ = far.write_all(&vec![7; 8_000_000]);
        far
    });
    let mut taken = Vec::new();
    until(&mut ring, |ring, event| {
        if let Event::Received { buffer, .. } = event {
            taken.push(buffer);
        }
        ring.starved() > 0
    });
    assert!(ring.starved() > 0, "all buffers are taken");
    ring.close(0);
    taken.into_iter().for_each(|buffer| ring.recycle(buffer));
    let gone = until(&mut ring, |_, event| matches!(event, Event::Gone { slot: 0, .. }));
    drop(ring);
    assert!(gone, "the slot was never given back");
    drop(writing.join().unwrap());
}

/// What found the queue full is made up for by the next entry, in order.
#[test]
fn requests_without_room_come_late_but_surely() {
    let Some(mut ring) = ring() else {
        return;
    };
    // As if the kernel had not taken this one: all that follows has to wait behind it.
    ring.late.push(opcode::Nop::new().build());
    let _far = connect(&mut ring);
    assert_eq!(ring.late.len(), 2);
    assert!(until(&mut ring, |_, event| matches!(event, Event::Writable { slot: 0 })));
    assert!(ring.late.is_empty());
    ring.late.push(opcode::Nop::new().build());
    ring.close(0);
    assert!(until(&mut ring, |_, event| matches!(event, Event::Gone { slot: 0, .. })));
}

/// A connection whose readiness can't be told would never be sent to again, so it ends.
#[test]
fn a_poll_that_fails_ends_its_connection() {
    let Some(mut ring) = ring() else {
        return;
    };
    let _far = connect(&mut ring);
    assert!(until(&mut ring, |_, event| matches!(event, Event::Writable { slot: 0 })));
    let token = ring.token(TokenKind::Writable, NO_IMAGE, 0);
    assert!(ring.push(&opcode::PollRemove::new(token).build()));
    assert!(until(&mut ring, |_, event| {
        matches!(event, Event::Ended { slot: 0, errno: libc::ECANCELED })
    }));
}

/// No caller can read a buffer while the kernel may write to it, or give it to the kernel twice.
#[test]
fn a_buffer_is_read_only_between_receiving_and_giving_back() {
    let Some(mut ring) = ring() else {
        return;
    };
    let mut far = connect(&mut ring);
    far.write_all(b"hello").unwrap();
    assert!((0..RECEIVE_BUFFERS as u16).all(|buffer| ring.octets(buffer, 5).is_empty()));
    let mut received = None;
    until(&mut ring, |_, event| {
        if let Event::Received { buffer, .. } = event {
            received = Some(buffer);
        }
        received.is_some()
    });
    let buffer = received.unwrap();
    assert_eq!(ring.octets(buffer, 5), b"hello");
    ring.recycle(buffer);
    ring.recycle(buffer);
    ring.recycle(u16::MAX);
    assert!(ring.octets(buffer, 5).is_empty());
    // All buffers but none twice: the kernel runs out after exactly so many.
    let writing = thread::spawn(move || {
        let _ = far.write_all(&vec![7; 8_000_000]);
        far
    });
    let mut taken = Vec::new();
    until(&mut ring, |ring, event| {
        if let Event::Received { buffer, .. } = event {
            taken.push(buffer);
        }
        ring.starved() > 0
    });
    assert_eq!(taken.len(), RECEIVE_BUFFERS as usize);
    drop(ring);
    drop(writing.join().unwrap());
}

/// A ring that the kernel does not know any more says so, and does not burn its core.
#[test]
fn a_lost_ring_is_a_fault() {
    let Some(mut ring) = ring() else {
        return;
    };
    let nothing = std::fs::File::open("/dev/null").unwrap();
    // JUSTIFICATION: nothing safe takes a ring away from under its owner.
    // SAFETY: both descriptors are open; the ring's own number then names another file, which its
    // owner closes as its own.
    assert!(unsafe { libc::dup2(nothing.as_raw_fd(), ring.ring.as_raw_fd()) } >= 0);
    let entries = ring.entries();
    let began = Instant::now();
    for _ in 0..3 {
        ring.enter(Wait::UpTo(1));
        assert!(matches!(ring.next(), Some(Event::Fault(libc::EOPNOTSUPP | libc::EINVAL))));
        assert!(ring.next().is_none(), "told once");
    }
    assert_eq!(ring.entries(), entries + 3);
    assert!(began.elapsed() >= 3 * Duration::from_millis(RING_FAULT_PAUSE_MS));
}

/// Many ready sockets are read in a few entries, not 20 at a time.
#[test]
fn what_has_piled_up_is_asked_for_in_one_go() {
    const PEERS: u16 = 400;
    let Some(mut ring) = ring() else {
        return;
    };
    let mut far: Vec<_> = (0..PEERS).map(|slot| connect_in(&mut ring, slot)).collect();
    let mut writable = 0;
    until(&mut ring, |_, event| {
        writable += u16::from(matches!(event, Event::Writable { .. }));
        writable >= PEERS
    });
    far.iter_mut().for_each(|far| far.write_all(b"hello").unwrap());
    let (entries, mut received) = (ring.entries(), 0);
    until(&mut ring, |ring, event| {
        if let Event::Received { buffer, .. } = event {
            ring.recycle(buffer);
            received += 1;
        }
        received == PEERS
    });
    let entries = ring.entries() - entries;
    eprintln!("{PEERS} answers in {entries} entries");
    assert_eq!(received, PEERS);
    assert!(entries < u64::from(PEERS) / 20, "{entries} entries");
}
