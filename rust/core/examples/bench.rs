//! How quick the core is: `cargo run --release -p procession-core --example bench`.
//!
//! Each figure is the median of nine runs. A table for people, then a line of JSON for each figure.

#[cfg(loom)]
fn main() {}

#[cfg(not(loom))]
fn main() {
    bench::run();
}

#[cfg(not(loom))]
mod bench {
    use procession_core::event::Event;
    use procession_core::heap::{BlockKind, Credit, Heap, Held, family};
    use procession_core::mutex::Mutex;
    use procession_core::ring::{Found, Message, Quick, Ring};
    use procession_core::semlock::{Caller, Kind, SemLock};
    use procession_core::wait::Patience;
    use std::sync::Arc;
    use std::time::Instant;

    const RUNS: usize = 9;

    pub fn run() {
        let heap = family::found().expect("no heap");
        let figures = [
            ("mutex taken and given", mutex(&heap), "ns"),
            ("lock taken and given", lock(&heap, Kind::Lock), "ns"),
            ("recursive lock taken and given", lock(&heap, Kind::Recursive), "ns"),
            ("semaphore taken and given", lock(&heap, Kind::Semaphore), "ns"),
            ("block of 100 bytes made and freed", blocks(&heap), "ns"),
            ("object made and dropped", objects(&heap), "ns"),
            ("put and get of 16 bytes, one process", alone(&heap), "ns"),
            ("16 bytes there and back, two processes", there_and_back(&heap), "ns"),
            ("event there and back, two processes", events(&heap), "ns"),
            ("16 bytes, one way, a message", one_way(&heap, 16, 200_000), "ns"),
            ("1 MB, one way, a message", one_way(&heap, 1 << 20, 300) / 1000.0, "us"),
        ];
        println!("{} processors", std::thread::available_parallelism().map_or(1, |count| count.get()));
        for (name, value, unit) in figures {
            println!("{name:42} {value:10.1} {unit}");
        }
        for (name, value, unit) in figures {
            println!("{{\"name\": \"{name}\", \"value\": {value:.2}, \"unit\": \"{unit}\"}}");
        }
    }

