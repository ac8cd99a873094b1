//! A flag to wait for. The word counts every change; it is odd while the flag is set.
//!
//! Why it is right: a waiter that found the word even waits until it is anything else, so a pulse
//! (set, then clear) releases all who waited, though it was over before they looked. Setting is one
//! compare-exchange and a wake, without a lock: a signal handler may do it in the middle of a wait.

use crate::fault::step;
use crate::futex;
use crate::sync::{AtomicU32, Ordering, announced};
use crate::wait::{End, Patience, SLICE};

/// The flag; all zeroes is a cleared one.
#[repr(C)]
pub struct Event {
    changes: AtomicU32,
    sleepers: AtomicU32,
}

impl Default for Event {
    fn default() -> Self {
        Event { changes: AtomicU32::new(0), sleepers: AtomicU32::new(0) }
    }
}

impl Event {
    /// Is the flag set?
    #[inline]
    pub fn is_set(&self) -> bool {
        self.changes.load(Ordering::Acquire) & 1 == 1
    }

    /// Set the flag and wake all who wait.
    pub fn set(&self) {
        if self.change(0) {
            announced();
            step("event.changed");
            if self.sleepers.load(Ordering::SeqCst) > 0 {
                futex::wake(&self.changes, u32::MAX);
            }
        }
    }

    /// Clear the flag.
    pub fn clear(&self) {
        self.change(1);
    }

    /// Wait until the flag is, or was for a moment, set.
    pub fn wait(&self, patience: &mut Patience) -> Result<(), End> {
        self.wait_since(self.changes(), patience)
    }

    /// How often the flag was changed.
    pub fn changes(&self) -> u32 {
        self.changes.load(Ordering::SeqCst)
    }

    /// As [`Event::wait`], having looked when there had been `seen` changes.
    pub fn wait_since(&self, seen: u32, patience: &mut Patience) -> Result<(), End> {
        if seen & 1 == 1 {
            return Ok(());
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        announced();
        let mut end = Ok(());
        while end.is_ok() && self.changes() == seen {
            end = patience.sleep(&self.changes, seen, SLICE).map(|_| ());
        }
        if end != Err(End::Forked) {
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
        }
        // Set and run out of time at once: the flag wins.
        if self.changes() != seen && end == Err(End::TimedOut) {
            return Ok(());
        }
        end
    }

    fn change(&self, from: u32) -> bool {
        self.changes
            .fetch_update(Ordering::SeqCst, Ordering::Relaxed, |seen| {
                (seen & 1 == from).then_some(seen.wrapping_add(1))
            })
            .is_ok()
    }
}
