//! What each worker has taken, written as part of the taking.
//!
//! Under the getters' lock a taker first notes in the ring which slot it is about to write, then
//! writes the slot with the number of the message, then commits the taking. Killed before the
//! commit, the slot claims a message that is still in the ring; the next who has the lock sees that
//! (the slot's number is that of the next message) and voids the claim. So whoever has had the lock
//! after a death finds every claim exact.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// One worker's claim; all zeroes is none. A cache line each.
#[repr(C, align(64))]
pub struct Claim {
    valid: AtomicU32,
    number: AtomicU32,
    tag: AtomicU64,
    progress: AtomicU64,
}

impl Claim {
    /// Message `number` of the ring, with this tag.
    pub(super) fn write(&self, number: u32, tag: u64) {
        self.number.store(number, Ordering::Relaxed);
        self.tag.store(tag, Ordering::Relaxed);
        self.progress.store(0, Ordering::Relaxed);
        self.valid.store(1, Ordering::Release);
    }

    /// Void it if it is for message `number`, which was not taken after all.
    pub(super) fn void(&self, number: u32) {
        if self.number.load(Ordering::Acquire) == number {
            self.valid.store(0, Ordering::Release);
        }
    }

    /// (tag, progress), or None.
    pub fn read(&self) -> Option<(u64, u64)> {
        let tag = || (self.tag.load(Ordering::Relaxed), self.progress.load(Ordering::Relaxed));
        (self.valid.load(Ordering::Acquire) == 1).then(tag)
    }

    /// The worker begins this item of its message.
    #[inline]
    pub fn advance(&self, progress: u64) {
        self.progress.store(progress, Ordering::Release);
    }

    /// The worker has answered its message.
    #[inline]
    pub fn clear(&self) {
        self.valid.store(0, Ordering::Release);
    }
}
