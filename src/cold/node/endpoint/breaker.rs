//! A breaker: who has failed several times in a row is left alone for a while, then tried once.
//!
//! Blocks are not thrown away while it is open; they wait for the one that is tried, and go as soon
//! as that got an answer.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::limits::{ENDPOINT_FAILURES_MAX, ENDPOINT_PAUSE_MAX_MS, ENDPOINT_PAUSE_MIN_MS};

/// How long a failing endpoint is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pauses {
    /// After it opened.
    pub(super) min: Duration,
    /// At most: each failed probe doubles it.
    pub(super) max: Duration,
}

impl Pauses {
    pub(super) const USUAL: Self = Self {
        min: Duration::from_millis(ENDPOINT_PAUSE_MIN_MS),
        max: Duration::from_millis(ENDPOINT_PAUSE_MAX_MS),
    };
}

/// What is known of the endpoint's last tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Circuit {
    /// Everything goes. So many tries in a row have failed.
    Closed { failures: u32 },
    /// Nothing goes before `until`.
    Open { until: Instant, pause: Duration },
    /// One try goes; the others wait for how it ends.
    Probing { pause: Duration },
}

/// What somebody who wants to try may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Go,
    /// It is the one try that decides.
    Probe,
    /// Ask again then, or when something changes.
    Wait(Option<Instant>),
}

impl Circuit {
    /// In one word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::Probing { .. } => "probing",
        }
    }

    fn admit(&mut self, now: Instant) -> Admission {
        match *self {
            Self::Closed { .. } => Admission::Go,
            Self::Open { until, .. } if now < until => Admission::Wait(Some(until)),
            Self::Open { pause, .. } => {
                *self = Self::Probing { pause };
                Admission::Probe
            }
            Self::Probing { .. } => Admission::Wait(None),
        }
    }

    const fn succeed(&mut self) {
        *self = Self::Closed { failures: 0 };
    }

    /// A try has failed. True where that opened the breaker.
    fn fail(&mut self, is_probe: bool, now: Instant, pauses: Pauses) -> bool {
        let pause = match *self {
            Self::Closed { failures } if failures + 1 < ENDPOINT_FAILURES_MAX => {
                *self = Self::Closed { failures: failures + 1 };
                return false;
            }
            Self::Closed { .. } => pauses.min,
            Self::Probing { pause } if is_probe => (pause * 2).min(pauses.max),
            // Begun before it opened: nothing new.
            Self::Open { .. } | Self::Probing { .. } => return false,
        };
        let was_closed = matches!(self, Self::Closed { .. });
        *self = Self::Open { until: now + pause, pause };
        was_closed
    }
}

/// The breaker of one endpoint.
#[derive(Debug)]
pub(super) struct Breaker {
    circuit: watch::Sender<Circuit>,
    pauses: Pauses,
}

impl Breaker {
    pub(super) fn new(pauses: Pauses) -> Self {
        Self { circuit: watch::Sender::new(Circuit::Closed { failures: 0 }), pauses }
    }

    /// How it stands.
    pub(super) fn circuit(&self) -> Circuit {
        *self.circuit.borrow()
    }

    /// The right to one try. `held_off` is told, once, where it has to be waited for.
    pub(super) async fn pass(&self, held_off: impl FnOnce()) -> Pass<'_> {
        let mut held_off = Some(held_off);
        // Before the first look, so that no change goes unseen.
        let mut changes = self.circuit.subscribe();
        loop {
            let mut admission = Admission::Go;
            self.circuit.send_if_modified(|circuit| {
                admission = circuit.admit(Instant::now());
                admission == Admission::Probe
            });
            let until = match admission {
                Admission::Go => return Pass { breaker: self, is_probe: false, open: true },
                Admission::Probe => return Pass { breaker: self, is_probe: true, open: true },
                Admission::Wait(until) => until,
            };
            if let Some(held_off) = held_off.take() {
                held_off();
            }
            // The sender is ours, so a change can only be one; and in time or not, look again.
            match until {
                Some(until) => drop(timeout_at(until, changes.changed()).await),
                None => drop(changes.changed().await),
            }
        }
    }
}

/// The right to one try. Dropped without a word, a probe counts as failed: others wait for it.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    open: bool,
}

