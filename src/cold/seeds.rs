//! DNS seeds: host names, in the chain's row, that answer with addresses of nodes.
//!
//! They are asked only while hardly anybody is known or connected, and never through a proxy: the
//! question alone would tell who asks. An answer is hearsay like any other, and is bounded.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::gossip::{HeardAddress, judge_seeds};
use super::roster::{Backoff, Chance};
use crate::limits::{
    SEED_ADDRESSES_MAX, SEED_DEADLINE_MS, SEEDS_AT_ONCE, SEEDS_RETRY_MAX_MS, SEEDS_RETRY_MIN_MS,
    SEEDS_WAIT_MS,
};
use crate::wire::chain::Chain;

const DEADLINE: Duration = Duration::from_millis(SEED_DEADLINE_MS);
const WAIT: Duration = Duration::from_millis(SEEDS_WAIT_MS);
const RETRY: Backoff = Backoff::between(SEEDS_RETRY_MIN_MS, SEEDS_RETRY_MAX_MS);

/// What looking up a name comes to.
pub type LookUp<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Looks up host names.
pub trait Resolver: Send + Sync {
    /// The addresses of `name`; at most `most` of them are wanted, one more shows that there were
    /// more.
    fn look_up<'a>(&'a self, name: &'a str, most: usize) -> LookUp<'a>;
}

/// The system's resolver (`getaddrinfo(3)`).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn look_up<'a>(&'a self, name: &'a str, most: usize) -> LookUp<'a> {
        let (name, (reply, answer)) = (name.to_owned(), oneshot::channel());
        // A thread of its own, which nobody waits for: a dead server holds it for half a minute, and
        // must not hold up a stop.
        let thread = std::thread::Builder::new().name("look-up".to_owned()).spawn(move || {
            // The port only makes it a socket address.
            let found = (name.as_str(), 1).to_socket_addrs();
            let ips = found.map(|all| all.map(|at| at.ip()).take(most.saturating_add(1)).collect());
            let _ = reply.send(ips);
        });
        Box::pin(async move {
            thread?;
            answer.await.map_err(io::Error::other)?
        })
    }
}

/// What one seed's answer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeedAnswer {
    /// What is fit to be tried, each address once.
    pub addresses: Vec<HeardAddress>,
    /// Addresses of the answer that are not.
    pub refused: u64,
    /// Whether there were more than are looked at.
    pub is_cut: bool,
}

/// One seed's answer, or one line on why there is none.
#[derive(Debug)]
pub struct Told {
    /// Its number in the chain's row.
    pub seed: u8,
    /// Its name.
    pub name: &'static str,
    /// What it said.
    pub answer: Result<SeedAnswer, String>,
}

impl Told {
    /// The line for the operator's log.
    #[must_use]
    pub fn line(&self) -> String {
        let name = self.name;
        match &self.answer {
            Err(why) => format!("DNS seed {name} does not answer ({why})"),
            Ok(SeedAnswer { addresses, refused, is_cut }) => {
                let mut line = format!("DNS seed {name} named {} addresses", addresses.len());
                if *refused > 0 {
                    line += &format!(", {refused} more can't be nodes of this chain");
                }
                if *is_cut {
                    line += &format!("; only the first {SEED_ADDRESSES_MAX} were looked at");
                }
                line
            }
        }
    }
}

/// Asks the seeds of one chain, some at a time, when it is told to.
pub struct Seeds {
    chain: &'static Chain,
    resolver: Arc<dyn Resolver>,
    /// Those of this round that have not been asked.
    waiting: VecDeque<u8>,
    asking: JoinSet<Told>,
    next: Option<Instant>,
    rounds: u32,
    deadline: Duration,
}

impl Seeds {
    /// The seeds of `chain`. Asks nobody yet.
    #[must_use]
    pub fn new(chain: &'static Chain, resolver: Arc<dyn Resolver>) -> Self {
        let (waiting, asking) = (VecDeque::new(), JoinSet::new());
        Self { chain, resolver, waiting, asking, next: None, rounds: 0, deadline: DEADLINE }
    }

