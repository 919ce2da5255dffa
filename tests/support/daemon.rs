//! A real `broadside run` in a process of its own, and an ordinary client of its ports.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use broadside::cmd::client::{Client, Place, once};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::litecoind::Node;
pub use super::ports::free_address;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The lines that the daemon has logged so far.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

/// One daemon, running or not, and its data.
pub struct Daemon {
    folder: TempDir,
    /// JSON-RPC intake.
    pub rpc: SocketAddr,
    /// Statistics and health.
    pub http: SocketAddr,
    /// Further options of `run`.
    pub options: Vec<String>,
    coin: String,
    log: Arc<Log>,
    child: Option<Child>,
}

/// What a daemon is told beside its ports.
#[derive(Default)]
pub struct Told<'a> {
    /// The coin; none: that of most tests.
    pub coin: &'a str,
    /// The protected local node.
    pub node: Option<&'a Node>,
    /// Peers that are always kept.
    pub fixed: &'a [SocketAddr],
    /// Further lines of `[engine]`.
    pub engine: &'a str,
    /// Further lines of `[[chain]]`, `[chain.node]` for one.
    pub chain: &'a str,
    /// Lines of `[chain.peers]` in the place of those that the tests have as a rule.
    pub peers: Option<&'a str>,
    /// Further options of `run`.
    pub options: &'a [&'a str],
    /// Whether the kernel is asked what it saw of each block: most tests want no more of a story than
    /// what is told at once.
    pub traced: bool,
}

impl Daemon {
    /// Writes a configuration and starts the daemon.
    pub fn start(told: &Told<'_>) -> Self {
        let mut daemon = Self::prepare(told);
        daemon.restart();
        daemon
    }

    /// Writes a configuration and starts nothing.
    pub fn prepare(told: &Told<'_>) -> Self {
        let folder = tempfile::Builder::new().prefix("broadside-daemon-").tempdir();
        let folder = folder.expect("a folder");
        let (rpc, http) = (free_address(), free_address());
        let log = Arc::new(Log::default());
        let options = told.options.iter().map(|option| (*option).to_owned()).collect();
        let coin = if told.coin.is_empty() { "litecoin" } else { told.coin }.to_owned();
        let daemon = Self { folder, rpc, http, options, coin, log, child: None };
        std::fs::write(daemon.config(), daemon.text(told)).expect("the configuration");
        daemon
    }

