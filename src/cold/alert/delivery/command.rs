//! A command run for each notice: no shell, the notice on its standard input and in its environment,
//! one at a time, and killed with all that it started when it takes too long.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tracing::{info, warn};

use super::{Letter, Outcome, Queue};
use crate::cold::alert::text::harmless;
use crate::limits::{ALERT_COMMAND_DEADLINE_MS, ALERT_COMMAND_PAUSE_MS};

const PATIENCE: Duration = Duration::from_millis(ALERT_COMMAND_DEADLINE_MS);
const PAUSE: Duration = Duration::from_millis(ALERT_COMMAND_PAUSE_MS);

/// Why a notice was not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("it can't be started: {0}; give its whole path, and let broadside's user run it")]
    Start(io::Error),
    #[error("it ended with {0}")]
    Failed(ExitStatus),
    #[error("it was killed, as it ran for longer than {} s", PATIENCE.as_secs())]
    TookTooLong,
    #[error("it was killed, as broadside stops")]
    Stopping,
    #[error("it can't be waited for: {0}")]
    Lost(io::Error),
}

/// Runs the command for what comes, one after the other, until there is nothing more to come.
pub(super) fn run(words: &[String], queue: &Queue<Letter>, outcome: &Outcome) {
    let Some((program, arguments)) = words.split_first() else {
        return;
    };
    let mut is_failing = false;
    while let Some(letter) = queue.next() {
        let ended = start(program, arguments, &letter);
        let ended = ended.and_then(|child| wait(child, Instant::now() + PATIENCE, queue));
        match ended {
            Ok(()) => {
                outcome.sent.fetch_add(1, Ordering::Relaxed);
                if std::mem::take(&mut is_failing) {
                    info!("the command {program} takes alerts again");
                }
            }
            Err(why) => {
                outcome.lost.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(&mut is_failing, true) {
                    warn!("the command {program} did not take an alert: {why}. This is said once");
                }
            }
        }
    }
}

pub(super) fn start(
    program: &str,
    arguments: &[String],
    letter: &Letter,
) -> Result<Child, CommandError> {
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    for (name, value) in environment(letter) {
        command.env(name, harmless(&value));
    }
    let mut child = command.spawn().map_err(CommandError::Start)?;
    if let Some(mut input) = child.stdin.take() {
        // It fits the pipe, so this does not wait; a command that does not read is not at fault.
        let _ = input.write_all(letter.body.as_bytes()).and_then(|()| input.write_all(b"\n"));
    }
    Ok(child)
}

/// `BROADSIDE_ALERT_*`.
fn environment(letter: &Letter) -> [(&'static str, String); 8] {
    let (notice, alert) = (&letter.notice, &letter.notice.alert);
    [
        ("BROADSIDE_ALERT_STATE", notice.state.word().to_owned()),
        ("BROADSIDE_ALERT_KIND", alert.kind.to_owned()),
        ("BROADSIDE_ALERT_SEVERITY", alert.severity.word().to_owned()),
        ("BROADSIDE_ALERT_CHAIN", alert.chain.unwrap_or_default().to_owned()),
        ("BROADSIDE_ALERT_SUBJECT", alert.subject.clone()),
        ("BROADSIDE_ALERT_TEXT", alert.text.clone()),
        ("BROADSIDE_ALERT_SINCE", (alert.since_unix_ms / 1_000).to_string()),
        ("BROADSIDE_ALERT_COUNT", alert.count.to_string()),
    ]
}

pub(super) fn wait(
    mut child: Child,
    end: Instant,
    queue: &Queue<Letter>,
) -> Result<(), CommandError> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(CommandError::Failed(status)),
            Ok(None) if queue.is_given_up() => {
                kill(&mut child);
                return Err(CommandError::Stopping);
            }
            Ok(None) if Instant::now() >= end => {
                kill(&mut child);
                return Err(CommandError::TookTooLong);
            }
            Ok(None) => std::thread::sleep(PAUSE),
            Err(error) => return Err(CommandError::Lost(error)),
        }
    }
}

/// Ends it and all that it started. It was not waited for yet, so its number is still its own.
fn kill(child: &mut Child) {
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}
