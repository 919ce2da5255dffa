//! What the statistics say of further endpoints and of merged mining.

use serde_json::{Value, json};

use super::state::HttpChain;
use crate::cold::node::endpoint::Endpoint;
use crate::cold::stats::ChainTotals;

/// `{configured, verdicts, each}`: sums, and what is known of each endpoint.
pub(super) fn told(chain: &HttpChain, totals: &ChainTotals) -> Value {
    let each: Vec<Value> = chain.endpoints.iter().map(Endpoint::to_json).collect();
    json!({"configured": each.len(), "verdicts": totals.endpoint_verdicts.to_json(),
           "each": each})
}

/// What became of the proofs handed in; null where the chain takes none.
pub(super) fn merged(chain: &HttpChain) -> Value {
    chain.merged.as_ref().map_or(Value::Null, |counts| counts.to_json())
}

/// Endpoints that would not take a block now, each in a sentence.
pub(super) fn issues(chain: &HttpChain) -> impl Iterator<Item = String> {
    chain.endpoints.iter().filter_map(|endpoint| {
        let why = endpoint.trouble()?;
        Some(format!("the endpoint {}: {why}", endpoint.url()))
    })
}

/// Blocks that ended at an endpoint without a verdict.
pub(super) fn lost(chain: &HttpChain) -> u64 {
    chain.endpoints.iter().map(Endpoint::lost).sum()
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::cold::node::NodeAuth;
    use crate::cold::node::fake::FakeNode;
    use crate::edge::intake::desk::aux::tests::{bench, chains, share};
    use crate::edge::intake::desk::{Answer, HandOver};

    async fn submit(bench: &crate::edge::intake::desk::testing::Bench, raw: &[u8]) -> Answer {
        let raw = raw.to_vec().into();
        let block = HandOver { chain_index: 1, raw, hex: None, first_byte_ns: 1, last_byte_ns: 2 };
        bench.desk.submit(block).await
    }

    /// Goal: what one endpoint does is told of that one alone.
    #[tokio::test]
    async fn each_endpoint_has_figures_of_its_own() {
        let (parent, aux) = (FakeNode::start().await, FakeNode::start().await);
        let (willing, away) = (FakeNode::start().await, FakeNode::start().await);
        let clients = vec![willing.client(NodeAuth::None), away.client(NodeAuth::None)];
        away.kill().await;
        let bench = bench(&parent, &aux, clients);
        let chain = HttpChain {
            chain: chains().0,
            tip: None,
            endpoints: bench.desk.endpoints(1),
            merged: bench.desk.aux_counts(1),
            roster: tokio::sync::watch::Sender::default().subscribe(),
            templates: None,
            locks: None,
        };
        let answer = submit(&bench, &share(1).aux.raw).await;
        assert!(answer.published.is_some(), "{answer:?}");
        let told_now = || told(&chain, &bench.desk.log().totals(1));
        while told_now()["each"][0]["verdicts"]["accepted"] != 1
            || told_now()["each"][1]["troubles"]["unreachable"].as_u64() < Some(3)
        {
            tokio::task::yield_now().await;
        }
        let each = told_now()["each"].clone();
        assert_eq!((&each[0]["blocks"], &each[0]["waiting"]), (&json!(1), &json!(0)));
        assert_eq!((&each[1]["blocks"], &each[1]["waiting"]), (&json!(1), &json!(1)));
        assert_eq!((&each[0]["breaker"], &each[1]["breaker"]), (&json!("closed"), &json!("open")));
        let issues: Vec<String> = issues(&chain).collect();
        assert!(issues.len() == 1 && issues[0].contains("cannot connect"), "{issues:?}");
        let rows: Vec<Value> = answer.legs.iter().map(|leg| leg.to_json()).collect();
        assert_eq!((&rows[0]["own"], &rows[0]["verdict"]), (&json!(true), &json!("accepted")));
        assert_eq!(
            (&rows[1]["state"], &rows[1]["verdict"]),
            (&json!("answered"), &json!("accepted"))
        );
        assert_eq!((&rows[2]["verdict"], &rows[2]["own"]), (&Value::Null, &json!(false)));
        assert_eq!((merged(&chain)["accepted"].as_u64(), lost(&chain)), (Some(0), 0));
    }
}
