//! What the tests have in common: numbers by chance that can be had again, and processes to kill.

#![allow(dead_code)] // Each test takes what it needs.

use procession_core::heap::collect::Stats;
use procession_core::heap::{BlockKind, Heap, Held};
use procession_core::ring::{Got, Ring, Stop};
use procession_core::sync::{AtomicU32, Ordering};
use procession_core::wait::{End, Patience};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Numbers by chance (xorshift), the same for the same seed.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Sizes as they come: mostly small, a few large.
    pub fn size(&mut self, most: u64) -> u64 {
        let bits = self.below(64 - most.leading_zeros() as u64 + 1);
        self.below(1 << bits).min(most)
    }
}

/// A message that tells its number and shows whether it is whole.
pub fn message(number: u64, size: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..size).map(|place| (number as usize * 31 + place) as u8));
    bytes
}

/// The number of a message; panics if it is not whole.
pub fn number(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(bytes[..8].try_into().expect("cut off"));
    assert!(bytes == message(number, bytes.len() - 8), "message {number} is damaged");
    number
}

/// Wait for ever.
pub fn patient() -> Patience<'static> {
    Patience::endless()
}

/// Run `work` with so much patience.
pub fn within<R>(limit: Duration, work: impl FnOnce(&mut Patience) -> R) -> R {
    let mut check = || None;
    work(&mut Patience::new(Some(limit), &mut check))
}

/// The oldest message and what it carried, or None if there is none.
pub fn take(ring: &Ring) -> Option<(Vec<u8>, Vec<Held>)> {
    match within(Duration::ZERO, |patience| ring.get(None, ring.lane().alarms(), patience)) {
        Ok((Got::Bytes(bytes), mut rest)) => Some((bytes, std::mem::take(&mut rest.carried))),
        Ok((Got::Block(block), mut rest)) => Some((block.bytes().to_vec(), std::mem::take(&mut rest.carried))),
        Err(Stop::End(End::TimedOut)) => None,
        Err(stop) => panic!("cannot get: {stop:?}"),
    }
}

/// The numbers of all messages that are there.
pub fn drain(ring: &Ring) -> Vec<u64> {
    std::iter::from_fn(|| take(ring)).map(|(bytes, _)| number(&bytes)).collect()
}

/// An object of plain memory, zeroed.
pub fn memory(heap: &Arc<Heap>, length: u64) -> Held {
    // SAFETY: the block has room for so many bytes and is known to nobody else.
    let zero = |at: *mut u8| unsafe { at.write_bytes(0, length as usize) };
    Held::create(heap, BlockKind::Memory, length, zero).expect("no memory")
}

/// A number that processes share, in an object of memory.
pub struct Counter(Held);

impl Counter {
    pub fn new(heap: &Arc<Heap>) -> Counter {
        Counter(memory(heap, 64))
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: zeroed memory of our own.
        unsafe { self.0.heap().at::<AtomicU32>(self.0.offset()) }
    }

    pub fn set(&self, value: u64) {
        self.word().store(value as u32, Ordering::SeqCst);
    }

    pub fn get(&self) -> u64 {
        self.word().load(Ordering::SeqCst) as u64
    }

    pub fn held(&self) -> &Held {
        &self.0
    }
}

/// Fork; the child runs `child` and ends.
pub fn fork(child: impl FnOnce()) -> u32 {
    // SAFETY: the tests that fork have one thread.
    match unsafe { libc::fork() } {
        0 => {
            // Nothing is left behind by a test that fails.
            // SAFETY: asks the kernel for a signal.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            // SAFETY: the child ends here, without what it has from the parent.
            unsafe { libc::_exit(if done.is_ok() { 0 } else { 101 }) }
        }
        pid if pid > 0 => pid as u32,
        _ => panic!("cannot fork: {}", std::io::Error::last_os_error()),
    }
}

pub fn kill(pid: u32) {
    // SAFETY: a signal to a child of ours that was not reaped yet.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
}

/// How process `pid` ended: its exit code, or minus the signal.
pub fn reap(pid: u32) -> i32 {
    let mut status = 0;
    // SAFETY: a child of ours.
    let reaped = unsafe { libc::waitpid(pid as i32, &mut status, 0) };
    assert_eq!(reaped, pid as i32, "{}", std::io::Error::last_os_error());
    if libc::WIFSIGNALED(status) { -libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

/// Bury the dead until the heap holds what it held `before`.
pub fn recover(heap: &Heap, before: Stats) {
    let begin = Instant::now();
    loop {
        heap.bury(0);
        let now = heap.stats();
        if (now.used, now.blocks, now.objects, now.members)
            == (before.used, before.blocks, before.objects, before.members)
        {
            return;
        }
        // Who was killed before it sat down leaves a seat that lapses after a while.
        assert!(begin.elapsed() < Duration::from_secs(5), "left behind: {now:?}, it was {before:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Spin, without a system call that a signal could end.
pub fn pass(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}
