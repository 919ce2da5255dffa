//! The configuration file as its users meet it: defaults, every message, what is warned of.

#![allow(clippy::expect_used, clippy::panic, reason = "what a test calls fails by panicking")]

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use broadside::config::{
    Backend, Config, ConfigError, Cores, EXAMPLE, EndpointLogin, Idle, IntakeLogin, Overrides,
    Selection, Uplink, locate,
};

const NODE: &str = "[chain.node]\np2p = \"127.0.0.1:9333\"\nrpc = \"http://127.0.0.1:9332\"\n\
                    cookie_file = \"/c\"\n";

fn read(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("broadside.toml"))
}

/// The configuration of one chain with `extra` before it.
fn chain(extra: &str) -> String {
    format!("{extra}\n[[chain]]\nname = \"litecoin\"\n{NODE}")
}

fn message(text: &str) -> String {
    read(text).expect_err("must be refused").to_string()
}

#[test]
fn the_example_is_right_and_silent() {
    let config = read(EXAMPLE).unwrap();
    assert_eq!(config.warnings(), <&[&str]>::default());
    assert_eq!(config.chains.len(), 1);
}

/// Every key of the example, also those in comments, is a key that the program knows, with a value
/// that it takes; and every default that it shows is the default.
#[test]
fn the_example_shows_every_default() {
    let none_by_default = [
        "user =",
        "password =",
        "fixed =",
        "proxy =",
        "chain.submit",
        "url =",
        "timeout_s =",
        "retry_s =",
        "asn_db =",
        "regions =",
        "webhook =",
        "command =",
        "off =",
    ];
    let uncommented: String = EXAMPLE
        .lines()
        .skip(3)
        .filter(|line| !none_by_default.iter().any(|skip| line.contains(skip)))
        .map(|line| line.strip_prefix("# ").unwrap_or(line).to_owned() + "\n")
        .collect();
    let plain = read(EXAMPLE).unwrap();
    let shown = read(&uncommented).unwrap();
    let text = |config: &Config| {
        let Config { engine, intake, http, alerts, history, trace, chains, .. } = config;
        format!("{engine:?} {intake:?} {http:?} {alerts:?} {history:?} {trace:?} {chains:?}")
    };
    assert_eq!(text(&plain), text(&shown));
}

#[test]
fn defaults_are_those_of_the_surface() {
    let config = read(&chain("")).unwrap();
    assert_eq!(config.engine.cores, Cores::Auto);
    assert_eq!(config.engine.backend, Backend::Auto);
    assert_eq!(config.engine.idle, Idle::Wait);
    assert_eq!(config.engine.uplink, Uplink::Auto);
    assert_eq!(config.engine.warm_upload_bytes, 1_000_000_000);
    assert_eq!(config.engine.data_dir, Path::new("/var/lib/broadside"));
    assert_eq!(config.intake.rpc, Some("127.0.0.1:9331".parse().unwrap()));
    assert!(matches!(&config.intake.login, IntakeLogin::Cookie(file)
        if file == Path::new("/var/lib/broadside/.cookie")));
    assert_eq!(config.intake.unix.as_deref(), Some(Path::new("/run/broadside/intake.sock")));
    assert_eq!(config.http, Some("127.0.0.1:9380".parse().unwrap()));
    let peers = &config.chains[0].peers;
    assert_eq!((peers.max, peers.min, peers.scouts), (20, 5, 100));
    assert_eq!(peers.refresh, Duration::from_secs(60));
    assert!(peers.bootstrap && peers.discover && peers.fixed.is_empty());
    assert_eq!(peers.database, Path::new("/var/lib/broadside/broadcaster_peers_litecoin.json"));
    assert_eq!(peers.selection, Selection::Measured);
}

