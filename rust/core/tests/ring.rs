//! Rings against a plain queue.

#![cfg(not(loom))]

mod kit;

use kit::{Chance, drain, memory, message, number, take, within};
use procession_core::claims::Progress;
use procession_core::heap::{BlockKind, Heap, Held, family};
use procession_core::ring::{Found, INLINE, Message, Quick, Ring, Slot, Stop};
use procession_core::wait::{End, Patience};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

fn ring(limit: u32) -> (Arc<Heap>, Ring) {
    let heap = family::found_apart().expect("no heap");
    let ring = Ring::create(&heap, limit).expect("no memory");
    (heap, ring)
}

fn put(ring: &Ring, data: &[u8], carry: &[u64]) -> bool {
    let message = Message { data, tag: 0, carry };
    match within(Duration::ZERO, |patience| ring.put(&message, patience)) {
        Ok(()) => true,
        Err(Stop::End(End::TimedOut)) => false,
        Err(stop) => panic!("cannot put: {stop:?}"),
    }
}

/// As the binding does: quickly if that goes, else slowly.
fn put_either_way(ring: &Ring, data: &[u8]) -> bool {
    match ring.put_quick(&Message { data, tag: 0, carry: &[] }) {
        Quick::Done(()) => true,
        Quick::NotNow => false,
        Quick::Busy => put(ring, data, &[]),
    }
}

fn get_either_way(ring: &Ring) -> Option<Vec<u8>> {
    let look = |found: Found| match found {
        Found::Bytes(bytes) => Some(bytes.to_vec()),
        Found::Block(block) => Some(block.bytes().to_vec()),
    };
    match ring.get_quick(None, look) {
        Quick::Done((bytes, _rest)) => bytes,
        Quick::NotNow => None,
        Quick::Busy => take(ring).map(|(bytes, _)| bytes),
    }
}

fn by_chance(seed: u64, limit: u32, most: u64, rounds: u32) {
    let (heap, ring) = ring(limit);
    let mut chance = Chance::new(seed);
    let mut model = VecDeque::new();
    // In turn mostly puts and mostly gets, so that chunks come and go.
    for round in 0..rounds {
        let puts = if round / 300 % 2 == 0 { 6 } else { 3 };
        if chance.below(10) < puts {
            let data = message(round as u64, chance.size(most) as usize);
            let fits = limit == 0 || model.len() < limit as usize;
            let done = if chance.below(4) == 0 { put(&ring, &data, &[]) } else { put_either_way(&ring, &data) };
            assert_eq!(done, fits, "seed {seed}");
            model.extend(fits.then_some(data));
        } else {
            let got = if chance.below(4) == 0 { take(&ring).map(|got| got.0) } else { get_either_way(&ring) };
            assert_eq!(got, model.pop_front(), "seed {seed}, round {round}");
        }
        assert_eq!(ring.lane().len() as usize, model.len());
    }
    while let Some(data) = model.pop_front() {
        assert_eq!(get_either_way(&ring), Some(data));
    }
    // The ring, its last chunk, a page of handles.
    assert_eq!(heap.stats().blocks, 3, "seed {seed}");
    drop(ring);
    assert_eq!(heap.stats().blocks, 1);
}

#[test]
fn a_ring_is_a_queue() {
    (1..=3).for_each(|seed| by_chance(seed, 0, 300, 6000));
}

#[test]
fn with_messages_of_all_sizes() {
    (1..=3).for_each(|seed| by_chance(seed, 0, 100_000, 1500));
}

#[test]
fn with_a_limit() {
    (1..=2).for_each(|seed| by_chance(seed, 1 + seed as u32 * 3, 40_000, 1500));
    by_chance(9, 1, 100, 1000);
}

#[test]
fn sizes_at_every_boundary() {
    let (_heap, ring) = ring(0);
    let chunk = 4096 - 64;
    let around = |size: usize| size - 40..size + 41;
    for size in [40, chunk, INLINE, 8192, 128 << 10].into_iter().flat_map(around) {
        // Twice: into what room the first leaves.
        let messages = [message(1, size.saturating_sub(8)), message(2, size.saturating_sub(8))];
        messages.iter().for_each(|data| assert!(put_either_way(&ring, data)));
        messages.into_iter().for_each(|data| assert_eq!(get_either_way(&ring), Some(data), "{size}"));
    }
}

