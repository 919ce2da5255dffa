//! Text from elsewhere, made fit for a terminal, and numbers as people read them.

use serde_json::Value;

/// `text` on one line without anything that a terminal would obey: control characters, and those
/// that turn the direction of writing.
pub(super) fn printable(text: &str) -> String {
    let is_obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if is_obeyed(c) { '?' } else { c }).collect()
}

/// A number as JSON has it, fractions with three places; a dash where there is none.
pub(super) fn number(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(number) => format!("{number:.3}"),
            None => number.to_string(),
        },
        _ => "-".to_owned(),
    }
}

/// How long ago that was.
pub(super) fn ago(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s ago"),
        s if s < 7_200.0 => format!("{:.0} min ago", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h ago", s / 3_600.0),
        s => format!("{:.0} d ago", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(printable("a\u{1b}[2J\r\n\u{9b}b\u{202e}c é"), "a?[2J???b?c é");
    }

    #[test]
    fn numbers_and_times_are_short() {
        let shown = [json!(3), json!(1.5), json!(null)].map(|value| number(&value));
        assert_eq!(shown, ["3", "1.500", "-"]);
        assert_eq!(
            [60.0, 300.0, 9_000.0, 200_000.0].map(ago),
            ["60 s ago", "5 min ago", "2 h ago", "2 d ago"]
        );
    }
}
