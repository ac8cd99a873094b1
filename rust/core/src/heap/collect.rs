//! What the dead leave is taken back.
//!
//! A member that ended in good order leaves its list of handles and nothing else. One that was
//! killed may also leave blocks that it had made and not yet hung up, or taken down and not yet
//! freed. Such a block names its owner; it is free if that owner was buried and no object reaches
//! it. All of this happens under the heap's lock, and can be begun again by who inherits it.
//!
//! Why the living are safe:
//! - A putter hangs up its own blocks without the lock. Only blocks of the buried are freed: they
//!   were dead before the objects were searched, so they hung up nothing meanwhile. Who died since,
//!   or was not buried, still has a seat, and keeps what it owns until its own burial.
//! - A getter writes itself into a block as owner before it takes the block from a ring. Whoever sees
//!   the block unreachable therefore sees the new owner, since owners are read after the search.
//!
//! An object is ended by one store, after which its parts hang nowhere and belong to who ends it.
//! Only then are they freed: nobody ever searches an object some of whose parts are gone.

use super::blocks::{BlockKind, HEADER, LARGE};
use super::map::Heap;
use crate::fault::step;
use crate::member::seat_of;
use crate::sync::Ordering;
use crate::waitlist::{Page, WaitList};
use std::collections::HashSet;

/// How many members beside the one in question are looked at in a burial.
const STROLL: u32 = 4;

/// Numbers about a heap.
#[derive(Default, Debug, Clone, Copy, PartialEq, Eq)]
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

/// What was taken down while the lock was held.
#[derive(Default)]
pub(super) struct Ruins {
    /// Blocks in all.
    count: usize,
    /// Large ones, still to be freed: that takes too long for the lock.
    large: Vec<u64>,
}

