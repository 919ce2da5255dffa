//! The running engine at a glance, as text in columns.

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::bench::table::columns;
use crate::cmd::legs::{endpoint_table, proofs};
use crate::cmd::text::{ago, number, printable};

/// The chains of a `/broadcaster_stats` answer, as text in columns.
pub(super) fn table(stats: &Value) -> String {
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
        text += &super::words::indicators(name, &chain["indicators"]);
        text += &confirmation(name, &chain["confirmation"]);
        text += &discovery(name, chain);
        text += &peers(name, chain);
        text += &relay(name, chain);
        text += &proofs(name, chain);
        text += &super::words::spool(name, &chain["spool"]);
    }
    text += &endpoint_table(chains.iter().map(|(name, chain)| (name.as_str(), *chain)));
    // All chains share it.
    if let Some((_, chain)) = chains.first() {
        text += &uplink(&chain["uplink"]);
    }
    for alert in super::words::alerts(stats) {
        text += &format!("{alert}\n");
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
pub(super) fn link(value: &Value) -> String {
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
