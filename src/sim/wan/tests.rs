use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use super::*;

/// A network, or a loud skip where the host does not allow one.
fn wan(settings: WanSettings) -> Option<Wan> {
    match Wan::start(settings) {
        Ok(wan) => Some(wan),
        Err(error @ WanError::System { .. }) => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Goal: delays are never shorter than set, a flow is never faster than the line. How much longer
/// and slower depends on how busy the host is, so that is printed and not judged.
#[test]
fn it_is_honest() {
    let Some(wan) = wan(WanSettings::spread(20, 100_000_000)) else { return };
    let honesty = wan.check().unwrap();
    println!("{honesty:?} {:?}\n{}", honesty.faults(), wan.stack());
    assert_eq!(honesty.round_trips_us.len(), 3);
    assert!(honesty.round_trips_us.iter().all(|(set_us, found_us)| found_us >= set_us));
    // A packet handed on late shortens the time that was measured.
    let ms = honesty::FLOW_MS.saturating_sub(honesty.late_ns_max / 1_000_000);
    assert!(honesty.flow_percent.unwrap() * ms <= 103 * honesty::FLOW_MS, "{honesty:?}");
    assert!(value(&wan.counts().queue_bytes_max) <= wan.settings().queue_bytes);
    for row in ["tcp_congestion_control=", "tcp_rmem=4096/131072/6291456"] {
        assert!(wan.stack().contains(row), "{}", wan.stack());
    }
}

#[test]
fn bytes_arrive_whole_through_loss_and_a_full_queue() {
    let mut settings = WanSettings::spread(2, 200_000_000);
    settings.queue_bytes = 30_000;
    settings.paths[0] = PeerPath { round_trip_us: 2_000, loss_ppm: 20_000 };
    let Some(wan) = wan(settings) else { return };
    let listen = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let listener = wan.receiver().run(listen).unwrap();
    let peer = wan.peers(listener.local_addr().unwrap().port())[0];
    let sent: Vec<_> = (0..1_500_000_u32).map(|at| (at * 7 / 5) as u8).collect();
    let out = sent.clone();
    let send = move || TcpStream::connect(peer).unwrap().write_all(&out).unwrap();
    let sending = wan.sender().spawn("sender", send).unwrap();
    let receive = move || {
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        received
    };
    assert!(wan.receiver().run(receive).unwrap() == sent, "the bytes differ");
    sending.join().unwrap().unwrap();
    assert!(value(&wan.counts().chance_drops) > 0);
}

#[test]
fn too_many_peers_are_refused_and_addresses_lead_back() {
    let refused = Wan::start(WanSettings::spread(WAN_PEERS_MAX + 1, 0)).map(drop);
    assert!(matches!(refused, Err(WanError::TooManyPeers(_))));
    for (address, peer) in [([10, 9, 0, 1], 0), ([10, 9, 1, 1], 200), ([10, 9, 0, 200], 199)] {
        assert_eq!(peer_of(address), Some(peer));
    }
    assert!(
        [[10, 9, 0, 0], [10, 9, 0, 201], [10, 8, 0, 1]].into_iter().all(|it| peer_of(it).is_none())
    );
}

/// The line of the benches. On a host that has cores to spare there are no faults.
#[test]
#[ignore = "needs a host with a core for the emulator: run it before believing a bench"]
fn a_gigabit_line_is_honest() {
    let Some(wan) = wan(WanSettings::spread(100, 1_000_000_000)) else { return };
    let honesty = wan.check().unwrap();
    println!("{honesty:?} {:?} {:?}", honesty.faults(), wan.counts());
}
