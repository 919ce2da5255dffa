use super::*;
use crate::bench::jitter::WatchedCore;
use crate::sys::bpf::{Runner, Stolen};

fn tally() -> Tally {
    let mut tally = Tally::new().unwrap();
    let mut name = [0; 16];
    name[..8].copy_from_slice(b"ev\x1b[2Jil");
    let stolen = Stolen {
        core: 3,
        runner: Runner::Task,
        number: 42,
        name,
        start_ns: 0,
        took_ns: 2_500_000,
        held_us_up: true,
    };
    tally.add(&stolen);
    for number in 0..40 {
        let runner = Runner::Interrupt;
        let quick =
            Stolen { runner, number, name: [0; 16], took_ns: 900, held_us_up: false, ..stolen };
        tally.add(&quick);
    }
    tally
}

fn seen(tally: Option<Tally>) -> Seen {
    let watched = WatchedCore { core: 3, shard: Some((0, 77)) };
    let silent = tally.is_none().then(|| "no rights".to_owned());
    let counted = Counted {
        interrupts: vec![("LOC (Local timer interrupts)".to_owned(), 250)],
        waited_ns: Some(4_000_000),
        ..Counted::default()
    };
    let cores = vec![CoreSeen { watched, tally, probe: None, counted }];
    Seen { took_ns: 10_000_000_000, silent, lost: 2, cores }
}

#[test]
fn the_one_who_held_us_up_stands_first_and_nothing_is_left_out() {
    let text = text(&seen(Some(tally())), true);
    assert!(!text.contains('\u{1b}'), "{text}");
    let rows: Vec<_> = text.lines().skip_while(|line| !line.starts_with("who")).collect();
    assert!(rows[1].starts_with("ev?[2Jil") && rows[1].contains("2500.0"), "{text}");
    let rest = rows.iter().find(|line| line.starts_with("all others")).unwrap();
    assert_eq!(rest.split_whitespace().nth(2), Some("16"), "{text}");
    for part in [
        "core 3, shard 0 (thread 77): stolen 41 times, 2.536 ms of 10.0 s (0.025 %)",
        "2.500 ms in 1 times held us up",
        "p50 0.9, ",
        "2048 -      4096 us        1 ##",
        "2 times are missing",
        "LOC (Local timer interrupts) 250",
        "waited 4.000 ms",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[test]
fn without_the_kernels_word_proc_is_told() {
    let text = text(&seen(None), true);
    let first = "who ran is not told (no rights): what /proc has counted\n";
    assert!(text.contains(first), "{text}");
    assert!(text.contains("LOC") && !text.contains("stolen"), "{text}");
}

#[test]
fn programs_are_told_everything() {
    let told = json(&seen(Some(tally())), "as named");
    assert_eq!((&told["schema"], &told["lost"]), (&json!(1), &json!(2)));
    let core = &told["cores"][0];
    assert_eq!((&core["core"], &core["thread"]), (&json!(3), &json!(77)));
    let stolen = &core["stolen"];
    assert_eq!((&stolen["times"], &stolen["held_us"]), (&json!(41), &json!(2500.0)));
    let who = stolen["who"].as_array().unwrap();
    assert_eq!((who.len(), &who[0]["kind"]), (41, &json!("thread")));
    assert_eq!(who[0]["longest_number"], 42);
    assert_eq!(stolen["intervals"]["count"], 41);
    let buckets = stolen["intervals"]["buckets"].as_array().unwrap();
    assert_eq!(buckets[0], json!({"from_us": 0, "to_us": 1, "count": 40}));
    assert!(core["probe"].is_null() && core["counted"]["waited_us"] == 4_000.0);
    let silent = json(&seen(None), "as named");
    assert!(silent["cores"][0]["stolen"].is_null() && silent["silent"] == "no rights");
}