#[test]
fn whom_to_choose_is_read() {
    let text = chain("[engine]\nasn_db = \"asn.mmdb\"\ndata_dir = \"/d\"")
        + "[chain.peers]\nselection = \"seed\"\nregions = [\"EU\", \"DE\"]";
    let config = read(&text).unwrap();
    assert_eq!(config.engine.asn_db.as_deref(), Some(Path::new("/d/asn.mmdb")));
    let peers = &config.chains[0].peers;
    assert_eq!(
        (peers.selection, &peers.regions[..]),
        (Selection::Seed, &["EU".into(), "DE".into()][..])
    );
    for wrong in
        ["regions = \"EU\"", "regions = [\"Europe\"]", "regions = [\"eu\"]", "selection = \"best\""]
    {
        let text = chain("") + "[chain.peers]\n" + wrong;
        let said = read(&text).unwrap_err().to_string();
        assert!(said.contains("is not allowed; give"), "{wrong}: {said}");
    }
}

#[test]
fn every_value_is_read() {
    let text = "[engine]\ncores = [2, 0x3]\nbackend = \"epoll\"\nidle = \"spin\"\n\
                uplink = \"2.5 Gbit/s\"\norder = \"near-first\"\nwarm_upload = \"1.5 MB\"\ndata_dir = \"/d\"\n\
                [intake]\nrpc = \"[::1]:1\"\nuser = \"u\"\npassword = \"p\"\nunix = \"off\"\n\
                [http]\nlisten = \"off\"\n\
                [trace]\ninitial_window_packets = 30\n\
                [[chain]]\nname = \"litecoin\"\nnetwork = \"regtest\"\n\
                [chain.peers]\nmax = 7\nmin = 0\nfixed = [\"127.0.0.1:5\", \"[::1]:6\"]\n\
                db = \"/elsewhere/x.json\"\nproxy = \"socks5://u:p@ss:w@[::1]:9050/\"\n\
                [[chain.submit]]\nurl = \"http://node:9332/\"\nuser = \"a\"\npassword = \"b\"\n\
                [[chain.submit]]\nurl = \"http://node:9333\"\ncookie_file = \"/c\"\n\
                timeout_s = 7\nretry_s = 90\n";
    let config = read(text).unwrap();
    let trace = config.trace;
    assert_eq!((trace.deliveries, trace.cores, trace.initial_window_packets), (true, true, 30));
    assert_eq!(config.engine.cores, Cores::Named(vec![2, 3]));
    assert_eq!(config.engine.uplink, Uplink::BitsPerSecond(2_500_000_000));
    assert_eq!(config.engine.warm_upload_bytes, 1_500_000);
    assert_eq!((config.intake.unix.clone(), config.http), (None, None));
    assert!(matches!(&config.intake.login, IntakeLogin::Password(it) if it.user == "u"));
    let chain = &config.chains[0];
    assert_eq!(chain.peers.fixed.len(), 2);
    assert_eq!(chain.peers.database, Path::new("/elsewhere/x.json"));
    let proxy = chain.peers.proxy.as_ref().unwrap();
    assert_eq!(proxy.address, "[::1]:9050".parse().unwrap());
    assert_eq!(proxy.login.as_ref().unwrap().password, "p@ss:w");
    assert_eq!(chain.submit[0].endpoint.url, "http://node:9332");
    assert!(
        matches!(&chain.submit[0].endpoint.login, EndpointLogin::Password(it) if it.password == "b")
    );
    let times = |at: usize| (chain.submit[at].timeout.as_secs(), chain.submit[at].retry.as_secs());
    assert_eq!((times(0), times(1)), ((30, 600), (7, 90)));
    for default in ["# timeout_s = 30 ", "# retry_s = 600 "] {
        assert!(EXAMPLE.contains(default), "{default}");
    }
    let printed = format!("{config:?}");
    assert!(!printed.contains("\"b\"") && !printed.contains("p@ss"), "passwords are never printed");
}

