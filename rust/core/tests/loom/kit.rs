//! What the models have in common.

use loom::sync::atomic::{AtomicU32, Ordering};
use procession_core::futex;

/// Run every order in which a few threads may go, with at most three preemptions.
pub fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    // Who looks around again and again takes more of them than the default allows.
    builder.max_branches = 20_000;
    builder.check(run);
}

pub const ALL_LIVE: &dyn Fn(u32) -> bool = &|_| true;

/// Who is dead: a set of small member ids.
#[derive(Default)]
pub struct Dead(AtomicU32);

impl Dead {
    /// Member `id` stops here for ever. Its sleepers may look around from now on.
    pub fn die(&self, id: u32) {
        self.0.fetch_or(1 << id, Ordering::SeqCst);
        futex::pass_time();
    }

    pub fn is_alive(&self, id: u32) -> bool {
        self.0.load(Ordering::SeqCst) & 1 << id == 0
    }
}
