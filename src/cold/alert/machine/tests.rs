//! The machine on made-up findings: hysteresis, counts, bounds.

use proptest::prelude::*;

use super::*;
use crate::limits::ALERT_NODE_CLEAR_MS;

const START_MS: u64 = 1_000_000;

fn at(ms: u64) -> Moment {
    Moment { clock_ms: START_MS + ms, unix_ms: 1_700_000_000_000 + ms }
}

fn finding(subject: &str, severity: Severity) -> Finding {
    Finding {
        kind: Kind::NodeLost,
        chain: Some("x"),
        subject: subject.to_owned(),
        severity,
        text: "it is away".to_owned(),
        over: "it is back".to_owned(),
        hold_ms: Kind::NodeLost.hold_ms(),
    }
}

fn rpc() -> Vec<Finding> {
    vec![finding("rpc", Severity::Critical)]
}

fn machine() -> Machine {
    Machine::new(Rules::default())
}

fn states(notices: &[Notice]) -> Vec<NoticeState> {
    notices.iter().map(|notice| notice.state).collect()
}

#[test]
fn it_must_last_before_it_is_said_and_be_gone_before_its_end_is() {
    let mut machine = machine();
    let (raise_ms, clear_ms) = Kind::NodeLost.hold_ms();
    assert_eq!(machine.look(rpc(), at(0)), []);
    assert_eq!(machine.look(rpc(), at(raise_ms - 1)), []);
    let raised = machine.look(rpc(), at(raise_ms));
    let [Notice { state: NoticeState::Raised, alert, at_unix_ms }] = &raised[..] else {
        panic!("{raised:?}")
    };
    assert_eq!((alert.kind, alert.chain, alert.count), ("node-lost", Some("x"), 1));
    assert_eq!((alert.since_unix_ms, *at_unix_ms), (at(0).unix_ms, at(raise_ms).unix_ms));
    assert_eq!(machine.look(rpc(), at(20_000)), [], "it is said once");
    assert_eq!(machine.view().active.len(), 1);
    assert_eq!(machine.look(Vec::new(), at(30_000)), []);
    assert_eq!(machine.look(Vec::new(), at(30_000 + clear_ms - 1)), []);
    let cleared = machine.look(Vec::new(), at(30_000 + clear_ms));
    assert_eq!(states(&cleared), [NoticeState::Cleared]);
    assert_eq!(cleared[0].alert.text, "it is back (after 40 s)");
    let view = machine.view();
    assert_eq!((view.active.len(), view.past.len()), (0, 1));
    assert_eq!(view.past[0].cleared_unix_ms, Some(at(30_000 + clear_ms).unix_ms));
    assert_eq!(machine.look(Vec::new(), at(90_000)), []);
}

#[test]
fn what_does_not_last_is_not_said() {
    let mut machine = machine();
    for round in 0..1_000 {
        let from_ms = round * 6_000;
        let seen =
            machine.look(rpc(), at(from_ms)).len() + machine.look(rpc(), at(from_ms + 4_000)).len();
        assert_eq!(seen + machine.look(Vec::new(), at(from_ms + 5_000)).len(), 0);
    }
    assert_eq!(machine.view(), AlertView::default());
}

/// A short break is counted and not told; a return after the all-clear is the same alert again, which
/// must be gone for longer then.
#[test]
fn what_comes_back_is_one_alert_with_a_count() {
    let mut machine = machine();
    machine.look(rpc(), at(0));
    let raised = machine.look(rpc(), at(5_000));
    for round in 0..3_u64 {
        assert_eq!(machine.look(Vec::new(), at(10_000 + round * 4_000)), []);
        assert_eq!(machine.look(rpc(), at(12_000 + round * 4_000)), []);
    }
    assert_eq!(machine.view().active[0].count, 4);
    machine.look(Vec::new(), at(30_000));
    let cleared = machine.look(Vec::new(), at(40_000));
    assert_eq!(cleared[0].alert.text, "it is back (after 40 s, 4 times)");
    machine.look(rpc(), at(50_000));
    let again = machine.look(rpc(), at(55_000));
    assert_eq!(states(&again), [NoticeState::Raised]);
    assert_eq!((again[0].alert.number, again[0].alert.count), (raised[0].alert.number, 5));
    assert_eq!(machine.view().past, [], "it is not over any more");
    machine.look(Vec::new(), at(60_000));
    assert_eq!(machine.look(Vec::new(), at(60_000 + 2 * ALERT_NODE_CLEAR_MS - 1)), []);
    assert_eq!(machine.look(Vec::new(), at(60_000 + 2 * ALERT_NODE_CLEAR_MS)).len(), 1);
    // Long after it is a new one.
    let later = 80_000 + ALERT_MEMORY_MS;
    machine.look(Vec::new(), at(later));
    machine.look(rpc(), at(later + 1));
    let fresh = machine.look(rpc(), at(later + 5_001));
    assert_ne!(fresh[0].alert.number, raised[0].alert.number);
    assert_eq!((fresh[0].alert.count, machine.clear_of_only()), (1, ALERT_NODE_CLEAR_MS));
}

