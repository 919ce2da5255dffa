//! From the text to a [`Config`]: the whole file, `[engine]`, `[intake]`, `[http]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::alerts::alerts;
use super::chains::chains;
use super::history::history;
use super::problem::{ConfigError, Problem};
use super::read::{Report, Section, whole};
use super::trace::trace;
use super::{
    Backend, Config, Cores, Engine, Idle, Intake, IntakeLogin, Log, Order, Password, Uplink,
    ZeroCopy, warn,
};
use crate::limits::{
    CORE_NUMBER_MAX, SHARDS_MAX, WARM_UP_BYTES_PER_HOUR, WARM_UP_BYTES_PER_HOUR_MAX,
};

pub(super) const PATH: &str = "a path in quotes, not empty, without \"~\"";

pub(super) fn parse(text: &str, file: &Path) -> Result<Config, ConfigError> {
    let report = Report::new(text);
    let wrong = |problems| ConfigError::Wrong { file: file.to_owned(), problems };
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| report.line(span.start));
        let message = format!("this is not TOML: {}", error.message());
        wrong(vec![Problem { line, key: String::new(), message }])
    })?;
    let whole_file = Section::new(&report, "", Some(table.get_ref()), None);

    let engine = engine(&whole_file.below("engine", "engine"));
    let intake = intake(&whole_file.below("intake", "intake"), &engine.data_dir);
    let (http, http_login) = http(&whole_file.below("http", "http"));
    let alerts = alerts(&whole_file.below("alerts", "alerts"));
    let history = history(&whole_file.below("history", "history"));
    let trace = trace(&whole_file.below("trace", "trace"));
    let chains = chains(&report, &whole_file, &engine.data_dir);
    if let (Some(rpc), Some(http)) = (intake.rpc, http)
        && rpc == http
    {
        let message = format!("{http} is taken by intake.rpc; give another port");
        report.fault(None, "http.listen", message);
    }

    let problems = report.into_problems();
    if !problems.is_empty() {
        return Err(wrong(problems));
    }
    let file = file.to_owned();
    let mut config = Config {
        file,
        broadcast: true,
        engine,
        intake,
        http,
        http_login,
        history,
        trace,
        alerts,
        chains,
        notes: Vec::new(),
    };
    config.notes = warn::notes(&config);
    Ok(config)
}

fn engine(section: &Section<'_, '_>) -> Engine {
    let backends =
        [("auto", Backend::Auto), ("io_uring", Backend::IoUring), ("epoll", Backend::Epoll)];
    let copying = [("auto", ZeroCopy::Auto), ("off", ZeroCopy::Off), ("always", ZeroCopy::Always)];
    let orders = [
        ("rank", Order::Rank),
        ("strict-rank", Order::StrictRank),
        ("near-first", Order::NearFirst),
        ("all-at-once", Order::AllAtOnce),
    ];
    let logs = [Log::Error, Log::Warn, Log::Info, Log::Debug, Log::Trace];
    let data_dir =
        section.parsed("data_dir", PATH, path).unwrap_or_else(|| "/var/lib/broadside".into());
    Engine {
        asn_db: section.parsed("asn_db", PATH, path).map(|file| data_dir.join(file)),
        cores: cores(section),
        backend: section.choice("backend", &backends).unwrap_or(Backend::Auto),
        idle: section
            .choice("idle", &[("wait", Idle::Wait), ("spin", Idle::Spin)])
            .unwrap_or(Idle::Wait),
        zero_copy: section.choice("zero_copy", &copying).unwrap_or(ZeroCopy::Auto),
        uplink: section
            .parsed(
                "uplink",
                "\"auto\", \"unlimited\" or a rate like \"1Gbit\" or \"500Mbit\"",
                uplink,
            )
            .unwrap_or(Uplink::Auto),
        order: section.choice("order", &orders).unwrap_or(Order::Rank),
        warm_upload_bytes: section
            .parsed("warm_upload", "bytes in an hour like \"1GB\" or \"200MB\", or \"off\"", size)
            .unwrap_or(WARM_UP_BYTES_PER_HOUR),
        log: section.choice("log", &logs.map(|it| (it.word(), it))).unwrap_or(Log::Info),
        data_dir,
    }
}

