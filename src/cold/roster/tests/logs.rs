//! A log that a test can read.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::OnceLock;

use tracing::Dispatch;
use tracing::dispatcher::{self, DefaultGuard};

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One for all tests, and a second that nobody writes to. `tracing` decides once per log statement
/// whether anybody listens; while there is only one listener it asks the thread that happens to be
/// there first, which may be a test without a log. With two it asks both.
static LOG: OnceLock<[Dispatch; 2]> = OnceLock::new();

/// To be called before anything logs.
pub(super) fn prepare() -> &'static [Dispatch; 2] {
    LOG.get_or_init(|| {
        [0, 1].map(|_| {
            let log = tracing_subscriber::fmt().with_writer(|| ThisThread).with_ansi(false);
            Dispatch::new(log.finish())
        })
    })
}

struct ThisThread;

impl Write for ThisThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Log lines of this test's thread from now on.
pub(super) struct Logs(DefaultGuard);

impl Logs {
    pub(super) fn capture() -> Self {
        LINES.with_borrow_mut(Vec::clear);
        Self(dispatcher::set_default(&prepare()[0]))
    }

    /// How many lines hold `text`.
    pub(super) fn count(&self, text: &str) -> usize {
        let Self(_listening) = self;
        let lines = LINES.with_borrow(Clone::clone);
        String::from_utf8(lines).unwrap().lines().filter(|line| line.contains(text)).count()
    }
}
