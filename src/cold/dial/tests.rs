//! The dialler against simulated peers of every manner.

use socket2::SockRef;

use super::fake::{FakePeer, Manner, Reserved, row};
use super::*;
use crate::limits::{
    KEEPALIVE_IDLE_MS, KEEPALIVE_INTERVAL_MS, KEEPALIVE_PROBES_MAX, USER_TIMEOUT_MS,
};
use crate::wire::frame::frame;

fn settings() -> DialSettings {
    DialSettings::new(row(), "/broadside-test:1/".into())
}

async fn word_of(manner: Manner) -> &'static str {
    let peer = FakePeer::start(manner).await;
    dial(peer.address, &settings(), 1).await.unwrap_err().word()
}

#[tokio::test]
async fn a_polite_peer_is_greeted_and_handed_over_at_a_boundary() {
    for manner in [Manner::Polite, Manner::Slow, Manner::Chatty] {
        let peer = FakePeer::start(manner.clone()).await;
        let dialled = dial(peer.address, &settings(), 1).await.unwrap();
        assert_eq!(dialled.facts.user_agent, "/fake:1.0/", "{manner:?}");
        assert_eq!(dialled.facts.start_height, 123);
        peer.wait_greeted(1).await;
        let (mut theirs, _) = peer.take_streams().pop().unwrap();
        theirs.write_all(&frame(row().magic, "ping", &[9; 8])).await.unwrap();
        // Whatever was not read during the handshake comes as whole messages.
        let stream = std::net::TcpStream::from(dialled.socket);
        let mut stream = TcpStream::from_std(stream).unwrap();
        let (mut seen, mut input) = (Vec::new(), [0; 1_024]);
        while !seen.ends_with(&[9; 8]) {
            let length = stream.read(&mut input).await.unwrap();
            assert!(length > 0);
            seen.extend_from_slice(&input[..length]);
        }
        assert_eq!(seen[..4], row().magic, "{manner:?}");
    }
}

#[tokio::test]
async fn we_say_what_keeps_us_welcome_and_unasked() {
    let peer = FakePeer::start(Manner::Polite).await;
    let _dialled = dial(peer.address, &settings(), 1).await.unwrap();
    peer.wait_greeted(1).await;
    let (mut theirs, facts) = peer.take_streams().pop().unwrap();
    assert_eq!((facts.services, facts.relay), (0, false));
    assert_eq!(facts.version, row().protocol_version);
    assert_eq!(facts.user_agent, "/broadside-test:1/");
    let mut compact = facts.compact;
    if compact.is_empty() {
        // It came after the verack had been read.
        let mut said = [0; 24 + 9];
        theirs.read_exact(&mut said).await.unwrap();
        assert_eq!(&said[4..13], b"sendcmpct");
        compact.push((said[24] != 0, u64::from_le_bytes(said[25..].try_into().unwrap())));
    }
    assert_eq!(compact, [(false, row().compact_version)]);
}

#[tokio::test]
async fn the_socket_is_bare_non_blocking_and_guarded() {
    let peer = FakePeer::start(Manner::Polite).await;
    let socket = dial(peer.address, &settings(), 1).await.unwrap().socket;
    let options = SockRef::from(&socket);
    assert!(options.tcp_nodelay().unwrap() && options.keepalive().unwrap());
    let ms = Duration::from_millis;
    assert_eq!(options.tcp_keepalive_time().unwrap(), ms(KEEPALIVE_IDLE_MS));
    assert_eq!(options.tcp_keepalive_interval().unwrap(), ms(KEEPALIVE_INTERVAL_MS));
    assert_eq!(options.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES_MAX);
    assert_eq!(options.tcp_user_timeout().unwrap(), Some(ms(USER_TIMEOUT_MS)));
    assert!(options.nonblocking().unwrap());
}

#[tokio::test]
async fn what_is_wrong_with_a_peer_has_a_word() {
    assert_eq!(word_of(Manner::Closes).await, "closed-early");
    assert_eq!(word_of(Manner::Mirror).await, "self");
    assert_eq!(word_of(Manner::Serves(0)).await, "no-blocks-served");
    assert_eq!(
        word_of(Manner::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).await,
        "garbage"
    );
    let other = chain::all().find(|other| other.magic != row().magic).unwrap();
    let foreign = frame(other.magic, "version", &[0; 100]);
    assert_eq!(word_of(Manner::Says(foreign)).await, "wrong-network");
    // A version that ends in the middle, and a message of four gigabytes.
    assert_eq!(word_of(Manner::Says(frame(row().magic, "version", &[1; 20]))).await, "garbage");
    let mut endless = frame(row().magic, "version", &[]);
    endless[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(word_of(Manner::Says(endless)).await, "garbage");
    let mut old = frame(row().magic, "version", &[0; 86]);
    old[24..28].copy_from_slice(&1i32.to_le_bytes());
    let old = frame(row().magic, "version", &old[24..]);
    assert_eq!(word_of(Manner::Says(old)).await, "too-old");
}

#[tokio::test]
async fn an_endless_greeting_is_cut_off() {
    let pings = frame(row().magic, "ping", &[0; 8]).repeat(20_000);
    assert_eq!(word_of(Manner::Says(pings)).await, "garbage");
}

#[tokio::test]
async fn nobody_there_is_refused() {
    let reserved = Reserved::new();
    let error = dial(reserved.address(), &settings(), 1).await.unwrap_err();
    assert_eq!(error.word(), "refused");
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let peer = FakePeer::start(Manner::Silent).await;
    let settings = DialSettings { deadline: Duration::from_millis(50), ..settings() };
    assert_eq!(dial(peer.address, &settings, 1).await.unwrap_err().word(), "timeout");
}

#[tokio::test]
async fn the_operators_own_need_not_serve_blocks() {
    let peer = FakePeer::start(Manner::Serves(0)).await;
    let settings = DialSettings { must_serve_blocks: false, ..settings() };
    assert!(dial(peer.address, &settings, 1).await.is_ok());
}
