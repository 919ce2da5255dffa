//! Puts together what the kernel told and what the block log knows. Pure: no clock, no kernel.

use std::collections::{HashMap, HashSet, VecDeque};

use super::sends::Sends;
use super::thefts::Thefts;
use crate::cold::stats::{FanOutWindow, KernelTimes, SentOffer, StolenTime};
use crate::cold::uplink::Cookies;
use crate::hot::link::{ImageId, PeerId};
use crate::limits::{TRACE_BLOCKS_MAX, TRACE_OFFERS_MAX, TRACE_PATIENCE_MS, TRACE_WINDOW_MS};

const PATIENCE_NS: u64 = TRACE_PATIENCE_MS * 1_000_000;
/// How long what has happened may still be told: another core is in the middle of telling something, or
/// who held us up has not ended.
const UNHEARD_NS: u64 = 1_000_000_000;
const WINDOW_NS: u64 = TRACE_WINDOW_MS * 1_000_000;

/// An offer of which not everything is known.
#[derive(Debug)]
struct Open {
    offer: SentOffer,
    /// What was told of it last.
    told: Option<KernelTimes>,
    until_ns: u64,
}

/// Everything that is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    pub(super) sends: Sends,
    pub(super) thefts: Thefts,
    cookies: Cookies,
    open: VecDeque<Open>,
    /// What was told last of who held up each block.
    told: HashMap<ImageId, StolenTime>,
}

impl Tracer {
    /// The connections' cookies, for whoever knows newer ones; then say [`Self::mind`].
    pub(super) fn cookies(&mut self) -> &mut Cookies {
        &mut self.cookies
    }

    /// Minds the connections whose cookies are known now.
    pub(super) fn mind(&mut self) {
        let all: HashSet<u64> = self.cookies.by_peer.values().copied().collect();
        self.sends.mind(&all);
    }

    /// These offers have ended. Full: the oldest are not waited for any more.
    pub(super) fn expect(&mut self, offers: Vec<SentOffer>, now_ns: u64) {
        let until_ns = now_ns.saturating_add(PATIENCE_NS);
        self.open.extend(offers.into_iter().map(|offer| Open { offer, told: None, until_ns }));
        let over = self.open.len().saturating_sub(TRACE_OFFERS_MAX);
        self.open.drain(..over);
    }

    /// What is known now, and was not when it was last asked, of offers that have ended.
    pub(super) fn deliveries(&mut self, now_ns: u64) -> Vec<(ImageId, PeerId, KernelTimes)> {
        let mut news = Vec::new();
        let (sends, cookies) = (&self.sends, &self.cookies);
        self.open.retain_mut(|open| {
            let SentOffer { image, peer, submitted_ns, sent_ns } = open.offer;
            let cookie = cookies.by_peer.get(&peer);
            let found = cookie.and_then(|it| sends.times(*it, submitted_ns, sent_ns));
            let Some(times) = found else {
                // All moments of it up to its end have been told, or are about to be.
                return now_ns < open.until_ns.saturating_sub(PATIENCE_NS) + UNHEARD_NS;
            };
            if open.told != Some(times) {
                open.told = Some(times);
                news.push((image, peer, times));
            }
            times.acked_ns == 0 && now_ns < open.until_ns
        });
        news
    }

    /// Who held up these blocks, where more of it is known than when it was last asked.
    pub(super) fn stolen(
        &mut self,
        windows: &[FanOutWindow],
        now_ns: u64,
    ) -> Vec<(ImageId, StolenTime)> {
        self.told.retain(|image, _| windows.iter().any(|window| window.image == *image));
        let mut news = Vec::new();
        for window in windows.iter().take(TRACE_BLOCKS_MAX) {
            let FanOutWindow { image, published_ns, last_receipt_ns } = *window;
            let end_ns = last_receipt_ns.min(published_ns.saturating_add(WINDOW_NS));
            let before = self.told.get(&image);
            if before.is_some() && now_ns > end_ns.saturating_add(UNHEARD_NS) {
                continue;
            }
            let stolen = self.thefts.within(published_ns, end_ns);
            if before != Some(&stolen) {
                self.told.insert(image, stolen.clone());
                news.push((image, stolen));
            }
        }
        news
    }

