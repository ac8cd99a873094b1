//! Pieces of the heap, recycled by size.
//!
//! Each block has a header of 64 bytes before its payload. Sizes come in classes, four a power of
//! two; a freed block goes to the list of its class and is the next to be taken, while its pages
//! are warm. Blocks are never joined or split: addresses are plenty, and a header stays one for ever.
//! Where they are not (see [`HeapError::UsedUp`]), a larger one is taken.
//!
//! The headers lie one behind the other from [`BLOCKS_AT`] to the top, and the state in a header is
//! the truth: the free lists are rebuilt from it when a member dies with the heap's lock.
//!
//! The pages of a large block are allotted by who takes it and, once more than [`KEEP`] bytes of such
//! lie idle, given back by who frees it, both without the lock: a gigabyte takes a tenth of a second
//! or more. Meanwhile the block is the caller's, and marked as not resident.

use super::map::{BLOCKS_AT, Heap, HeapError};
use super::root::CLASSES;
use crate::fault::step;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Bytes of a header.
pub const HEADER: u64 = 64;
/// From this size on, pages are allotted and given back block by block.
pub const LARGE: u64 = 128 << 10;
/// Idle bytes of large blocks that are kept warm; so few for tests that they meet the limit often.
pub const KEEP: u64 = if cfg!(feature = "faults") { 1 << 20 } else { 256 << 20 };

/// How many may lie idle for another part of an object to be kept warm too: what a long queue took
/// is not worth as much as the one block of a large array that goes to and fro.
pub const KEEP_PARTS: u64 = KEEP / 8;

/// What a block is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum BlockKind {
    /// Nothing.
    Free = 0,
    /// A gap that makes the next block begin where it should.
    Filler = 1,
    /// A page of a member's handles.
    Handles = 2,
    /// A part of an object: a ring's chunk, a waiting list's page.
    Part = 3,
    /// A message too large for a chunk.
    Payload = 4,
    /// An object: [`crate::semlock::SemLock`].
    SemLock = 16,
    /// An object: [`crate::event::Event`].
    Event = 17,
    /// An object: [`crate::waitlist::WaitList`].
    WaitList = 18,
    /// An object: plain memory.
    Memory = 19,
    /// An object: [`crate::ring::Ring`].
    Ring = 20,
    /// An object: a table of claims.
    Claims = 21,
    /// An object: bytes for one receiver, in whose hands it becomes plain memory.
    Buffer = 22,
    /// An object: [`crate::relay::Relay`].
    Relay = 23,
}

/// Kinds from here on are objects.
pub const FIRST_OBJECT: u32 = 16;

/// What stands before every block's payload.
#[repr(C, align(64))]
pub struct Header {
    /// Bytes of the block, header and all; fixed for ever.
    size: AtomicU64,
    /// Bytes that were asked for.
    pub length: AtomicU64,
    kind: AtomicU32,
    /// The member it belongs to.
    pub owner: AtomicU32,
    /// Tells this use of the memory from every other.
    pub serial: AtomicU64,
    next: AtomicU64,
    /// The object that it is, or may have become, a part of; 0 for none.
    pub home: AtomicU64,
    /// How many hold the object.
    pub refs: AtomicU32,
    /// Are the payload's pages allotted?
    resident: AtomicU32,
}

impl Header {
    /// Bytes of the block, header and all.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Bytes of the payload.
    pub fn capacity(&self) -> u64 {
        self.size().saturating_sub(HEADER)
    }

    /// The kind as a number.
    pub fn kind(&self) -> u32 {
        self.kind.load(Ordering::Acquire)
    }

    /// Make it known as this; the one store that commits it.
    pub(super) fn set_kind(&self, kind: BlockKind) {
        self.kind.store(kind as u32, Ordering::Release);
    }

    /// Make an object that is known as `from` known as `to`; false if somebody else was first.
    pub(super) fn turn(&self, from: BlockKind, to: BlockKind) -> bool {
        let order = (Ordering::AcqRel, Ordering::Relaxed);
        self.kind.compare_exchange(from as u32, to as u32, order.0, order.1).is_ok()
    }

    /// Is it in use as this?
    pub fn is(&self, kind: BlockKind) -> bool {
        self.kind() == kind as u32
    }

    /// Is it an object?
    pub fn is_object(&self) -> bool {
        self.kind() >= FIRST_OBJECT
    }

    /// Is it a block that belongs to its owner unless it hangs on an object?
    pub(super) fn is_loose(&self) -> bool {
        self.is(BlockKind::Part) || self.is(BlockKind::Payload) || self.is(BlockKind::Handles)
    }
}

/// The class of a block of `size` bytes (header and all), and that class's size: 128, 192, 256,
/// then four a power of two.
fn class_of(size: u64) -> (usize, u64) {
    if size <= 256 {
        let units = size.div_ceil(HEADER).max(2);
        return (units as usize - 2, units * HEADER);
    }
    // The power of two below, and how many quarters of it above.
    let power = 63 - (size - 1).leading_zeros() as u64;
    let quarter = 1u64 << (power - 2);
    let quarters = (size - 1 - (1 << power)) / quarter + 1;
    let class = 3 + (power - 8) * 4 + quarters - 1;
    (class as usize, (1 << power) + quarters * quarter)
}

