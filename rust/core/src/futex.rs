//! Sleeping on a word that several processes share.
//!
//! `FUTEX_WAIT` compares and sleeps in one step, so a change between the caller's look and its
//! sleep is never missed. The futexes are not private ones: the waker may be another process.

use crate::sync::AtomicU32;
use std::time::Duration;

/// Why a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woke {
    /// Somebody woke us, or the word had changed before we slept.
    Changed,
    /// The time ran out.
    TimedOut,
    /// A signal came.
    Signal,
}

/// Sleep while `word` is `expected`, at most `limit`.
#[cfg(not(loom))]
pub fn wait(word: &AtomicU32, expected: u32, limit: Duration) -> Woke {
    let time =
        libc::timespec { tv_sec: limit.as_secs() as libc::time_t, tv_nsec: limit.subsec_nanos() as libc::c_long };
    // SAFETY: the word outlives the call, and the kernel only reads it and `time`.
    let gone =
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, &time as *const _) };
    if gone == 0 {
        return Woke::Changed;
    }
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::ETIMEDOUT) => Woke::TimedOut,
        Some(libc::EINTR) => Woke::Signal,
        _ => Woke::Changed,
    }
}

/// Wake up to `count` sleepers; gives how many there were.
#[cfg(not(loom))]
pub fn wake(word: &AtomicU32, count: u32) -> u32 {
    let count = count.min(i32::MAX as u32);
    // SAFETY: the kernel uses the address as a name only.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
    woken.max(0) as u32
}

#[cfg(loom)]
pub use model::{pass_time, wait, wake};

/// The kernel's part, played for loom: a sleeper leaves only when a wake named it, or, from the
/// moment on when a test says that time passes, when it likes.
#[cfg(loom)]
mod model {
    use super::{AtomicU32, Duration, Woke};
    use crate::sync::Ordering;
    use loom::sync::{Condvar, Mutex};

    struct Bed {
        word: usize,
        sleeper: usize,
        woken: bool,
    }

    #[derive(Default)]
    struct Dormitory {
        beds: Vec<Bed>,
        sleepers: usize,
        time_passes: bool,
    }

    loom::lazy_static! {
        static ref KERNEL: (Mutex<Dormitory>, Condvar) = (Mutex::new(Dormitory::default()), Condvar::new());
    }

    /// Model of `FUTEX_WAIT`.
    pub fn wait(word: &AtomicU32, expected: u32, _limit: Duration) -> Woke {
        let (dormitory, bell) = &*KERNEL;
        let mut guard = dormitory.lock().unwrap();
        if word.load(Ordering::SeqCst) != expected {
            return Woke::Changed;
        }
        let sleeper = guard.sleepers;
        guard.sleepers += 1;
        guard.beds.push(Bed { word: word as *const _ as usize, sleeper, woken: false });
        loop {
            let place = guard.beds.iter().position(|bed| bed.sleeper == sleeper).unwrap();
            if guard.beds[place].woken {
                guard.beds.remove(place);
                return Woke::Changed;
            }
            if guard.time_passes {
                guard.beds.remove(place);
                drop(guard);
                loom::thread::yield_now();
                return Woke::TimedOut;
            }
            guard = bell.wait(guard).unwrap();
        }
    }

    /// Model of `FUTEX_WAKE`.
    pub fn wake(word: &AtomicU32, count: u32) -> u32 {
        let (dormitory, bell) = &*KERNEL;
        let mut guard = dormitory.lock().unwrap();
        let here = word as *const _ as usize;
        let mut woken = 0;
        for bed in guard.beds.iter_mut().filter(|bed| bed.word == here && !bed.woken) {
            if woken == count {
                break;
            }
            bed.woken = true;
            woken += 1;
        }
        bell.notify_all();
        woken
    }

    /// From now on sleeps may end by themselves, as at the end of a slice.
    pub fn pass_time() {
        let (dormitory, bell) = &*KERNEL;
        dormitory.lock().unwrap().time_passes = true;
        bell.notify_all();
    }
}
