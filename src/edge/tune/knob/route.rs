//! Windows of the default routes, by `ip(8)`: what a new connection begins with.
//!
//! A place is the route as `ip` shows it, without the two windows; a value is the window in packets, or
//! [`UNSET`].

use super::access::{IP, may_change_network};
use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::{Route, Window};

/// The value of a window that the route does not set: the kernel's own is used.
const UNSET: &str = "unset";
const INITCWND: &str = "initcwnd";
const INITRWND: &str = "initrwnd";
/// What `ip` shows of a route's state, and would not take back.
const STATES: [&str; 6] = ["linkdown", "dead", "offload", "trap", "rt_offload", "rt_trap"];
const FAMILIES: [&str; 2] = ["-4", "-6"];

/// One default route.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Default {
    family: &'static str,
    /// As `ip` takes it back.
    words: Vec<String>,
}

impl Default {
    /// Of a line of `ip -o route show default`; `None`: it is no such route.
    fn read(family: &'static str, line: &str) -> Option<Self> {
        let line = line.replace('\\', " ");
        let words: Vec<_> = line.split_whitespace().filter(|word| !STATES.contains(word)).collect();
        let is_default = words.first() == Some(&"default");
        is_default.then(|| Self { family, words: words.into_iter().map(str::to_owned).collect() })
    }

    /// The word behind `name`.
    fn value(&self, name: &str) -> Option<&str> {
        let at = self.words.iter().position(|word| word == name)?;
        self.words.get(at + 1).map(String::as_str)
    }

    fn has(&self, name: &str) -> bool {
        self.words.iter().any(|word| word == name)
    }

    /// Without `window` and its value.
    fn without(mut self, window: &str) -> Self {
        if let Some(at) = self.words.iter().position(|word| word == window) {
            let end = self.words.len().min(at + 2);
            self.words.drain(at..end);
        }
        self
    }

    /// The same with `window` of so many packets.
    fn with(self, window: &str, packets: &str) -> Self {
        let mut bare = self.without(window);
        // Behind the first next hop, words belong to that one.
        let end = bare.words.iter().position(|word| word == "nexthop").unwrap_or(bare.words.len());
        bare.words.splice(end..end, [window.to_owned(), packets.to_owned()]);
        bare
    }

    fn place(&self) -> String {
        let bare =
            [INITCWND, INITRWND].iter().fold(self.clone(), |route, window| route.without(window));
        format!("{} {}", self.family, bare.words.join(" "))
    }

    /// What the kernel tells routes to one place apart by.
    fn key(&self) -> (&str, Option<&str>, Option<&str>) {
        (self.family, self.value("metric"), self.value("tos"))
    }

    fn leaves_by(&self, devices: &[String]) -> bool {
        self.words.windows(2).any(|pair| pair[0] == "dev" && devices.contains(&pair[1]))
    }

    /// Why this route is better left alone.
    fn untouchable(&self, all: &[Self]) -> Option<String> {
        let instead = "set initial_window_packets in [trace] instead: it needs no route";
        if self.has("expires") {
            let owner = "a router's advertisement made this route and will make it anew";
            return Some(format!("{owner}: {instead}"));
        }
        let is_locked = [INITCWND, INITRWND].iter().any(|it| self.value(it) == Some("lock"));
        if is_locked || self.has("nhid") || self.has("encap") {
            return Some(format!("ip can't put a route of this kind back as it is: {instead}"));
        }
        let same = all.iter().filter(|other| other.key() == self.key()).count();
        (same > 1).then(|| {
            format!("{same} default routes have one metric, and ip could only replace the first: {instead}")
        })
    }

    fn note(&self) -> String {
        match self.value("proto") {
            Some("dhcp" | "ra") => {
                "made by the network's configuration, which may make it anew when its lease is renewed: \
                 apply again then, or set it there (systemd-networkd: InitialCongestionWindow=)"
            }
            _ => "lasts until the route is made anew, as at the next start of the host",
        }
        .to_owned()
    }
}

/// All default routes of the main tables.
fn defaults(host: &Host) -> Result<Vec<Default>, Cannot> {
    let mut found = Vec::new();
    for family in FAMILIES {
        let text = match IP.run(host, &[family, "-o", "route", "show", "default"]) {
            // A kernel without IPv6.
            Err(Cannot::Refused(_)) if family == "-6" => continue,
            text => text?,
        };
        found.extend(text.lines().filter_map(|line| Default::read(family, line)));
    }
    Ok(found)
}

fn find(host: &Host, place: &str) -> Result<(Default, Vec<Default>), Cannot> {
    let all = defaults(host)?;
    let found = all.iter().find(|route| route.place() == place).cloned();
    found.map(|route| (route, all)).ok_or_else(|| Cannot::Missing(format!("route {place}")))
}

impl Route {
    fn window(&self) -> &'static str {
        match self.window {
            Window::Initcwnd => INITCWND,
            Window::Initrwnd => INITRWND,
        }
    }

    fn value(&self, route: &Default) -> String {
        route.value(self.window()).unwrap_or(UNSET).to_owned()
    }

    /// What it should be where it is `now`; no packets: as the kernel has it.
    fn wanted(&self, now: &str) -> Option<String> {
        match (self.packets, now.parse::<u16>()) {
            (0, _) => (now != UNSET).then(|| UNSET.to_owned()),
            (packets, Ok(now)) if now >= packets => None,
            (packets, _) => Some(packets.to_string()),
        }
    }
}

