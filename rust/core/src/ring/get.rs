//! Getting messages.

use super::record::{BIG, Head, LINK, RECORD};
use super::{LOCK_GRACE, Quick, Ring, Slot, Stop, check, word};
use crate::fault::step;
use crate::heap::{Heap, HeapError, Held};
use crate::lane::Spot;
use crate::sync::Ordering;
use crate::wait::{End, Patience};
use std::sync::Arc;

/// What a getter finds.
pub enum Found<'a> {
    /// The message's bytes.
    Bytes(&'a [u8]),
    /// They lie in a block of their own, which is now the getter's.
    Block(Big),
}

/// What the slow way brings.
pub enum Got {
    /// The message's bytes.
    Bytes(Vec<u8>),
    /// They lie in a block of their own.
    Block(Big),
}

/// A block with a large message; freed when dropped.
pub struct Big {
    heap: Arc<Heap>,
    /// 0 when it was made an object.
    offset: u64,
    length: usize,
}

/// What a getter must do when it has the message: dropping it frees the chunk that was left behind.
#[derive(Default)]
pub struct Rest {
    chunk: Option<(Arc<Heap>, u64)>,
    /// Holds on what the message carried.
    pub carried: Vec<Held>,
}

impl Big {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the block is ours alone, and its first `length` bytes were written by the putter.
        unsafe { std::slice::from_raw_parts(self.heap.address(self.offset), self.length) }
    }

    /// As an object of plain memory; given back where memory is refused.
    pub fn hold(mut self) -> Result<Held, Big> {
        let Ok(held) = Held::adopt(&self.heap, self.offset) else {
            return Err(self);
        };
        step("big.held");
        self.offset = 0;
        Ok(held)
    }
}

impl Drop for Big {
    fn drop(&mut self) {
        if self.offset != 0 {
            step("big.copied");
            self.heap.free(self.offset);
        }
    }
}

impl Rest {
    /// Is there anything to do?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.chunk.is_none() && self.carried.is_empty()
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some((heap, chunk)) = self.chunk.take() {
            step("rest.chunk");
            heap.free(chunk);
        }
    }
}

/// The oldest message: where its record lies, and what must happen beside taking it.
struct Oldest {
    /// Where the next one lies when this is taken, and in which chunk.
    next: Spot,
    /// The chunk that is left behind, if it is another than that of the message.
    left: Option<u64>,
    at: u64,
    head: Head,
}

/// The getters' lock, held; given back when dropped, and then who waits for room is woken.
pub struct Getter<'a> {
    ring: &'a Ring,
    taken: u32,
}

impl Drop for Getter<'_> {
    #[inline]
    fn drop(&mut self) {
        let lane = self.ring.lane();
        lane.gets.lock.unlock();
        step("get.unlocked");
        if self.taken > 0 {
            lane.got(self.taken);
        }
    }
}

impl Ring {
    /// Take the oldest message if there is one, and that takes no lock, no memory and no waiting.
    /// `look` sees its bytes; where it gives None, the message stays.
    #[inline]
    pub fn get_quick<T>(
        &self,
        slot: Option<&Slot>,
        look: impl FnOnce(Found) -> Option<T>,
    ) -> Quick<(Option<T>, Rest)> {
        match self.getter_at_once() {
            Quick::Done(mut getter) => getter.take_quick(slot, look),
            Quick::NotNow => Quick::NotNow,
            Quick::Busy => Quick::Busy,
        }
    }

    /// The getters' lock, if a message is there and nobody has the lock for long.
    #[inline]
    pub fn getter_at_once(&self) -> Quick<Getter<'_>> {
        if self.lane().is_empty() {
            return Quick::NotNow;
        }
        if !self.lane().gets.lock.try_lock_spinning(self.heap().me()) {
            return Quick::Busy;
        }
        Quick::Done(Getter { ring: self, taken: 0 })
    }

    /// Take the oldest message, waiting as long as `patience` lasts and the lane's alarms are `alarms`.
    pub fn get(&self, slot: Option<&Slot>, alarms: u32, patience: &mut Patience) -> Result<(Got, Rest), Stop> {
        let lane = self.lane();
        let got = loop {
            if !lane.is_empty() {
                match self.get_now(slot, patience) {
                    Ok(None) => {}
                    got => break got,
                }
            }
            if lane.alarms() != alarms || lane.is_shut() {
                return Err(End::TimedOut.into());
            }
            self.wait_news(alarms, false, patience)?;
        };
        // What woke us may have been meant for another.
        got.inspect_err(|_| lane.news.ring(1))?.ok_or(Stop::End(End::TimedOut))
    }

    fn get_now(&self, slot: Option<&Slot>, patience: &mut Patience) -> Result<Option<(Got, Rest)>, Stop> {
        patience.stretched(Some(LOCK_GRACE), |patience| self.lock(&self.lane().gets, patience))?;
        Ok(Getter { ring: self, taken: 0 }.take_slow(slot)?)
    }
}

