//! Shared memory as a pool sees it: the C header, the examples, and pools that behave badly.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "fails by panicking")]

mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use broadside::edge::engine::Engine;
use broadside::edge::intake::shared::layout::{self, Code};
use broadside::edge::intake::shared::{self, SharedClient};
use broadside::hot::spawn::Backend;
use broadside::limits::{
    BLOCK_BYTES_MAX, SHARED_HEADER_BYTES, SHARED_SESSION_BYTES, SHARED_SESSIONS_MAX,
};
use broadside::sim::blocks::{BlockMaker, MadeBlock};
use broadside::sim::loopback::{Keep, Loopback};
use broadside::sys::passing::receive_with;
use broadside::wire::frame::frame;
use broadside::wire::hash::BlockHash;
use support::engine::{PATIENCE, chain, connected, maker, peers, settings};
use tempfile::TempDir;

const PEERS: usize = 5;

/// Runs `work`, which waits, where it keeps nobody from running.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// An engine with peers, its socket, and the maker of its blocks.
struct World {
    folder: TempDir,
    loopback: Loopback,
    engine: Engine,
    socket: PathBuf,
    maker: BlockMaker,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let loopback = peers(Vec::new(), PEERS, Keep::Bytes);
        let socket = folder.path().join("intake.sock");
        let mut told = settings(&folder, Backend::Auto, &loopback);
        told.unix = Some(socket.clone());
        let engine = Engine::start(told).await.unwrap();
        connected(&engine, PEERS as u32).await;
        Self { folder, loopback, engine, socket, maker: maker() }
    }

    /// Stops it; every peer has had these blocks byte for byte, and nothing else.
    async fn end(self, blocks: &[MadeBlock]) {
        for block in blocks {
            let arrivals = self.loopback.wait_for(block.hash, PEERS, PATIENCE);
            assert_eq!(arrivals.times_ns().len(), PEERS);
        }
        self.engine.stop().await;
        for peer in 0..PEERS {
            let connections = self.loopback.kept(peer);
            assert_eq!(connections.len(), 1, "peer {peer} was connected once");
            let mut rest = connections[0].len();
            for block in blocks {
                let reference = frame(chain().magic, "block", &block.raw);
                let found = connections[0].windows(reference.len()).filter(|it| *it == reference);
                assert_eq!(found.count(), 1, "peer {peer}");
                rest -= reference.len();
            }
            // One sendcmpct (33 bytes) ends the handshake; then there are pings and nothing else.
            assert_eq!((rest - 33) % 32, 0, "peer {peer}");
        }
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

/// Compiles a C program against the header; `None`, said loudly, where there is no compiler.
fn compiled(folder: &Path, source: &Path, name: &str) -> Option<PathBuf> {
    let program = folder.join(name);
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    command.arg("-I").arg(top().join("include")).arg("-o").arg(&program).arg(source);
    match command.output() {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {errors}", source.display());
            Some(program)
        }
        Err(error) => {
            skipped(&format!("cc can't be run ({error}): install gcc to test the C header"));
            None
        }
    }
}

fn output(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8(text).unwrap())
}

/// Each line of the header's own numbers: an expression in C, and what it is in Rust.
fn numbers() -> Vec<(String, u64)> {
    let offsets = [
        ("magic", 0),
        ("version", layout::VERSION_AT),
        ("header_bytes", layout::HEADER_BYTES_AT),
        ("capacity_bytes", layout::CAPACITY_BYTES_AT),
        ("sequence", layout::SEQUENCE_AT),
        ("rung_sequence", layout::RUNG_SEQUENCE_AT),
        ("written_bytes", layout::WRITTEN_BYTES_AT),
        ("total_bytes", layout::TOTAL_BYTES_AT),
        ("begun_ns", layout::BEGUN_NS_AT),
        ("rung_ns", layout::RUNG_NS_AT),
        ("engine_waits", layout::ENGINE_WAITS_AT),
        ("taken_sequence", layout::TAKEN_SEQUENCE_AT),
        ("answered_sequence", layout::ANSWERED_SEQUENCE_AT),
        ("verdict", layout::VERDICT_AT),
        ("first_byte_ns", layout::FIRST_BYTE_NS_AT),
        ("last_byte_ns", layout::LAST_BYTE_NS_AT),
        ("taken_ns", layout::TAKEN_NS_AT),
        ("published_ns", layout::PUBLISHED_NS_AT),
        ("answered_ns", layout::ANSWERED_NS_AT),
        ("image", layout::IMAGE_AT),
        ("hash", layout::HASH_AT),
        ("word", layout::WORD_AT),
        ("message", layout::MESSAGE_AT),
    ];
    let offset = |(field, at): (&str, usize)| {
        (format!("offsetof(struct broadside_memory, {field})"), at as u64)
    };
    let constants = [
        ("sizeof(struct broadside_memory)", u64::from(SHARED_HEADER_BYTES)),
        ("BROADSIDE_HEADER_BYTES", u64::from(SHARED_HEADER_BYTES)),
        ("BROADSIDE_CAPACITY_BYTES", u64::from(BLOCK_BYTES_MAX)),
        ("BROADSIDE_MEMORY_BYTES", u64::from(SHARED_SESSION_BYTES)),
        ("BROADSIDE_VERSION", u64::from(layout::VERSION)),
        ("BROADSIDE_HASH_BYTES", layout::HASH_BYTES as u64),
        ("BROADSIDE_WORD_BYTES", layout::WORD_BYTES as u64),
        ("BROADSIDE_MESSAGE_BYTES", layout::MESSAGE_BYTES as u64),
        ("BROADSIDE_REPLY_BYTES", shared::REPLY_BYTES as u64),
        ("BROADSIDE_GRANTED", u64::from(shared::GRANTED)),
        ("BROADSIDE_REFUSED", u64::from(shared::REFUSED)),
        ("BROADSIDE_ACCEPTED", Code::Accepted as u64),
        ("BROADSIDE_BLOCK_REFUSED", Code::Refused as u64),
        ("BROADSIDE_UNJUDGED", Code::Unjudged as u64),
        ("BROADSIDE_LOST", Code::Lost as u64),
        ("*(const uint32_t *)BROADSIDE_MAGIC", u32::from_le_bytes(shared::MAGIC).into()),
        ("*(const uint64_t *)BROADSIDE_MEMORY_MAGIC", u64::from_le_bytes(layout::MEMORY_MAGIC)),
    ];
    let constants = constants.map(|(expression, value)| (expression.to_owned(), value));
    offsets.map(offset).into_iter().chain(constants).collect()
}

