//! A life in which every step is passed.

use crate::kit::{fork, kill, memory, message, number, patient, reap, take, within};
use crate::things::{CHILDS, FIRST, Things, put, semlock, size};
use procession_core::heap::{BlockKind, Held, family};
use procession_core::relay::ROOM;
use procession_core::ring::{Found, Got, Message, Quick, Ring};
use procession_core::semlock::Taken;
use std::time::Duration;

pub fn live(things: &Things) {
    get(things);
    put_and_get(things);
    claim(things);
    locks(things);
    waiting(things);
    by_hand(things);
    blocks(things);
    objects(things);
    buffers(things);
    rings(things);
    children(things);
    family::leave();
}

/// The first of what lies there, quickly where that goes.
fn get(things: &Things) {
    for count in 0..FIRST / 2 {
        let look = |found: Found| match found {
            Found::Bytes(bytes) => Some(number(bytes)),
            Found::Block(block) => Some(number(block.bytes())),
        };
        let got = match things.ring.get_quick(None, look) {
            Quick::Done((number, _rest)) => number,
            _ => take(&things.ring).map(|(bytes, _)| number(&bytes)),
        };
        assert_eq!(got, Some(count));
        things.got.set(count + 1);
    }
}

fn put_and_get(things: &Things) {
    for count in 0..20 {
        let data = message(CHILDS + count, size(count));
        let message = Message { data: &data, tag: 0, carry: &[] };
        if !matches!(things.ring.put_quick(&message), Quick::Done(())) {
            things.ring.put(&message, &mut patient()).unwrap();
        }
    }
    let object = memory(&things.heap, 10);
    put(&things.ring, CHILDS + 20, 30, &[object.offset(), object.offset()]);
    put(&things.ring, CHILDS + 21, 200_000, &[object.offset()]);
    let datas: Vec<_> = (22..30).map(|count| message(CHILDS + count, size(count))).collect();
    let messages: Vec<_> = datas.iter().map(|data| Message { data, tag: 0, carry: &[] }).collect();
    things.ring.put_many(&messages, &mut 0, &mut patient()).unwrap();
    // Fuller than full: it waits in vain.
    for number in 0..3 {
        let data = message(number, 5);
        let _ = within(Duration::from_millis(1), |patience| {
            things.narrow.put(&Message { data: &data, tag: 0, carry: &[] }, patience)
        });
    }
}

fn claim(things: &Things) {
    let (slot, tasks) = (things.slot(), &things.tasks);
    for count in 0..FIRST / 2 {
        let got = tasks.get(Some(&slot), tasks.lane().alarms(), &mut patient());
        drop(got.ok());
        if let Some((tag, _)) = slot.claim().read() {
            slot.claim().begin(0, 4);
            slot.claim().answer();
            let _ = tasks.cut(&slot, tag, 1, &mut patient());
        }
        things.answered.set(count + 1);
        // Now and then the next claim is written over one that was not cleared.
        if count % 3 > 0 {
            slot.claim().clear();
        }
    }
    slot.claim().clear();
}

fn locks(things: &Things) {
    for lock in [&things.lock, &things.recursive, &things.semaphore] {
        for _ in 0..3 {
            assert_eq!(things.acquire(lock), Taken::Yes);
            things.release(lock);
        }
    }
    assert_eq!(things.acquire(&things.recursive), Taken::Yes);
    assert_eq!(things.acquire(&things.recursive), Taken::Yes);
    things.release(&things.recursive);
    things.release(&things.recursive);
    things.acquire_twice();
    things.event().set();
    things.event().clear();
}

fn waiting(things: &Things) {
    things.with_list(|list, around| {
        let tickets: Vec<u64> = (0..35).map(|_| list.enter(around).unwrap()).collect();
        assert_eq!(list.notify(around, 3), 3);
        let mut notified = 0;
        for ticket in tickets {
            let waited = within(Duration::ZERO, |patience| list.wait(around, ticket, patience));
            notified += waited.unwrap().is_ok() as u32;
        }
        assert_eq!(notified, 3);
    });
}

fn by_hand(things: &Things) {
    for number in 0..3u8 {
        let lookout = things.relay().announce(2).expect("nobody else looks out");
        assert!(things.relay().give(|| 1, &[&[number], b"!"]) && lookout.has_come());
        let mut place = [0; ROOM];
        assert_eq!(lookout.end(&mut place), Some(2));
        assert_eq!(place[..2], [number, b'!']);
    }
}

