//! What the tables say.

use serde_json::json;

use super::*;

#[test]
fn a_chain_is_one_row() {
    let stats = json!({"version": "1", "litecoin": {
        "peers": {"connected": 18, "max": 20, "min": 5, "known": 231},
        "blocks": {"broadcast": 3, "last_hash": "00ab", "last_age_s": 300},
        "success_rate": 0.995, "broadcast_ms": {"p50": 1.5, "p90": 2, "p99": 3, "max": 4},
        "node": {"connected": false, "rpc": true},
        "health": {"status": "degraded", "issues": ["node\u{1b}away"]},
    }});
    let text = table(&stats);
    let row: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
    let expected = "litecoin 18/20 5 231 AWAY up 3 5 min ago 99.5 % 1.500 3";
    assert_eq!(row.join(" "), expected, "{text}");
    assert!(text.ends_with("litecoin: degraded: node?away\n"), "{text}");
}

#[test]
fn scouts_and_what_they_heard_are_one_line() {
    let text = table(&json!({"x": {"peers": {}, "scouts": {"connected": 7, "wanted": 100},
        "addresses": {"heard": 9, "taken": 4, "known": 2, "refused": {"port": 1, "stale": 2}}}}));
    let line = "x: 7/100 scouts; 9 addresses heard of, 4 taken, 3 refused";
    assert!(text.lines().any(|it| it == line), "{text}");
    let none = json!({"connected": 0, "wanted": 0});
    let text = table(&json!({"x": {"peers": {}, "scouts": none, "addresses": {"heard": 0}}}));
    assert!(!text.contains("scouts"), "{text}");
}

#[test]
fn what_became_of_the_blocks_is_one_line() {
    let told = json!({"confirmed": 9, "stale": 1, "pending": 2, "orphan_rate": 0.1,
        "first_back_ms": {"p50": 1.5}, "propagation_ms": {"p50": 4}});
    assert_eq!(
        confirmation("x", &told),
        "x: 9 blocks confirmed, 1 stale (10.0 % orphans), 2 open; announced back after 1.500 ms, \
         by half of the peers after 4 ms\n"
    );
    assert_eq!(confirmation("x", &json!({"confirmed": 0})), "");
}

#[test]
fn the_uplink_is_told_in_words() {
    let told = json!({"state": "learnt", "bits_per_s": 97_500_000, "age_s": 300, "peers": 20,
        "route": "eth0 via 10.0.0.1 from 10.0.0.2", "warm_peers": 18,
        "warm_up": {"sent_bytes": 12_000_000},
        "doubt": "more is lost than should be",
        "advice": [{"command": "sysctl -w a=0", "why": "be\u{1b}cause", "gain_ms": 660}]});
    let stats = json!({"x": {"peers": {}, "uplink": told}, "y": {"peers": {}, "uplink": told}});
    let text = table(&stats);
    let (_, found) = text.split_once("uplink: ").unwrap();
    assert_eq!(
        found,
        "97.5 Mbit/s, learnt, measured 5 min ago, eth0 via 10.0.0.1 from 10.0.0.2\n\
        warm: 18 of 20 peers behind it; 12.0 MB sent for warming\n\
        doubt: more is lost than should be\n\
        host: sysctl -w a=0 (about 660 ms sooner at half of the peers: be?cause)\n"
    );
    let local = table(&json!({"x": {"peers": {}, "uplink": {"state": "not-shared", "peers": 0}}}));
    assert!(local.ends_with("nothing is held back\n"), "{local}");
}

#[test]
fn how_peers_are_chosen_is_told_in_words() {
    let told = |rule: &str, by_cover: bool, aimed: u32| {
        let regions = if by_cover { json!({}) } else { json!({"EU": 2, "NA": 3}) };
        let selection = json!({"rule": rule, "is_by_cover": by_cover, "blocks_watched": 7,
                               "regions": regions,
                               "peers_watched": 30});
        let peers_now = json!({"max": 20, "aimed": aimed});
        peers("x", &json!({"peers": peers_now, "selection": selection}))
    };
    let early = "x: peers are chosen by who hears blocks early (30 peers watched over 7 blocks)\n";
    assert_eq!(told("measured", true, 20), early);
    let slow = "x: peers are chosen by score; 6 are wanted, as many as the uplink serves in time; EU 2, NA 3\n";
    assert_eq!(told("seed", false, 6), slow);
    assert!(told("measured", false, 20).contains("(7 so far, 30 peers)"));
}

/// What an engine leaves out is shown as a dash, never as a zero.
#[test]
fn what_is_not_there_is_a_dash() {
    let text = table(&json!({"x": {"peers": {}}}));
    assert_eq!(text.lines().nth(1).unwrap().matches('-').count(), 11, "{text}");
}
