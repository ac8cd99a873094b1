//! Who waits for which lock, so that threads which wait for each other in a circle are found.
//!
//! A thread that has waited at a lock for a slice, and means to do so for ever, takes a place in a
//! table and tells there which lock it is. From then on it does nothing but wait, but for handlers of
//! signals, which may well give something back. While they run its `turn` is 0; afterwards it gets
//! another number, which nobody had. Who has just looked in vain for the death of its lock's holder
//! follows the table: the holder waits for another lock, whose holder waits for another, until it
//! comes upon itself.
//!
//! Why what it finds is true: it follows the circle twice and must find the same both times, turns
//! included. Take the moment between the two. Each thread's turn was the same before and after it, and
//! in one turn a thread takes nothing but the lock that it waits for. So who holds the other lock
//! afterwards, as it did before, had it all the time, and who waits for that one did not have it. A
//! dead member's place may stay behind, so members of a circle are asked whether they live.
//!
//! Who is told: all would find the same circle; the one with the highest number, among processes the
//! one that came last, ends its wait, and the others go on. Who waits to take back what it had, as after a
//! wait at a condition, cannot well give up: it is told only where all are like that.
//!
//! What may be given back by others: a recursive lock by nobody but its holder, and a lock that was
//! taken by a with statement is given back by that statement's end. A circle of these is certain. Any other
//! lock anybody may give back. One that ever was given back by another than its taker is a signal
//! between processes, and no circle goes through it; through the others one does when it has stood for
//! [`DOUBT`]. A lock of this kind that its own holder waits for is left alone, since that is
//! how one waits for a signal.

use crate::fault::step;
use crate::sync::{AtomicU32, AtomicU64, Ordering, pause};
use crate::wait::{End, Watch};
use std::time::{Duration, Instant};

/// A thread: `member << 32 | thread`.
pub type Who = u64;

/// Places in the table; who finds none is not found in a circle.
pub const PLACES: usize = if cfg!(loom) { 3 } else { 1024 };
/// How long a circle must stand that somebody outside of it might yet open.
pub const DOUBT: Duration = Duration::from_millis(if cfg!(loom) { 0 } else { 700 });

/// So often a thread whose handlers just run is looked at again: those who began to wait together
/// run them together.
const MOMENTS: u32 = if cfg!(loom) { 1 } else { 4 };

/// What binds a lock to its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bond {
    /// Anybody may give it back.
    Loose,
    /// The end of the holder's with statement gives it back.
    Scope,
    /// Nobody but the holder may give it back.
    Owner,
}

/// One of a circle: it waits for the lock, which the next one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who waits.
    pub who: Who,
    /// The lock's offset.
    pub lock: u64,
    /// What binds the lock to its holder.
    pub bond: Bond,
    told: Told,
}

/// What a thread that waits tells beside its lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    turn: u32,
    reluctant: bool,
}

/// Where a thread tells what it waits for.
#[repr(C, align(32))]
pub struct Place {
    /// 0 is a free place; one whose thread is 0 is just being taken.
    who: AtomicU64,
    lock: AtomicU64,
    turn: AtomicU32,
    reluctant: AtomicU32,
}

impl Place {
    /// Take it from `was`, for who waits for `lock`.
    fn take(&self, was: Who, me: Who, lock: u64, told: Told) -> bool {
        let taking = me >> 32 << 32;
        if self.who.compare_exchange(was, taking, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return false;
        }
        step("circle.taking");
        self.turn.store(told.turn, Ordering::SeqCst);
        self.reluctant.store(told.reluctant as u32, Ordering::SeqCst);
        self.lock.store(lock, Ordering::SeqCst);
        self.who.store(me, Ordering::SeqCst);
        step("circle.taken");
        true
    }

    fn is_of(&self, who: Who) -> bool {
        self.who.load(Ordering::SeqCst) == who
    }

