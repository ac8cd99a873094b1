//! Messages from any member to any member, in the order of the puts.
//!
//! A ring is a [`Lane`] (order, locks, sleepers) over a chain of chunks (memory). A putter that
//! finds no room in its chunk writes its record to the beginning of a new one, then a link where the
//! record should have been; the lane's commit publishes both. A getter that follows a link frees the
//! chunk behind it. Bytes beyond [`INLINE`] lie in a block of their own, filled before the lock is
//! taken and copied out after it was given back.

pub mod claims;
pub mod record;
pub mod walk;

use crate::fault::step;
use crate::heap::{BlockKind, Heap, HeapError, Held};
use crate::lane::{Lane, Side, Spot};
use crate::mutex::Held as Lock;
use crate::sync::{AtomicU32, AtomicU64, Ordering, spin_loop};
use crate::wait::{End, Patience};
use claims::Claim;
use record::{BIG, Head, LINK, MAX_CARRY, RECORD};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Messages up to this size lie in the chunks.
pub const INLINE: usize = 16 << 10;
const HEADER: u64 = crate::heap::blocks::HEADER;
const FIRST_CHUNK: u32 = 4 << 10;
const LAST_CHUNK: u32 = 256 << 10;
/// A sleep and a wake-up cost about this; spinning longer than that cannot gain.
const SPIN: Duration = Duration::from_micros(30);
const CREDIT: u32 = 16;

/// What lies in the heap.
#[repr(C)]
pub struct Words {
    /// Order, locks and sleepers.
    pub lane: Lane,
    /// Offset of the claim that is being written, 0 for none.
    taking: AtomicU64,
    chunk: AtomicU32,
}

/// One process's hold on a ring.
pub struct Ring {
    held: Held,
    /// Rises when spinning was worth it, falls when it was not.
    credit: AtomicU32,
}

/// A message to put.
pub struct Message<'a> {
    /// Its bytes.
    pub data: &'a [u8],
    /// For claims.
    pub tag: u64,
    /// Offsets of objects that the caller holds and that the message shall hold.
    pub carry: &'a [u64],
}

/// How a quick attempt ended.
pub enum Quick<T> {
    /// Done.
    Done(T),
    /// Nothing there, or no room.
    NotNow,
    /// It would take a lock or memory: go the long way.
    Busy,
}

/// What a getter finds.
pub enum Found<'a> {
    /// The message's bytes.
    Bytes(&'a [u8]),
    /// They lie in a block of their own, which is now the getter's.
    Block(Big),
}

/// A block with a large message; freed when dropped.
pub struct Big {
    heap: Arc<Heap>,
    offset: u64,
    length: usize,
}

/// What a getter must do when it has the message: dropping it frees the chunk that was left behind.
pub struct Rest {
    heap: Arc<Heap>,
    chunk: u64,
    /// Holds on what the message carried.
    pub carried: Vec<Held>,
}

impl Big {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the block is ours alone, and its first `length` bytes were written by the putter.
        unsafe { std::slice::from_raw_parts(self.heap.address(self.offset), self.length) }
    }
}

impl Drop for Big {
    fn drop(&mut self) {
        self.heap.free(self.offset);
    }
}

impl Rest {
    /// Is there anything to do?
    pub fn is_empty(&self) -> bool {
        self.chunk == 0 && self.carried.is_empty()
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if self.chunk != 0 {
            self.heap.free(self.chunk);
        }
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
        let put = Spot { at: chunk, with: chunk + heap.header(chunk).capacity() };
        let get = Spot { at: chunk, with: chunk };
        let words = Words {
            lane: Lane::new(put, get, limit),
            taking: AtomicU64::new(0),
            chunk: AtomicU32::new(FIRST_CHUNK),
        };
        let length = std::mem::size_of::<Words>() as u64;
        // SAFETY: the block has room for the words and is known to nobody else.
        let held = Held::create(heap, BlockKind::Ring, length, |at| unsafe { at.cast::<Words>().write(words) });
        Ok(Ring::over(held.inspect_err(|_| heap.free(chunk))?))
    }

