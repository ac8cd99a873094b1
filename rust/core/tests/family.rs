//! What happens to a heap when its processes fork, run other programs, and end.

#[cfg(loom)]
fn main() {}

#[cfg(not(loom))]
mod kit;

#[cfg(not(loom))]
fn main() {
    tests::run();
}

#[cfg(not(loom))]
mod tests {
    use crate::kit::{Counter, drain, fork, kill, memory, message, patient, reap, recover, within};
    use procession_core::heap::{BlockKind, Heap, HeapError, Held, family};
    use procession_core::member::{SEATS, seat_of};
    use procession_core::ring::{Message, Ring, Stop};
    use procession_core::wait::{End, Patience};
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    type Test = fn(&Arc<Heap>);

    pub fn run() {
        let tests: [(&str, Test); 12] = [
            ("a child holds what its parent held", holds),
            ("a child's child, too", grandchild),
            ("who ends in good order is not searched for", orderly),
            ("who ends in good order beside a thread is", with_thread),
            ("who runs another program is no member", exec),
            ("a dead member that nobody names is buried in time", stroll),
            ("threads may use the heap while another forks", threads),
            ("two threads may fork at once", forkers),
            ("a fork in the middle of a wait leaves the wait to the parent", fork_in_wait),
            ("a reserved seat lapses", lapse),
            ("where no memory is left nothing is lost", refused),
            ("where no seat is left a child knows that it holds nothing", full),
        ];
        for (name, test) in tests {
            let heap = family::found_apart().expect("no heap");
            // SAFETY: ends the process if a test hangs; no handler.
            unsafe { libc::alarm(60) };
            test(&heap);
            println!("family: {name}");
        }
    }

