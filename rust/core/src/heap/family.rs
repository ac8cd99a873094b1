//! The heaps that this process has joined, and what happens to them at a fork.
//!
//! A forked child holds what its parent held. Its seat and its list are made by the parent just
//! before the fork, with all other threads of the parent kept off the list, so that the child owns
//! them from its first instruction on, and nothing that it holds can be freed meanwhile. A child
//! that is killed before it sits down leaves a reserved seat, which lapses.

use super::handles::ENTRIES;
use super::local::Local;
use super::map::{Heap, HeapError};
use crate::fault::step;
use crate::member::{SEATS, seat_of};
use crate::sync::Ordering;
use std::mem::forget;
use std::sync::{Arc, Once};

static HEAPS: Local<Vec<Arc<Heap>>> = Local::new(Vec::new());
static HOOKS: Once = Once::new();

/// The process's own heap: the first that it founded or joined.
pub fn own() -> Option<Arc<Heap>> {
    HEAPS.lock().first().cloned()
}

/// The process's own heap, founded if there is none.
pub fn found() -> Result<Arc<Heap>, HeapError> {
    let mut heaps = HEAPS.lock();
    if let Some(heap) = heaps.first() {
        return Ok(heap.clone());
    }
    enter(&mut heaps, Heap::create()?)
}

/// Join the heap behind a descriptor; joining twice gives the first one.
pub fn join(fd: std::os::fd::OwnedFd) -> Result<Arc<Heap>, HeapError> {
    let heap = Heap::join(fd)?;
    let mut heaps = HEAPS.lock();
    match heaps.iter().find(|known| known.uid() == heap.uid()) {
        Some(known) => Ok(known.clone()),
        None => enter(&mut heaps, heap),
    }
}

/// The heap of this uid, if it was joined.
pub fn of(uid: u64) -> Option<Arc<Heap>> {
    HEAPS.lock().iter().find(|heap| heap.uid() == uid).cloned()
}

/// After a fork: sit down in all heaps now, so that the others see this process live.
pub fn adopt() {
    for heap in HEAPS.lock().iter() {
        heap.me();
    }
}

/// The process ends in good order.
pub fn leave() {
    for heap in HEAPS.lock().iter() {
        heap.seat(seat_of(heap.me())).part();
    }
}

fn enter(heaps: &mut Vec<Arc<Heap>>, heap: Heap) -> Result<Arc<Heap>, HeapError> {
    HOOKS.call_once(|| {
        // SAFETY: the three functions live as long as the process.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
    heap.sit_down()?;
    heaps.push(Arc::new(heap));
    Ok(heaps[heaps.len() - 1].clone())
}

impl Heap {
    /// This process's id in the heap.
    #[inline]
    pub fn me(&self) -> u32 {
        match self.me.load(Ordering::Relaxed) {
            0 => self.sit_down().expect("procession: the family has no seat left for this process"),
            me => me,
        }
    }

    /// This process's pid, without a system call; to be asked after [`Heap::me`].
    #[inline]
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    fn sit_down(&self) -> Result<u32, HeapError> {
        let _alone = self.seating.lock();
        let me = self.me.load(Ordering::Relaxed);
        if me != 0 {
            return Ok(me);
        }
        let pid = std::process::id();
        let pending = self.pending.swap(0, Ordering::Relaxed);
        let me = if pending != 0 && self.seat(seat_of(pending)).adopt(pending, pid) {
            pending
        } else {
            // What the parent held is not ours: all handles become invalid.
            let mut table = self.table.lock();
            table.reset();
            self.take_seat(pid)?
        };
        self.pid.store(pid, Ordering::Relaxed);
        self.me.store(me, Ordering::Relaxed);
        Ok(me)
    }

    fn take_seat(&self, pid: u32) -> Result<u32, HeapError> {
        let root = self.root();
        for _ in 1..SEATS {
            let number = root.seat.fetch_add(1, Ordering::Relaxed) as usize % (SEATS - 1) + 1;
            self.prepare_seat(number)?;
            root.seats.fetch_max(number as u32 + 1, Ordering::SeqCst);
            if let Some(id) = self.seat(number).take(number, pid) {
                return Ok(id);
            }
        }
        Err(HeapError::Full)
    }

    /// Reserve a seat for a child and copy this process's list for it.
    fn reserve(&self, pages: &[u64]) -> Result<(u32, Vec<u64>), HeapError> {
        let child = self.take_seat(0)?;
        self.locked(|| {
            let mut copies = Vec::new();
            for &page in pages {
                let seat = self.seat(seat_of(child));
                let copy = self.new_handle_page(seat.handles.load(Ordering::Relaxed))?;
                self.header(copy).owner.store(child, Ordering::Relaxed);
                seat.handles.store(copy, Ordering::Release);
                step("fork.page");
                for entry in 0..ENTRIES {
                    let object = self.handle_page(page).entries[entry].load(Ordering::Relaxed);
                    if object != 0 {
                        self.header(object).refs.fetch_add(1, Ordering::Relaxed);
                        self.handle_page(copy).entries[entry].store(object, Ordering::Relaxed);
                    }
                }
                copies.push(copy);
            }
            Ok((child, copies))
        })
    }
}

extern "C" fn before() {
    let heaps = HEAPS.lock();
    for heap in heaps.iter() {
        heap.me();
        forget(heap.seating.lock());
        let mut table = heap.table.lock();
        let pages = table.pages.clone();
        if let Ok((child, copies)) = heap.reserve(&pages) {
            heap.pending.store(child, Ordering::Relaxed);
            table.for_child = copies;
        }
        forget(table);
    }
    forget(heaps);
}

extern "C" fn in_parent() {
    after(|heap| {
        heap.pending.store(0, Ordering::Relaxed);
    });
}

extern "C" fn in_child() {
    after(|heap| {
        heap.me.store(0, Ordering::Relaxed);
    });
}

fn after(settle: impl Fn(&Heap)) {
    // SAFETY: `before` ran in this thread and forgot the guards; nobody else can have taken them.
    // In the child this thread is the only one.
    unsafe {
        HEAPS.release();
        let heaps = HEAPS.lock();
        for heap in heaps.iter() {
            heap.table.release();
            heap.seating.release();
            settle(heap);
            let copies = std::mem::take(&mut heap.table.lock().for_child);
            if heap.me.load(Ordering::Relaxed) == 0 && heap.pending.load(Ordering::Relaxed) != 0 {
                heap.table.lock().pages = copies;
            }
        }
    }
}
