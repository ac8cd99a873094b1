//! Messages from any member to any member, in the order of the puts.
//!
//! A ring is a [`Lane`] (order, locks, sleepers) over a chain of chunks (memory). A putter that
//! finds no room in its chunk writes its record to the beginning of a new one, then a link where the
//! record should have been; the lane's commit publishes both. A getter that follows a link frees the
//! chunk behind it. Bytes beyond [`INLINE`] lie in a block of their own, filled before the lock is
//! taken and copied out after it was given back.
//!
//! - [`put`] and [`get`]: the two sides. Each has a quick way, that takes no lock which is not free
//!   and no memory, and a slow one, that waits.
//! - `check`: nothing is followed that makes no sense.
//! - [`record`]: what a message looks like. [`walk`]: a ring seen by who takes back what the dead left.

mod check;
pub mod get;
pub mod put;
pub mod record;
pub mod walk;

use crate::claims::{Claim, Note, Place};
use crate::heap::{BlockKind, Credit, Heap, HeapError, Held};
use crate::lane::{Lane, Side, Spot};
use crate::mutex::Held as Lock;
use crate::sync::{AtomicU32, Ordering};
use crate::wait::{End, Patience, clock};
use std::sync::Arc;
use std::time::Duration;

pub use get::{Big, Found, Got, Rest};
pub use put::Message;

/// Messages up to this size lie in the chunks.
pub const INLINE: usize = 16 << 10;
const HEADER: u64 = crate::heap::blocks::HEADER;
const FIRST_CHUNK: u32 = 4 << 10;
const LAST_CHUNK: u32 = 256 << 10;
/// A lock is held for a few hundred instructions: also who will not wait for a message or for room
/// waits so long for that, or a busy ring would look like an empty or a full one.
const LOCK_GRACE: Duration = Duration::from_secs(1);

/// So long after a getter began to look for a message, a putter trusts that it still does.
const LOOKOUT: u64 = crate::heap::spin::SPIN.as_nanos() as u64;

/// What lies in the heap.
#[repr(C)]
pub struct Words {
    /// Order, locks and sleepers.
    pub lane: Lane,
    taking: Note,
    chunk: AtomicU32,
}

/// One process's hold on a ring.
pub struct Ring {
    held: Held,
    credit: Credit,
}

/// How a quick attempt ended.
pub enum Quick<T> {
    /// Done.
    Done(T),
    /// Nothing there, or no room.
    NotNow,
    /// It would take a lock or memory: go the slow way.
    Busy,
}

/// Why something was not done.
#[derive(Debug)]
pub enum Stop {
    /// The wait ended first.
    End(End),
    /// Memory is refused.
    Heap(HeapError),
}

impl From<End> for Stop {
    fn from(end: End) -> Stop {
        Stop::End(end)
    }
}

impl From<HeapError> for Stop {
    fn from(error: HeapError) -> Stop {
        Stop::Heap(error)
    }
}

/// A claim, to be written as part of taking a message.
pub struct Slot<'a> {
    claim: &'a Claim,
    place: Place,
}

impl<'a> Slot<'a> {
    /// Number `number` of the table that `held` holds; None if it has not so many.
    pub fn of(held: &'a Held, number: u64) -> Option<Slot<'a>> {
        let size = std::mem::size_of::<Claim>() as u64;
        let handle = held.handle();
        let slots = held.heap().header(handle.offset).length.load(Ordering::Relaxed) / size;
        if number >= slots {
            return None;
        }
        let claim = handle.offset + number * size;
        let place = Place { table: handle.offset, serial: handle.serial, claim };
        // SAFETY: the claim lies in the table, a row of claims, which is held as long as the slot lives.
        Some(Slot { claim: unsafe { held.heap().at::<Claim>(claim) }, place })
    }

    /// The claim.
    pub fn claim(&self) -> &'a Claim {
        self.claim
    }
}

fn word(heap: &Heap, at: u64) -> u64 {
    // SAFETY: eight bytes of a committed record.
    unsafe { heap.address(at).cast::<u64>().read() }
}

fn set_word(heap: &Heap, at: u64, value: u64) {
    // SAFETY: eight bytes of a record that is being written under the putters' lock.
    unsafe { heap.address(at).cast::<u64>().write(value) }
}