impl Getter<'_> {
    /// As [`Ring::get_quick`].
    #[inline]
    pub fn take_quick<T>(
        &mut self,
        slot: Option<&Slot>,
        look: impl FnOnce(Found) -> Option<T>,
    ) -> Quick<(Option<T>, Rest)> {
        let oldest = match self.oldest() {
            Ok(Some(oldest)) => oldest,
            Ok(None) => return Quick::NotNow,
            Err(_) => return Quick::Busy,
        };
        if oldest.head.carry() > 0 {
            return Quick::Busy;
        }
        // A small message is looked at before it is taken, since the look may fail for want of
        // memory; a large one stays in its block, which is all that is taken here.
        let value = if oldest.head.has(BIG) {
            self.own(&oldest);
            self.commit(slot, &oldest);
            look(Found::Block(self.big(&oldest)))
        } else {
            let Some(value) = look(Found::Bytes(self.bytes(&oldest))) else {
                return Quick::Done((None, Rest::default()));
            };
            self.own(&oldest);
            self.commit(slot, &oldest);
            Some(value)
        };
        Quick::Done((value, self.rest(&oldest, Vec::new())))
    }

    fn take_slow(&mut self, slot: Option<&Slot>) -> Result<Option<(Got, Rest)>, HeapError> {
        let Some(oldest) = self.oldest()? else {
            return Ok(None);
        };
        let big = oldest.head.has(BIG);
        let bytes = if big { Vec::new() } else { self.bytes(&oldest).to_vec() };
        let carried = self.take_carrying(slot, &oldest)?;
        let got = if big { Got::Block(self.big(&oldest)) } else { Got::Bytes(bytes) };
        Ok(Some((got, self.rest(&oldest, carried))))
    }

    fn take_carrying(&mut self, slot: Option<&Slot>, oldest: &Oldest) -> Result<Vec<Held>, HeapError> {
        let heap = self.ring.heap();
        let at = oldest.at + oldest.head.carry_at();
        let objects: Vec<u64> =
            (0..oldest.head.carry() as u64).map(|number| word(heap, at + 8 * number)).collect();
        let mut take = || {
            self.own(oldest);
            self.commit(slot, oldest);
        };
        if objects.is_empty() {
            take();
            return Ok(Vec::new());
        }
        Held::take_over(heap, &objects, take)
    }

    #[inline]
    fn oldest(&self) -> Result<Option<Oldest>, HeapError> {
        let (heap, ring, lane) = (self.ring.heap(), self.ring.held.offset(), self.ring.lane());
        if lane.is_empty() {
            return Ok(None);
        }
        let spot = lane.gets.spot();
        let (mut at, mut chunk) = (spot.at, spot.with);
        let mut head = check::record(heap, ring, check::chunk(heap, ring, chunk)?, at)?;
        if head.has(LINK) {
            (at, chunk) = (head.tag, head.tag);
            head = check::record(heap, ring, check::chunk(heap, ring, chunk)?, at)?;
        }
        let left = (chunk != spot.with).then_some(spot.with);
        Ok(Some(Oldest { next: Spot { at: at + head.size(), with: chunk }, left, at, head }))
    }

    #[inline]
    fn bytes(&self, oldest: &Oldest) -> &[u8] {
        let at = self.ring.heap().address(oldest.at + RECORD);
        // SAFETY: a committed record; our lock keeps others from taking it meanwhile.
        unsafe { std::slice::from_raw_parts(at, oldest.head.length as usize) }
    }

    fn big(&self, oldest: &Oldest) -> Big {
        let (heap, at) = (self.ring.heap(), oldest.at + RECORD);
        Big { heap: heap.clone(), offset: word(heap, at), length: word(heap, at + 8) as usize }
    }

    /// Blocks are ours before they are out of the ring: see [`crate::heap::collect`].
    #[inline]
    fn own(&self, oldest: &Oldest) {
        let heap = self.ring.heap();
        let block = oldest.head.has(BIG).then(|| word(heap, oldest.at + RECORD));
        for offset in block.into_iter().chain(oldest.left) {
            heap.header(offset).owner.store(heap.me(), Ordering::SeqCst);
            step("get.owned");
        }
    }

    #[inline]
    fn commit(&mut self, slot: Option<&Slot>, oldest: &Oldest) {
        let words = self.ring.words();
        let gets = &words.lane.gets;
        match slot {
            Some(slot) => slot.claim.take(slot.place, &words.taking, gets, oldest.head.tag, oldest.next),
            None => gets.commit(oldest.next),
        }
        self.taken += 1;
        step("get.committed");
    }

    #[inline]
    fn rest(&self, oldest: &Oldest, carried: Vec<Held>) -> Rest {
        Rest { chunk: oldest.left.map(|chunk| (self.ring.heap().clone(), chunk)), carried }
    }
}
