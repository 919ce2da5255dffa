//! Blocks that a real shard sends through a real ring, seen by `tcp_delivery`.

use std::os::fd::OwnedFd;

use broadside::hot::link::{Outcome, PeerId, Report};
use broadside::hot::route::ZeroCopy;
use broadside::hot::shard::Policy;
use broadside::sys::bpf::DeliveryWatch;
use broadside::sys::ring::Ring;

use crate::delivery::Sends;
use crate::world::{Peers, Skewed, TcpPeers, World, governed_on_epoll, governed_on_uring};
use crate::{alone, delivery_watch};

const PEERS: usize = 8;

/// Peers whose connections' cookies are noted.
#[derive(Default)]
struct Noted {
    inner: TcpPeers,
    cookies: Vec<u64>,
}

impl<R: Ring> Peers<R> for Noted {
    fn connect(&mut self) -> OwnedFd {
        let near = Peers::<R>::connect(&mut self.inner);
        self.cookies.push(rustix::net::sockopt::socket_cookie(&near).unwrap());
        near
    }
    fn read(&mut self, ring: &mut R, at: usize, into: &mut Vec<u8>) {
        self.inner.read(ring, at, into);
    }
    fn say(&mut self, ring: &mut R, at: usize, bytes: &[u8]) {
        self.inner.say(ring, at, bytes);
    }
    fn hang_up(&mut self, ring: &mut R, at: usize) {
        Peers::<R>::hang_up(&mut self.inner, ring, at);
    }
    fn stall(&mut self, ring: &mut R, at: usize) {
        Peers::<R>::stall(&mut self.inner, ring, at);
    }
}

fn noted<R: Ring>(world: World<R, TcpPeers>) -> World<R, Noted> {
    World {
        shard: world.shard,
        peers: Noted { inner: world.peers, cookies: Vec::new() },
        arena: world.arena,
        link: world.link,
        publisher: world.publisher,
        chain: world.chain,
        received: world.received,
        reports: world.reports,
        answered: world.answered,
        mute: world.mute,
        is_governed: world.is_governed,
        terms: world.terms,
    }
}

/// Every block's last send lies within what the shard says of it, and is acknowledged before its receipt.
fn is_told_of<R: Ring>(watch: &mut DeliveryWatch, mut world: World<R, Noted>, how: &str)
where
    Noted: Peers<Skewed<R>>,
{
    world.connect_many(PEERS);
    world.until("all adopted", |world| world.shard.connections() == PEERS);
    let mut sends: Vec<Sends> = Vec::new();
    for (number, bytes) in [1_000, 300_000, 3_000_000].into_iter().enumerate() {
        world.reports.clear();
        world.publish(&vec![number as u8 + 1; bytes], [number as u8 + 1; 32]);
        let settled = |report: &Report| matches!(report, Report::Settled { .. });
        let all = |world: &mut World<R, Noted>| {
            world.reports.iter().filter(|report| settled(report)).count() == PEERS
        };
        world.until("all settled", all);
        let mut queued = 0;
        sends.clear();
        sends.resize_with(PEERS, Sends::default);
        let mut read = |event: broadside::sys::bpf::Delivery| {
            let at = world.peers.cookies.iter().position(|cookie| *cookie == event.cookie);
            let Some(at) = at else { return };
            let moment =
                &mut sends[at].0.entry(event.last_byte).or_default()[event.moment as usize];
            *moment = moment.or(Some(event.at_ns));
        };
        watch.read(&mut read).unwrap();
        for report in &world.reports {
            let Report::Settled { peer, outcome, submitted_ns, sent_ns, handled_ns, .. } = report
            else {
                continue;
            };
            assert_eq!(*outcome, Outcome::Handled);
            let at = (0..PEERS).find(|at| PeerId::new(0, *at as u64 + 1) == *peer).unwrap();
            let moments = sends[at].last().expect("told");
            let [Some(given), _, wire, Some(acknowledged)] = moments else {
                panic!("{how}, {bytes} B: {moments:?}");
            };
            assert!(*submitted_ns <= given && given <= *sent_ns, "{how}: {moments:?} {report:?}");
            assert!(acknowledged <= *handled_ns, "{how}: {moments:?} {report:?}");
            queued += usize::from(wire.is_some());
        }
        println!("{how}, {bytes} B: {queued} of {PEERS} with all moments");
    }
    assert_eq!(watch.lost(), 0);
}

#[test]
fn blocks_through_io_uring_copied_and_not() {
    let _turn = alone();
    let Some(mut watch) = delivery_watch() else { return };
    for zero_copy in [ZeroCopy::Off, ZeroCopy::Always] {
        let policy = Policy { zero_copy, ..Policy::default() };
        let Some(world) = governed_on_uring(policy) else { return };
        is_told_of(&mut watch, noted(world), &format!("io_uring, without copying: {zero_copy:?}"));
    }
}

#[test]
fn blocks_through_epoll() {
    let _turn = alone();
    let Some(mut watch) = delivery_watch() else { return };
    let Some(world) = governed_on_epoll(Policy::default()) else { return };
    is_told_of(&mut watch, noted(world), "epoll");
}
