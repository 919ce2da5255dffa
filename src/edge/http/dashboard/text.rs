//! Numbers, times and other people's words as they are shown.

use std::time::{SystemTime, UNIX_EPOCH};

use maud::{Markup, html};
use serde_json::json;

use crate::limits::{DASHBOARD_SENTENCE_CHARS_MAX, DASHBOARD_TEXT_CHARS_MAX};

/// What stands where nothing is known.
pub(super) const NOTHING: &str = "–";
/// What stands in the place of a character that nobody should see.
const HIDDEN: char = '\u{fffd}';

/// The clock on the wall, in ms since 1970.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// A word that others chose, fit to be shown: cut, and with a mark for every character that has no
/// shape of its own or turns the text around. Escaping is the template's.
pub(super) fn foreign(text: &str) -> String {
    cut(text, DASHBOARD_TEXT_CHARS_MAX)
}

/// The same for a sentence of ours that may quote others.
pub(super) fn sentence(text: &str) -> String {
    cut(text, DASHBOARD_SENTENCE_CHARS_MAX)
}

fn cut(text: &str, chars_max: usize) -> String {
    let mut shown: String = text.chars().take(chars_max).map(plain).collect();
    if text.chars().nth(chars_max).is_some() {
        shown.push('…');
    }
    shown
}

/// Unicode's general categories Cc, Cf, Zl and Zp, as far as they matter to a reader, and combining
/// marks, which can be piled up over other lines.
fn plain(c: char) -> char {
    match c {
        _ if c.is_control() => HIDDEN,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' => HIDDEN,
        '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' => HIDDEN,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => HIDDEN,
        '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' => HIDDEN,
        '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => HIDDEN,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' => HIDDEN,
        '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}' => HIDDEN,
        _ => c,
    }
}

/// A time, in us, with about three digits.
pub(super) fn us(time_us: i64) -> String {
    let ms = time_us as f64 / 1_000.0;
    let size = ms.abs();
    match size {
        _ if size < 9.995 => format!("{ms:.2} ms"),
        _ if size < 99.95 => format!("{ms:.1} ms"),
        _ if size < 9_999.5 => format!("{ms:.0} ms"),
        _ if size < 119_950.0 => format!("{:.1} s", ms / 1_000.0),
        _ => format!("{:.0} min", ms / 60_000.0),
    }
}

/// The same of one that may not be known.
pub(super) fn maybe_us(time_us: Option<i64>) -> String {
    time_us.map_or_else(|| NOTHING.to_owned(), us)
}

/// The same in ms.
pub(super) fn ms(time_ms: f64) -> String {
    us((time_ms * 1_000.0) as i64)
}

/// A share, 0 to 1, in per cent: all of it only where it is.
pub(super) fn share(part: f64) -> String {
    match part {
        _ if part >= 1.0 => "100%".to_owned(),
        _ if part <= 0.0 => "0%".to_owned(),
        _ => format!("{:.1}%", ((part * 1_000.0).floor() / 10.0).max(0.1)),
    }
}

/// A share of counts; `None` of none.
pub(super) fn share_of(part: u64, whole: u64) -> Option<String> {
    (whole > 0).then(|| share(part as f64 / whole as f64))
}

/// A count with a space between groups of three digits.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

/// So many of something, with the noun in the right number.
pub(super) fn many(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { more })
}

/// Bytes, with a unit.
pub(super) fn bytes(number: u64) -> String {
    match number {
        0..1_000 => format!("{number} B"),
        1_000..1_000_000 => format!("{:.1} kB", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} MB", number as f64 / 1e6),
        _ => format!("{:.2} GB", number as f64 / 1e9),
    }
}

/// A rate, with a unit.
pub(super) fn bits_per_s(rate: u64) -> String {
    match rate {
        0..1_000_000 => format!("{:.0} kbit/s", rate as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} Mbit/s", rate as f64 / 1e6),
        _ => format!("{:.2} Gbit/s", rate as f64 / 1e9),
    }
}