fn cores(section: &Section<'_, '_>) -> Cores {
    let Some(found) = section.find("cores") else {
        return Cores::Auto;
    };
    if found.value.as_str() == Some("auto") {
        return Cores::Auto;
    }
    if !found.value.is_array() {
        section.refuse("cores", found, "\"auto\" or a list of core numbers like [2, 3]");
        return Cores::Auto;
    }
    let core = |value: &_| whole(value).filter(|core| *core <= CORE_NUMBER_MAX);
    let allowed = format!("a core's number, from 0 to {CORE_NUMBER_MAX}");
    let named = section.list("cores", &allowed, core).unwrap_or_default();
    let mut cores: Vec<u32> = Vec::new();
    for (core, line) in named {
        if cores.contains(&core) {
            section.fault(line, "cores", format!("core {core} is named twice; name each once"));
        }
        cores.push(core);
    }
    if cores.is_empty() || cores.len() > SHARDS_MAX as usize {
        section.fault(
            found.line,
            "cores",
            format!("give from 1 to {SHARDS_MAX} cores, or \"auto\""),
        );
    }
    Cores::Named(cores)
}

/// `"1Gbit"`, `"2.5Gbit/s"`, `"500 Mbit"` …
fn uplink(text: &str) -> Option<Uplink> {
    match text {
        "auto" => return Some(Uplink::Auto),
        "unlimited" => return Some(Uplink::Unlimited),
        _ => {}
    }
    let rate = text.strip_suffix("/s").unwrap_or(text);
    let units = [("kbit", 1e3), ("Mbit", 1e6), ("Gbit", 1e9)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((rate.strip_suffix(name)?.trim_end(), unit)))?;
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let bits = number.parse::<f64>().ok().filter(|_| plain)? * unit;
    // Below a megabit no block arrives in time; above 10 terabit it is a slip of the pen.
    (1e6..=1e13).contains(&bits).then_some(Uplink::BitsPerSecond(bits as u64))
}

/// `"1GB"`, `"1.5 GB"`, `"200MB"`, `"off"`; in bytes.
fn size(text: &str) -> Option<u64> {
    if text == "off" {
        return Some(0);
    }
    bytes(text).filter(|bytes| *bytes <= WARM_UP_BYTES_PER_HOUR_MAX)
}

/// The same without "off".
pub(super) fn bytes(text: &str) -> Option<u64> {
    let units = [("kB", 1e3), ("MB", 1e6), ("GB", 1e9)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim_end(), unit)))?;
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let bytes = number.parse::<f64>().ok().filter(|_| plain)? * unit;
    (0.0..1e18).contains(&bytes).then_some(bytes as u64)
}

fn intake(section: &Section<'_, '_>, data_dir: &Path) -> Intake {
    let rpc = listening(section, "rpc", 9331);
    let unix = section
        .parsed("unix", "a path in quotes, not empty, without \"~\", or \"off\"", |text| match text
        {
            "off" => Some(None),
            text => path(text).map(Some),
        })
        .unwrap_or_else(|| Some("/run/broadside/intake.sock".into()));
    if rpc.is_none() && unix.is_none() {
        section.missing("rpc", "with unix also off there is no way in for a block");
    }
    let cookie = section.choice("rpc_cookie", &[("auto", ())]);
    let login = match (password(section), cookie) {
        (Some(password), None) => IntakeLogin::Password(password),
        (Some(_), Some(())) => {
            section.missing("login", "give rpc_cookie, or user and password, not both");
            IntakeLogin::Cookie(data_dir.join(".cookie"))
        }
        (None, _) => IntakeLogin::Cookie(data_dir.join(".cookie")),
    };
    Intake { rpc, login, unix }
}

/// Where pages are, and who may see them. What others can reach must have a password: pages tell
/// where peers and nodes are.
fn http(section: &Section<'_, '_>) -> (Option<SocketAddr>, Option<Password>) {
    let listen = listening(section, "listen", 9380);
    let login = password(section);
    if let (Some(address), None, Some(found)) = (listen, &login, section.find("listen"))
        && !address.ip().to_canonical().is_loopback()
    {
        let message = format!(
            "others can reach {address}; give user and password beside it, or listen on 127.0.0.1"
        );
        section.fault(found.line, "listen", message);
    }
    (listen, login)
}

fn listening(section: &Section<'_, '_>, key: &'static str, port: u16) -> Option<SocketAddr> {
    section.listen(key).unwrap_or_else(|| Some(SocketAddr::from(([127, 0, 0, 1], port))))
}

/// `user` and `password`, both or neither.
pub(super) fn password(section: &Section<'_, '_>) -> Option<Password> {
    match (section.text("user"), section.text("password")) {
        (Some((user, line)), Some((password, _))) => {
            if user.is_empty() || user.contains(':') {
                section.fault(line, "user", "give a name without \":\", not empty".to_owned());
            }
            Some(Password { user: user.to_owned(), password: password.to_owned() })
        }
        (Some(_), None) => {
            section.missing("password", "user needs it");
            None
        }
        (None, Some(_)) => {
            section.missing("user", "password needs it");
            None
        }
        (None, None) => None,
    }
}

pub(super) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty() && !text.starts_with('~') && !text.contains('\0')).then(|| text.into())
}
