//! The mapping. The memfd is as long as it may ever get, and sparse: pages are allotted by
//! `fallocate` before anybody touches them, so a machine without memory answers with an error and
//! never with SIGBUS.

use super::handles::Table;
use super::local::Local;
use super::root::{LAYOUT, MAGIC, Root};
use crate::member::{SEATS, Seat, seat_of};
use crate::mutex::Held;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::wait::Patience;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

pub(super) const PAGE: u64 = 4096;
/// Where the table of members begins.
pub(super) const SEATS_AT: u64 = 64 * 1024;
/// Where blocks begin.
pub const BLOCKS_AT: u64 = SEATS_AT + (SEATS * std::mem::size_of::<Seat>()) as u64;
/// Bytes of addresses without which there is no heap.
pub const SMALLEST_MAP: u64 = 64 << 20;
/// Pages are allotted to small blocks in such steps.
const STEP: u64 = 1 << 20;
/// And by one system call at most so many bytes of them: a signal has the system undo the call.
const PIECE: u64 = 16 << 20;
/// How long [`Heap::seemed_alive`] believes what it saw.
const BELIEF: Duration = Duration::from_millis(50);

/// What can go wrong.
#[derive(Debug)]
pub enum HeapError {
    /// The system refuses memory.
    NoMemory,
    /// So many bytes of addresses are all that this heap has, and what is free does not do.
    UsedUp(u64),
    /// Limits of this process are in the way of even the smallest heap.
    Limited,
    /// The system refuses something else.
    Sys(std::io::Error),
    /// The descriptor is no heap, or that of another build.
    NotAHeap,
    /// The object is gone.
    Gone,
    /// It is an object of another kind.
    OtherKind,
    /// More members than seats.
    Full,
    /// What lies in it makes no sense: a member has written over it.
    Damaged,
    /// A fork cost this process all that it held.
    Lost,
}

impl From<std::io::Error> for HeapError {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOMEM | libc::ENOSPC | libc::EFBIG) => HeapError::NoMemory,
            _ => HeapError::Sys(error),
        }
    }
}

/// A heap that this process has joined.
pub struct Heap {
    base: *mut u8,
    size: u64,
    fd: OwnedFd,
    uid: u64,
    processors: u32,
    /// This process's id, 0 while it has no seat: then no hold of it is good either.
    pub(super) me: AtomicU32,
    pub(super) pid: AtomicU32,
    /// Counts how often all holds of the process became invalid.
    pub(super) epoch: AtomicU32,
    /// Does this process not see all of it, so that it may not use it?
    pub(super) is_barred: AtomicBool,
    /// Member and milliseconds since `born` of the last look that found somebody alive.
    seen: AtomicU64,
    born: Instant,
    pub(super) table: Local<Table>,
}