impl Heap {
    /// The header of the block whose payload is at `offset`.
    #[inline]
    pub fn header(&self, offset: u64) -> &Header {
        // SAFETY: every payload has a header before it, which stays one for ever.
        unsafe { self.at::<Header>(offset - HEADER) }
    }

    /// A block with at least `length` bytes of payload; what lies in it is undefined.
    pub fn alloc(&self, length: u64, kind: BlockKind, home: u64) -> Result<u64, HeapError> {
        let offset = self.locked(|| self.alloc_locked(length, kind, home))?;
        self.make_resident(offset)
    }

    /// As [`Heap::alloc`], the lock being held. A large block's pages may still be missing.
    pub(super) fn alloc_locked(&self, length: u64, kind: BlockKind, home: u64) -> Result<u64, HeapError> {
        if length > self.size() / 2 {
            return Err(HeapError::UsedUp(self.size()));
        }
        let (class, size) = class_of(length + HEADER);
        let offset = match self.pop_free(class) {
            Some(offset) => offset,
            None => self.carve(size).or_else(|error| {
                // Where limits have left the heap few addresses, a block too large is better than none.
                (class + 1..CLASSES).find_map(|larger| self.pop_free(larger)).ok_or(error)
            })?,
        };
        step("alloc.taken");
        let header = self.header(offset);
        header.length.store(length, Ordering::Relaxed);
        header.owner.store(self.me(), Ordering::Relaxed);
        header.home.store(home, Ordering::Relaxed);
        header.refs.store(0, Ordering::Relaxed);
        header.serial.store(self.new_serial(), Ordering::Relaxed);
        header.kind.store(kind as u32, Ordering::Release);
        step("alloc.marked");
        Ok(offset)
    }

    fn pop_free(&self, class: usize) -> Option<u64> {
        let list = &self.root().free[class];
        let offset = Some(list.load(Ordering::Relaxed)).filter(|&offset| offset != 0)?;
        let header = self.header(offset);
        list.store(header.next.load(Ordering::Relaxed), Ordering::Relaxed);
        if header.size() >= LARGE && header.resident.load(Ordering::Relaxed) == 1 {
            self.root().idle.fetch_sub(header.size(), Ordering::Relaxed);
        }
        Some(offset)
    }