impl Knob for Route {
    fn look(&self, host: &Host) -> Vec<Finding> {
        let routes = match defaults(host) {
            Ok(routes) => routes,
            Err(error) => {
                let (now, note) = (Err(error), String::new());
                return vec![Finding {
                    place: "default routes".to_owned(),
                    now,
                    wanted: None,
                    note,
                }];
            }
        };
        let ours = routes.iter().filter(|route| route.leaves_by(&host.devices));
        ours.map(|route| {
            let now = self.value(route);
            let wanted = self.wanted(&now);
            let note =
                wanted.as_ref().map(|_| route.untouchable(&routes).unwrap_or_else(|| route.note()));
            Finding { place: route.place(), now: Ok(now), wanted, note: note.unwrap_or_default() }
        })
        .collect()
    }

    fn read(&self, host: &Host, place: &str) -> Result<String, Cannot> {
        Ok(self.value(&find(host, place)?.0))
    }

    fn write(&self, host: &Host, place: &str, value: &str) -> Result<(), Cannot> {
        let window = self.window();
        let (route, all) = find(host, place)?;
        if let Some(why) = route.untouchable(&all) {
            return Err(Cannot::Refused(why));
        }
        let family = route.family;
        let changed = match value.parse::<u16>() {
            Ok(packets) => route.with(window, &packets.to_string()),
            Err(_) if value == UNSET => route.without(window),
            Err(_) => return Err(Cannot::Refused(format!("no number of packets: {value}"))),
        };
        let words = changed.words.iter().map(String::as_str);
        let arguments: Vec<_> = [family, "route", "replace"].into_iter().chain(words).collect();
        IP.run(host, &arguments).map(drop)
    }

    fn settable(&self, host: &Host, place: &str) -> Result<(), Cannot> {
        may_change_network(host, place)?;
        let (route, all) = find(host, place)?;
        route.untouchable(&all).map_or(Ok(()), |why| Err(Cannot::ByHand(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(family: &'static str, text: &str) -> Vec<Default> {
        text.lines().filter_map(|line| Default::read(family, line)).collect()
    }

    #[test]
    fn a_route_gets_its_window_where_ip_takes_it_and_loses_it_again() {
        let text = "default via 10.0.0.2 dev v0 proto static metric 10 linkdown \n\
                    default proto static metric 9 \\\tnexthop via 10.0.0.2 dev v0 weight 1 \
                    \\\tnexthop via 10.0.0.3 dev v1 weight 1 \n\
                    unreachable default dev lo metric 4294967295 error -101 pref medium";
        let routes = routes("-4", text);
        assert_eq!(routes.len(), 2);
        assert_eq!(routes[0].place(), "-4 default via 10.0.0.2 dev v0 proto static metric 10");
        let with = routes[1].clone().with("initcwnd", "64");
        let front = "default proto static metric 9 initcwnd 64 nexthop via 10.0.0.2 dev v0";
        assert!(with.words.join(" ").starts_with(front), "{with:?}");
        assert_eq!(with.value("initcwnd"), Some("64"));
        assert_eq!(with.clone().with("initcwnd", "32").value("initcwnd"), Some("32"));
        assert_eq!(with.place(), routes[1].place());
        assert_eq!(with.without("initcwnd"), routes[1]);
        assert!(
            routes[1].leaves_by(&["v1".to_owned()]) && !routes[0].leaves_by(&["v1".to_owned()])
        );
    }

    #[test]
    fn what_could_not_be_put_back_is_left_alone() {
        let text = "default via fe80::1 dev v0 proto ra metric 1024 expires 1797sec pref medium\n\
                    default nhid 12 via fe80::2 dev v0 metric 1\n\
                    default via fe80::3 dev v0 metric 2\n\
                    default via fe80::4 dev v1 metric 2\n\
                    default via fe80::5 dev v1 metric 3";
        let routes = routes("-6", text);
        let reasons = routes.iter().map(|route| route.untouchable(&routes).is_some());
        assert_eq!(reasons.collect::<Vec<_>>(), [true, true, true, true, false]);
    }

    #[test]
    fn more_is_right_and_no_packets_means_the_kernels_own() {
        let at_least = Route { window: Window::Initcwnd, packets: 64 };
        assert_eq!(at_least.wanted("unset").as_deref(), Some("64"));
        assert_eq!(at_least.wanted("10").as_deref(), Some("64"));
        assert_eq!(at_least.wanted("100"), None);
        let none = Route { window: Window::Initrwnd, packets: 0 };
        assert_eq!(none.wanted("10").as_deref(), Some("unset"));
        assert_eq!(none.wanted("unset"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_answer_is_dealt_with(text in "default( (via|dev|metric|tos|nexthop|initcwnd|lock|expires|[a-z0-9.:]{0,9})){0,9}") {
            if let Some(route) = Default::read("-4", &text) {
                let with = route.clone().with(INITCWND, "64");
                let _ = (route.untouchable(std::slice::from_ref(&with)), route.note(), with.place());
            }
        }
    }
}
