//! Who belongs to the family, and who of them lives.
//!
//! A member sits in a seat of a table at the heap's beginning. Its id is the seat's number and a
//! generation: `generation << 15 | seat`, 31 bits, so that it fits a lock's word beside the bit for
//! sleepers. A seat is taken again only after all others were (the search goes round), and then
//! with another generation: an id would come back after 32,767 x 65,535 processes.
//!
//! A seat goes from empty to reserved by one compare-exchange of a 64-bit word, and from reserved to
//! taken by another that adds the pid. A reserved one counts as alive for [`RESERVATION`]; who won
//! it clears it meanwhile, or reserves it for a child that has yet to be forked. It is emptied by
//! one store. So wherever somebody is killed, no half-written seat is ever taken for a dead one.

use crate::process::{self, Identity};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Seats in the table; number 0 stays empty, so that id 0 is nobody.
pub const SEATS: usize = 1 << 15;
const SEAT_BITS: u32 = 15;
const GENERATIONS: u32 = 1 << 16;
/// A reserved seat that nobody took for so long is empty: its taker was killed, or the fork failed.
pub const RESERVATION: Duration = Duration::from_millis(if cfg!(feature = "faults") { 500 } else { 60_000 });

/// A member's place in the table; all zeroes is an empty one.
#[repr(C, align(64))]
pub struct Seat {
    /// `id << 32 | pid`; 0 is an empty seat, pid 0 a reserved one.
    who: AtomicU64,
    seen: AtomicU64,
    stack: AtomicU64,
    reserved: AtomicU64,
    /// As `who`, of the one who sat here before: a lock may still name it after its burial.
    before: AtomicU64,
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
    /// Reserve this seat, number `number`, and give the id of who will sit there; None if it is taken.
    pub fn reserve(&self, number: usize) -> Option<u32> {
        if self.who.load(Ordering::SeqCst) != 0 {
            return None;
        }
        // Drawn before the seat is won: so no id is given twice, wherever we are killed.
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) % (GENERATIONS - 1) + 1;
        let id = generation << SEAT_BITS | number as u32;
        self.reserved.store(now(), Ordering::Relaxed);
        self.who.compare_exchange(0, pack(id, 0), Ordering::SeqCst, Ordering::Relaxed).ok()?;
        self.seen.store(0, Ordering::Relaxed);
        self.stack.store(0, Ordering::Relaxed);
        self.clean.store(0, Ordering::Relaxed);
        self.handles.store(0, Ordering::Relaxed);
        Some(id)
    }

    /// Sit down as process `pid`, this one or a child that it has just forked, on the seat that was
    /// reserved as `id`, or find that the other did; false if the seat was given away.
    pub fn sit(&self, id: u32, pid: u32) -> bool {
        if self.occupant() == (id, pid) {
            return true;
        }
        let known = Identity::ours();
        let sat = self.who.compare_exchange(pack(id, 0), pack(id, pid), Ordering::SeqCst, Ordering::Relaxed);
        if let Err(who) = sat {
            return who == pack(id, pid);
        }
        // Afterwards, since it may have been another's. Until then the identity is unknown, and
        // the pid alone counts.
        self.seen.store(known.seen, Ordering::Relaxed);
        self.stack.store(known.stack, Ordering::Relaxed);
        true
    }

    /// Empty the seat.
    pub fn empty(&self) {
        self.before.store(self.who.load(Ordering::SeqCst), Ordering::SeqCst);
        self.who.store(0, Ordering::SeqCst);
    }

    /// The pid of member `id`, whose seat this is or was; 0 if it sat here too long ago.
    pub fn pid_of(&self, id: u32) -> u32 {
        let sat = [&self.who, &self.before].map(|word| word.load(Ordering::SeqCst));
        sat.into_iter().find(|who| (who >> 32) as u32 == id).map_or(0, |who| who as u32)
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
        match self.occupant() {
            (sitting, _) if sitting != id || id == 0 => false,
            (_, 0) => {
                let waited = now().saturating_sub(self.reserved.load(Ordering::Relaxed));
                waited < RESERVATION.as_millis() as u64
            }
            (_, pid) => process::lives(pid, self.identity()),
        }
    }

    fn identity(&self) -> Identity {
        Identity { seen: self.seen.load(Ordering::Relaxed), stack: self.stack.load(Ordering::Relaxed) }
    }
}

fn pack(id: u32, pid: u32) -> u64 {
    (id as u64) << 32 | pid as u64
}

/// Milliseconds of the monotonic clock, which is the same for all processes.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the timespec on our stack.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}
