use proptest::prelude::*;

use super::*;

fn cut(body: &Bytes, size: usize) -> impl Iterator<Item = Bytes> {
    let cuts = (0..body.len()).step_by(size);
    cuts.map(move |at| body.slice(at..body.len().min(at + size)))
}

fn in_pieces(text: &str, size: usize) -> bool {
    let body = Bytes::copy_from_slice(text.as_bytes());
    let read = reads_as_whole(&body, cut(&body, size));
    read.unwrap_or_else(|why| panic!("{why}: {text:.200} by {size}"))
}

/// Requests as pools write them. `D` stands for the digits.
const USUAL: [&str; 8] = [
    r#"{"id":"a","method":"submitblock","params":["D"]}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"submitblock","params":["D"]}"#,
    r#"{"jsonrpc":"1.0","method":"submitblock","params":["D"],"id":null}"#,
    " {\r\n \"method\" : \"submitblock\" ,\t\"params\" : [ \"D\" ] , \"id\" : 7 } \n",
    r#"{"method":"submitblock","params":["D",""],"id":7}"#,
    r#"{"method":"submitblock","params":["D",{"workid":"x"}]}"#,
    r#"{"method":"submitblock","params":{"hexdata":"D"},"id":[1,"2"]}"#,
    r#"{"id":{"a":["b"]},"method":"submitblock","params":{"dummy":"","hexdata":"D"}}"#,
];

/// What is left to be read whole, whatever comes of that.
const UNUSUAL: [&str; 20] = [
    r#"[{"id":1,"method":"submitblock","params":["D"]}]"#,
    r#"{"params":["D"],"method":"submitblock","id":1}"#,
    r#"{"method":"submit\u0062lock","params":["D"]}"#,
    r#"{"id":"\"","method":"submitblock","params":["D"]}"#,
    r#"{"method":"submitblock","params":["","D"]}"#,
    r#"{"method":"submitblock","params":[["D"]]}"#,
    r#"{"method":"submitblock","params":[7,"D"]}"#,
    r#"{"method":"submitblock","params":"D"}"#,
    r#"{"method":"sendrawtransaction","params":["D"]}"#,
    r#"{"method":"submitblock","params":["D"],"method":"stop"}"#,
    r#"{"method":"submitblock","params":["D"],"params":["00"]}"#,
    r#"{"method":"submitblock","params":{"hexdata":"D","hexdata":"00"}}"#,
    r#"{"method":"submitblock","id":1,"id":2,"params":["D"]}"#,
    r#"{"method":"submitblock","params":["D"]"#,
    r#"{"method":"submitblock","params":["D"]} x"#,
    r#"{"method":"submitblock","params":["D"#,
    r#"{"method":"submitblock","params":["D\u0030"]}"#,
    r#"{"method":"submitblock","params":["D zz"]}"#,
    r#"{"method":"submitblock","params":["D0"]}"#,
    r#"x{"method":"submitblock","params":["D"]}"#,
];

#[test]
fn a_usual_submission_is_read_while_it_comes_in_and_all_else_as_before() {
    let digits = "0fA9".repeat(100);
    for (texts, streamed) in [(&USUAL[..], true), (&UNUSUAL[..], false)] {
        for text in texts {
            let body = text.replace('D', &digits);
            for size in (1..40).chain([160, 161, body.len() - 1, body.len()]) {
                assert_eq!(in_pieces(&body, size), streamed, "{text} by {size}");
            }
        }
    }
    let usual = |digits: &str| USUAL[0].replace('D', digits);
    assert!(in_pieces(&usual(&"0".repeat(HEADER_DIGITS)), 7));
    for short in ["", "0", "00", &"0".repeat(HEADER_DIGITS - 2)] {
        assert!(!in_pieces(&usual(short), 7), "less than a header");
    }
    let long = " ".repeat(RPC_STREAM_HEAD_BYTES_MAX);
    for at in ["{", "]"] {
        let body = usual(&digits).replace(at, &format!("{at}{long}"));
        assert!(!in_pieces(&body, 100), "too much around it");
    }
    for nothing in ["", "{", "7", "\"", "[]", "{}", "\u{feff}{}"] {
        assert!(!in_pieces(nothing, 1));
    }
}

/// Goal: the block is known with the very quote that opens it, and its digits are not copied.
#[test]
fn digits_are_handed_out_at_once_and_as_they_lie() {
    let mut stream = CallStream::new(true);
    let (before, opens) = (r#"{"id":1,"method":"submitblock","params":["#, "\"");
    assert_eq!(stream.push(&Bytes::from(before)), None);
    assert_eq!(stream.push(&Bytes::from_static(opens.as_bytes())), Some(Bytes::new()));
    assert_eq!(stream.head(), [before, opens].concat());
    let piece = Bytes::from("01".repeat(100) + "2");
    let digits = stream.push(&piece).expect("digits");
    assert_eq!((digits.as_ptr(), digits.len()), (piece.as_ptr(), piece.len()));
    let digits = stream.push(&Bytes::from_static(b"3456\"]"));
    assert_eq!(digits, Some(Bytes::from_static(b"3456")));
    assert_eq!(stream.push(&Bytes::from_static(b"}")), None);
    assert_eq!(stream.len(), before.len() + 1 + 201 + 6 + 1);
    assert!(matches!(stream.end(), Ended::Whole(_)), "half a byte is missing");

    let mut unwanted = CallStream::new(false);
    assert_eq!(unwanted.push(&Bytes::from(USUAL[0].replace('D', &"00".repeat(200)))), None);
}

proptest! {
    /// Any body, made of what requests are made of, at any cuts.
    #[test]
    fn a_body_means_the_same_however_it_is_cut(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", " ", "\n", "7", "null", "\u{e9}",
            "\"id\":1,", "\"jsonrpc\":\"2.0\",", "\"method\":\"submitblock\",", "\"method\":",
            "\"submitblock\"", "\"params\":[\"", "\"params\":{\"hexdata\":\"", "\"]}", "\"}}",
            "{\"method\":\"submitblock\",\"params\":[\"", "DIGITS", "0a", "0",
        ]), 0..12),
        cuts in proptest::collection::vec(1_usize..300, 1..20),
    ) {
        let body = Bytes::from(words.concat().replace("DIGITS", &"5A".repeat(90)));
        let mut sizes = cuts.iter().cycle();
        let mut rest = body.clone();
        let pieces = std::iter::from_fn(|| {
            let size = rest.len().min(*sizes.next()?);
            (size > 0).then(|| rest.split_to(size))
        });
        let read = reads_as_whole(&body, pieces);
        prop_assert!(read.is_ok(), "{read:?}");
    }

    /// Usual requests with a byte changed anywhere.
    #[test]
    fn a_spoilt_request_means_the_same_however_it_is_cut(
        which in 0..USUAL.len(),
        at in 0.0..1.0_f64,
        byte in any::<u8>(),
        size in 1_usize..300,
    ) {
        let mut body = USUAL[which].replace('D', &"5A".repeat(90)).into_bytes();
        let at = (at * body.len() as f64) as usize;
        body[at] = byte;
        let body = Bytes::from(body);
        let read = reads_as_whole(&body, cut(&body, size));
        prop_assert!(read.is_ok(), "{read:?}: {}", body.escape_ascii());
    }
}
