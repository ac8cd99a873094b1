//! Named steps of the protocols at which a test may have a process killed.
//!
//! Without the feature `faults` a step is nothing. With it, the step whose name the environment
//! variable `PROCESSION_FAULT` or [`arm`] gave (`name`, or `name:n` for its n-th passing) kills the
//! process on the spot, as SIGKILL at that instruction would. `tests/steps.rs` kills at each of them.

/// Pass the step of this name.
#[cfg(any(not(feature = "faults"), loom))]
#[inline(always)]
pub fn step(_name: &str) {}

#[cfg(all(feature = "faults", not(loom)))]
pub use armed::{arm, passed, step};

#[cfg(all(feature = "faults", not(loom)))]
mod armed {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::{Mutex, MutexGuard, Once};

    /// Read without a lock by steps that are not armed; the process may fork in any of them.
    static ARMED: AtomicBool = AtomicBool::new(false);
    static PLAN: Mutex<Option<(String, u32)>> = Mutex::new(None);
    static PASSED: AtomicU32 = AtomicU32::new(0);
    static READ: Once = Once::new();

    fn plan() -> MutexGuard<'static, Option<(String, u32)>> {
        PLAN.lock().unwrap_or_else(|plan| plan.into_inner())
    }

    /// From now on die at the `count`-th passing of step `name`; 0 is never, but passings are counted.
    pub fn arm(name: &str, count: u32) {
        READ.call_once(|| ());
        PASSED.store(0, Ordering::SeqCst);
        *plan() = Some((name.to_owned(), count));
        ARMED.store(true, Ordering::SeqCst);
    }

    /// How often the armed step was passed.
    pub fn passed() -> u32 {
        PASSED.load(Ordering::SeqCst)
    }

    fn read_environment() {
        if let Ok(text) = std::env::var("PROCESSION_FAULT") {
            let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
            *plan() = Some((name.to_owned(), count.parse().unwrap_or(1)));
            ARMED.store(true, Ordering::SeqCst);
        }
    }

    /// Pass the step of this name.
    pub fn step(name: &str) {
        READ.call_once(read_environment);
        if !ARMED.load(Ordering::SeqCst) {
            return;
        }
        if let Some((wanted, count)) = plan().as_ref() {
            if wanted == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *count {
                // SAFETY: a signal to ourselves; nothing of ours runs after it.
                unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            }
        }
    }
}
