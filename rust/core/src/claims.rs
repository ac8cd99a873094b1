//! What each worker has taken, written as part of the taking.
//!
//! Under the getters' lock a taker first notes in the ring which claim it is about to write, then
//! writes the claim with the number of the message, then commits the taking. Killed before the
//! commit, the claim is for a message that is still in the ring; the next who has the lock sees that
//! (the claim's number is that of the next message) and voids it. So whoever has had the lock after a
//! death finds every claim exact.

use crate::fault::step;
use crate::lane::{Side, Spot};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Bits of a progress word for its two item numbers, and for how many items are run together.
const ITEM: u32 = 28;
/// Most items of a message, and most that are run together, as far as claims can tell.
pub const MOST: (u64, u64) = ((1 << ITEM) - 1, (1 << (64 - 2 * ITEM)) - 1);

/// What a worker does with its message: it runs items `begun` to `begun + span`, and will go on to
/// `end`. `span` 0: it has not begun any.
///
/// One word says it all, and worker and pool change it by compare-and-exchange: so an item that was
/// cut off was not begun, and one that was begun is not cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of the first item that is run.
    pub begun: u64,
    /// How many are run together.
    pub span: u64,
    /// Number of the first item that is somebody else's.
    pub end: u64,
}

impl Progress {
    fn word(self) -> u64 {
        self.begun | self.end << ITEM | self.span << (2 * ITEM)
    }

    fn of(word: u64) -> Progress {
        Progress { begun: word & MOST.0, end: word >> ITEM & MOST.0, span: word >> (2 * ITEM) }
    }
}

/// One worker's claim; all zeroes is none. A cache line each.
#[repr(C, align(64))]
pub struct Claim {
    valid: AtomicU32,
    number: AtomicU32,
    tag: AtomicU64,
    progress: AtomicU64,
}

impl Default for Claim {
    fn default() -> Self {
        Claim {
            valid: AtomicU32::new(0),
            number: AtomicU32::new(0),
            tag: AtomicU64::new(0),
            progress: AtomicU64::new(0),
        }
    }
}

/// Where a claim lies: its table, which use of the memory that is, and its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset of the table.
    pub table: u64,
    /// The table's serial number.
    pub serial: u64,
    /// Offset of the claim.
    pub claim: u64,
}

/// In a ring: which claim is being written. All zeroes is none.
#[repr(C)]
pub struct Note {
    claim: AtomicU64,
    table: AtomicU64,
    serial: AtomicU64,
}

impl Default for Note {
    fn default() -> Self {
        Note { claim: AtomicU64::new(0), table: AtomicU64::new(0), serial: AtomicU64::new(0) }
    }
}

impl Note {
    /// The claim of this place is about to be written. To be called with the getters' lock held.
    pub fn begin(&self, place: Place) {
        self.table.store(place.table, Ordering::Relaxed);
        self.serial.store(place.serial, Ordering::Relaxed);
        self.claim.store(place.claim, Ordering::SeqCst);
        step("get.noted");
    }

    /// It was written, and the message taken.
    pub fn end(&self) {
        self.claim.store(0, Ordering::SeqCst);
    }

    /// What a dead getter was about to write. To be called with the getters' lock held.
    pub fn read(&self) -> Option<Place> {
        let claim = self.claim.load(Ordering::SeqCst);
        let (table, serial) = (self.table.load(Ordering::Relaxed), self.serial.load(Ordering::Relaxed));
        (claim != 0).then_some(Place { table, serial, claim })
    }
}

impl Claim {
    /// Claim the message that `gets` is about to take.
    pub fn write(&self, gets: &Side, tag: u64) {
        // Void while it is written, should the last one not have been cleared.
        self.valid.store(0, Ordering::Release);
        step("claim.voided");
        self.number.store(gets.count(), Ordering::Relaxed);
        self.tag.store(tag, Ordering::Relaxed);
        self.progress.store(0, Ordering::Relaxed);
        step("claim.written");
        self.valid.store(1, Ordering::Release);
        step("claim.valid");
    }

    /// Write it and commit the taking, which leads to `spot`.
    pub fn take(&self, place: Place, note: &Note, gets: &Side, tag: u64, spot: Spot) {
        note.begin(place);
        self.write(gets, tag);
        gets.commit(spot);
        step("claim.committed");
        note.end();
    }

    /// Void it if it is for the next message of `gets`, which was not taken after all.
    pub fn settle(&self, gets: &Side) {
        if self.number.load(Ordering::Acquire) == gets.count() {
            self.valid.store(0, Ordering::Release);
        }
    }

    /// (tag, progress), or None.
    pub fn read(&self) -> Option<(u64, Progress)> {
        let claimed = || {
            let progress = self.progress.load(Ordering::Acquire);
            (self.tag.load(Ordering::Relaxed), Progress::of(progress))
        };
        (self.valid.load(Ordering::Acquire) == 1).then(claimed)
    }

    /// The worker begins items of its message, which had `wanted.end` when it was taken; gives how
    /// many it may run, 0 where the rest was cut off.
    #[inline]
    pub fn begin(&self, wanted: Progress) -> u64 {
        let mut word = self.progress.load(Ordering::Relaxed);
        loop {
            let end = if word == 0 { wanted.end } else { Progress::of(word).end };
            let span = wanted.span.min(end.saturating_sub(wanted.begun));
            if span == 0 {
                return 0;
            }
            let next = Progress { span, end, ..wanted }.word();
            match self.progress.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return span,
                Err(changed) => word = changed,
            }
        }
    }

    /// Cut off what the worker has not begun of the message with this tag, whole `unit`s of items:
    /// from which to which they are no longer the worker's. To be called with the getters' lock held,
    /// so that the message is the same all the time.
    pub fn cut(&self, tag: u64, unit: u64) -> Option<(u64, u64)> {
        let (_, now) = self.read().filter(|&(claimed, _)| claimed == tag)?;
        let first = (now.begun + now.span).next_multiple_of(unit);
        if now.span == 0 || first >= now.end {
            return None;
        }
        let next = Progress { end: first, ..now }.word();
        let cut = self.progress.compare_exchange(now.word(), next, Ordering::AcqRel, Ordering::Relaxed);
        step("claim.cut");
        cut.ok().map(|_| (first, now.end))
    }

    /// The worker has answered its message.
    #[inline]
    pub fn clear(&self) {
        self.valid.store(0, Ordering::Release);
    }
}
