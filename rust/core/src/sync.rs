//! The atomics of the whole crate, so that the loom model checker can stand in for them.

#[cfg(loom)]
pub use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering, fence},
};
#[cfg(not(loom))]
pub use std::{
    hint::spin_loop,
    sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering, fence},
};

/// Stands between a sequentially consistent store and a sequentially consistent load of another word
/// ("I announce, then I look"), and says nothing more than these do. Loom takes both for less than
/// they are, and needs a fence to give them their meaning.
#[inline(always)]
pub fn announced() {
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

/// Let others go on for a moment.
pub fn pause() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    std::thread::sleep(std::time::Duration::from_millis(1));
}
