//! Delivery without a network: what is sent, and a command that does not end.

use std::time::Instant;

use super::*;
use crate::cold::alert::Alert;

fn notice(text: &str) -> Notice {
    let alert = Alert {
        number: 3,
        kind: "node-lost",
        severity: Severity::Critical,
        chain: Some("x"),
        subject: "rpc".to_owned(),
        text: text.to_owned(),
        since_unix_ms: 1_700_000_000_500,
        cleared_unix_ms: None,
        count: 2,
    };
    Notice { state: NoticeState::Raised, alert, at_unix_ms: 1_700_000_005_500 }
}

#[test]
fn the_body_says_all() {
    let delivery = Delivery::start(&AlertSettings {
        instance: "/data".to_owned(),
        ..AlertSettings::default()
    });
    let body = delivery.body(&notice("it is away"));
    assert_eq!(body["id"], format!("{}-3", delivery.start));
    assert!(body["host"].as_str().is_some_and(|host| !host.is_empty()));
    let mut rest = body.as_object().unwrap().clone();
    rest.remove("id");
    rest.remove("host");
    let expected = json!({"version": 1, "state": "raised", "kind": "node-lost",
        "severity": "critical", "chain": "x", "subject": "rpc", "text": "it is away",
        "since": 1_700_000_000.5, "at": 1_700_000_005.5, "count": 2, "instance": "/data"});
    assert_eq!(Value::from(rest), expected);
}

/// Goal: a command that never ends is killed with what it has started, and the next notice is told.
#[test]
fn a_command_that_does_not_end_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = format!("sleep 1000 & echo $! $$ > {}; wait", file.display());
    let words = ["/bin/sh", "-c", &script].map(str::to_owned);
    let (queue, notice) = (Queue::default(), notice("$(touch /nowhere) `id`"));
    let letter = Letter { notice, body: "{}".into() };
    let child = command::start(&words[0], &words[1..], &letter).unwrap();
    let told = loop {
        let told = std::fs::read_to_string(&file).unwrap_or_default();
        if told.ends_with('\n') {
            break told;
        }
        std::thread::yield_now();
    };
    let ended = command::wait(child, Instant::now(), &queue).unwrap_err();
    assert!(ended.to_string().contains("killed"), "{ended}");
    for pid in told.split_whitespace() {
        // The one that is not ours to wait for may be a zombie until its new parent looks.
        let is_gone = || match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat.contains(") Z ") || stat.contains(") X "),
            Err(_) => true,
        };
        while !is_gone() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_command_gets_its_notice_cleaned() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("told");
    let script = format!("cat > {0}; printf %s \"$BROADSIDE_ALERT_TEXT\" >> {0}", file.display());
    let words = ["/bin/sh", "-c", &script].map(str::to_owned);
    let letter = Letter { notice: notice("bad $(id) `id` 'x'; done"), body: "{\"a\":1}".into() };
    let child = command::start(&words[0], &words[1..], &letter).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    command::wait(child, end, &Queue::default()).unwrap();
    let told = std::fs::read_to_string(&file).unwrap();
    assert_eq!(told, "{\"a\":1}\nbad ?(id) ?id? ?x?, done");
    let missing = command::start("/no/such/program", &[], &letter).unwrap_err();
    assert!(missing.to_string().contains("whole path"), "{missing}");
}
