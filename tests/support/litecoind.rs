//! A real node on regtest: its own data directory and ports, nobody connected, gone when dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use broadside::cmd::client::{Place, once};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::ports::free_address;

/// How long a node may take for anything but its start.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a node may take to answer after its start.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// Other ports are tried when somebody was faster.
const STARTS_MAX: u32 = 5;
/// Calls in one batch.
const BATCH: usize = 50;

/// An error that the node answered.
#[derive(Debug, PartialEq, Eq)]
pub struct RpcError {
    /// The node's code, for example -22.
    pub code: i64,
    /// Its words.
    pub message: String,
}

/// Which node it is, and what is said to it alone.
pub struct Program {
    /// Where it is; fails with what to do about it.
    pub find: fn() -> PathBuf,
    /// Options that other nodes do not know.
    pub options: &'static [&'static str],
}

/// Debian's Litecoin node.
pub static LITECOIND: Program = Program { find: litecoind, options: &["-fallbackfee=0.001"] };

/// One running (or killed) node.
pub struct Node {
    program: &'static Program,
    folder: TempDir,
    /// Where it listens for peers.
    pub p2p: SocketAddr,
    /// Where it listens for RPC.
    pub rpc: SocketAddr,
    options: Vec<String>,
    child: Option<Child>,
}

/// The program, or the reason why these tests can't run.
fn litecoind() -> PathBuf {
    let found = Command::new("litecoind").arg("-version").stdout(Stdio::null()).status();
    assert!(found.is_ok(), "litecoind is missing: apt-get install litecoind, or tests/run --quick");
    PathBuf::from("litecoind")
}

impl Node {
    /// Starts a node that has the genesis block alone and answers RPC.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further options.
    pub fn start_with(options: &[&str]) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST, options)
    }

    /// The same, listening for peers on another address of this host.
    pub fn start_on(ip: Ipv4Addr, options: &[&str]) -> Self {
        Self::start_program(&LITECOIND, ip, options)
    }

    /// The same with any node.
    pub fn start_program(program: &'static Program, ip: Ipv4Addr, options: &[&str]) -> Self {
        let mut last = String::new();
        for _ in 0..STARTS_MAX {
            let mut node = Self {
                program,
                folder: tempfile::Builder::new()
                    .prefix("broadside-node-")
                    .tempdir()
                    .expect("a folder"),
                p2p: SocketAddr::from((ip, free_address().port())),
                rpc: free_address(),
                options: options.iter().map(|option| (*option).to_owned()).collect(),
                child: None,
            };
            match node.launch() {
                Ok(()) => return node,
                Err(why) => last = why,
            }
        }
        panic!("the node did not start in {STARTS_MAX} tries: {last}");
    }

    /// Starts it again, on the same ports, after [`Node::stop`] or [`Node::kill`].
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "it is running");
        self.launch().expect("the node starts again");
    }

    fn launch(&mut self) -> Result<(), String> {
        let output = std::fs::File::create(self.folder.path().join("output"))
            .map_err(|it| it.to_string())?;
        let errors = output.try_clone().map_err(|it| it.to_string())?;
        let child = Command::new((self.program.find)())
            .args(["-regtest", "-server", "-listen", "-connect=0", "-dnsseed=0", "-discover=0"])
            .args(["-listenonion=0", "-par=1", "-dbcache=16", "-maxmempool=50"])
            .args(["-rpcallowip=127.0.0.1", "-rpcworkqueue=64", "-printtoconsole=0"])
            .arg(format!("-datadir={}", self.folder.path().display()))
            .arg(format!("-bind={}", self.p2p))
            .arg(format!("-port={}", self.p2p.port()))
            .arg(format!("-rpcbind={}", self.rpc))
            .arg(format!("-rpcport={}", self.rpc.port()))
            .args(self.program.options)
            .args(&self.options)
            // A Ctrl-C for the tests is not one for the node: it is ended by Drop.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| error.to_string())?;
        self.child = Some(child);
        let end = Instant::now() + START_PATIENCE;
        loop {
            // Nothing but the answer itself tells that a node answers.
            if self.try_call("getblockcount", json!([])).is_ok() {
                return Ok(());
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > end {
                let said = std::fs::read_to_string(self.folder.path().join("output"));
                self.kill();
                return Err(format!("{ended:?}: {}", said.unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where the node keeps its cookie.
    pub fn cookie_file(&self) -> PathBuf {
        self.folder.path().join("regtest/.cookie")
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.rpc)
    }

    /// Asks the node, and panics if it answers with an error.
    pub fn call(&self, method: &str, params: Value) -> Value {
        match self.try_call(method, params) {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => panic!("{method}: {error:?}"),
            Err(error) => panic!("{method}: {error}"),
        }
    }

    /// Asks the node; its errors are answers.
    pub fn ask(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.try_call(method, params).expect("an answer")
    }

    /// As [`Node::ask`], and the outer error says that no node answered, or one that is not ready.
    fn try_call(&self, method: &str, params: Value) -> io::Result<Result<Value, RpcError>> {
        let body = json!({"id": 0, "method": method, "params": params});
        let answer = outcome(self.post(&body)?);
        match answer {
            // In warm-up.
            Err(RpcError { code: -28, message }) => Err(io::Error::other(message)),
            answer => Ok(answer),
        }
    }

    fn post(&self, body: &Value) -> io::Result<Value> {
        let login = std::fs::read_to_string(self.cookie_file())?;
        let place = Place::parse(&self.url()).map_err(io::Error::other)?;
        let body = body.to_string();
        let answer = once(&place, Some(login.trim()), "POST", body.as_bytes(), PATIENCE);
        let answer = answer.map_err(io::Error::other)?;
        serde_json::from_slice(&answer.body).map_err(|_| {
            io::Error::other(format!(
                "{}: {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            ))
        })
    }

    /// Hands over many blocks (hex) in few requests; all must be taken.
    pub fn feed<'a>(&self, blocks: impl IntoIterator<Item = &'a str>) {
        let blocks: Vec<_> = blocks.into_iter().collect();
        for some in blocks.chunks(BATCH) {
            let call = |block: &&str| json!({"id": 0, "method": "submitblock", "params": [block]});
            let answers = self.post(&some.iter().map(call).collect()).expect("an answer");
            for answer in answers.as_array().expect("a batch of answers") {
                let result = outcome(answer.clone()).expect("a verdict");
                assert!(result.is_null(), "the node says {result}");
            }
        }
    }

    /// Identity of the tip, as people write it.
    pub fn tip(&self) -> String {
        self.call("getbestblockhash", json!([])).as_str().expect("text").to_owned()
    }

    /// Height of the tip.
    pub fn height(&self) -> u64 {
        self.call("getblockcount", json!([])).as_u64().expect("a number")
    }

    /// Waits until the tip is `hash`; the node itself tells when. Whether it was in time.
    pub fn wait_for_tip(&self, hash: &str) -> bool {
        let patience_ms = (PATIENCE / 2).as_millis() as u64;
        self.call("waitforblock", json!([hash, patience_ms]))["hash"] == hash
    }

    /// Stops it in order.
    pub fn stop(&mut self) {
        self.call("stop", json!([]));
        if let Some(mut child) = self.child.take() {
            child.wait().expect("it ends");
        }
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child");
            child.wait().expect("it ends");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A test that fails is not made worse by a node that is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn outcome(mut answer: Value) -> Result<Value, RpcError> {
    match &answer["error"] {
        Value::Null => Ok(answer["result"].take()),
        error => Err(RpcError {
            code: error["code"].as_i64().unwrap_or(0),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
        }),
    }
}
