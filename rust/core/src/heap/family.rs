//! The heaps that this process has joined, and what happens to them at a fork.
//!
//! A forked child holds what its parent held. Its seat and its list are made by the parent just
//! before the fork, with all other threads of the parent kept off the list, so that the child owns
//! them from its first instruction on, and nothing that it holds can be freed meanwhile. The child
//! sits down before fork returns, and so does, in its place, a parent that says which pid it got: one
//! of them is first. A child that is killed before both, or a fork that fails, leaves a reserved
//! seat, which lapses.
//!
//! Where the system refuses memory or a seat, the child is forked all the same, since nobody can
//! stop a fork; it then holds nothing, and its heap's epoch says so to every object.

use super::handles::{ENTRIES, Table};
use super::local::Local;
use super::map::{Heap, HeapError};
use crate::fault::step;
use crate::member::{SEATS, seat_of};
use crate::sync::Ordering;
use std::cell::RefCell;
use std::mem::forget;
use std::sync::{Arc, Once};

static HEAPS: Local<Vec<Arc<Heap>>> = Local::new(Vec::new());
static HOOKS: Once = Once::new();
/// The pid of no process.
const NOBODY: u32 = u32::MAX;

thread_local! {
    /// Seats reserved for the child that this thread forked last.
    static CHILD: RefCell<Vec<(Arc<Heap>, u32)>> = const { RefCell::new(Vec::new()) };
}

/// The process's own heap: the first that it founded or joined.
pub fn own() -> Option<Arc<Heap>> {
    HEAPS.lock().first().cloned()
}

/// The process's own heap, founded if there is none; this process has a seat in it.
pub fn found() -> Result<Arc<Heap>, HeapError> {
    hook();
    let mut heaps = HEAPS.lock();
    match heaps.first() {
        Some(heap) => seated(heap),
        None => enter(&mut heaps, Heap::create()?),
    }
}

/// A heap apart from the process's own: for tests and measurements.
pub fn found_apart() -> Result<Arc<Heap>, HeapError> {
    hook();
    let heap = Heap::create()?;
    enter(&mut HEAPS.lock(), heap)
}

/// Join the heap behind a descriptor; joining twice gives the first one.
pub fn join(fd: std::os::fd::OwnedFd) -> Result<Arc<Heap>, HeapError> {
    hook();
    let heap = Heap::join(fd)?;
    let mut heaps = HEAPS.lock();
    match heaps.iter().find(|known| known.uid() == heap.uid()) {
        Some(known) => seated(known),
        None => enter(&mut heaps, heap),
    }
}

/// The heap of this uid, if it was joined; this process has a seat in it.
pub fn of(uid: u64) -> Option<Result<Arc<Heap>, HeapError>> {
    HEAPS.lock().iter().find(|heap| heap.uid() == uid).map(seated)
}

/// In a child after a fork: sit down, if the child was made in a way that runs no handlers.
pub fn adopt() {
    for heap in HEAPS.lock().iter() {
        if heap.pid() != std::process::id() {
            heap.begin_as_child(&mut heap.table.lock(), None);
        }
    }
}

/// In the parent, in the thread that forked: `pid` is the child that it forked last.
pub fn forked(pid: u32) {
    for (heap, id) in CHILD.take() {
        heap.seat(seat_of(id)).sit(id, pid);
    }
}

/// The process ends in good order.
pub fn leave() {
    // Another thread may be in the middle of something that only a search of the heap will find.
    if !alone() {
        return;
    }
    for heap in HEAPS.lock().iter().filter(|heap| heap.me() != 0) {
        heap.seat(seat_of(heap.me())).part();
    }
}

/// Has this process one thread only?
fn alone() -> bool {
    // SAFETY: changes nothing in a process of one thread, and is refused in all others.
    match unsafe { libc::unshare(libc::CLONE_SIGHAND) } {
        0 => true,
        _ if std::io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) => false,
        // A sandbox that refuses it whatever is asked.
        _ => std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1),
    }
}