    /// Lets go of what no block needs any more.
    pub(super) fn forget(&mut self, now_ns: u64) {
        // A window that is open may have begun so long ago, and is asked for once more.
        self.thefts.forget(now_ns.saturating_sub(2 * WINDOW_NS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::bpf::{Delivery, Moment, Runner, Stolen};

    const PEER: PeerId = PeerId::new(0, 5);

    fn tracer() -> Tracer {
        let mut tracer = Tracer::default();
        tracer.cookies().by_peer.insert(PEER, 77);
        tracer.mind();
        tracer
    }

    fn tell(tracer: &mut Tracer, moment: Moment, at_ns: u64) {
        tracer.sends.note(Delivery { cookie: 77, last_byte: 9, moment, at_ns });
    }

    fn theft(start_ns: u64, took_ns: u64) -> Stolen {
        let (core, runner, number, name) = (0, Runner::Interrupt, 4, [0; 16]);
        Stolen { core, runner, number, name, start_ns, took_ns, held_us_up: true }
    }

    fn offer(peer: PeerId) -> SentOffer {
        SentOffer { image: ImageId(3), peer, submitted_ns: 100, sent_ns: 200 }
    }

    #[test]
    fn each_piece_of_news_is_told_once_until_all_is_known() {
        let mut tracer = tracer();
        tracer.expect(vec![offer(PEER), offer(PeerId::new(0, 6))], 1_000);
        tell(&mut tracer, Moment::Given, 150);
        let known = KernelTimes { given_ns: 150, ..KernelTimes::default() };
        assert_eq!(tracer.deliveries(1_000), [(ImageId(3), PEER, known)]);
        assert_eq!(tracer.deliveries(1_001), []);
        tell(&mut tracer, Moment::Wire, 160);
        tell(&mut tracer, Moment::Acknowledged, 900);
        let known = KernelTimes { wire_ns: 160, acked_ns: 900, ..known };
        assert_eq!(tracer.deliveries(1_002), [(ImageId(3), PEER, known)]);
        assert_eq!(tracer.open.len(), 1, "the other one may still be told of");
        tracer.deliveries(1_000 + UNHEARD_NS);
        assert!(tracer.open.is_empty());
    }

    #[test]
    fn an_acknowledgement_is_waited_for_so_long() {
        let mut tracer = tracer();
        tell(&mut tracer, Moment::Given, 150);
        tracer.expect(vec![offer(PEER)], 1_000);
        assert_eq!(tracer.deliveries(1_000).len(), 1);
        assert_eq!((tracer.deliveries(PATIENCE_NS).len(), tracer.open.len()), (0, 1));
        tracer.deliveries(1_000 + PATIENCE_NS);
        assert!(tracer.open.is_empty());
        tracer.expect(vec![offer(PEER); TRACE_OFFERS_MAX + 5], 0);
        assert_eq!(tracer.open.len(), TRACE_OFFERS_MAX);
    }

    #[test]
    fn thieves_are_told_anew_with_each_later_receipt() {
        let mut tracer = tracer();
        for start_ns in [50, 150, 250] {
            tracer.thefts.note(theft(start_ns, 10));
        }
        let window = |last_receipt_ns| FanOutWindow {
            image: ImageId(3),
            published_ns: 100,
            last_receipt_ns,
        };
        let total = |found: &[(ImageId, StolenTime)]| {
            found.iter().map(|(_, stolen)| stolen.total_ns()).collect::<Vec<_>>()
        };
        let none = [] as [u64; 0];
        assert_eq!(total(&tracer.stolen(&[window(200)], 210)), [10]);
        assert_eq!(total(&tracer.stolen(&[window(200)], 220)), none);
        assert_eq!(total(&tracer.stolen(&[window(300)], 310)), [20]);
        // One that began within and has ended only now.
        tracer.thefts.note(theft(299, 5_000));
        assert_eq!(total(&tracer.stolen(&[window(300)], 5_300)), [21]);
        tracer.thefts.note(theft(120, 10));
        assert_eq!(total(&tracer.stolen(&[window(300)], 301 + UNHEARD_NS)), none, "too late");
        // A receipt that comes much later tells nothing of who held up the block.
        let end_ns = 100 + WINDOW_NS;
        assert_eq!(total(&tracer.stolen(&[window(end_ns)], end_ns)), [20 + 5_000 + 10]);
        tracer.thefts.note(theft(end_ns, 10));
        assert_eq!(total(&tracer.stolen(&[window(u64::MAX)], end_ns)), none);
        tracer.stolen(&[], end_ns);
        assert!(tracer.told.is_empty());
    }
}