// SAFETY: the memory behind `base` is shared between processes anyway; all access to it goes
// through atomics, or is ordered by the protocols of this crate.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Heap {
    /// Make a new heap.
    pub fn create() -> Result<Heap, HeapError> {
        // SAFETY: a constant name; the descriptor is new and ours.
        let fd = unsafe {
            let fd = libc::memfd_create(c"procession".as_ptr(), libc::MFD_CLOEXEC);
            if fd < 0 {
                return Err(std::io::Error::last_os_error().into());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let (base, size) = map_largest(&fd)?;
        let heap = Heap::over(base, size, fd, random_uid());
        heap.allot(0, SEATS_AT)?;
        let root = heap.base.cast::<Root>();
        // SAFETY: the first page is allotted, zeroed and as yet known to nobody else.
        unsafe {
            (*root).layout = LAYOUT;
            (*root).uid = heap.uid;
            (*root).size = size;
            (*root).top.store(BLOCKS_AT, Ordering::Relaxed);
            (*root).allotted.store(BLOCKS_AT, Ordering::Relaxed);
            (*root).magic = MAGIC;
        }
        Ok(heap)
    }

    /// Join the heap behind `fd`.
    pub fn join(fd: OwnedFd) -> Result<Heap, HeapError> {
        // SAFETY: all zeroes is a valid stat; the kernel fills it.
        let length = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(fd.as_raw_fd(), &mut stat) != 0 {
                return Err(std::io::Error::last_os_error().into());
            }
            stat.st_size as u64
        };
        if length < SMALLEST_MAP {
            return Err(HeapError::NotAHeap);
        }
        let base = map(&fd, length)?;
        // Unmapped again if it turns out to be something else.
        let mut heap = Heap::over(base, length, fd, 0);
        // SAFETY: `length` bytes are mapped, far more than a root; a foreign file reads as no heap.
        let (magic, layout, uid, size) = unsafe {
            let root = base.cast::<Root>();
            ((*root).magic, (*root).layout, (*root).uid, (*root).size)
        };
        if (magic, layout, size) != (MAGIC, LAYOUT, length) {
            return Err(HeapError::NotAHeap);
        }
        heap.uid = uid;
        Ok(heap)
    }

    fn over(base: *mut u8, size: u64, fd: OwnedFd, uid: u64) -> Heap {
        Heap {
            base,
            size,
            fd,
            uid,
            processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u32),
            me: AtomicU32::new(0),
            pid: AtomicU32::new(0),
            epoch: AtomicU32::new(0),
            is_barred: AtomicBool::new(false),
            seen: AtomicU64::new(0),
            born: Instant::now(),
            table: Local::default(),
        }
    }

    /// The family's uid.
    pub fn uid(&self) -> u64 {
        self.uid
    }

    /// The heap's descriptor.
    pub fn fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Bytes of addresses.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The first page.
    #[inline]
    pub fn root(&self) -> &Root {
        // SAFETY: mapped for the heap's whole life and initialised before anybody joined.
        unsafe { &*self.base.cast::<Root>() }
    }

    /// The seat of this number.
    pub fn seat(&self, number: usize) -> &Seat {
        debug_assert!(number < SEATS);
        let at = SEATS_AT + (number * std::mem::size_of::<Seat>()) as u64;
        // SAFETY: inside the table; zeroes are a valid seat.
        unsafe { &*self.base.add(at as usize).cast::<Seat>() }
    }

    /// Have the page of this seat allotted, so that touching it cannot fault.
    pub fn prepare_seat(&self, number: usize) -> Result<(), HeapError> {
        let page = |number: usize| (SEATS_AT + (number * std::mem::size_of::<Seat>()) as u64) & !(PAGE - 1);
        let used = self.root().seats.load(Ordering::SeqCst) as usize;
        // That of the last seat ever used is.
        if used > 0 && page(number) == page(used - 1) {
            return Ok(());
        }
        self.allot(page(number), PAGE)
    }

    /// The address of an offset.
    #[inline]
    pub fn address(&self, offset: u64) -> *mut u8 {
        debug_assert!(offset < self.size);
        // SAFETY: offsets come from this heap's own structures and lie inside the mapping.
        unsafe { self.base.add(offset as usize) }
    }

    /// The `T` at an offset.
    ///
    /// # Safety
    /// A `T` made of atomics (or of fields fixed before it was published) must lie there.
    #[inline]
    pub unsafe fn at<T>(&self, offset: u64) -> &T {
        // SAFETY: the caller's promise; every block is 64-byte aligned.
        unsafe { &*self.address(offset).cast::<T>() }
    }

    /// This process's id in the heap; 0 if it has no seat.
    #[inline]
    pub fn me(&self) -> u32 {
        self.me.load(Ordering::Relaxed)
    }

    /// This process's pid, without a system call.
    #[inline]
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// Does this member live?
    pub fn is_alive(&self, id: u32) -> bool {
        id == self.me() || self.seat(seat_of(id)).is_alive(id)
    }

    /// As [`Heap::is_alive`], for those who ask all the time: may be behind by [`BELIEF`].
    pub fn seemed_alive(&self, id: u32) -> bool {
        let now = self.born.elapsed().as_millis() as u32;
        let seen = self.seen.load(Ordering::Relaxed);
        if (seen >> 32) as u32 == id && now.wrapping_sub(seen as u32) < BELIEF.as_millis() as u32 {
            return true;
        }
        let alive = self.is_alive(id);
        if alive {
            self.seen.store((id as u64) << 32 | now as u64, Ordering::Relaxed);
        }
        alive
    }

    /// Allot the pages of a range. What had been allotted when it fails stays so.
    pub fn allot(&self, at: u64, length: u64) -> Result<(), HeapError> {
        let (mut at, end) = (at, at + length);
        let mut piece = PIECE;
        while at < end {
            let length = piece.min(end - at);
            // SAFETY: our descriptor and a range inside the file.
            let done = unsafe { libc::fallocate(self.fd(), 0, at as libc::off_t, length as libc::off_t) };
            if done == 0 {
                at += length;
                continue;
            }
            let error = std::io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EINTR) {
                return Err(error.into());
            }
            // With a timer that is quicker than the call, the same piece would never be done.
            piece = (piece / 2).max(PAGE);
        }
        Ok(())
    }

    /// Allot pages up to `top`, in steps. The caller holds the lock.
    pub fn allot_up_to(&self, top: u64) -> Result<(), HeapError> {
        let allotted = self.root().allotted.load(Ordering::Relaxed);
        if top <= allotted {
            return Ok(());
        }
        if top > self.size {
            return Err(HeapError::UsedUp(self.size));
        }
        let end = (top.div_ceil(STEP) * STEP).min(self.size);
        self.allot(allotted, end - allotted)?;
        self.root().allotted.store(end, Ordering::Release);
        Ok(())
    }

    /// Give the pages of a range back to the system.
    pub fn punch(&self, at: u64, length: u64) {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: our descriptor; the range belongs to a block of ours. A refusal only keeps the pages.
        unsafe { libc::fallocate(self.fd(), mode, at as libc::off_t, length as libc::off_t) };
    }

    /// Map whole pages of it anew at the place where they are; `sharing` is MAP_SHARED or MAP_PRIVATE.
    pub(super) fn map_again(&self, at: u64, length: u64, sharing: i32) -> bool {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = sharing | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let place = self.address(at).cast();
        // SAFETY: inside our mapping, which it replaces with one of the same pages.
        let mapped = unsafe {
            libc::mmap(place, length as usize, protection, flags, self.fd(), at as libc::off_t) != libc::MAP_FAILED
        };
        if mapped {
            // SAFETY: as for the whole mapping.
            unsafe { libc::madvise(place, length as usize, libc::MADV_DONTDUMP) };
        }
        mapped
    }

    /// How many this process may run on.
    pub fn processors(&self) -> u32 {
        self.processors
    }

    /// Run `work` with the heap's lock held; what a dead holder left undone is repaired first.
    pub fn locked<R>(&self, work: impl FnOnce() -> R) -> R {
        let me = self.me();
        let root = self.root();
        if let Ok(Held::Inherited(_)) = root.lock.lock(me, &|id| self.is_alive(id), &mut Patience::endless()) {
            self.repair();
        }
        let result = work();
        root.lock.unlock();
        result
    }

    /// As [`Heap::locked`], but not if that would have to wait.
    pub fn locked_at_once<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        let root = self.root();
        root.lock.try_lock_spinning(self.me()).then(|| {
            let result = work();
            root.lock.unlock();
            result
        })
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: mapped by us; whoever held references into it held an Arc of this heap.
        unsafe { libc::munmap(self.base.cast(), self.size as usize) };
    }
}