impl Ruins {
    /// Free what is left, without the lock.
    pub fn clear(self, heap: &Heap) {
        self.large.into_iter().for_each(|offset| heap.free_cold(offset));
    }
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
        let mut dead = self.dead(|sitting| pid == 0 || sitting == pid || sitting == 0);
        if dead.iter().any(|&id| !self.seat(seat_of(id)).parted()) {
            // Who was killed may have been the one to bury others.
            dead = self.dead(|_| true);
        } else {
            dead.extend(self.stroll());
        }
        if dead.is_empty() {
            return 0;
        }
        self.clearing(|ruins| {
            let killed = dead.iter().any(|&id| !self.seat(seat_of(id)).parted());
            dead.iter().for_each(|&id| self.drop_list(id, ruins));
            if killed {
                self.sweep(ruins);
            }
            ruins.count
        })
    }

    fn dead(&self, which: impl Fn(u32) -> bool) -> Vec<u32> {
        let asked = self.occupants().filter(|&(_, pid)| which(pid));
        asked.map(|(id, _)| id).filter(|&id| !self.is_alive(id)).collect()
    }

    /// The dead among a few members, others each time: those whom nobody buries by name.
    fn stroll(&self) -> Vec<u32> {
        let seats = self.root().seats.load(Ordering::Acquire);
        let from = self.root().stroll.fetch_add(STROLL, Ordering::Relaxed);
        let number = |step: u32| (from.wrapping_add(step) % seats.max(1)) as usize;
        let ids = (0..STROLL).map(|step| self.seat(number(step)).occupant().0);
        ids.filter(|&id| id != 0 && !self.is_alive(id)).collect()
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

    /// Run `work` with the lock held, and free the large blocks that it took down after it.
    pub(super) fn clearing<R>(&self, work: impl FnOnce(&mut Ruins) -> R) -> R {
        let mut ruins = Ruins::default();
        let result = self.locked(|| work(&mut ruins));
        ruins.clear(self);
        result
    }

    /// Take a dead member's list apart and empty its seat. The caller holds the lock.
    pub(super) fn drop_list(&self, id: u32, ruins: &mut Ruins) {
        let seat = self.seat(seat_of(id));
        // Somebody else may have been quicker.
        if seat.occupant().0 != id {
            return;
        }
        let mut page = seat.handles.load(Ordering::Acquire);
        while page != 0 {
            let list = self.handle_page(page);
            for entry in &list.entries {
                let object = entry.swap(0, Ordering::Relaxed);
                step("bury.struck");
                if object != 0 {
                    self.uncount(object, ruins);
                }
            }
            page = list.next.load(Ordering::Relaxed);
            step("bury.page");
            let done = seat.handles.swap(page, Ordering::Relaxed);
            step("bury.unhung");
            self.raze(done, ruins);
        }
        seat.empty();
        step("bury.emptied");
    }

    /// Free what belongs to the buried and hangs nowhere.
    fn sweep(&self, ruins: &mut Ruins) {
        self.root().spinning.store(0, Ordering::Relaxed);
        self.recount();
        step("sweep.counted");
        let unheld = |offset: &u64| {
            let header = self.header(*offset);
            header.is_object() && header.refs.load(Ordering::Relaxed) == 0
        };
        self.blocks()
            .filter(unheld)
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|offset| self.destroy(offset, ruins));
        step("sweep.ended");
        let reached: HashSet<u64> = self.blocks().flat_map(|offset| self.parts(offset)).collect();
        let loose = |offset: &u64| {
            self.header(*offset).is_loose() && !reached.contains(offset) && self.is_buried(self.owner(*offset))
        };
        for offset in self.blocks().filter(loose).collect::<Vec<_>>() {
            if self.header(offset).size() >= LARGE {
                // Whether its pages were allotted is not certain.
                self.put_off(offset, ruins);
            } else {
                self.raze(offset, ruins);
            }
        }
    }

    fn owner(&self, offset: u64) -> u32 {
        self.header(offset).owner.load(Ordering::SeqCst)
    }

    /// Has this member no seat any more?
    fn is_buried(&self, id: u32) -> bool {
        self.seat(seat_of(id)).occupant().0 != id
    }

    /// Count every object's holds anew from the lists and from the messages under way.
    pub(super) fn recount(&self) {
        let objects = |offset: &u64| self.header(*offset).is_object();
        self.blocks().filter(objects).for_each(|offset| self.header(offset).refs.store(0, Ordering::Relaxed));
        let count = |object: u64| {
            self.header(object).refs.fetch_add(1, Ordering::Relaxed);
        };
        for offset in self.blocks() {
            if self.header(offset).is(BlockKind::Handles) {
                let entries = self.handle_page(offset).entries.iter().map(|entry| entry.load(Ordering::Relaxed));
                entries.filter(|&object| object != 0).for_each(count);
            } else {
                self.carried(offset).into_iter().for_each(count);
            }
        }
    }

    /// The objects that the messages of a ring carry.
    fn carried(&self, offset: u64) -> Vec<u64> {
        match self.header(offset).is(BlockKind::Ring) {
            true => crate::ring::walk::carried(self, offset),
            false => Vec::new(),
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

    /// One hold less; the last one ends the object. The caller holds the lock.
    pub(super) fn uncount(&self, object: u64, ruins: &mut Ruins) {
        let header = self.header(object);
        let refs = header.refs.load(Ordering::Relaxed).saturating_sub(1);
        header.refs.store(refs, Ordering::Relaxed);
        if refs == 0 {
            step("destroy.unheld");
            self.destroy(object, ruins);
        }
    }

    /// End an object, and what only its messages held. The caller holds the lock.
    fn destroy(&self, object: u64, ruins: &mut Ruins) {
        // A list instead of recursion: rings may carry rings that carry rings.
        let mut ending = vec![object];
        while let Some(object) = ending.pop() {
            let (parts, carried) = (self.parts(object), self.carried(object));
            for &part in &parts {
                self.header(part).owner.store(self.me(), Ordering::SeqCst);
                step("destroy.owned");
            }
            self.raze(object, ruins);
            step("destroy.ended");
            parts.into_iter().for_each(|part| self.raze(part, ruins));
            for object in carried {
                let refs = self.header(object).refs.load(Ordering::Relaxed).saturating_sub(1);
                self.header(object).refs.store(refs, Ordering::Relaxed);
                step("destroy.uncounted");
                ending.extend((refs == 0).then_some(object));
            }
        }
    }

    /// Free a block that nothing leads to, or have it freed later. The caller holds the lock.
    fn raze(&self, offset: u64, ruins: &mut Ruins) {
        if self.is_crowding(offset) {
            return self.put_off(offset, ruins);
        }
        ruins.count += 1;
        self.free_locked(offset);
    }

    fn put_off(&self, offset: u64, ruins: &mut Ruins) {
        let header = self.header(offset);
        header.owner.store(self.me(), Ordering::SeqCst);
        // Whatever it was: from here on it is a loose block of ours.
        header.set_kind(BlockKind::Payload);
        step("destroy.later");
        ruins.count += 1;
        ruins.large.push(offset);
    }
}
