//! Runs on: any thread; a ring on its shard's thread alone.
//! May import: limits, metrics, wire.
//! Must never: decide anything.
//!
//! All `unsafe` of the program: the kernel's side of things, and the processor's.
#![allow(unsafe_code)]

pub mod bpf;
mod buffers;
pub mod clock;
pub mod cpu;
pub mod doorbell;
pub mod epoll;
pub mod initial_window;
pub mod memory;
pub mod namespace;
pub mod pacing;
pub mod passing;
pub mod process;
mod region;
pub mod ring;
pub mod schedule;
pub mod sends;
pub mod sha;
pub mod shared;
pub mod socket;
pub mod tcp_info;
pub mod tun;
pub mod uring;
