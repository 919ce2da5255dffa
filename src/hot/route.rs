//! Where sending without copying pays: learnt once per route from the kernel's usage reports.
//!
//! A route is a way out of this host (an interface, or loopback), named by the cold side in
//! [`super::link::Adoption::route`]. One connection asks, with one send, whether the kernel copies
//! there anyway; until it is known, and for ever where it copies, all others send plainly.

use crate::limits::{ROUTES_MAX, ZERO_COPY_BYTES_MIN};
use crate::sys::ring::Copying;

/// When images are sent from the arena without copying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroCopy {
    /// From [`ZERO_COPY_BYTES_MIN`] on, on routes where the kernel reports that it does not copy.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Every part of an image, however small and whatever the kernel reports: for measuring.
    Always,
}

/// What is known of one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing.
    #[default]
    Untried,
    /// The connection in this slot has asked by its last send.
    Asked(u16),
    /// The bytes really leave from the arena.
    Works,
    /// The kernel copies (loopback, veth, no scatter-gather), or does not know the request.
    Copies,
}

#[derive(Clone, Copy, Debug, Default)]
struct Route {
    state: State,
    /// Live connections on it, and those among them that this walk over the ranks has come by.
    members: u16,
    passed: u16,
}

/// All routes of one shard.
#[derive(Debug)]
pub(super) struct Routes {
    policy: ZeroCopy,
    routes: [Route; ROUTES_MAX as usize],
}

impl Routes {
    /// Routes of which nothing is known; `able`: whether the ring can send without copying at all.
    pub(super) fn new(policy: ZeroCopy, able: bool) -> Self {
        let policy = if able { policy } else { ZeroCopy::Off };
        Self { policy, routes: [Route::default(); ROUTES_MAX as usize] }
    }

    /// The route's place. One beyond the table shares the last.
    fn at(&mut self, route: u8) -> &mut Route {
        &mut self.routes[usize::from(route).min(ROUTES_MAX as usize - 1)]
    }

    /// A connection on `route` is served from now on.
    pub(super) fn join(&mut self, route: u8) {
        self.at(route).members += 1;
    }

    /// The connection in `slot` is served no more. If it had asked, the answer is lost.
    pub(super) fn leave(&mut self, route: u8, slot: u16) {
        let route = self.at(route);
        route.members = route.members.saturating_sub(1);
        route.forget_question(slot);
    }

    /// A walk over the ranks begins.
    pub(super) fn begin_walk(&mut self) {
        self.routes.iter_mut().for_each(|route| route.passed = 0);
    }

    /// The walk has come to a connection on `route`.
    pub(super) fn pass(&mut self, route: u8) {
        self.at(route).passed += 1;
    }

    /// How the connection that the walk is at sends `bytes` of an image. Where nothing is known, one
    /// of the worse half asks: an answer "copied" costs it time.
    pub(super) fn choose(&mut self, route: u8, bytes: u32) -> Copying {
        let zero = match self.policy {
            ZeroCopy::Off => false,
            ZeroCopy::Always => self.at(route).state != State::Copies,
            ZeroCopy::Auto if bytes < ZERO_COPY_BYTES_MIN => false,
            ZeroCopy::Auto => {
                let route = self.at(route);
                match route.state {
                    State::Untried => 2 * u32::from(route.passed) >= u32::from(route.members),
                    State::Asked(_) | State::Copies => false,
                    State::Works => true,
                }
            }
        };
        if zero { Copying::Zero } else { Copying::Plain }
    }

    /// A send without copying was queued for `slot`.
    pub(super) fn queued(&mut self, route: u8, slot: u16) {
        let route = self.at(route);
        if route.state == State::Untried {
            route.state = State::Asked(slot);
        }
    }

    /// The send took no bytes, so its report says nothing about copying: another one may ask.
    pub(super) fn unanswered(&mut self, route: u8, slot: u16) {
        self.at(route).forget_question(slot);
    }