fn blocks(things: &Things) {
    let heap = &things.heap;
    for length in [10, 700, 200_000, 600_000, 900_000] {
        let blocks: Vec<u64> = (0..3).map(|_| heap.alloc(length, BlockKind::Payload, 0).unwrap()).collect();
        blocks.into_iter().for_each(|block| heap.free(block));
    }
    // Until some are made that never were before.
    for length in [10, 140_000] {
        let top = heap.stats().top;
        let mut blocks = Vec::new();
        while heap.stats().top == top {
            blocks.push(heap.alloc(length, BlockKind::Payload, 0).unwrap());
        }
        blocks.into_iter().for_each(|block| heap.free(block));
    }
}

fn objects(things: &Things) {
    let heap = &things.heap;
    let objects: Vec<Held> = (0..100).map(|_| memory(heap, 40)).collect();
    let again: Vec<Held> =
        objects.iter().map(|held| Held::open(heap, held.handle(), BlockKind::Memory).unwrap()).collect();
    drop(objects);
    drop(again);
    drop((0..4).map(|_| memory(heap, 700_000)).collect::<Vec<_>>());
}

/// Bytes for one receiver: under way, in its hands, at a fork; and a large message held where it lies.
fn buffers(things: &Things) {
    let heap = &things.heap;
    let sent = Held::buffer(heap, &[7; 200_000]).unwrap();
    put(&things.ring, CHILDS + 40, 30, &[sent.offset()]);
    let held = Held::buffer(heap, &[7; 300_000]).unwrap();
    assert!(held.take() && held.set_apart());
    let offered = Held::open(heap, held.offer().unwrap(), BlockKind::Buffer).unwrap();
    drop(held);
    put(&things.ring, CHILDS + 41, 30, &[offered.offset()]);
    assert!(offered.take() && offered.set_apart());
    let child = fork(|| drop(offered));
    end(things, child);
    let image = Held::buffer(heap, &[7; 200_000]).unwrap();
    assert!(image.map_apart());
    drop(image);
    let ring = Ring::create(heap, 0).unwrap();
    put(&ring, 1, 100_000, &[]);
    let got = within(Duration::from_secs(2), |patience| ring.get(None, ring.lane().alarms(), patience));
    let Ok((Got::Block(big), _)) = got else { panic!("there is a large message") };
    assert_eq!(number(big.bytes()), 1);
    drop(big.hold());
}

fn rings(things: &Things) {
    let ring = Ring::create(&things.heap, 0).unwrap();
    for count in 0..20 {
        let inner = Ring::create(&things.heap, 0).unwrap();
        put(&inner, 1, 10, &[]);
        put(&ring, count, size(count), &[inner.held().offset()]);
    }
    ring.shut(&mut patient()).unwrap();
}

/// One child ends in good order, one is killed in the middle of everything, one waits when it is killed.
fn children(things: &Things) {
    let orderly = fork(|| {
        drop(memory(&things.heap, 10));
        family::leave();
    });
    end(things, orderly);
    let killed = fork(|| {
        let _kept: Vec<Held> = (0..90).map(|_| memory(&things.heap, 1000)).collect();
        things.heap.alloc(300_000, BlockKind::Payload, 0).unwrap();
        put(&things.ring, CHILDS + 50, 10_000, &[memory(&things.heap, 10).offset()]);
        assert_eq!(things.acquire(&things.lock), Taken::Yes);
        assert!(things.ring.lane().puts.lock.try_lock(things.heap.me()));
        things.heap.locked(|| kill(std::process::id()));
    });
    // Its locks are looked at, and inherited, before it is buried and after.
    reap(killed);
    put(&things.ring, CHILDS + 51, 10, &[]);
    things.heap.bury(killed);
    while things.acquire(&things.lock) != Taken::Yes {}
    things.release(&things.lock);
    awake(things);
}

/// Somebody sleeps, is woken, and answers.
fn awake(things: &Things) {
    let questions = Ring::create(&things.heap, 0).unwrap();
    let answers = Ring::create(&things.heap, 0).unwrap();
    let asked = fork(|| {
        for _ in 0..3 {
            let got = within(Duration::from_secs(2), |patience| {
                questions.get(None, questions.lane().alarms(), patience)
            });
            if got.is_err() {
                return;
            }
            put(&answers, 1, 10, &[]);
        }
    });
    for _ in 0..3 {
        // Until it sleeps, or was killed.
        std::thread::sleep(Duration::from_millis(3));
        put(&questions, 1, 10, &[]);
        let answer =
            within(Duration::from_millis(20), |patience| answers.get(None, answers.lane().alarms(), patience));
        drop(answer.ok());
    }
    end(things, asked);
    let _ = semlock(&things.semaphore).value();
}

fn end(things: &Things, pid: u32) {
    reap(pid);
    things.heap.bury(pid);
}
