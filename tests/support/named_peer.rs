//! A peer that calls itself whatever a test wants, and is otherwise good: it answers every ping.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use broadside::wire::chain::{Chain, SERVICE_NETWORK};
use broadside::wire::frame::{command_is, frame, read_header};
use broadside::wire::handshake::{Handshake, HandshakeSettings, Progress};
use broadside::wire::message::name;

/// The peer. Its connections are closed when it is dropped.
pub struct NamedPeer {
    /// Where it listens.
    pub address: SocketAddr,
    open: Arc<Mutex<Option<Vec<TcpStream>>>>,
    listening: Option<JoinHandle<()>>,
}

impl NamedPeer {
    /// Listens on a free port of this host.
    pub fn start(chain: &'static Chain, user_agent: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(Mutex::new(Some(Vec::new())));
        let listening = std::thread::spawn({
            let open = Arc::clone(&open);
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let mut open = open.lock().unwrap();
                    let Some(open) = open.as_mut() else { return };
                    open.push(stream.try_clone().unwrap());
                    std::thread::spawn(move || serve(stream, chain, user_agent));
                }
            }
        });
        Self { address, open, listening: Some(listening) }
    }
}

impl Drop for NamedPeer {
    fn drop(&mut self) {
        for stream in self.open.lock().unwrap().take().into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

/// Until the connection ends, which is the other side's to do.
fn serve(mut stream: TcpStream, chain: &'static Chain, user_agent: &str) -> io::Result<()> {
    let mut handshake = Handshake::new(HandshakeSettings {
        chain,
        nonce: u64::from(stream.peer_addr()?.port()),
        now_s: 1_700_000_000,
        user_agent: user_agent.to_owned(),
        start_height: 0,
        services: chain.services_wanted | SERVICE_NETWORK,
        relay: true,
        remote: stream.peer_addr()?,
        want_sendcmpct: None,
        initiator: false,
    });
    loop {
        let message = read_message(&mut stream, chain)?;
        match handshake.receive(&message).map_err(io::Error::other)? {
            Progress::NeedsMore { reply } => stream.write_all(&reply)?,
            Progress::Done { reply, .. } => {
                stream.write_all(&reply)?;
                break;
            }
        }
    }
    loop {
        let message = read_message(&mut stream, chain)?;
        let header = read_header(&message, chain.magic, u32::MAX).map_err(io::Error::other)?;
        if header.is_some_and(|header| command_is(&header.command, name::PING)) {
            stream.write_all(&frame(chain.magic, name::PONG, &message[24..]))?;
        }
    }
}

fn read_message(stream: &mut TcpStream, chain: &'static Chain) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 24];
    stream.read_exact(&mut message)?;
    let header = read_header(&message, chain.magic, chain.payload_bytes_max);
    let header = header.map_err(io::Error::other)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    message.resize(24 + header.length as usize, 0);
    stream.read_exact(&mut message[24..])?;
    Ok(message)
}
