//! Looking for a moment whether something comes true, before sleeping.
//!
//! A sleep and a wake-up cost some ten microseconds; between two processes that both run, what is
//! waited for often comes sooner. Not more members spin than there are processors, and at an
//! object where spinning was in vain again and again, ever more waits begin with sleeping.

use super::map::Heap;
use crate::sync::{AtomicI32, AtomicU32, Ordering, spin_loop};
use std::time::{Duration, Instant};

/// A sleep and a wake-up cost about this; spinning longer than that cannot gain.
pub const SPIN: Duration = Duration::from_micros(30);
/// So many in vain, one after the other, and a wait begins with sleeping.
const MOST: i32 = 16;
/// The most waits that begin so before spinning is tried again.
const LEAST: i32 = 64;

/// Whether spinning is worth it at one object, as far as this process saw.
///
/// Threads may count over one another; what is lost by that is a spin or a sleep.
pub struct Credit {
    /// Spins that may yet be in vain; below zero: waits to go that sleep at once.
    left: AtomicI32,
    /// How many waits did so the last time: each trial in vain doubles them. On a machine that is
    /// busy with other things, the other side seldom runs while we look out for it.
    slept: AtomicI32,
}

impl Default for Credit {
    fn default() -> Self {
        Credit { left: AtomicI32::new(MOST), slept: AtomicI32::new(1) }
    }
}

impl Credit {
    /// May the next wait begin with spinning?
    fn draw(&self) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left < 0 {
            self.left.store(left + 1, Ordering::Relaxed);
        }
        left >= 0
    }

    fn won(&self) {
        self.left.store(MOST, Ordering::Relaxed);
        self.slept.store(1, Ordering::Relaxed);
    }

    fn lost(&self) {
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            self.left.store(left - 1, Ordering::Relaxed);
            return;
        }
        let sleep = (self.slept.load(Ordering::Relaxed) * 2).min(LEAST);
        self.slept.store(sleep, Ordering::Relaxed);
        self.left.store(-sleep, Ordering::Relaxed);
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
        self.spin_as(credit, || comes_true(ready))
    }

    /// As [`Heap::spin`], where the caller knows best how to spin; gives whether that succeeded.
    pub fn spin_as(&self, credit: &Credit, spin: impl FnOnce() -> bool) -> bool {
        if !credit.draw() {
            return false;
        }
        let Some(_place) = Spinner::new(self) else {
            return false;
        };
        let won = spin();
        if won {
            credit.won()
        } else {
            credit.lost()
        }
        won
    }
}

fn comes_true(ready: &dyn Fn() -> bool) -> bool {
    let end = Instant::now() + SPIN;
    while Instant::now() < end {
        for _ in 0..16 {
            if ready() {
                return true;
            }
            spin_loop();
        }
    }
    false
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// How many of so many waits span, all in vain.
    fn in_vain(credit: &Credit, waits: u32) -> u32 {
        let tried = (0..waits).filter(|_| credit.draw());
        tried.inspect(|_| credit.lost()).count() as u32
    }

    #[test]
    fn ever_fewer_waits_spin_in_vain_and_one_success_changes_that() {
        let credit = Credit::default();
        assert_eq!(in_vain(&credit, 17), 17);
        assert_eq!(in_vain(&credit, 2 + 1 + 4 + 1 + 8 + 1), 3);
        assert_eq!(in_vain(&credit, 16 + 1 + 32 + 1 + 10 * (64 + 1)), 12);
        while !credit.draw() {}
        credit.won();
        assert_eq!(in_vain(&credit, 17), 17);
    }
}