    /// The kernel does not take such sends on this route. One try is enough for all connections.
    pub(super) fn refused(&mut self, route: u8) {
        self.at(route).state = State::Copies;
    }

    /// The kernel's report on a send of `slot` that took bytes; `None`: it does not say.
    pub(super) fn reported(&mut self, route: u8, slot: u16, copied: Option<bool>) {
        if self.policy != ZeroCopy::Auto {
            return;
        }
        let route = self.at(route);
        match copied {
            Some(true) | None => route.state = State::Copies,
            Some(false) if route.state == State::Asked(slot) => route.state = State::Works,
            Some(false) => {}
        }
    }
}

impl Route {
    fn forget_question(&mut self, slot: u16) {
        if self.state == State::Asked(slot) {
            self.state = State::Untried;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUCH: u32 = ZERO_COPY_BYTES_MIN;

    /// How each of `members` connections on route 3 would send.
    fn walk(routes: &mut Routes, members: u16, bytes: u32) -> Vec<u16> {
        routes.begin_walk();
        let mut zero = Vec::new();
        for slot in 0..members {
            routes.pass(3);
            if routes.choose(3, bytes) == Copying::Zero {
                routes.queued(3, slot);
                zero.push(slot);
            }
        }
        zero
    }

    fn routes(policy: ZeroCopy, able: bool) -> Routes {
        let mut routes = Routes::new(policy, able);
        (0..10).for_each(|_| routes.join(3));
        routes
    }

    #[test]
    fn one_of_the_worse_half_asks_for_all() {
        let mut routes = routes(ZeroCopy::Auto, true);
        assert_eq!(walk(&mut routes, 10, MUCH - 1), [0; 0], "not worth it");
        assert_eq!(walk(&mut routes, 10, MUCH), [4]);
        assert_eq!(walk(&mut routes, 10, MUCH), [0; 0], "it is being asked");
        routes.reported(3, 7, Some(false));
        assert_eq!(walk(&mut routes, 10, MUCH), [0; 0], "somebody else's report");
        routes.reported(3, 4, Some(false));
        assert_eq!(walk(&mut routes, 10, MUCH).len(), 10);
        assert_eq!(walk(&mut routes, 10, MUCH - 1), [0; 0]);
        routes.reported(3, 9, Some(true));
        assert_eq!(walk(&mut routes, 10, MUCH), [0; 0], "it copies now");
        assert_eq!(routes.choose(u8::MAX, MUCH), Copying::Zero, "another route is another matter");
    }

    #[test]
    fn a_question_without_an_answer_is_asked_again() {
        let mut routes = routes(ZeroCopy::Auto, true);
        assert_eq!(walk(&mut routes, 10, MUCH), [4]);
        routes.unanswered(3, 4);
        assert_eq!(walk(&mut routes, 10, MUCH), [4]);
        routes.leave(3, 5);
        assert_eq!(walk(&mut routes, 9, MUCH), [0; 0], "not the one who asked");
        routes.leave(3, 4);
        assert_eq!(walk(&mut routes, 8, MUCH).len(), 1);
        routes.refused(3);
        assert_eq!(walk(&mut routes, 8, MUCH), [0; 0]);
    }

    #[test]
    fn the_policy_goes_before_what_was_learnt() {
        assert_eq!(walk(&mut routes(ZeroCopy::Off, true), 10, MUCH), [0; 0]);
        assert_eq!(walk(&mut routes(ZeroCopy::Auto, false), 10, MUCH), [0; 0]);
        assert_eq!(walk(&mut routes(ZeroCopy::Always, false), 10, MUCH), [0; 0]);
        let mut always = routes(ZeroCopy::Always, true);
        always.reported(3, 0, Some(true));
        assert_eq!(walk(&mut always, 10, 1).len(), 10);
        always.refused(3);
        assert_eq!(walk(&mut always, 10, 1), [0; 0], "what the kernel can't do is not done");
    }
}
