//! `tcp_delivery`: moments of sends, against what else is known of the same sends.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use broadside::limits::DELIVERY_RING_BYTES;
use broadside::sys::bpf::{Delivery, DeliverySettings, DeliveryWatch, Moment};
use broadside::sys::clock::now_ns;
use broadside::sys::tcp_info::TcpInfo;

use crate::peers::{Pair, over_veth};
use crate::{LOOKS, alone, as_child, child, delivery_watch, here};

/// First times of the moments of each send of one connection, by its last byte.
#[derive(Default)]
pub(crate) struct Sends(pub(crate) BTreeMap<u32, [Option<u64>; 4]>);

impl Sends {
    /// Adds what is told of `cookie`. Sent again, a packet passes queue and device again: the first counts.
    pub(crate) fn read(&mut self, watch: &mut DeliveryWatch, cookie: u64) {
        let mut take = |event: Delivery| {
            if event.cookie == cookie {
                let moments = self.0.entry(event.last_byte).or_default();
                let moment = &mut moments[event.moment as usize];
                *moment = moment.or(Some(event.at_ns));
            }
        };
        watch.read(&mut take).unwrap();
    }

    /// The send that was given last.
    pub(crate) fn last(&self) -> Option<[Option<u64>; 4]> {
        self.0.values().max_by_key(|moments| moments[Moment::Given as usize]).copied()
    }
}

/// When other witnesses saw a send's last byte arrive.
#[derive(Debug)]
pub(crate) struct Seen {
    begun_ns: u64,
    given_ns: u64,
    /// Our own TCP_INFO: the last look before which something was unacknowledged, the first after which
    /// nothing was.
    unacknowledged_ns: u64,
    acknowledged_ns: u64,
    /// The receiver has read it.
    read_ns: u64,
}

/// Sends `bytes` while the other end reads and TCP_INFO is asked again and again.
pub(crate) fn send_and_look(pair: &mut Pair, bytes: usize) -> Seen {
    let mut far = pair.far.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        far.read_exact(&mut vec![0; bytes]).unwrap();
        now_ns()
    });
    let begun_ns = now_ns();
    pair.near.write_all(&vec![7; bytes]).unwrap();
    let given_ns = now_ns();
    let mut unacknowledged_ns = begun_ns;
    for _ in 0..LOOKS {
        let before_ns = now_ns();
        let info = TcpInfo::read(&pair.near).unwrap();
        if info.unacknowledged_segments == 0 && info.unsent_bytes == 0 {
            let acknowledged_ns = now_ns();
            let read_ns = reader.join().unwrap();
            return Seen { begun_ns, given_ns, unacknowledged_ns, acknowledged_ns, read_ns };
        }
        unacknowledged_ns = before_ns;
        std::thread::yield_now();
    }
    panic!("it was never acknowledged");
}

/// Sends of several sizes, each compared with what TCP_INFO and the receiver say.
fn agrees(watch: &mut DeliveryWatch, mut pair: Pair, way: &str) {
    let mut sends = Sends::default();
    for bytes in [1, 1_000, 65_536, 1_000_000, 4_000_000] {
        let seen = send_and_look(&mut pair, bytes);
        sends.read(watch, pair.cookie);
        let moments = sends.last().expect("told");
        let [Some(given), queued, wire, Some(acknowledged)] = moments else {
            panic!("{bytes}: {moments:?}, {seen:?}");
        };
        assert!(seen.begun_ns <= given && given <= seen.given_ns, "{moments:?} {seen:?}");
        // A send that waits for room in between may find its last packet gone: then only the end is told.
        if let (Some(queued), Some(wire)) = (queued, wire) {
            assert!(given <= queued && queued <= wire && wire <= acknowledged, "{moments:?}");
            assert!(wire <= seen.read_ns, "read before it was on the wire: {moments:?} {seen:?}");
        } else {
            assert!(bytes > 65_536, "{bytes}: a small send goes at once: {moments:?}");
        }
        let (least, most) = (seen.unacknowledged_ns, seen.acknowledged_ns);
        assert!(least <= acknowledged && acknowledged <= most, "{moments:?} {seen:?}");
        println!(
            "{way}, {bytes} B: queued {:?} us, wire {:?} us, acknowledged {} us after it was given; TCP_INFO \
             says so within {} us; the receiver had read it {} us after the acknowledgement",
            queued.map(|at| (at - given) / 1_000),
            wire.map(|at| (at - given) / 1_000),
            (acknowledged - given) / 1_000,
            (most - least) / 1_000,
            (seen.read_ns.cast_signed() - acknowledged.cast_signed()) / 1_000,
        );
    }
    assert_eq!(watch.lost(), 0);
}

