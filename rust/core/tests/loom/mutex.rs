use crate::kit::{ALL_LIVE, Dead, model};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use procession_core::mutex::{Held, Mutex};
use procession_core::wait::Patience;

#[derive(Default)]
struct Guarded {
    lock: Mutex,
    value: UnsafeCell<u32>,
}

// SAFETY: the value is touched with the lock held; loom checks that.
unsafe impl Sync for Guarded {}
// SAFETY: as above.
unsafe impl Send for Guarded {}

impl Guarded {
    fn add(&self, me: u32, alive: &dyn Fn(u32) -> bool) -> Held {
        let held = self.lock.lock(me, alive, &mut Patience::endless()).unwrap();
        // SAFETY: see `Guarded`.
        self.value.with_mut(|value| unsafe { *value += 1 });
        held
    }

    fn value(&self) -> u32 {
        // SAFETY: see `Guarded`.
        self.value.with(|value| unsafe { *value })
    }
}

fn excludes(threads: u32, rounds: u32) {
    let guarded = Arc::new(Guarded::default());
    let work = move |guarded: &Guarded, me| {
        for _ in 0..rounds {
            assert_eq!(guarded.add(me, ALL_LIVE), Held::Clean);
            assert!(guarded.lock.unlock());
        }
    };
    let others: Vec<_> = (2..=threads)
        .map(|me| {
            let guarded = guarded.clone();
            thread::spawn(move || work(&guarded, me))
        })
        .collect();
    work(&guarded, 1);
    others.into_iter().for_each(|other| other.join().unwrap());
    assert!(!guarded.lock.unlock(), "nobody holds it");
    assert_eq!(guarded.value(), threads * rounds);
}

#[test]
fn two_exclude_each_other_again_and_again() {
    model(|| excludes(2, 2));
}

#[test]
fn three_exclude_each_other_and_all_are_woken() {
    model(|| excludes(3, 1));
}

#[test]
fn a_dead_holder_has_exactly_one_heir() {
    model(|| {
        let (guarded, dead) = (Arc::new(Guarded::default()), Arc::new(Dead::default()));
        guarded.add(1, ALL_LIVE);
        let heirs: Vec<_> = [2, 3]
            .map(|me| {
                let (guarded, dead) = (guarded.clone(), dead.clone());
                thread::spawn(move || {
                    let held = guarded.add(me, &|id| dead.is_alive(id));
                    guarded.lock.unlock();
                    (held == Held::Inherited(1)) as u32
                })
            })
            .into();
        dead.die(1);
        let inherited: u32 = heirs.into_iter().map(|heir| heir.join().unwrap()).sum();
        assert_eq!(inherited, 1);
        assert_eq!(guarded.value(), 3);
    });
}

#[test]
fn an_heir_may_die_too() {
    model(|| {
        let (guarded, dead) = (Arc::new(Guarded::default()), Arc::new(Dead::default()));
        guarded.add(1, ALL_LIVE);
        dead.die(1);
        let first = {
            let (guarded, dead) = (guarded.clone(), dead.clone());
            thread::spawn(move || {
                let held = guarded.lock.inherit(2, &|id| dead.is_alive(id));
                dead.die(2);
                held
            })
        };
        let held = guarded.add(3, &|id| dead.is_alive(id));
        let first = first.join().unwrap();
        assert_eq!(held, Held::Inherited(if first == Some(1) { 2 } else { 1 }));
        guarded.lock.unlock();
    });
}

#[test]
fn another_thread_of_the_same_process_is_no_heir() {
    model(|| {
        let (guarded, dead) = (Arc::new(Guarded::default()), Arc::new(Dead::default()));
        let other = {
            let guarded = guarded.clone();
            thread::spawn(move || {
                assert_eq!(guarded.add(1, ALL_LIVE), Held::Clean);
                guarded.lock.unlock();
            })
        };
        // Some other dies, so that sleepers look around; their own id they must not ask for.
        dead.die(7);
        assert_eq!(guarded.add(1, &|_| false), Held::Clean);
        guarded.lock.unlock();
        other.join().unwrap();
        assert_eq!(guarded.value(), 2);
    });
}
