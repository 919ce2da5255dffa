//! A small SOCKS5 server that notes who asked for what.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What one connection asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// User and password, where it asked for them.
    pub(crate) login: Option<(String, String)>,
    /// `IP:PORT` or `NAME:PORT`.
    pub(crate) target: String,
}

/// What the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Takes any login; connects to this address, to whatever it is asked to that is not on loopback.
    Serves(Option<SocketAddr>),
    /// The same without asking for a login.
    Open,
    /// Answers every request with this code.
    Refuses(u8),
    /// Takes no login.
    WrongPassword,
    /// Is no proxy.
    SaysHttp,
}

/// One of them. Gone with all its connections when dropped.
#[derive(Debug)]
pub(crate) struct FakeProxy {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Drop for FakeProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeProxy {
    pub(crate) async fn start(manner: Manner) -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), manner)
    }

    pub(crate) fn serve(listener: TcpListener, manner: Manner) -> Self {
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut busy = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let notes = Arc::clone(&notes);
                // Whoever breaks off early is nobody's trouble here.
                busy.spawn(async move { drop(relay(stream, manner, &notes).await) });
            }
        });
        Self { address, asked, task }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn word(stream: &mut TcpStream) -> std::io::Result<String> {
    let length = stream.read_u8().await?;
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8(bytes).unwrap())
}

/// Nobody outside of this host is ever contacted.
fn instead(address: SocketAddr, manner: Manner) -> Option<SocketAddr> {
    match manner {
        _ if address.ip().is_loopback() => Some(address),
        Manner::Serves(way) => way,
        _ => None,
    }
}

async fn relay(
    mut stream: TcpStream,
    manner: Manner,
    notes: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    if manner == Manner::SaysHttp {
        return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    }
    assert_eq!(stream.read_u8().await?, 5);
    let _methods = word(&mut stream).await?;
    let mut login = None;
    if manner == Manner::Open {
        stream.write_all(&[5, 0]).await?;
    } else {
        stream.write_all(&[5, 2]).await?;
        assert_eq!(stream.read_u8().await?, 1);
        login = Some((word(&mut stream).await?, word(&mut stream).await?));
        stream.write_all(&[1, u8::from(manner == Manner::WrongPassword)]).await?;
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    assert_eq!(head[..3], [5, 1, 0]);
    let (target, way) = match head[3] {
        1 => {
            let mut ip = [0; 4];
            stream.read_exact(&mut ip).await?;
            let address = SocketAddr::from((ip, stream.read_u16().await?));
            (address.to_string(), instead(address, manner))
        }
        3 => {
            let name = word(&mut stream).await?;
            let port = stream.read_u16().await?;
            let way = if let Manner::Serves(way) = manner { way } else { None };
            (format!("{name}:{port}"), way)
        }
        _ => {
            let mut ip = [0; 16];
            stream.read_exact(&mut ip).await?;
            let address = SocketAddr::from((ip, stream.read_u16().await?));
            (address.to_string(), instead(address, manner))
        }
    };
    notes.lock().unwrap().push(Asked { login, target });
    let answer = |code| [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
    if let Manner::Refuses(code) = manner {
        return stream.write_all(&answer(code)).await;
    }
    let Some(way) = way else { return stream.write_all(&answer(4)).await };
    match TcpStream::connect(way).await {
        Ok(mut far) => {
            stream.write_all(&answer(0)).await?;
            copy_bidirectional(&mut stream, &mut far).await.map(drop)
        }
        Err(_) => stream.write_all(&answer(5)).await,
    }
}
