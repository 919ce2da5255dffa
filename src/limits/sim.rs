//! Simulation, demo, benches.

/// Blocks whose arrivals the simulated peers remember. Full: the oldest goes.
pub const SIM_BLOCKS_MAX: usize = 4_096;
/// Bytes that are kept of all their connections together. What comes after is not kept.
pub const SIM_KEPT_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Tries before a header is given up: a chain whose lowest difficulty is not a toy.
pub const SIM_TRIES_MAX: u32 = 1 << 16;
/// Blocks of one demo.
pub const DEMO_BLOCKS_MAX: u32 = 100_000;
/// How long a demo's peers may take to be connected, and one block to be everywhere.
pub const DEMO_DEADLINE_MS: u64 = 30_000;

// Benches.
/// Peers of one bench at most: what one shard serves.
pub const BENCH_PEERS_MAX: u32 = 1_000;
/// Counted runs of one case at most.
pub const BENCH_RUNS_MAX: u32 = 10_000;
/// Longest idle time between two blocks of a bench, in s.
pub const BENCH_IDLE_S_MAX: u32 = 86_400;
/// How long programs may take to start and connect, and one block to be everywhere.
pub const BENCH_DEADLINE_MS: u64 = 60_000;
/// Largest result file that is read, in bytes.
pub const BENCH_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Largest page that `bench page` reads, in bytes.
pub const BENCH_PAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

// Watching cores.
/// Longest watch of `jitter`, in s.
pub const JITTER_S_MAX: u32 = 3_600;
/// How often it asks the kernel, in ms: its buffer holds more than comes in that time.
pub const JITTER_LOOK_MS: u64 = 50;
/// Runners of one core that have a row of their own. More are summed up in one.
pub const JITTER_RUNNERS_MAX: usize = 512;
/// Longest time that a histogram tells apart, in ns: the longest watch.
pub const JITTER_INTERVAL_NS_MAX: u64 = JITTER_S_MAX as u64 * 1_000_000_000;
/// Intervals that are kept to explain a probe's gaps. Beyond, nothing is explained.
pub const JITTER_INTERVALS_MAX: usize = 1 << 20;
/// Gaps of one probe that are kept.
pub const JITTER_GAPS_MAX: usize = 1 << 16;
/// What a probe notes, in ns: longer than any pass of its loop.
pub const JITTER_GAP_NS_MIN: u64 = 1_000;
/// Rows of /proc's counts that are told of one core.
pub const JITTER_COUNTED_MAX: usize = 16;
/// Characters of a name there. The rest is cut.
pub const JITTER_NAME_CHARS_MAX: usize = 48;

// The emulated wide area network.
/// Peers behind it at most.
pub const WAN_PEERS_MAX: usize = 2_000;
/// Bytes of a packet on the emulated line beside the IP packet: frame, preamble, gap.
pub const WAN_FRAMING_BYTES: usize = 38;
/// Largest IP packet that a TUN device hands over at once, in bytes.
pub const WAN_PACKET_BYTES_MAX: usize = 65_536;
/// Line time of one slice of a large packet: what travels together.
pub const WAN_SLICE_NS: u64 = 100_000;
/// Packets that wait in the emulator at once. More are dropped and counted.
pub const WAN_WAITING_MAX: usize = 1 << 18;
/// Whatever is handed on later than this is counted as late.
pub const WAN_LATE_NS: u64 = 1_000_000;
/// How long the emulator sleeps at most, so that it notices when it is to end.
pub const WAN_SLEEP_NS: u64 = 50_000_000;

// The model of a coin's network.
/// Its nodes at most.
pub const NETWORK_NODES_MAX: usize = 100_000;
/// Networks of one bench at most.
pub const NETWORK_SEEDS_MAX: u32 = 1_000;