impl Ring {
    /// A new ring for at most `limit` messages (0: no limit).
    pub fn create(heap: &Arc<Heap>, limit: u32) -> Result<Ring, HeapError> {
        let chunk = heap.alloc(FIRST_CHUNK as u64 - HEADER, BlockKind::Part, 0)?;
        let spot = Spot { at: chunk, with: chunk };
        let words = Words {
            lane: Lane::new(spot, spot, limit),
            taking: Note::default(),
            chunk: AtomicU32::new(FIRST_CHUNK),
        };
        let length = std::mem::size_of::<Words>() as u64;
        // SAFETY: the block has room for the words and is known to nobody else.
        let held = Held::create(heap, BlockKind::Ring, length, |at| unsafe { at.cast::<Words>().write(words) });
        let held = held.inspect_err(|_| heap.free(chunk))?;
        heap.header(chunk).home.store(held.offset(), Ordering::Relaxed);
        Ok(Ring::over(held))
    }

    /// Over a hold on a ring.
    pub fn over(held: Held) -> Ring {
        Ring { held, credit: Credit::default() }
    }

    /// The hold.
    pub fn held(&self) -> &Held {
        &self.held
    }

    #[inline]
    fn heap(&self) -> &Arc<Heap> {
        self.held.heap()
    }

    #[inline]
    fn words(&self) -> &Words {
        // SAFETY: we hold an object of kind Ring.
        unsafe { self.heap().at::<Words>(self.held.offset()) }
    }

    /// Order, locks and sleepers.
    #[inline]
    pub fn lane(&self) -> &Lane {
        &self.words().lane
    }

    /// Wait until the getters' lock was free for a moment, and repair what a dead getter left:
    /// after it every claim on this ring is exact.
    pub fn settle(&self, patience: &mut Patience) -> Result<(), End> {
        self.lock(&self.lane().gets, patience)?;
        self.lane().gets.lock.unlock();
        Ok(())
    }

    /// See [`Claim::cut`].
    pub fn cut(
        &self,
        slot: &Slot,
        tag: u64,
        unit: u64,
        patience: &mut Patience,
    ) -> Result<Option<(u64, u64)>, End> {
        self.lock(&self.lane().gets, patience)?;
        let cut = slot.claim.cut(tag, unit);
        self.lane().gets.lock.unlock();
        Ok(cut)
    }

    fn lock(&self, side: &Side, patience: &mut Patience) -> Result<(), End> {
        let heap = self.heap();
        let held = side.lock.lock(heap.me(), &|id| heap.is_alive(id), patience)?;
        // Only getters leave something to repair, and the note tells whether they did.
        if matches!(held, Lock::Inherited(_)) && std::ptr::eq(side, &self.lane().gets) {
            self.void_claim();
        }
        Ok(())
    }

    fn void_claim(&self) {
        let words = self.words();
        if let Some(place) = words.taking.read() {
            // Under the heap's lock, since the table may be gone with its pool, or go just now.
            self.heap().locked(|| {
                if self.heap().is_same(place.table, place.serial, BlockKind::Claims) {
                    // SAFETY: the table is there, and the claim lies in it.
                    unsafe { self.heap().at::<Claim>(place.claim) }.settle(&words.lane.gets);
                }
            });
        }
        words.taking.end();
    }

    /// Take no more messages; see [`Lane::shut`]. Killed before the last sleeper is woken, it leaves
    /// some to find out for themselves, within a slice.
    pub fn shut(&self, patience: &mut Patience) -> Result<(), End> {
        self.lock(&self.lane().puts, patience)?;
        self.lane().shut();
        self.lane().puts.lock.unlock();
        Ok(())
    }

    /// Wait until a message is there, or the lane is shut, or its alarms are no longer `alarms`. Who does not take
    /// one afterwards (nor is a `watcher`) rings the bell again.
    pub fn wait_news(&self, alarms: u32, watcher: bool, patience: &mut Patience) -> Result<(), End> {
        let ready = || self.lane().has_news(alarms);
        if patience.is_over() {
            return if self.lane().is_empty() { Err(End::TimedOut) } else { Ok(()) };
        }
        let spin = || self.heap().spin(&self.credit, &ready);
        let seen = if watcher { spin() } else { self.lane().news.looking_out(clock() + LOOKOUT, spin) };
        if seen {
            return Ok(());
        }
        self.lane().wait_news(alarms, watcher, patience)
    }
}
