//! A real node on regtest: a folder and ports of its own, nobody connected. It ends with this process.

use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};

use super::super::BenchError;
use super::super::client::http_answer;
use crate::sys::process;
use crate::wire::chain::Chain;

/// How long a node may take to answer after its start, and to be connected.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How often that is looked at: a node tells only those who ask.
const MOMENT: Duration = Duration::from_millis(20);
/// Starts of a node that ends at once: between our look and its start others can take its ports.
const STARTS_MAX: u32 = 5;
/// How long any other answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the node of a chain is called: the chain's name and a d.
pub(super) fn program_name(chain: &str) -> String {
    format!("{chain}d")
}

/// The first line that the program says of itself.
///
/// # Errors
/// It is not there.
pub(super) fn version(program: &str) -> Result<String, BenchError> {
    let said = Command::new(program).arg("-version").stdin(Stdio::null()).output();
    let said = said.map_err(|error| {
        BenchError::Lacking(format!(
            "{program} can't be run ({error}): this bench measures real nodes; install it, or name \
             another chain (--chain)"
        ))
    })?;
    let text = String::from_utf8_lossy(&said.stdout);
    Ok(text.lines().next().unwrap_or(program).trim().to_owned())
}

/// One node. Ended when this is dropped.
pub(super) struct Daemon {
    program: String,
    folder: PathBuf,
    p2p: SocketAddr,
    rpc: SocketAddr,
    child: Child,
}

impl Daemon {
    /// Starts one in `folder`, which it makes.
    pub(super) fn start(chain: &Chain, folder: PathBuf) -> Result<Self, BenchError> {
        let program = program_name(chain.name);
        std::fs::create_dir(&folder)?;
        let (p2p, rpc) = free_addresses()?;
        let child = spawn(&program, &folder, p2p, rpc)?;
        Ok(Self { program, folder, p2p, rpc, child })
    }

    pub(super) const fn p2p(&self) -> SocketAddr {
        self.p2p
    }

    pub(super) const fn rpc(&self) -> SocketAddr {
        self.rpc
    }

    /// `user:password` of its RPC.
    pub(super) fn login(&self) -> io::Result<String> {
        let cookie = std::fs::read_to_string(self.folder.join("regtest/.cookie"))?;
        Ok(cookie.trim().to_owned())
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.join("output")).unwrap_or_default()
    }

    fn fault(&self, why: impl ToString) -> BenchError {
        BenchError::Program { program: self.program.clone(), why: why.to_string() }
    }

    /// Waits until it answers. One that ends instead is started again, with other ports.
    pub(super) fn wait_until_ready(&mut self) -> Result<(), BenchError> {
        let end = Instant::now() + START_PATIENCE;
        let mut starts = 1;
        while self.ask("getblockcount", &json!([]), PATIENCE).is_err() {
            if self.child.try_wait()?.is_some() {
                if starts == STARTS_MAX {
                    return Err(self.fault(format!("it ends at its start: {}", self.said())));
                }
                starts += 1;
                (self.p2p, self.rpc) = free_addresses()?;
                self.child = spawn(&self.program, &self.folder, self.p2p, self.rpc)?;
            }
            if Instant::now() > end {
                return Err(self.fault(format!("it does not answer: {}", self.said())));
            }
            std::thread::sleep(MOMENT);
        }
        Ok(())
    }

    /// Waits until it has so many connections whose handshakes are done.
    pub(super) fn wait_for_connections(&self, count: usize) -> Result<(), BenchError> {
        self.until("its neighbours did not connect", || {
            let peers = self.ask("getpeerinfo", &json!([]), PATIENCE).unwrap_or_default();
            let peers = peers.as_array().map(Vec::as_slice).unwrap_or_default();
            peers.iter().filter(|peer| peer["version"].as_u64() > Some(0)).count() >= count
        })
    }

    fn until(&self, why: &str, reached: impl Fn() -> bool) -> Result<(), BenchError> {
        let end = Instant::now() + START_PATIENCE;
        while !reached() {
            if Instant::now() > end {
                return Err(self.fault(format!("{why}: {}", self.said())));
            }
            std::thread::sleep(MOMENT);
        }
        Ok(())
    }

    /// Has it connect to `address`.
    pub(super) fn connect(&self, address: SocketAddr) -> Result<(), BenchError> {
        let asked = self.ask("addnode", &json!([address.to_string(), "onetry"]), PATIENCE);
        asked.map(drop).map_err(|error| self.fault(error))
    }

    /// Waits until its tip is `hash`: the node itself tells, at once.
    pub(super) fn wait_for_tip(&self, hash: &str, patience: Duration) -> Result<(), BenchError> {
        let wait_ms = patience.as_millis() as u64;
        let answer = self.ask("waitforblock", &json!([hash, wait_ms]), patience + PATIENCE);
        match answer {
            Ok(tip) if tip["hash"] == hash => Ok(()),
            Ok(tip) => Err(self.fault(format!("its tip is {tip}, not the block"))),
            Err(error) => Err(self.fault(error)),
        }
    }

    fn ask(&self, method: &str, params: &Value, patience: Duration) -> io::Result<Value> {
        let body = json!({"id": 0, "method": method, "params": params}).to_string();
        let login = base64::engine::general_purpose::STANDARD.encode(self.login()?);
        let mut stream = TcpStream::connect_timeout(&self.rpc, patience)?;
        stream.set_read_timeout(Some(patience))?;
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {login}\r\nContent-Length: \
             {}\r\n\r\n",
            self.rpc,
            body.len()
        );
        stream.write_all((head + &body).as_bytes())?;
        let mut answer: Value = serde_json::from_slice(&http_answer(&mut stream)?)?;
        match answer["error"].is_null() {
            true => Ok(answer["result"].take()),
            false => Err(io::Error::other(answer["error"].to_string())),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Gone already, or ours to bury.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &str, folder: &Path, p2p: SocketAddr, rpc: SocketAddr) -> io::Result<Child> {
    let output = File::create(folder.join("output"))?;
    let mut command = Command::new(program);
    command
        .args(["-regtest", "-server", "-listen", "-connect=0", "-dnsseed=0", "-discover=0"])
        .args(["-listenonion=0", "-par=1", "-dbcache=16", "-maxmempool=50"])
        .args(["-rpcallowip=127.0.0.1", "-rpcworkqueue=64", "-printtoconsole=0"])
        .arg(format!("-datadir={}", folder.display()))
        .arg(format!("-bind={p2p}"))
        .arg(format!("-port={}", p2p.port()))
        .arg(format!("-rpcbind={rpc}"))
        .arg(format!("-rpcport={}", rpc.port()))
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    process::bind_to_parent(&mut command);
    command.spawn()
}

/// Two addresses that nobody listens on now, on a loopback address of their own: the ports that the
/// kernel deals out meanwhile are another's.
fn free_addresses() -> io::Result<(SocketAddr, SocketAddr)> {
    let chance = getrandom::u32().map_err(|error| io::Error::other(error.to_string()))?;
    let [_, high, middle, low] = chance.to_be_bytes();
    let host = Ipv4Addr::new(127, high.clamp(1, 254), middle, low.clamp(1, 254));
    let (one, two) = (TcpListener::bind((host, 0))?, TcpListener::bind((host, 0))?);
    Ok((one.local_addr()?, two.local_addr()?))
}
