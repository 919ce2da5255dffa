//! `broadside status`: the running engine at a glance.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::client;
use super::legs::{endpoint_table, proofs};
use super::text::{ago, number, printable};
use super::{ConfigArgs, Failure, Outcome};
use crate::bench::table::columns;
use crate::limits::STATUS_COMMAND_DEADLINE_MS;

const PATIENCE: Duration = Duration::from_millis(STATUS_COMMAND_DEADLINE_MS);

/// Options of `status`.
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print what the engine answers at /broadcaster_stats, unchanged
    #[arg(long)]
    json: bool,
}

/// Runs the command; `out` is standard output.
///
/// # Errors
/// The engine is not running, or does not serve HTTP.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Failure> {
    let config = options.config.load()?;
    let answer = client::ask_engine(&config, "/broadcaster_stats", PATIENCE)?;
    let stats = match (answer.status, serde_json::from_slice::<Value>(&answer.body)) {
        (200, Ok(stats)) if stats.is_object() => stats,
        (status, _) => {
            let address = config.http.map(|it| it.to_string()).unwrap_or_default();
            let message = format!("{address} answers HTTP {status}, which is not broadside's");
            return Err(Failure(message));
        }
    };
    if options.json {
        out.write_all(&answer.body)?;
        writeln!(out)?;
    } else {
        out.write_all(table(&stats).as_bytes())?;
    }
    Ok(Outcome::Done)
}

/// The chains of a `/broadcaster_stats` answer, as text in columns.
fn table(stats: &Value) -> String {
    const HEAD: [&str; 11] = [
        "chain",
        "peers",
        "min",
        "known",
        "node p2p",
        "node rpc",
        "blocks",
        "last block",
        "delivered",
        "p50 ms",
        "p99 ms",
    ];
    let chains: Vec<_> =
        stats.as_object().into_iter().flatten().filter(|(_, it)| it["peers"].is_object()).collect();
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(chains.iter().map(|(name, chain)| row(name, chain)));
    let mut text = columns(&rows);
    for (name, chain) in &chains {
        text += &format!("{name}: {}\n", health(&chain["health"]));
        text += &confirmation(name, &chain["confirmation"]);
        text += &discovery(name, chain);
        text += &peers(name, chain);
        text += &relay(name, chain);
        text += &proofs(name, chain);
    }
    text += &endpoint_table(chains.iter().map(|(name, chain)| (name.as_str(), *chain)));
    // All chains share it.
    if let Some((_, chain)) = chains.first() {
        text += &uplink(&chain["uplink"]);
    }
    text
}

/// What has become of this chain's blocks; nothing while there are none.
fn confirmation(name: &str, told: &Value) -> String {
    let count = |key: &str| told[key].as_u64().unwrap_or(0);
    let (confirmed, stale, pending) = (count("confirmed"), count("stale"), count("pending"));
    if confirmed + stale + pending == 0 {
        return String::new();
    }
    let rate = told["orphan_rate"].as_f64();
    let rate = rate.map_or_else(String::new, |rate| format!(" ({:.1} % orphans)", rate * 100.0));
    let times = match (told["first_back_ms"]["p50"].as_f64(), &told["propagation_ms"]) {
        (Some(first), all) => format!(
            "; announced back after {first:.3} ms, by half of the peers after {} ms",
            number(&all["p50"])
        ),
        _ => String::new(),
    };
    format!("{name}: {confirmed} blocks confirmed, {stale} stale{rate}, {pending} open{times}\n")
}

/// Who listens for this chain, and what became of the addresses that others told of.
fn discovery(name: &str, chain: &Value) -> String {
    let (scouts, addresses) = (&chain["scouts"], &chain["addresses"]);
    let is_wanted = scouts["wanted"].as_u64().unwrap_or(0) > 0;
    let is_told = addresses["heard"].as_u64().unwrap_or(0) > 0;
    if !is_wanted && !is_told {
        return String::new();
    }
    let refused = addresses["refused"].as_object().into_iter().flatten();
    let refused: u64 = refused.filter_map(|(_, count)| count.as_u64()).sum();
    format!(
        "{name}: {}/{} scouts; {} addresses heard of, {} taken, {refused} refused\n",
        number(&scouts["connected"]),
        number(&scouts["wanted"]),
        number(&addresses["heard"]),
        number(&addresses["taken"]),
    )
}

/// How peers are chosen, and how many are wanted; nothing where an engine does not say.
fn peers(name: &str, chain: &Value) -> String {
    let told = &chain["selection"];
    let Some(rule) = told["rule"].as_str() else {
        return String::new();
    };
    let (blocks, watched) = (number(&told["blocks_watched"]), number(&told["peers_watched"]));
    let how = match (rule, told["is_by_cover"].as_bool()) {
        ("measured", Some(true)) => {
            format!("by who hears blocks early ({watched} peers watched over {blocks} blocks)")
        }
        ("measured", _) => format!(
            "by score until enough blocks have been watched ({blocks} so far, {watched} peers)"
        ),
        _ => "by score".to_owned(),
    };
    let (aimed, max) = (chain["peers"]["aimed"].as_u64(), chain["peers"]["max"].as_u64());
    let few = aimed.filter(|aimed| max.is_some_and(|max| *aimed < max));
    let few =
        few.map(|aimed| format!("; {aimed} are wanted, as many as the uplink serves in time"));
    let regions = told["regions"].as_object().into_iter().flatten();
    let regions: Vec<_> = regions.map(|(region, count)| format!("{region} {count}")).collect();
    let few = few.unwrap_or_default();
    let regions =
        if regions.is_empty() { String::new() } else { format!("; {}", regions.join(", ")) };
    printable(&format!("{name}: peers are chosen {how}{few}{regions}")) + "\n"
}

