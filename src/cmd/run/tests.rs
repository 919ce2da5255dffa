use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    forks: ForkArgs,
}

fn parsed(words: &[&str]) -> Result<Overrides, clap::Error> {
    let line = Line::try_parse_from([&["run"], words].concat())?;
    Ok(line.forks.overrides())
}

/// Every option of the seeds and of the forks, each by itself, with every spelling.
#[test]
fn each_option_of_the_forks_means_what_it_says() {
    let nothing = Overrides::default;
    let disabled = Overrides { disable: true, ..nothing() };
    let enabled = Overrides { enable: true, ..nothing() };
    let max = Overrides { max_peers: Some(7), ..nothing() };
    let min = Overrides { min_peers: Some(0), ..nothing() };
    let refresh = Overrides { refresh_interval_s: Some(30), ..nothing() };
    let database = Overrides { peer_db: Some("a b.json".into()), ..nothing() };
    for (words, expected) in [
        (&[][..], nothing()),
        (&["--disable-broadcaster"], disabled.clone()),
        (&["--broadcast-peers=false"], disabled),
        (&["--broadcast-enabled"], enabled.clone()),
        (&["--broadcast-peers", "true"], enabled),
        (&["--broadcast-max-peers", "7"], max.clone()),
        (&["--broadcast-max-peers=7"], max.clone()),
        (&["--broadcaster-max-peers", "7"], max),
        (&["--broadcast-min-peers", "0"], min.clone()),
        (&["--broadcaster-min-peers=0"], min),
        (&["--broadcast-refresh-interval", "30"], refresh),
        (&["--broadcast-skip-bootstrap"], Overrides { skip_bootstrap: true, ..nothing() }),
        (&["--broadcast-peer-db", "a b.json"], database),
        (&["--broadcast-no-fallback"], Overrides { no_fallback: true, ..nothing() }),
    ] {
        assert_eq!(parsed(words).unwrap(), expected, "{words:?}");
    }
    for wrong in [
        &["--disable-broadcaster", "--broadcast-enabled"][..],
        &["--broadcast-max-peers", "0"],
        &["--broadcast-max-peers", "1001"],
        &["--broadcast-max-peers", "many"],
        &["--broadcast-min-peers", "-1"],
        &["--broadcast-refresh-interval", "0"],
        &["--broadcast-peer-db"],
        &["--broadcast-peers"],
        &["--broadcast-no-fallback=yes"],
    ] {
        assert!(parsed(wrong).is_err(), "{wrong:?}");
    }
}
