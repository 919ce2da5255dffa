use super::*;

fn one(text: &str) -> Call {
    match read(&Bytes::copy_from_slice(text.as_bytes())) {
        Ok(Calls::Single(call)) => *call,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_block_is_found_however_the_request_is_written() {
    for text in [
        r#"{"method":"submitblock","params":["00Ff"],"id":1}"#,
        r#" { "id" : 1 , "params" : [ "00Ff", "ignored" ] , "method" : "submitblock" } "#,
        r#"{"jsonrpc":"1.0","id":1,"method":"submitblock","params":{"hexdata":"00Ff"}}"#,
        r#"{"id":1,"method":"submit\u0062lock","params":["0\u0030Ff",{"workid":"x"}]}"#,
    ] {
        let call = one(text);
        let Wanted::Block(Hex::Good { digits, raw }) = &call.wanted else { panic!("{call:?}") };
        assert_eq!((&digits[..], &raw[..]), (&b"00Ff"[..], &[0, 255][..]), "{text}");
        assert_eq!((call.id(), call.says_two), ("1", false));
    }
    let two = one(r#"{"jsonrpc":"2.0","method":"submitblock","params":["00"]}"#);
    assert_eq!(
        (two.id.as_deref(), two.shape(true), two.shape(false)),
        (None, Shape::Two, Shape::One)
    );
}

/// Goal: the short way says exactly what the long way says.
#[test]
fn a_long_block_is_read_the_short_way_with_the_same_result() {
    let long = "0f".repeat(LONG_STRING_BYTES);
    let odd = format!("{long}0");
    let bad = format!("{long}zz");
    let escaped = format!("{long}\\u0030a");
    for digits in [&long, &odd, &bad, &escaped] {
        for text in [
            format!(r#"{{"id":"a","method":"submitblock","params":["{digits}"]}}"#),
            format!(r#" {{"params":["{digits}", ""], "method":"submitblock","id":7}} "#),
            format!(r#"{{"params":["","{digits}"],"method":"submitblock"}}"#),
            format!(r#"{{"params":{{"hexdata":"{digits}"}},"method":"submitblock"}}"#),
            format!(r#"{{"id":"\"","method":"submitblock","params":["{digits}"]}}"#),
            format!(r#"{{"id":"{digits}","method":"submitblock","params":[""]}}"#),
            format!(r#"{{"method":"sendrawtransaction","params":["{digits}"]}}"#),
            format!(r#"[{{"method":"submitblock","params":["{digits}"]}}]"#),
            format!(r#"{{"method":"submitblock","params":["{digits}"]"#),
            format!(r#"{{"method":"submitblock","params":["{digits}"]}} x"#),
            format!(r#"{{"method":"submitblock","params":["{digits}","{digits}"]}}"#),
        ] {
            let body = Bytes::from(text);
            let (short, long) = (read(&body), read_all(&body));
            let block = |read: &Result<Calls, BadCall>| match read {
                Ok(Calls::Single(call)) => {
                    Ok(Some((call.id.clone(), format!("{:?}", call.wanted))))
                }
                Ok(Calls::Batch(_)) => Ok(None),
                Err(bad) => Err(*bad),
            };
            assert_eq!(block(&short), block(&long), "{}", &body.slice(..40).escape_ascii());
        }
    }
    let usual = format!(r#"{{"id":"a","method":"submitblock","params":["{long}"]}}"#);
    assert!(read_around(&Bytes::from(usual)).is_some());
}

#[test]
fn what_is_not_hex_is_known_and_what_is_not_ours_is_left_alone() {
    for digits in [r#""0""#, r#""zz""#, r#""0 0""#, r#""\ud800""#] {
        let text = format!(r#"{{"method":"submitblock","params":[{digits}]}}"#);
        assert_eq!(one(&text).wanted, Wanted::Block(Hex::Bad), "{digits}");
    }
    for text in [
        r#"{"method":"submitblock","params":[]}"#,
        r#"{"method":"submitblock"}"#,
        r#"{"method":"submitblock","params":[7]}"#,
        r#"{"method":"submitblock","params":[null]}"#,
        r#"{"method":"submitblock","params":[["00"]]}"#,
        r#"{"method":"getblocktemplate","params":[{"rules":["segwit"]}]}"#,
        r#"{"method":"submitauxblock","params":["00","00"]}"#,
        r#"{"method":7}"#,
        "{}",
    ] {
        assert_eq!(one(text).wanted, Wanted::Other, "{text}");
    }
    assert!(one(r#"{"method":"getblocktemplate"}"#).asks_template);
}

#[test]
fn what_is_no_request_gets_the_code_of_its_kind() {
    for (text, bad) in [
        ("", BadCall::Unparsed),
        ("{", BadCall::Unparsed),
        ("submitblock", BadCall::Unparsed),
        ("{\"method\":\"submitblock\",\"params\":[\"00\"]", BadCall::Unparsed),
        ("[1,", BadCall::Unparsed),
        ("7", BadCall::PlainValue),
        ("\"text\"", BadCall::PlainValue),
        ("{\"id\":1,\"id\":2}", BadCall::Malformed),
    ] {
        assert_eq!(read(&Bytes::copy_from_slice(text.as_bytes())), Err(bad), "{text}");
    }
    assert_eq!(read(&Bytes::from_static(b"{\"method\":\"\xff\"}")), Err(BadCall::Unparsed));
    let deep = "[".repeat(100_000);
    assert_eq!(read(&Bytes::from(deep)), Err(BadCall::Unparsed));
}

#[test]
fn a_batch_keeps_each_request_as_it_was_written() {
    let body = Bytes::from_static(
        br#"[ {"method":"a", "id":1}, 7 ,{"method":"submitblock","params":["0"]}]"#,
    );
    let Ok(Calls::Batch(calls)) = read(&body) else { panic!("a batch") };
    let texts: Vec<&[u8]> = calls.iter().map(|call| &call.text[..]).collect();
    assert_eq!(texts[..2], [&br#"{"method":"a", "id":1}"#[..], b"7"]);
    assert_eq!(calls[2].wanted, Wanted::Block(Hex::Bad));
}

#[test]
fn a_proof_is_told_from_a_question_for_work() {
    let hash = "12".repeat(32);
    let proof = |text: &str| {
        let call = one(text);
        (call.is_aux, call.wanted)
    };
    let expected = Wanted::Proof(BlockHash([0x12; 32]));
    for text in [
        format!(r#"{{"method":"submitauxblock","params":["{hash}","00"],"id":1}}"#),
        format!(r#"{{"method":"getauxblock","params":["{hash}","00"]}}"#),
        format!(r#"{{"params":{{"auxpow":"00","hash":"{hash}"}},"method":"submitauxblock"}}"#),
        format!(
            r#"{{"method":"submitauxbl\u006fck","params":["{hash}","{}"]}}"#,
            "0f".repeat(9_000)
        ),
    ] {
        assert_eq!(proof(&text), (true, expected.clone()), "{}", &text[..60]);
    }
    for text in [
        r#"{"method":"getauxblock"}"#.to_owned(),
        r#"{"method":"getauxblock","params":[]}"#.to_owned(),
        r#"{"method":"createauxblock","params":["address"]}"#.to_owned(),
        format!(r#"{{"method":"createauxblock","params":["{hash}","00"]}}"#),
        format!(r#"{{"method":"submitauxblock","params":["{hash}"]}}"#),
        format!(r#"{{"method":"submitauxblock","params":["{hash}","00","more"]}}"#),
        format!(r#"{{"method":"submitauxblock","params":["{hash}",7]}}"#),
        format!(r#"{{"method":"submitauxblock","params":["{}","00"]}}"#, &hash[2..]),
        format!(r#"{{"method":"submitauxblock","params":{{"hash":"{hash}"}}}}"#),
        r#"{"method":"submitauxblock","params":"text"}"#.to_owned(),
    ] {
        assert_eq!(proof(&text), (true, Wanted::Other), "{text}");
    }
    assert_eq!(proof(r#"{"method":"getblock","params":["a","b"]}"#), (false, Wanted::Other));
}
