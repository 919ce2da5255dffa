//! What stands around the panels.

use maud::{DOCTYPE, Markup, html};

use crate::limits::DASHBOARD_REFRESH_S;

/// The dashboard: kept up to date by its script, or else loaded again now and then.
pub(super) fn live(panels: &Markup) -> Markup {
    let head = html! {
        noscript { meta http-equiv="refresh" content=(DASHBOARD_REFRESH_S); }
        script src="/live.js" defer {}
    };
    let lamp = html! {
        p id="connection" data-state="loading" role="status" { i.dot aria-hidden="true" {} span { "not live" } }
    };
    whole("broadside", &head, &lamp, panels)
}

/// A page that does not change.
pub(super) fn still(title: &str, body: &Markup) -> Markup {
    let back = html! { p { a href="/" { "← all blocks and peers" } } };
    whole(&format!("{title} · broadside"), &Markup::default(), &back, body)
}

fn whole(title: &str, head: &Markup, corner: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                // An empty picture: no browser need ask for one.
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/style.css";
                (head)
            }
            body {
                header {
                    h1 { a href="/" { "broadside" } }
                    (corner)
                }
                main id="panels" { (body) }
                footer {
                    p {
                        "As JSON: " a href="/broadcaster_stats" { "statistics" } ", "
                        a href="/blocks" { "blocks" } ". For Prometheus: " a href="/metrics" { "metrics" } "."
                    }
                }
            }
        }
    }
}
