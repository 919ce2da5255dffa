//! Two ends of one connection, over loopback or over a pair of devices between two networks.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;

use broadside::sys::namespace::{Device, Network};

/// A near end, made by this process's `connect`, and its far end.
pub(crate) struct Pair {
    pub(crate) near: TcpStream,
    pub(crate) far: TcpStream,
    pub(crate) cookie: u64,
}

impl Pair {
    fn of(near: TcpStream, far: TcpStream) -> Self {
        near.set_nodelay(true).unwrap();
        let cookie = rustix::net::sockopt::socket_cookie(&near).unwrap();
        Self { near, far, cookie }
    }

    pub(crate) fn over_loopback() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Self::of(near, listener.accept().unwrap().0)
    }
}

/// A connection between two networks of our own; they live as long as its ends. `None`: not here.
pub(crate) fn over_veth() -> Option<Pair> {
    let networks = Network::new().and_then(|near| Ok((near, Network::new()?)));
    let (near, far) = match networks {
        Ok(networks) => networks,
        Err(error) => {
            eprintln!("SKIPPED: no network namespaces here ({error})");
            return None;
        }
    };
    // A network is named by a thread in it while the device is handed over.
    let (say, listen) = mpsc::channel();
    let (done, wait) = mpsc::channel::<()>();
    let holder = far.spawn("far-network", move || {
        say.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        let _ = wait.recv();
    });
    let there = listen.recv().unwrap();
    let made = near.run(move || {
        ip(&format!("link add near type veth peer name far netns {there}"))?;
        Device("near").set_address(Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(255, 255, 255, 0))?;
        Device("near").up(None, None)
    });
    drop(done);
    holder.unwrap().join().unwrap().unwrap();
    if let Err(error) = made.unwrap() {
        eprintln!("SKIPPED: no pair of devices here ({error})");
        return None;
    }
    let address = Ipv4Addr::new(10, 77, 0, 2);
    let bind = move || -> io::Result<TcpListener> {
        Device("far").set_address(address, Ipv4Addr::new(255, 255, 255, 0))?;
        Device("far").up(None, None)?;
        TcpListener::bind((address, 0))
    };
    let listener = far.run(bind).unwrap().unwrap();
    let to: SocketAddr = listener.local_addr().unwrap();
    let connected = near.run(move || TcpStream::connect(to)).unwrap().unwrap();
    Some(Pair::of(connected, listener.accept().unwrap().0))
}

fn ip(words: &str) -> io::Result<()> {
    let output = Command::new("ip").args(words.split(' ')).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}
