//! Looking for a moment whether something comes true, before sleeping.
//!
//! A sleep and a wake-up cost some ten microseconds; between two processes that both run, what is
//! waited for often comes sooner. Not more members spin than there are processors, and an object at
//! which spinning was in vain for a while is slept at at once.

use super::map::Heap;
use crate::sync::{AtomicU32, Ordering, spin_loop};
use std::time::{Duration, Instant};

/// A sleep and a wake-up cost about this; spinning longer than that cannot gain.
pub const SPIN: Duration = Duration::from_micros(30);
const MOST: u32 = 16;

/// Whether spinning is worth it at one object, as far as this process saw.
pub struct Credit(AtomicU32);

impl Default for Credit {
    fn default() -> Self {
        Credit(AtomicU32::new(MOST))
    }
}

/// A place among those who may spin.
struct Spinner<'a>(&'a AtomicU32);

impl<'a> Spinner<'a> {
    /// As many as there are processors: of two who answer each other in turn, one begins while the
    /// other ends.
    fn new(heap: &'a Heap) -> Option<Spinner<'a>> {
        let place = Spinner(&heap.root().spinning);
        let others = place.0.fetch_add(1, Ordering::Relaxed);
        (others < heap.processors() && heap.processors() > 1).then_some(place)
    }
}

impl Drop for Spinner<'_> {
    fn drop(&mut self) {
        // Never below zero: the count is set to zero when a member was killed, perhaps while it span.
        let less = |count: u32| count.checked_sub(1);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl Heap {
    /// Look for a moment whether `ready` comes true, if that is worth it.
    pub fn spin(&self, credit: &Credit, ready: &dyn Fn() -> bool) -> bool {
        let left = credit.0.load(Ordering::Relaxed);
        if left == 0 {
            // Look again now and then: the other side's habits change.
            credit.0.store(MOST / 4, Ordering::Relaxed);
            return false;
        }
        let Some(_place) = Spinner::new(self) else {
            return false;
        };
        let end = Instant::now() + SPIN;
        while Instant::now() < end {
            for _ in 0..16 {
                if ready() {
                    credit.0.store(MOST, Ordering::Relaxed);
                    return true;
                }
                spin_loop();
            }
        }
        credit.0.store(left - 1, Ordering::Relaxed);
        false
    }
}