impl Pass<'_> {
    /// The endpoint has answered.
    pub(super) fn succeed(mut self) {
        self.open = false;
        self.breaker.circuit.send_modify(Circuit::succeed);
    }

    /// It has not, or nothing of use. True where that opened the breaker.
    pub(super) fn fail(mut self) -> bool {
        self.end()
    }

    fn end(&mut self) -> bool {
        self.open = false;
        let mut opened = false;
        self.breaker.circuit.send_modify(|circuit| {
            opened = circuit.fail(self.is_probe, Instant::now(), self.breaker.pauses);
        });
        opened
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.open && self.is_probe {
            self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: Pauses = Pauses { min: Duration::from_secs(5), max: Duration::from_secs(12) };

    /// A circuit that has just opened, and when it did.
    fn opened() -> (Circuit, Instant) {
        let (mut circuit, now) = (Circuit::Closed { failures: 0 }, Instant::now());
        let opened: Vec<_> =
            (0..ENDPOINT_FAILURES_MAX).map(|_| circuit.fail(false, now, PAUSES)).collect();
        assert_eq!(opened.iter().filter(|opened| **opened).count(), 1);
        assert_eq!(opened.last(), Some(&true), "the last one opens it");
        (circuit, now)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_alone() {
        let (mut circuit, now) = (Circuit::Closed { failures: 0 }, Instant::now());
        for _ in 0..10 * ENDPOINT_FAILURES_MAX {
            assert!(!circuit.fail(false, now, PAUSES));
            circuit.succeed();
        }
        assert_eq!(circuit.admit(now), Admission::Go);
        assert_eq!(opened().0.word(), "open");
    }

    #[test]
    fn one_try_is_let_through_after_the_pause_and_decides() {
        let (mut circuit, now) = opened();
        let end = now + PAUSES.min;
        assert_eq!(circuit.admit(now), Admission::Wait(Some(end)));
        assert_eq!(circuit.admit(end), Admission::Probe);
        assert_eq!(circuit.admit(end), Admission::Wait(None), "one at a time");
        // A straggler from before tells nothing.
        assert!(!circuit.fail(false, end, PAUSES));
        assert_eq!(circuit.word(), "probing");
        assert!(!circuit.fail(true, end, PAUSES), "it was open before");
        for pause in [10, 12, 12].map(Duration::from_secs) {
            let Circuit::Open { until, pause: told } = circuit else { panic!("{circuit:?}") };
            assert_eq!(told, pause);
            assert_eq!(circuit.admit(until), Admission::Probe);
            circuit.fail(true, until, PAUSES);
        }
        circuit.succeed();
        assert_eq!(circuit, Circuit::Closed { failures: 0 });
    }

    proptest::proptest! {
        /// Goal: whatever happens, at most one probe is out, it stays shut for its whole pause, and
        /// pauses stay within their bounds.
        #[test]
        fn no_course_of_events_lets_two_probes_out(
            events in proptest::collection::vec((0_u8..5, 0_u64..8_000), 1..200),
        ) {
            let (mut circuit, mut now) = (Circuit::Closed { failures: 0 }, Instant::now());
            // Tries that are out: whether each is a probe.
            let mut out: Vec<bool> = Vec::new();
            for (event, wait_ms) in events {
                now += Duration::from_millis(wait_ms);
                let before = circuit;
                match event {
                    0..=2 => match circuit.admit(now) {
                        Admission::Wait(until) => {
                            assert!(until.is_none_or(|until| until > now));
                            assert_eq!(circuit, before);
                        }
                        admission => {
                            let is_probe = admission == Admission::Probe;
                            assert!(!is_probe || !out.contains(&true), "two probes");
                            out.push(is_probe);
                        }
                    },
                    3 => if let Some(is_probe) = out.pop() {
                        circuit.succeed();
                        assert_eq!(circuit, Circuit::Closed { failures: 0 });
                        // Others that are out are now as any.
                        if !is_probe {
                            out.iter_mut().for_each(|probe| *probe = false);
                        }
                    },
                    _ => if let Some(is_probe) = out.pop() {
                        circuit.fail(is_probe, now, PAUSES);
                    },
                }
                if let Circuit::Open { until, pause } = circuit {
                    assert!((PAUSES.min..=PAUSES.max).contains(&pause));
                    assert!(until <= now + PAUSES.max);
                }
                if let Circuit::Closed { failures } = circuit {
                    assert!(failures < ENDPOINT_FAILURES_MAX);
                }
            }
        }
    }

    #[tokio::test]
    async fn those_who_wait_go_when_the_probe_got_an_answer() {
        let moment = Duration::from_millis(1);
        let breaker = Breaker::new(Pauses { min: moment, max: moment });
        for _ in 0..ENDPOINT_FAILURES_MAX {
            breaker.pass(|| panic!("it is closed")).await.fail();
        }
        let probe = breaker.pass(|| {}).await;
        assert!(probe.is_probe);
        let mut told = 0;
        let waiting = breaker.pass(|| told += 1);
        let answered = async {
            tokio::task::yield_now().await;
            probe.succeed();
        };
        let (pass, ()) = tokio::join!(waiting, answered);
        assert!(!pass.is_probe && told == 1);
    }

    #[tokio::test]
    async fn a_probe_that_is_given_up_makes_room_for_the_next() {
        let moment = Duration::from_millis(1);
        let breaker = Breaker::new(Pauses { min: moment, max: moment });
        for _ in 0..ENDPOINT_FAILURES_MAX {
            breaker.pass(|| {}).await.fail();
        }
        drop(breaker.pass(|| {}).await);
        assert_eq!(breaker.circuit().word(), "open");
        assert!(breaker.pass(|| {}).await.is_probe);
    }
}