    /// Over a hold on a ring.
    pub fn over(held: Held) -> Ring {
        Ring { held, credit: AtomicU32::new(CREDIT) }
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

    // ---- putting

    /// Put a message if that takes no lock, no memory and no waiting.
    #[inline]
    pub fn put_quick(&self, message: &Message) -> Quick<()> {
        let (heap, lane) = (self.heap(), self.lane());
        if message.data.len() > INLINE || !message.carry.is_empty() {
            return Quick::Busy;
        }
        if !lane.puts.lock.try_lock_spinning(heap.me()) {
            return Quick::Busy;
        }
        let spot = lane.puts.spot();
        let size = record::size(message.data.len(), 0);
        let put = if lane.space() == 0 {
            Quick::NotNow
        } else if spot.at + size + RECORD > spot.with {
            Quick::Busy
        } else {
            self.write(spot.at, Head::new(message.data.len(), 0, 0, message.tag), message.data, &[]);
            step("put.written");
            lane.puts.commit(Spot { at: spot.at + size, ..spot });
            step("put.committed");
            Quick::Done(())
        };
        lane.puts.lock.unlock();
        if let Quick::Done(()) = put {
            lane.news.ring(1);
        }
        put
    }

    /// Put a message, waiting for room as long as `patience` lasts.
    pub fn put(&self, message: &Message, patience: &mut Patience) -> Result<Result<(), End>, HeapError> {
        if message.data.len() <= INLINE {
            return self.append(message.data, 0, message, patience);
        }
        let heap = self.heap();
        let block = heap.alloc(message.data.len() as u64, BlockKind::Payload, self.held.offset())?;
        // SAFETY: the block is ours and large enough; the data cannot overlap it.
        unsafe { heap.address(block).copy_from_nonoverlapping(message.data.as_ptr(), message.data.len()) };
        step("put.copied");
        let mut place = [0; 16];
        place[..8].copy_from_slice(&block.to_ne_bytes());
        place[8..].copy_from_slice(&(message.data.len() as u64).to_ne_bytes());
        let put = self.append(&place, BIG, message, patience);
        if !matches!(put, Ok(Ok(()))) {
            heap.free(block);
        }
        put
    }

    fn append(
        &self,
        data: &[u8],
        flags: u32,
        message: &Message,
        patience: &mut Patience,
    ) -> Result<Result<(), End>, HeapError> {
        if message.carry.len() > MAX_CARRY {
            return Err(HeapError::NoMemory);
        }
        let head = Head::new(data.len(), flags, message.carry.len(), message.tag);
        let lane = self.lane();
        loop {
            if let Err(end) = self.lock(&lane.puts, patience) {
                return Ok(Err(end));
            }
            let space = lane.space() > 0;
            let put = if space { self.append_locked(head, data, message.carry) } else { Ok(()) };
            lane.puts.lock.unlock();
            put?;
            if space {
                lane.news.ring(1);
                return Ok(Ok(()));
            }
            if let Err(end) = lane.wait_room(patience) {
                return Ok(Err(end));
            }
        }
    }

    fn append_locked(&self, head: Head, data: &[u8], carry: &[u64]) -> Result<(), HeapError> {
        let lane = self.lane();
        let old = lane.puts.spot();
        let mut spot = old;
        if old.at + head.size() + RECORD > old.with {
            spot = self.new_chunk(head.size() + RECORD)?;
        }
        self.write(spot.at, head, data, carry);
        step("put.written");
        if spot != old {
            // Within the bounds: every record leaves room for a link behind it.
            self.write(old.at, Head::link(spot.at), &[], &[]);
            step("put.linked");
        }
        let commit = || lane.puts.commit(Spot { at: spot.at + head.size(), with: spot.with });
        if carry.is_empty() {
            commit();
        } else {
            // Together, so that a count made anew never sees one without the other.
            self.heap().locked(|| {
                carry.iter().for_each(|&object| {
                    self.heap().header(object).refs.fetch_add(1, Ordering::Relaxed);
                });
                step("put.counted");
                commit();
            });
        }
        step("put.committed");
        Ok(())
    }

    /// A chunk with room for `needed` bytes; longer ones when messages pile up.
    fn new_chunk(&self, needed: u64) -> Result<Spot, HeapError> {
        let words = self.words();
        let mut size = words.chunk.load(Ordering::Relaxed);
        if words.lane.len() > size / 64 && size < LAST_CHUNK {
            size *= 2;
            words.chunk.store(size, Ordering::Relaxed);
        }
        let chunk = self.heap().alloc(needed.max(size as u64 - HEADER), BlockKind::Part, self.held.offset())?;
        step("put.chunk");
        Ok(Spot { at: chunk, with: chunk + self.heap().header(chunk).capacity() })
    }

    fn write(&self, at: u64, head: Head, data: &[u8], carry: &[u64]) {
        // SAFETY: the caller made sure of the room, holds the putters' lock, and no getter looks
        // beyond what was committed.
        unsafe {
            let place = self.heap().address(at);
            place.cast::<Head>().write(head);
            place.add(RECORD as usize).copy_from_nonoverlapping(data.as_ptr(), data.len());
        }
        for (number, &object) in carry.iter().enumerate() {
            set_word(self.heap(), at + head.carry_at() + 8 * number as u64, object);
        }
    }

    // ---- getting

    /// Take the oldest message if there is one and the lock is free. `look` sees its bytes; where
    /// it gives None, the message stays.
    #[inline]
    pub fn get_quick<T>(
        &self,
        claim: Option<&Claim>,
        look: impl FnOnce(Found) -> Option<T>,
    ) -> Result<Quick<(Option<T>, Rest)>, HeapError> {
        let lane = self.lane();
        if lane.is_empty() {
            return Ok(Quick::NotNow);
        }
        if !lane.gets.lock.try_lock_spinning(self.heap().me()) {
            return Ok(Quick::Busy);
        }
        let got = if lane.is_empty() { Ok(Quick::NotNow) } else { self.take(claim, look).map(Quick::Done) };
        lane.gets.lock.unlock();
        if let Ok(Quick::Done(_)) = got {
            lane.room.ring(1);
        }
        got
    }

    fn take<T>(
        &self,
        claim: Option<&Claim>,
        look: impl FnOnce(Found) -> Option<T>,
    ) -> Result<(Option<T>, Rest), HeapError> {
        let (heap, lane) = (self.heap(), self.lane());
        let mut spot = lane.gets.spot();
        let mut rest = Rest { heap: heap.clone(), chunk: 0, carried: Vec::new() };
        let mut head = self.head(spot.at);
        let left = spot.with;
        if head.has(LINK) {
            spot = Spot { at: head.tag, with: head.tag };
            head = self.head(spot.at);
        }
        let bytes = spot.at + RECORD;
        // SAFETY: a committed record; the getters' lock keeps others from taking it meanwhile.
        let data = unsafe { std::slice::from_raw_parts(heap.address(bytes), head.length as usize) };
        let big = head.has(BIG).then(|| (word(heap, bytes), word(heap, bytes + 8) as usize));
        // A small message is looked at before it is taken, since the look may fail for want of
        // memory; a large one stays in its block, which is all that is taken here.
        let (small, mut look) = match big {
            Some(_) => (None, Some(look)),
            None => match look(Found::Bytes(data)) {
                None => return Ok((None, rest)),
                value => (value, None),
            },
        };
        let commit = || {
            // Ours before they are out of the ring: see heap::collect.
            if let Some((block, _)) = big {
                heap.header(block).owner.store(heap.me(), Ordering::SeqCst);
            }
            if left != spot.with {
                heap.header(left).owner.store(heap.me(), Ordering::SeqCst);
            }
            self.commit_get(claim, head.tag, Spot { at: spot.at + head.size(), with: spot.with });
        };
        if head.carry() == 0 {
            commit();
        } else {
            let objects: Vec<u64> = (0..head.carry())
                .map(|number| word(heap, spot.at + head.carry_at() + 8 * number as u64))
                .collect();
            rest.carried = Held::take_over(heap, &objects, commit)?;
        }
        if left != spot.with {
            rest.chunk = left;
        }
        let block = big.map(|(offset, length)| Big { heap: heap.clone(), offset, length });
        let value = small.or_else(|| look.take()?(Found::Block(block?)));
        Ok((value, rest))
    }

    fn commit_get(&self, claim: Option<&Claim>, tag: u64, spot: Spot) {
        let words = self.words();
        if let Some(claim) = claim {
            let offset = claim as *const Claim as u64 - self.heap().address(0) as u64;
            words.taking.store(offset, Ordering::SeqCst);
            step("get.noted");
            claim.write(words.lane.gets.count(), tag);
            step("get.claimed");
        }
        words.lane.gets.commit(spot);
        step("get.committed");
        if claim.is_some() {
            words.taking.store(0, Ordering::SeqCst);
        }
    }

    fn head(&self, at: u64) -> Head {
        // SAFETY: a committed record or link begins here.
        unsafe { self.heap().address(at).cast::<Head>().read() }
    }

    /// Wait until the getters' lock was free for a moment, and repair what a dead getter left:
    /// after it every claim on this ring is exact.
    pub fn settle(&self, patience: &mut Patience) -> Result<(), End> {
        let lane = self.lane();
        self.lock(&lane.gets, patience)?;
        lane.gets.lock.unlock();
        Ok(())
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
        let offset = words.taking.load(Ordering::SeqCst);
        // The table of claims may be gone with its pool, if nobody took after the death.
        if offset != 0 && self.heap().is_within(offset, BlockKind::Claims) {
            // SAFETY: inside a table of claims.
            unsafe { self.heap().at::<Claim>(offset) }.void(words.lane.gets.count());
        }
        words.taking.store(0, Ordering::SeqCst);
    }

    // ---- waiting

    /// Wait until a message is there or the lane's alarms are no longer `alarms`.
    pub fn wait_news(&self, alarms: u32, watcher: bool, patience: &mut Patience) -> Result<(), End> {
        if patience.left().is_some_and(|left| left.is_zero()) {
            return if self.lane().is_empty() { Err(End::TimedOut) } else { Ok(()) };
        }
        if self.spin(&|| !self.lane().is_empty() || self.lane().alarms() != alarms) {
            return Ok(());
        }
        self.lane().wait_news(alarms, watcher, patience)
    }

    /// Look for a moment whether `ready` comes true. Not where it seldom did, nor where as many
    /// members spin already as there are processors to spare.
    fn spin(&self, ready: &dyn Fn() -> bool) -> bool {
        let credit = self.credit.load(Ordering::Relaxed);
        if credit == 0 {
            // Look again now and then: the other side's habits change.
            self.credit.store(CREDIT / 4, Ordering::Relaxed);
            return false;
        }
        let Some(_place) = self.heap().spinner() else {
            return false;
        };
        let end = Instant::now() + SPIN;
        while Instant::now() < end {
            for _ in 0..16 {
                if ready() {
                    self.credit.store(CREDIT, Ordering::Relaxed);
                    return true;
                }
                spin_loop();
            }
        }
        self.credit.store(credit - 1, Ordering::Relaxed);
        false
    }
}
