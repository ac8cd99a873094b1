//! What the parent shares with the child that is killed, and what must hold of it afterwards.

use crate::kit::{Counter, drain, memory, message, number, patient, take, within};
use procession_core::circle::{Vigil, Who};
use procession_core::event::Event;
use procession_core::heap::{BlockKind, Heap, Held};
use procession_core::relay::{ROOM, Relay};
use procession_core::ring::{Message, Ring, Slot};
use procession_core::semlock::{Caller, Kind, SemLock, Taken};
use procession_core::wait::End;
use procession_core::waitlist::{Page, Surroundings, WaitList};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(5);
/// Messages that lie in each ring at first.
pub const FIRST: u64 = 30;
/// Messages of the child have numbers from here on.
pub const CHILDS: u64 = 1000;

pub struct Things {
    pub heap: Arc<Heap>,
    pub ring: Ring,
    pub narrow: Ring,
    pub tasks: Ring,
    pub table: Held,
    pub lock: Held,
    pub recursive: Held,
    pub semaphore: Held,
    pub event: Held,
    pub list: Held,
    pub relay: Held,
    pub got: Counter,
    pub answered: Counter,
}

fn hold<T>(heap: &Arc<Heap>, kind: BlockKind, words: T) -> Held {
    // SAFETY: the block has room for the words and is known to nobody else.
    let write = |at: *mut u8| unsafe { at.cast::<T>().write(words) };
    Held::create(heap, kind, size_of::<T>() as u64, write).expect("no memory")
}

pub fn put(ring: &Ring, number: u64, size: usize, carry: &[u64]) {
    let data = message(number, size);
    let message = Message { data: &data, tag: number, carry };
    within(LIMIT, |patience| ring.put(&message, patience)).expect("cannot put");
}

/// Sizes of messages, by number: some in chunks, some too large for them.
pub fn size(number: u64) -> usize {
    [3, 300, 3000, 10_000, 20_000][number as usize % 5]
}

impl Things {
    pub fn new(heap: &Arc<Heap>) -> Things {
        let things = Things {
            heap: heap.clone(),
            ring: Ring::create(heap, 0).unwrap(),
            narrow: Ring::create(heap, 2).unwrap(),
            tasks: Ring::create(heap, 0).unwrap(),
            // Room for two claims.
            table: hold(heap, BlockKind::Claims, [0u64; 16]),
            lock: hold(heap, BlockKind::SemLock, SemLock::new(Kind::Lock, 1, 1, &caller(heap, &|_| true))),
            recursive: hold(
                heap,
                BlockKind::SemLock,
                SemLock::new(Kind::Recursive, 1, 1, &caller(heap, &|_| true)),
            ),
            semaphore: hold(
                heap,
                BlockKind::SemLock,
                SemLock::new(Kind::Semaphore, 3, 9, &caller(heap, &|_| true)),
            ),
            event: hold(heap, BlockKind::Event, Event::default()),
            list: hold(heap, BlockKind::WaitList, WaitList::default()),
            relay: hold(heap, BlockKind::Relay, Relay::default()),
            got: Counter::new(heap),
            answered: Counter::new(heap),
        };
        for count in 0..FIRST {
            let object = memory(heap, 100);
            let carried = [object.offset()];
            put(&things.ring, count, size(count), if count % 3 == 0 { &carried } else { &[] });
            put(&things.tasks, count, size(count), &[]);
        }
        things
    }

