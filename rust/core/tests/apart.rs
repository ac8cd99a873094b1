//! Memory that one process has for itself, and what forks do to it.

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
    use crate::kit::{Counter, fork, message, number, patient, reap, within};
    use procession_core::heap::{BlockKind, Handle, Heap, HeapError, Held, family};
    use procession_core::member::SEATS;
    use procession_core::ring::{Got, Message, Ring};
    use std::cell::Cell;
    use std::sync::Arc;
    use std::time::Duration;

    type Test = fn(&Arc<Heap>);

    pub fn run() {
        let tests: [(&str, Test); 6] = [
            ("what lies apart is not shared by a fork", apart),
            ("what lay apart at a fork can be used for all again", rejoined),
            ("what lies apart is kept by a child that holds nothing", apart_but_lost),
            ("only so much lies apart", limit),
            ("what was taken can be offered to the next", offered),
            ("a buffer for several is everybody's own", mapped),
        ];
        for (name, test) in tests {
            let heap = family::found_apart().expect("no heap");
            // SAFETY: ends the process if a test hangs; no handler.
            unsafe { libc::alarm(60) };
            test(&heap);
            println!("apart: {name}");
        }
    }

    fn until(what: impl Fn() -> bool) {
        while !what() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    const LENGTH: usize = 300_000;

    /// A buffer of sevens, taken.
    fn taken(heap: &Arc<Heap>) -> Held {
        let held = Held::buffer(heap, &[7; LENGTH]).unwrap();
        assert!(held.take() && !held.take(), "it can be taken once");
        assert!(held.set_apart());
        held
    }

    /// Is it all `rest` but for these bytes?
    fn is(held: &Held, rest: u8, others: &[(usize, u8)]) -> bool {
        // SAFETY: so many bytes, and nobody writes to them now.
        let bytes = unsafe { std::slice::from_raw_parts(held.heap().address(held.offset()), LENGTH) };
        let other = |place: usize| others.iter().find(|(at, _)| *at == place).map_or(rest, |(_, byte)| *byte);
        (0..LENGTH).all(|place| bytes[place] == other(place))
    }

    fn set(held: &Held, place: usize, byte: u8) {
        // SAFETY: a byte of the block.
        unsafe { held.heap().address(held.offset() + place as u64).write(byte) }
    }

    fn apart(heap: &Arc<Heap>) {
        let (held, go) = (Cell::new(Some(taken(heap))), Counter::new(heap));
        let here = held.take().unwrap();
        set(&here, 10, 1);
        let child = fork(|| {
            until(|| go.get() == 1);
            assert!(is(&here, 7, &[(10, 1)]), "what the parent wrote after the fork is seen");
            set(&here, 20, 2);
            go.set(2);
            until(|| go.get() == 3);
            // The parent has dropped its own, and made others since.
            assert!(is(&here, 7, &[(10, 1), (20, 2)]));
            let grandchild = fork(|| assert!(is(&here, 7, &[(10, 1), (20, 2)])));
            assert_eq!(reap(grandchild), 0);
            heap.bury(grandchild);
        });
        set(&here, 11, 3);
        set(&here, LENGTH - 1, 3);
        go.set(1);
        until(|| go.get() == 2);
        assert!(is(&here, 7, &[(10, 1), (11, 3), (LENGTH - 1, 3)]), "what the child wrote is seen");
        drop(here);
        let others: Vec<Held> = (0..5).map(|_| Held::buffer(heap, &[9; LENGTH]).unwrap()).collect();
        go.set(3);
        assert_eq!(reap(child), 0);
        heap.bury(child);
        assert!(others.iter().all(|other| is(other, 9, &[])));
        drop(others);
        assert_eq!(heap.stats().objects, 1);
    }

    fn rejoined(heap: &Arc<Heap>) {
        let ring = Ring::create(heap, 0).unwrap();
        let held = taken(heap);
        let place = held.offset();
        let held = Cell::new(Some(held));
        let child = fork(|| {
            let here = held.take().unwrap();
            set(&here, 0, 1);
            // From here on the range is a part of the heap again.
            drop(here);
            let got = within(Duration::from_secs(5), |patience| ring.get(None, ring.lane().alarms(), patience));
            let Ok((Got::Block(big), _)) = got else { panic!("there is a large message") };
            assert_eq!(number(big.bytes()), 5);
        });
        let here = held.take().unwrap();
        set(&here, 1, 2);
        drop(here);
        until(|| heap.stats().objects == 1);
        // Where it lay.
        let next = Held::buffer(heap, &[8; LENGTH]).unwrap();
        assert!(next.offset() == place && is(&next, 8, &[]));
        drop(next);
        let data = message(5, LENGTH);
        ring.put(&Message { data: &data, tag: 0, carry: &[] }, &mut patient()).unwrap();
        assert_eq!(reap(child), 0);
        heap.bury(child);
    }

    fn apart_but_lost(heap: &Arc<Heap>) {
        let (here, go) = (taken(heap), Counter::new(heap));
        for number in 1..SEATS {
            heap.prepare_seat(number).unwrap();
            heap.seat(number).reserve(number);
        }
        let (mut pipe, byte) = ([0; 2], [0u8; 1]);
        // SAFETY: room for two descriptors.
        assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
        let child = fork(|| {
            let mut byte = byte;
            // SAFETY: room for a byte; waits for the parent.
            unsafe { libc::read(pipe[0], byte.as_mut_ptr().cast(), 1) };
            assert!(!here.is_valid() && is(&here, 7, &[]));
            heap.seat(77).empty();
            assert!(matches!(family::of(heap.uid()), Some(Err(HeapError::Lost))), "it sees not all of it");
        });
        drop(here);
        let others: Vec<Held> = (0..5).map(|_| Held::buffer(heap, &[9; LENGTH]).unwrap()).collect();
        // SAFETY: a byte of ours.
        unsafe { libc::write(pipe[1], byte.as_ptr().cast(), 1) };
        assert_eq!(reap(child), 0);
        assert!(others.iter().all(|other| is(other, 9, &[])));
        drop((others, go));
        assert_eq!(heap.stats().objects, 0);
    }

    fn open(heap: &Arc<Heap>, handle: Handle) -> Result<Held, HeapError> {
        Held::open(heap, handle, BlockKind::Buffer)
    }

    fn offered(heap: &Arc<Heap>) {
        let sent = Held::buffer(heap, &[7; LENGTH]).unwrap();
        assert!(sent.offer().is_none(), "it was not taken yet");
        drop(sent);
        let here = taken(heap);
        let old = here.handle();
        set(&here, 10, 1);
        let handle = here.offer().unwrap();
        assert!(here.offer().is_none(), "it is the next one's");
        assert!(matches!(open(heap, old), Err(HeapError::Gone)), "the old name is good no more");
        let under_way = open(heap, handle).unwrap();
        let go = Counter::new(heap);
        drop(here);
        let child = fork(|| {
            let there = open(heap, handle).unwrap();
            assert!(there.take() && there.set_apart() && is(&there, 7, &[(10, 1)]));
            go.set(1);
        });
        until(|| go.get() == 1);
        assert!(!under_way.take());
        drop(under_way);
        assert_eq!(reap(child), 0);
        heap.bury(child);
        // What a fork has made private goes on as a copy: others do not see what is there.
        let here = taken(heap);
        let child = fork(|| assert!(here.offer().is_none()));
        assert_eq!(reap(child), 0);
        assert!(here.offer().is_none());
        heap.bury(child);
        drop((here, go));
        assert_eq!(heap.stats().objects, 0);
    }

    fn mapped(heap: &Arc<Heap>) {
        let image = Held::buffer(heap, &[7; LENGTH]).unwrap();
        let handle = image.handle();
        let go = Counter::new(heap);
        let use_it = |place: usize| {
            let own = open(heap, handle).unwrap();
            assert!(own.map_apart() && own.offer().is_none());
            set(&own, place, 1);
            go.set(go.get() + 1);
            until(|| go.get() == 3);
            assert!(is(&own, 7, &[(place, 1)]), "what another wrote is seen");
            let second = open(heap, handle).unwrap();
            assert!(!second.map_apart(), "the place is taken");
            let mut copy = vec![0; LENGTH];
            second.read(&mut copy).unwrap();
            assert!(copy.iter().all(|&byte| byte == 7), "a copy is of what all share");
            let grandchild = fork(|| set(&own, 5, 5));
            assert_eq!(reap(grandchild), 0);
            heap.bury(grandchild);
            assert!(is(&own, 7, &[(place, 1)]));
            drop(own);
            assert!(second.map_apart() && is(&second, 7, &[]), "now it is free");
        };
        let children = [fork(|| use_it(1)), {
            until(|| go.get() == 1);
            fork(|| use_it(2))
        }];
        until(|| go.get() == 2);
        go.set(3);
        assert!(is(&image, 7, &[]));
        for child in children {
            assert_eq!(reap(child), 0);
            heap.bury(child);
        }
        assert!(is(&image, 7, &[]));
        drop((image, go));
        assert_eq!(heap.stats().objects, 0);
    }

    fn limit(heap: &Arc<Heap>) {
        let mut held: Vec<Held> = Vec::new();
        let end = loop {
            let buffer = Held::buffer(heap, &[7; LENGTH]).unwrap();
            if !buffer.set_apart() {
                break buffer;
            }
            held.push(buffer);
        };
        let child = fork(|| assert!(held.iter().all(|held| is(held, 7, &[]))));
        assert_eq!(reap(child), 0);
        drop(held.pop());
        assert!(end.set_apart());
        heap.bury(child);
    }
}