#[test]
fn faults_name_line_key_and_what_is_allowed() {
    let peers = |line: &str| chain("") + "[chain.peers]\n" + line;
    for (text, expected) in [
        (
            peers("max = 0"),
            "broadside.toml:9: chain.peers.max: 0 is not allowed; give a whole number from 1 to 1000",
        ),
        (peers("max = -3"), "chain.peers.max: -3 is not allowed"),
        (peers("max = \"20\""), "chain.peers.max: \"20\" is not allowed; give a whole number"),
        (peers("max = 99999999999999999999"), "is not allowed; give a whole number"),
        (peers("max = 3\nmin = 4"), ":10: chain.peers.min: 4 is not allowed; give a whole number from 0 to 3"),
        (peers("fixed = [\"1.2.3.4:5\",\n\"1.2.3.4\"]"), ":10: chain.peers.fixed: \"1.2.3.4\" is not"),
        (
            peers("proxy = \"socks5://tor.example.org:9050\""),
            "broadside.toml:9: chain.peers.proxy: \"socks5://tor.example.org:9050\" is not allowed; give socks5://IP:PORT",
        ),
        (peers("proxy = \"socks5://127.0.0.1\""), "chain.peers.proxy"),
        (peers("proxy = \"socks5://127.0.0.1:0\""), "chain.peers.proxy"),
        (peers("proxy = \"socks5://user@127.0.0.1:9050\""), "chain.peers.proxy: is not allowed; give socks5://IP:PORT"),
        (peers("proxy = \"socks5://:p@127.0.0.1:9050\""), "chain.peers.proxy"),
        (peers("proxy = \"http://127.0.0.1:9050\""), "chain.peers.proxy"),
        (peers("proxy = 3"), ":9: chain.peers.proxy: 3 is not allowed"),
        (peers("warm = \"hot\""), "give one of \"auto\", \"off\", \"always\""),
        (peers("refesh_s = 3"), ":9: chain.peers.refesh_s: there is no such key here; did you mean refresh_s?"),
        (peers("data_dir = \"/x\""), "it belongs in [engine]"),
        (chain("[engine]\nuplink = \"fast\""), "broadside.toml:2: engine.uplink: \"fast\" is not allowed"),
        (chain("[engine]\nuplink = \"1bit\""), "engine.uplink"),
        (chain("[engine]\nuplink = \"infGbit\""), "engine.uplink"),
        (chain("[engine]\nwarm_upload = \"much\""), "give bytes in an hour like \"1GB\" or \"200MB\", or \"off\""),
        (chain("[engine]\nwarm_upload = \"-1MB\""), "engine.warm_upload"),
        (chain("[engine]\nwarm_upload = \"2000GB\""), "engine.warm_upload"),
        (chain("[engine]\ncores = []"), "engine.cores: give from 1 to 64 cores"),
        (chain("[engine]\ncores = [1, 1]"), "core 1 is named twice"),
        (chain("[engine]\ndata_dir = \"~/x\""), "a path in quotes, not empty, without \"~\""),
        (chain("[engine]\nidle = true"), "engine.idle: true is not allowed; give one of \"wait\", \"spin\""),
        (chain("[intake]\nrpc = \"9331\""), "intake.rpc: \"9331\" is not allowed; give IP:PORT"),
        (chain("[intake]\nrpc = \"off\"\nunix = \"off\""), "no way in for a block"),
        (chain("[intake]\nuser = \"x\""), "intake.password: is missing"),
        (chain("[intake]\nuser = \"x\"\npassword = \"y\"\nrpc_cookie = \"auto\""), "not both"),
        (chain("[http]\nlisten = \"0.0.0.0:9380\""), "http.listen: others can reach 0.0.0.0:9380; give user and password beside it"),
        (chain("[http]\nlisten = \"[::ffff:10.0.0.1]:9380\""), "give user and password"),
        (chain("[trace]\nbpf = \"on\""), "trace.bpf: \"on\" is not allowed; give one of \"auto\", \"deliveries\", \"cores\", \"off\""),
        (chain("[trace]\ninitial_window_packets = 1001"), "give a whole number from 0 to 1000"),
        (chain("[trace]\ninitial_window_packets = 20\nbpf = \"off\""), ":2: trace.initial_window_packets: is set through BPF"),
        (chain("[http]\nuser = \"a\""), "http.password: is missing; user needs it"),
        (chain("[http]\nlisten = \"127.0.0.1:9331\""), "http.listen: 127.0.0.1:9331 is taken by intake.rpc"),
        (chain("[engin]\n"), "broadside.toml:1: engin: there is no such key here; did you mean engine?"),
        (chain("engine = 3"), "engine: a whole number is not a section; write [engine]"),
        (String::new(), "broadside.toml: chain: give from 1 to 8 sections [[chain]]"),
        ("[chain]\nname = \"litecoin\"".into(), "needs two pairs of brackets: [[chain]]"),
        ("[[chain]]\n".into(), "broadside.toml:1: chain.name: is missing; give one of \"bitcoin\""),
        ("[[chain]]\nname = \"litcoin\"".into(), ":2: chain.name: \"litcoin\" is not allowed"),
        (chain("") + &chain(""), "litecoin has a section already"),
        ("[[chain]]\nname = \"litecoin\"\n[chain.node]\nrpc = \"http://h:1\"".into(), "give cookie_file, or user and password"),
        ("[[chain]]\nname = \"litecoin\"\n[chain.node]\ncookie_file = \"/c\"".into(), "chain.node.rpc: is missing"),
        ("[[chain]]\nname = \"litecoin\"\n[chain.node]\nrpc = \"http://u:p@h:1\"\ncookie_file = \"/c\"".into(), "without user, password or path"),
        ("a = \"".into(), "broadside.toml:1: this is not TOML"),
        ("a = 1\na = 2".into(), "broadside.toml:2: this is not TOML"),
    ] {
        let message = message(&text);
        assert!(message.contains(expected), "for\n{text}\nexpected {expected}\ngot {message}");
    }
}

