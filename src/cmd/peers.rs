//! `broadside peers`: the peer database of a stopped engine, or of a running one.
//!
//! A running engine has its peers in memory and would overwrite what is changed in its file. So
//! the file is changed here only while nobody owns it; else the edit is left beside it, and the
//! engine takes it in within a second or two.

mod list;

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::{ConfigArgs, Failure, Outcome};
use crate::cold::atlas::Region;
use crate::cold::score::Standing;
use crate::cold::store::export::{self, FORMATS, Format};
use crate::cold::store::import::{self, Import};
use crate::cold::store::{Ban, Edit, Edited, Loaded, Store, StoreSettings};
use crate::config::{ChainSection, Config};
use crate::limits::{
    PEER_BANS_MAX, PEER_FILE_BYTES_MAX, PEERS_COMMAND_DEADLINE_MS, PEERS_COMMAND_PAUSE_MS,
    STATUS_COMMAND_DEADLINE_MS,
};

const PATIENCE: Duration = Duration::from_millis(PEERS_COMMAND_DEADLINE_MS);
const FRESH_PATIENCE: Duration = Duration::from_millis(STATUS_COMMAND_DEADLINE_MS);
const PAUSE: Duration = Duration::from_millis(PEERS_COMMAND_PAUSE_MS);

/// Options of `peers`.
#[derive(Args, Debug)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Shows every known peer, best first, and why it is in or out
    List {
        #[command(flatten)]
        which: Which,
        /// What to sort by
        #[arg(long, value_enum, value_name = "KEY", default_value_t = list::Sort::Value)]
        sort: list::Sort,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Takes in peers from a file: a database of broadside or of a p2pool fork, or a list with an
    /// address or an addnode line in each line
    ///
    /// What can't be used is named on standard error, the rest is taken. A damaged file and one of
    /// another chain are refused as a whole. What is known already is not overwritten: the longer
    /// record of the two counts. Exit codes: 0 taken, 1 nothing in it could be used, 2 not done.
    Import {
        #[command(flatten)]
        which: Which,
        /// The file; - reads standard input
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
    },
    /// Writes the peers to a file, for another instance or program
    Export {
        #[command(flatten)]
        which: Which,
        /// seeds: for broadside, with all that is known; p2pool, p2pool-merged: as those forks
        /// without and with merged mining have it; addnode: for a node's configuration; list: bare
        /// addresses
        #[arg(long, value_name = "FORMAT", default_value = "seeds", value_parser = PossibleValuesParser::new(FORMATS.map(|(word, _)| word)))]
        format: String,
        /// Replace the file if it is there
        #[arg(long)]
        force: bool,
        /// The file; - writes to standard output
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
    },
    /// Never connects to an address again, and ends the connection that there is
    Ban {
        #[command(flatten)]
        which: Which,
        /// IP (all its ports) or IP:PORT; IPv6 with a port as [IP]:PORT
        #[arg(value_name = "ADDR")]
        address: Ban,
    },
    /// Lifts a ban; that of an IP also lifts those of its ports
    Unban {
        #[command(flatten)]
        which: Which,
        /// As it was banned
        #[arg(value_name = "ADDR")]
        address: Ban,
    },
}

/// Which database.
#[derive(Args, Clone, Debug)]
struct Which {
    #[command(flatten)]
    config: ConfigArgs,
    /// Which chain, where several are configured [default: the first]
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
    /// The database, relative to data_dir, where `run` was told another one than the configuration
    #[arg(long, value_name = "FILE", alias = "broadcast-peer-db")]
    db: Option<PathBuf>,
}

/// One chain's database, and what the configuration says of its peers.
#[derive(Debug)]
struct Database {
    settings: StoreSettings,
    /// The local node and the fixed peers, none twice.
    kept: Vec<(SocketAddr, Standing)>,
    /// Connections aimed at.
    max: u32,
    /// Who runs which network, where a file tells.
    asn_db: Option<PathBuf>,
    regions: Vec<Region>,
}

/// Runs the command; `out` is standard output.
///
/// # Errors
/// The configuration, the database or a file can't be used.
pub fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Failure> {
    match &options.what {
        What::List { which, sort, json } => {
            let database = Database::of(which)?;
            let (loaded, is_running) = database.fresh();
            list::print(&database, loaded, is_running, *sort, *json, out)
        }
        What::Import { which, file } => take_in(&Database::of(which)?, file, out),
        What::Export { which, format, force, file } => {
            let format = FORMATS.iter().find(|(word, _)| word == format);
            let format = format.map_or(Format::Seeds, |(_, format)| *format);
            hand_out(&Database::of(which)?, format, *force, file, out)
        }
        What::Ban { which, address } => ban(&Database::of(which)?, *address, out),
        What::Unban { which, address } => unban(&Database::of(which)?, *address, out),
    }
}

