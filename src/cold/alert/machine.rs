//! From findings to alerts: what has lasted long enough is raised, what has been gone long enough is
//! cleared, what flaps is one alert with a count.
//!
//! Each finding has its own two times. A return within [`ALERT_MEMORY_MS`] after the all-clear is the
//! same alert again, and doubles the time that it must be gone, up to [`ALERT_HOLD_MAX_MS`]: whatever
//! flaps is told a few times in all, then twice an hour at most.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use super::judge::Finding;
use super::text::{clean, span};
use super::{Alert, AlertView, Kind, Moment, Notice, NoticeState, Severity};
use crate::limits::{
    ALERT_HOLD_MAX_MS, ALERT_HOLD_MIN_MS, ALERT_MEMORY_MS, ALERT_SUBJECT_CHARS_MAX,
    ALERT_TEXT_CHARS_MAX, ALERTS_PAST_MAX, ALERTS_TRACKED_MAX,
};

/// What an operator may change of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Kinds that are not looked at.
    pub off: Vec<Kind>,
    /// Time between two reminders, in ms; `None`: there are none.
    pub repeat_ms: Option<u64>,
}

/// What a finding is told apart by.
type Key = (Kind, Option<&'static str>, String);

/// Where a finding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has not lasted long enough.
    Waiting { since: Moment },
    /// It is an alert. `gone_ms`: since when it is not seen any more.
    Raised { gone_ms: Option<u64>, told_ms: u64 },
    /// It was one.
    Over,
}

#[derive(Clone, Debug)]
struct Track {
    phase: Phase,
    finding: Finding,
    /// The alert that it is or was.
    alert: Option<Alert>,
    /// When that was over, CLOCK_MONOTONIC in ms.
    over_ms: u64,
    /// How often it has come back soon.
    returns: u32,
}

/// All findings that are followed.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    tracks: BTreeMap<Key, Track>,
    past: VecDeque<Alert>,
    raised: u64,
    untold: u64,
}

impl Machine {
    /// A machine that follows nothing yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let (tracks, past) = (BTreeMap::new(), VecDeque::new());
        Self { rules, tracks, past, raised: 0, untold: 0 }
    }

    /// Takes in all that is wrong now; what is to be told of it.
    pub fn look(&mut self, findings: Vec<Finding>, now: Moment) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut seen: BTreeMap<Key, Finding> = BTreeMap::new();
        for mut finding in findings {
            if !self.rules.off.contains(&finding.kind) {
                finding.subject = clean(&finding.subject, ALERT_SUBJECT_CHARS_MAX);
                finding.text = clean(&finding.text, ALERT_TEXT_CHARS_MAX);
                finding.over = clean(&finding.over, ALERT_TEXT_CHARS_MAX);
                seen.insert((finding.kind, finding.chain, finding.subject.clone()), finding);
            }
        }
        for (key, track) in &mut self.tracks {
            if !seen.contains_key(key) {
                notices.extend(track.absent(now, &mut self.past));
            }
        }
        self.tracks.retain(|_, track| !track.is_forgotten(now));
        for (key, finding) in seen {
            if !self.tracks.contains_key(&key) && !self.make_room() {
                self.untold += 1;
                continue;
            }
            let track = self.tracks.entry(key).or_insert_with(|| Track::new(finding.clone(), now));
            notices.extend(track.present(finding, now, &mut self.raised, self.rules.repeat_ms));
            if let Some(alert) = track.active() {
                self.past.retain(|past| past.number != alert.number);
            }
        }
        notices
    }

    /// A place for one more. False: all are taken by what is wrong now.
    fn make_room(&mut self) -> bool {
        if self.tracks.len() < ALERTS_TRACKED_MAX {
            return true;
        }
        let over = self.tracks.iter().filter(|(_, track)| track.phase == Phase::Over);
        let oldest = over.min_by_key(|(_, track)| track.over_ms);
        let oldest = oldest.map(|(key, _)| key.clone());
        oldest.is_some_and(|key| self.tracks.remove(&key).is_some())
    }

    /// All that is wrong now, and what was.
    #[must_use]
    pub fn view(&self) -> AlertView {
        let mut active: Vec<Alert> =
            self.tracks.values().filter_map(|track| track.active().cloned()).collect();
        active.sort_by_key(|alert| (alert.since_unix_ms, alert.number));
        AlertView { active, past: self.past.iter().cloned().collect() }
    }

    /// Findings that were not followed because too much was wrong at once.
    #[must_use]
    pub const fn untold(&self) -> u64 {
        self.untold
    }
}