#[test]
fn all_faults_are_told_at_once_in_order() {
    let message = message(&chain("[engine]\nidle = 1\n[http]\nlisten = 2\nx = 3"));
    let lines: Vec<_> = message.lines().filter_map(|line| line.split(':').nth(1)).collect();
    assert_eq!(lines, ["2", "4", "5"], "{message}");
}

#[test]
fn hostile_text_is_refused_in_little_space() {
    let many: String = (0..5_000).map(|n| format!("k{n} = 1\n")).collect();
    assert!(message(&many).lines().count() <= 50);
    let long = format!("[engine]\nidle = \"{}\u{1b}[31m\"", "x".repeat(100_000));
    let told = message(&chain(&long));
    assert!(told.len() < 300 && !told.contains('\u{1b}'), "{told}");
    let deep = format!("a = {}", "[".repeat(50_000));
    assert!(message(&deep).contains("not TOML"));
}

#[test]
fn what_is_lost_is_said() {
    let lone = read("[[chain]]\nname = \"litecoin\"").unwrap();
    assert!(lone.warnings().iter().any(|line| line.contains("has no [chain.node]")));
    let nobody_known =
        |config: &Config| config.warnings().iter().any(|line| line.contains("no fixed peers"));
    assert!(!nobody_known(&lone), "there are DNS seeds");
    let alone = "[[chain]]\nname = \"litecoin\"\n[chain.peers]\ndiscover = false";
    assert!(nobody_known(&read(alone).unwrap()));
    let private = "[[chain]]\nname = \"litecoin\"\nnetwork = \"regtest\"";
    assert!(nobody_known(&read(private).unwrap()));
    let open = read(&chain("[intake]\nrpc = \"0.0.0.0:9331\"")).unwrap();
    assert!(open.warnings().iter().any(|line| line.contains("unencrypted")));
}

