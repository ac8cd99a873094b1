//! Putting messages.

use super::record::{self, BIG, Head, MAX_CARRY, RECORD};
use super::{HEADER, INLINE, LAST_CHUNK, LOCK_GRACE, Quick, Ring, Stop, check, set_word};
use crate::fault::step;
use crate::heap::{BlockKind, HeapError};
use crate::lane::Spot;
use crate::sync::Ordering;
use crate::wait::{End, Patience};

/// A message to put.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// Its bytes.
    pub data: &'a [u8],
    /// For claims.
    pub tag: u64,
    /// Offsets of objects that the caller holds and that the message shall hold.
    pub carry: &'a [u64],
}

/// A message in the form in which it lies in a chunk.
struct Record<'a> {
    head: Head,
    data: &'a [&'a [u8]],
    carry: &'a [u64],
}

impl<'a> Record<'a> {
    fn new(data: &'a [&'a [u8]], flags: u32, message: &Message<'a>) -> Result<Record<'a>, HeapError> {
        if message.carry.len() > MAX_CARRY {
            return Err(HeapError::NoMemory);
        }
        let head = Head::new(length(data), flags, message.carry.len(), message.tag);
        Ok(Record { head, data, carry: message.carry })
    }
}

/// Bytes of all the parts.
#[inline]
fn length(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

/// How many records are appended before others have a turn.
const TURN: usize = 256;

impl Ring {
    /// Put a message if that takes no lock, no memory and no waiting.
    #[inline]
    pub fn put_quick(&self, message: &Message) -> Quick<()> {
        if !message.carry.is_empty() {
            return Quick::Busy;
        }
        self.put_parts_quick(&[message.data], message.tag)
    }

    /// As [`Ring::put_quick`], `parts` one behind the other.
    #[inline]
    pub fn put_parts_quick(&self, parts: &[&[u8]], tag: u64) -> Quick<()> {
        let (heap, lane) = (self.heap(), self.lane());
        let length = length(parts);
        if length > INLINE || !lane.puts.lock.try_lock_spinning(heap.me()) {
            return Quick::Busy;
        }
        let spot = lane.puts.spot();
        let size = record::size(length, 0);
        let put = if lane.space() == 0 {
            Quick::NotNow
        } else if check::end(heap, self.held.offset(), spot).map_or(true, |end| spot.at + size + RECORD > end) {
            Quick::Busy
        } else {
            self.write(spot.at, Head::new(length, 0, 0, tag), parts, &[]);
            step("put.written");
            lane.puts.commit(Spot { at: spot.at + size, ..spot });
            step("put.committed");
            Quick::Done(())
        };
        lane.puts.lock.unlock();
        step("put.unlocked");
        if let Quick::Done(()) = put {
            lane.news.ring(1);
        }
        put
    }

    /// Put a message, waiting for room as long as `patience` lasts.
    pub fn put(&self, message: &Message, patience: &mut Patience) -> Result<(), Stop> {
        self.put_parts(&[message.data], message, patience)
    }

    /// As [`Ring::put`], `parts` one behind the other instead of the message's data.
    pub fn put_parts(&self, parts: &[&[u8]], message: &Message, patience: &mut Patience) -> Result<(), Stop> {
        if length(parts) <= INLINE {
            return self.append(&[Record::new(parts, 0, message)?], &mut 0, patience);
        }
        self.put_big(parts, message, patience)
    }

    /// As [`Ring::put_parts`], in a block of its own.
    pub fn put_big(&self, parts: &[&[u8]], message: &Message, patience: &mut Patience) -> Result<(), Stop> {
        // Before a gigabyte is copied for nothing. Others may use the room meanwhile.
        self.lane().wait_room(patience)?;
        self.lane().room.ring(1);
        let heap = self.heap();
        let length = length(parts) as u64;
        let block = heap.alloc_filled(length, BlockKind::Payload, self.held.offset(), parts)?;
        step("put.copied");
        let mut place = [0; 16];
        place[..8].copy_from_slice(&block.to_ne_bytes());
        place[8..].copy_from_slice(&length.to_ne_bytes());
        let place: &[&[u8]] = &[&place];
        let record = Record::new(place, BIG, message);
        let put = record.map_err(Stop::Heap).and_then(|record| self.append(&[record], &mut 0, patience));
        if !matches!(put, Ok(()) | Err(Stop::End(End::Forked))) {
            heap.free(block);
        }
        put
    }

    /// Put messages in order, `count` counts them; those that lie in chunks under one lock.
    pub fn put_many(&self, messages: &[Message], count: &mut usize, patience: &mut Patience) -> Result<(), Stop> {
        while let Some(first) = messages.get(*count) {
            if first.data.len() > INLINE {
                self.put_big(&[first.data], first, patience)?;
                *count += 1;
                continue;
            }
            let small = messages[*count..].iter().take(TURN).take_while(|message| message.data.len() <= INLINE);
            let records: Result<Vec<_>, _> =
                small.map(|message| Record::new(std::slice::from_ref(&message.data), 0, message)).collect();
            let mut put = 0;
            let end = self.append(&records?, &mut put, patience);
            *count += put;
            end?;
        }
        Ok(())
    }

    /// Append records; `done` counts them.
    fn append(&self, records: &[Record], done: &mut usize, patience: &mut Patience) -> Result<(), Stop> {
        let lane = self.lane();
        loop {
            // On a ring without limit the answer is never that it is full.
            let grace = (lane.limit() > 0).then_some(LOCK_GRACE);
            let locked = patience.stretched(grace, |patience| self.lock(&lane.puts, patience));
            // What woke us for room may have been meant for another.
            locked.inspect_err(|_| lane.room.ring(1))?;
            let put = self.append_some(&records[*done..]);
            lane.puts.lock.unlock();
            step("append.unlocked");
            let put = put?;
            if put > 0 {
                *done += put;
                lane.news.ring(put as u32);
            }
            if *done == records.len() {
                return Ok(());
            }
            if lane.is_shut() {
                return Err(End::TimedOut.into());
            }
            lane.wait_room(patience)?;
        }
    }

    /// As many as there is room for; memory is refused only if not even one could be put.
    fn append_some(&self, records: &[Record]) -> Result<usize, HeapError> {
        let mut put = 0;
        while put < records.len() && self.lane().space() > 0 {
            match self.append_one(&records[put]) {
                Ok(()) => put += 1,
                Err(error) if put == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(put)
    }

    fn append_one(&self, record: &Record) -> Result<(), HeapError> {
        let lane = self.lane();
        let size = record.head.size();
        let old = lane.puts.spot();
        let end = check::end(self.heap(), self.held.offset(), old)?;
        let mut spot = old;
        if old.at + size + RECORD > end {
            spot = self.new_chunk(size + RECORD)?;
        }
        self.write(spot.at, record.head, record.data, record.carry);
        step("append.written");
        if spot != old {
            // Within the bounds: every record leaves room for a link behind it.
            self.write(old.at, Head::link(spot.at), &[], &[]);
            step("append.linked");
        }
        let commit = || lane.puts.commit(Spot { at: spot.at + size, with: spot.with });
        if record.carry.is_empty() {
            commit();
        } else {
            self.commit_carrying(record.carry, commit);
        }
        step("append.committed");
        Ok(())
    }

    /// Together, so that a count made anew never sees one without the other.
    fn commit_carrying(&self, carry: &[u64], commit: impl FnOnce()) {
        self.heap().locked(|| {
            for &object in carry {
                self.heap().header(object).refs.fetch_add(1, Ordering::Relaxed);
                step("carry.counted");
            }
            commit();
            step("carry.committed");
        });
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
        step("append.chunk");
        Ok(Spot { at: chunk, with: chunk })
    }

    #[inline]
    fn write(&self, at: u64, head: Head, data: &[&[u8]], carry: &[u64]) {
        // SAFETY: the caller made sure of the room, holds the putters' lock, and no getter looks
        // beyond what was committed.
        unsafe {
            let mut place = self.heap().address(at);
            place.cast::<Head>().write(head);
            place = place.add(RECORD as usize);
            for part in data {
                place.copy_from_nonoverlapping(part.as_ptr(), part.len());
                place = place.add(part.len());
            }
        }
        for (number, &object) in carry.iter().enumerate() {
            set_word(self.heap(), at + head.carry_at() + 8 * number as u64, object);
        }
    }
}
