//! The desk's view of the hot side's publisher.

use std::sync::Arc;

use super::intake::desk::{Draft, Publish, PublishedAt};
use crate::hot::link::ImageId;
use crate::hot::publish::{ImageWriter, Publisher};
use crate::wire::chain::Chain;

/// A [`Publisher`] for the desk.
pub(super) struct Publishing(pub(super) Arc<Publisher>);

impl Publish for Publishing {
    fn begin(&self) -> Option<Box<dyn Draft>> {
        self.0.begin().map(|writer| Box::new(Writing(writer)) as Box<dyn Draft>)
    }

    fn withdraw(&self, image: ImageId) {
        self.0.withdraw(image);
    }
}

struct Writing(ImageWriter);

impl Draft for Writing {
    fn push(&mut self, raw: &[u8]) -> Result<(), String> {
        self.0.push(raw).map_err(|error| error.to_string())
    }

    fn digest(&mut self) {
        self.0.digest();
    }

    fn commit(
        self: Box<Self>,
        chain_index: u8,
        chain: &'static Chain,
        hash: [u8; 32],
    ) -> PublishedAt {
        let published = self.0.commit(chain_index, chain, hash);
        PublishedAt { image: published.image, published_ns: published.published_ns }
    }
}