    /// A number that no use of any block has had. The caller holds the lock.
    pub(super) fn new_serial(&self) -> u64 {
        self.root().serial.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A new block at the top. Its header's page is allotted; so is all of a small one.
    fn carve(&self, size: u64) -> Result<u64, HeapError> {
        let root = self.root();
        let mut at = root.top.load(Ordering::Relaxed);
        let large = size >= LARGE;
        if large {
            // The payload begins on a page, so that its pages can be given back.
            let start = (at + HEADER).div_ceil(4096) * 4096 - HEADER;
            if start != at {
                self.fill(at, start - at)?;
                at = start;
            }
        }
        if at + size > self.size() {
            return Err(HeapError::UsedUp(self.size()));
        }
        let header = self.start_block(at, size, large)?;
        let allotted = root.allotted.load(Ordering::Relaxed);
        // A large block's pages belong to it alone, up to where it ends and small ones go on.
        header.resident.store((at + size <= allotted) as u32, Ordering::Relaxed);
        step("carve.written");
        root.top.store(at + size, Ordering::Release);
        step("carve.carved");
        // After the top, which `repair` can mend; the other way round some would never be allotted.
        root.allotted.store(allotted.max(at + size), Ordering::Release);
        Ok(at + HEADER)
    }

    fn start_block(&self, at: u64, size: u64, large: bool) -> Result<&Header, HeapError> {
        self.allot_up_to(if large { at + HEADER } else { at + size })?;
        let header = self.header(at + HEADER);
        header.size.store(size, Ordering::Relaxed);
        header.kind.store(BlockKind::Free as u32, Ordering::Relaxed);
        Ok(header)
    }

    fn fill(&self, at: u64, size: u64) -> Result<(), HeapError> {
        let header = self.start_block(at, size, false)?;
        header.kind.store(BlockKind::Filler as u32, Ordering::Relaxed);
        self.root().top.store(at + size, Ordering::Release);
        Ok(())
    }

    /// As [`Heap::alloc`], with a copy of `parts`, one behind the other, at the beginning.
    pub fn alloc_filled(
        &self,
        length: u64,
        kind: BlockKind,
        home: u64,
        parts: &[&[u8]],
    ) -> Result<u64, HeapError> {
        let offset = self.locked(|| self.alloc_locked(length, kind, home))?;
        let header = self.header(offset);
        step("alloc.filling");
        if header.resident.load(Ordering::Relaxed) == 0
            && self.fill_fresh(offset, header.capacity(), parts).is_ok()
        {
            header.resident.store(1, Ordering::Relaxed);
            return Ok(offset);
        }
        // Whatever was in the way of that: if there is no memory, this tells.
        self.make_resident(offset)?;
        self.write(offset, parts);
        Ok(offset)
    }

    fn make_resident(&self, offset: u64) -> Result<u64, HeapError> {
        let header = self.header(offset);
        if header.resident.load(Ordering::Relaxed) == 0 {
            step("alloc.allotting");
            if let Err(error) = self.allot(offset, header.capacity()) {
                self.free_cold(offset);
                return Err(error);
            }
            header.resident.store(1, Ordering::Relaxed);
        }
        Ok(offset)
    }

    /// Free a block that is the caller's alone.
    pub fn free(&self, offset: u64) {
        if self.is_crowding(offset) {
            return self.free_cold(offset);
        }
        self.locked(|| self.free_locked(offset));
    }

    /// Would this block's pages, kept, make too many that lie idle?
    pub(super) fn is_crowding(&self, offset: u64) -> bool {
        let header = self.header(offset);
        let size = header.size();
        let resident = header.resident.load(Ordering::Relaxed) == 1;
        let keep = if header.is(BlockKind::Part) { KEEP_PARTS } else { KEEP };
        size >= LARGE && resident && self.root().idle.load(Ordering::Relaxed) + size > keep
    }

    /// Free a large block that is the caller's alone, and give its pages back.
    pub(super) fn free_cold(&self, offset: u64) {
        let header = self.header(offset);
        // First, lest somebody trusts in pages that are gone when we are killed.
        header.resident.store(0, Ordering::Relaxed);
        step("free.cold");
        // The payload's last page may hold the next block's header.
        self.punch(offset, header.capacity() & !4095);
        self.locked(|| self.free_locked(offset));
    }

    /// As [`Heap::free`], the lock being held; freeing twice does nothing.
    pub(super) fn free_locked(&self, offset: u64) {
        let header = self.header(offset);
        if header.is(BlockKind::Free) {
            return;
        }
        let size = header.size.load(Ordering::Relaxed);
        if size >= LARGE && header.resident.load(Ordering::Relaxed) == 1 {
            self.root().idle.fetch_add(size, Ordering::Relaxed);
        }
        step("free.counted");
        header.kind.store(BlockKind::Free as u32, Ordering::Release);
        step("free.marked");
        self.push_free(offset, size);
        step("free.pushed");
    }

    fn push_free(&self, offset: u64, size: u64) {
        let list = &self.root().free[class_of(size).0];
        self.header(offset).next.store(list.load(Ordering::Relaxed), Ordering::Relaxed);
        list.store(offset, Ordering::Relaxed);
    }

    /// Is this still the use of the memory that had this serial number? The caller holds the lock.
    pub fn is_same(&self, offset: u64, serial: u64, kind: BlockKind) -> bool {
        let header = self.header(offset);
        header.is(kind) && header.serial.load(Ordering::Relaxed) == serial
    }

    /// Payload offsets of all blocks, free ones too. The caller holds the lock.
    pub(super) fn blocks(&self) -> impl Iterator<Item = u64> + '_ {
        let top = self.root().top.load(Ordering::Acquire);
        let mut at = BLOCKS_AT;
        std::iter::from_fn(move || {
            let offset = (at < top).then_some(at + HEADER)?;
            at += self.header(offset).size.load(Ordering::Relaxed);
            Some(offset)
        })
    }

    /// Make the free lists anew, after their last user died at them. The caller holds the lock.
    pub(super) fn repair(&self) {
        for class in 0..CLASSES {
            self.root().free[class].store(0, Ordering::Relaxed);
        }
        let mut idle = 0;
        for offset in self.blocks() {
            let header = self.header(offset);
            if header.is(BlockKind::Free) {
                let size = header.size.load(Ordering::Relaxed);
                self.push_free(offset, size);
                if size >= LARGE && header.resident.load(Ordering::Relaxed) == 1 {
                    idle += size;
                }
            }
            step("repair.block");
        }
        self.root().idle.store(idle, Ordering::Relaxed);
        let top = self.root().top.load(Ordering::Relaxed);
        self.root().allotted.fetch_max(top, Ordering::Relaxed);
        self.recount();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_fit_and_grow() {
        let mut last = (0, 0);
        for size in (64..100_000u64).step_by(8).chain((17..40).map(|power| (1 << power) + 1)) {
            let (class, rounded) = class_of(size);
            assert!(rounded >= size && rounded >= 128, "{size}");
            assert!(rounded <= (size + size / 4 + 64).max(128), "{size} became {rounded}");
            assert_eq!(rounded % HEADER, 0, "{size}");
            assert_eq!(class_of(rounded), (class, rounded));
            assert!(class < CLASSES);
            assert!((class, rounded) >= last);
            last = (class, rounded);
        }
    }
}
