//! `/metrics` of a running engine: a strict reader takes it, promtool finds nothing to say, and the
//! five indicators are the same wherever they are shown.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::collections::HashSet;
use std::process::Command;

use broadside::sim::loopback::{Keep, Loopback};
use serde_json::Value;
use support::daemon::{Daemon, Told};
use support::engine::{maker, peers};
use support::exposition::Page;
use support::grafana::{dashboard, expressions, names};
use support::indicators::{Numbers, assert_same_everywhere};
use support::prometheus::{is_installed, promtool};

/// A daemon with peers that have had some blocks.
fn lively(count: usize, blocks: u32) -> (Daemon, Loopback) {
    let loopback = peers(Vec::new(), count, Keep::Nothing);
    let daemon = Daemon::start(&Told { fixed: loopback.addresses(), ..Told::default() });
    daemon.wait_for_peers(count as u64);
    let mut maker = maker();
    for _ in 0..blocks {
        let (code, out, errors) = daemon.submit(&maker.next(60_000).unwrap().raw, &[]);
        assert!(code != 2 && !out.is_empty(), "{code} {out} {errors}");
    }
    let wanted = u64::from(blocks) * count as u64;
    daemon.wait_for_stats("all offers ended and announced back", |stats| {
        let back = &stats["indicators"]["propagation_ms"]["count"];
        stats["total_broadcasts"] == wanted && (wanted == 0 || *back == wanted)
    });
    (daemon, loopback)
}

/// Goal: the page is what Prometheus' own checker wants, and what our strict reader takes.
#[test]
fn promtool_has_nothing_to_say() {
    let (daemon, _peers) = lively(5, 3);
    let (status, text) = daemon.page("/metrics");
    assert_eq!(status, 200, "{text}");
    let page = Page::read(&text);
    let samples: usize = page.0.values().map(|family| family.samples.len()).sum();
    println!("{} families, {samples} samples, {} bytes", page.0.len(), text.len());
    let of = |name: &str, labels: &[(&str, &str)]| page.value(name, labels).expect("it is there");
    assert_eq!(of("broadside_blocks_broadcast_total", &[]), 3.0);
    assert_eq!(of("broadside_offers_total", &[("outcome", "handled")]), 15.0);
    assert_eq!(of("broadside_peer_step_seconds_count", &[("step", "sent")]), 15.0);
    assert_eq!(of("broadside_stage_seconds_count", &[("stage", "published")]), 3.0);
    assert_eq!(of("broadside_back_seconds_count", &[("voices", "first")]), 3.0);
    let (sum_s, mean_s) = (
        of("broadside_peer_step_seconds_sum", &[("step", "sent")]),
        of("broadside_indicator_broadcast_seconds", &[("statistic", "mean")]),
    );
    assert!((sum_s / 15.0 - mean_s).abs() < 1e-9, "{sum_s} {mean_s}");
    // No peer's address is a label; our own are not either, as no endpoint is configured.
    assert!(page.label_values().iter().all(|value| !value.contains(':')), "{text}");
    if let Some((code, said)) = promtool(&["check", "metrics"], &text) {
        assert!(code == 0 && said.is_empty(), "{code}: {said}");
        println!("promtool check metrics: nothing to say");
    }
}

/// Goal: JSON, command line, Prometheus and page show the same five indicators, before there is any
/// block and after some.
#[test]
fn the_indicators_are_the_same_everywhere() {
    let (daemon, _peers) = lively(4, 0);
    let before = Numbers::of(&daemon.stats());
    let known: Vec<_> = before.0.iter().filter(|(_, value)| value.is_some()).collect();
    assert!(known.len() == 1 && known[0].0 == "peer_availability", "{known:?}");
    assert_same_everywhere(&daemon);
    drop(daemon);
    let (daemon, _peers) = lively(4, 2);
    let after = Numbers::of(&daemon.stats());
    assert_eq!((after.0["success_rate"], after.0["orphan_rate"]), (Some(1.0), None));
    assert!(after.0["broadcast_ms.p99"] > Some(0.0) && after.0["propagation_ms.p50"] > Some(0.0));
    println!("on the page: {:?} numbers", assert_same_everywhere(&daemon));
}

fn promtool_in(folder: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/").to_owned() + folder;
    let output = is_installed().then(|| {
        Command::new("promtool").args(arguments).current_dir(folder).output().expect("it was there")
    })?;
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

/// Goal: the shipped rules are rules, and do what their own tests say.
#[test]
fn promtool_takes_the_rules() {
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "broadside.rules.yml"],
        ["test", "rules", "broadside.rules.test.yml"],
    ] {
        let Some((is_good, said)) = promtool_in("prometheus", &arguments) else { return };
        assert!(is_good && said.contains("SUCCESS"), "{arguments:?}: {said}");
        println!(
            "promtool {}: {}",
            arguments.join(" "),
            said.split_whitespace().collect::<Vec<_>>().join(" ")
        );
    }
    let (rules, tests) = (
        include_str!("../packaging/prometheus/broadside.rules.yml"),
        include_str!("../packaging/prometheus/broadside.rules.test.yml"),
    );
    let alerts: Vec<_> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 20, "{alerts:?}");
    for alert in &alerts {
        let fires = format!("{{labels: '{{alertname=\"{alert}\"}}', value: 1}}");
        assert!(tests.contains(&fires), "no test has {alert} fire");
    }
    for word in ["summary:", "description:", "severity:"] {
        assert_eq!(rules.matches(word).count(), alerts.len(), "every rule has its {word}");
    }
}

/// Goal: every expression of rules and dashboard is one, and speaks of families that there are.
#[test]
fn rules_and_dashboard_speak_of_what_there_is() {
    let (daemon, _peers) = lively(2, 1);
    let page = Page::read(&daemon.page("/metrics").1);
    let families: Vec<&str> = page.0.keys().map(String::as_str).collect();
    let is_known = |name: &str| {
        let stem = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        families.contains(&name) || stem.is_some_and(|stem| families.contains(&stem))
    };
    let rules = include_str!("../packaging/prometheus/broadside.rules.yml");
    for text in expressions().iter().map(String::as_str).chain([rules]) {
        for name in names(text) {
            assert!(is_known(&name), "{name} is not in /metrics: {text}");
        }
    }
    let records = expressions().into_iter().enumerate().map(|(at, expression)| {
        format!("  - record: dashboard:{at}\n    expr: {}\n", Value::from(expression))
    });
    let text = format!("groups:\n- name: dashboard\n  rules:\n{}", records.collect::<String>());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dashboard.yml");
    std::fs::write(&file, text).unwrap();
    let asked = promtool(&["check", "rules", file.to_str().unwrap()], "");
    let Some((code, said)) = asked else { return };
    assert!(code == 0 && said.contains(&format!("{} rules found", expressions().len())), "{said}");
    println!("{} expressions of the dashboard: promtool takes all", expressions().len());
}

/// Goal: Grafana finds what it needs: a source that is chosen, panels that do not lie on each other.
#[test]
fn the_dashboard_is_in_order() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids: Vec<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), panels.len(), "each panel has a number of its own");
    let mut taken = HashSet::new();
    for panel in panels {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for place in (at("x")..at("x") + at("w"))
            .flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
        {
            assert!(place.0 < 24 && taken.insert(place), "{} lies on another", panel["title"]);
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap().iter().chain([panel]) {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        }
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let variables: Vec<_> = variables.map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(variables, ["datasource", "instance", "chain"]);
}