    /// What it tells and its lock, if `who` waits here.
    fn waiter(&self, who: Who) -> Option<(Told, u64)> {
        if !self.is_of(who) {
            return None;
        }
        let reluctant = self.reluctant.load(Ordering::SeqCst) != 0;
        let told = Told { turn: self.turn.load(Ordering::SeqCst), reluctant };
        let lock = self.lock.load(Ordering::SeqCst);
        (told.turn != 0 && self.is_of(who)).then_some((told, lock))
    }
}

/// The places; all zeroes is an empty table.
#[repr(C)]
pub struct Table {
    /// Places below this number have been used.
    most: AtomicU32,
    /// The last turn's number.
    turns: AtomicU32,
    places: [Place; PLACES],
}

impl Default for Table {
    fn default() -> Self {
        let place = |_| Place {
            who: AtomicU64::new(0),
            lock: AtomicU64::new(0),
            turn: AtomicU32::new(0),
            reluctant: AtomicU32::new(0),
        };
        Table { most: AtomicU32::new(0), turns: AtomicU32::new(0), places: std::array::from_fn(place) }
    }
}

impl Table {
    fn turn(&self) -> u32 {
        self.turns.fetch_add(1, Ordering::SeqCst).wrapping_add(1)
    }

    fn take(&self, me: Who, lock: u64, reluctant: bool, alive: &dyn Fn(u32) -> bool) -> Option<&Place> {
        let told = Told { turn: self.turn(), reluctant };
        let free = self.places.iter().position(|place| place.take(0, me, lock, told));
        let taken = free.or_else(|| {
            self.places.iter().position(|place| {
                let was = place.who.load(Ordering::SeqCst);
                !alive(member(was)) && place.take(was, me, lock, told)
            })
        })?;
        self.most.fetch_max(taken as u32 + 1, Ordering::SeqCst);
        Some(&self.places[taken])
    }

    fn used(&self) -> &[Place] {
        &self.places[..(self.most.load(Ordering::SeqCst) as usize).min(PLACES)]
    }

    /// What one who waits tells, and its lock.
    fn waiter(&self, who: Who) -> Option<(Told, u64)> {
        for _ in 0..MOMENTS {
            let found = self.used().iter().find_map(|place| place.waiter(who));
            if found.is_some() || !self.used().iter().any(|place| place.is_of(who)) {
                return found;
            }
            pause();
        }
        None
    }

    /// The circle in which `me`, who waits for `lock`, is: itself first, then who holds that lock.
    fn follow(&self, me: Who, lock: u64, reluctant: bool, holder: &Holder) -> Option<Vec<Link>> {
        let mut links = Vec::new();
        let (mut who, mut told, mut lock) = (me, Told { turn: 0, reluctant }, lock);
        loop {
            let (next, bond) = holder(lock)?;
            links.push(Link { who, lock, bond, told });
            if next == me {
                return Some(links);
            }
            // A circle without us is the business of those who are in it.
            if links.iter().any(|link| link.who == next) {
                return None;
            }
            who = next;
            (told, lock) = self.waiter(who)?;
        }
    }
}

/// Holder of the lock at an offset; None if there is none, or the lock is one that no circle goes through.
pub type Holder<'a> = dyn Fn(u64) -> Option<(Who, Bond)> + 'a;

/// One wait for a lock, without a time limit.
pub struct Vigil<'a> {
    /// The family's.
    pub table: &'a Table,
    /// Who waits.
    pub me: Who,
    /// The offset of the lock.
    pub lock: u64,
    /// Waits it in order to enter a with statement?
    pub scope: bool,
    /// Waits it to take back what it gave away for a while, and cannot well give up?
    pub reluctant: bool,
    /// Who holds a lock?
    pub holder: &'a Holder<'a>,
    /// Does this member live?
    pub alive: &'a dyn Fn(u32) -> bool,
    /// What is known of the circle.
    pub found: Found<'a>,
}

/// What a vigil found so far.
#[derive(Default)]
pub struct Found<'a> {
    place: Option<&'a Place>,
    since: Option<Instant>,
    circle: Vec<Link>,
}

