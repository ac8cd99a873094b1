//! How long to wait, and who may end it: a deadline, and a check for signals.

use crate::futex::{self, Woke};
use crate::sync::AtomicU32;
use std::time::{Duration, Instant};

/// The longest sleep without a look around, where nobody in particular is waited for.
pub const SLICE: Duration = Duration::from_secs(1);
/// The first look at a lock's holder comes soon (sooner in tests, where many die), later ones are
/// spread out.
pub const FIRST_LOOK: Duration = Duration::from_millis(if cfg!(feature = "faults") { 4 } else { 50 });
/// The longest time between two looks at a lock's holder.
pub const LAST_LOOK: Duration = Duration::from_millis(400);

/// Nanoseconds of the monotonic clock, which all processes share; loom has no time.
#[inline]
pub fn clock() -> u64 {
    if cfg!(loom) {
        return 1;
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes `time`, which is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// What ended a wait before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The deadline passed.
    TimedOut,
    /// The caller's check asked to stop (a signal handler raised).
    Interrupted,
    /// The check forked, and this is the child: the wait, with all that was announced for it, is the
    /// parent's, so nothing of it may be undone here.
    Forked,
    /// The caller and those whom it waits for wait for each other in a circle.
    Deadlocked,
}

/// One who is told of a wait, and asked whether it may go on.
pub trait Watch {
    /// Handlers of signals run now, which may do anything.
    fn strays(&mut self) {}
    /// They are done: the caller does nothing but wait again.
    fn returns(&mut self) {}
    /// A slice went by, and who is waited for lives.
    fn looks(&mut self) -> Result<(), End> {
        Ok(())
    }
    /// The wait is over.
    fn leaves(&mut self) {}
}

/// Nobody looks on.
impl Watch for () {}

/// How one sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// Woken, or the word had changed.
    Woken,
    /// A slice went by: time to look around.
    Slice,
}

/// Asked after signals and slices; an answer ends the wait.
pub type Check<'a> = &'a mut (dyn FnMut() -> Option<End> + 'a);

/// A deadline and a check; one value serves all the sleeps of one wait.
pub struct Patience<'a> {
    deadline: Option<Instant>,
    check: Option<Check<'a>>,
    /// When the sleeper last looked around. Signals and wake-ups for nothing cut sleeps short, and
    /// would else keep it from ever looking.
    looked: Option<Instant>,
}

impl<'a> Patience<'a> {
    /// Wait for ever, whatever signals come: for the core's own short critical sections.
    pub fn endless() -> Self {
        Patience { deadline: None, check: None, looked: None }
    }

    /// Wait at most `limit` (None: for ever).
    pub fn new(limit: Option<Duration>, check: Check<'a>) -> Self {
        // A deadline past the clock's end is no deadline.
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        Patience { deadline, check: Some(check), looked: None }
    }

    /// Time that is left; None where there is no deadline.
    pub fn left(&self) -> Option<Duration> {
        self.deadline.map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Is there no time left?
    pub fn is_over(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// Run `work` with a deadline that is at least so far away (None: with none).
    pub fn stretched<R>(&mut self, least: Option<Duration>, work: impl FnOnce(&mut Self) -> R) -> R {
        let deadline = self.deadline;
        self.deadline = match (deadline, least) {
            (Some(end), Some(least)) => Some(end.max(Instant::now() + least)),
            _ => None,
        };
        let result = work(self);
        self.deadline = deadline;
        result
    }

    /// Sleep while `word` is `expected`, at most until a `slice` has gone by since the last look.
    pub fn sleep(&mut self, word: &AtomicU32, expected: u32, slice: Duration) -> Result<Slept, End> {
        self.sleep_watched(word, expected, slice, &mut ())
    }

    /// As [`Patience::sleep`], telling `watch`, which is not asked.
    pub fn sleep_watched(
        &mut self,
        word: &AtomicU32,
        expected: u32,
        slice: Duration,
        watch: &mut dyn Watch,
    ) -> Result<Slept, End> {
        let now = Instant::now();
        let look = *self.looked.get_or_insert(now) + slice;
        let end = self.deadline.map_or(look, |end| end.min(look));
        if self.deadline.is_some_and(|end| end <= now) {
            return Err(End::TimedOut);
        }
        let woke = futex::wait(word, expected, end.saturating_duration_since(now));
        let slept = self.has_slept(woke, look);
        if woke != Woke::Changed || slept == Slept::Slice {
            watch.strays();
            self.ask()?;
            watch.returns();
        }
        Ok(slept)
    }

    /// The next look around is a whole slice away.
    pub fn begin(&mut self) {
        self.looked = None;
    }

    fn has_slept(&mut self, woke: Woke, look: Instant) -> Slept {
        let now = Instant::now();
        // In a model time passes where the test says so, however long the machine lets it lie.
        if woke == Woke::TimedOut || (!cfg!(loom) && now >= look) {
            self.looked = Some(now);
            return Slept::Slice;
        }
        Slept::Woken
    }

    fn ask(&mut self) -> Result<(), End> {
        self.check.as_mut().and_then(|check| check()).map_or(Ok(()), Err)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_who_is_woken_all_the_time_looks_around_all_the_same() {
        let word = AtomicU32::new(0);
        let mut patience = Patience::endless();
        let begin = Instant::now();
        // The word is never what is expected: each sleep is over at once.
        while patience.sleep(&word, 1, FIRST_LOOK) != Ok(Slept::Slice) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(begin.elapsed() >= FIRST_LOOK);
    }

    #[test]
    fn a_deadline_in_the_past_is_over_at_once_and_can_be_stretched() {
        let word = AtomicU32::new(0);
        let mut check = || None;
        let mut patience = Patience::new(Some(Duration::ZERO), &mut check);
        assert_eq!(patience.sleep(&word, 0, SLICE), Err(End::TimedOut));
        let least = Duration::from_millis(20);
        let begin = Instant::now();
        let slept = patience.stretched(Some(least), |patience| patience.sleep(&word, 0, SLICE));
        assert_eq!(slept, Ok(Slept::Slice));
        assert!(begin.elapsed() >= least);
        assert!(patience.is_over());
    }

    #[test]
    fn the_check_ends_the_wait() {
        let word = AtomicU32::new(0);
        let mut check = || Some(End::Forked);
        let mut patience = Patience::new(None, &mut check);
        assert_eq!(patience.sleep(&word, 0, Duration::from_millis(1)), Err(End::Forked));
    }
}
