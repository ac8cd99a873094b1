//! A counting semaphore. It has no owner: who takes need not be who gives.
//!
//! Why it is right: a taker that finds 0 announces itself in `sleepers` and then sleeps only while
//! the value is 0; a giver raises the value and then reads `sleepers`. All four are sequentially
//! consistent, so either the giver sees the sleeper or the sleeper sees the value. A sleeper that is
//! killed leaves its announcement: every later give makes one system call too many, no more. A
//! sleeper that is killed after it was woken loses the wake-up; the others look again each slice.

use crate::fault::step;
use crate::futex;
use crate::sync::{AtomicU32, Ordering, announced};
use crate::wait::{End, Patience, SLICE};

/// The semaphore; `max` is where [`Semaphore::release`] stops.
#[repr(C)]
pub struct Semaphore {
    value: AtomicU32,
    sleepers: AtomicU32,
}

impl Semaphore {
    /// With this many to take.
    pub fn new(value: u32) -> Self {
        Semaphore { value: AtomicU32::new(value), sleepers: AtomicU32::new(0) }
    }

    /// Take one if there is one.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        let mut seen = self.value.load(Ordering::SeqCst);
        while seen > 0 {
            match self.value.compare_exchange_weak(seen, seen - 1, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Take one, waiting as long as `patience` lasts.
    pub fn acquire(&self, patience: &mut Patience) -> Result<(), End> {
        if self.try_acquire() {
            return Ok(());
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        announced();
        let end = loop {
            if self.try_acquire() {
                break Ok(());
            }
            if let Err(end) = patience.sleep(&self.value, 0, SLICE) {
                break Err(end);
            }
        };
        if end != Err(End::Forked) {
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
        }
        // What woke us in the last moment is for another.
        if end.is_err() && self.value() > 0 {
            futex::wake(&self.value, 1);
        }
        end
    }

    /// Give one; false if there are `max` already.
    #[inline]
    pub fn release(&self, max: u32) -> bool {
        let raised = self.value.fetch_update(Ordering::SeqCst, Ordering::Relaxed, |seen| {
            (seen < max).then_some(seen.wrapping_add(1))
        });
        announced();
        step("semaphore.raised");
        if raised.is_ok() && self.sleepers.load(Ordering::SeqCst) > 0 {
            futex::wake(&self.value, 1);
        }
        raised.is_ok()
    }

    /// How many could be taken now.
    pub fn value(&self) -> u32 {
        self.value.load(Ordering::Relaxed)
    }
}
