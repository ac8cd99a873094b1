//! Who waits on a condition, oldest first.
//!
//! A page of entries; each entry is a futex word of its own, so a notification wakes exactly those
//! it names. Entries change from free to waiting and from waiting to notified under the list's
//! mutex; the waiter alone takes them back to free. A ticket is an entry's place and the number of
//! its use, so a ticket that was used up is not mistaken for the entry's next one. A waiter says so before
//! it falls asleep: whom no wake can reach is not woken.
//!
//! Why it is right: `enter` is called with the condition's lock held, so a notifier that holds that
//! lock later sees the entry, whether or not its owner sleeps already. A waiter whose time runs out
//! withdraws by compare-exchange; if a notification was faster, it counts as notified. One that does
//! not sleep when it is notified may be dead: then its entry is freed, and the next is notified.

use crate::fault::step;
use crate::futex;
use crate::mutex::Mutex;
use crate::sync::{AtomicU32, AtomicU64, Ordering, spin_loop};
use crate::wait::{End, Patience, SLICE};

/// Entries a page.
#[cfg(not(loom))]
pub const ENTRIES: usize = 30;
/// Entries a page.
#[cfg(loom)]
pub const ENTRIES: usize = 3;

const FREE: u32 = 0;
/// And awake: on its way to sleep, or spinning.
const WAITING: u32 = 1;
const NOTIFIED: u32 = 2;
const ASLEEP: u32 = 3;
/// Looks whether a waiter that was awake takes its notification: to ask whether it lives costs twenty
/// microseconds.
const LOOKS: u32 = if cfg!(loom) { 1 } else { 100 };
/// Bits of a ticket for the place; the others are the number.
const PLACE_BITS: u32 = 20;

/// One who waits.
#[repr(C)]
pub struct Entry {
    state: AtomicU32,
    member: AtomicU32,
    order: AtomicU64,
}

/// A page of entries; further pages hang on it. All zeroes is an empty one.
#[repr(C)]
pub struct Page {
    /// Offset of the next page, 0 for none.
    pub next: AtomicU64,
    entries: [Entry; ENTRIES],
}

impl Default for Page {
    fn default() -> Self {
        let entry = |_| Entry { state: AtomicU32::new(FREE), member: AtomicU32::new(0), order: AtomicU64::new(0) };
        Page { next: AtomicU64::new(0), entries: std::array::from_fn(entry) }
    }
}

impl Entry {
    /// Sleep until notified; the entry is free afterwards, but for `End::Forked`. The error's second
    /// part tells whether a notification had come all the same.
    fn wait(&self, patience: &mut Patience) -> Result<(), (End, bool)> {
        loop {
            if self.change(ASLEEP).is_none() {
                self.state.store(FREE, Ordering::SeqCst);
                return Ok(());
            }
            match patience.sleep(&self.state, ASLEEP, SLICE) {
                Ok(_) => {}
                Err(End::Forked) => return Err((End::Forked, false)),
                Err(end) => return self.withdraw(end),
            }
        }
    }

    /// To this state if it waits; gives how it waited.
    fn change(&self, to: u32) -> Option<u32> {
        let from = |state: u32| matches!(state, WAITING | ASLEEP).then_some(to);
        self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, from).ok()
    }

    /// Leave the list, unless a notification was faster: that counts, but for an interruption.
    pub fn withdraw(&self, end: End) -> Result<(), (End, bool)> {
        if self.change(FREE).is_some() {
            return Err((end, false));
        }
        self.state.store(FREE, Ordering::SeqCst);
        match end {
            End::TimedOut => Ok(()),
            _ => Err((end, true)),
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self.state.load(Ordering::SeqCst), WAITING | ASLEEP)
    }

    /// Notify it; false if it had withdrawn, or its owner is dead.
    fn notify(&self, around: &Surroundings) -> bool {
        let Some(was) = self.change(NOTIFIED) else {
            return false;
        };
        step("notify.notified");
        // Who can be woken lives; of any other it is seen, or asked.
        let woken = was == ASLEEP && futex::wake(&self.state, 1) > 0;
        let member = self.member.load(Ordering::Relaxed);
        if woken || member == around.me || self.is_taken_soon() || (around.alive)(member) {
            return true;
        }
        // It may have taken its notification before it died.
        self.state.compare_exchange(NOTIFIED, FREE, Ordering::SeqCst, Ordering::SeqCst).is_err()
    }

    fn is_taken_soon(&self) -> bool {
        (0..LOOKS).any(|_| {
            spin_loop();
            self.state.load(Ordering::SeqCst) != NOTIFIED
        })
    }
}

/// The head of the list.
#[repr(C)]
pub struct WaitList {
    lock: Mutex,
    order: AtomicU64,
    first: Page,
}

/// What the list needs from around it.
pub struct Surroundings<'a> {
    /// The calling member.
    pub me: u32,
    /// Does this member live?
    pub alive: &'a dyn Fn(u32) -> bool,
    /// The page at an offset.
    pub page: &'a dyn Fn(u64) -> &'a Page,
    /// A new empty page's offset, or None where memory is refused.
    pub grow: &'a dyn Fn() -> Option<u64>,
}

