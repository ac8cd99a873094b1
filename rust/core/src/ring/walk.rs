//! A ring seen from outside: what hangs on it. The caller holds the heap's lock, so that no chunk
//! or block is freed and no carrying message comes or goes meanwhile; plain messages may.

use super::record::{BIG, LINK};
use super::{Words, check};
use crate::heap::Heap;
use std::collections::HashSet;

/// Chunks and blocks, in the order of the messages.
pub fn parts(heap: &Heap, ring: u64) -> Vec<u64> {
    let mut parts = Vec::new();
    walk(heap, ring, &mut |part| parts.push(part), &mut |_| ());
    parts
}

/// Offsets of the objects that its messages carry, each as often as it is carried.
pub fn carried(heap: &Heap, ring: u64) -> Vec<u64> {
    let mut objects = Vec::new();
    walk(heap, ring, &mut |_| (), &mut |object| objects.push(object));
    objects
}

fn walk(heap: &Heap, ring: u64, part: &mut dyn FnMut(u64), object: &mut dyn FnMut(u64)) {
    // SAFETY: the caller looked at the block's kind.
    let lane = &unsafe { heap.at::<Words>(ring) }.lane;
    let (gets, spot) = lane.gets.snapshot();
    let (mut at, mut chunk) = (spot.at, spot.with);
    let mut passed = HashSet::from([chunk]);
    if check::chunk(heap, ring, chunk).is_ok() {
        part(chunk);
    }
    for _ in 0..lane.puts.count().wrapping_sub(gets) {
        let read = |chunk, at| check::record(heap, ring, check::chunk(heap, ring, chunk)?, at);
        let Ok(mut head) = read(chunk, at) else { return };
        if head.has(LINK) {
            (at, chunk) = (head.tag, head.tag);
            // Who comes to a chunk again would go round for ever.
            match read(chunk, at) {
                Ok(next) if passed.insert(chunk) => head = next,
                _ => return,
            }
            part(chunk);
        }
        if head.has(BIG) {
            part(super::word(heap, at + super::record::RECORD));
        }
        for number in 0..head.carry() {
            object(super::word(heap, at + head.carry_at() + 8 * number as u64));
        }
        at += head.size();
    }
}