#[test]
fn the_header_says_what_the_engine_does() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("numbers.c");
    let mut text = String::from("#include \"broadside.h\"\nint main(void)\n{\n");
    for (expression, _) in numbers() {
        text += &format!("    printf(\"%llu\\n\", (unsigned long long)({expression}));\n");
    }
    fs::write(&source, text + "}\n").unwrap();
    let Some(program) = compiled(folder.path(), &source, "numbers") else { return };
    let (_, printed) = output(&mut Command::new(program));
    let found: Vec<u64> = printed.lines().map(|line| line.parse().unwrap()).collect();
    for ((expression, expected), found) in numbers().into_iter().zip(&found) {
        assert_eq!(expected, *found, "{expression}");
    }
    assert_eq!(found.len(), numbers().len());
}

/// Runs one of the examples on a block that peers then have, and on one that is none.
async fn example_on(world: &mut World, command: Vec<String>) -> MadeBlock {
    let block = world.maker.next(1_200_000).unwrap();
    let (good, bad) = (world.folder.path().join("block"), world.folder.path().join("broken"));
    fs::write(&good, &block.raw).unwrap();
    fs::write(&bad, &block.raw[..1_000]).unwrap();
    let (socket, hash) = (world.socket.clone(), BlockHash(block.hash).to_string());
    aside(move || {
        let run = |more: &[&Path]| {
            let mut program = Command::new(&command[0]);
            output(program.args(&command[1..]).args(more))
        };
        let (code, said) = run(&[&socket, &good]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&hash), "{said}");
        assert!(said.contains("verdict    1"), "{said}");
        let published = said.lines().find(|line| line.starts_with("published"));
        assert!(published.is_some_and(|line| line.contains("us from the ring")), "{said}");
        println!("{said}");
        let (code, said) = run(&[&socket, &bad, Path::new("litecoin")]);
        assert_eq!(code, Some(1), "{said}");
        let (code, said) = run(&[&socket, &good, Path::new("no such coin")]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("no chain of this name"), "{said}");
    })
    .await;
    block
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_c_reaches_every_peer() {
    let mut world = World::start().await;
    let source = top().join("examples/handover.c");
    let Some(program) = compiled(world.folder.path(), &source, "handover") else { return };
    let block = example_on(&mut world, vec![program.display().to_string()]).await;
    world.end(&[block]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_python_reaches_every_peer() {
    let version = "import os, socket; os.eventfd_write, socket.recv_fds";
    let python = Command::new("python3").args(["-c", version]).output();
    if !python.is_ok_and(|output| output.status.success()) {
        return skipped("python3 of 3.10 or newer can't be run: install it to test the example");
    }
    if !cfg!(target_arch = "x86_64") {
        return skipped("the example in Python is for x86-64 alone");
    }
    let mut world = World::start().await;
    let program = top().join("examples/handover.py").display().to_string();
    let block = example_on(&mut world, vec!["python3".to_owned(), program]).await;
    world.end(&[block]).await;
}

/// A pool that is killed in the middle of a block.
const KILLED: &str = r#"
#include "broadside.h"
int main(int count, char **arguments)
{
    struct broadside_session session;
    char why[256];
    if (count != 2 || broadside_open(arguments[1], "", &session, why, sizeof why) != 0)
        return 2;
    broadside_begin(&session, 1000000);
    if (broadside_write(&session, arguments[1], strlen(arguments[1])) != 0)
        return 2;
    puts("half");
    fflush(stdout);
    for (;;)
        pause();
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_killed_leaves_nothing_behind() {
    let mut world = World::start().await;
    let source = world.folder.path().join("killed.c");
    fs::write(&source, KILLED).unwrap();
    let Some(program) = compiled(world.folder.path(), &source, "killed") else { return };
    let block = world.maker.next(300_000).unwrap();
    let (socket, raw) = (world.socket.clone(), block.raw.clone());
    aside(move || {
        let killed = (0..SHARED_SESSIONS_MAX).map(|_| {
            let mut command = Command::new(&program);
            let mut child = command.arg(&socket).stdout(Stdio::piped()).spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            (child, line)
        });
        for (mut child, line) in killed.collect::<Vec<_>>() {
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(line, "half\n", "it had its session");
        }
        let until = Instant::now() + PATIENCE;
        let mut pool = loop {
            match SharedClient::open(&socket, "") {
                Ok(pool) => break pool,
                Err(refused) => assert!(Instant::now() < until, "{refused}"),
            }
        };
        pool.begin(None);
        pool.write(&raw).unwrap();
        pool.ring();
        assert_eq!(pool.answer(PATIENCE).unwrap().code, Code::Accepted);
    })
    .await;
    world.end(&[block]).await;
}

/// Goal: what peers get is what was hashed, whatever the pool does to its memory meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_change_after_ringing_change_nothing() {
    let mut world = World::start().await;
    let blocks: Vec<_> = (0..4).map(|_| world.maker.next(1_000_000).unwrap()).collect();
    let (socket, handed) = (world.socket.clone(), blocks.clone());
    aside(move || {
        let mut pool = SharedClient::open(&socket, "").unwrap();
        let spoilt = vec![0xa5; 1_000_000];
        for block in &handed {
            pool.begin(u32::try_from(block.raw.len()).ok());
            block.raw.chunks(50_000).for_each(|piece| pool.write(piece).unwrap());
            pool.ring();
            pool.taken(PATIENCE).unwrap();
            pool.memory().copy_in(SHARED_HEADER_BYTES as usize, &spoilt);
            pool.claim_written(3);
            pool.ring_as(7);
            let answer = pool.answer(PATIENCE).unwrap();
            assert_eq!(
                (answer.code, answer.hash),
                (Code::Accepted, BlockHash(block.hash).to_string())
            );
        }
    })
    .await;
    world.end(&blocks).await;
}

/// The same without the courtesy of waiting: the block may be spoilt before it is read, and then it
/// is refused; no peer ever gets anything but a whole block.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_change_too_early_reach_nobody() {
    let mut world = World::start().await;
    let blocks: Vec<_> = (0..6).map(|_| world.maker.next(500_000).unwrap()).collect();
    let (socket, handed) = (world.socket.clone(), blocks.clone());
    let gone_out = aside(move || {
        let mut pool = SharedClient::open(&socket, "").unwrap();
        let mut gone_out = Vec::new();
        for (block, at) in handed.into_iter().zip([499_000, 100, 250_000, 3, 400_000, 81]) {
            pool.begin(None);
            block.raw.chunks(100_000).for_each(|piece| pool.write(piece).unwrap());
            pool.ring();
            pool.memory().copy_in(SHARED_HEADER_BYTES as usize + at, &[0xa5; 500]);
            let answer = pool.answer(PATIENCE).unwrap();
            match answer.code {
                Code::Accepted => gone_out.push(block),
                Code::Refused | Code::Unjudged => assert_eq!(answer.published_ns, 0, "{answer:?}"),
                Code::Lost => panic!("{answer:?}"),
            }
        }
        gone_out
    })
    .await;
    println!("{} of {} blocks were read before they were spoilt", gone_out.len(), blocks.len());
    world.end(&gone_out).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_keeps_its_size_and_the_socket_its_silence() {
    let world = World::start().await;
    let socket = world.socket.clone();
    aside(move || {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(b"BSM1\0").unwrap();
        let mut reply = [0; shared::REPLY_BYTES];
        let (length, mut descriptors) = receive_with(&stream, &mut reply).unwrap();
        assert_eq!((length, descriptors.len()), (shared::REPLY_BYTES, 3));
        let memory = File::from(descriptors.remove(0));
        assert_eq!(memory.metadata().unwrap().len(), u64::from(SHARED_SESSION_BYTES));
        for bytes in [0, 4_096, 2 * u64::from(SHARED_SESSION_BYTES)] {
            assert!(memory.set_len(bytes).is_err(), "resized to {bytes}");
        }
        stream.write_all(b"hello").unwrap();
        let (length, _) = receive_with(&stream, &mut reply).unwrap();
        assert_eq!(length, shared::REPLY_BYTES);
        let mut said = String::new();
        BufReader::new(stream).read_line(&mut said).unwrap();
        assert!(said.contains("nothing may be sent"), "{said}");
    })
    .await;
    world.end(&[]).await;
}