impl Track {
    const fn new(finding: Finding, now: Moment) -> Self {
        let phase = Phase::Waiting { since: now };
        Self { phase, finding, alert: None, over_ms: 0, returns: 0 }
    }

    fn active(&self) -> Option<&Alert> {
        self.alert.as_ref().filter(|_| matches!(self.phase, Phase::Raised { .. }))
    }

    /// It is seen, as `finding`.
    fn present(
        &mut self,
        finding: Finding,
        now: Moment,
        raised: &mut u64,
        repeat_ms: Option<u64>,
    ) -> Option<Notice> {
        self.finding = finding;
        if self.phase == Phase::Over {
            self.phase = Phase::Waiting { since: now };
        }
        match &mut self.phase {
            Phase::Waiting { since } => {
                let since = *since;
                let lasted_ms = now.clock_ms.saturating_sub(since.clock_ms);
                (lasted_ms >= self.finding.hold_ms.0).then(|| self.raise(since, now, raised))
            }
            Phase::Raised { gone_ms, told_ms } => {
                let alert = self.alert.as_mut()?;
                alert.count += u32::from(gone_ms.take().is_some());
                alert.text.clone_from(&self.finding.text);
                let is_worse = self.finding.severity > alert.severity;
                let is_due =
                    repeat_ms.is_some_and(|it| now.clock_ms.saturating_sub(*told_ms) >= it);
                let state = match (is_worse, is_due && alert.severity > Severity::Info) {
                    (true, _) => NoticeState::Raised,
                    (false, true) => NoticeState::Repeated,
                    (false, false) => return None,
                };
                alert.severity = alert.severity.max(self.finding.severity);
                *told_ms = now.clock_ms;
                Some(Notice { state, alert: alert.clone(), at_unix_ms: now.unix_ms })
            }
            Phase::Over => None,
        }
    }

    fn raise(&mut self, since: Moment, now: Moment, raised: &mut u64) -> Notice {
        let Finding { kind, chain, subject, severity, text, .. } = self.finding.clone();
        let before = self.alert.take();
        self.returns += u32::from(before.is_some());
        let number = before.as_ref().map_or_else(
            || {
                *raised += 1;
                *raised
            },
            |before| before.number,
        );
        let alert = Alert {
            number,
            kind: kind.word(),
            severity,
            chain,
            subject,
            text,
            since_unix_ms: since.unix_ms,
            cleared_unix_ms: None,
            count: before.map_or(1, |before| before.count.saturating_add(1)),
        };
        self.alert = Some(alert.clone());
        self.phase = Phase::Raised { gone_ms: None, told_ms: now.clock_ms };
        Notice { state: NoticeState::Raised, alert, at_unix_ms: now.unix_ms }
    }

    /// It is not seen.
    fn absent(&mut self, now: Moment, past: &mut VecDeque<Alert>) -> Option<Notice> {
        let clear_ms = self.clear_ms();
        match &mut self.phase {
            Phase::Waiting { .. } => {
                self.phase = Phase::Over;
                None
            }
            Phase::Raised { gone_ms, .. } => {
                let since_ms = *gone_ms.get_or_insert(now.clock_ms);
                if now.clock_ms.saturating_sub(since_ms) < clear_ms {
                    return None;
                }
                self.phase = Phase::Over;
                self.over_ms = now.clock_ms;
                let alert = self.alert.as_mut()?;
                alert.cleared_unix_ms = Some(now.unix_ms);
                let lasted = span(now.unix_ms.saturating_sub(alert.since_unix_ms));
                let (text, often) = (&self.finding.over, alert.count);
                let times = if often > 1 { format!(", {often} times") } else { String::new() };
                let told =
                    Alert { text: format!("{text} (after {lasted}{times})"), ..alert.clone() };
                past.push_front(alert.clone());
                past.truncate(ALERTS_PAST_MAX);
                Some(Notice { state: NoticeState::Cleared, alert: told, at_unix_ms: now.unix_ms })
            }
            Phase::Over => None,
        }
    }

    /// How long it must be gone: longer with each return.
    fn clear_ms(&self) -> u64 {
        let own_ms = self.finding.hold_ms.1;
        if self.returns == 0 {
            return own_ms;
        }
        let factor = 1_u64.checked_shl(self.returns).unwrap_or(u64::MAX);
        let longer_ms = own_ms.max(ALERT_HOLD_MIN_MS).saturating_mul(factor);
        longer_ms.min(ALERT_HOLD_MAX_MS).max(own_ms)
    }

    fn is_forgotten(&self, now: Moment) -> bool {
        let is_old = now.clock_ms.saturating_sub(self.over_ms) >= ALERT_MEMORY_MS;
        self.phase == Phase::Over && (self.alert.is_none() || is_old)
    }
}