#[test]
fn it_agrees_with_tcp_info_and_the_receiver_on_loopback() {
    let _turn = alone();
    let Some(mut watch) = delivery_watch() else { return };
    agrees(&mut watch, Pair::over_loopback(), "loopback");
}

#[test]
fn it_agrees_with_tcp_info_and_the_receiver_between_networks() {
    let _turn = alone();
    let Some(mut watch) = delivery_watch() else { return };
    let Some(pair) = over_veth() else { return };
    agrees(&mut watch, pair, "veth");
}

#[test]
fn only_what_comes_after_the_start_and_before_the_end_is_told() {
    let _turn = alone();
    let mut early = Pair::over_loopback();
    let Some(mut watch) = delivery_watch() else { return };
    let (mut pair, mut sends) = (Pair::over_loopback(), Sends::default());
    send_and_look(&mut early, 10);
    sends.read(&mut watch, early.cookie);
    assert!(sends.0.is_empty(), "it was connected before");
    // What the far end sends is a connection that was made by accepting it.
    let far = rustix::net::sockopt::socket_cookie(&pair.far).unwrap();
    pair.far.write_all(b"back").unwrap();
    pair.near.read_exact(&mut [0; 4]).unwrap();
    sends.read(&mut watch, far);
    assert!(sends.0.is_empty(), "it was not made by us");
    send_and_look(&mut pair, 10);
    sends.read(&mut watch, pair.cookie);
    assert_eq!(sends.0.len(), 1);
    drop(watch);
    let mut again = delivery_watch().unwrap();
    send_and_look(&mut pair, 10);
    sends.read(&mut again, pair.cookie);
    assert_eq!(sends.0.len(), 1, "another watch knows nothing of connections made before it");
}

fn window_of(stream: &TcpStream) -> u32 {
    TcpInfo::read(stream).unwrap().window_segments
}

#[test]
fn the_first_window_is_as_wanted_and_only_ours() {
    const PACKETS: u32 = 37;
    let _turn = alone();
    let own = window_of(&Pair::over_loopback().near);
    for window_only in [true, false] {
        let settings = DeliverySettings { initial_window_packets: PACKETS, window_only };
        let Some(mut watch) = here(DeliveryWatch::start(settings)) else { return };
        let mut pair = Pair::over_loopback();
        assert_eq!((window_of(&pair.near), window_of(&pair.far)), (PACKETS, own));
        send_and_look(&mut pair, 10);
        let mut sends = Sends::default();
        sends.read(&mut watch, pair.cookie);
        assert_eq!(sends.0.is_empty(), window_only);

        // Another process, in the same control group.
        let output = child(&[], "delivery::child_that_connects", "connect");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = text.lines().find_map(|line| line.strip_prefix("child: ")).expect(&text);
        let (window, cookie) = told.split_once(' ').unwrap();
        assert_eq!(window.parse::<u32>().unwrap(), own, "its window was touched");
        let mut others = Sends::default();
        others.read(&mut watch, cookie.parse().unwrap());
        assert!(others.0.is_empty(), "it was listened to");
    }
    assert_eq!(window_of(&Pair::over_loopback().near), own, "after the end");
}

#[test]
#[ignore = "run by another test, as a process of its own"]
fn child_that_connects() {
    if as_child().is_some() {
        let mut pair = Pair::over_loopback();
        // Before anything is acknowledged, which opens it.
        let window = window_of(&pair.near);
        send_and_look(&mut pair, 10);
        println!("\nchild: {window} {}", pair.cookie);
    }
}

#[test]
fn what_nobody_fetches_is_counted() {
    let _turn = alone();
    let Some(mut watch) = delivery_watch() else { return };
    let mut pair = Pair::over_loopback();
    // Four moments each, 24 bytes and a head of 8: more than the ring holds.
    let sends = DELIVERY_RING_BYTES as usize / 32 / 4 + 1_000;
    for _ in 0..sends {
        pair.near.write_all(&[1]).unwrap();
        pair.far.read_exact(&mut [0]).unwrap();
    }
    let mut told = 0_u64;
    watch.read(&mut |event| told += u64::from(event.cookie == pair.cookie)).unwrap();
    assert!(watch.lost() > 0 && told > 0, "told {told}, lost {}", watch.lost());
    let (events, before) = (told + watch.lost(), watch.lost());
    assert!(events > sends as u64 * 3, "told {told} and lost {before} of {sends} sends");
    // There is room again.
    let mut after = Sends::default();
    send_and_look(&mut pair, 10);
    after.read(&mut watch, pair.cookie);
    assert!(after.0.values().any(|moments| moments.iter().all(Option::is_some)));
    assert_eq!(watch.lost(), before);
}