impl Vigil<'_> {
    /// The circle, once the vigil has ended the wait.
    pub fn circle(&self) -> &[Link] {
        &self.found.circle
    }

    fn find(&self) -> Option<Vec<Link>> {
        let circle = self.table.follow(self.me, self.lock, self.reluctant, self.holder)?;
        let again = self.table.follow(self.me, self.lock, self.reluctant, self.holder)?;
        (circle == again && self.concerns_us(&circle)).then_some(circle)
    }

    fn concerns_us(&self, circle: &[Link]) -> bool {
        let rank = |link: &Link| (!link.told.reluctant, link.who);
        let last = circle.iter().all(|link| rank(link) <= (!self.reluctant, self.me));
        let alone = circle.len() == 1;
        let bound = !alone || (self.scope && circle[0].bond == Bond::Scope);
        last && bound && circle.iter().all(|link| (self.alive)(member(link.who)))
    }

    /// Has the same circle stood for long enough?
    fn is_certain(&mut self, circle: &[Link]) -> bool {
        let names = |links: &[Link]| links.iter().map(|link| (link.who, link.lock)).collect::<Vec<_>>();
        if names(circle) != names(&self.found.circle) {
            self.found.since = None;
        }
        let stood = self.found.since.get_or_insert_with(Instant::now).elapsed();
        circle.iter().all(|link| link.bond != Bond::Loose) || stood >= DOUBT
    }
}

impl Watch for Vigil<'_> {
    fn strays(&mut self) {
        self.found.place.inspect(|place| place.turn.store(0, Ordering::SeqCst));
    }

    fn returns(&mut self) {
        self.found.place.inspect(|place| place.turn.store(self.table.turn(), Ordering::SeqCst));
    }

    fn looks(&mut self) -> Result<(), End> {
        if self.found.place.is_none() {
            self.found.place = self.table.take(self.me, self.lock, self.reluctant, self.alive);
        }
        let circle = self.find().unwrap_or_default();
        step("circle.looked");
        let certain = self.is_certain(&circle) && !circle.is_empty();
        self.found.circle = circle;
        if certain { Err(End::Deadlocked) } else { Ok(()) }
    }

    fn leaves(&mut self) {
        if let Some(place) = self.found.place.take() {
            place.who.store(0, Ordering::SeqCst);
            step("circle.left");
        }
    }
}

/// The member whose thread it is.
pub fn member(who: Who) -> u32 {
    (who >> 32) as u32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn places_of_the_dead_are_taken_when_no_other_is_left() {
        let table = Table::default();
        let who = |number: usize| ((1 + number as Who % 2) << 32) | (number as Who + 1);
        (0..PLACES).for_each(|number| assert!(table.take(who(number), 64, false, &|_| true).is_some()));
        let (late, lock) = ((7 << 32) | 7, 128);
        assert!(table.take(late, lock, false, &|_| true).is_none(), "all live");
        assert!(table.take(late, lock, false, &|member| member == 1).is_some());
        assert_eq!(table.waiter(late).map(|(_, lock)| lock), Some(128));
        assert!(table.waiter(who(1)).is_none(), "its place was the first of a dead one");
        assert_eq!(table.waiter(who(0)).map(|(_, lock)| lock), Some(64));
    }

    #[test]
    fn a_circle_is_followed_from_each_of_its_members_and_from_nobody_else() {
        let table = Table::default();
        let holder = |lock: u64| [1, 2, 3].get(lock as usize).map(|&who| (who, Bond::Owner));
        for (who, lock) in [(1, 1), (2, 2), (3, 0), (4, 0)] {
            table.take(who, lock, false, &|_| true);
        }
        let order = |me, lock| {
            let links = table.follow(me, lock, false, &holder)?;
            Some(links.iter().map(|link| link.who).collect::<Vec<_>>())
        };
        assert_eq!(order(1, 1), Some(vec![1, 2, 3]));
        assert_eq!(order(3, 0), Some(vec![3, 1, 2]));
        assert_eq!(order(4, 0), None, "it waits for a circle, and is none of it");
        assert_eq!(order(1, 9), None, "a lock that nobody holds");
    }
}
