//! Objects whose memory one process has for itself.
//!
//! Bytes that a process sends to another lie in a buffer, an object of its own. Its receiver takes
//! it: there is no second taking, so whoever has taken it may write there as into memory of its own.
//! It goes home when its holder drops it or dies, or is offered to the next: then it has another name,
//! so that who knows the old one cannot take it.
//!
//! A buffer for several is taken by nobody: each maps it privately from the start.
//!
//! A fork must not change that: after it neither process may see what the other writes. So before a
//! fork each such range is mapped anew, privately and at the same address. From then on both see the
//! pages as they were, until they write, and what they write to is copied. Both hold the object, so
//! that nobody else gets its pages meanwhile. Whoever drops it maps the range as shared again first.
//!
//! Where the child holds nothing (see [`super::family`]), the parent has all pages copied before the
//! fork, and the child never uses the heap again, parts of which it does not see any more.
//! A fork that runs no handlers leaves the ranges shared.

use super::handles::{Handle, Held, Table};
use super::map::{Heap, HeapError, PAGE};
use super::{BlockKind, blocks};
use crate::fault::step;
use crate::sync::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

/// So many ranges at most: each may take two entries of the 65,530 in the kernel's list of mappings.
const MOST: usize = if cfg!(feature = "faults") { 32 } else { 16 << 10 };

/// A range of whole pages.
#[derive(Clone, Copy)]
struct Range {
    at: u64,
    length: u64,
    private: bool,
}

/// The ranges that lie apart, by the entry of the object.
#[derive(Default)]
pub struct Apart(HashMap<usize, Range>);

impl Held {
    /// A buffer with these bytes.
    pub fn buffer(heap: &Arc<Heap>, data: &[u8]) -> Result<Held, HeapError> {
        // Whole pages, in none of which anything else lies.
        let pages = whole_pages(data.len() as u64).max(blocks::LARGE);
        let offset = heap.alloc_filled(pages, BlockKind::Part, 0, &[data])?;
        heap.header(offset).length.store(data.len() as u64, Ordering::Relaxed);
        Held::made(heap, offset, BlockKind::Buffer)
    }

    /// Bytes that were asked for.
    pub fn length(&self) -> usize {
        self.heap().header(self.offset()).length.load(Ordering::Relaxed) as usize
    }

    /// Take a buffer; false if it was taken before.
    pub fn take(&self) -> bool {
        let taken = self.heap().header(self.offset()).turn(BlockKind::Buffer, BlockKind::Memory);
        step("buffer.taken");
        taken
    }

    /// Have the bytes lie apart at forks; false if too much does already.
    pub fn set_apart(&self) -> bool {
        let Apart(ranges) = &mut self.heap().table.lock().apart;
        let fits = ranges.len() < MOST;
        if fits {
            ranges.insert(self.entry(), self.range(false));
        }
        fits
    }

    /// Have this process see the bytes, which nobody changes, as memory of its own. False if it does
    /// so already, by another hold, if too much lies apart, or where the system refuses.
    pub fn map_apart(&self) -> bool {
        let Apart(ranges) = &mut self.heap().table.lock().apart;
        let range = self.range(true);
        let fits = ranges.len() < MOST && ranges.values().all(|other| other.at != range.at);
        let mapped = fits && self.heap().map_again(range.at, range.length, libc::MAP_PRIVATE);
        if mapped {
            ranges.insert(self.entry(), range);
        }
        mapped
    }

    /// Offer what was taken to the next taker; its name from now on. None if others would not find
    /// there what this process sees. The caller looks at the bytes no more.
    pub fn offer(&self) -> Option<Handle> {
        let heap = self.heap();
        // Held throughout, so that no fork makes the range private meanwhile.
        let table = heap.table.lock();
        let shared = table.apart.0.get(&self.entry()).is_some_and(|range| !range.private);
        let offered = shared && heap.locked(|| self.rename_and_offer());
        offered
            .then(|| Handle { serial: heap.header(self.offset()).serial.load(Ordering::Relaxed), ..self.handle() })
    }

    fn rename_and_offer(&self) -> bool {
        let header = self.heap().header(self.offset());
        let taken = header.is(BlockKind::Memory);
        if taken {
            header.serial.store(self.heap().new_serial(), Ordering::Relaxed);
            step("buffer.renamed");
            header.set_kind(BlockKind::Buffer);
        }
        taken
    }

    /// Its pages, to lie apart.
    fn range(&self, private: bool) -> Range {
        Range { at: self.offset(), length: whole_pages(self.length() as u64), private }
    }

    /// A copy of the bytes as others see them, whatever this process has mapped there.
    pub fn read(&self, place: &mut [u8]) -> Result<(), HeapError> {
        self.heap().read_file(self.offset(), place)
    }
}

fn whole_pages(length: u64) -> u64 {
    length.div_ceil(PAGE) * PAGE
}

impl Apart {
    /// Does this process not see all of the heap?
    pub(super) fn hides_something(&self) -> bool {
        self.0.values().any(|range| range.private)
    }
}

impl Heap {
    /// Before a fork: map what lies apart privately. `copied`: have all of it copied as well.
    pub(super) fn part(&self, table: &mut Table, copied: bool) {
        for range in table.apart.0.values_mut() {
            range.private = range.private || self.map_again(range.at, range.length, libc::MAP_PRIVATE);
            step("apart.private");
            if copied {
                self.copy_pages(range);
            }
        }
    }

    /// Before an object is given up: have its range be as everybody sees it. False where the system
    /// refuses; then the object must be kept, since its range must not be used for anything else.
    pub(super) fn rejoin(&self, apart: &mut Apart, entry: usize) -> bool {
        if apart.0.is_empty() {
            return true;
        }
        let Some(range) = apart.0.get(&entry) else {
            return true;
        };
        if range.private && !self.map_again(range.at, range.length, libc::MAP_SHARED) {
            return false;
        }
        apart.0.remove(&entry);
        step("apart.rejoined");
        true
    }

    /// Pages are copied when they are written to, even with what they hold.
    fn copy_pages(&self, range: &Range) {
        for at in (range.at..range.at + range.length).step_by(PAGE as usize) {
            // SAFETY: a byte of memory of ours, to which other threads may be writing.
            let byte = unsafe { self.at::<AtomicU8>(at) };
            let now = byte.load(Ordering::Relaxed);
            // Or-ing nothing would do, had compilers not made it a load. Where this fails, another has written.
            let _ = byte.compare_exchange(now, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}