    /// Nanoseconds a round, the median of some runs.
    fn timed(rounds: u64, mut run: impl FnMut()) -> f64 {
        let mut times: Vec<f64> = (0..RUNS)
            .map(|_| {
                let begin = Instant::now();
                (0..rounds).for_each(|_| run());
                begin.elapsed().as_nanos() as f64 / rounds as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[RUNS / 2]
    }

    fn object<T>(heap: &Arc<Heap>, kind: BlockKind, words: T) -> Held {
        // SAFETY: the block has room for the words and is known to nobody else.
        let write = |at: *mut u8| unsafe { at.cast::<T>().write(words) };
        Held::create(heap, kind, size_of::<T>() as u64, write).expect("no memory")
    }

    fn mutex(heap: &Arc<Heap>) -> f64 {
        let held = object(heap, BlockKind::Memory, Mutex::default());
        // SAFETY: it lies there.
        let mutex = unsafe { heap.at::<Mutex>(held.offset()) };
        timed(1_000_000, || {
            assert!(mutex.try_lock(heap.me()));
            mutex.unlock();
        })
    }

    fn lock(heap: &Arc<Heap>, kind: Kind) -> f64 {
        let caller = Caller { me: heap.me(), pid: heap.pid(), thread: 1, scope: false, alive: &|_| true };
        let held = object(heap, BlockKind::SemLock, SemLock::new(kind, 1, 1, &caller));
        // SAFETY: it lies there.
        let lock = unsafe { heap.at::<SemLock>(held.offset()) };
        timed(1_000_000, || {
            assert!(lock.try_acquire(&caller));
            assert!(lock.release(caller.me, caller.thread).is_ok());
        })
    }

    fn blocks(heap: &Arc<Heap>) -> f64 {
        timed(200_000, || heap.free(heap.alloc(100, BlockKind::Payload, 0).expect("no memory")))
    }

    fn objects(heap: &Arc<Heap>) -> f64 {
        timed(200_000, || drop(object(heap, BlockKind::Memory, [0u8; 100])))
    }

    fn put(ring: &Ring, data: &[u8]) {
        let message = Message { data, tag: 0, carry: &[] };
        if !matches!(ring.put_quick(&message), Quick::Done(())) {
            ring.put(&message, &mut Patience::endless()).expect("cannot put");
        }
    }

    /// Take a message into `place`, as the binding does: quickly if it is there.
    fn get(ring: &Ring, place: &mut [u8]) {
        loop {
            let look = |found: Found| {
                match found {
                    Found::Bytes(bytes) => place[..bytes.len()].copy_from_slice(bytes),
                    Found::Block(block) => place[..block.bytes().len()].copy_from_slice(block.bytes()),
                }
                Some(())
            };
            if let Quick::Done(_) = ring.get_quick(None, look) {
                return;
            }
            ring.wait_news(0, false, &mut Patience::endless()).expect("cannot wait");
        }
    }

    fn alone(heap: &Arc<Heap>) -> f64 {
        let ring = Ring::create(heap, 0).expect("no memory");
        let mut place = [0; 16];
        timed(500_000, || {
            put(&ring, &[1; 16]);
            get(&ring, &mut place);
        })
    }

    /// Run `other` in another process while `run` runs here.
    fn beside<R>(heap: &Arc<Heap>, other: impl FnOnce(), run: impl FnOnce() -> R) -> R {
        // SAFETY: this program has one thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            other();
            // SAFETY: the child ends here.
            unsafe { libc::_exit(0) };
        }
        let result = run();
        // SAFETY: a child of ours.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        heap.bury(child as u32);
        result
    }

    fn there_and_back(heap: &Arc<Heap>) -> f64 {
        let (there, back) = (Ring::create(heap, 0).expect("no memory"), Ring::create(heap, 0).expect("no memory"));
        let rounds = 50_000;
        let answer = || {
            let mut place = [0; 16];
            for _ in 0..rounds * RUNS as u64 {
                get(&there, &mut place);
                put(&back, &place);
            }
        };
        let mut place = [0; 16];
        beside(heap, answer, || {
            timed(rounds, || {
                put(&there, &[1; 16]);
                get(&back, &mut place);
            })
        })
    }

    fn events(heap: &Arc<Heap>) -> f64 {
        let held = [(), ()].map(|()| object(heap, BlockKind::Event, Event::default()));
        // SAFETY: they lie there.
        let [there, back] = [0, 1].map(|number| unsafe { heap.at::<Event>(held[number].offset()) });
        let credit = Credit::default();
        let pass = |from: &Event, to: &Event| {
            let seen = from.changes();
            // An odd number: it is set already.
            if seen & 1 == 0 && !heap.spin(&credit, &|| from.changes() != seen) {
                from.wait_since(seen, &mut Patience::endless()).expect("cannot wait");
            }
            from.clear();
            to.set();
        };
        let rounds = 20_000;
        let answer = || (0..rounds * RUNS as u64).for_each(|_| pass(there, back));
        there.set();
        beside(heap, answer, || timed(rounds, || pass(back, there)))
    }

    fn one_way(heap: &Arc<Heap>, size: usize, rounds: u64) -> f64 {
        let (ring, done) = (Ring::create(heap, 0).expect("no memory"), Ring::create(heap, 0).expect("no memory"));
        let data = vec![1; size];
        let taker = || {
            let mut place = vec![0; size];
            for _ in 0..RUNS {
                (0..rounds).for_each(|_| get(&ring, &mut place));
                put(&done, b"done");
            }
        };
        let mut place = [0; 16];
        let run = || {
            timed(1, || {
                (0..rounds).for_each(|_| put(&ring, &data));
                get(&done, &mut place);
            })
        };
        beside(heap, taker, run) / rounds as f64
    }
}
