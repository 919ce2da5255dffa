//! `[alerts]`.

use std::fmt;
use std::time::Duration;

use toml::de::DeValue;

use super::read::{Found, Section};
use crate::limits::{
    ALERT_COMMAND_WORDS_MAX, ALERT_REPEAT_H, ALERT_REPEAT_H_MAX, ALERT_SLOW_FACTOR,
    ALERT_SLOW_FACTOR_MAX, WEBHOOK_URL_BYTES_MAX, WEBHOOKS_MAX,
};

/// The kinds of alert, as `off` may name them.
pub const ALERT_KINDS: [&str; 13] = [
    "node-lost",
    "few-peers",
    "block-refused",
    "block-stale",
    "spool-not-draining",
    "slow-fan-out",
    "clock",
    "cpu",
    "shard-ended",
    "endpoint-away",
    "proxy-away",
    "history",
    "reports-dropped",
];

const URL: &str = "an http:// or https:// URL in quotes, without user and password in it";
const PROGRAM: &str = "[\"/PATH/TO/PROGRAM\", \"ARGUMENT\", ...]: it is run without a shell";

/// `[alerts]`: who hears of what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// Where they are posted.
    pub webhooks: Vec<Webhook>,
    /// A program with its arguments; empty: none.
    pub command: Vec<String>,
    /// What is less is only logged.
    pub min_severity: MinSeverity,
    /// Time between two reminders; `None`: there are none.
    pub repeat: Option<Duration>,
    /// From how many times the usual on a block is slow.
    pub slow_factor: u32,
    /// Kinds that are not looked at.
    pub off: Vec<&'static str>,
}

/// The least that goes to webhooks and command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinSeverity {
    /// Everything.
    Info,
    /// What is worse than it should be.
    Warning,
    /// What may cost a block.
    Critical,
}

/// A webhook's URL. Never printed: it mostly holds a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook(pub String);

impl fmt::Debug for Webhook {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Webhook(..)")
    }
}

pub(super) fn alerts(section: &Section<'_, '_>) -> Alerts {
    let severities = [
        ("info", MinSeverity::Info),
        ("warning", MinSeverity::Warning),
        ("critical", MinSeverity::Critical),
    ];
    let repeat_h = section.whole("repeat_h", 0..=ALERT_REPEAT_H_MAX).unwrap_or(ALERT_REPEAT_H);
    let factor = section.whole("slow_factor", 2..=ALERT_SLOW_FACTOR_MAX);
    Alerts {
        webhooks: webhooks(section),
        command: command(section),
        min_severity: section.choice("min_severity", &severities).unwrap_or(MinSeverity::Warning),
        repeat: (repeat_h > 0).then(|| Duration::from_secs(u64::from(repeat_h) * 3_600)),
        slow_factor: factor.unwrap_or(ALERT_SLOW_FACTOR),
        off: off(section),
    }
}

/// One URL or a list of them. What stands there is never repeated.
fn webhooks(section: &Section<'_, '_>) -> Vec<Webhook> {
    let Some(found) = section.find("webhook") else {
        return Vec::new();
    };
    let refuse = |line| section.fault(line, "webhook", format!("is not allowed; give {URL}"));
    let read: Vec<(Option<Webhook>, usize)> = match found.value {
        DeValue::Array(entries) => {
            entries.iter().map(|entry| (webhook(entry.get_ref()), section.line_of(entry))).collect()
        }
        one => vec![(webhook(one), found.line)],
    };
    if read.len() > WEBHOOKS_MAX {
        section.fault(found.line, "webhook", format!("give at most {WEBHOOKS_MAX} of them"));
    }
    read.iter().filter(|(url, _)| url.is_none()).for_each(|(_, line)| refuse(*line));
    read.into_iter().filter_map(|(url, _)| url).collect()
}

