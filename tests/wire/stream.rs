//! Every kind of block through the desk, piece by piece: what goes out is what came in.

use std::sync::{Arc, Mutex};

use broadside::cold::directory::Directory;
use broadside::cold::stats::BlockLog;
use broadside::cold::template::TemplateMode;
use broadside::edge::intake::desk::{Desk, DeskChain, Draft, Publish, PublishedAt};
use broadside::hot::link::ImageId;
use broadside::hot::publish::Attachment;
use broadside::sys::clock::now_ns;
use broadside::wire::block::Walker;
use broadside::wire::chain::Chain;
use broadside::wire::check::parse_and_check;

use super::build::every_kind;
use super::compact::assert_rebuilds;
use broadside::wire::hash::hex;

/// Keeps what is published.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Vec<u8>>>>);

struct Writing(Kept, Vec<u8>);

impl Publish for Kept {
    fn begin(&self) -> Option<Box<dyn Draft>> {
        Some(Box::new(Writing(self.clone(), Vec::new())))
    }

    fn withdraw(&self, _: ImageId) {}
}

impl Draft for Writing {
    fn push(&mut self, raw: &[u8]) -> Result<(), String> {
        self.1.extend_from_slice(raw);
        Ok(())
    }

    fn digest(&mut self) {}

    fn commit(
        self: Box<Self>,
        _: u8,
        chain: &'static Chain,
        _: [u8; 32],
        more: Option<Attachment<'_>>,
    ) -> PublishedAt {
        let more = more.expect("every good block has it");
        let layout = Walker::new(chain).finish(&self.1).expect("good");
        assert_eq!(more.ends, layout.transactions.ends());
        if let Some((payload, _)) = more.compact {
            assert_rebuilds(chain, &self.1, &layout, payload);
        }
        let mut kept = self.0.0.lock().expect("whole");
        kept.push(self.1);
        PublishedAt { image: ImageId(kept.len() as u64), published_ns: now_ns() }
    }
}

#[tokio::test]
async fn every_kind_goes_out_as_it_came_in() {
    for (what, chain, raw) in every_kind() {
        let (_, expected) = parse_and_check(chain, &raw).expect("good");
        let hex = hex(&raw).into_bytes();
        // Short ones are dealt with on the spot, unless a long one is announced.
        for (step, announced) in [(7, None), (61, Some(1_000_000)), (1_461, Some(1_000_000))] {
            let kept = Kept::default();
            let log = Arc::new(BlockLog::new(Arc::new(Directory::default()), 0));
            let row =
                DeskChain { chain, node: None, more: Vec::new(), template: TemplateMode::Off };
            let desk = Desk::new(Arc::new(kept.clone()), vec![row], None, Arc::clone(&log));
            let mut block = desk.receive(0, 1, announced).expect("a place");
            hex.chunks(step).for_each(|digits| block.push_hex(digits).expect("hex"));
            let answer = block.finish_now().await;
            assert_eq!((answer.hash, answer.fault), (Some(expected.hash), None), "{what}");
            assert!(*kept.0.lock().expect("whole") == [raw.clone()], "{what}");
            let meta = log.find(0, &expected.hash).and_then(|record| record.meta).expect("noted");
            assert_eq!((meta.height, meta.transactions), (expected.height, expected.transactions));
        }
    }
}