    pub fn slot(&self) -> Slot<'_> {
        Slot::of(&self.table, 1).unwrap()
    }

    pub fn acquire(&self, lock: &Held) -> Taken {
        let alive = |id| self.heap.is_alive(id);
        within(LIMIT, |patience| semlock(lock).acquire(&caller(&self.heap, &alive), patience))
    }

    /// It waits for its own with statement, which is found out.
    pub fn acquire_twice(&self) {
        let heap = &self.heap;
        let alive = |id| heap.is_alive(id);
        let caller = Caller { scope: true, ..caller(heap, &alive) };
        while !matches!(semlock(&self.lock).acquire(&caller, &mut patient()), Taken::Yes) {}
        let mut vigil = Vigil {
            table: heap.waits(),
            me: (heap.me() as Who) << 32 | 1,
            lock: self.lock.offset(),
            scope: true,
            reluctant: false,
            holder: &|lock| heap.bond(lock),
            alive: &alive,
            found: Default::default(),
        };
        let taken = semlock(&self.lock).acquire_watched(&caller, &mut patient(), &mut vigil);
        assert_eq!(taken, Taken::No(End::Deadlocked));
        self.release(&self.lock);
    }

    pub fn release(&self, lock: &Held) {
        semlock(lock).release(self.heap.me(), 1).expect("it is held");
    }

    pub fn event(&self) -> &Event {
        // SAFETY: an object of kind Event.
        unsafe { self.heap.at::<Event>(self.event.offset()) }
    }

    pub fn relay(&self) -> &Relay {
        // SAFETY: an object of kind Relay.
        unsafe { self.heap.at::<Relay>(self.relay.offset()) }
    }

    /// Nothing comes by it that was not given since, whether or not it still serves.
    fn check_relay(&self) {
        let Some(lookout) = self.relay().announce(u64::MAX) else {
            return;
        };
        let given = self.relay().give(|| 2, &[b"after"]);
        let mut place = [0; ROOM];
        let got = lookout.end(&mut place).map(|length| place[..length].to_vec());
        assert_eq!(got, given.then(|| b"after".to_vec()));
    }

    pub fn with_list<R>(&self, work: impl FnOnce(&WaitList, &Surroundings) -> R) -> R {
        let heap = &self.heap;
        let around = Surroundings {
            me: heap.me(),
            alive: &|id| heap.is_alive(id),
            // SAFETY: links of a list lead to its pages.
            page: &|offset| unsafe { heap.at::<Page>(offset) },
            grow: &|| {
                let page = heap.alloc(size_of::<Page>() as u64, BlockKind::Part, self.list.offset()).ok()?;
                // SAFETY: the block has room for a page and is known to nobody else.
                unsafe { heap.address(page).cast::<Page>().write(Page::default()) };
                Some(page)
            },
        };
        // SAFETY: an object of kind WaitList.
        work(unsafe { heap.at::<WaitList>(self.list.offset()) }, &around)
    }

    /// All must be in order, whatever the child was killed at.
    pub fn check(&self) {
        self.check_rings();
        self.check_claims();
        self.check_locks();
        self.check_relay();
        self.event().clear();
        self.event().set();
        assert!(within(LIMIT, |patience| self.event().wait(patience)).is_ok());
        self.with_list(|list, around| {
            let ticket = list.enter(around).unwrap();
            assert_eq!(list.notify(around, 1), 1);
            assert_eq!(within(LIMIT, |patience| list.wait(around, ticket, patience)), Some(Ok(())));
        });
    }

    fn check_rings(&self) {
        put(&self.ring, CHILDS * 2, 40_000, &[]);
        let mut left = Vec::new();
        while let Some((bytes, carried)) = take(&self.ring) {
            let number = number(&bytes);
            if number < FIRST {
                assert_eq!(carried.len(), (number % 3 == 0) as usize, "of message {number}");
            }
            left.push(number);
        }
        assert_eq!(left.pop(), Some(CHILDS * 2));
        assert!(left.windows(2).all(|pair| pair[0] < pair[1]), "each once, in order: {left:?}");
        let first = left.first().copied().filter(|&first| first < FIRST).unwrap_or(FIRST);
        assert!(
            (self.got.get()..=self.got.get() + 1).contains(&first),
            "{first} is the first, {} were got",
            self.got.get()
        );
        assert!(left.iter().copied().take_while(|&number| number < FIRST).eq(first..FIRST), "lost: {left:?}");
        drain(&self.narrow);
        put(&self.narrow, 1, 10, &[]);
        assert_eq!(drain(&self.narrow), [1]);
    }

    fn check_claims(&self) {
        within(LIMIT, |patience| self.tasks.settle(patience)).expect("cannot settle");
        let claim = self.slot().claim().read();
        let left = drain(&self.tasks);
        let first = left.first().copied().unwrap_or(FIRST);
        assert_eq!(left, (first..FIRST).collect::<Vec<_>>());
        match claim {
            Some((tag, _)) => assert_eq!(tag + 1, first, "the last that was taken"),
            // Overwriting a claim says that the one before was answered.
            None => assert!((self.answered.get()..=self.answered.get() + 1).contains(&first), "{first}"),
        }
    }

    fn check_locks(&self) {
        for lock in [&self.lock, &self.recursive] {
            let begin = Instant::now();
            let mut told = 0;
            while self.acquire(lock) != Taken::Yes {
                told += 1;
            }
            assert!(told <= 1 && begin.elapsed() < Duration::from_secs(1), "told {told} times");
            self.release(lock);
        }
        self.acquire_twice();
        assert!(semlock(&self.semaphore).release(self.heap.me(), 1).is_ok());
        let alive = |id| self.heap.is_alive(id);
        assert_eq!(semlock(&self.semaphore).acquire(&caller(&self.heap, &alive), &mut patient()), Taken::Yes);
    }
}

pub fn caller<'a>(heap: &Heap, alive: &'a dyn Fn(u32) -> bool) -> Caller<'a> {
    Caller { me: heap.me(), pid: std::process::id(), thread: 1, scope: false, alive }
}

pub fn semlock(held: &Held) -> &SemLock {
    // SAFETY: an object of kind SemLock.
    unsafe { held.heap().at::<SemLock>(held.offset()) }
}
