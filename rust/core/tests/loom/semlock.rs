use crate::kit::{ALL_LIVE, Dead, model};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use procession_core::semaphore::Semaphore;
use procession_core::semlock::{Caller, Holder, Kind, Refused, SemLock, Taken};
use procession_core::wait::Patience;

#[test]
fn each_that_is_given_is_taken_once() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let takers: Vec<_> = [(), ()]
            .map(|()| {
                let semaphore = semaphore.clone();
                thread::spawn(move || semaphore.acquire(&mut Patience::endless()).unwrap())
            })
            .into();
        assert!(semaphore.release(2));
        assert!(semaphore.release(2));
        takers.into_iter().for_each(|taker| taker.join().unwrap());
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn no_more_than_the_maximum_is_given() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let other = {
            let semaphore = semaphore.clone();
            thread::spawn(move || semaphore.release(1))
        };
        let mine = semaphore.release(1);
        assert!(mine ^ other.join().unwrap());
        assert_eq!(semaphore.value(), 1);
    });
}

fn caller<'a>(me: u32, thread: u32, alive: &'a dyn Fn(u32) -> bool) -> Caller<'a> {
    Caller { me, pid: me * 100, thread, scope: false, alive }
}

struct Guarded {
    lock: SemLock,
    value: UnsafeCell<u32>,
}

// SAFETY: the value is touched with the lock held; loom checks that.
unsafe impl Sync for Guarded {}
// SAFETY: as above.
unsafe impl Send for Guarded {}

#[test]
fn two_threads_of_one_process_exclude_each_other_from_a_recursive_lock() {
    model(|| {
        let lock = SemLock::new(Kind::Recursive, 1, 1, &caller(1, 1, ALL_LIVE));
        let guarded = Arc::new(Guarded { lock, value: UnsafeCell::new(0) });
        let work = |guarded: &Guarded, thread| {
            let me = caller(1, thread, ALL_LIVE);
            for _ in 0..2 {
                assert_eq!(guarded.lock.acquire(&me, &mut Patience::endless()), Taken::Yes);
            }
            // SAFETY: see `Guarded`.
            guarded.value.with_mut(|value| unsafe { *value += 1 });
            assert!(guarded.lock.mine(1, thread));
            assert_eq!(guarded.lock.release(1, thread), Ok(()));
            assert_eq!(guarded.lock.release(1, thread), Ok(()));
            assert_eq!(guarded.lock.release(1, thread), Err(Refused::NotOwner));
        };
        let other = {
            let guarded = guarded.clone();
            thread::spawn(move || work(&guarded, 2))
        };
        work(&guarded, 1);
        other.join().unwrap();
        assert_eq!(guarded.lock.value(), 1);
    });
}

#[test]
fn who_takes_a_lock_that_soon_comes_free_excludes_like_any_other() {
    model(|| {
        let lock = SemLock::new(Kind::Lock, 1, 1, &caller(1, 1, ALL_LIVE));
        let guarded = Arc::new(Guarded { lock, value: UnsafeCell::new(0) });
        let work = |guarded: &Guarded, number| {
            let me = caller(number, number, ALL_LIVE);
            if !guarded.lock.acquire_soon(&me) {
                assert_eq!(guarded.lock.acquire(&me, &mut Patience::endless()), Taken::Yes);
            }
            // SAFETY: see `Guarded`.
            guarded.value.with_mut(|value| unsafe { *value += 1 });
            assert_eq!(guarded.lock.holder(), Holder { member: number, pid: number * 100, thread: number });
            assert_eq!(guarded.lock.release(number, number), Ok(()));
        };
        let other = {
            let guarded = guarded.clone();
            thread::spawn(move || work(&guarded, 2))
        };
        work(&guarded, 1);
        other.join().unwrap();
        assert_eq!(guarded.lock.value(), 1);
    });
}

#[test]
fn one_waiter_hears_of_the_owner_s_death_and_the_lock_is_free() {
    model(|| {
        let dead = Arc::new(Dead::default());
        let lock = Arc::new(SemLock::new(Kind::Lock, 0, 1, &caller(1, 7, ALL_LIVE)));
        let waiter = |me| {
            let (lock, dead) = (lock.clone(), dead.clone());
            thread::spawn(move || {
                let alive = |id| dead.is_alive(id);
                let caller = caller(me, me, &alive);
                let taken = lock.acquire(&caller, &mut Patience::endless());
                if let Taken::OwnerDied(holder) = taken {
                    assert_eq!(holder, Holder { member: 1, pid: 100, thread: 7 });
                    assert_eq!(lock.acquire(&caller, &mut Patience::endless()), Taken::Yes);
                }
                lock.release(me, me).unwrap();
                (taken != Taken::Yes) as u32
            })
        };
        let waiters = [waiter(2), waiter(3)];
        dead.die(1);
        let told: u32 = waiters.into_iter().map(|waiter| waiter.join().unwrap()).sum();
        assert_eq!(told, 1);
        assert_eq!(lock.value(), 1);
    });
}
