//! One frame of the live view: pure, from what the engine answered to lines that fit the terminal.

use serde_json::Value;

use super::table::link;
use super::words;
use crate::bench::table::columns;
use crate::cmd::text::{ago, number, printable};

/// Characters of a hash that are shown.
const HASH_CHARS: usize = 16;
/// Peers that are shown at most.
const PEERS_SHOWN_MAX: usize = 20;

/// What is shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Who is asked.
    pub(super) address: String,
    /// `/broadcaster_stats`, as last answered.
    pub(super) stats: Value,
    /// The newest blocks, newest first.
    pub(super) blocks: Vec<Value>,
    /// Why the engine does not answer, and for how many seconds, while it does not.
    pub(super) away: Option<(String, f64)>,
    /// Now, in s since 1970.
    pub(super) now_s: f64,
}

/// Columns and lines of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

impl Shown {
    /// The frame: at most `size.lines` lines of at most `size.columns` characters. What does not fit is
    /// cut from the end, so the most important is first.
    pub(super) fn frame(&self, size: Size) -> Vec<String> {
        let mut lines = vec![self.head()];
        for (name, chain) in self.chains() {
            lines.extend(chain_lines(name, chain));
        }
        lines.extend(words::alerts(&self.stats));
        if self.chains().next().is_some() {
            lines.push(String::new());
            lines.extend(self.block_lines());
            lines.push(String::new());
            lines.extend(self.peer_lines());
        }
        let fit = |line: String| plain(&line).chars().take(size.columns).collect::<String>();
        lines.into_iter().take(size.lines).map(|line| fit(line).trim_end().to_owned()).collect()
    }

    fn chains(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.stats.as_object().into_iter().flatten().filter(|(_, it)| it["peers"].is_object())
    }

    fn head(&self) -> String {
        let health = match &self.away {
            Some((why, for_s)) => format!("AWAY for {for_s:.0} s: {why}"),
            None => {
                let is_well = self.chains().all(|(_, chain)| chain["health"]["healthy"] == true);
                if is_well { "ok".to_owned() } else { "degraded".to_owned() }
            }
        };
        format!("broadside {}  {health}", self.address)
    }

    fn block_lines(&self) -> Vec<String> {
        if self.blocks.is_empty() {
            return vec!["no block yet".to_owned()];
        }
        let head = [
            "block",
            "chain",
            "height",
            "age",
            "kB",
            "peers",
            "publish ms",
            "verdict",
            "after ms",
            "back first",
            "half ms",
            "state",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.blocks.iter().map(|block| self.block_row(block)));
        columns(&rows).lines().map(str::to_owned).collect()
    }

    fn block_row(&self, block: &Value) -> Vec<String> {
        let word = |value: &Value| value.as_str().map_or_else(|| "-".to_owned(), printable);
        let stages = &block["stages"];
        let publish_ms = stages["published"].as_f64().zip(stages["last_byte"].as_f64());
        let publish = publish_ms.map(|(published, last)| format!("{:.3}", published - last));
        let outcomes = &block["outcomes"];
        let had = ["handled", "already-had"].iter().filter_map(|key| outcomes[key].as_u64());
        let verdicts = block["verdicts"].as_array().into_iter().flatten();
        let own = verdicts.into_iter().find(|it| it["own"] == true).unwrap_or(&Value::Null);
        let told = &block["confirmation"];
        let age = block["received_at"].as_f64().map(|at| ago((self.now_s - at).max(0.0)));
        vec![
            word(&block["hash"]).chars().take(HASH_CHARS).collect(),
            word(&block["chain"]),
            number(&block["height"]),
            age.unwrap_or_else(|| "-".to_owned()),
            block["bytes"].as_f64().map_or_else(|| "-".to_owned(), |it| format!("{:.1}", it / 1e3)),
            format!("{}/{}", had.sum::<u64>(), number(&block["offers"])),
            publish.unwrap_or_else(|| "-".to_owned()),
            word(&own["verdict"]).chars().take(20).collect(),
            number(&own["after_ms"]),
            number(&told["first_back"]["after_ms"]),
            number(&told["half_back_ms"]),
            word(&told["state"]),
        ]
    }

