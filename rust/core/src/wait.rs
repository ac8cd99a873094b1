//! How long to wait, and who may end it: a deadline, and a check for signals.

use crate::futex::{self, Woke};
use crate::sync::AtomicU32;
use std::time::{Duration, Instant};

/// The longest sleep without a look around, where nobody in particular is waited for.
pub const SLICE: Duration = Duration::from_secs(1);
/// The first look at a lock's holder comes soon, later ones are spread out.
pub const FIRST_LOOK: Duration = Duration::from_millis(50);
/// The longest time between two looks at a lock's holder.
pub const LAST_LOOK: Duration = Duration::from_millis(400);

/// What ended a wait before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The deadline passed.
    TimedOut,
    /// The caller's check asked to stop (a signal handler raised).
    Interrupted,
}

/// How one sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// Woken, or the word had changed.
    Woken,
    /// A slice went by: time to look around.
    Slice,
}

/// A deadline and a check; one value serves all the sleeps of one wait.
pub struct Patience<'a> {
    deadline: Option<Instant>,
    check: Option<&'a mut dyn FnMut() -> bool>,
}

impl<'a> Patience<'a> {
    /// Wait for ever, whatever signals come: for the core's own short critical sections.
    pub fn endless() -> Self {
        Patience { deadline: None, check: None }
    }

    /// Wait at most `limit` (None: for ever); `check` is asked after signals and slices.
    pub fn new(limit: Option<Duration>, check: &'a mut dyn FnMut() -> bool) -> Self {
        // A deadline past the clock's end is no deadline.
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        Patience { deadline, check: Some(check) }
    }

    /// Time that is left; None where there is no deadline.
    pub fn left(&self) -> Option<Duration> {
        self.deadline.map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Sleep while `word` is `expected`, at most one `slice`.
    pub fn sleep(&mut self, word: &AtomicU32, expected: u32, slice: Duration) -> Result<Slept, End> {
        let limit = match self.left() {
            Some(left) if left.is_zero() => return Err(End::TimedOut),
            Some(left) => left.min(slice),
            None => slice,
        };
        match futex::wait(word, expected, limit) {
            Woke::Changed => Ok(Slept::Woken),
            Woke::Signal => self.ask().map(|()| Slept::Woken),
            Woke::TimedOut => self.ask().map(|()| Slept::Slice),
        }
    }

    fn ask(&mut self) -> Result<(), End> {
        match self.check.as_mut().is_some_and(|check| check()) {
            true => Err(End::Interrupted),
            false => Ok(()),
        }
    }
}
