//! Objects, and who holds them.
//!
//! Each member lists the objects that it holds in pages of its own; an object counts its entries in
//! all lists. Both change under the heap's lock, so that who inherits that lock from the dead can
//! count anew. The lists of the dead are taken back by [`super::collect`].

use super::apart::Apart;
use super::blocks::{BlockKind, HEADER, Header};
use super::collect::Ruins;
use super::map::{BLOCKS_AT, Heap, HeapError};
use crate::fault::step;
use crate::member::seat_of;
use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

/// Entries a page: with its link and its header a page fills a block of 640 bytes.
pub const ENTRIES: usize = 71;

/// A page of a member's list; all zeroes is an empty one.
#[repr(C)]
pub struct HandlePage {
    /// Offset of the member's next page, 0 for none.
    pub next: AtomicU64,
    /// Offsets of objects, 0 where free.
    pub entries: [AtomicU64; ENTRIES],
}

/// What this process knows of its own list.
#[derive(Default)]
pub struct Table {
    pub(super) pages: Vec<u64>,
    free: Vec<usize>,
    /// What lies apart, by its entry.
    pub(super) apart: Apart,
    /// Seat and list of the child of a fork under way.
    pub(super) child: Option<(u32, Vec<u64>)>,
}

/// Names an object for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The family's uid.
    pub family: u64,
    /// Where it lies.
    pub offset: u64,
    /// Which use of that place it is.
    pub serial: u64,
}

/// A hold on an object; given up when dropped.
pub struct Held {
    heap: Arc<Heap>,
    offset: u64,
    serial: u64,
    entry: usize,
    epoch: u32,
}

impl Held {
    /// Make an object of `length` bytes; `write` fills its (undefined) payload before it is known.
    pub fn create(
        heap: &Arc<Heap>,
        kind: BlockKind,
        length: u64,
        write: impl FnOnce(*mut u8),
    ) -> Result<Held, HeapError> {
        let offset = heap.alloc(length, BlockKind::Part, 0)?;
        write(heap.address(offset));
        Self::made(heap, offset, kind)
    }

    /// The block, which is the caller's alone and whose payload is written, as an object; freed where
    /// memory is refused.
    pub(super) fn made(heap: &Arc<Heap>, offset: u64, kind: BlockKind) -> Result<Held, HeapError> {
        let held = Self::enlist(heap, offset, |header| {
            header.refs.store(1, Ordering::Relaxed);
            header.set_kind(kind);
            Ok(())
        });
        held.inspect_err(|_| heap.free(offset))
    }

    /// One more hold on the object of this handle, which must be of this kind.
    pub fn open(heap: &Arc<Heap>, handle: Handle, kind: BlockKind) -> Result<Held, HeapError> {
        let range = BLOCKS_AT + HEADER..heap.root().top.load(Ordering::Acquire);
        if handle.family != heap.uid() || !range.contains(&handle.offset) || handle.offset % 64 != 0 {
            return Err(HeapError::Gone);
        }
        Self::enlist(heap, handle.offset, |header| {
            let refs = header.refs.load(Ordering::Relaxed);
            if header.serial.load(Ordering::Relaxed) != handle.serial || !header.is_object() || refs == 0 {
                return Err(HeapError::Gone);
            }
            if !header.is(kind) {
                return Err(HeapError::OtherKind);
            }
            header.refs.store(refs + 1, Ordering::Relaxed);
            Ok(())
        })
    }

    /// The block, which is the caller's alone, as an object of plain memory.
    pub(crate) fn adopt(heap: &Arc<Heap>, offset: u64) -> Result<Held, HeapError> {
        Self::enlist(heap, offset, |header| {
            header.refs.store(1, Ordering::Relaxed);
            header.set_kind(BlockKind::Memory);
            Ok(())
        })
    }

    /// Enter `offset` into this process's list, after `count` has counted it.
    fn enlist(
        heap: &Arc<Heap>,
        offset: u64,
        count: impl FnOnce(&Header) -> Result<(), HeapError>,
    ) -> Result<Held, HeapError> {
        let mut table = heap.table.lock();
        heap.locked(|| {
            let entry = heap.free_entry(&mut table)?;
            count(heap.header(offset)).inspect_err(|_| table.free.push(entry))?;
            step("enlist.counted");
            heap.entry(&table, entry).store(offset, Ordering::Relaxed);
            step("enlist.entered");
            Ok(Self::entered(heap, offset, entry))
        })
    }

    fn entered(heap: &Arc<Heap>, offset: u64, entry: usize) -> Held {
        let serial = heap.header(offset).serial.load(Ordering::Relaxed);
        Held { heap: heap.clone(), offset, serial, entry, epoch: heap.epoch() }
    }