    /// The best peers of all chains.
    fn peer_lines(&self) -> Vec<String> {
        let head = ["peer", "agent", "rank", "ping ms", "delivery ms", "blocks", "failed"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for (_, chain) in self.chains() {
            let peers = chain["top_peers"].as_array().into_iter().flatten();
            rows.extend(peers.take(PEERS_SHOWN_MAX).map(|peer| {
                let agent = peer["user_agent"].as_str().unwrap_or("-");
                vec![
                    peer["address"].as_str().map_or_else(|| "-".to_owned(), printable),
                    printable(agent).chars().take(24).collect(),
                    number(&peer["rank"]),
                    number(&peer["round_trip_ms"]),
                    number(&peer["delivery_ms"]),
                    number(&peer["successful_broadcasts"]),
                    number(&peer["failed_broadcasts"]),
                ]
            }));
        }
        if rows.len() == 1 {
            return vec!["no peer is connected".to_owned()];
        }
        columns(&rows).lines().map(str::to_owned).collect()
    }
}

fn chain_lines(name: &str, chain: &Value) -> Vec<String> {
    let (peers, blocks, uplink) = (&chain["peers"], &chain["blocks"], &chain["uplink"]);
    let last = blocks["last_age_s"].as_f64().map_or_else(|| "never".to_owned(), ago);
    let rate = uplink["bits_per_s"].as_f64().map(|bits| format!("{:.1} Mbit/s ", bits / 1e6));
    let state = uplink["state"].as_str().unwrap_or("-");
    vec![
        format!(
            "{name}: {}/{} peers (min {}), node rpc {}, p2p {}, {} blocks, last {last}, spool {}, uplink {}{state}",
            number(&peers["connected"]),
            number(&peers["max"]),
            number(&peers["min"]),
            link(&chain["node"]["rpc"]),
            link(&chain["node"]["connected"]),
            number(&blocks["broadcast"]),
            number(&chain["spool"]["waiting"]),
            rate.unwrap_or_default(),
        ),
        format!("  {}", words::five(&chain["indicators"])),
    ]
}

/// One column for each character: others' letters may be wider than a column.
fn plain(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii() && !c.is_control();
    text.chars().map(|c| if is_plain(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown() -> Shown {
        let block = json!({"hash": "ab".repeat(32), "chain": "x", "height": 7, "bytes": 20_000,
            "received_at": 940.0, "offers": 20, "outcomes": {"handled": 17, "already-had": 1},
            "stages": {"published": 1.5, "last_byte": 1.25},
            "verdicts": [{"node": "e", "own": false, "verdict": "no"},
                         {"node": "n", "own": true, "verdict": "accepted", "after_ms": 12.0}],
            "confirmation": {"state": "in-chain", "first_back": {"after_ms": 3.5},
                             "half_back_ms": 9.0}});
        let peer = json!({"address": "1.2.3.4:5", "user_agent": "/evil\u{1b}[2J\u{4e2d}/", "rank": 1,
            "round_trip_ms": 2.5, "successful_broadcasts": 3, "failed_broadcasts": 0});
        let stats = json!({"x": {"peers": {"connected": 18, "max": 20, "min": 5},
            "node": {"rpc": true, "connected": false}, "blocks": {"broadcast": 3},
            "health": {"healthy": false}, "spool": {"waiting": 2}, "top_peers": [peer],
            "uplink": {"state": "learnt", "bits_per_s": 97_500_000.0},
            "indicators": {"success_rate": 1.0},
            "alerts": {"active": [{"id": 1, "kind": "few-peers", "severity": "warning",
                                   "text": "only few"}]}}});
        let address = "127.0.0.1:1".to_owned();
        Shown { address, stats, blocks: vec![block], away: None, now_s: 1_000.0 }
    }

    #[test]
    fn a_frame_has_the_most_important_first() {
        let frame = shown().frame(Size { columns: 200, lines: 50 });
        assert_eq!(frame[0], "broadside 127.0.0.1:1  degraded");
        assert_eq!(
            frame[1],
            "x: 18/20 peers (min 5), node rpc up, p2p AWAY, 3 blocks, last never, spool 2, uplink 97.5 Mbit/s learnt"
        );
        assert!(frame[2].starts_with("  success 100.0 %; broadcast - ms mean"), "{}", frame[2]);
        assert_eq!(frame[3], "WARNING few-peers, since -: only few");
        let block: Vec<_> = frame[6].split_whitespace().collect();
        let expected =
            "abababababababab x 7 60 s ago 20.0 18/20 0.250 accepted 12.000 3.500 9.000 in-chain";
        assert_eq!(block.join(" "), expected);
        assert!(frame[9].starts_with("1.2.3.4:5  /evil?[2J?/"), "{}", frame[9]);
    }

    #[test]
    fn a_frame_fits_any_terminal() {
        for (columns, lines) in [(80, 24), (20, 5), (1, 1), (0, 0), (300, 3)] {
            let frame = shown().frame(Size { columns, lines });
            assert!(frame.len() <= lines && frame.iter().all(|line| line.len() <= columns));
            assert!(
                frame.iter().all(|line| line.bytes().all(|byte| (b' '..=b'~').contains(&byte)))
            );
        }
    }

    #[test]
    fn an_engine_that_is_away_is_said_at_the_top() {
        let away = Some(("no\u{1b}body".to_owned(), 12.4));
        let frame = Shown { away, ..shown() }.frame(Size { columns: 100, lines: 9 });
        assert_eq!(frame[0], "broadside 127.0.0.1:1  AWAY for 12 s: no?body");
        let never = Shown { away: Some(("x".to_owned(), 0.0)), ..Shown::default() };
        assert_eq!(never.frame(Size { columns: 100, lines: 9 }).len(), 1);
    }
}
