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
pub use armed::{arm, disarm, passed, step};

#[cfg(all(feature = "faults", not(loom)))]
mod armed {
    use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
    use std::sync::{Mutex, MutexGuard, Once};

    /// Read without a lock by steps that are not armed; the process may fork in any of them.
    static ARMED: AtomicBool = AtomicBool::new(false);
    static PLAN: Mutex<Option<(String, u32)>> = Mutex::new(None);
    /// Shared with the children that are forked from here on: of all of them one is killed.
    static PASSED: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());
    static READ: Once = Once::new();

    fn plan() -> MutexGuard<'static, Option<(String, u32)>> {
        PLAN.lock().unwrap_or_else(|plan| plan.into_inner())
    }

    fn counter() -> &'static AtomicU32 {
        // SAFETY: null, or a page that stays mapped.
        match unsafe { PASSED.load(Ordering::SeqCst).as_ref() } {
            Some(counter) => counter,
            None => {
                PASSED.store(shared_page(), Ordering::SeqCst);
                counter()
            }
        }
    }

    fn shared_page() -> *mut AtomicU32 {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choice, zeroed.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
        assert!(page != libc::MAP_FAILED, "no page for the count of steps");
        page.cast()
    }

    fn make(name: &str, count: u32) {
        counter().store(0, Ordering::SeqCst);
        *plan() = Some((name.to_owned(), count));
        ARMED.store(true, Ordering::SeqCst);
    }

    /// From now on who passes step `name` as the `count`-th, this process or one that it forks, dies.
    /// 0 is never, but passings are counted.
    pub fn arm(name: &str, count: u32) {
        READ.call_once(|| ());
        make(name, count);
    }

    /// Nobody dies any more.
    pub fn disarm() {
        READ.call_once(|| ());
        ARMED.store(false, Ordering::SeqCst);
    }

    /// How often the armed step was passed.
    pub fn passed() -> u32 {
        counter().load(Ordering::SeqCst)
    }

    fn read_environment() {
        if let Ok(text) = std::env::var("PROCESSION_FAULT") {
            let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
            make(name, count.parse().unwrap_or(1));
        }
    }

    /// Pass the step of this name.
    pub fn step(name: &str) {
        READ.call_once(read_environment);
        if !ARMED.load(Ordering::SeqCst) {
            return;
        }
        if let Some((wanted, count)) = plan().as_ref() {
            if wanted == name && counter().fetch_add(1, Ordering::SeqCst) + 1 == *count {
                // SAFETY: a signal to ourselves; nothing of ours runs after it.
                unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            }
        }
    }
}
