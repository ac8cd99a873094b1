//! A member gone wrong writes over a ring; the others get errors, or messages that mean nothing, and
//! neither fall nor hang.
//!
//! `SEED` and `ROUNDS` of the environment choose; the seed is printed.

#[cfg(loom)]
fn main() {}

#[cfg(not(loom))]
mod kit;

#[cfg(not(loom))]
fn main() {
    rounds::run();
}

#[cfg(not(loom))]
mod rounds {
    use crate::kit::{Chance, fork, memory, message, reap, within};
    use procession_core::heap::{Heap, HeapError, family};
    use procession_core::ring::{Found, Message, Ring, Stop, Words, walk};
    use procession_core::sync::{AtomicU32, AtomicU64, Ordering};
    use std::sync::Arc;
    use std::time::Duration;

    const MESSAGES: u64 = 40;
    const ENOUGH: Duration = Duration::from_millis(1);

    pub fn run() {
        let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let (seed, rounds) = (variable("SEED").unwrap_or(1), variable("ROUNDS").unwrap_or(300));
        println!("damage: SEED={seed} ROUNDS={rounds}");
        let mut errors = 0;
        for round in 0..rounds {
            let end = reap(fork(|| live(seed * 1_000_003 + round)));
            assert!(end == 0 || end == 7, "round {round} of seed {seed} ended with {end}");
            errors += (end == 7) as u64;
        }
        assert!(errors > 0, "no damage was noticed");
        println!("damage: survived, noticed in {errors} rounds");
    }

    /// A heap of its own is written over, and used. Ends with 7 if the damage was noticed.
    fn live(seed: u64) {
        // SAFETY: ends the process if something hangs; one thread, no handler.
        unsafe { libc::alarm(20) };
        let mut chance = Chance::new(seed);
        let heap = family::found_apart().expect("no heap");
        let ring = Ring::create(&heap, 0).unwrap();
        let object = memory(&heap, 64);
        for number in 0..MESSAGES {
            let (data, carried) = (message(number, chance.size(20_000) as usize), [object.offset()]);
            put(&ring, &data, if number % 5 == 0 { &carried } else { &[] }).expect("nothing is wrong yet");
        }
        for _ in 0..1 + chance.below(6) {
            damage(&heap, &ring, &mut chance);
        }
        let noticed = use_it(&ring, &mut chance);
        // The dead are taken back: everything that hangs on the ring is looked at.
        reap(fork(|| drop(memory(&heap, 10))));
        heap.bury(0);
        heap.stats();
        drop(ring);
        if noticed {
            // SAFETY: the child of a test ends here.
            unsafe { libc::_exit(7) }
        }
    }

    fn put(ring: &Ring, data: &[u8], carry: &[u64]) -> Result<(), Stop> {
        within(ENOUGH, |patience| ring.put(&Message { data, tag: 1, carry }, patience))
    }

    /// One word of the ring itself, or of its chunks and blocks, becomes something else.
    fn damage(heap: &Arc<Heap>, ring: &Ring, chance: &mut Chance) {
        let begin = ring.held().offset();
        let parts = walk::parts(heap, begin);
        let at = match if parts.is_empty() { 0 } else { chance.below(2) } {
            0 => begin + chance.below(std::mem::size_of::<Words>() as u64 / 8) * 8,
            _ => {
                let part = parts[chance.below(parts.len() as u64) as usize];
                part + chance.below(heap.header(part).capacity() / 8).min(chance.below(100)) * 8
            }
        };
        let lane = ring.lane();
        let locks = [&lane.puts.lock, &lane.gets.lock].map(|lock| std::ptr::from_ref(lock) as u64);
        // A lock that names the living is waited for, as it should be.
        if locks.contains(&(heap.address(at) as u64)) {
            return;
        }
        // SAFETY: a word of the mapping, read and written as atomics as all others do.
        let (word, half) = unsafe { (heap.at::<AtomicU64>(at), heap.at::<AtomicU32>(at)) };
        let near = word.load(Ordering::SeqCst);
        match chance.below(6) {
            0 => word.store(chance.next() << 11 | chance.next(), Ordering::SeqCst),
            1 => word.store(near.wrapping_add(chance.below(4096)).wrapping_sub(2048), Ordering::SeqCst),
            2 => word.store(near ^ 1 << chance.below(64), Ordering::SeqCst),
            3 => word.store(begin + chance.below(1 << 16) / 64 * 64, Ordering::SeqCst),
            4 => half.store(u32::MAX, Ordering::SeqCst),
            _ => half.store(chance.below(300) as u32, Ordering::SeqCst),
        }
    }

    /// Was anything noticed?
    fn use_it(ring: &Ring, chance: &mut Chance) -> bool {
        let mut noticed = false;
        let mut note = |end: Result<(), Stop>| noticed |= matches!(end, Err(Stop::Heap(HeapError::Damaged)));
        for number in 0..MESSAGES + 20 {
            match chance.below(4) {
                0 => note(put(ring, &message(number, chance.size(20_000) as usize), &[])),
                1 => {
                    ring.get_quick(None, |found: Found| match found {
                        Found::Bytes(bytes) => Some(bytes.len()),
                        Found::Block(block) => Some(block.bytes().iter().filter(|&&byte| byte > 0).count()),
                    });
                }
                _ => note(within(ENOUGH, |patience| ring.get(None, ring.lane().alarms(), patience)).map(drop)),
            }
        }
        noticed
    }
}
