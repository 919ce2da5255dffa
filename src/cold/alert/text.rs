//! Text of others, as it may stand in an alert.

/// `text` on one line of at most `chars` characters, without anything that a terminal would obey.
pub(super) fn clean(text: &str, chars: usize) -> String {
    let is_obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown: String =
        text.chars().take(chars).map(|c| if is_obeyed(c) { '?' } else { c }).collect();
    if text.chars().nth(chars).is_some() {
        shown.push('…');
    }
    shown
}

/// `text` as it may stand in the environment of a command, also of a careless one: nothing is left
/// that a shell or a mail program would act on.
pub(super) fn harmless(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || " .,:_-/()[]%+=@#…".contains(c);
    let swap = |c: char| match c {
        ';' => ',',
        c if is_plain(c) => c,
        _ => '?',
    };
    text.chars().map(swap).collect()
}

/// A time span as people say it.
pub(super) fn span(ms: u64) -> String {
    match ms / 1_000 {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_defused() {
        assert_eq!(clean("a\u{1b}[31m\nb\u{202e}", 20), "a?[31m?b?");
        assert_eq!(clean("ééééé", 3), "ééé…");
        assert_eq!(
            harmless("x; `rm -rf` $(id) 'q' \"p\" <a>|&\\\n*"),
            "x, ?rm -rf? ?(id) ?q? ?p? ?a?????*".replace('*', "?")
        );
    }

    #[test]
    fn spans_are_short() {
        assert_eq!(
            [5_000, 300_000, 9_000_000, 900_000_000].map(span),
            ["5 s", "5 min", "2 h", "10 d"]
        );
    }
}