#[test]
fn the_first_chunk_may_be_too_small_for_the_first_message() {
    let (_heap, ring) = ring(0);
    let data = message(1, INLINE - 8);
    assert!(put_either_way(&ring, &data));
    assert_eq!(get_either_way(&ring), Some(data));
}

#[test]
fn many_at_once() {
    let (_heap, ring) = ring(700);
    let mut chance = Chance::new(3);
    let datas: Vec<Vec<u8>> = (0..1000).map(|number| message(number, chance.size(40_000) as usize)).collect();
    let messages: Vec<Message> = datas.iter().map(|data| Message { data, tag: 0, carry: &[] }).collect();
    let mut count = 0;
    let end = within(Duration::ZERO, |patience| ring.put_many(&messages, &mut count, patience));
    assert!(matches!(end, Err(Stop::End(End::TimedOut))));
    assert_eq!(count, 700);
    assert_eq!(drain(&ring), (0..700).collect::<Vec<_>>());
}

#[test]
fn a_message_holds_what_it_carries() {
    let (heap, ring) = ring(0);
    for size in [0, 10, 5000, 100_000] {
        let objects: Vec<Held> = (0..100).map(|_| memory(&heap, 50)).collect();
        let offsets: Vec<u64> = objects.iter().map(Held::offset).collect();
        let handles: Vec<_> = objects.iter().map(Held::handle).collect();
        assert!(put(&ring, &message(7, size), &offsets));
        assert!(put(&ring, &message(8, size), &offsets[..1]));
        drop(objects);
        assert_eq!(heap.stats().objects, 101, "size {size}");
        let (bytes, carried) = take(&ring).unwrap();
        assert_eq!(number(&bytes), 7);
        assert_eq!(carried.iter().map(Held::handle).collect::<Vec<_>>(), handles);
        drop(carried);
        assert_eq!(heap.stats().objects, 2, "the other message still holds the first");
        assert_eq!(take(&ring).unwrap().1[0].handle(), handles[0]);
        assert_eq!(heap.stats().objects, 1);
    }
}

#[test]
fn a_ring_that_goes_lets_go_what_its_messages_carry() {
    let (heap, ring) = ring(0);
    // Rings in rings, deeper than any stack: each is held by the message of the one before.
    let first = Ring::create(&heap, 0).unwrap();
    let mut last = Ring::over(Held::open(&heap, first.held().handle(), BlockKind::Ring).unwrap());
    for _ in 0..3000 {
        let next = Ring::create(&heap, 0).unwrap();
        assert!(put(&last, b"another", &[next.held().offset()]));
        last = next;
    }
    drop(last);
    assert!(put(&ring, &message(1, 100_000), &[first.held().offset()]));
    drop(first);
    assert_eq!(heap.stats().objects, 3002);
    drop(ring);
    assert_eq!(heap.stats().objects, 0);
}

#[test]
fn a_claim_is_written_as_part_of_the_taking() {
    let (heap, ring) = ring(0);
    // SAFETY: zeroes are claims.
    let write = |at: *mut u8| unsafe { at.write_bytes(0, 128) };
    let table = Held::create(&heap, BlockKind::Claims, 128, write).unwrap();
    assert!(Slot::of(&table, 2).is_none() && Slot::of(&table, u64::MAX).is_none());
    let slot = Slot::of(&table, 1).unwrap();
    for size in [0, 100_000] {
        assert_eq!(slot.claim().read(), None);
        let data = message(1, size);
        within(Duration::ZERO, |patience| ring.put(&Message { data: &data, tag: 42, carry: &[] }, patience))
            .unwrap();
        match ring.get_quick(Some(&slot), |_| Some(())) {
            Quick::Done((Some(()), _)) => {}
            _ => panic!("a message is there"),
        }
        assert_eq!(slot.claim().read(), Some((42, Progress::default())));
        assert!(slot.claim().begin(3, 9));
        assert_eq!(slot.claim().read(), Some((42, Progress { begun: 3, end: 9, runs: true, answers: false })));
        assert_eq!(ring.cut(&slot, 42, 4, &mut Patience::endless()).unwrap(), Some((4, 9)));
        assert_eq!(ring.cut(&slot, 41, 1, &mut Patience::endless()).unwrap(), None);
        assert_eq!(ring.cut(&slot, 42, 4, &mut Patience::endless()).unwrap(), None);
        slot.claim().answer();
        assert_eq!(slot.claim().read(), Some((42, Progress { begun: 3, end: 4, runs: true, answers: true })));
        assert!(slot.claim().begin(3, 9));
        assert_eq!(slot.claim().read(), Some((42, Progress { begun: 3, end: 4, runs: true, answers: false })));
        assert!(!slot.claim().begin(4, 9));
        slot.claim().clear();
    }
    assert_eq!(Slot::of(&table, 0).unwrap().claim().read(), None);
}

