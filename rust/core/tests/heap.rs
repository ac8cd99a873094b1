//! Blocks and objects against a plain model.

#![cfg(not(loom))]

mod kit;

use kit::{Chance, memory};
use procession_core::heap::blocks::{HEADER, KEEP, KEEP_PARTS, LARGE};
use procession_core::heap::map::BLOCKS_AT;
use procession_core::heap::{BlockKind, Handle, Heap, HeapError, Held, family};
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

fn apart() -> Arc<Heap> {
    family::found_apart().expect("no heap")
}

/// Write a pattern that tells this block from the others, at its ends and some places between.
fn mark(heap: &Heap, offset: u64, length: u64, seal: u8) {
    for at in places(length) {
        // SAFETY: inside a block of ours.
        unsafe { heap.address(offset + at).write(seal ^ at as u8) };
    }
}

fn is_marked(heap: &Heap, offset: u64, length: u64, seal: u8) -> bool {
    // SAFETY: inside a block of ours.
    places(length).all(|at| unsafe { heap.address(offset + at).read() } == seal ^ at as u8)
}

fn places(length: u64) -> impl Iterator<Item = u64> {
    (0..length).step_by(1 + length as usize / 50).chain(length.checked_sub(1))
}

/// Every byte of the heap belongs to one block, free or in use.
fn assert_whole(heap: &Heap) {
    let stats = heap.stats();
    assert_eq!(stats.used + stats.free, stats.top - BLOCKS_AT);
}

fn blocks_by_chance(seed: u64, most: u64, rounds: u32) {
    let heap = apart();
    let mut chance = Chance::new(seed);
    let mut model: BTreeMap<u64, (u64, u8)> = BTreeMap::new();
    for round in 0..rounds {
        if chance.below(2) == 0 || model.is_empty() {
            let length = chance.size(most);
            let offset = heap.alloc(length, BlockKind::Payload, 0).expect("no memory");
            assert_eq!(offset % HEADER, 0);
            if let Some((&before, &(length, _))) = model.range(..=offset).next_back() {
                assert!(before + length + HEADER <= offset, "{seed}: blocks overlap");
            }
            if let Some((&after, _)) = model.range(offset..).next() {
                assert!(offset + length + HEADER <= after, "{seed}: blocks overlap");
            }
            model.insert(offset, (length, round as u8));
            mark(&heap, offset, length, round as u8);
        } else {
            let place = chance.below(model.len() as u64) as usize;
            let (&offset, &(length, seal)) = model.iter().nth(place).unwrap();
            assert!(is_marked(&heap, offset, length, seal), "{seed}: a block was written to by another");
            model.remove(&offset);
            heap.free(offset);
        }
    }
    assert_eq!(heap.stats().blocks, model.len() as u64);
    assert_whole(&heap);
    for (&offset, &(length, seal)) in &model {
        assert!(is_marked(&heap, offset, length, seal));
        heap.free(offset);
    }
    assert_eq!((heap.stats().blocks, heap.stats().used), (0, 0));
    assert_whole(&heap);
}

#[test]
fn small_blocks_by_chance() {
    (1..=4).for_each(|seed| blocks_by_chance(seed, 3000, 3000));
}

#[test]
fn blocks_of_all_sizes_by_chance() {
    (1..=3).for_each(|seed| blocks_by_chance(seed, 4 << 20, 600));
}

#[test]
fn a_freed_block_is_the_next_to_be_taken() {
    let heap = apart();
    for length in [1, 100, 5000, LARGE, 3 << 20] {
        let first = heap.alloc(length, BlockKind::Payload, 0).unwrap();
        heap.free(first);
        let top = heap.stats().top;
        assert_eq!(heap.alloc(length, BlockKind::Payload, 0).unwrap(), first);
        assert_eq!(heap.stats().top, top);
    }
}

fn resident(heap: &Heap) -> u64 {
    // SAFETY: all zeroes is a valid stat; the kernel fills it.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        assert_eq!(libc::fstat(heap.fd(), &mut stat), 0);
        stat.st_blocks as u64 * 512
    }
}

#[test]
fn pages_of_idle_blocks_go_back_to_the_system_but_for_some() {
    let heap = apart();
    let blocks: Vec<u64> =
        (0..50).map(|_| heap.alloc(KEEP / 3, BlockKind::Payload, 0).expect("no memory")).collect();
    assert!(resident(&heap) >= KEEP / 3 * 50);
    blocks.into_iter().for_each(|block| heap.free(block));
    // Besides: the seats, the headers, the step in which pages are allotted to small blocks.
    assert!(resident(&heap) <= KEEP + (3 << 20), "{}", resident(&heap));
    assert!(resident(&heap) >= KEEP / 3 * 2, "some are kept warm");
    // Of what objects consist of, fewer.
    let other = apart();
    let parts: Vec<u64> = (0..50).map(|_| other.alloc(KEEP / 5, BlockKind::Part, 0).expect("no memory")).collect();
    parts.into_iter().for_each(|part| other.free(part));
    assert!(resident(&other) <= KEEP_PARTS + (3 << 20), "{}", resident(&other));
    // What was given back can be had again.
    let again = heap.alloc(KEEP / 3, BlockKind::Payload, 0).unwrap();
    mark(&heap, again, KEEP / 3, 1);
    assert!(is_marked(&heap, again, KEEP / 3, 1));
}

