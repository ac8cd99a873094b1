//! What the dead leave is taken back.
//!
//! A member that ended in good order leaves its list of handles and nothing else. One that was
//! killed may also leave blocks that it had made and not yet hung up, or taken down and not yet
//! freed. Such a block names its owner; it is free if that owner is dead and no living object
//! reaches it. All of this happens under the heap's lock, and can be begun again by who inherits it.
//!
//! Why a living getter is safe: before it takes a block from a ring it writes itself into the
//! block as owner, then commits. Whoever sees the block unreachable therefore sees the new owner,
//! which is why owners are read again after the rings were walked.

use super::blocks::{BlockKind, HEADER};
use super::map::Heap;
use crate::fault::step;
use crate::member::seat_of;
use crate::sync::Ordering;
use crate::waitlist::{Page, WaitList};
use std::collections::{HashMap, HashSet};

/// Numbers about a heap.
#[derive(Default, Debug, Clone, Copy)]
pub struct Stats {
    /// Bytes of blocks in use.
    pub used: u64,
    /// Bytes of free blocks.
    pub free: u64,
    /// The heap's length so far.
    pub top: u64,
    /// Blocks in use.
    pub blocks: u64,
    /// Objects among them.
    pub objects: u64,
    /// Living members.
    pub members: u64,
}

impl Heap {
    /// Living members: (pid, id); children that have not begun to run are left out.
    pub fn members(&self) -> Vec<(u32, u32)> {
        self.occupants().filter(|&(id, pid)| pid != 0 && self.is_alive(id)).map(|(id, pid)| (pid, id)).collect()
    }

    fn occupants(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let seats = self.root().seats.load(Ordering::Acquire) as usize;
        (1..seats).map(|number| self.seat(number).occupant()).filter(|&(id, _)| id != 0)
    }

    /// Take back what dead members of this pid (0: of any) left; gives how many blocks.
    pub fn bury(&self, pid: u32) -> usize {
        let dead: Vec<u32> = self
            .occupants()
            .filter(|&(id, sitting)| (pid == 0 || sitting == pid) && !self.is_alive(id))
            .map(|(id, _)| id)
            .collect();
        if dead.is_empty() {
            return 0;
        }
        let before = self.stats().blocks;
        self.locked(|| {
            let killed = dead.iter().any(|&id| !self.seat(seat_of(id)).parted());
            dead.iter().for_each(|&id| self.drop_list(id));
            if killed {
                self.sweep();
            }
        });
        before.saturating_sub(self.stats().blocks) as usize
    }

    /// Numbers about the heap.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { members: self.members().len() as u64, ..Stats::default() };
        self.locked(|| {
            stats.top = self.root().top.load(Ordering::Relaxed);
            for offset in self.blocks() {
                let header = self.header(offset);
                let size = header.capacity() + HEADER;
                if header.is(BlockKind::Free) || header.is(BlockKind::Filler) {
                    stats.free += size;
                } else {
                    stats.used += size;
                    stats.blocks += 1;
                    stats.objects += header.is_object() as u64;
                }
            }
        });
        stats
    }

    /// Take a dead member's list apart and empty its seat.
    fn drop_list(&self, id: u32) {
        let seat = self.seat(seat_of(id));
        if seat.occupant().0 != id {
            return;
        }
        let mut page = seat.handles.load(Ordering::Acquire);
        while page != 0 {
            let list = self.handle_page(page);
            for entry in &list.entries {
                let object = entry.swap(0, Ordering::Relaxed);
                if object != 0 {
                    self.uncount(object);
                }
            }
            page = list.next.load(Ordering::Relaxed);
            step("bury.page");
            let done = seat.handles.swap(page, Ordering::Relaxed);
            self.free_locked(done);
        }
        seat.free();
    }

    /// Free what belongs to dead members and hangs nowhere.
    fn sweep(&self) {
        self.root().spinning.store(0, Ordering::Relaxed);
        self.recount();
        let unheld = |offset: &u64| {
            let header = self.header(*offset);
            header.is_object() && header.refs.load(Ordering::Relaxed) == 0
        };
        self.blocks().filter(unheld).collect::<Vec<_>>().into_iter().for_each(|offset| self.destroy(offset));
        let reached: HashSet<u64> = self.blocks().flat_map(|offset| self.parts(offset)).collect();
        let mut lives = HashMap::new();
        for offset in self.blocks().collect::<Vec<_>>() {
            let header = self.header(offset);
            let loose =
                header.is(BlockKind::Part) || header.is(BlockKind::Payload) || header.is(BlockKind::Handles);
            let owner = header.owner.load(Ordering::SeqCst);
            if loose && !reached.contains(&offset) && !*lives.entry(owner).or_insert_with(|| self.is_alive(owner))
            {
                self.free_locked(offset);
            }
        }
    }

    /// Count every object's holds anew from the lists and from the messages under way.
    pub(super) fn recount(&self) {
        let objects = |offset: &u64| self.header(*offset).is_object();
        self.blocks().filter(objects).for_each(|offset| self.header(offset).refs.store(0, Ordering::Relaxed));
        let count = |object: u64| {
            self.header(object).refs.fetch_add(1, Ordering::Relaxed);
        };
        for offset in self.blocks() {
            let header = self.header(offset);
            if header.is(BlockKind::Handles) {
                let entries = self.handle_page(offset).entries.iter().map(|entry| entry.load(Ordering::Relaxed));
                entries.filter(|&object| object != 0).for_each(count);
            } else if header.is(BlockKind::Ring) {
                crate::ring::walk::carried(self, offset).into_iter().for_each(count);
            }
        }
    }

    /// The blocks that hang on an object.
    fn parts(&self, offset: u64) -> Vec<u64> {
        let header = self.header(offset);
        if header.is(BlockKind::Ring) {
            return crate::ring::walk::parts(self, offset);
        }
        if !header.is(BlockKind::WaitList) {
            return Vec::new();
        }
        // SAFETY: the kind says what lies there.
        let list = unsafe { self.at::<WaitList>(offset) };
        let next = |page: &Page| Some(page.next.load(Ordering::Acquire)).filter(|&next| next != 0);
        // SAFETY: the link of a waiting list leads to a page.
        std::iter::successors(next(list.first_page()), |&page| next(unsafe { self.at::<Page>(page) })).collect()
    }

    /// End an object with all its parts, last part first, so that who begins again finds the rest.
    pub(super) fn destroy(&self, offset: u64) {
        let header = self.header(offset);
        let carried =
            if header.is(BlockKind::Ring) { crate::ring::walk::carried(self, offset) } else { Vec::new() };
        for part in self.parts(offset).into_iter().rev() {
            step("destroy.part");
            self.free_locked(part);
        }
        self.free_locked(offset);
        carried.into_iter().for_each(|object| self.uncount(object));
    }
}
