//! Small files in the MaxMind format, made up for tests.
//!
//! Source: <https://maxmind.github.io/MaxMind-DB/>, version 2.0.

use std::net::IpAddr;

/// A value of the data section.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Number(u32),
    Short(u16),
    Long(u64),
    Map(Vec<(String, Value)>),
    List,
}

impl Value {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                control(out, 2, text.len());
                out.extend_from_slice(text.as_bytes());
            }
            Self::Number(number) => {
                control(out, 6, 4);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Short(number) => {
                control(out, 5, 2);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Long(number) => {
                out.extend_from_slice(&[8, 2]);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Map(pairs) => {
                control(out, 7, pairs.len());
                for (key, value) in pairs {
                    Self::Text(key.clone()).write(out);
                    value.write(out);
                }
            }
            Self::List => out.extend_from_slice(&[0, 4]),
        }
    }
}

fn control(out: &mut Vec<u8>, kind: u8, size: usize) {
    assert!(size < 29, "longer ones are not needed");
    out.push(kind << 5 | size as u8);
}

#[derive(Clone, Copy)]
enum Next {
    Nothing,
    Node(u32),
    Data(u32),
}

/// A file that tells these networks ("203.0.113.0/24"), none within another.
pub(crate) fn database(networks: &[(&str, Value)]) -> Vec<u8> {
    let (mut nodes, mut data) = (vec![[Next::Nothing; 2]], Vec::new());
    for (network, value) in networks {
        let offset = data.len() as u32;
        value.write(&mut data);
        enter(&mut nodes, network, offset);
    }
    let count = nodes.len() as u32;
    let mut file = Vec::new();
    for next in nodes.into_iter().flatten() {
        let record = match next {
            Next::Nothing => count,
            Next::Node(at) => at,
            Next::Data(offset) => count + 16 + offset,
        };
        file.extend_from_slice(&record.to_be_bytes()[1..]);
    }
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(&data);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let short = |key: &str, number| (key.to_owned(), Value::Short(number));
    let metadata = Value::Map(vec![
        ("node_count".into(), Value::Number(count)),
        short("record_size", 24),
        short("ip_version", 6),
        ("database_type".into(), Value::Text("made-up".into())),
        ("languages".into(), Value::List),
        short("binary_format_major_version", 2),
        short("binary_format_minor_version", 0),
        ("build_epoch".into(), Value::Long(1)),
        ("description".into(), Value::Map(Vec::new())),
    ]);
    metadata.write(&mut file);
    file
}

fn enter(nodes: &mut Vec<[Next; 2]>, network: &str, offset: u32) {
    let (ip, length) = network.split_once('/').unwrap();
    let length: usize = length.parse().unwrap();
    // IPv4 lies in the first 96 bits of zeros.
    let (bits, length) = match ip.parse().unwrap() {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), length + 96),
        IpAddr::V6(v6) => (u128::from(v6), length),
    };
    let mut at = 0;
    for depth in 0..length {
        let side = (bits >> (127 - depth) & 1) as usize;
        if depth + 1 == length {
            nodes[at][side] = Next::Data(offset);
            return;
        }
        at = match nodes[at][side] {
            Next::Node(next) => next as usize,
            _ => {
                nodes.push([Next::Nothing; 2]);
                let next = nodes.len() - 1;
                nodes[at][side] = Next::Node(next as u32);
                next
            }
        };
    }
}
