//! A lock for what one process has for itself, which can be held across a fork: taken before it,
//! and given back in both processes after it. (The standard library's guards cannot.)
//!
//! It is not reentrant: nothing that could run Python code is called while it is held.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

/// A value behind a spinning lock; its critical sections are a few hundred instructions.
#[derive(Default)]
pub struct Local<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through the lock only.
unsafe impl<T: Send> Sync for Local<T> {}

impl<T> Local<T> {
    /// Of this value.
    pub const fn new(value: T) -> Self {
        Local { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Take it.
    pub fn lock(&self) -> Guard<'_, T> {
        while self.taken.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            std::thread::yield_now();
        }
        Guard { local: self }
    }

    /// Take it if nobody has it.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let took = self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        took.is_ok().then_some(Guard { local: self })
    }

    /// The guard that the calling thread forgot, once more.
    ///
    /// # Safety
    /// The calling thread forgot a guard of it before a fork, and resumes it once.
    pub unsafe fn resume(&self) -> Guard<'_, T> {
        Guard { local: self }
    }
}

/// Access to the value; gives the lock back when dropped.
pub struct Guard<'a, T> {
    local: &'a Local<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard is the lock.
        unsafe { &*self.local.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard is the lock.
        unsafe { &mut *self.local.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.local.taken.store(false, Ordering::Release);
    }
}
