//! The programs in `bpf/` on this kernel. Needs root, and the feature `bpf`; says so and skips otherwise.
#![cfg(feature = "bpf")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use broadside::sys::bpf::{Delivery, DeliverySettings, DeliveryWatch};

#[test]
fn moments_of_a_send_over_loopback() {
    let mut watch = DeliveryWatch::start(DeliverySettings::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    near.write_all(&[7; 100_000]).unwrap();
    far.read_exact(&mut [0; 100_000]).unwrap();
    let mut seen: Vec<Delivery> = Vec::new();
    for _ in 0..5 {
        watch.read(&mut |event| seen.push(event)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    eprintln!("{seen:#?} lost {}", watch.lost());
}
