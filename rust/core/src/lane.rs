//! The order of a ring's messages: who may put, who may get, where, and who sleeps for what.
//!
//! A lane counts puts and gets. The place of the next put (and of the next get) is kept twice; the
//! count's parity says which of the two is valid. A putter writes the message, then the place after
//! it into the *other* spot, then stores the count: that one store publishes message and place
//! together. Killed before it, nothing happened; the next putter writes over what lay there.
//!
//! Why it is right: one putter and one getter at a time (two mutexes), so each spot has one writer;
//! readers of the other side look only at the counts, whose release store orders what was written
//! before it. Sleepers and wakers meet in [`Bell`]: announce, look, sleep against publish, look, wake,
//! all sequentially consistent, so one of the two sees the other.

use crate::fault::step;
use crate::futex;
use crate::mutex::Mutex;
use crate::sync::{AtomicU32, AtomicU64, Ordering, announced, fence};
use crate::wait::{End, Patience, SLICE, clock};

/// Something to sleep on until a condition may have come true.
#[repr(C)]
pub struct Bell {
    rings: AtomicU32,
    sleepers: AtomicU32,
    watchers: AtomicU32,
    /// Until when (see [`clock`]) a taker that is awake looks out; 0 if none does.
    lookout: AtomicU64,
}

impl Default for Bell {
    fn default() -> Self {
        Bell {
            rings: AtomicU32::new(0),
            sleepers: AtomicU32::new(0),
            watchers: AtomicU32::new(0),
            lookout: AtomicU64::new(0),
        }
    }
}

impl Bell {
    /// Something for `count` takers came: wake as many. Watchers take nothing, so where one
    /// sleeps all are woken, lest the wake-up goes to a watcher and a taker sleeps on.
    #[inline]
    pub fn ring(&self, count: u32) {
        announced();
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            self.toll(count);
        }
    }

    #[cold]
    fn toll(&self, count: u32) {
        let everyone = self.watchers.load(Ordering::SeqCst) > 0;
        let seen = count != u32::MAX && !everyone && self.lookout.swap(0, Ordering::SeqCst) > clock();
        if seen && count == 1 {
            return;
        }
        self.rings.fetch_add(1, Ordering::SeqCst);
        step("bell.tolled");
        futex::wake(&self.rings, if everyone { u32::MAX } else { count - u32::from(seen) });
    }

    /// Run `look`, with which a taker looks for a moment, until `until`, whether it can take
    /// something. Meanwhile whoever rings for one taker relies on it, and wakes one sleeper less.
    ///
    /// Why that loses nothing: a ringer takes the lookout's word away, so it serves one ring; who
    /// finds it taken has yet to look once more, as [`Bell::wait`] does, or takes something. One that
    /// is killed while it looks out costs a slice at most, as one that is killed having been woken.
    pub fn looking_out<R>(&self, until: u64, look: impl FnOnce() -> R) -> R {
        self.lookout.store(until, Ordering::SeqCst);
        announced();
        step("bell.lookout");
        let seen = look();
        // Not that of another, who looks out since.
        let _ = self.lookout.compare_exchange(until, 0, Ordering::SeqCst, Ordering::SeqCst);
        announced();
        seen
    }

    /// Sleep until `ready`; `watcher` tells that the caller takes nothing. Who takes something must
    /// do so when this returns, or ring again: its wake-up may have been meant for another.
    pub fn wait(&self, watcher: bool, patience: &mut Patience, ready: &dyn Fn() -> bool) -> Result<(), End> {
        if watcher {
            self.watchers.fetch_add(1, Ordering::SeqCst);
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        announced();
        step("bell.announced");
        let end = loop {
            let seen = self.rings.load(Ordering::SeqCst);
            if ready() {
                break Ok(());
            }
            if let Err(end) = patience.sleep(&self.rings, seen, SLICE) {
                break Err(end);
            }
        };
        if end != Err(End::Forked) {
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
            if watcher {
                self.watchers.fetch_sub(1, Ordering::SeqCst);
            }
        }
        end
    }
}

/// A place in the ring's memory, and a second number that goes with it (the end of the chunk for
/// putters, the chunk itself for getters).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// Where the next record goes or lies.
    pub at: u64,
    /// What goes with it.
    pub with: u64,
}

#[repr(C)]
struct Place {
    at: AtomicU64,
    with: AtomicU64,
}

impl Place {
    fn new(spot: Spot) -> Self {
        Place { at: AtomicU64::new(spot.at), with: AtomicU64::new(spot.with) }
    }

    fn load(&self) -> Spot {
        Spot { at: self.at.load(Ordering::Relaxed), with: self.with.load(Ordering::Relaxed) }
    }

    fn store(&self, spot: Spot) {
        self.at.store(spot.at, Ordering::Relaxed);
        self.with.store(spot.with, Ordering::Relaxed);
    }
}

/// One side of the lane; on a cache line of its own, since the other side writes the other one.
#[repr(C, align(64))]
pub struct Side {
    /// Held by who puts (or gets).
    pub lock: Mutex,
    count: AtomicU32,
    places: [Place; 2],
}

impl Side {
    fn new(spot: Spot) -> Self {
        Side { lock: Mutex::default(), count: AtomicU32::new(0), places: [Place::new(spot), Place::new(spot)] }
    }

    /// How many were put (or got), modulo 2^32.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }

