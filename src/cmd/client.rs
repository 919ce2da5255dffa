//! A small blocking HTTP/1.1 client: what a pool's program or an operator's script would use.
//!
//! One kept-alive connection, one request at a time, with the clock read where a measurement
//! needs it: before the first byte is written and after the last.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Failure;
use crate::config::Config;
use crate::limits::{CLIENT_HEAD_BYTES_MAX, CLIENT_HEADERS_MAX, RPC_ANSWER_BYTES_MAX};
use crate::sys::clock::now_ns;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is no `http://HOST:PORT[/PATH]`.
    #[error("{0}: give http://HOST:PORT")]
    Url(String),
    /// Nobody listens there, or it can't be reached.
    #[error("{place}: {source}; is it running, and is this the right port?")]
    Connect {
        /// Host and port.
        place: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke, or no answer came in time.
    #[error("{place}: the connection broke before the answer was there: {source}")]
    Broken {
        /// Host and port.
        place: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something answered that does not speak HTTP/1.1, or not the part of it that is read here.
    #[error("{place}: the answer is not understood ({why}); is this the right port?")]
    Answer {
        /// Host and port.
        place: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// `http://[USER:PASSWORD@]HOST:PORT[/PATH]`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `HOST:PORT`.
    pub host: String,
    /// `USER:PASSWORD`, where the URL has it.
    pub login: Option<String>,
    /// Path, beginning with `/`.
    pub path: String,
}

impl Place {
    /// Takes `url` apart.
    ///
    /// # Errors
    /// It is not of that form. The message does not repeat a password.
    pub fn parse(url: &str) -> Result<Self, ClientError> {
        let refuse = || ClientError::Url(url.rsplit('@').next().unwrap_or_default().to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(refuse)?;
        let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (login, host) = match place.rsplit_once('@') {
            Some((login, host)) => (Some(login.to_owned()), host),
            None => (None, place),
        };
        let port = host.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        let plain = url.bytes().all(|byte| byte.is_ascii_graphic());
        if port.is_none_or(|port| port == 0) || !plain {
            return Err(refuse());
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { host: host.to_owned(), login, path: path.to_owned() })
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
    /// When the request's first byte was about to be written, CLOCK_MONOTONIC in ns.
    pub first_byte_ns: u64,
    /// When the system had taken the request's last byte.
    pub last_byte_ns: u64,
}

/// One kept-alive connection.
#[derive(Debug)]
pub struct Client {
    host: String,
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    /// Connects to `host` (`HOST:PORT`). `patience` bounds connecting and each wait for bytes.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(host: &str, patience: Duration) -> Result<Self, ClientError> {
        let fail = |source| ClientError::Connect { place: host.to_owned(), source };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in host.to_socket_addrs().map_err(fail)? {
            let connected = TcpStream::connect_timeout(&address, patience).and_then(|stream| {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                Ok(stream)
            });
            match connected {
                Ok(stream) => {
                    return Ok(Self { host: host.to_owned(), stream, received: Vec::new() });
                }
                Err(error) => last = error,
            }
        }
        Err(fail(last))
    }

    /// Sends one request and reads its answer. `login` is `USER:PASSWORD`.
    ///
    /// # Errors
    /// The connection broke or the answer is not understood; connect anew to try again.
    pub fn exchange(
        &mut self,
        method: &str,
        path: &str,
        login: Option<&str>,
        body: &[u8],
    ) -> Result<Answer, ClientError> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        if let Some(login) = login {
            head += &format!("Authorization: Basic {}\r\n", STANDARD.encode(login));
        }
        if !body.is_empty() {
            head +=
                &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        let first_byte_ns = now_ns();
        self.stream
            .write_all(head.as_bytes())
            .and_then(|()| self.stream.write_all(body))
            .map_err(|source| self.broken(source))?;
        let last_byte_ns = now_ns();
        let (status, body) = self.read_answer()?;
        Ok(Answer { status, body, first_byte_ns, last_byte_ns })
    }

    fn read_answer(&mut self) -> Result<(u16, Vec<u8>), ClientError> {
        let (status, head_bytes, length) = loop {
            if let Some(head) = self.head()? {
                break head;
            }
            if self.received.len() > CLIENT_HEAD_BYTES_MAX {
                return Err(self.odd("its head does not end"));
            }
            if self.fill()? == 0 {
                return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
            }
        };
        self.received.drain(..head_bytes);
        // Without a length the body ends where the connection does.
        let wanted = length.unwrap_or(usize::MAX);
        if length.is_some_and(|length| length > RPC_ANSWER_BYTES_MAX as usize) {
            return Err(self.odd("it is too long"));
        }
        while self.received.len() < wanted {
            if self.received.len() > RPC_ANSWER_BYTES_MAX as usize {
                return Err(self.odd("it is too long"));
            }
            match (self.fill()?, length) {
                (0, None) => break,
                (0, Some(_)) => return Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
                _ => {}
            }
        }
        let rest = self.received.split_off(wanted.min(self.received.len()));
        Ok((status, std::mem::replace(&mut self.received, rest)))
    }

    /// Status, length of the head in bytes, and the announced length of the body, once the whole
    /// head is there.
    fn head(&self) -> Result<Option<(u16, usize, Option<usize>)>, ClientError> {
        let mut headers = [httparse::EMPTY_HEADER; CLIENT_HEADERS_MAX];
        let mut answer = httparse::Response::new(&mut headers);
        let parsed = answer.parse(&self.received).map_err(|_| self.odd("it is not HTTP"))?;
        let httparse::Status::Complete(head_bytes) = parsed else {
            return Ok(None);
        };
        let mut length = None;
        for header in answer.headers.iter() {
            if header.name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(self.odd("its length is not announced"));
            }
            if header.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(header.value).ok();
                let value = text.and_then(|text| text.trim().parse().ok());
                length = Some(value.ok_or_else(|| self.odd("its length is no number"))?);
            }
        }
        Ok(Some((answer.code.unwrap_or(0), head_bytes, length)))
    }

    fn fill(&mut self) -> Result<usize, ClientError> {
        let mut chunk = [0; 16 * 1024];
        let count = self.stream.read(&mut chunk).map_err(|source| self.broken(source))?;
        self.received.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn broken(&self, source: io::Error) -> ClientError {
        ClientError::Broken { place: self.host.clone(), source }
    }

    fn odd(&self, why: &'static str) -> ClientError {
        ClientError::Answer { place: self.host.clone(), why }
    }
}

/// One request on a connection of its own.
///
/// # Errors
/// As [`Client::connect`] and [`Client::exchange`].
pub fn once(
    place: &Place,
    login: Option<&str>,
    method: &str,
    body: &[u8],
    patience: Duration,
) -> Result<Answer, ClientError> {
    let login = login.or(place.login.as_deref());
    Client::connect(&place.host, patience)?.exchange(method, &place.path, login, body)
}

/// Asks the engine that runs by `config` for a page of its HTTP port, with the login that the
/// configuration has for it.
///
/// # Errors
/// The port is switched off, nobody answers there, or the login is refused.
pub(super) fn ask_engine(
    config: &Config,
    path: &str,
    patience: Duration,
) -> Result<Answer, Failure> {
    let Some(address) = config.http else {
        let file = config.file.display();
        return Err(Failure(format!("{file}: http.listen is off, so there is nobody to ask")));
    };
    ask_engine_at(config, address, path, patience)?.ok_or_else(|| {
        Failure(format!(
            "{address}: nobody listens there; is it running, and is this the right port?"
        ))
    })
}

/// The same at `address`, which is its HTTP port; `None`: nobody listens there.
///
/// # Errors
/// Whoever answers refuses the login, or breaks off.
pub(super) fn ask_engine_at(
    config: &Config,
    address: SocketAddr,
    path: &str,
    patience: Duration,
) -> Result<Option<Answer>, Failure> {
    let place = Place::parse(&format!("http://{address}{path}"))?;
    let login = config.http_login.as_ref().map(|it| format!("{}:{}", it.user, it.password));
    let answer = match once(&place, login.as_deref(), "GET", &[], patience) {
        Ok(answer) => answer,
        Err(ClientError::Connect { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if answer.status == 401 {
        let file = config.file.display();
        return Err(Failure(format!(
            "{address} refuses the login; are user and password of [http] in {file} those that the \
             engine was started with?"
        )));
    }
    Ok(Some(answer))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Serves each of `answers` to one request of one connection; gives back the requests.
    fn serve(answers: &'static [&'static str]) -> (String, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut requests = Vec::new();
            for answer in answers {
                let mut request = vec![0; 4096];
                let count = stream.read(&mut request).unwrap();
                requests.push(String::from_utf8_lossy(&request[..count]).into_owned());
                stream.write_all(answer.as_bytes()).unwrap();
            }
            requests
        });
        (host, server)
    }

    #[test]
    fn answers_are_kept_apart_on_one_connection() {
        let (host, server) = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
            "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nto the end",
        ]);
        let mut client = Client::connect(&host, PATIENCE).unwrap();
        let first = client.exchange("GET", "/x", Some("me:secret"), b"").unwrap();
        assert_eq!((first.status, first.body.as_slice()), (200, b"ab".as_slice()));
        assert!(first.first_byte_ns <= first.last_byte_ns);
        let second = client.exchange("POST", "/", None, b"").unwrap();
        assert_eq!((second.status, second.body.len()), (503, 0));
        assert_eq!(client.exchange("GET", "/", None, b"").unwrap().body, b"to the end");
        let requests = server.join().unwrap();
        assert!(requests[0].starts_with("GET /x HTTP/1.1\r\n"), "{requests:?}");
        assert!(requests[0].contains("Authorization: Basic bWU6c2VjcmV0\r\n"), "{requests:?}");
    }

    #[test]
    fn odd_answers_are_refused() {
        for answer in [
            &["SSH-2.0-x\r\n\r\n"] as &[&str],
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
            &["HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n"],
            &["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"],
            &["HTTP/1.1 200"],
        ] {
            let (host, server) = serve(answer);
            let mut client = Client::connect(&host, PATIENCE).unwrap();
            assert!(client.exchange("GET", "/", None, b"").is_err(), "{answer:?}");
            server.join().unwrap();
        }
    }

    #[test]
    fn urls_are_taken_apart() {
        let place = Place::parse("http://u:p@127.0.0.1:9331/chain/x").unwrap();
        assert_eq!((place.host.as_str(), place.path.as_str()), ("127.0.0.1:9331", "/chain/x"));
        assert_eq!(place.login.as_deref(), Some("u:p"));
        assert_eq!(Place::parse("http://[::1]:80").unwrap().path, "/");
        for wrong in ["https://x:1", "http://x", "http://u:secret@x:0", "", "http://a b:1"] {
            let message = Place::parse(wrong).unwrap_err().to_string();
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
