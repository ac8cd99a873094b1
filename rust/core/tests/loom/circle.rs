use crate::kit::{ALL_LIVE, model};
use loom::sync::Arc;
use loom::thread;
use procession_core::circle::{Bond, Table, Vigil, Who};
use procession_core::futex;
use procession_core::semlock::{Caller, Kind, SemLock, Taken};
use procession_core::wait::{End, Patience};

/// Member `n + 1` has taken lock `n`; a lock's number is its offset.
struct Family {
    table: Table,
    locks: Vec<SemLock>,
}

fn caller(me: u32) -> Caller<'static> {
    Caller { me, pid: me, thread: me, scope: true, alive: &|_| true }
}

fn who(me: u32) -> Who {
    (me as Who) << 32 | me as Who
}

impl Family {
    fn new(kind: Kind, count: u32) -> Arc<Family> {
        futex::pass_time();
        let taken = |me| {
            let lock = SemLock::new(kind, 1, 1, &caller(me));
            assert!(lock.try_acquire(&caller(me)));
            lock
        };
        Arc::new(Family { table: Table::default(), locks: (1..=count).map(taken).collect() })
    }

    /// Member `me` waits for lock `lock`; what it got, and how many were in the circle.
    fn acquire(&self, me: u32, lock: u32, reluctant: bool) -> (Taken, usize) {
        let holder = |offset| -> Option<(Who, Bond)> { self.locks[offset as usize].bond() };
        let mut vigil = Vigil {
            table: &self.table,
            me: who(me),
            lock: lock as u64,
            scope: true,
            reluctant,
            holder: &holder,
            alive: ALL_LIVE,
            found: Default::default(),
        };
        let taken = self.locks[lock as usize].acquire_watched(&caller(me), &mut Patience::endless(), &mut vigil);
        (taken, vigil.circle().len())
    }

    fn release(&self, me: u32, lock: u32) {
        self.locks[lock as usize].release(me, me).unwrap();
    }
}

/// Each waits for the lock of the next; one is told and gives back its own.
/// The last, unless it is `reluctant`.
fn one_is_told(kind: Kind, count: u32, reluctant: u32) {
    model(move || {
        let family = Family::new(kind, count);
        let member = |me: u32| {
            let family = family.clone();
            thread::spawn(move || {
                let next = me % count;
                let (taken, circle) = family.acquire(me, next, me == reluctant);
                if taken == Taken::Yes {
                    family.release(me, next);
                } else {
                    assert_eq!((taken, circle), (Taken::No(End::Deadlocked), count as usize));
                }
                family.release(me, me - 1);
                taken != Taken::Yes
            })
        };
        let members: Vec<_> = (1..=count).map(member).collect();
        let told: Vec<_> = members.into_iter().map(|member| member.join().unwrap()).collect();
        let last = if reluctant == count { count - 1 } else { count };
        assert_eq!(told.iter().position(|&told| told), Some(last as usize - 1));
        assert_eq!(told.iter().filter(|&&told| told).count(), 1);
    });
}

#[test]
fn of_two_that_wait_for_each_other_one_is_told() {
    one_is_told(Kind::Recursive, 2, 0);
    one_is_told(Kind::Lock, 2, 0);
}

#[test]
fn who_cannot_well_give_up_is_not_told() {
    one_is_told(Kind::Recursive, 2, 2);
}

#[test]
fn who_gives_back_in_time_is_in_no_circle() {
    model(|| {
        let family = Family::new(Kind::Recursive, 2);
        let other = {
            let family = family.clone();
            thread::spawn(move || {
                assert_eq!(family.acquire(2, 0, false).0, Taken::Yes);
                family.release(2, 0);
                family.release(2, 1);
            })
        };
        family.release(1, 0);
        assert_eq!(family.acquire(1, 1, false).0, Taken::Yes);
        family.release(1, 1);
        other.join().unwrap();
    });
}

#[test]
fn who_waits_for_its_own_with_statement_is_told() {
    model(|| {
        let family = Family::new(Kind::Lock, 1);
        assert_eq!(family.acquire(1, 0, true), (Taken::No(End::Deadlocked), 1));
    });
}