    /// Runs a command with this configuration, to its end: exit code, output, errors.
    pub fn ask(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_broadside"))
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .output()
            .expect("broadside starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().expect("it was not killed");
        (code, text(&output.stdout), text(&output.stderr))
    }

    /// Runs `submit` with these bytes in a file.
    pub fn submit(&self, block: &[u8], more: &[&str]) -> (i32, String, String) {
        let file = self.folder.path().join("block");
        std::fs::write(&file, block).expect("written");
        self.ask(&[&["submit", file.to_str().expect("text")], more].concat())
    }

    fn text(&self, told: &Told<'_>) -> String {
        let quoted: Vec<_> = told.fixed.iter().map(|address| format!("\"{address}\"")).collect();
        let mut text = format!(
            "[engine]\ndata_dir = {:?}\n{}\n[intake]\nrpc = \"{}\"\nunix = {:?}\n\
             [http]\nlisten = \"{}\"\n[trace]\nbpf = \"{}\"\n[[chain]]\nname = \"{}\"\nnetwork = \"regtest\"\n",
            self.data_dir(),
            told.engine,
            self.rpc,
            self.unix(),
            self.http,
            if told.traced { "auto" } else { "off" },
            self.coin,
        );
        if let Some(node) = told.node {
            let (p2p, rpc, cookie) = (node.p2p, node.url(), node.cookie_file());
            text += &format!(
                "[chain.node]\np2p = \"{p2p}\"\nrpc = \"{rpc}\"\ncookie_file = {cookie:?}\n"
            );
        }
        text += told.chain;
        let few = "max = 50\nmin = 1\nrefresh_s = 1\ndiscover = false\nscouts = 0\n";
        let peers = told.peers.unwrap_or(few);
        text + &format!("[chain.peers]\n{peers}fixed = [{}]\n", quoted.join(", "))
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("broadside.toml")
    }

    /// Where its data are.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The Unix socket intake.
    pub fn unix(&self) -> PathBuf {
        self.folder.path().join("intake.sock")
    }

    /// Starts it (again) and waits until its ports answer.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "it is running");
        let seen = self.log.lines.lock().unwrap_or_else(PoisonError::into_inner).len();
        let mut child = Command::new(env!("CARGO_BIN_EXE_broadside"))
            .args(["run", "--config"])
            .arg(self.config())
            .args(&self.options)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("broadside starts");
        let errors = child.stderr.take().expect("piped");
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                log.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                log.more.notify_all();
            }
        });
        self.child = Some(child);
        self.wait_for_line_after(seen, "statistics are at");
    }

    /// The process, while it runs.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.log.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line that has `part`, from the `seen`-th line on.
    pub fn wait_for_line_after(&self, seen: usize, part: &str) -> String {
        let found =
            |lines: &[String]| lines.iter().skip(seen).find(|line| line.contains(part)).cloned();
        let lines = self.log.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.log.more.wait_timeout_while(lines, PATIENCE, |l| found(l).is_none());
        let (lines, _) = waited.unwrap();
        found(&lines).unwrap_or_else(|| panic!("no line has {part:?}:\n{}", lines.join("\n")))
    }

    /// Waits for a line that has `part`.
    pub fn wait_for_line(&self, part: &str) -> String {
        self.wait_for_line_after(0, part)
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("our own child");
        child.wait().expect("it ends");
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let kill = Command::new("kill").arg(child.id().to_string()).status().expect("kill");
        assert!(kill.success());
        child.wait().expect("it ends")
    }

    /// `USER:PASSWORD` of the intake.
    pub fn login(&self) -> String {
        std::fs::read_to_string(self.data_dir().join(".cookie")).expect("the cookie")
    }

    /// A kept-alive connection to the intake, as a pool has one.
    pub fn pool(&self) -> Pool {
        let client = Client::connect(&self.rpc.to_string(), PATIENCE).expect("the intake");
        Pool { client, login: self.login(), path: "/".to_owned() }
    }

    /// `GET path` of the HTTP port: status and body.
    pub fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.page(path);
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// The same, with the body as text.
    pub fn page(&self, path: &str) -> (u16, String) {
        let place = Place::parse(&format!("http://{}{path}", self.http)).expect("a URL");
        let answer = once(&place, None, "GET", b"", PATIENCE).expect("an answer");
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// The statistics of the first chain.
    pub fn stats(&self) -> Value {
        self.get("/broadcaster_stats").1[&self.coin].clone()
    }

    /// Waits until the statistics are as wished.
    pub fn wait_for_stats(&self, what: &str, wished: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let stats = self.stats();
            if wished(&stats) {
                return stats;
            }
            let lines = || self.lines().join("\n");
            assert!(Instant::now() < end, "never came to {what}: {stats:#}\n{}", lines());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until so many peers are connected.
    pub fn wait_for_peers(&self, count: u64) {
        self.wait_for_stats("peers", |stats| stats["peers"]["connected"] == count);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the daemon said:\n{}", self.lines().join("\n"));
        }
    }
}

/// An ordinary pool's connection to the intake.
pub struct Pool {
    client: Client,
    /// `USER:PASSWORD` that it shows.
    pub login: String,
    /// Where it posts to.
    pub path: String,
}

impl Pool {
    /// Hands over a block in hex; status and whole answer.
    pub fn submit(&mut self, hex: &str) -> (u16, Value) {
        self.ask("submitblock", &json!([hex]))
    }

    /// Any call.
    pub fn ask(&mut self, method: &str, params: &Value) -> (u16, Value) {
        let body = json!({"jsonrpc": "1.0", "id": 7, "method": method, "params": params});
        self.raw(body.to_string().as_bytes())
    }

    /// Any body.
    pub fn raw(&mut self, body: &[u8]) -> (u16, Value) {
        let answer = self.client.exchange("POST", &self.path, Some(&self.login), body);
        let answer = answer.expect("an answer");
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }
}