impl Default for WaitList {
    fn default() -> Self {
        WaitList { lock: Mutex::default(), order: AtomicU64::new(0), first: Page::default() }
    }
}

impl WaitList {
    /// The page that is a part of the list itself.
    pub fn first_page(&self) -> &Page {
        &self.first
    }

    /// Join; gives a ticket, or None where memory is refused.
    pub fn enter(&self, around: &Surroundings) -> Option<u64> {
        self.locked(around, || {
            let place = self.find(around, &|entry| entry.state.load(Ordering::SeqCst) == FREE);
            let place = place.or_else(|| self.bury(around)).or_else(|| self.lengthen(around))?;
            let entry = self.entry(around, place)?;
            let order = self.order.fetch_add(1, Ordering::Relaxed);
            entry.member.store(around.me, Ordering::Relaxed);
            entry.order.store(order, Ordering::Relaxed);
            entry.state.store(WAITING, Ordering::SeqCst);
            step("enter.waiting");
            Some(order << PLACE_BITS | place)
        })
    }

    /// Sleep until notified; None if the ticket is not one that this member has and has not used.
    /// A notification that came together with an interruption is handed on.
    pub fn wait(&self, around: &Surroundings, ticket: u64, patience: &mut Patience) -> Option<Result<(), End>> {
        let entry = self.of(around, ticket)?;
        Some(entry.wait(patience).map_err(|(end, notified)| {
            if notified {
                self.notify(around, 1);
            }
            end
        }))
    }

    /// Would waiting be over at once?
    pub fn is_notified(&self, around: &Surroundings, ticket: u64) -> bool {
        self.of(around, ticket).is_none_or(|entry| !entry.is_waiting())
    }

    /// The entry of a ticket; None if the ticket is not one that this member has and has not used.
    pub fn of<'b>(&'b self, around: &'b Surroundings, ticket: u64) -> Option<&'b Entry> {
        let entry = self.entry(around, ticket & ((1 << PLACE_BITS) - 1))?;
        let mine = entry.member.load(Ordering::Relaxed) == around.me
            && entry.order.load(Ordering::Relaxed) == ticket >> PLACE_BITS
            && entry.state.load(Ordering::SeqCst) != FREE;
        mine.then_some(entry)
    }

    /// Wake up to `count` living waiters, oldest first; gives how many.
    pub fn notify(&self, around: &Surroundings, count: usize) -> usize {
        self.locked(around, || {
            let mut queue = self.waiting(around);
            queue.sort_by_key(|entry| entry.order.load(Ordering::Relaxed));
            let woken = queue.into_iter().filter(|entry| entry.notify(around));
            woken.take(count).count()
        })
    }

    /// How many wait.
    pub fn len(&self, around: &Surroundings) -> usize {
        let lives = |entry: &&Entry| (around.alive)(entry.member.load(Ordering::Relaxed));
        self.waiting(around).into_iter().filter(lives).count()
    }

    fn waiting<'b>(&'b self, around: &'b Surroundings) -> Vec<&'b Entry> {
        self.pages(around).flat_map(|(_, page)| &page.entries).filter(|entry| entry.is_waiting()).collect()
    }

    /// The place of the first entry that fits: page number times entries, plus place in the page.
    fn find(&self, around: &Surroundings, fits: &dyn Fn(&Entry) -> bool) -> Option<u64> {
        self.pages(around).find_map(|(number, page)| {
            let place = page.entries.iter().position(fits)?;
            Some((number * ENTRIES + place) as u64)
        })
    }

    /// The place of a dead member.
    fn bury(&self, around: &Surroundings) -> Option<u64> {
        self.find(around, &|entry| {
            let member = entry.member.load(Ordering::Relaxed);
            member != around.me && !(around.alive)(member)
        })
    }

    fn lengthen(&self, around: &Surroundings) -> Option<u64> {
        let (number, last) = self.pages(around).last()?;
        let place = ((number + 1) * ENTRIES) as u64;
        if place + ENTRIES as u64 > 1 << PLACE_BITS {
            return None;
        }
        let page = (around.grow)()?;
        step("enter.grown");
        last.next.store(page, Ordering::Release);
        step("enter.hung");
        Some(place)
    }

    fn pages<'b, 's: 'b>(&'b self, around: &'b Surroundings<'s>) -> impl Iterator<Item = (usize, &'b Page)> {
        let follow = move |page: &&'b Page| -> Option<&'b Page> {
            match page.next.load(Ordering::Acquire) {
                0 => None,
                offset => Some((around.page)(offset)),
            }
        };
        std::iter::successors(Some(&self.first), follow).enumerate()
    }

    fn entry<'b>(&'b self, around: &'b Surroundings, place: u64) -> Option<&'b Entry> {
        let (_, page) = self.pages(around).nth(place as usize / ENTRIES)?;
        Some(&page.entries[place as usize % ENTRIES])
    }

    fn locked<R>(&self, around: &Surroundings, work: impl FnOnce() -> R) -> R {
        // An inherited lock needs no repair: each entry is consistent by itself, and a page that
        // was made but not hung up belongs to the dead member and goes with it.
        let _ = self.lock.lock(around.me, around.alive, &mut Patience::endless());
        let result = work();
        self.lock.unlock();
        result
    }
}
