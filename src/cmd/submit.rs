//! `broadside submit`: one block to a running engine.

mod print;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::client::{self, Place};
use super::legs::leg_table;
use super::{ConfigArgs, Failure, Outcome};
use crate::cold::node::verdict::{DECODE_FAILED, RpcAnswer, Verdict};
use crate::config::{Config, ConfigError, IntakeLogin};
use crate::edge::intake::shared::layout::Code;
use crate::edge::intake::shared::{SharedAnswer, SharedClient};
use crate::edge::intake::unix;
use crate::limits::{RPC_BODY_BYTES_MAX, SHARED_PIECE_BYTES, SUBMIT_COMMAND_DEADLINE_MS};
use crate::wire::hash::{hex, unhex};
use print::{back_line, peer_table, stage_line};

const PATIENCE: Duration = Duration::from_millis(SUBMIT_COMMAND_DEADLINE_MS);

/// Options of `submit`.
#[derive(Args, Debug)]
pub struct Options {
    /// Where to: http://[USER:PASSWORD@]HOST:PORT of a JSON-RPC intake (or of a node), or the path
    /// of a Unix socket [default: the configuration's Unix socket, else its JSON-RPC port]
    #[arg(long, value_name = "URL|SOCKET")]
    to: Option<String>,
    /// Log in with the line in this file (http only) [default: the configuration's login]
    #[arg(long, value_name = "FILE")]
    cookie_file: Option<PathBuf>,
    /// Which chain, where several are configured [default: the first]
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
    /// Go through shared memory, as a pool that links broadside.h does (Unix socket only): prints
    /// the verdict and the time of each stage
    #[arg(long)]
    shared: bool,
    #[command(flatten)]
    config: ConfigArgs,
    /// The block, raw or in hex; - reads it from standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
}

/// The way to the engine.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Http { place: Place, login: Option<String> },
    Socket(PathBuf),
}

/// Runs the command; `out` is standard output.
///
/// # Errors
/// The block can't be read, or nobody could be asked.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Failure> {
    let raw = block(&read(&options.file)?)?;
    match way(options)? {
        Way::Http { place, .. } if options.shared => Err(Failure(format!(
            "http://{}: --shared goes by the Unix socket; name its path with --to",
            place.host
        ))),
        Way::Socket(path) if options.shared => {
            through_memory(&path, options.chain.as_deref(), &raw, out)
        }
        Way::Http { place, login } => {
            let answer = ask(&place, login.as_deref(), &raw)?;
            conclude(&answer, out)
        }
        Way::Socket(path) => over_socket(&path, options.chain.as_deref(), &raw, out),
    }
}

/// Hands `raw` over by the Unix socket, prints the verdict and a row per peer.
fn over_socket(
    path: &Path,
    chain: Option<&str>,
    raw: &[u8],
    out: &mut impl Write,
) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = unix::hand_over(path, chain.unwrap_or(""), raw);
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await });
    let answer = answer.map_err(|_| {
        Failure(format!("{}: no answer within {} s", path.display(), PATIENCE.as_secs()))
    })??;
    if let Some(hash) = answer["hash"].as_str() {
        writeln!(out, "block {hash}")?;
    }
    let outcome = conclude(&reply(&answer), out);
    if let Some(why) = answer["fault"].as_str() {
        writeln!(out, "not sent to peers as it came: {why}")?;
    }
    if let Some(line) = stage_line(&answer["stages"]) {
        writeln!(out, "{line}")?;
    }
    if let Some(line) = back_line(&answer["confirmation"]) {
        writeln!(out, "{line}")?;
    }
    out.write_all(leg_table(&answer).as_bytes())?;
    out.write_all(peer_table(&answer).as_bytes())?;
    outcome
}

