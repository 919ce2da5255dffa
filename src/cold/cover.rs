//! The covering rule: which peers, between them, are near all of the network's hash rate.
//!
//! A peer that hears a pool's blocks early is near that pool, and near goes both ways. For each of
//! the network's blocks [`Cover`] keeps when each watched peer's announcement was here. The rule
//! chooses the set of peers that makes the sum over past blocks of the least lag smallest, one peer
//! after the other; the order in which it chooses them is the rank. Taking the peers with the least
//! mean lag instead would find twenty neighbours of the largest pool.
//!
//! The lag is what we see: from the first announcement that is here until the peer's own is. It holds
//! the peer's way to us, which is as long as ours to the peer, so nothing is added for that: counting
//! it twice costs a seventh of the gain in the model of `sim/network`.
//!
//! # Use
//!
//! * [`Cover::watch`] when a connection that announces blocks is there, [`Cover::unwatch`] when it is
//!   lost: what a peer has announced is kept, and blocks that it could not announce don't count
//!   against it. [`Cover::forget`] when it has left the database.
//! * [`Cover::note`] for each announcement of a block of the network whose work holds. Not for our
//!   own blocks: who has those early has them from us.
//! * [`Cover::judge`] for what became of our own block at a peer.
//! * [`Cover::choose`], or [`Selection::order`], at each refresh.
//!
//! Pure: no clock, no socket, no chance but the seed. All times are µs of one clock of the caller's
//! that never goes back.
//!
//! # Against liars
//!
//! A peer can look early without being it, and then sit on our block. So: a block that fewer than
//! three peers have announced is not looked at; nobody counts as further ahead of the third announcer
//! than a bound; a peer covers a block only as far as it is trusted, so that behind each one that
//! seems to hear everything the next ones are chosen as well; trust is what its receipts and echoes
//! have earned; and one place in five is given by lot, to anybody. Against many that hold together
//! there are only the lots, and the limits per network group and AS that the caller keeps in whom it
//! offers as eligible.

mod greedy;
mod table;
mod trust;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub use table::{Cover, Noted};
pub use trust::{Proof, Trust};

/// Who is chosen, and in which order they are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// By score alone, as the programs that this one replaces do it.
    Seed,
    /// By the covering rule, as far as enough has been watched, then by score.
    #[default]
    Measured,
}

/// What gave a peer its place in the order of service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChosenBy {
    /// The covering rule: it adds to what those before it hear early.
    Cover,
    /// The lot: a share of the places is given to anybody.
    Lot,
    /// Its score.
    #[default]
    Score,
}

impl ChosenBy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cover, Self::Lot, Self::Score];

    /// The word in files and views.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cover => "cover",
            Self::Lot => "lot",
            Self::Score => "score",
        }
    }
}

impl Selection {
    /// The word in configuration and views.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Measured => "measured",
        }
    }

    /// The best `seats` of `eligible`, which come in the order of their scores: the order of service.
    #[must_use]
    pub fn order<P>(self, cover: &Cover<P>, eligible: &[P], seats: usize, now_us: u64) -> Vec<P>
    where
        P: Copy + Ord + std::hash::Hash,
    {
        self.pick(cover, eligible, seats, now_us).into_iter().map(|(peer, _)| peer).collect()
    }

    /// The same, with what gave each its place.
    #[must_use]
    pub fn pick<P>(
        self,
        cover: &Cover<P>,
        eligible: &[P],
        seats: usize,
        now_us: u64,
    ) -> Vec<(P, ChosenBy)>
    where
        P: Copy + Ord + std::hash::Hash,
    {
        match self {
            Self::Seed => {
                eligible.iter().take(seats).map(|peer| (*peer, ChosenBy::Score)).collect()
            }
            Self::Measured => cover.pick(seats, eligible, now_us),
        }
    }
}