    /// Take over the holds that a message has on `objects`, together with `commit`, which takes
    /// the message. Nothing happens where memory is refused.
    pub fn take_over(heap: &Arc<Heap>, objects: &[u64], commit: impl FnOnce()) -> Result<Vec<Held>, HeapError> {
        let mut table = heap.table.lock();
        heap.locked(|| {
            let entries = heap.free_entries(&mut table, objects.len())?;
            let holds = objects.iter().zip(entries).map(|(&offset, entry)| {
                heap.entry(&table, entry).store(offset, Ordering::Relaxed);
                step("carry.entered");
                Self::entered(heap, offset, entry)
            });
            let holds = holds.collect();
            commit();
            step("carry.taken");
            Ok(holds)
        })
    }

    /// The heap it lies in.
    #[inline]
    pub fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }

    /// Where the object lies.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Its place in this process's list.
    pub(super) fn entry(&self) -> usize {
        self.entry
    }

    /// Its name for other members.
    pub fn handle(&self) -> Handle {
        Handle { family: self.heap.uid(), offset: self.offset, serial: self.serial }
    }

    /// Is the hold still good? Not after a fork in which the list could not be handed on: then the
    /// object may be gone at any moment.
    #[inline]
    pub fn is_valid(&self) -> bool {
        self.heap.epoch() == self.epoch
    }

    /// Give it up if that needs no waiting; otherwise it is given back.
    pub fn drop_at_once(self) -> Result<(), Held> {
        let heap = self.heap.clone();
        let Some(mut table) = heap.table.try_lock() else {
            return Err(self);
        };
        if self.is_valid() && !heap.rejoin(&mut table.apart, self.entry) {
            drop(table);
            std::mem::forget(self);
            return Ok(());
        }
        let mut ruins = Ruins::default();
        if heap.locked_at_once(|| self.strike(&mut table, &mut ruins)).is_none() {
            return Err(self);
        }
        drop(table);
        std::mem::forget(self);
        ruins.clear(&heap);
        Ok(())
    }

    /// Cross the entry out. The caller holds the table and the heap's lock.
    fn strike(&self, table: &mut Table, ruins: &mut Ruins) {
        if !self.is_valid() {
            return;
        }
        self.heap.entry(table, self.entry).store(0, Ordering::Relaxed);
        step("drop.cleared");
        self.heap.uncount(self.offset, ruins);
        step("drop.uncounted");
        table.free.push(self.entry);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Looked at first, since a process without a seat cannot take the lock.
        if !self.is_valid() {
            return;
        }
        let mut table = self.heap.table.lock();
        if !self.heap.rejoin(&mut table.apart, self.entry) {
            return;
        }
        let mut ruins = Ruins::default();
        self.heap.locked(|| self.strike(&mut table, &mut ruins));
        drop(table);
        ruins.clear(&self.heap);
    }
}

impl Heap {
    /// How often all holds of this process became invalid.
    #[inline]
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// The page of handles at an offset.
    pub(super) fn handle_page(&self, offset: u64) -> &HandlePage {
        // SAFETY: blocks of kind Handles hold a page, zeroed before it was hung up.
        unsafe { self.at::<HandlePage>(offset) }
    }

    fn entry(&self, table: &Table, entry: usize) -> &AtomicU64 {
        &self.handle_page(table.pages[entry / ENTRIES]).entries[entry % ENTRIES]
    }

    fn free_entries(&self, table: &mut Table, count: usize) -> Result<Vec<usize>, HeapError> {
        let mut entries = Vec::new();
        for _ in 0..count {
            match self.free_entry(table) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    table.free.extend(entries);
                    return Err(error);
                }
            }
        }
        Ok(entries)
    }

    fn free_entry(&self, table: &mut Table) -> Result<usize, HeapError> {
        if table.free.is_empty() {
            let seat = self.seat(seat_of(self.me()));
            let page = self.new_handle_page(seat.handles.load(Ordering::Relaxed))?;
            step("enlist.page");
            seat.handles.store(page, Ordering::Release);
            let first = table.pages.len() * ENTRIES;
            table.pages.push(page);
            table.free.extend((first..first + ENTRIES).rev());
        }
        table.free.pop().ok_or(HeapError::NoMemory)
    }

    /// A page that links to `next`; it counts as a part until it is ready.
    pub(super) fn new_handle_page(&self, next: u64) -> Result<u64, HeapError> {
        let length = std::mem::size_of::<HandlePage>();
        let page = self.alloc_locked(length as u64, BlockKind::Part, 0)?;
        // SAFETY: a block of this length that nobody else knows yet.
        unsafe { std::ptr::write_bytes(self.address(page), 0, length) };
        self.handle_page(page).next.store(next, Ordering::Relaxed);
        self.header(page).set_kind(BlockKind::Handles);
        Ok(page)
    }
}