/// Hands `raw` over through shared memory, prints the verdict and when each stage was reached.
fn through_memory(
    path: &Path,
    chain: Option<&str>,
    raw: &[u8],
    out: &mut impl Write,
) -> Result<Outcome, Failure> {
    let mut engine = SharedClient::open(path, chain.unwrap_or(""))?;
    engine.begin(u32::try_from(raw.len()).ok());
    for piece in raw.chunks(SHARED_PIECE_BYTES) {
        engine.write(piece)?;
    }
    engine.ring();
    let answer = engine.answer(PATIENCE)?;
    if !answer.hash.is_empty() {
        writeln!(out, "block {}", answer.hash)?;
    }
    let outcome = match answer.code {
        Code::Accepted => conclude(&told(&answer), out),
        Code::Refused => {
            let why = if answer.word.is_empty() { &answer.message } else { &answer.word };
            writeln!(out, "refused: {why}")?;
            Ok(Outcome::No)
        }
        Code::Unjudged | Code::Lost => Err(Failure(format!("no verdict: {}", answer.message))),
    };
    let stages = [
        ("first byte", answer.first_byte_ns),
        ("taken", answer.taken_ns),
        ("published", answer.published_ns),
        ("answered", answer.answered_ns),
    ];
    for (stage, stage_ns) in stages.into_iter().filter(|(_, stage_ns)| *stage_ns != 0) {
        let from_ring_us = (stage_ns as f64 - answer.last_byte_ns as f64) / 1_000.0;
        writeln!(out, "{stage:10} {from_ring_us:+.1} us from the ring")?;
    }
    outcome
}

/// What `submitblock` would have answered to a block that was accepted.
fn told(answer: &SharedAnswer) -> RpcAnswer {
    let word = Some(answer.word.clone());
    RpcAnswer::Result(word.filter(|word| !word.is_empty() && word != Verdict::Accepted.word()))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let limit = u64::from(RPC_BODY_BYTES_MAX);
    let mut bytes = Vec::new();
    let fail = |error| Failure(format!("{}: can't be read: {error}", file.display()));
    let source: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(file).map_err(fail)?),
    };
    source.take(limit + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > limit {
        return Err(Failure(format!("{}: is longer than any block", file.display())));
    }
    Ok(bytes)
}

/// The raw block in `bytes`, which may be in hex. No block is made of hex digits alone: its version
/// has a byte that is none.
fn block(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Err(Failure("there is no block: the input is empty".to_owned()));
    }
    if !text.iter().all(u8::is_ascii_hexdigit) {
        return Ok(bytes.to_vec());
    }
    let mut raw = vec![0; text.len() / 2];
    unhex(text, &mut raw).ok_or_else(|| {
        Failure("the hex has an odd number of digits: a part is missing".to_owned())
    })?;
    Ok(raw)
}

fn way(options: &Options) -> Result<Way, Failure> {
    // With a place named, a configuration is of use for its login, but need not be there.
    let config = match (options.config.load(), &options.to) {
        (Ok(config), _) => Some(config),
        (Err(ConfigError::NotFound { .. }), Some(_)) => None,
        (Err(error), _) => return Err(error.into()),
    };
    let to = match (&options.to, &config) {
        (Some(to), _) => to.clone(),
        (None, Some(config)) => default_place(config)?,
        (None, None) => return Err(Failure("name a place with --to".to_owned())),
    };
    if !to.contains("://") {
        return Ok(Way::Socket(to.into()));
    }
    let mut place = Place::parse(&to)?;
    if let (Some(chain), "/") = (&options.chain, place.path.as_str()) {
        place.path = format!("/chain/{chain}");
    }
    let login = match &options.cookie_file {
        Some(file) => Some(cookie(file)?),
        None if place.login.is_some() => None,
        // The configuration's login is for the configuration's engine and nobody else.
        None => match config
            .filter(|it| it.intake.rpc.map(|it| it.to_string()).as_ref() == Some(&place.host))
        {
            Some(config) => Some(login_of(&config)?),
            None => None,
        },
    };
    Ok(Way::Http { place, login })
}

fn default_place(config: &Config) -> Result<String, Failure> {
    match (&config.intake.unix, config.intake.rpc) {
        (Some(path), rpc) if path.exists() || rpc.is_none() => Ok(path.display().to_string()),
        (_, Some(address)) => Ok(format!("http://{address}")),
        (_, None) => Err(Failure(format!("{}: both intakes are off", config.file.display()))),
    }
}