impl Database {
    fn of(which: &Which) -> Result<Self, Failure> {
        let config = which.config.load()?;
        let section = section(&config, which.chain.as_deref())?;
        let path = match &which.db {
            Some(file) => config.engine.data_dir.join(file),
            None => section.peers.database.clone(),
        };
        let mut kept: Vec<(SocketAddr, Standing)> = Vec::new();
        let node = section.node_p2p.map(|address| (address, Standing::Protected));
        let fixed = section.peers.fixed.iter().map(|address| (*address, Standing::Fixed));
        for (address, standing) in node.into_iter().chain(fixed) {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            if kept.iter().all(|(other, _)| *other != address) {
                kept.push((address, standing));
            }
        }
        let chain = section.chain;
        let settings = StoreSettings {
            path,
            chain: chain.name.to_owned(),
            network: chain.network.name().to_owned(),
            port: chain.p2p_port,
        };
        let regions = section.peers.regions.iter().filter_map(|text| Region::parse(text)).collect();
        let (max, asn_db) = (section.peers.max, config.engine.asn_db.clone());
        Ok(Self { settings, kept, max, asn_db, regions })
    }

    /// The database as it is now, nothing changed, and whether an engine runs on it. That one is
    /// asked to save first; where it does not, what it saved last has to do.
    fn fresh(&self) -> (Loaded, bool) {
        let is_running = Store::is_owned(&self.settings);
        if is_running && let Ok(file) = Store::leave(&self.settings, &Edit::default(), now_s()) {
            let end = Instant::now() + FRESH_PATIENCE;
            while file.exists() && Instant::now() < end {
                std::thread::sleep(PAUSE);
            }
            // It only asked for a save.
            let _ = std::fs::remove_file(file);
        }
        let mut loaded = Store::peek(&self.settings, now_s());
        warn(&loaded.warnings);
        loaded.book.enter_kept(self.kept.iter().copied(), now_s());
        (loaded, is_running)
    }

    /// Changes the database, or has its owner do so. Comes back when the change has been saved;
    /// gives whether a running engine did it.
    fn change(&self, edit: Edit) -> Result<bool, Failure> {
        let mut store = Store::new(self.settings.clone());
        if store.claim(Duration::ZERO)? {
            self.save(store, edit)?;
            return Ok(false);
        }
        let file = Store::leave(&self.settings, &edit, now_s())?;
        let end = Instant::now() + PATIENCE;
        while file.exists() {
            // The owner has ended in the meantime: its file is ours, the edit beside it.
            if store.claim(Duration::ZERO)? {
                self.save(store, Edit::default())?;
                return Ok(false);
            }
            if Instant::now() >= end {
                return Err(Failure(format!(
                    "the running engine has not taken this in within {} s (its log says why); it \
                     stays in {} and is taken in as soon as the engine can save, or at its next \
                     start",
                    PATIENCE.as_secs(),
                    file.display()
                )));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(true)
    }

    /// Changes a database that is ours, and takes in the edits that wait beside it.
    fn save(&self, mut store: Store, edit: Edit) -> Result<(), Failure> {
        let mut loaded = store.load(now_s());
        warn(&loaded.warnings);
        loaded.book.enter_kept(self.kept.iter().copied(), now_s());
        edit.apply(&mut loaded.book);
        store.save(&loaded.book, now_s())?;
        store.done(&loaded.edits)?;
        Ok(())
    }

    /// What `edit` is going to change, as far as what was saved last tells.
    fn foresee(&self, edit: &Edit) -> (Loaded, Edited) {
        let mut loaded = Store::peek(&self.settings, now_s());
        loaded.book.enter_kept(self.kept.iter().copied(), now_s());
        let mut book = loaded.book.clone();
        let edited = edit.clone().apply(&mut book);
        (loaded, edited)
    }
}

fn section<'c>(config: &'c Config, name: Option<&str>) -> Result<&'c ChainSection, Failure> {
    let wanted = |section: &&ChainSection| name.is_none_or(|name| section.chain.name == name);
    config.chains.iter().find(wanted).ok_or_else(|| {
        let known: Vec<_> = config.chains.iter().map(|section| section.chain.name).collect();
        let (file, name) = (config.file.display(), name.unwrap_or_default());
        Failure(format!("{file}: has no chain {name}; it has {}", known.join(", ")))
    })
}