    /// The valid place; to be called with the lock held.
    #[inline]
    pub fn spot(&self) -> Spot {
        self.places[(self.count.load(Ordering::Relaxed) & 1) as usize].load()
    }

    /// Count and valid place, from outside the lock: read again if a commit came between.
    pub fn snapshot(&self) -> (u32, Spot) {
        loop {
            let count = self.count();
            let spot = self.places[(count & 1) as usize].load();
            fence(Ordering::SeqCst);
            if self.count() == count {
                return (count, spot);
            }
        }
    }

    /// Publish: one more, and the next place is `spot`. To be called with the lock held.
    #[inline]
    pub fn commit(&self, spot: Spot) {
        let next = self.count.load(Ordering::Relaxed).wrapping_add(1);
        // Who takes a snapshot and sees the new spot must see that the count has moved on.
        fence(Ordering::Release);
        self.places[(next & 1) as usize].store(spot);
        step("lane.placed");
        self.count.store(next, Ordering::SeqCst);
    }
}

/// The lane; see the module.
#[repr(C)]
pub struct Lane {
    /// Where and how many were put.
    pub puts: Side,
    /// Where and how many were got.
    pub gets: Side,
    /// Rung when something was put.
    pub news: Bell,
    /// Rung when something was got.
    pub room: Bell,
    /// Rung when the last message there was got.
    pub drained: Bell,
    /// Rung when the last task was done.
    pub rest: Bell,
    done: AtomicU32,
    alarms: AtomicU32,
    shut: AtomicU32,
    limit: u32,
}

impl Lane {
    /// An empty lane that begins at these spots; `limit` 0 is none.
    pub fn new(put: Spot, get: Spot, limit: u32) -> Self {
        Lane {
            puts: Side::new(put),
            gets: Side::new(get),
            news: Bell::default(),
            room: Bell::default(),
            drained: Bell::default(),
            rest: Bell::default(),
            done: AtomicU32::new(0),
            alarms: AtomicU32::new(0),
            shut: AtomicU32::new(0),
            limit,
        }
    }

    /// Messages that were put and not yet got.
    #[inline]
    pub fn len(&self) -> u32 {
        // Gets first: read later, they may have passed the puts that were read before.
        let gets = self.gets.count();
        self.puts.count().wrapping_sub(gets)
    }

    /// Is nothing there?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages fit; 0 is no limit.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// How many more messages fit now; none where the lane is shut.
    #[inline]
    pub fn space(&self) -> u32 {
        if self.is_shut() {
            return 0;
        }
        // So many messages would fill any machine, but one more would make the ring look empty.
        let limit = if self.limit == 0 { u32::MAX } else { self.limit };
        limit.saturating_sub(self.len())
    }

    /// How often [`Lane::alarm`] was called.
    pub fn alarms(&self) -> u32 {
        self.alarms.load(Ordering::SeqCst)
    }

    /// Wake everybody who waits for a message or for emptiness, once.
    pub fn alarm(&self) {
        self.alarms.fetch_add(1, Ordering::SeqCst);
        self.news.ring(u32::MAX);
        self.drained.ring(u32::MAX);
    }

    /// Take no more messages, and wake everybody who waits. To be called with the putters' lock held:
    /// who gets it afterwards finds no room.
    pub fn shut(&self) {
        self.shut.store(1, Ordering::SeqCst);
        step("lane.shut");
        self.alarm();
        self.room.ring(u32::MAX);
    }

    /// Was it shut?
    #[inline]
    pub fn is_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst) != 0
    }

    /// To be called when `count` messages were got, after the lock was given back.
    #[inline]
    pub fn got(&self, count: u32) {
        self.room.ring(count);
        if self.is_empty() {
            self.drained.ring(u32::MAX);
        }
    }

    /// Is a message there, or will none come, or are the alarms no longer `alarms`?
    #[inline]
    pub fn has_news(&self, alarms: u32) -> bool {
        !self.is_empty() || self.alarms() != alarms || self.is_shut()
    }

    /// Sleep until there are news for a getter.
    pub fn wait_news(&self, alarms: u32, watcher: bool, patience: &mut Patience) -> Result<(), End> {
        self.news.wait(watcher, patience, &|| self.has_news(alarms))
    }

    /// Sleep until there is room for a message, or never will be.
    pub fn wait_room(&self, patience: &mut Patience) -> Result<(), End> {
        self.room.wait(false, patience, &|| self.space() > 0 || self.is_shut())
    }

    /// Sleep until no message is there or the alarms are no longer `alarms`.
    pub fn wait_drained(&self, alarms: u32, patience: &mut Patience) -> Result<(), End> {
        self.drained.wait(true, patience, &|| self.is_empty() || self.alarms() != alarms)
    }

    /// One message was dealt with; false if all had been.
    pub fn task_done(&self) -> bool {
        let step = |done: u32| (done != self.puts.count()).then(|| done.wrapping_add(1));
        let counted = self.done.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step).is_ok();
        if counted && self.unfinished() == 0 {
            self.rest.ring(u32::MAX);
        }
        counted
    }

    /// Messages put for which `task_done` was not yet called.
    pub fn unfinished(&self) -> u32 {
        let done = self.done.load(Ordering::SeqCst);
        self.puts.count().wrapping_sub(done)
    }

    /// Sleep until `task_done` was called for every message put.
    pub fn join(&self, patience: &mut Patience) -> Result<(), End> {
        self.rest.wait(true, patience, &|| self.unfinished() == 0)
    }
}
