//! Named steps of the protocols at which a test may have a process stopped for ever.
//!
//! Without the feature `faults` a step is nothing. With it, the step whose name the environment
//! variable `PROCESSION_FAULT` holds (`name`, or `name:n` for its n-th passing) kills the process on
//! the spot, as SIGKILL at that instruction would.

/// Pass the step of this name.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn step(_name: &str) {}

#[cfg(feature = "faults")]
pub use armed::{arm, step};

#[cfg(feature = "faults")]
mod armed {
    use std::sync::Mutex;

    static PLAN: Mutex<Option<(String, u32)>> = Mutex::new(None);
    static READ: std::sync::Once = std::sync::Once::new();

    /// From now on die at the `count`-th passing of step `name`.
    pub fn arm(name: &str, count: u32) {
        READ.call_once(|| ());
        *PLAN.lock().unwrap_or_else(|plan| plan.into_inner()) = Some((name.to_owned(), count));
    }

    fn read_environment() {
        if let Ok(text) = std::env::var("PROCESSION_FAULT") {
            let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
            *PLAN.lock().unwrap_or_else(|plan| plan.into_inner()) =
                Some((name.to_owned(), count.parse().unwrap_or(1)));
        }
    }

    /// Pass the step of this name.
    pub fn step(name: &str) {
        READ.call_once(read_environment);
        let mut plan = PLAN.lock().unwrap_or_else(|plan| plan.into_inner());
        if let Some((wanted, count)) = plan.as_mut() {
            if wanted == name {
                *count -= 1;
                if *count == 0 {
                    // SAFETY: a signal to ourselves; nothing of ours runs after it.
                    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
                }
            }
        }
    }
}
