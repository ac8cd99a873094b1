//! One object for Lock, RLock and the semaphores, as `_multiprocessing.SemLock` has it.
//!
//! The thread and the count stand beside the mutex and are written only by its holder; a reader
//! that is not the holder may see them late, which is why `mine` asks the mutex first.

use crate::circle::{Bond, Who};
use crate::fault::step;
use crate::mutex::{Held, Mutex};
use crate::semaphore::Semaphore;
use crate::sync::{AtomicU32, Ordering};
use crate::wait::{End, Patience, Watch};

/// What kind of lock it is; fixed when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Owned by a thread, which may take it again.
    Recursive = 0,
    /// Owned by a process for the record; anybody may release it.
    Lock = 1,
    /// Counts; owned by nobody.
    Semaphore = 2,
}

/// Who asks: the member, its thread, and how to tell whether another member lives.
pub struct Caller<'a> {
    /// The member's id.
    pub me: u32,
    /// Its process.
    pub pid: u32,
    /// The calling thread's id.
    pub thread: u32,
    /// Is it a with statement, whose end gives the lock back?
    pub scope: bool,
    /// Does this member live?
    pub alive: &'a dyn Fn(u32) -> bool,
}

/// In the count of a [`Kind::Lock`]: taken by a with statement.
const SCOPED: u32 = 2;

/// How taking a lock ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is the caller's.
    Yes,
    /// Not, for this reason.
    No(End),
    /// This holder died; it is free now.
    OwnerDied(Holder),
}

/// Who holds a lock; zeroes are unknown, or nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The member's id.
    pub member: u32,
    /// Its process.
    pub pid: u32,
    /// The thread that took the lock.
    pub thread: u32,
}

/// Why a release was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nothing was taken, or the semaphore is at its maximum.
    TooMany,
    /// A recursive lock held by another thread, or by nobody.
    NotOwner,
}

/// The lock's words.
#[repr(C)]
pub struct SemLock {
    kind: AtomicU32,
    max: u32,
    counter: Semaphore,
    mutex: Mutex,
    /// Of the holder. The pid is kept here since a dead member's seat may be another's already.
    pid: AtomicU32,
    thread: AtomicU32,
    count: AtomicU32,
    /// Was it ever given back by another than its holder? Then it is a signal between them.
    handed: AtomicU32,
}

impl SemLock {
    /// A lock of this kind; a Lock with `value` 0 begins taken by `me`.
    pub fn new(kind: Kind, value: u32, max: u32, caller: &Caller) -> Self {
        let lock = SemLock {
            kind: AtomicU32::new(kind as u32),
            max,
            counter: Semaphore::new(value),
            mutex: Mutex::default(),
            pid: AtomicU32::new(0),
            thread: AtomicU32::new(0),
            count: AtomicU32::new(0),
            handed: AtomicU32::new(0),
        };
        if kind != Kind::Semaphore && value == 0 {
            lock.try_acquire(caller);
        }
        lock
    }

    /// Its kind.
    #[inline]
    pub fn kind(&self) -> Kind {
        // Others look at locks that may be gone meanwhile: whatever lies there must mean something.
        match self.kind.load(Ordering::Relaxed) {
            0 => Kind::Recursive,
            1 => Kind::Lock,
            _ => Kind::Semaphore,
        }
    }

