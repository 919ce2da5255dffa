//! What the bytes mean: genesis blocks, real main-net blocks, blocks built by the rules, and
//! hostile bytes of every kind.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "wire/addresses.rs"]
mod addresses;
#[path = "wire/auxpow.rs"]
mod auxpow;
#[path = "wire/build.rs"]
mod build;
#[path = "wire/check.rs"]
mod check;
#[path = "wire/compact.rs"]
mod compact;
#[path = "wire/genesis.rs"]
mod genesis;
#[path = "wire/hostile.rs"]
mod hostile;
#[path = "wire/lanes.rs"]
mod lanes;
#[path = "wire/stream.rs"]
mod stream;
#[path = "wire/vectors.rs"]
mod vectors;
#[path = "wire/walk.rs"]
mod walk;