#[test]
fn options_override_the_file() {
    let mut config = read(&chain("")).unwrap();
    let overrides = Overrides {
        max_peers: Some(3),
        refresh_interval_s: Some(9),
        skip_bootstrap: true,
        peer_db: Some("x.json".into()),
        no_fallback: true,
        ..Overrides::default()
    };
    overrides.apply(&mut config).unwrap();
    let peers = &config.chains[0].peers;
    assert_eq!((peers.max, peers.min, peers.bootstrap), (3, 3, false));
    assert_eq!(peers.refresh, Duration::from_secs(9));
    assert_eq!(peers.database, Path::new("/var/lib/broadside/x.json"));
    assert!(config.broadcast && config.warnings().len() == 1);

    let off = Overrides { disable: true, ..Overrides::default() };
    off.apply(&mut config).unwrap();
    assert!(!config.broadcast);
    for wrong in [
        Overrides { disable: true, enable: true, ..Overrides::default() },
        Overrides { min_peers: Some(4), ..Overrides::default() },
    ] {
        assert!(matches!(wrong.apply(&mut config), Err(ConfigError::Option { .. })), "{wrong:?}");
    }
}

/// Each option alone changes its own value and no other.
#[test]
fn each_option_overrides_its_own_value() {
    let text = chain("") + "[chain.peers]\nmax = 30\nmin = 6\nrefresh_s = 45\n";
    let file = || read(&text).unwrap();
    let shown = |config: &Config| {
        let peers = &config.chains[0].peers;
        let numbers = (peers.max, peers.min, peers.refresh.as_secs(), peers.bootstrap);
        (config.broadcast, numbers, peers.database.display().to_string())
    };
    let data = "/var/lib/broadside";
    let db = format!("{data}/broadcaster_peers_litecoin.json");
    let none = Overrides::default;
    for (overrides, expected) in [
        (none(), (true, (30, 6, 45, true), db.clone())),
        (Overrides { disable: true, ..none() }, (false, (30, 6, 45, true), db.clone())),
        (Overrides { enable: true, ..none() }, (true, (30, 6, 45, true), db.clone())),
        (Overrides { max_peers: Some(9), ..none() }, (true, (9, 6, 45, true), db.clone())),
        (Overrides { max_peers: Some(4), ..none() }, (true, (4, 4, 45, true), db.clone())),
        (Overrides { min_peers: Some(0), ..none() }, (true, (30, 0, 45, true), db.clone())),
        (Overrides { refresh_interval_s: Some(5), ..none() }, (true, (30, 6, 5, true), db.clone())),
        (Overrides { skip_bootstrap: true, ..none() }, (true, (30, 6, 45, false), db.clone())),
        (Overrides { no_fallback: true, ..none() }, (true, (30, 6, 45, true), db)),
        (
            Overrides { peer_db: Some("x.json".into()), ..none() },
            (true, (30, 6, 45, true), format!("{data}/x.json")),
        ),
        (
            Overrides { peer_db: Some("/tmp/x.json".into()), ..none() },
            (true, (30, 6, 45, true), "/tmp/x.json".to_owned()),
        ),
    ] {
        let mut config = file();
        overrides.apply(&mut config).unwrap();
        assert_eq!(shown(&config), expected, "{overrides:?}");
    }
}

#[test]
fn the_file_is_found_in_the_usual_places() {
    let folder = tempfile::tempdir().unwrap();
    let none = |_: &str| None::<OsString>;
    assert_eq!(locate(Some(Path::new("/x.toml")), none).unwrap(), Path::new("/x.toml"));
    let xdg = |name: &str| (name == "XDG_CONFIG_HOME").then(|| folder.path().into());
    let missing = locate(None, xdg);
    if let Err(error) = &missing {
        let text = error.to_string();
        assert!(text.contains("/etc/broadside/config.toml") && text.contains("--config"), "{text}");
    }
    let file = folder.path().join("broadside/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, EXAMPLE).unwrap();
    assert_eq!(locate(None, xdg).unwrap(), file);
    assert_eq!(Config::load(&file).unwrap().file, file);
    let gone = Config::load(Path::new("/nowhere/x.toml")).unwrap_err().to_string();
    assert!(gone.starts_with("/nowhere/x.toml: can't be read: "), "{gone}");
}