    /// Peers are few, or `is_urgent`: nobody is known. Asks the next seeds once that has been so for
    /// long enough. When the last of a round was asked, the next round waits, longer each time.
    pub(in crate::cold) fn want(
        &mut self,
        is_urgent: bool,
        now: Instant,
        now_s: u64,
        chance: &mut Chance,
    ) {
        let count = u8::try_from(self.chain.dns_seeds.len()).unwrap_or(u8::MAX);
        if count == 0 || !self.asking.is_empty() {
            return;
        }
        let first = if is_urgent { now } else { now + WAIT };
        if now < *self.next.get_or_insert(first) {
            return;
        }
        if self.waiting.is_empty() {
            let mut order: Vec<u8> = (0..count).collect();
            chance.shuffle(&mut order);
            self.waiting = order.into();
        }
        for _ in 0..SEEDS_AT_ONCE {
            let Some(seed) = self.waiting.pop_front() else { break };
            self.ask(seed, now_s);
        }
        self.next = Some(if self.waiting.is_empty() {
            self.rounds = self.rounds.saturating_add(1);
            now + RETRY.wait(self.rounds, chance)
        } else {
            now + WAIT
        });
    }

    /// Peers are not few any more. The wait for the next round stays what it is.
    pub fn settle(&mut self) {
        if self.rounds == 0 && self.waiting.is_empty() {
            self.next = None;
        }
    }