/// What to log in with at the JSON-RPC intake of `config`, as `USER:PASSWORD`.
///
/// # Errors
/// The cookie can't be read.
pub(super) fn login_of(config: &Config) -> Result<String, Failure> {
    match &config.intake.login {
        IntakeLogin::Cookie(file) => cookie(file),
        IntakeLogin::Password(it) => Ok(format!("{}:{}", it.user, it.password)),
    }
}

fn cookie(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure(format!(
            "{}: {error}; it is there while the engine runs, for the engine's user only",
            file.display()
        ))
    })?;
    Ok(text.trim().to_owned())
}

/// Calls `submitblock`.
fn ask(place: &Place, login: Option<&str>, raw: &[u8]) -> Result<RpcAnswer, Failure> {
    let hex = hex(raw);
    let call = json!({"jsonrpc": "1.0", "id": "submit", "method": "submitblock", "params": [hex]});
    let answer = client::once(place, login, "POST", call.to_string().as_bytes(), PATIENCE)?;
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match answer.status {
        401 => Err(Failure(format!(
            "{}: the login is refused (401); use --cookie-file, or http://USER:PASSWORD@HOST:PORT",
            place.host
        ))),
        _ if value.get("result").is_some() || value.get("error").is_some() => Ok(reply(&value)),
        status => Err(Failure(format!(
            "{}: HTTP {status} and no answer to submitblock; is this a JSON-RPC port?",
            place.host
        ))),
    }
}

/// What `submitblock` answers, in an object with `result` and `error`.
fn reply(answer: &Value) -> RpcAnswer {
    match (&answer["error"], &answer["result"]) {
        (Value::Object(error), _) => RpcAnswer::Error {
            code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
            message: error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
        },
        (_, Value::String(word)) => RpcAnswer::Result(Some(word.clone())),
        _ => RpcAnswer::Result(None),
    }
}

/// Prints the verdict and says what it means.
fn conclude(answer: &RpcAnswer, out: &mut impl Write) -> Result<Outcome, Failure> {
    let verdict = match answer {
        RpcAnswer::Result(None) => Verdict::Accepted,
        RpcAnswer::Result(Some(word)) => Verdict::from_word(word),
        RpcAnswer::Error { code: DECODE_FAILED, message } => Verdict::Refused(message.clone()),
        RpcAnswer::Error { code, message } => {
            return Err(Failure(format!("no verdict: {message} ({code})")));
        }
    };
    let meaning = match &verdict {
        Verdict::Accepted => "accepted",
        Verdict::Duplicate => "accepted: the node had it already (duplicate)",
        Verdict::Inconclusive | Verdict::DuplicateInconclusive => {
            "accepted: the node keeps it, but it is not the tip (inconclusive)"
        }
        refusal => {
            writeln!(out, "refused: {}", refusal.word())?;
            return Ok(Outcome::No);
        }
    };
    writeln!(out, "{meaning}")?;
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_and_hex_are_told_apart() {
        assert_eq!(block(b" 00ffAB\n").unwrap(), [0, 0xff, 0xab]);
        assert_eq!(block(&[0, 0, 0, 0x20]).unwrap(), [0, 0, 0, 0x20]);
        assert!(block(b"abc").is_err() && block(b" \n").is_err());
    }

    #[test]
    fn verdicts_become_exit_codes() {
        let say = |answer: RpcAnswer| {
            let mut out = Vec::new();
            conclude(&answer, &mut out).map(|outcome| (outcome, String::from_utf8(out).unwrap()))
        };
        let word = |word: &str| RpcAnswer::Result(Some(word.to_owned()));
        assert_eq!(say(RpcAnswer::Result(None)).unwrap(), (Outcome::Done, "accepted\n".into()));
        for good in ["duplicate", "inconclusive"] {
            assert_eq!(say(word(good)).unwrap().0, Outcome::Done);
        }
        for bad in ["high-hash", "duplicate-invalid"] {
            assert_eq!(say(word(bad)).unwrap(), (Outcome::No, format!("refused: {bad}\n")));
        }
        let error = |code| RpcAnswer::Error { code, message: "words".into() };
        assert_eq!(say(error(-22)).unwrap().0, Outcome::No);
        assert!(say(error(-9)).unwrap_err().0.contains("words"));
    }
}
