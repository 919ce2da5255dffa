//! Prometheus' own programs: promtool, and a server that scrapes.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::daemon::PATIENCE;
use super::ports::free_address;

/// Whether Debian's package is there; says so where it is not.
pub fn is_installed() -> bool {
    let there = ["promtool", "prometheus"].iter().all(|program| {
        let found = Command::new(program).arg("--version").output();
        found.is_ok_and(|output| output.status.success())
    });
    if !there {
        println!(
            "SKIPPED: promtool and prometheus are missing (Debian: apt-get install prometheus)"
        );
    }
    there
}

/// Runs promtool with `input`: exit code, and all that it said. `None`: it is not installed.
pub fn promtool(arguments: &[&str], input: &str) -> Option<(i32, String)> {
    if !is_installed() {
        return None;
    }
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it was there");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.code().expect("not killed"), String::from_utf8_lossy(&said).into_owned()))
}

/// A server that scrapes one broadside each second. Gone when dropped.
pub struct Prometheus {
    folder: TempDir,
    address: SocketAddr,
    agent: ureq::Agent,
    child: Option<Child>,
}

/// The rules as they are shipped, and a copy of them that does not wait.
const RULES: &str = include_str!("../../packaging/prometheus/broadside.rules.yml");

impl Prometheus {
    /// Starts one that asks `target`, with the rules of the tree, and waits until it answers.
    pub fn start(target: SocketAddr) -> Self {
        let folder = tempfile::Builder::new().prefix("broadside-prometheus-").tempdir();
        let folder = folder.expect("a folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("written");
        };
        write("shipped.yml", RULES);
        write("hasty.yml", &hasty());
        let config = format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n\
             rule_files: [shipped.yml, hasty.yml]\nscrape_configs:\n  - job_name: broadside\n    \
             static_configs:\n      - targets: [\"{target}\"]\n"
        );
        write("prometheus.yml", &config);
        let address = free_address();
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it was there");
        let agent = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = agent.timeout_global(Some(PATIENCE)).build().into();
        let prometheus = Self { folder, address, agent, child: Some(child) };
        prometheus
            .wait_for("its start", |it| it.ask("/-/ready", &[]).is_some_and(|it| it.0 == 200));
        prometheus
    }

    /// Status and body of a page; `None`: nobody answers.
    fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<(u16, String)> {
        let url = format!("http://{}{path}", self.address);
        let told = self.agent.get(url).query_pairs(query.iter().copied());
        let mut answer = told.call().ok()?;
        let body = answer.body_mut().read_to_string().ok()?;
        Some((answer.status().as_u16(), body))
    }

    /// `data` of an API call.
    fn data(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let (status, body) = self.ask(path, query).expect("it runs");
        let told: Value = serde_json::from_str(&body).expect("JSON");
        assert!(status == 200 && told["status"] == "success", "{path} {query:?}: {told}");
        told["data"].clone()
    }

    /// What an expression gives now.
    pub fn query(&self, expression: &str) -> Value {
        self.data("/api/v1/query", &[("query", expression)])["result"].clone()
    }

    /// The one number that an expression gives; `None`: nothing.
    pub fn number(&self, expression: &str) -> Option<f64> {
        let told = self.query(expression);
        let all = told.as_array().expect("a vector");
        assert!(all.len() <= 1, "{expression}: {told}");
        Some(all.first()?["value"][1].as_str().expect("text").parse().expect("a number"))
    }

    /// Every name that there is.
    pub fn names(&self) -> BTreeSet<String> {
        let told = self.data("/api/v1/label/__name__/values", &[]);
        let all = told.as_array().expect("a list").iter();
        all.map(|name| name.as_str().expect("text").to_owned()).collect()
    }

    /// Every rule that is not at rest, or that could not be worked out: group, name, state.
    pub fn states(&self) -> Vec<String> {
        let told = self.data("/api/v1/rules", &[]);
        let groups = told["groups"].as_array().expect("groups");
        assert_eq!(groups.len(), 2, "{told}");
        let rules = groups.iter().flat_map(|group| {
            group["rules"].as_array().expect("rules").iter().map(move |rule| (group, rule))
        });
        let odd = rules.filter(|(_, rule)| {
            rule["state"] != "inactive" || rule["health"] != "ok" || !rule["lastError"].is_null()
        });
        odd.map(|(group, rule)| format!("{}: {} {}", group["name"], rule["name"], rule["state"]))
            .collect()
    }

    /// Whether the rule `name` that does not wait fires now.
    pub fn fires(&self, name: &str) -> bool {
        let firing = format!("\"hasty\": \"{name}\" \"firing\"");
        self.states().contains(&firing)
    }

    /// Waits until it is as wished; looks twice a second.
    pub fn wait_for(&self, what: &str, wished: impl Fn(&Self) -> bool) {
        let end = Instant::now() + 3 * PATIENCE;
        while !wished(self) {
            let log = || std::fs::read_to_string(self.folder.path().join("log"));
            assert!(Instant::now() < end, "never came to {what}: {:?}", log());
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Ends it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The rules, each of which fires after a second.
fn hasty() -> String {
    let lines = RULES.lines().map(|line| match line.trim_start().starts_with("for: ") {
        true => format!("{}for: 1s\n", &line[..line.len() - line.trim_start().len()]),
        false => format!("{line}\n"),
    });
    lines.collect::<String>().replace("- name: broadside", "- name: hasty")
}