    fn ask(&mut self, seed: u8, now_s: u64) {
        let Some(name) = self.chain.dns_seeds.get(usize::from(seed)).copied() else {
            return;
        };
        let (chain, resolver, deadline) = (self.chain, Arc::clone(&self.resolver), self.deadline);
        self.asking.spawn(async move {
            let looked = resolver.look_up(name, SEED_ADDRESSES_MAX);
            let found = timeout(deadline, looked).await;
            let answer = match found {
                Ok(Ok(found)) => Ok(sift(&found, chain, now_s)),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("not within {} ms", deadline.as_millis())),
            };
            Told { seed, name, answer }
        });
    }

    /// Waits for the next answer; for ever while nobody is asked.
    pub async fn told(&mut self) -> Told {
        loop {
            match self.asking.join_next().await {
                Some(Ok(told)) => return told,
                // A look-up that panicked is one that did not answer.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}

/// What of an answer is fit to be tried.
fn sift(found: &[IpAddr], chain: &Chain, now_s: u64) -> SeedAnswer {
    let mut answer =
        SeedAnswer { is_cut: found.len() > SEED_ADDRESSES_MAX, ..SeedAnswer::default() };
    for ip in found.iter().take(SEED_ADDRESSES_MAX) {
        match judge_seeds(*ip, chain, now_s) {
            Ok(heard) if answer.addresses.iter().any(|it| it.address == heard.address) => {}
            Ok(heard) => answer.addresses.push(heard),
            Err(_) => answer.refused += 1,
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use super::*;
    use crate::wire::chain::{self, Network};

    /// Answers from a table; names that are not in it hang.
    #[derive(Default)]
    struct Table {
        answers: HashMap<&'static str, Result<Vec<IpAddr>, io::ErrorKind>>,
        asked: Mutex<Vec<String>>,
    }

    impl Resolver for Table {
        fn look_up<'a>(&'a self, name: &'a str, _most: usize) -> LookUp<'a> {
            self.asked.lock().unwrap().push(name.to_owned());
            Box::pin(async move {
                match self.answers.get(name) {
                    Some(Ok(found)) => Ok(found.clone()),
                    Some(Err(kind)) => Err((*kind).into()),
                    None => std::future::pending().await,
                }
            })
        }
    }

    /// A public chain with many seeds.
    fn row() -> &'static Chain {
        chain::all().max_by_key(|row| row.dns_seeds.len()).unwrap()
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn private_networks_have_no_seeds_and_public_ones_have() {
        for row in chain::all() {
            assert_eq!(row.dns_seeds.is_empty(), row.network == Network::Regtest, "{}", row.name);
        }
    }

    #[test]
    fn lies_are_sifted_out_and_an_endless_answer_is_cut() {
        let row = row();
        let lies = ["127.0.0.1", "10.0.0.1", "0.0.0.0", "::1", "fe80::1", "224.0.0.1"];
        let found = [ips(&lies), ips(&["8.8.4.4", "::ffff:8.8.4.4", "2a01:4f8::1"])].concat();
        let answer = sift(&found, row, 1_800_000_000);
        assert_eq!((answer.addresses.len(), answer.refused, answer.is_cut), (2, 6, false));
        let first = answer.addresses[0];
        assert_eq!((first.address.port(), first.services), (row.p2p_port, 0));
        assert_eq!(first.last_seen_s, 1_800_000_000 - 3 * 86_400);
        let many: Vec<IpAddr> =
            (0..10_000_u32).map(|it| IpAddr::from((0x0808_0000 + it).to_be_bytes())).collect();
        let answer = sift(&many, row, 1_800_000_000);
        assert_eq!((answer.addresses.len(), answer.is_cut), (SEED_ADDRESSES_MAX, true));
        let told = Told { seed: 0, name: "seed.example", answer: Ok(answer) };
        assert_eq!(
            told.line(),
            "DNS seed seed.example named 256 addresses; only the first 256 were looked at"
        );
    }

    #[tokio::test]
    async fn seeds_are_asked_some_at_a_time_and_a_dead_one_holds_up_nobody() {
        let row = row();
        let count = row.dns_seeds.len();
        assert!(count > 2 * SEEDS_AT_ONCE, "the test needs three goes");
        let mut table = Table::default();
        for (at, name) in row.dns_seeds.iter().enumerate() {
            match at % 3 {
                0 => drop(table.answers.insert(name, Ok(ips(&["8.8.8.8"])))),
                1 => drop(table.answers.insert(name, Err(io::ErrorKind::NotFound))),
                _ => {}
            }
        }
        let table = Arc::new(table);
        let mut seeds = Seeds::new(row, Arc::clone(&table) as Arc<dyn Resolver>);
        seeds.deadline = Duration::from_millis(20);
        let (mut chance, mut now) = (Chance::seeded(7), Instant::now());
        let mut answers = [0; 3];
        while answers.iter().sum::<usize>() < count {
            seeds.want(true, now, 0, &mut chance);
            assert!(seeds.asking.len() <= SEEDS_AT_ONCE);
            if seeds.asking.is_empty() {
                now += Duration::from_secs(1);
                continue;
            }
            let told = seeds.told().await;
            assert_eq!(row.dns_seeds[usize::from(told.seed)], told.name);
            match told.answer {
                Ok(answer) => answers[0] += answer.addresses.len(),
                Err(why) if why.contains("within 20 ms") => answers[2] += 1,
                Err(_) => answers[1] += 1,
            }
        }
        assert_eq!(answers, [count.div_ceil(3), (count + 1) / 3, count / 3]);
        // All were asked: the next round is a long way off.
        for second in 0..300 {
            seeds.want(true, now + Duration::from_secs(second), 0, &mut chance);
        }
        assert_eq!(table.asked.lock().unwrap().len(), count);
        seeds.want(false, now + Duration::from_secs(601), 0, &mut chance);
        seeds.told().await;
        assert_eq!(table.asked.lock().unwrap().len(), count + SEEDS_AT_ONCE);
    }

    #[tokio::test]
    async fn others_may_find_peers_first() {
        let table = Arc::new(Table::default());
        let mut seeds = Seeds::new(row(), Arc::clone(&table) as Arc<dyn Resolver>);
        let (mut chance, now) = (Chance::seeded(7), Instant::now());
        seeds.want(false, now, 0, &mut chance);
        seeds.want(false, now + WAIT / 2, 0, &mut chance);
        seeds.settle();
        seeds.want(false, now + WAIT, 0, &mut chance);
        assert!(seeds.asking.is_empty(), "there were enough in between");
        seeds.want(false, now + 2 * WAIT, 0, &mut chance);
        assert_eq!(seeds.asking.len(), SEEDS_AT_ONCE);
    }
}