fn webhook(value: &DeValue<'_>) -> Option<Webhook> {
    let url = value.as_str()?;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let place = rest.split(['/', '?', '#']).next()?;
    let port = place.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let is_port = port.is_none_or(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    let is_place = !place.is_empty() && !place.starts_with(':') && place.chars().all(is_host);
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    let fits = url.len() <= WEBHOOK_URL_BYTES_MAX;
    (is_plain && is_place && is_port && fits).then(|| Webhook(url.to_owned()))
}

fn command(section: &Section<'_, '_>) -> Vec<String> {
    let Some(found) = section.find("command") else {
        return Vec::new();
    };
    let is_word = |text: &&str| !text.is_empty() && !text.contains('\0');
    let word = |value: &DeValue<'_>| value.as_str().filter(is_word).map(str::to_owned);
    if !found.value.is_array() {
        section.refuse("command", Found { ..found }, PROGRAM);
        return Vec::new();
    }
    let words = section.list("command", "text in quotes, not empty", word).unwrap_or_default();
    let words: Vec<String> = words.into_iter().map(|(word, _)| word).collect();
    if words.len() > ALERT_COMMAND_WORDS_MAX {
        section.fault(
            found.line,
            "command",
            format!("give at most {ALERT_COMMAND_WORDS_MAX} words"),
        );
    }
    if words.first().is_none_or(|program| !program.starts_with('/')) {
        section.fault(found.line, "command", format!("give a whole path: {PROGRAM}"));
    }
    words
}

fn off(section: &Section<'_, '_>) -> Vec<&'static str> {
    let named: Vec<_> = ALERT_KINDS.iter().map(|kind| format!("\"{kind}\"")).collect();
    let allowed = format!("kinds of alert: {}", named.join(", "));
    let kind = |value: &DeValue<'_>| {
        let word = value.as_str()?;
        ALERT_KINDS.into_iter().find(|kind| *kind == word)
    };
    let kinds = section.list("off", &allowed, kind).unwrap_or_default();
    kinds.into_iter().map(|(kind, _)| kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, EXAMPLE};

    fn read(lines: &str) -> Result<Alerts, String> {
        let rest = EXAMPLE.lines().filter(|line| !line.starts_with("[alerts]"));
        let text = format!("[alerts]\n{lines}\n{}", rest.collect::<Vec<_>>().join("\n"));
        let config = Config::parse(&text, "b.toml".as_ref());
        config.map(|config| config.alerts).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_right_is_taken() {
        let told = read(
            "webhook = [\"https://a.example/hook?x=1\", \"http://[::1]:80/\"]\ncommand = [\"/bin/x\", \"-y\"]\n\
             min_severity = \"critical\"\nrepeat_h = 0\nslow_factor = 5\noff = [\"clock\", \"cpu\"]",
        );
        let told = told.unwrap();
        assert_eq!((told.webhooks.len(), told.command.len(), told.repeat), (2, 2, None));
        assert_eq!((told.slow_factor, told.off), (5, vec!["clock", "cpu"]));
        assert_eq!(told.min_severity, MinSeverity::Critical);
        assert_eq!(format!("{:?}", told.webhooks[0]), "Webhook(..)");
        let one = read("webhook = \"https://a.example\"").unwrap();
        assert_eq!(one.webhooks[0].0, "https://a.example");
        let none = read("").unwrap();
        assert!(none.webhooks.is_empty() && none.command.is_empty() && none.off.is_empty());
    }

    /// Each fault names its line and key, and never repeats a URL.
    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (line, part) in [
            (
                "webhook = \"https://user:secret@a.example/\"",
                "b.toml:2: alerts.webhook: is not allowed",
            ),
            ("webhook = [\"https://a.example\",\n\"secret\"]", "b.toml:3: alerts.webhook: is not"),
            ("webhook = 5", "alerts.webhook: is not allowed; give an http://"),
            ("webhook = \"http://secret host/\"", "alerts.webhook"),
            ("webhook = \"https://a.example:0/secret\"", "alerts.webhook"),
            ("command = \"mail secret\"", "b.toml:2: alerts.command"),
            ("command = [\"mail\"]", "alerts.command: give a whole path"),
            ("command = []", "alerts.command: give a whole path"),
            ("off = [\"clocks\"]", "alerts.off: \"clocks\" is not allowed; give kinds of alert: "),
            ("min_severity = \"high\"", "alerts.min_severity"),
            ("repeat_h = -1", "alerts.repeat_h"),
            ("slow_factor = 1", "alerts.slow_factor"),
            ("webhooks = []", "did you mean webhook?"),
        ] {
            let why = read(line).unwrap_err();
            assert!(why.contains(part), "{line}: {why}");
            assert!(!why.contains("secret") || !line.starts_with("webhook"), "{why}");
        }
    }
}
