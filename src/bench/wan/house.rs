//! The pool's own node, made up: its tip is whatever block it was handed last. An engine warms its
//! connections with the tip.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::limits::RPC_BODY_BYTES_MAX;
use crate::sim::blocks::MadeBlock;
use crate::wire::chain::Chain;
use crate::wire::hash::{BlockHash, hex, unhex};

#[derive(Debug)]
struct Tip {
    hash: BlockHash,
    digits: Arc<str>,
}

/// The running node, on a thread of its own. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct House {
    url: String,
    _runtime: Runtime,
}

impl House {
    /// Starts it in the calling thread's network, with `tip` as its tip.
    pub(super) fn start(chain: &'static Chain, tip: &MadeBlock) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_name("house")
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let tip = Tip { hash: BlockHash(tip.hash), digits: hex(&tip.raw).into() };
        let tip = Arc::new(Mutex::new(tip));
        let serve = move |body: Bytes| {
            let answer = answer(chain, &tip, &body);
            async move { answer.to_string() }
        };
        let limit = DefaultBodyLimit::max(RPC_BODY_BYTES_MAX as usize);
        let router = Router::new().route("/", post(serve)).layer(limit);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, _runtime: runtime })
    }

    /// Where its RPC is; no password.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

fn answer(chain: &Chain, tip: &Mutex<Tip>, body: &[u8]) -> Value {
    let Ok(call) = serde_json::from_slice::<Value>(body) else {
        return json!({"result": null, "error": {"code": -32700, "message": "no JSON"}, "id": null});
    };
    let mut tip = tip.lock().unwrap_or_else(PoisonError::into_inner);
    let result = match call["method"].as_str() {
        Some("getbestblockhash") => json!(tip.hash.to_string()),
        Some("getblockcount") => json!(1),
        // It knows every block: what is measured is not the search for parents.
        Some("getblockheader") => {
            json!({"height": 1, "bits": format!("{:08x}", chain.pow_limit_bits)})
        }
        Some("getblock") => json!(*tip.digits),
        Some("submitblock") => {
            let digits = call["params"][0].as_str().unwrap_or_default();
            let mut header = [0; 80];
            let front = digits.as_bytes().get(..160).unwrap_or_default();
            if unhex(front, &mut header).is_some() {
                *tip = Tip { hash: chain.identity_hash(&header), digits: digits.into() };
            }
            Value::Null
        }
        _ => Value::Null,
    };
    json!({"result": result, "error": null, "id": call["id"]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::blocks::BlockMaker;
    use crate::wire::chain::{Network, find, names};

    #[test]
    fn its_tip_is_what_it_was_handed_last() {
        let chain = find(names()[0], Network::Regtest).unwrap();
        let mut maker = BlockMaker::new(chain, 1, 1_700_000_000);
        let (one, two) = (maker.next(1_000).unwrap(), maker.next(1_000).unwrap());
        let tip = Mutex::new(Tip { hash: BlockHash(one.hash), digits: hex(&one.raw).into() });
        let ask = |method: &str, params: Value| {
            let call = json!({"id": 7, "method": method, "params": params}).to_string();
            answer(chain, &tip, call.as_bytes())
        };
        let best = BlockHash(one.hash).to_string();
        assert_eq!(ask("getbestblockhash", json!([]))["result"], best);
        let taken = ask("submitblock", json!([hex(&two.raw)]));
        assert_eq!(taken, json!({"result": null, "error": null, "id": 7}));
        let best = BlockHash(two.hash).to_string();
        assert_eq!(ask("getbestblockhash", json!([]))["result"], best);
        assert_eq!(ask("getblock", json!([best, 0]))["result"], hex(&two.raw));
        assert!(answer(chain, &tip, b"x")["error"]["code"].is_i64());
    }
}