fn hook() {
    HOOKS.call_once(|| {
        // SAFETY: the three functions live as long as the process.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
}

fn enter(heaps: &mut Vec<Arc<Heap>>, heap: Heap) -> Result<Arc<Heap>, HeapError> {
    let heap = Arc::new(heap);
    heap.sit_down()?;
    heaps.push(heap.clone());
    Ok(heap)
}

fn seated(heap: &Arc<Heap>) -> Result<Arc<Heap>, HeapError> {
    heap.sit_down()?;
    Ok(heap.clone())
}

impl Heap {
    /// Take a seat if this process has none. The caller holds the list of heaps.
    fn sit_down(&self) -> Result<(), HeapError> {
        if self.me() != 0 {
            return Ok(());
        }
        if self.is_barred.load(Ordering::Relaxed) {
            return Err(HeapError::Lost);
        }
        let id = self.reserve_seat()?;
        self.sit(id).then_some(()).ok_or(HeapError::Full)
    }

    fn sit(&self, id: u32) -> bool {
        let pid = std::process::id();
        let sat = self.seat(seat_of(id)).sit(id, pid);
        if sat {
            self.pid.store(pid, Ordering::Relaxed);
            self.me.store(id, Ordering::Relaxed);
        }
        sat
    }

    fn reserve_seat(&self) -> Result<u32, HeapError> {
        for _ in 1..SEATS {
            let next = self.root().seat.fetch_add(1, Ordering::Relaxed);
            let number = next as usize % (SEATS - 1) + 1;
            self.prepare_seat(number)?;
            self.root().seats.fetch_max(number as u32 + 1, Ordering::SeqCst);
            if let Some(id) = self.seat(number).reserve(number) {
                return Ok(id);
            }
        }
        Err(HeapError::Full)
    }

    /// Reserve a seat for a child and copy this process's list for it.
    fn provide(&self, pages: &[u64]) -> Option<(u32, Vec<u64>)> {
        if self.me() == 0 {
            return None;
        }
        let child = self.reserve_seat().ok()?;
        step("fork.reserved");
        let copies = self.clearing(|ruins| {
            let copies: Result<Vec<_>, _> = pages.iter().map(|&page| self.copy_page(page, child)).collect();
            copies.inspect_err(|_| self.drop_list(child, ruins))
        });
        step("fork.provided");
        Some((child, copies.ok()?))
    }

    fn copy_page(&self, page: u64, child: u32) -> Result<u64, HeapError> {
        let seat = self.seat(seat_of(child));
        let copy = self.new_handle_page(seat.handles.load(Ordering::Relaxed))?;
        self.header(copy).owner.store(child, Ordering::Relaxed);
        step("fork.page");
        seat.handles.store(copy, Ordering::Release);
        for entry in 0..ENTRIES {
            let object = self.handle_page(page).entries[entry].load(Ordering::Relaxed);
            if object != 0 {
                self.header(object).refs.fetch_add(1, Ordering::Relaxed);
                step("fork.counted");
                self.handle_page(copy).entries[entry].store(object, Ordering::Relaxed);
            }
        }
        Ok(copy)
    }

    fn begin_as_child(&self, table: &mut Table, provided: Option<(u32, Vec<u64>)>) {
        self.me.store(0, Ordering::Relaxed);
        self.pid.store(std::process::id(), Ordering::Relaxed);
        step("fork.child");
        match provided {
            Some((id, pages)) if self.sit(id) => table.pages = pages,
            _ => {
                self.is_barred.fetch_or(table.apart.hides_something(), Ordering::Relaxed);
                *table = Table::default();
                self.epoch.fetch_add(1, Ordering::Relaxed);
                // If there is no seat now, there may be one when it is needed.
                let _ = self.sit_down();
            }
        }
        step("fork.seated");
    }
}

extern "C" fn before() {
    stroll();
    let heaps = HEAPS.lock();
    for heap in heaps.iter() {
        let mut table = heap.table.lock();
        let provided = heap.provide(&table.pages);
        heap.part(&mut table, provided.is_none());
        table.child = provided;
        forget(table);
    }
    forget(heaps);
}

/// Bury a few of those whom nobody buries by name: children that a program forked and reaped itself.
/// Here, since whoever makes many of them forks often.
fn stroll() {
    let heaps = HEAPS.lock().clone();
    heaps.iter().filter(|heap| heap.me() != 0).for_each(|heap| {
        heap.bury(NOBODY);
    });
}

extern "C" fn in_parent() {
    CHILD.take();
    after(|heap, table| {
        if let Some((id, _)) = table.child.take() {
            CHILD.with_borrow_mut(|seats| seats.push((heap.clone(), id)));
        }
    });
}

extern "C" fn in_child() {
    after(|heap, table| {
        let provided = table.child.take();
        heap.begin_as_child(table, provided);
    });
}

fn after(settle: impl Fn(&Arc<Heap>, &mut Table)) {
    // SAFETY: `before` ran in this thread and forgot the guards. In the child this thread is the
    // only one.
    let heaps = unsafe { HEAPS.resume() };
    for heap in heaps.iter() {
        // SAFETY: as above.
        let mut table = unsafe { heap.table.resume() };
        settle(heap, &mut table);
    }
}