impl Machine {
    fn clear_of_only(&self) -> u64 {
        self.tracks.values().next().unwrap().clear_ms()
    }
}

#[test]
fn what_becomes_worse_is_said_again() {
    let mut machine = machine();
    let few = |severity| vec![finding("", severity)];
    machine.look(few(Severity::Warning), at(0));
    assert_eq!(machine.look(few(Severity::Warning), at(5_000)).len(), 1);
    let worse = machine.look(few(Severity::Critical), at(6_000));
    assert_eq!(
        (states(&worse), worse[0].alert.severity),
        (vec![NoticeState::Raised], Severity::Critical)
    );
    assert_eq!(machine.look(few(Severity::Warning), at(7_000)), []);
    assert_eq!(machine.look(few(Severity::Critical), at(8_000)), []);
}

#[test]
fn what_does_not_end_is_repeated_and_what_is_off_is_not_seen() {
    let repeat_ms = Some(3_600_000);
    let mut machine = Machine::new(Rules { off: Vec::new(), repeat_ms });
    let mut told = Vec::new();
    for second in 0..=7_300 {
        let findings = vec![finding("rpc", Severity::Critical), finding("i", Severity::Info)];
        told.extend(machine.look(findings, at(second * 1_000)));
    }
    let of = |subject: &str| {
        let ours = told.iter().filter(|notice| notice.alert.subject == subject);
        ours.map(|notice| notice.state).collect::<Vec<_>>()
    };
    use NoticeState::{Raised, Repeated};
    assert_eq!((of("rpc"), of("i")), (vec![Raised, Repeated, Repeated], vec![Raised]));
    let mut deaf = Machine::new(Rules { off: vec![Kind::NodeLost], repeat_ms });
    (0..100).for_each(|second| assert_eq!(deaf.look(rpc(), at(second * 1_000)), []));
}

#[test]
fn hostile_text_is_defused_and_cut() {
    let mut machine = machine();
    let hostile = Finding {
        text: format!("a\u{1b}[2J\n{}", "x".repeat(5_000)),
        subject: "\u{202e}s".to_owned(),
        hold_ms: (0, 0),
        ..finding("", Severity::Info)
    };
    let told = machine.look(vec![hostile.clone()], at(0));
    assert!(told[0].alert.text.starts_with("a?[2J?xxx"), "{}", told[0].alert.text);
    assert_eq!(told[0].alert.text.chars().count(), ALERT_TEXT_CHARS_MAX + 1);
    assert_eq!(told[0].alert.subject, "?s");
    assert_eq!(machine.look(vec![hostile], at(1)), [], "it is known again by its clean name");
}

#[test]
fn tables_are_bounded() {
    let mut machine = machine();
    let many = |from: usize| {
        (from..from + 300).map(|at| finding(&at.to_string(), Severity::Warning)).collect::<Vec<_>>()
    };
    machine.look(many(0), at(0));
    assert_eq!(machine.look(many(0), at(5_000)).len(), ALERTS_TRACKED_MAX);
    assert!(machine.untold() > 0);
    assert_eq!(machine.look(many(1_000), at(6_000)), [], "those that stand are not pushed out");
    for round in 1..20_u64 {
        machine.look(Vec::new(), at(round * 100_000));
        machine.look(Vec::new(), at(round * 100_000 + 20_000));
        machine.look(many(round as usize * 1_000), at(round * 100_000 + 40_000));
        machine.look(many(round as usize * 1_000), at(round * 100_000 + 50_000));
        assert!(
            machine.tracks.len() <= ALERTS_TRACKED_MAX && machine.past.len() <= ALERTS_PAST_MAX
        );
    }
    assert_eq!(machine.view().past.len(), ALERTS_PAST_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// However a condition flaps in six hours, it is told a few times, then twice an hour at most; and
    /// what is told alternates between raised and cleared.
    #[test]
    fn flapping_yields_few_notices(spans in prop::collection::vec(1_u64..40, 600..1_500)) {
        let (mut machine, mut told) = (machine(), Vec::new());
        let (mut second, mut is_there) = (0, true);
        for span in spans {
            for _ in 0..span {
                let findings = if is_there { rpc() } else { Vec::new() };
                told.extend(machine.look(findings, at(second * 1_000)));
                second += 1;
            }
            is_there = !is_there;
        }
        let doublings = (ALERT_HOLD_MAX_MS / ALERT_NODE_CLEAR_MS).ilog2() as usize + 1;
        let hours = (second / 3_600) as usize + 1;
        prop_assert!(told.len() <= 2 * (doublings + hours), "{} in {hours} h", told.len());
        for pair in told.windows(2) {
            prop_assert!(pair[0].state != pair[1].state, "{pair:?}");
        }
    }
}
