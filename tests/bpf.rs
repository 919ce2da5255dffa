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

#[test]
fn cores() {
    use broadside::sys::bpf::CoreWatch;
    let mut watch = CoreWatch::start(&[0, 1], &[]).unwrap();
    let start = std::time::Instant::now();
    let mut sums = std::collections::BTreeMap::new();
    while start.elapsed().as_secs() < 3 {
        watch
            .read(&mut |event| {
                let name = String::from_utf8_lossy(&event.name).trim_end_matches('\0').to_owned();
                let entry = sums
                    .entry((event.core, format!("{:?}", event.runner), name))
                    .or_insert((0_u32, 0_u64, 0_u64));
                entry.0 += 1;
                entry.1 += event.took_ns;
                entry.2 = entry.2.max(event.took_ns);
            })
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    for (key, (count, sum, max)) in &sums {
        eprintln!("{key:?} {count} {}us max {}us", sum / 1000, max / 1000);
    }
    let total: u64 = sums.iter().filter(|(key, _)| key.0 == 0).map(|(_, sum)| sum.1).sum();
    eprintln!("core 0 {}ms, lost {}", total / 1_000_000, watch.lost());
}