#[test]
fn a_look_that_fails_leaves_the_message() {
    let (_heap, ring) = ring(0);
    assert!(put(&ring, &message(1, 10), &[]));
    assert!(matches!(ring.get_quick(None, |_| None::<()>), Quick::Done((None, _))));
    assert_eq!(drain(&ring), [1]);
}

#[test]
fn a_busy_lock_does_not_make_a_ring_look_full_or_empty() {
    let (_heap, ring) = ring(0);
    assert!(put(&ring, &message(1, 10), &[]));
    std::thread::scope(|scope| {
        for side in [&ring.lane().puts, &ring.lane().gets] {
            // Another thread of this process has it: nobody's death, so nobody's inheritance.
            assert!(side.lock.try_lock(ring.held().heap().me()));
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(120));
                side.lock.unlock();
            });
        }
        assert!(put_either_way(&ring, &message(2, 10)));
        assert_eq!(drain(&ring), [1, 2]);
    });
}

#[test]
fn threads_put_and_get_each_message_once() {
    let (_heap, ring) = ring(50);
    let each = 3000;
    let mut got = std::thread::scope(|scope| {
        for putter in 0..2 {
            let ring = &ring;
            scope.spawn(move || {
                for number in 0..each {
                    let data = message(putter * each + number, number as usize % 200);
                    within(Duration::from_secs(50), |patience| {
                        ring.put(&Message { data: &data, tag: 0, carry: &[] }, patience)
                    })
                    .unwrap();
                }
            });
        }
        let getters: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut got = Vec::new();
                    while got.len() < each as usize {
                        let alarms = ring.lane().alarms();
                        let taken = within(Duration::from_secs(50), |patience| ring.get(None, alarms, patience));
                        match taken.unwrap().0 {
                            procession_core::ring::Got::Bytes(bytes) => got.push(number(&bytes)),
                            _ => panic!("small messages lie in chunks"),
                        }
                    }
                    got
                })
            })
            .collect();
        getters.into_iter().flat_map(|getter| getter.join().unwrap()).collect::<Vec<_>>()
    });
    got.sort();
    assert_eq!(got, (0..2 * each).collect::<Vec<_>>());
}

#[test]
fn a_shut_ring_takes_no_more_and_keeps_nobody_waiting() {
    let (_heap, ring) = ring(1);
    let long = Duration::from_secs(50);
    let shut = |ring: &Ring| within(long, |patience| ring.shut(patience)).unwrap();
    assert!(put(&ring, &message(1, 10), &[]));
    std::thread::scope(|scope| {
        let putters = [10, INLINE + 1].map(|size| {
            let ring = &ring;
            scope.spawn(move || {
                let data = message(2, size);
                within(long, |patience| ring.put(&Message { data: &data, tag: 0, carry: &[] }, patience))
            })
        });
        std::thread::sleep(Duration::from_millis(50));
        shut(&ring);
        for putter in putters {
            assert!(matches!(putter.join().unwrap(), Err(Stop::End(End::TimedOut))));
        }
    });
    assert_eq!(drain(&ring), [1]);
    assert!(!put_either_way(&ring, &message(3, 10)));
    // A getter of an empty one is let go, whether it came before or after.
    let alarms = ring.lane().alarms();
    assert!(within(long, |patience| ring.get(None, alarms, patience)).is_err());
    let (_heap, ring) = self::ring(0);
    let alarms = ring.lane().alarms();
    std::thread::scope(|scope| {
        let getter = scope.spawn(|| within(long, |patience| ring.get(None, alarms, patience).map(drop)));
        std::thread::sleep(Duration::from_millis(50));
        shut(&ring);
        assert!(getter.join().unwrap().is_err());
    });
}