/// A stretch of time in one unit, for ages and waits.
pub(super) fn stretch(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// "2 min ago", which the page's script keeps up to date.
pub(super) fn ago(at_unix_ms: u64, now_unix_ms: u64) -> Markup {
    let age_s = now_unix_ms.saturating_sub(at_unix_ms) / 1_000;
    html! { span.age data-at=(at_unix_ms) { (stretch(age_s)) " ago" } }
}

/// "in 12 s", which the page's script counts down.
pub(super) fn until(at_unix_ms: u64, now_unix_ms: u64) -> Markup {
    let left_s = at_unix_ms.saturating_sub(now_unix_ms) / 1_000;
    html! { span.age data-until=(at_unix_ms) { "in " (stretch(left_s)) } }
}

/// A number as it stands in the JSON: null where it is not known.
pub(super) fn raw(number: Option<f64>) -> String {
    json!(number).to_string()
}

/// A block's hash, short: its front is zeros.
pub(super) fn short_hash(hash: &str) -> String {
    let tail = hash.len().saturating_sub(12);
    format!("…{}", hash.get(tail..).unwrap_or(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_chose_is_cut_and_steers_nothing() {
        let hostile = "a\u{1b}[31mb\u{202e}c\u{200b}\u{2066}d\n\u{feff}e\u{301}\u{e0041}";
        assert_eq!(foreign(hostile), "a�[31mb�c��d��e��");
        assert_eq!(foreign("/Satoshi:27.0.0/ ünï <b>"), "/Satoshi:27.0.0/ ünï <b>");
        assert_eq!(foreign(&"x".repeat(500)).chars().count(), DASHBOARD_TEXT_CHARS_MAX + 1);
        assert_eq!(foreign(&"x".repeat(DASHBOARD_TEXT_CHARS_MAX)).len(), DASHBOARD_TEXT_CHARS_MAX);
    }

    #[test]
    fn numbers_read_well() {
        let times = [0, 4, -2_345, 9_999, 87_000, 99_960, 1_234_000, 61_000_000, 600_000_000];
        let shown = times.map(us);
        let right = ["0.00 ms", "0.00 ms", "-2.35 ms", "10.0 ms", "87.0 ms", "100 ms", "1234 ms"];
        assert_eq!(shown[..7], right);
        assert_eq!(shown[7..], ["61.0 s", "10 min"]);
        let shares = [0.0, 0.000_1, 0.987, 0.999_99, 1.0].map(share);
        assert_eq!(shares, ["0%", "0.1%", "98.7%", "99.9%", "100%"]);
        assert_eq!(share_of(0, 0), None);
        let counts = [0, 999, 1_000, 1_234_567].map(|it| count(it).replace('\u{202f}', "_"));
        assert_eq!(counts, ["0", "999", "1_000", "1_234_567"]);
        assert_eq!(
            [999, 1_430, 1_430_000, 2_000_000_000].map(bytes).join(", "),
            "999 B, 1.4 kB, 1.43 MB, 2.00 GB"
        );
        assert_eq!(
            [2_000, 94_100_000, 10_000_000_000].map(bits_per_s).join(", "),
            "2 kbit/s, 94.1 Mbit/s, 10.00 Gbit/s"
        );
        assert_eq!([5, 61, 7_200, 200_000].map(stretch), ["5 s", "1 min", "2 h", "2 days"]);
        assert_eq!((raw(None), raw(Some(0.1))), ("null".to_owned(), "0.1".to_owned()));
        assert_eq!(many(1, "peer", "peers"), "1 peer");
    }

    #[test]
    fn ages_carry_their_moment() {
        let ago = ago(1_000, 126_000).into_string();
        assert_eq!(ago, "<span class=\"age\" data-at=\"1000\">2 min ago</span>");
        let until = until(13_000, 1_000).into_string();
        assert_eq!(until, "<span class=\"age\" data-until=\"13000\">in 12 s</span>");
        assert_eq!(short_hash(&"ab".repeat(32)), format!("…{}", "ab".repeat(6)));
    }
}
