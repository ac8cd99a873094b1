//! Kill a process at a random instruction of a tight loop; the others carry on.
//!
//! `SEED` and `ROUNDS` of the environment choose; the seed is printed, so that a failure can be had
//! again (as far as the scheduler lets it).

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
    use crate::kit::{
        Chance, Counter, drain, fork, kill, memory, message, number, pass, patient, reap, recover, take, within,
    };
    use procession_core::heap::{BlockKind, Heap, Held, family};
    use procession_core::ring::{Message, Ring, Slot};
    use procession_core::semlock::{Caller, Kind, SemLock, Taken};
    use procession_core::waitlist::{Page, Surroundings, WaitList};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// One sees to it that nothing in here hangs.
    const LIMIT: Duration = Duration::from_secs(5);

    type Scene = fn(&Arc<Heap>, &mut Chance);

    pub fn run() {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let seed = number("SEED").unwrap_or_else(|| std::process::id() as u64);
        let rounds = number("ROUNDS").unwrap_or(60);
        println!("kill: SEED={seed} ROUNDS={rounds}");
        let heap = family::found_apart().expect("no heap");
        let mut chance = Chance::new(seed);
        let scenes: [(&str, Scene); 9] = [
            ("putter", putter),
            ("getter", getter),
            ("both", both),
            ("locker", locker),
            ("allocator", allocator),
            ("carrier", carrier),
            ("sender", sender),
            ("claimer", claimer),
            ("waiter", waiter),
        ];
        // The parent's own page of handles stays.
        drop(memory(&heap, 1));
        for (name, scene) in scenes {
            for round in 0..rounds {
                let before = heap.stats();
                // SAFETY: ends the process if a round hangs; one thread, no handler.
                unsafe { libc::alarm(30) };
                let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    scene(&heap, &mut chance);
                    recover(&heap, before);
                }));
                assert!(told.is_ok(), "in scene {name}, round {round} of SEED={seed}");
            }
            println!("kill: {name} carried on {rounds} times");
        }
    }

    /// Let a child run `work` and kill it after a random time; `meanwhile` runs beside it.
    fn with_killed(
        heap: &Arc<Heap>,
        chance: &mut Chance,
        work: impl FnOnce(),
        meanwhile: impl FnOnce(Instant),
    ) -> u32 {
        let bits = chance.below(11);
        let time = Duration::from_nanos(chance.below(5000 << bits));
        let early = chance.below(40) == 0;
        let begun = Counter::new(heap);
        let pid = fork(|| {
            begun.set(1);
            work();
        });
        // Now and then it is killed before it runs; its seat takes a second to lapse.
        while begun.get() == 0 && !early {
            std::hint::spin_loop();
        }
        let end = Instant::now() + time;
        meanwhile(end);
        pass(end.saturating_duration_since(Instant::now()));
        kill(pid);
        assert_eq!(reap(pid), -libc::SIGKILL, "it failed before it was killed");
        pid
    }

    fn put(ring: &Ring, data: &[u8], carry: &[u64], tag: u64) {
        within(LIMIT, |patience| ring.put(&Message { data, tag, carry }, patience)).expect("cannot put");
    }

    /// It puts; what is there afterwards is what it put, whole and in order.
    fn putter(heap: &Arc<Heap>, chance: &mut Chance) {
        let ring = Ring::create(heap, if chance.below(2) == 0 { 0 } else { 3 }).unwrap();
        let (put_so_far, seed) = (Counter::new(heap), chance.next());
        let work = || {
            let mut chance = Chance::new(seed);
            for count in 0.. {
                put(&ring, &message(count, chance.size(40_000) as usize), &[], 0);
                put_so_far.set(count + 1);
            }
        };
        let mut got = Vec::new();
        with_killed(heap, chance, work, |end| {
            while Instant::now() < end {
                got.extend(take(&ring).map(|(bytes, _)| number(&bytes)));
            }
        });
        got.extend(drain(&ring));
        let count = got.len() as u64;
        assert_eq!(got, (0..count).collect::<Vec<_>>());
        assert!((put_so_far.get()..=put_so_far.get() + 1).contains(&count), "{count}");
        put(&ring, &message(7, 30_000), &[], 0);
        assert_eq!(drain(&ring), [7]);
    }

    /// It gets; what is left is all but what it got.
    fn getter(heap: &Arc<Heap>, chance: &mut Chance) {
        let ring = Ring::create(heap, 0).unwrap();
        let got_so_far = Counter::new(heap);
        let all = 400;
        for count in 0..all {
            put(&ring, &message(count, chance.size(30_000) as usize), &[], 0);
        }
        let work = || {
            for count in 0.. {
                match take(&ring) {
                    Some((bytes, _)) => assert_eq!(number(&bytes), count),
                    None => pass(Duration::from_millis(100)),
                }
                got_so_far.set((count + 1).min(all));
            }
        };
        with_killed(heap, chance, work, |_| ());
        let left = drain(&ring);
        let first = left.first().copied().unwrap_or(all);
        assert_eq!(left, (first..all).collect::<Vec<_>>());
        assert!((got_so_far.get()..=got_so_far.get() + 1).contains(&first));
        put(&ring, &message(7, 10), &[], 0);
        assert_eq!(drain(&ring), [7]);
    }

    /// It and a brother put and get on one ring; the brother and we lose nothing of our own.
    fn both(heap: &Arc<Heap>, chance: &mut Chance) {
        let ring = Ring::create(heap, 8).unwrap();
        let seed = chance.next();
        let work = || {
            let mut chance = Chance::new(seed);
            loop {
                take(&ring);
                let data = message(u32::MAX as u64, chance.size(20_000) as usize);
                let _ = within(Duration::ZERO, |patience| {
                    ring.put(&Message { data: &data, tag: 0, carry: &[] }, patience)
                });
            }
        };
        let mut ours = 0;
        with_killed(heap, chance, work, |end| {
            while Instant::now() < end {
                put(&ring, &message(ours, 100), &[], 0);
                ours += 1;
                take(&ring).into_iter().for_each(|(bytes, _)| assert!(number(&bytes) <= u32::MAX as u64));
            }
        });
        let ours_left: Vec<u64> = drain(&ring).into_iter().filter(|&number| number != u32::MAX as u64).collect();
        assert!(ours_left.windows(2).all(|pair| pair[0] < pair[1]), "each once, in order");
        put(&ring, &message(7, 10), &[], 0);
        assert_eq!(drain(&ring), [7]);
    }

    fn lock_at(held: &Held) -> &SemLock {
        // SAFETY: an object of kind SemLock.
        unsafe { held.heap().at::<SemLock>(held.offset()) }
    }

    /// It takes and gives a lock; we get it, and are told if it had it.
    fn locker(heap: &Arc<Heap>, chance: &mut Chance) {
        let alive = |id| heap.is_alive(id);
        let caller = || Caller { me: heap.me(), pid: std::process::id(), thread: 1, scope: false, alive: &alive };
        let kind = if chance.below(2) == 0 { Kind::Lock } else { Kind::Recursive };
        let words = SemLock::new(kind, 1, 1, &caller());
        // SAFETY: the block has room for the words and is known to nobody else.
        let write = |at: *mut u8| unsafe { at.cast::<SemLock>().write(words) };
        let held = Held::create(heap, BlockKind::SemLock, 64, write).unwrap();
        let inside = Counter::new(heap);
        let work = || {
            loop {
                assert_eq!(lock_at(&held).acquire(&caller(), &mut patient()), Taken::Yes);
                inside.set(1);
                inside.set(0);
                lock_at(&held).release(heap.me(), 1).unwrap();
            }
        };
        let mut told = false;
        let dead = with_killed(heap, chance, work, |end| {
            while Instant::now() < end {
                assert_eq!(lock_at(&held).acquire(&caller(), &mut patient()), Taken::Yes);
                assert_eq!(inside.get(), 0, "two are inside");
                lock_at(&held).release(heap.me(), 1).unwrap();
            }
        });
        let begin = Instant::now();
        while let Taken::OwnerDied(holder) = within(LIMIT, |patience| lock_at(&held).acquire(&caller(), patience))
        {
            assert!(!told, "told twice");
            assert!(holder.pid == dead || holder.pid == 0);
            told = true;
        }
        assert!(begin.elapsed() < Duration::from_secs(1));
        assert!(lock_at(&held).mine(heap.me(), 1));
        assert!(told || inside.get() == 0);
        lock_at(&held).release(heap.me(), 1).unwrap();
    }

    /// It makes and drops blocks and objects; all that it had goes with it.
    fn allocator(heap: &Arc<Heap>, chance: &mut Chance) {
        let (shared, seed) = (memory(heap, 100), chance.next());
        let work = || {
            let mut chance = Chance::new(seed);
            let (mut holds, mut blocks) = (Vec::new(), Vec::new());
            loop {
                match chance.below(6) {
                    0 => holds.push(memory(heap, 1 + chance.size(300_000))),
                    1 => holds.push(Held::open(heap, shared.handle(), BlockKind::Memory).unwrap()),
                    2 => blocks.push(heap.alloc(chance.size(300_000), BlockKind::Payload, 0).unwrap()),
                    3 => drop((!holds.is_empty()).then(|| holds.swap_remove(0))),
                    4 => blocks.pop().into_iter().for_each(|block| heap.free(block)),
                    _ => holds.truncate(200),
                }
            }
        };
        with_killed(heap, chance, work, |end| {
            let mut own = Vec::new();
            while Instant::now() < end {
                own.push(memory(heap, 1000));
                own.truncate(20);
            }
        });
    }

    /// It puts and gets messages that carry objects.
    fn carrier(heap: &Arc<Heap>, chance: &mut Chance) {
        let ring = Ring::create(heap, 0).unwrap();
        let seed = chance.next();
        let work = || {
            let mut chance = Chance::new(seed);
            loop {
                let object = memory(heap, 1 + chance.size(2000));
                let size = chance.size(20_000) as usize;
                put(&ring, &message(1, size), &[object.offset(), object.offset()], 0);
                if chance.below(2) == 0 {
                    drop(take(&ring));
                }
            }
        };
        with_killed(heap, chance, work, |end| {
            while Instant::now() < end {
                if let Some((bytes, carried)) = take(&ring) {
                    number(&bytes);
                    assert_eq!(carried.len(), 2);
                }
            }
        });
        while let Some((bytes, carried)) = take(&ring) {
            number(&bytes);
            let again = Held::open(heap, carried[0].handle(), BlockKind::Memory).expect("it is held");
            assert_eq!(again.offset(), carried[1].offset());
        }
    }

    /// It sends and takes buffers, and forks; what arrives is whole, and all memory comes home.
    fn sender(heap: &Arc<Heap>, chance: &mut Chance) {
        let ring = Ring::create(heap, 4).unwrap();
        let seed = chance.next();
        let work = || {
            let mut chance = Chance::new(seed);
            let mut kept = Vec::new();
            for count in 0.. {
                let buffer = Held::buffer(heap, &message(count, chance.size(400_000) as usize)).unwrap();
                put(&ring, &message(count, 10), &[buffer.offset()], 0);
                drop(buffer);
                if let Some((_, carried)) = take(&ring) {
                    kept.extend(carried.into_iter().filter(|held| held.take() && held.set_apart()));
                }
                kept.truncate(3);
                if chance.below(16) == 0 {
                    let child = fork(|| kept.iter().for_each(check));
                    assert_eq!(reap(child), 0);
                    heap.bury(child);
                }
            }
        };
        with_killed(heap, chance, work, |end| {
            while Instant::now() < end {
                for held in take(&ring).into_iter().flat_map(|(_, carried)| carried) {
                    assert!(held.take());
                    check(&held);
                }
            }
        });
        take_all(&ring);
    }

    fn check(held: &Held) {
        // SAFETY: so many bytes, which are ours.
        number(unsafe { std::slice::from_raw_parts(held.heap().address(held.offset()), held.length()) });
    }

    fn take_all(ring: &Ring) {
        while let Some((_, carried)) = take(ring) {
            carried.iter().for_each(check);
        }
    }

    /// It takes with a claim; once settled, the claim is exactly what was taken and not answered.
    fn claimer(heap: &Arc<Heap>, chance: &mut Chance) {
        let ring = Ring::create(heap, 0).unwrap();
        // SAFETY: zeroes are claims.
        let zero = |at: *mut u8| unsafe { at.write_bytes(0, 128) };
        let table = Held::create(heap, BlockKind::Claims, 128, zero).unwrap();
        let answered = Counter::new(heap);
        let all = 300;
        (0..all).for_each(|count| put(&ring, &message(count, chance.size(20_000) as usize), &[], 1000 + count));
        let work = || {
            let slot = Slot::of(&table, 1).unwrap();
            for count in 0..all {
                let got = ring.get(Some(&slot), ring.lane().alarms(), &mut patient());
                drop(got.ok());
                answered.set(count + 1);
                slot.claim().clear();
            }
            pass(Duration::from_secs(10));
        };
        with_killed(heap, chance, work, |_| ());
        within(LIMIT, |patience| ring.settle(patience)).expect("cannot settle");
        let claim = Slot::of(&table, 1).unwrap().claim().read();
        let left = drain(&ring);
        let first = left.first().copied().unwrap_or(all);
        assert_eq!(left, (first..all).collect::<Vec<_>>());
        match claim {
            Some((tag, _)) => assert_eq!(tag, 1000 + first - 1, "the last that was taken"),
            None => assert_eq!(answered.get(), first, "all that was taken was answered"),
        }
    }

    fn list_at<R>(held: &Held, work: impl FnOnce(&WaitList, &Surroundings) -> R) -> R {
        let heap = held.heap();
        let around = Surroundings {
            me: heap.me(),
            alive: &|id| heap.is_alive(id),
            // SAFETY: links of a list lead to its pages.
            page: &|offset| unsafe { heap.at::<Page>(offset) },
            grow: &|| {
                let page = heap.alloc(size_of::<Page>() as u64, BlockKind::Part, held.offset()).ok()?;
                // SAFETY: the block has room for a page and is known to nobody else.
                unsafe { heap.address(page).cast::<Page>().write(Page::default()) };
                Some(page)
            },
        };
        // SAFETY: an object of kind WaitList.
        work(unsafe { heap.at::<WaitList>(held.offset()) }, &around)
    }

    /// It enters a list of waiters and leaves it; a notification goes to who lives.
    fn waiter(heap: &Arc<Heap>, chance: &mut Chance) {
        // SAFETY: the block has room for the words and is known to nobody else.
        let write = |at: *mut u8| unsafe { at.cast::<WaitList>().write(WaitList::default()) };
        let held = Held::create(heap, BlockKind::WaitList, size_of::<WaitList>() as u64, write).unwrap();
        let work = || {
            loop {
                list_at(&held, |list, around| {
                    let tickets: Vec<u64> = (0..40).map(|_| list.enter(around).unwrap()).collect();
                    for ticket in tickets {
                        let _ = within(Duration::ZERO, |patience| list.wait(around, ticket, patience)).unwrap();
                    }
                });
            }
        };
        with_killed(heap, chance, work, |_| ());
        list_at(&held, |list, around| {
            let ticket = list.enter(around).unwrap();
            assert_eq!(list.notify(around, 1), 1);
            assert_eq!(within(LIMIT, |patience| list.wait(around, ticket, patience)), Some(Ok(())));
            assert_eq!(list.len(around), 0);
            assert_eq!(list.notify(around, usize::MAX), 0);
        });
    }
}
