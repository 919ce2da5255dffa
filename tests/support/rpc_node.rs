//! Nodes made up for tests that speak JSON-RPC over HTTP, each in its own manner: one that takes
//! blocks, one that fails, one that hangs; and one that makes blocks for merged mining, as no node
//! of that coin comes as a package.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use broadside::sim::blocks::Unproven;
use broadside::wire::chain::Chain;
use broadside::wire::check::parse_and_check;
use broadside::wire::hash::{BlockHash, hex, unhex};
use serde_json::{Value, json};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a node does with what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As the rules say.
    Right,
    /// An error to every block that asks to be tried again.
    Fails,
    /// This word to every block.
    Refuses(&'static str),
    /// Reads, and never answers.
    Hangs,
}

/// What a node knows and was asked.
#[derive(Default)]
pub struct Memory {
    /// Blocks handed in whole, in order, as hex.
    pub submitted: Vec<String>,
    /// Requests that came, by method.
    pub asked: HashMap<String, u32>,
    /// Blocks that it has made for proofs.
    pub made: HashMap<String, Unproven>,
    /// Blocks that it has, as hex.
    pub blocks: HashMap<String, String>,
    tip: Option<String>,
}

/// A node. Its connections are closed when it is dropped.
pub struct RpcNode {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

struct Shared {
    chain: &'static Chain,
    manner: Manner,
    memory: Mutex<Memory>,
    more: Condvar,
    over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl RpcNode {
    /// Starts a node of `chain` on a free port.
    pub fn start(chain: &'static Chain, manner: Manner) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), chain, manner)
    }

    /// The same where another one has listened before.
    pub fn start_at(address: SocketAddr, chain: &'static Chain, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            chain,
            manner,
            memory: Mutex::default(),
            more: Condvar::new(),
            over: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let listening = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || listen(&listener, &shared)
        });
        Self { address, shared, listening: Some(listening) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Gives it a block that is to be proved.
    pub fn make(&self, unproven: &Unproven) {
        let hash = BlockHash(unproven.hash).to_string();
        self.shared.memory.lock().unwrap().made.insert(hash, unproven.clone());
    }

    /// Waits until what it knows is as wished; returns what `look` gives.
    pub fn wait<T>(&self, what: &str, look: impl Fn(&Memory) -> Option<T>) -> T {
        let memory = self.shared.memory.lock().unwrap();
        let waited = self.shared.more.wait_timeout_while(memory, PATIENCE, |it| look(it).is_none());
        let (memory, _) = waited.unwrap();
        look(&memory).unwrap_or_else(|| panic!("never came to {what}: {:?}", memory.asked))
    }
}

impl Drop for RpcNode {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    for stream in listener.incoming().map_while(Result::ok) {
        let mut open = shared.open.lock().unwrap();
        if shared.over.load(Ordering::Acquire) {
            break;
        }
        open.push(stream.try_clone().unwrap());
        drop(open);
        let shared = Arc::clone(shared);
        threads.push(std::thread::spawn(move || while serve(&stream, &shared).is_some() {}));
    }
    for stream in shared.open.lock().unwrap().drain(..) {
        let _ = stream.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// One request; `None`: the connection is over.
fn serve(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let call: Value = serde_json::from_slice(&body).ok()?;
    let method = call["method"].as_str().unwrap_or_default().to_owned();
    let answer = answer(shared, &method, &call["params"]);
    let mut memory = shared.memory.lock().unwrap();
    *memory.asked.entry(method).or_default() += 1;
    drop(memory);
    shared.more.notify_all();
    if shared.manner == Manner::Hangs {
        // Until one side closes.
        let _ = reader.read(&mut [0]);
        return None;
    }
    let (status, result, error) = match answer {
        Ok(result) => ("200 OK", result, Value::Null),
        Err((code, message)) => {
            ("500 Error", Value::Null, json!({"code": code, "message": message}))
        }
    };
    let text = json!({"result": result, "error": error, "id": call["id"]}).to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    let mut stream = stream;
    stream.write_all((head + &text).as_bytes()).ok()
}

type Told = Result<Value, (i64, &'static str)>;

fn answer(shared: &Shared, method: &str, params: &Value) -> Told {
    let mut memory = shared.memory.lock().unwrap();
    let asked = params[0].as_str().unwrap_or_default().to_owned();
    let unknown = (-5, "Block not found");
    match method {
        "submitblock" => {
            memory.submitted.push(asked.clone());
            if shared.manner == Manner::Fails {
                return Err((-25, "disk full"));
            }
            if let Manner::Refuses(word) = shared.manner {
                return Ok(json!(word));
            }
            take(shared.chain, &mut memory, &asked)
        }
        "createauxblock" => {
            let hash = memory.made.keys().next().ok_or((-10, "no block"))?;
            Ok(json!({"hash": hash, "chainid": 98}))
        }
        "submitauxblock" => {
            let unproven = memory.made.get(&asked).ok_or((-8, "block hash unknown"))?;
            let proof = raw(params[1].as_str().unwrap_or_default()).ok_or((-22, "no hex"))?;
            let whole = hex(&unproven.proven(&proof).raw);
            Ok(json!(take(shared.chain, &mut memory, &whole).is_ok_and(|word| word.is_null())))
        }
        "getblock" => memory.blocks.get(&asked).map(|it| json!(it)).ok_or(unknown),
        "getblockheader" if asked == genesis(shared.chain) => {
            Ok(json!({"height": 0, "bits": "207fffff"}))
        }
        "getblockheader" => {
            let block = memory.blocks.get(&asked).and_then(|it| raw(it)).ok_or(unknown)?;
            let parent = BlockHash(block[4..36].try_into().unwrap()).to_string();
            Ok(json!({"height": 1, "bits": "207fffff", "previousblockhash": parent}))
        }
        "getbestblockhash" => {
            Ok(json!(memory.tip.clone().unwrap_or_else(|| genesis(shared.chain))))
        }
        "getblockcount" => Ok(json!(memory.blocks.len())),
        _ => Err((-32601, "Method not found")),
    }
}

fn genesis(chain: &Chain) -> String {
    BlockHash(chain.genesis_hash).to_string()
}

/// Takes a block that holds by all rules that can be judged without a chain.
fn take(chain: &'static Chain, memory: &mut Memory, digits: &str) -> Told {
    let block = raw(digits).ok_or((-22, "Block decode failed"))?;
    let Ok((_, checked)) = parse_and_check(chain, &block) else {
        return Ok(json!("high-hash"));
    };
    let hash = checked.hash.to_string();
    memory.tip = Some(hash.clone());
    match memory.blocks.insert(hash, digits.to_owned()) {
        Some(_) => Ok(json!("duplicate")),
        None => Ok(Value::Null),
    }
}

fn raw(digits: &str) -> Option<Vec<u8>> {
    let mut raw = vec![0; digits.len() / 2];
    unhex(digits.as_bytes(), &mut raw)?;
    Some(raw)
}