#[test]
fn blocks_are_filled_alike_whether_their_pages_are_there_or_not() {
    let heap = apart();
    let parts: Vec<Vec<u8>> =
        [5, 0, 3 << 20, 100_001, 1].iter().map(|&size| vec![size as u8 ^ 77; size]).collect();
    let parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
    let whole = parts.concat();
    for length in [whole.len(), whole.len() + 1, whole.len() + 500_000] {
        for _ in 0..3 {
            let offset = heap.alloc_filled(length as u64, BlockKind::Payload, 0, &parts).unwrap();
            let capacity = heap.header(offset).capacity() as usize;
            // SAFETY: a block of ours, all of which is allotted.
            let bytes = unsafe { std::slice::from_raw_parts_mut(heap.address(offset), capacity) };
            assert!(bytes[..whole.len()] == whole);
            let before = resident(&heap);
            bytes.fill(1);
            assert_eq!(resident(&heap), before, "what is behind was not allotted");
            heap.free(offset);
        }
    }
    assert_whole(&heap);
}

#[test]
fn more_than_there_is_of_is_refused_and_leaves_nothing() {
    let heap = apart();
    for length in [heap.size(), heap.size() / 2 + 1, u64::MAX - HEADER] {
        assert!(matches!(heap.alloc(length, BlockKind::Payload, 0), Err(HeapError::UsedUp(_))), "{length}");
    }
    assert_eq!(heap.stats().blocks, 0);
}

#[test]
fn objects_by_chance() {
    let heap = apart();
    let mut chance = Chance::new(5);
    let mut holds: Vec<Held> = Vec::new();
    let mut gone: Vec<Handle> = Vec::new();
    for _ in 0..4000 {
        match chance.below(3) {
            0 => holds.push(memory(&heap, 1 + chance.size(2000))),
            1 if !holds.is_empty() => {
                let handle = holds[chance.below(holds.len() as u64) as usize].handle();
                holds.push(Held::open(&heap, handle, BlockKind::Memory).expect("it is held"));
            }
            _ if !holds.is_empty() => {
                let handle = holds.swap_remove(chance.below(holds.len() as u64) as usize).handle();
                if !holds.iter().any(|held| held.handle() == handle) {
                    gone.push(handle);
                }
            }
            _ => {}
        }
        if let Some(&handle) = gone.last() {
            assert!(matches!(Held::open(&heap, handle, BlockKind::Memory), Err(HeapError::Gone)));
        }
    }
    let mut alive: Vec<u64> = holds.iter().map(|held| held.handle().serial).collect();
    alive.sort();
    alive.dedup();
    assert_eq!(heap.stats().objects, alive.len() as u64);
    drop(holds);
    assert_eq!(heap.stats().objects, 0);
}

#[test]
fn a_handle_of_something_else_is_refused() {
    let heap = apart();
    let held = memory(&heap, 10);
    let handle = held.handle();
    assert!(matches!(Held::open(&heap, handle, BlockKind::Event), Err(HeapError::OtherKind)));
    for other in [
        Handle { serial: handle.serial + 1, ..handle },
        Handle { family: handle.family ^ 1, ..handle },
        Handle { offset: handle.offset + 8, ..handle },
        Handle { offset: 0, ..handle },
        Handle { offset: u64::MAX, ..handle },
    ] {
        assert!(matches!(Held::open(&heap, other, BlockKind::Memory), Err(HeapError::Gone)), "{other:?}");
    }
}

#[test]
fn a_hold_is_given_up_at_once_unless_somebody_has_the_lock() {
    let heap = apart();
    let held = memory(&heap, 10);
    let held = heap.locked(|| held.drop_at_once()).expect_err("the lock is not free");
    assert_eq!(heap.stats().objects, 1);
    assert!(held.drop_at_once().is_ok());
    assert_eq!(heap.stats().objects, 0);
}

#[test]
fn a_heap_is_joined_once_and_nothing_else_is() {
    let heap = apart();
    let copy = |fd: i32| {
        // SAFETY: borrowed for the duplication only.
        unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().expect("no descriptor")
    };
    assert!(Arc::ptr_eq(&family::join(copy(heap.fd())).unwrap(), &heap));
    assert!(Arc::ptr_eq(&family::of(heap.uid()).unwrap().unwrap(), &heap));
    assert!(family::of(heap.uid() ^ 1).is_none());
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    assert!(matches!(family::join(file.into()), Err(HeapError::NotAHeap | HeapError::Sys(_))));
    // SAFETY: a constant name; the descriptor is new and ours.
    let empty = unsafe { libc::memfd_create(c"empty".as_ptr(), 0) };
    assert!(matches!(family::join(copy(empty)), Err(HeapError::NotAHeap)));
    // SAFETY: as above.
    assert_eq!(unsafe { libc::ftruncate(empty, 1 << 30) }, 0);
    assert!(matches!(family::join(copy(empty)), Err(HeapError::NotAHeap)));
}

#[test]
fn this_process_is_a_member_and_has_nobody_to_bury() {
    let heap = apart();
    assert_eq!(heap.members(), [(std::process::id(), heap.me())]);
    let held = memory(&heap, 10);
    assert_eq!(heap.bury(0), 0);
    assert_eq!(heap.bury(std::process::id()), 0);
    assert_eq!(heap.stats().objects, 1);
    drop(held);
}