    /// The most that a semaphore counts up to.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// Take it if that needs no waiting.
    #[inline]
    pub fn try_acquire(&self, caller: &Caller) -> bool {
        if self.kind() == Kind::Semaphore {
            return self.counter.try_acquire();
        }
        if self.kind() == Kind::Recursive && self.mine(caller.me, caller.thread) {
            self.count.store(self.count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            return true;
        }
        let took = self.mutex.try_lock(caller.me);
        if took {
            self.mark(caller);
        }
        took
    }

    /// Take it if another process gives it back within some microseconds.
    pub fn acquire_soon(&self, caller: &Caller) -> bool {
        let took = self.kind() != Kind::Semaphore
            && self.mutex.holder() != caller.me
            && self.mutex.try_lock_spinning(caller.me);
        if took {
            self.mark(caller);
        }
        took
    }

    /// Take it, waiting as long as `patience` lasts.
    pub fn acquire(&self, caller: &Caller, patience: &mut Patience) -> Taken {
        self.acquire_watched(caller, patience, &mut ())
    }

    /// As [`SemLock::acquire`]; `watch` looks on, unless it is a semaphore.
    pub fn acquire_watched(&self, caller: &Caller, patience: &mut Patience, watch: &mut dyn Watch) -> Taken {
        if self.try_acquire(caller) {
            return Taken::Yes;
        }
        if self.kind() == Kind::Semaphore {
            return self.counter.acquire(patience).map_or_else(Taken::No, |()| Taken::Yes);
        }
        match self.mutex.lock_watched(caller.me, caller.alive, patience, watch) {
            Ok(Held::Clean) => {
                self.mark(caller);
                Taken::Yes
            }
            Ok(Held::Inherited(dead)) => self.hand_back(dead),
            Err(End::TimedOut) => self.look(caller),
            Err(end) => Taken::No(end),
        }
    }

    /// For who may not wait: has the holder died?
    pub fn look(&self, caller: &Caller) -> Taken {
        if self.kind() == Kind::Semaphore {
            return Taken::No(End::TimedOut);
        }
        let dead = self.mutex.inherit(caller.me, caller.alive);
        dead.map_or(Taken::No(End::TimedOut), |dead| self.hand_back(dead))
    }

    /// Give it back.
    #[inline]
    pub fn release(&self, me: u32, thread: u32) -> Result<(), Refused> {
        match self.kind() {
            Kind::Semaphore => self.counter.release(self.max).then_some(()).ok_or(Refused::TooMany),
            Kind::Lock => {
                let taker = self.thread.load(Ordering::Relaxed);
                if taker != thread && taker != 0 {
                    self.handed.store(1, Ordering::Relaxed);
                }
                self.unmark();
                self.mutex.unlock().then_some(()).ok_or(Refused::TooMany)
            }
            Kind::Recursive => self.release_recursive(me, thread),
        }
    }

    fn release_recursive(&self, me: u32, thread: u32) -> Result<(), Refused> {
        if !self.mine(me, thread) {
            return Err(Refused::NotOwner);
        }
        let left = self.count.load(Ordering::Relaxed) - 1;
        self.count.store(left, Ordering::Relaxed);
        if left == 0 {
            self.unmark();
            self.mutex.unlock();
        }
        Ok(())
    }

    /// Does this thread of this member hold it?
    #[inline]
    pub fn mine(&self, me: u32, thread: u32) -> bool {
        self.mutex.holder() == me && self.thread.load(Ordering::Relaxed) == thread
    }

    /// How often member `me` holds it.
    pub fn count(&self, me: u32) -> u32 {
        match self.kind() {
            Kind::Semaphore => 0,
            _ if self.mutex.holder() != me => 0,
            Kind::Lock => 1,
            Kind::Recursive => self.count.load(Ordering::Relaxed).max(1),
        }
    }

    /// How often it could be taken now.
    pub fn value(&self) -> u32 {
        match self.kind() {
            Kind::Semaphore => self.counter.value(),
            _ => (self.mutex.holder() == 0) as u32,
        }
    }

    /// Who holds it; a lock that is just being taken may not tell pid and thread yet.
    pub fn holder(&self) -> Holder {
        match self.mutex.holder() {
            0 => Holder::default(),
            member => self.marked(member),
        }
    }

    /// For who looks for circles: who holds it, and what binds it to that one; None if nobody holds it, or
    /// nobody is bound by it.
    pub fn bond(&self) -> Option<(Who, Bond)> {
        // Whoever takes it finds the thread 0, until it has left its own. So the two belong together.
        let member = self.mutex.holder_and_before();
        let thread = self.thread.load(Ordering::SeqCst);
        let bond = match self.kind() {
            Kind::Recursive => Bond::Owner,
            Kind::Semaphore => return None,
            Kind::Lock if self.handed.load(Ordering::Relaxed) != 0 => return None,
            Kind::Lock if self.count.load(Ordering::Relaxed) == SCOPED => Bond::Scope,
            Kind::Lock => Bond::Loose,
        };
        (member != 0 && thread != 0).then_some(((member as Who) << 32 | thread as Who, bond))
    }

    #[inline]
    fn mark(&self, caller: &Caller) {
        step("lock.unmarked");
        let scoped = caller.scope && self.kind() == Kind::Lock;
        self.count.store(if scoped { SCOPED } else { 1 }, Ordering::Relaxed);
        self.pid.store(caller.pid, Ordering::Relaxed);
        // Who sees the thread sees what stands before it.
        self.thread.store(caller.thread, Ordering::Release);
        step("lock.marked");
    }

    /// Before the unlock: afterwards the next holder writes here. So a holder that is killed before
    /// it has left its mark is not taken for the one before it.
    #[inline]
    fn unmark(&self) {
        self.pid.store(0, Ordering::Relaxed);
        self.thread.store(0, Ordering::Relaxed);
    }

    fn marked(&self, member: u32) -> Holder {
        Holder { member, pid: self.pid.load(Ordering::Relaxed), thread: self.thread.load(Ordering::Relaxed) }
    }

    fn hand_back(&self, dead: u32) -> Taken {
        let holder = self.marked(dead);
        self.unmark();
        self.mutex.unlock();
        Taken::OwnerDied(holder)
    }
}
