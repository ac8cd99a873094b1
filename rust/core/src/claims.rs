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

/// Bits of a progress word for each of its two item numbers.
const ITEM: u32 = 28;
/// Most items of a message, as far as claims can tell.
pub const MOST: u64 = (1 << ITEM) - 1;
const RUNS: u64 = 1 << (2 * ITEM);
const ANSWERS: u64 = RUNS << 1;

/// What a worker does with its message. It has begun none of its items yet, or `runs` item `begun` and
/// will go on to `end`; or it has run that, and `answers` what it had not answered before.
///
/// One word says it all, and worker and pool change it atomically: so an item that was cut off was not
/// begun, and one that was begun is not cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of the last item that was begun.
    pub begun: u64,
    /// Number of the first item that is somebody else's; 0 before any was begun.
    pub end: u64,
    /// An item was begun.
    pub runs: bool,
    /// The last item has been run.
    pub answers: bool,
}

impl Progress {
    fn word(self) -> u64 {
        let flag = |is: bool, bit: u64| if is { bit } else { 0 };
        self.begun | self.end << ITEM | flag(self.runs, RUNS) | flag(self.answers, ANSWERS)
    }

    fn of(word: u64) -> Progress {
        Progress {
            begun: word & MOST,
            end: word >> ITEM & MOST,
            runs: word & RUNS != 0,
            answers: word & ANSWERS != 0,
        }
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

    /// The worker begins item `begun` of its message, which had `end` when it was taken; false where
    /// that was cut off.
    #[inline]
    pub fn begin(&self, begun: u64, end: u64) -> bool {
        let mut word = self.progress.load(Ordering::Relaxed);
        loop {
            let end = if word == 0 { end } else { Progress::of(word).end };
            if begun >= end {
                return false;
            }
            let next = Progress { begun, end, runs: true, answers: false }.word();
            match self.progress.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(changed) => word = changed,
            }
        }
    }

    /// The worker has run the item that it began last, and answers.
    #[inline]
    pub fn answer(&self) {
        self.progress.fetch_or(ANSWERS, Ordering::AcqRel);
    }

    /// Cut off what the worker has not begun of the message with this tag, whole `unit`s of items:
    /// from which to which they are no longer the worker's. To be called with the getters' lock held,
    /// so that the message is the same all the time.
    pub fn cut(&self, tag: u64, unit: u64) -> Option<(u64, u64)> {
        let (_, now) = self.read().filter(|&(claimed, _)| claimed == tag)?;
        let first = (now.begun + 1).next_multiple_of(unit);
        if !now.runs || first >= now.end {
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
