use crate::kit::{ALL_LIVE, model};
use loom::sync::Arc;
use loom::thread;
use procession_core::futex;
use procession_core::mutex::Mutex;
use procession_core::wait::{End, Patience};
use procession_core::waitlist::{Surroundings, WaitList};

fn around<'a>(me: u32, alive: &'a dyn Fn(u32) -> bool) -> Surroundings<'a> {
    Surroundings { me, alive, page: &|_| unreachable!(), grow: &|| None }
}

/// A condition: a lock, what it guards (a count of things), and who waits for it to change.
#[derive(Default)]
struct Condition {
    lock: Mutex,
    list: WaitList,
    things: loom::sync::atomic::AtomicU32,
}

impl Condition {
    fn take(&self, me: u32) {
        let around = around(me, ALL_LIVE);
        self.lock(me);
        while self.things.load(Relaxed) == 0 {
            let ticket = self.list.enter(&around).unwrap();
            self.lock.unlock();
            self.list.wait(&around, ticket, &mut Patience::endless()).unwrap().unwrap();
            self.lock(me);
        }
        self.things.fetch_sub(1, Relaxed);
        self.lock.unlock();
    }

    fn give(&self, me: u32) {
        self.lock(me);
        self.things.fetch_add(1, Relaxed);
        self.list.notify(&around(me, ALL_LIVE), 1);
        self.lock.unlock();
    }

    fn lock(&self, me: u32) {
        self.lock.lock(me, ALL_LIVE, &mut Patience::endless()).unwrap();
    }
}

use loom::sync::atomic::Ordering::Relaxed;

#[test]
fn a_notification_reaches_who_waits() {
    model(|| {
        let condition = Arc::new(Condition::default());
        let taker = {
            let condition = condition.clone();
            thread::spawn(move || condition.take(1))
        };
        condition.give(2);
        taker.join().unwrap();
        assert_eq!(condition.list.len(&around(2, ALL_LIVE)), 0);
    });
}

#[test]
fn two_notifications_reach_two_waiters() {
    model(|| {
        let condition = Arc::new(Condition::default());
        let takers = [1, 2].map(|me| {
            let condition = condition.clone();
            thread::spawn(move || condition.take(me))
        });
        condition.give(3);
        condition.give(3);
        takers.into_iter().for_each(|taker| taker.join().unwrap());
        assert_eq!(condition.things.load(Relaxed), 0);
    });
}

#[test]
fn who_runs_out_of_time_was_notified_or_was_not_but_both_sides_agree() {
    model(|| {
        let list = Arc::new(WaitList::default());
        let ticket = list.enter(&around(1, ALL_LIVE)).unwrap();
        let waiter = {
            let list = list.clone();
            thread::spawn(move || {
                let around = around(1, ALL_LIVE);
                let left = list.of(&around, ticket).unwrap().withdraw(End::TimedOut);
                assert!(list.of(&around, ticket).is_none(), "the ticket is used");
                left.is_ok()
            })
        };
        let notified = list.notify(&around(2, ALL_LIVE), 1);
        assert_eq!(notified, waiter.join().unwrap() as usize);
    });
}

#[test]
fn an_interrupted_waiter_s_notification_is_not_lost() {
    model(|| {
        let list = Arc::new(WaitList::default());
        let tickets = [1, 2].map(|me| list.enter(&around(me, ALL_LIVE)).unwrap());
        futex::pass_time();
        let interrupted = {
            let list = list.clone();
            thread::spawn(move || {
                let mut check = || Some(End::Interrupted);
                let waited = list.wait(&around(1, ALL_LIVE), tickets[0], &mut Patience::new(None, &mut check));
                waited.unwrap().is_err()
            })
        };
        assert_eq!(list.notify(&around(3, ALL_LIVE), 1), 1);
        let interrupted = interrupted.join().unwrap();
        let second = list.of(&around(2, ALL_LIVE), tickets[1]).unwrap().withdraw(End::TimedOut);
        assert_eq!(second.is_ok(), interrupted, "it was handed on, if the first had no use for it");
    });
}

#[test]
fn a_dead_waiter_is_passed_over_and_its_place_used_again() {
    model(|| {
        let list = Arc::new(WaitList::default());
        let alive: &dyn Fn(u32) -> bool = &|id| id != 9;
        for _ in 0..procession_core::waitlist::ENTRIES - 1 {
            list.enter(&around(9, ALL_LIVE)).unwrap();
        }
        let ticket = list.enter(&around(1, alive)).unwrap();
        let notifier = {
            let list = list.clone();
            thread::spawn(move || list.notify(&around(2, &|id| id != 9), 1))
        };
        list.wait(&around(1, alive), ticket, &mut Patience::endless()).unwrap().unwrap();
        assert_eq!(notifier.join().unwrap(), 1);
        let again: Vec<_> =
            (0..procession_core::waitlist::ENTRIES).map(|_| list.enter(&around(1, alive))).collect();
        assert!(again.iter().all(Option::is_some));
    });
}
