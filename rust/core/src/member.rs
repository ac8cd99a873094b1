//! Who belongs to the family, and who of them lives.
//!
//! A member sits in a seat of a table at the heap's beginning. Its id is the seat's number and a
//! generation: `generation << 15 | seat`, 31 bits, so that it fits a lock's word beside the bit for
//! sleepers. A seat is taken again only after all others were (the search goes round), and then
//! with another generation: an id would come back after 32,767 x 65,535 processes.
//!
//! Pid and id are published by one 64-bit store, so a seat without a pid is one that a parent
//! reserved for a child that has not begun to run. A pid alone may be a stranger's after a while;
//! the start time beside it tells.

use crate::sync::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Seats in the table; number 0 stays empty, so that id 0 is nobody.
pub const SEATS: usize = 1 << 15;
const SEAT_BITS: u32 = 15;
const GENERATIONS: u32 = 1 << 16;
/// A reserved seat whose child did not sit down for so long is empty: the fork had failed.
const RESERVATION: Duration = Duration::from_secs(600);

/// A member's place in the table; all zeroes is an empty one.
#[repr(C, align(64))]
pub struct Seat {
    /// `id << 32 | pid`; 0 is an empty seat.
    who: AtomicU64,
    start: AtomicU64,
    reserved: AtomicU64,
    generation: AtomicU32,
    clean: AtomicU32,
    /// Offset of the member's first page of handles, 0 for none.
    pub handles: AtomicU64,
}

/// The seat's number in an id.
#[inline]
pub fn seat_of(id: u32) -> usize {
    (id as usize) & (SEATS - 1)
}

impl Seat {
    /// Take this seat, number `number`, for process `pid` (0: reserve it); None if it is taken.
    pub fn take(&self, number: usize, pid: u32) -> Option<u32> {
        if self.who.load(Ordering::Relaxed) != 0 {
            return None;
        }
        let generation = self.generation.load(Ordering::Relaxed) % (GENERATIONS - 1) + 1;
        let id = generation << SEAT_BITS | number as u32;
        self.reserved.store(seconds(), Ordering::Relaxed);
        self.who.compare_exchange(0, pack(id, pid), Ordering::SeqCst, Ordering::Relaxed).ok()?;
        self.generation.store(generation, Ordering::Relaxed);
        // Until now `free` left a 0 here, which is "unknown": nobody takes us for dead meanwhile.
        self.start.store(if pid == 0 { 0 } else { start_time(pid).unwrap_or(0) }, Ordering::Relaxed);
        Some(id)
    }

    /// Sit down as process `pid` on the seat that was reserved as `id`; false if it was given away.
    pub fn adopt(&self, id: u32, pid: u32) -> bool {
        self.start.store(start_time(pid).unwrap_or(0), Ordering::Relaxed);
        self.who.compare_exchange(pack(id, 0), pack(id, pid), Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Empty the seat.
    pub fn free(&self) {
        self.handles.store(0, Ordering::Relaxed);
        self.start.store(0, Ordering::Relaxed);
        self.clean.store(0, Ordering::Relaxed);
        self.who.store(0, Ordering::SeqCst);
    }

    /// (id, pid) of who sits here; (0, 0) for nobody.
    pub fn occupant(&self) -> (u32, u32) {
        let who = self.who.load(Ordering::SeqCst);
        ((who >> 32) as u32, who as u32)
    }

    /// The member says that it ends in good order, owning nothing but its handles.
    pub fn part(&self) {
        self.clean.store(1, Ordering::SeqCst);
    }

    /// Did the member end in good order?
    pub fn parted(&self) -> bool {
        self.clean.load(Ordering::SeqCst) == 1
    }

    /// Does member `id`, whose seat this is, live?
    pub fn is_alive(&self, id: u32) -> bool {
        let (sitting, pid) = self.occupant();
        if sitting != id {
            return false;
        }
        if pid == 0 {
            return seconds().saturating_sub(self.reserved.load(Ordering::Relaxed)) < RESERVATION.as_secs();
        }
        process_lives(pid, self.start.load(Ordering::Relaxed))
    }
}

fn pack(id: u32, pid: u32) -> u64 {
    (id as u64) << 32 | pid as u64
}

/// Does the process `pid` that began at `start` (0: unknown) live? A zombie does not.
pub fn process_lives(pid: u32, start: u64) -> bool {
    if pid == std::process::id() {
        return true;
    }
    // SAFETY: plain system calls on a pid and on a descriptor that we opened.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as i32;
    if fd < 0 {
        return match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::ESRCH) => false,
            // No descriptor to be had, or an old kernel: /proc tells as well, only slower.
            _ => {
                !matches!(stat_fields(pid), Some((state, began)) if dead_state(state) || differs(start, began))
                    && exists(pid)
            }
        };
    }
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd that lives on our stack; the descriptor is ours to close.
    let ended = unsafe {
        let ready = libc::poll(&mut poll, 1, 0);
        libc::close(fd);
        ready > 0
    };
    !ended && !matches!(start_time(pid), Some(began) if differs(start, began))
}

/// When process `pid` began, in clock ticks since boot; None where /proc does not say.
pub fn start_time(pid: u32) -> Option<u64> {
    stat_fields(pid).map(|(_, start)| start)
}

fn stat_fields(pid: u32) -> Option<(u8, u64)> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in parentheses, which may hold anything.
    let after = text.iter().rposition(|&byte| byte == b')')? + 2;
    let fields: Vec<&[u8]> = text.get(after..)?.split(|&byte| byte == b' ').collect();
    let start = std::str::from_utf8(fields.get(19)?).ok()?.parse().ok()?;
    Some((*fields.first()?.first()?, start))
}

fn dead_state(state: u8) -> bool {
    matches!(state, b'Z' | b'X' | b'x')
}

fn differs(known: u64, found: u64) -> bool {
    known != 0 && known != found
}

fn exists(pid: u32) -> bool {
    // SAFETY: signal 0 only asks.
    let gone = unsafe { libc::kill(pid as libc::pid_t, 0) };
    gone == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

fn seconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the timespec on our stack.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64
}