/// Bytes of addresses that a heap shall have: four times the machine's memory.
pub fn wanted() -> u64 {
    // SAFETY: sysconf only reads.
    let memory = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) as u64 * PAGE };
    (memory * 4).next_power_of_two().max(64 << 30)
}

/// Fewer addresses than wanted where a limit (RLIMIT_AS, RLIMIT_FSIZE) forbids it.
fn map_largest(fd: &OwnedFd) -> Result<(*mut u8, u64), HeapError> {
    let mut size = wanted();
    loop {
        // SAFETY: the descriptor is open.
        let sized = unsafe { libc::ftruncate(fd.as_raw_fd(), size as libc::off_t) } == 0;
        match if sized { map(fd, size) } else { Err(std::io::Error::last_os_error()) } {
            Ok(base) => return Ok((base, size)),
            Err(_) if size > SMALLEST_MAP => size = (size / 4).max(SMALLEST_MAP),
            Err(_) => return Err(HeapError::Limited),
        }
    }
}

fn map(fd: &OwnedFd, size: u64) -> std::io::Result<*mut u8> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), size as usize, protection, flags, fd.as_raw_fd(), 0) };
    if base == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: our own mapping; a core dump of it would hold other processes' data.
    unsafe { libc::madvise(base, size as usize, libc::MADV_DONTDUMP) };
    Ok(base.cast())
}

fn random_uid() -> u64 {
    let mut uid = 0u64;
    // SAFETY: eight bytes on our stack.
    let got = unsafe { libc::getrandom((&mut uid as *mut u64).cast(), 8, 0) };
    if got != 8 {
        let pid = std::process::id();
        uid = (pid as u64) << 32 ^ crate::process::Identity::ours().seen;
    }
    // Python takes it for an integer; zero means none.
    (uid >> 1).max(1)
}
