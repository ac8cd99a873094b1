//! Where the heap keeps who waits for which lock (see [`crate::circle`]).

use super::blocks::{BlockKind, HEADER};
use super::map::{BLOCKS_AT, Heap, SEATS_AT};
use super::root::Root;
use crate::circle::{Bond, Table, Who};
use crate::semlock::SemLock;
use crate::sync::Ordering;

/// Behind the root, on pages that are allotted when the heap is made.
const TABLE_AT: usize = 8 * 1024;
const _: () = assert!(std::mem::size_of::<Root>() <= TABLE_AT);
const _: () = assert!(TABLE_AT + std::mem::size_of::<Table>() <= SEATS_AT as usize);

impl Heap {
    /// Who waits for which lock.
    pub fn waits(&self) -> &Table {
        // SAFETY: its place is nobody else's, and zeroes are an empty table.
        unsafe { self.at::<Table>(TABLE_AT as u64) }
    }

    /// The holder of the lock at this offset, and what binds it; None if there is none.
    pub fn bond(&self, lock: u64) -> Option<(Who, Bond)> {
        let blocks = BLOCKS_AT + HEADER..self.root().top.load(Ordering::Acquire);
        if !blocks.contains(&lock) || lock % 64 != 0 || !self.header(lock).is(BlockKind::SemLock) {
            return None;
        }
        // SAFETY: a block, at least as large as a lock, in which any words mean something; if it is
        // no lock any more, its waiter is dead, which is asked later.
        unsafe { self.at::<SemLock>(lock) }.bond()
    }
}