fn take_in(database: &Database, file: &Path, out: &mut impl Write) -> Result<Outcome, Failure> {
    let settings = &database.settings;
    let import = if file == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin().lock().take(PEER_FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
        if text.len() as u64 > PEER_FILE_BYTES_MAX {
            return Err(Failure(format!("-: is over {PEER_FILE_BYTES_MAX} bytes; split it")));
        }
        import::read_text(&text, file, settings, now_s())
    } else {
        import::read_file(file, settings, now_s())
    };
    let Import { book, faults, own_nodes } =
        import.map_err(|error| Failure(format!("nothing imported: {error}")))?;
    let name = file.display();
    for fault in &faults.named {
        eprintln!("{name}: {fault}");
    }
    let unnamed = faults.count - faults.named.len();
    if unnamed > 0 {
        eprintln!("{name}: and {unnamed} more that can't be used");
    }
    if own_nodes > 0 {
        eprintln!("{name}: the local node of its writer is left out; yours is [chain.node] p2p");
    }
    if book.is_empty() {
        writeln!(out, "{name}: nothing in it can be used")?;
        return Ok(Outcome::No);
    }
    let edit = Edit { book, unbanned: Vec::new() };
    let (_, edited) = database.foresee(&edit);
    let is_running = database.change(edit)?;
    let merged = edited.merged;
    write!(out, "{name}: {} new, {} known already", merged.fresh, merged.known)?;
    if merged.refused > 0 {
        write!(out, ", {} without room", merged.refused)?;
    }
    writeln!(out, ", {} left out{}", faults.count + own_nodes, by_whom(is_running))?;
    Ok(Outcome::Done)
}

fn hand_out(
    database: &Database,
    format: Format,
    force: bool,
    file: &Path,
    out: &mut impl Write,
) -> Result<Outcome, Failure> {
    let name = file.display();
    let is_stream = file == Path::new("-");
    if !is_stream {
        let same = |a: &Path, b: &Path| {
            a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
        };
        if same(file, &database.settings.path) {
            return Err(Failure(format!("{name}: that is the database itself; name another file")));
        }
        if file.exists() && !force {
            return Err(Failure(format!("{name}: is there already; --force replaces it")));
        }
    }
    let (loaded, _) = database.fresh();
    let (settings, book) = (&database.settings, &loaded.book);
    if book.is_empty() {
        eprintln!("no peers are known in {}; nothing exported", settings.path.display());
        return Ok(Outcome::No);
    }
    if is_stream {
        let mut text = Vec::new();
        export::write(&mut text, settings, book, format, now_s())?;
        put(out, &text)?;
    } else {
        let count = export::write_file(file, settings, book, format, now_s())?;
        writeln!(out, "{name}: {count} peers of {} {}", settings.chain, settings.network)?;
    }
    Ok(Outcome::Done)
}

fn ban(database: &Database, ban: Ban, out: &mut impl Write) -> Result<Outcome, Failure> {
    if let Some((address, standing)) = database.kept.iter().find(|(at, _)| ban.covers(*at)) {
        let key = match standing {
            Standing::Protected => "is your own node ([chain.node] p2p)",
            Standing::Fixed | Standing::Ordinary => "is named in [chain.peers] fixed",
        };
        eprintln!("{ban} is not banned: {address} {key} and never given up; take it out there");
        return Ok(Outcome::No);
    }
    let mut edit = Edit::default();
    edit.book.ban(ban, now_s());
    let (loaded, edited) = database.foresee(&edit);
    if edited.banned == 0 {
        if loaded.book.bans().any(|(known, _)| known == ban) {
            writeln!(out, "{ban} is banned already")?;
            return Ok(Outcome::Done);
        }
        eprintln!("{ban} is not banned: there are {PEER_BANS_MAX} bans already; lift one first");
        return Ok(Outcome::No);
    }
    let is_running = database.change(edit)?;
    let known = loaded.book.iter().filter(|(address, _)| ban.covers(*address)).count();
    writeln!(out, "{ban} is banned, {known} of the known peers with it{}", by_whom(is_running))?;
    Ok(Outcome::Done)
}

fn unban(database: &Database, ban: Ban, out: &mut impl Write) -> Result<Outcome, Failure> {
    let edit = Edit { unbanned: vec![ban], ..Edit::default() };
    let (loaded, edited) = database.foresee(&edit);
    if edited.lifted == 0 {
        match loaded.book.bans().find(|(wider, _)| ban.is_within(*wider)) {
            Some((wider, _)) => eprintln!("{wider} is banned as a whole: unban {wider}"),
            None => eprintln!("{ban} is not banned"),
        }
        return Ok(Outcome::No);
    }
    let is_running = database.change(edit)?;
    writeln!(out, "{ban} is banned no more{}", by_whom(is_running))?;
    Ok(Outcome::Done)
}

const fn by_whom(is_running: bool) -> &'static str {
    if is_running { " (taken in by the running engine)" } else { "" }
}

/// Writes all of `text`, or as much as its reader wants: `head` closes the pipe early.
fn put(out: &mut impl Write, text: &[u8]) -> Result<(), Failure> {
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

/// The clock on the wall, in epoch s.
fn now_s() -> f64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_1970.unwrap_or_default().as_secs_f64()
}
