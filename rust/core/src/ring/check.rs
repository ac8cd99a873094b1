//! What lies in a ring is looked at before it is followed: a member gone wrong may have written over it.
//!
//! Offsets must lead to blocks, and records must lie whole in their chunk. What is said in a message
//! may be wrong all the same; but nobody reads or frees what is no block.

use super::record::{BIG, Head, RECORD};
use super::word;
use crate::heap::blocks::HEADER;
use crate::heap::map::BLOCKS_AT;
use crate::heap::{BlockKind, Heap, HeapError};
use crate::lane::Spot;
use crate::sync::Ordering;
use std::ops::Range;

/// The bytes of the chunk at an offset, which must be one of the ring's.
#[inline]
pub fn chunk(heap: &Heap, ring: u64, offset: u64) -> Result<Range<u64>, HeapError> {
    block(heap, ring, offset, BlockKind::Part).ok_or(HeapError::Damaged)
}

/// The bytes of a block of this kind that was made for the ring.
#[inline]
fn block(heap: &Heap, ring: u64, offset: u64, kind: BlockKind) -> Option<Range<u64>> {
    let header = is_block(heap, offset).then(|| heap.header(offset))?;
    let ours = header.is(kind) && header.home.load(Ordering::Relaxed) == ring;
    let end = offset.checked_add(header.capacity())?;
    (ours && end <= top(heap)).then_some(offset..end)
}

/// The record at `at`, whole in its chunk; what hangs on it are blocks.
#[inline]
pub fn record(heap: &Heap, ring: u64, chunk: Range<u64>, at: u64) -> Result<Head, HeapError> {
    let room = chunk.end.saturating_sub(at);
    if at < chunk.start || at % 8 != 0 || room < RECORD {
        return Err(HeapError::Damaged);
    }
    // SAFETY: sixteen aligned bytes of a block.
    let head = unsafe { heap.address(at).cast::<Head>().read() };
    let whole = head.size() <= room && (!head.has(BIG) || has_block(heap, ring, at, &head));
    let sound = whole && (head.carry() == 0 || carries_objects(heap, at, &head));
    sound.then_some(head).ok_or(HeapError::Damaged)
}

/// Where the chunk ends in which the next record is to be put.
#[inline]
pub fn end(heap: &Heap, ring: u64, spot: Spot) -> Result<u64, HeapError> {
    let chunk = chunk(heap, ring, spot.with)?;
    let sound = chunk.start <= spot.at && spot.at <= chunk.end && spot.at % 8 == 0;
    sound.then_some(chunk.end).ok_or(HeapError::Damaged)
}

fn has_block(heap: &Heap, ring: u64, at: u64, head: &Head) -> bool {
    if head.length as u64 != RECORD {
        return false;
    }
    let (offset, length) = (word(heap, at + RECORD), word(heap, at + RECORD + 8));
    block(heap, ring, offset, BlockKind::Payload).is_some_and(|bytes| length <= bytes.end - bytes.start)
}

fn carries_objects(heap: &Heap, at: u64, head: &Head) -> bool {
    (0..head.carry() as u64).all(|number| {
        let object = word(heap, at + head.carry_at() + 8 * number);
        is_block(heap, object) && heap.header(object).is_object()
    })
}

#[inline]
fn is_block(heap: &Heap, offset: u64) -> bool {
    offset >= BLOCKS_AT + HEADER && offset < top(heap) && offset % HEADER == 0
}

#[inline]
fn top(heap: &Heap) -> u64 {
    heap.root().top.load(Ordering::Relaxed)
}
