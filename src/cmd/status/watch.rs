//! `status --watch`: asks the engine again and again, and shows what it says until Ctrl-C.

use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::Asked;
use super::live::Shown;
use super::terminal::Terminal;
use crate::cmd::{Failure, Outcome};
use crate::limits::STATUS_BLOCKS_SHOWN_MAX;

/// What the engine answered: statistics and the newest blocks.
type Told = Result<(Value, Vec<Value>), Failure>;

pub(super) fn run(
    engine: &Asked,
    pause: Duration,
    out: &mut impl Write,
) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(show(engine, pause, out));
    // A question that is still open ends with the process.
    runtime.shutdown_background();
    match ended {
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Outcome::Done),
        ended => Ok(ended.map(|()| Outcome::Done)?),
    }
}

async fn show(engine: &Asked, pause: Duration, out: &mut impl Write) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut terminal = Terminal::enter(out)?;
    let mut shown = Shown { address: engine.address(), ..Shown::default() };
    let mut answered = Instant::now();
    loop {
        let told = tokio::select! {
            told = ask(engine.clone()) => told,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        };
        match told {
            Ok((stats, blocks)) => {
                answered = Instant::now();
                (shown.stats, shown.blocks, shown.away) = (stats, blocks, None);
            }
            Err(Failure(why)) => shown.away = Some((why, answered.elapsed().as_secs_f64())),
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        shown.now_s = now.as_secs_f64();
        let next = tokio::time::Instant::now() + pause;
        loop {
            let size = terminal.size();
            terminal.show(&shown.frame(size))?;
            tokio::select! {
                () = tokio::time::sleep_until(next) => break,
                _ = resized.recv() => {}
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
            }
        }
    }
}

/// Asks on a thread that may wait.
async fn ask(engine: Asked) -> Told {
    let asked = tokio::task::spawn_blocking(move || {
        Ok((engine.stats()?.1, engine.blocks(STATUS_BLOCKS_SHOWN_MAX)?))
    });
    asked.await.unwrap_or_else(|_| Err(Failure("the question failed".to_owned())))
}
