//! Who looks at an engine under test, in a process of its own: a browser with the dashboard open, which
//! fetches the panels whenever something has changed, and a Prometheus that scrapes every second.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::time::Duration;

use super::BenchError;
use crate::limits::{BENCH_DEADLINE_MS, BENCH_PAGE_BYTES_MAX};

const PATIENCE: Duration = Duration::from_millis(BENCH_DEADLINE_MS);
/// As Prometheus is told in our example, or more often.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);

/// Reads pages of one engine, as programs on the same host do.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    agent: ureq::Agent,
    root: String,
}

impl Reader {
    pub(super) fn new(http: SocketAddr) -> Self {
        let told = ureq::Agent::config_builder().timeout_connect(Some(PATIENCE));
        let told = told.timeout_recv_response(Some(PATIENCE)).http_status_as_error(false);
        Self { agent: told.build().into(), root: format!("http://{http}") }
    }

    /// The whole page at `path`.
    ///
    /// # Errors
    /// There is none, or it does not come.
    pub(super) fn page(&self, path: &str) -> Result<Vec<u8>, BenchError> {
        let wrong = |why: String| BenchError::Program { program: format!("GET {path}"), why };
        let url = format!("{}{path}", self.root);
        let mut answer = self.agent.get(url).call().map_err(|error| wrong(error.to_string()))?;
        if answer.status() != 200 {
            return Err(wrong(format!("HTTP {}", answer.status())));
        }
        let body = answer.body_mut().with_config().limit(BENCH_PAGE_BYTES_MAX);
        body.read_to_vec().map_err(|error| wrong(error.to_string()))
    }

    /// Fetches the panels whenever the engine says that something has changed, until it says no more.
    fn watch(&self) {
        let Ok(answer) = self.agent.get(format!("{}/events", self.root)).call() else { return };
        let lines = BufReader::new(answer.into_body().into_reader()).lines();
        for line in lines.map_while(Result::ok) {
            if line == "event: changed" && self.page("/panels").is_err() {
                return;
            }
        }
    }

    /// Scrapes until there is nothing to scrape.
    fn scrape(&self) {
        while self.page("/metrics").is_ok() {
            std::thread::sleep(SCRAPE_INTERVAL);
        }
    }
}

/// Starts both, on threads that end with the engine or the process.
pub(super) fn start(http: SocketAddr) {
    let (browser, scraper) = (Reader::new(http), Reader::new(http));
    std::thread::spawn(move || browser.watch());
    std::thread::spawn(move || scraper.scrape());
}
