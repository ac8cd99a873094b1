//! A lock whose word names its holder, so that a dead holder is noticed.
//!
//! The word is 0 (free) or the holder's member id; bit 31 says that somebody may sleep on it.
//!
//! Why it is right:
//! - *Exclusion.* The only ways from "not mine" to "mine" are a compare-exchange from a free word,
//!   or from a word that names a member found dead. Member ids are not used twice (see
//!   [`crate::member`]), so a word that names the dead cannot become that of a living holder.
//! - *No lost wake-up.* A sleeper sets bit 31 by compare-exchange and sleeps on exactly that value;
//!   who unlocks takes the word by one swap, and wakes one sleeper if the bit was there. Who slept
//!   takes the lock with the bit set, since others may sleep beside it.
//! - *Death.* Killed before the exchange: nothing happened. Killed while holding: the word names
//!   the dead until a waiter inherits it. Killed between the swap and the wake: the sleepers see a
//!   free word at the end of their slice.

use crate::fault::step;
use crate::futex;
use crate::sync::{AtomicU32, Ordering, spin_loop};
use crate::wait::{End, FIRST_LOOK, LAST_LOOK, Patience, Slept, Watch, clock};

/// Bit 31 of the word: somebody may sleep on it.
pub const SLEEPERS: u32 = 1 << 31;
const ID: u32 = SLEEPERS - 1;
/// Looks at a taken lock before the wait for it becomes a sleep.
const LOOKS: u32 = if cfg!(loom) { 1 } else { 200 };
/// Nanoseconds before the first of them. Whoever looks takes the word's cache line from the holder, and
/// whoever gets the lock takes it away: where two want a lock all the time, which each holds for a
/// moment only, it is cheaper that each has it often in a row.
const REST: u64 = if cfg!(loom) { 0 } else { 1500 };

/// How a lock was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It was free.
    Clean,
    /// Its holder, this member, died with it: what it guards must be repaired first.
    Inherited(u32),
}

/// The lock; all zeroes is a free one.
#[repr(C)]
pub struct Mutex {
    word: AtomicU32,
}

impl Default for Mutex {
    fn default() -> Self {
        Mutex { word: AtomicU32::new(0) }
    }
}

impl Mutex {
    /// Take it if it is free.
    #[inline]
    pub fn try_lock(&self, me: u32) -> bool {
        debug_assert!(me != 0 && me & SLEEPERS == 0, "nobody cannot hold a lock");
        let took = self.word.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok();
        step("lock.taken");
        took
    }

    /// Take it if it is free or comes free within a few microseconds.
    #[inline]
    pub fn try_lock_spinning(&self, me: u32) -> bool {
        self.try_lock(me) || self.try_lock_looking(me)
    }

    #[cold]
    fn try_lock_looking(&self, me: u32) -> bool {
        let rested = clock() + REST;
        while clock() < rested {
            spin_loop();
        }
        (0..LOOKS).any(|_| {
            spin_loop();
            self.word.load(Ordering::Relaxed) == 0 && self.try_lock(me)
        })
    }

    /// The word, once it is free; or after so many looks, whatever it is then.
    fn look(&self, looks: u32) -> u32 {
        let look = || self.word.load(Ordering::Relaxed);
        let free = (0..looks).map(|_| look()).find(|seen| {
            spin_loop();
            seen & ID == 0
        });
        free.unwrap_or_else(look)
    }

    /// Take it, waiting as long as `patience` lasts; `alive` tells whether a member lives.
    pub fn lock(&self, me: u32, alive: &dyn Fn(u32) -> bool, patience: &mut Patience) -> Result<Held, End> {
        match self.try_lock_spinning(me) {
            true => Ok(Held::Clean),
            false => self.lock_watched(me, alive, patience, &mut ()),
        }
    }

    /// As [`Mutex::lock`], without spinning; `watch` looks on.
    pub fn lock_watched(
        &self,
        me: u32,
        alive: &dyn Fn(u32) -> bool,
        patience: &mut Patience,
        watch: &mut dyn Watch,
    ) -> Result<Held, End> {
        let held = self.lock_slowly(me, alive, patience, watch);
        if held != Err(End::Forked) {
            watch.leaves();
        }
        // What woke us in the last moment is for another.
        if held.is_err() && self.holder() == 0 {
            futex::wake(&self.word, 1);
        }
        held
    }

    fn lock_slowly(
        &self,
        me: u32,
        alive: &dyn Fn(u32) -> bool,
        patience: &mut Patience,
        watch: &mut dyn Watch,
    ) -> Result<Held, End> {
        let (mut slice, mut looks) = (FIRST_LOOK, 0);
        patience.begin();
        loop {
            let seen = self.look(looks);
            if seen & ID == 0 {
                if self.exchange(seen, me | SLEEPERS) {
                    return Ok(Held::Clean);
                }
                continue;
            }
            if seen & SLEEPERS == 0 && !self.exchange(seen, seen | SLEEPERS) {
                continue;
            }
            if patience.sleep_watched(&self.word, seen | SLEEPERS, slice, watch)? == Slept::Slice {
                if let Some(dead) = self.inherit(me, alive) {
                    return Ok(Held::Inherited(dead));
                }
                watch.looks()?;
                slice = (slice * 2).min(LAST_LOOK);
            }
            // Who woke us may have taken it again already: to look for it is better than to sleep again.
            looks = LOOKS;
        }
    }

    /// Take it from a dead holder; None if it is free or its holder lives.
    pub fn inherit(&self, me: u32, alive: &dyn Fn(u32) -> bool) -> Option<u32> {
        let holder = self.holder();
        // Another thread of our own process is alive as we are.
        if holder == 0 || holder == me || alive(holder) {
            return None;
        }
        // Others may sleep on it, whatever the bit said: they set it before they sleep. Nobody but
        // an heir changes the rest of a dead holder's word.
        let heir = |seen: u32| (seen & ID == holder).then_some(me | SLEEPERS);
        let inherited = self.word.fetch_update(Ordering::Acquire, Ordering::Relaxed, heir);
        step("lock.inherited");
        inherited.is_ok().then_some(holder)
    }

    /// Give it back; false if nobody held it. Whoever calls, the holder loses it.
    #[inline]
    pub fn unlock(&self) -> bool {
        let was = self.word.swap(0, Ordering::Release);
        step("lock.given");
        if was & SLEEPERS != 0 {
            futex::wake(&self.word, 1);
        }
        was & ID != 0
    }

    /// Who holds it, 0 for nobody.
    #[inline]
    pub fn holder(&self) -> u32 {
        self.word.load(Ordering::Relaxed) & ID
    }

    /// As [`Mutex::holder`]; what was written before the lock was last given back is seen too.
    pub fn holder_and_before(&self) -> u32 {
        self.word.load(Ordering::Acquire) & ID
    }

    #[inline]
    fn exchange(&self, from: u32, to: u32) -> bool {
        self.word.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}