    fn until(what: impl Fn() -> bool) {
        while !what() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn holds(heap: &Arc<Heap>) {
        let before = heap.stats();
        let (object, go) = (memory(heap, 100), Counter::new(heap));
        let handle = object.handle();
        // Each process takes its own out of its own copy.
        let object = Cell::new(Some(object));
        let child = fork(|| {
            until(|| go.get() == 1);
            assert!(Held::open(heap, handle, BlockKind::Memory).is_ok());
            let own = memory(heap, 100);
            assert!(object.take().unwrap().is_valid());
            assert!(matches!(Held::open(heap, handle, BlockKind::Memory), Err(HeapError::Gone)));
            drop(own);
        });
        until(|| heap.members().len() == 2);
        drop(object.take());
        assert_eq!(heap.stats().objects, 2, "the child holds it");
        go.set(1);
        assert_eq!(reap(child), 0);
        heap.bury(child);
        drop(go);
        let now = heap.stats();
        assert_eq!((now.objects, now.members), (before.objects, 1));
    }

    fn grandchild(heap: &Arc<Heap>) {
        let object = Counter::new(heap);
        let child = fork(|| {
            let grandchild = fork(|| object.set(object.get() + 1));
            assert_eq!(reap(grandchild), 0);
            heap.bury(grandchild);
            object.set(object.get() + 1);
        });
        assert_eq!(reap(child), 0);
        heap.bury(child);
        assert_eq!(object.get(), 2);
    }

    fn orderly(heap: &Arc<Heap>) {
        let before = heap.stats();
        let child = fork(|| {
            std::mem::forget(memory(heap, 100));
            family::leave();
        });
        assert_eq!(reap(child), 0);
        assert!(heap.seat(seat_of(id_of(heap, child))).parted());
        heap.bury(child);
        recover(heap, before);
    }

    fn id_of(heap: &Heap, pid: u32) -> u32 {
        let sits = |number: &usize| heap.seat(*number).occupant().1 == pid;
        heap.seat((1..SEATS).find(sits).expect("no seat")).occupant().0
    }

    fn with_thread(heap: &Arc<Heap>) {
        let before = heap.stats();
        let child = fork(|| {
            let heap = heap.clone();
            let begun = Arc::new(AtomicBool::new(false));
            let seen = begun.clone();
            std::thread::spawn(move || {
                heap.alloc(1000, BlockKind::Payload, 0).unwrap();
                begun.store(true, Ordering::SeqCst);
                std::thread::sleep(Duration::from_secs(100));
            });
            until(|| seen.load(Ordering::SeqCst));
            family::leave();
        });
        assert_eq!(reap(child), 0);
        assert!(!heap.seat(seat_of(id_of(heap, child))).parted());
        heap.bury(child);
        recover(heap, before);
    }

    fn exec(heap: &Arc<Heap>) {
        let object = memory(heap, 100);
        let child = fork(|| {
            // SAFETY: constant strings, and a list that ends with null.
            unsafe { libc::execlp(c"sleep".as_ptr(), c"sleep".as_ptr(), c"100".as_ptr(), std::ptr::null::<u8>()) };
        });
        drop(object);
        // While it runs.
        until(|| heap.bury(0) > 0 && heap.stats().objects == 0);
        kill(child);
        reap(child);
    }

    fn stroll(heap: &Arc<Heap>) {
        let object = memory(heap, 100);
        let forgotten = fork(family::leave);
        assert_eq!(reap(forgotten), 0);
        drop(object);
        assert_eq!(heap.stats().objects, 1);
        for _ in 0..3 {
            let child = fork(family::leave);
            assert_eq!(reap(child), 0);
            heap.bury(child);
        }
        assert_eq!(heap.stats().objects, 0);
    }

    fn threads(heap: &Arc<Heap>) {
        let before = heap.stats();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        let object = memory(heap, 100);
                        drop(Held::open(heap, object.handle(), BlockKind::Memory));
                        heap.free(heap.alloc(200, BlockKind::Payload, 0).unwrap());
                    }
                });
            }
            for _ in 0..100 {
                let child = fork(|| drop(memory(heap, 100)));
                assert_eq!(reap(child), 0);
                heap.bury(child);
            }
            over.store(true, Ordering::SeqCst);
        });
        recover(heap, heap.stats());
        assert_eq!(heap.stats().objects, before.objects);
    }

    fn forkers(heap: &Arc<Heap>) {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..40 {
                        let child = fork(|| drop(memory(heap, 100)));
                        assert_eq!(reap(child), 0);
                        heap.bury(child);
                    }
                });
            }
        });
        assert_eq!((heap.stats().objects, heap.members().len()), (0, 1));
    }

    fn fork_in_wait(heap: &Arc<Heap>) {
        let ring = Ring::create(heap, 0).unwrap();
        let (parent, mut child) = (std::process::id(), 0);
        let mut check = || {
            if child == 0 {
                // As a signal handler in Python might.
                // SAFETY: one thread.
                child = unsafe { libc::fork() };
            }
            (std::process::id() != parent).then_some(End::Forked)
        };
        let mut patience = Patience::new(Some(Duration::from_millis(1200)), &mut check);
        let end = ring.get(None, ring.lane().alarms(), &mut patience);
        if std::process::id() != parent {
            let forked = matches!(end, Err(Stop::End(End::Forked)));
            // SAFETY: the child ends here.
            unsafe { libc::_exit(!forked as i32) };
        }
        assert!(matches!(end, Err(Stop::End(End::TimedOut))));
        assert_eq!(reap(child as u32), 0);
        heap.bury(child as u32);
        // Had the child taken back what the parent announced, the next sleeper would not be woken.
        let putter = fork(|| {
            std::thread::sleep(Duration::from_millis(100));
            ring.put(&Message { data: &message(1, 1), tag: 0, carry: &[] }, &mut patient()).unwrap();
        });
        let begin = std::time::Instant::now();
        within(Duration::from_secs(5), |patience| ring.get(None, ring.lane().alarms(), patience)).unwrap();
        assert!(begin.elapsed() < Duration::from_millis(800), "not woken, but at the end of a slice");
        assert_eq!(reap(putter), 0);
        assert_eq!(drain(&ring).len(), 0);
    }

    fn lapse(heap: &Arc<Heap>) {
        let seat = (1..SEATS).find(|&number| heap.seat(number).occupant().0 == 0).unwrap();
        let id = heap.seat(seat).reserve(seat).unwrap();
        heap.root().seats.fetch_max(seat as u32 + 1, procession_core::sync::Ordering::SeqCst);
        assert!(heap.is_alive(id));
        assert_eq!(heap.seat(seat).reserve(seat), None);
        until(|| !heap.is_alive(id));
        heap.bury(0);
        assert!(!heap.seat(seat).sit(id, std::process::id()), "it was given away");
        let next = heap.seat(seat).reserve(seat).unwrap();
        assert!(next != id && seat_of(next) == seat_of(id));
        assert!(heap.seat(seat).sit(next, std::process::id()));
        heap.seat(seat).empty();
        assert_eq!(heap.seat(seat).pid_of(next), std::process::id(), "a lock may name it still");
        assert_eq!(heap.seat(seat).pid_of(id), 0);
    }

    /// A heap with few addresses; the one that the test was given has too many to use up.
    fn small_heap() -> Arc<Heap> {
        let mapped = std::fs::read_to_string("/proc/self/statm").unwrap();
        let mapped: u64 = mapped.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096;
        // SAFETY: plain values; the old limit is put back.
        unsafe {
            let mut before: libc::rlimit = std::mem::zeroed();
            assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &mut before), 0);
            let few = libc::rlimit { rlim_cur: mapped + (200 << 20), ..before };
            assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &few), 0);
            let heap = family::found_apart().expect("no heap");
            assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &before), 0);
            assert!(heap.size() <= 128 << 20, "{}", heap.size());
            heap
        }
    }

    fn refused(_: &Arc<Heap>) {
        let heap = &small_heap();
        let ring = Ring::create(heap, 0).unwrap();
        let kept: Vec<Held> = (0..60).map(|_| memory(heap, 100)).collect();
        let before = heap.stats();
        let put = |number: u64, size: usize| {
            let data = message(number, size);
            ring.put(&Message { data: &data, tag: 0, carry: &[] }, &mut patient())
        };
        let mut count = 0;
        for size in [3_000_000, 100_000, 10_000, 500] {
            while put(count, size).is_ok() {
                count += 1;
            }
            assert!(matches!(put(count, size), Err(Stop::Heap(HeapError::UsedUp(_)))));
        }
        let mut more = Vec::new();
        while let Ok(held) = Held::create(heap, BlockKind::Memory, 100, |_| ()) {
            more.push(held);
        }
        let holds = more.len() + kept.len();
        let child = fork(|| {
            // There was no memory for a list of all that its parent holds.
            assert!(!kept[0].is_valid() && !ring.held().is_valid());
            assert!(matches!(Held::open(heap, kept[0].handle(), BlockKind::Memory), Err(HeapError::UsedUp(_))));
        });
        assert_eq!(reap(child), 0);
        heap.bury(child);
        assert_eq!(heap.stats().objects as usize, holds + 1);
        drop(more);
        assert_eq!(drain(&ring), (0..count).collect::<Vec<_>>());
        put(7, 3_000_000).unwrap();
        // All addresses are used up: it lies in a block made for more.
        put(8, 2_000_000).unwrap();
        assert_eq!(drain(&ring), [7, 8]);
        // The ring's chunks have grown, and the list of what we hold.
        let now = heap.stats();
        assert!((now.objects, now.members) == (before.objects, 1), "{now:?}");
    }

    fn full(heap: &Arc<Heap>) {
        let object = Cell::new(Some(memory(heap, 100)));
        for number in 1..SEATS {
            heap.prepare_seat(number).unwrap();
            heap.seat(number).reserve(number);
        }
        let child = fork(|| {
            assert!(!object.take().unwrap().is_valid());
            assert!(matches!(family::of(heap.uid()), Some(Err(HeapError::Full))));
            // One is free again: now it is a member, though not a holder of what its parent holds.
            heap.seat(77).empty();
            let heap = family::of(heap.uid()).unwrap().unwrap();
            assert_eq!(seat_of(heap.me()), 77);
            drop(memory(&heap, 100));
        });
        assert_eq!(reap(child), 0);
        assert_eq!(heap.stats().objects, 1);
    }
}
