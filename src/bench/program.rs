//! A program under test, seen from outside: a child process, halted whenever it is not its turn.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::BenchError;
use super::child::{Answer, Ask, Doors, Setup, Times, UplinkTold};
use super::client::Door;
use super::subject::Subject;
use crate::sys::process;

/// The hidden command that a child is started with.
pub const CHILD_COMMAND: &str = "bench-child";

/// A running program. Its process is killed when this is dropped.
pub struct Program {
    folder: PathBuf,
    subject: Subject,
    doors: Doors,
    login: Option<String>,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it, by calling this program anew.
    ///
    /// # Errors
    /// It can't start; its own reason.
    pub fn start(subject: Subject, setup: &Setup) -> Result<Self, BenchError> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(CHILD_COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (mut input, output) = pipes.ok_or_else(|| std::io::Error::other("no pipes"))?;
        let mut line = serde_json::to_vec(setup).map_err(std::io::Error::from)?;
        line.push(b'\n');
        let told = input.write_all(&line);
        let http = SocketAddr::from(([0, 0, 0, 0], 0));
        let doors = Doors { http, unix: None, pages: None, facts: String::new() };
        let login = subject.is_product().then(|| setup.login.clone());
        let output = BufReader::new(output);
        let folder = setup.folder.clone();
        let mut program = Self { folder, subject, doors, login, child, input, output };
        told?;
        match program.hear()? {
            Answer::Ready(doors) => program.doors = doors,
            _ => return Err(program.fault("it did not say that it is ready")),
        }
        Ok(program)
    }

    /// Which program.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        self.subject
    }

    /// How it came up, for people.
    #[must_use]
    pub fn facts(&self) -> &str {
        &self.doors.facts
    }

    /// Its JSON-RPC intake.
    #[must_use]
    pub fn http(&self) -> Door<'_> {
        Door::Http(self.doors.http, self.login.as_deref())
    }

    /// The same, for a pool on a LAN.
    #[must_use]
    pub fn paced_http(&self) -> Door<'_> {
        Door::PacedHttp(self.doors.http, self.login.as_deref())
    }

    /// Its Unix socket, where it has one.
    #[must_use]
    pub fn unix(&self) -> Option<Door<'_>> {
        self.doors.unix.as_deref().map(Door::Unix)
    }

    /// Shared memory, asked for at its Unix socket.
    #[must_use]
    pub fn shared(&self) -> Option<Door<'_>> {
        self.doors.unix.as_deref().map(Door::Shared)
    }

    /// Its dashboard, where it has one.
    #[must_use]
    pub const fn pages(&self) -> Option<SocketAddr> {
        self.doors.pages
    }

    /// What its history takes on disk, in bytes.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn history_bytes(&self) -> Result<u64, BenchError> {
        let mut sum_bytes = 0;
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("history.") {
                sum_bytes += entry.metadata()?.len();
            }
        }
        Ok(sum_bytes)
    }

    /// An error of this program.
    pub fn fault(&self, why: impl ToString) -> BenchError {
        BenchError::Program { program: self.subject.name().to_owned(), why: why.to_string() }
    }

    fn hear(&mut self) -> Result<Answer, BenchError> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(self.fault("its process ended"));
        }
        match serde_json::from_str(&line) {
            Ok(Answer::Failed(why)) => Err(self.fault(why)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.fault(format!("it said {line:?}: {error}"))),
        }
    }

    fn ask(&mut self, ask: &Ask) -> Result<Answer, BenchError> {
        let mut line = serde_json::to_vec(ask).map_err(std::io::Error::from)?;
        line.push(b'\n');
        self.input.write_all(&line)?;
        self.hear()
    }

    /// Waits until it has `count` peers.
    ///
    /// # Errors
    /// It has not got them in time.
    pub fn connected(&mut self, count: usize) -> Result<(), BenchError> {
        match self.ask(&Ask::Connected(count))? {
            Answer::Connected(found) if found >= count => Ok(()),
            Answer::Connected(found) => {
                Err(self.fault(format!("{found} of {count} peers are connected")))
            }
            _ => Err(self.fault("it answers something else")),
        }
    }

    /// Stages of a block that it was handed.
    ///
    /// # Errors
    /// It is no engine, or the block did not get through.
    pub fn times(&mut self, hash: [u8; 32]) -> Result<Times, BenchError> {
        self.expect_times(&Ask::Times(hash))
    }

    /// Has it hand itself a block by the library.
    ///
    /// # Errors
    /// See [`Self::times`].
    pub fn library(&mut self, bytes: u32) -> Result<Times, BenchError> {
        self.expect_times(&Ask::Library(bytes))
    }

    fn expect_times(&mut self, ask: &Ask) -> Result<Times, BenchError> {
        match self.ask(ask)? {
            Answer::Times(times) => Ok(times),
            _ => Err(self.fault("it answers something else")),
        }
    }

    /// Counts the kernel entries of the next block's fan-out, which `hand_over` starts.
    ///
    /// # Errors
    /// It is no engine, or the block did not get through.
    pub fn entries(
        &mut self,
        bytes: u32,
        peers: usize,
        hand_over: impl FnOnce(&mut Self) -> Result<(), BenchError>,
    ) -> Result<Option<u64>, BenchError> {
        self.ask(&Ask::Watch(bytes, peers))?;
        hand_over(self)?;
        match self.ask(&Ask::Entries)? {
            Answer::Entries(entries) => Ok(entries),
            _ => Err(self.fault("it answers something else")),
        }
    }

    /// What it knows of the line.
    ///
    /// # Errors
    /// It is no engine.
    pub fn uplink(&mut self) -> Result<UplinkTold, BenchError> {
        match self.ask(&Ask::Uplink)? {
            Answer::Uplink(told) => Ok(told),
            _ => Err(self.fault("it answers something else")),
        }
    }

    /// Halts it.
    ///
    /// # Errors
    /// Its process is gone.
    pub fn pause(&self) -> Result<(), BenchError> {
        Ok(process::pause(self.child.id())?)
    }

    /// Lets it run on.
    ///
    /// # Errors
    /// Its process is gone.
    pub fn resume(&self) -> Result<(), BenchError> {
        Ok(process::resume(self.child.id())?)
    }

    /// Processor time that it has used so far, in ns.
    ///
    /// # Errors
    /// Its process is gone.
    pub fn cpu_ns(&self) -> Result<u64, BenchError> {
        Ok(process::cpu_ns(self.child.id())?)
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.child.id()))
    }

    /// Memory that it has now; its peak begins anew from here. In bytes.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn memory_bytes(&self) -> Result<u64, BenchError> {
        // 5: VmHWM begins anew (proc_pid_clear_refs(5)).
        std::fs::write(self.proc("clear_refs"), "5")?;
        self.status_bytes("VmRSS:")
    }

    /// The most memory that it had since [`Self::memory_bytes`], in bytes.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn peak_bytes(&self) -> Result<u64, BenchError> {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, key: &str) -> Result<u64, BenchError> {
        let status = std::fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes
            .map(|kilobytes| kilobytes * 1024)
            .ok_or_else(|| BenchError::Lacking(format!("/proc/PID/status has no {key}")))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Gone already, or ours to bury.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