/// In which form peers are sent blocks, and how much went out in each; nothing where an engine does
/// not say.
fn relay(name: &str, chain: &Value) -> String {
    let told = &chain["relay"];
    let Some(form) = told["form"].as_str() else {
        return String::new();
    };
    let ways = chain["ways"].as_object().into_iter().flatten();
    let sent = ways.filter_map(|(way, sums)| {
        let megabytes = sums["bytes"].as_f64().filter(|bytes| *bytes > 0.0)? / 1e6;
        Some(format!("{megabytes:.1} MB {way}"))
    });
    let sent: Vec<_> = sent.collect();
    let sent = if sent.is_empty() { String::new() } else { format!("; sent {}", sent.join(", ")) };
    let (take, chose) = (number(&told["take_compact"]), number(&told["chose_us"]));
    printable(&format!(
        "{name}: relay {form}: {take} peers take compact blocks, {chose} chose us{sent}"
    )) + "\n"
}

/// What is known of the uplink, one thing a line, in an operator's words.
fn uplink(told: &Value) -> String {
    let Some(state) = told["state"].as_str() else {
        return String::new();
    };
    let rate = told["bits_per_s"].as_f64().map(|bits| format!("{:.1} Mbit/s, ", bits / 1e6));
    let meaning = match state {
        "not-shared" => "not shared: all peers are on this host, nothing is held back",
        "unlimited" => "unlimited, as configured: nothing is held back",
        "configured" => "configured",
        "learning" => "being measured",
        "learnt" => "learnt",
        "nic-is-the-limit" => "the network card is the limit",
        "floor" => "at least that: there was too little to send to find the limit",
        "foreign-queue" => {
            "something else keeps it full: the last good rate is used, if there is one"
        }
        "unknown" => "not known yet: nothing is held back",
        other => other,
    };
    let mut text = format!("uplink: {}{meaning}", rate.unwrap_or_default());
    if let Some(age_s) = told["age_s"].as_f64() {
        text += &format!(", measured {}", ago(age_s));
    }
    if let Some(route) = told["route"].as_str() {
        text += &format!(", {route}");
    }
    text += "\n";
    let (warm, peers) = (told["warm_peers"].as_u64(), told["peers"].as_u64().unwrap_or(0));
    if let Some(warm) = warm.filter(|_| peers > 0) {
        let sent = told["warm_up"]["sent_bytes"].as_f64().unwrap_or(0.0) / 1e6;
        text +=
            &format!("warm: {warm} of {peers} peers behind it; {sent:.1} MB sent for warming\n");
    }
    if let Some(doubt) = told["doubt"].as_str() {
        text += &format!("doubt: {doubt}\n");
    }
    for advice in told["advice"].as_array().into_iter().flatten() {
        let word = |key: &str| advice[key].as_str().unwrap_or_default();
        let gain = number(&advice["gain_ms"]);
        text += &format!(
            "host: {} (about {gain} ms sooner at half of the peers: {})\n",
            word("command"),
            word("why")
        );
    }
    text.lines().map(|line| printable(line) + "\n").collect()
}

fn row(name: &str, chain: &Value) -> Vec<String> {
    let (peers, blocks, times) = (&chain["peers"], &chain["blocks"], &chain["broadcast_ms"]);
    let age = blocks["last_age_s"].as_f64().map_or_else(|| "-".to_owned(), ago);
    let share = chain["success_rate"].as_f64();
    vec![
        name.to_owned(),
        format!("{}/{}", number(&peers["connected"]), number(&peers["max"])),
        number(&peers["min"]),
        number(&peers["known"]),
        link(&chain["node"]["connected"]),
        link(&chain["node"]["rpc"]),
        number(&blocks["broadcast"]),
        age,
        share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0)),
        number(&times["p50"]),
        number(&times["p99"]),
    ]
}

/// Whether a way to the node is there; a dash where none is configured.
fn link(value: &Value) -> String {
    match value.as_bool() {
        Some(true) => "up".to_owned(),
        Some(false) => "AWAY".to_owned(),
        None => "-".to_owned(),
    }
}

/// What the engine says of itself, and everything that is not as it should be.
fn health(health: &Value) -> String {
    let status = health["status"].as_str().unwrap_or("unknown");
    let issues = health["issues"].as_array().map(Vec::as_slice).unwrap_or_default();
    let issues: Vec<_> = issues.iter().filter_map(Value::as_str).collect();
    match issues.is_empty() {
        true => printable(status),
        false => printable(&format!("{status}: {}", issues.join("; "))),
    }
}

#[cfg(test)]
mod tests {
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
        let local =
            table(&json!({"x": {"peers": {}, "uplink": {"state": "not-shared", "peers": 0}}}));
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
        let early =
            "x: peers are chosen by who hears blocks early (30 peers watched over 7 blocks)\n";
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
}
