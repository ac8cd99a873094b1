//! `SemLock`: Lock, RLock and the semaphores.

use crate::lean::{are_block_and_timeout, lean};
use crate::shared::{HandleTuple, Shared, Words, attach, base, create, open, own};
use crate::waiting::{Limit, Truth, wait};
use procession_core::circle::{Bond, Link, Vigil, Who, member};
use procession_core::heap::BlockKind;
use procession_core::member::seat_of;
use procession_core::semlock::{Caller, Holder, Kind, Refused, SemLock as Core, Taken};
use procession_core::wait::{End, Patience};
use pyo3::call::PyCallArgs;
use pyo3::exceptions::{PyAssertionError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyType};
use std::cell::Cell;
use std::ffi::CStr;

/// As in `_multiprocessing`.
pub const RECURSIVE_MUTEX: u32 = 0;
/// As in `_multiprocessing`.
pub const SEMAPHORE: u32 = 1;
/// The greatest count.
pub const SEM_VALUE_MAX: u32 = i32::MAX as u32;

#[pyclass(extends = Shared, subclass, frozen, module = "procession._core")]
pub struct SemLock {
    words: Words<Core>,
}

/// The calling thread's id, remembered together with the process, since a forked child has the
/// parent's memory.
#[inline]
fn thread(pid: u32) -> u32 {
    thread_local! {
        static THREAD: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
    }
    THREAD.with(|known| match known.get() {
        (process, thread) if process == pid => thread,
        _ => {
            // SAFETY: always succeeds.
            let thread = unsafe { libc::syscall(libc::SYS_gettid) } as u32;
            known.set((pid, thread));
            thread
        }
    })
}

/// What a lock is taken for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Whatever the program likes.
    Plain,
    /// A with statement.
    Scope,
    /// To have it again after a wait at a condition.
    Again,
}

impl SemLock {
    /// `scope`: for a with statement.
    #[inline]
    fn caller<'a>(&self, scope: bool, alive: &'a dyn Fn(u32) -> bool) -> Caller<'a> {
        let heap = self.words.heap();
        Caller { me: heap.me(), pid: heap.pid(), thread: thread(heap.pid()), scope, alive }
    }

    #[inline]
    fn take(&self, py: Python<'_>, block: Truth, timeout: Option<f64>) -> PyResult<bool> {
        let lock = self.words.get()?;
        if lock.try_acquire(&self.caller(false, &|_| true)) {
            return Ok(true);
        }
        self.take_slowly(py, lock, Limit::blocking(block, timeout)?, Way::Plain)
    }

    /// Take it if that needs no waiting.
    #[inline]
    pub fn take_plainly(&self) -> bool {
        self.words.get().is_ok_and(|lock| lock.try_acquire(&self.caller(false, &|_| true)))
    }

    #[inline]
    fn enter(&self, py: Python<'_>) -> PyResult<bool> {
        let lock = self.words.get()?;
        if lock.try_acquire(&self.caller(true, &|_| true)) {
            return Ok(true);
        }
        self.take_slowly(py, lock, Limit::Never, Way::Scope)
    }

    #[cold]
    fn take_slowly(&self, py: Python<'_>, lock: &Core, limit: Limit, way: Way) -> PyResult<bool> {
        let (heap, scope) = (self.words.heap(), way == Way::Scope);
        // With the GIL: to give it up and ask for it again takes longer than most locks are held.
        if limit != Limit::Now && self.words.spin_as(|| lock.acquire_soon(&self.caller(scope, &|_| true))) {
            return Ok(true);
        }
        let mut circle = Vec::new();
        let taken = if limit == Limit::Now {
            // May be asked all the time, by who does something else meanwhile.
            Some(lock.look(&self.caller(scope, &|id| heap.seemed_alive(id))))
        } else {
            let alive = |id| heap.is_alive(id);
            // The caller is asked for inside, where it is the one who waits.
            wait(py, limit, |patience| {
                let caller = self.caller(scope, &alive);
                // What a mutex guards is seldom given back so soon; what a semaphore tells may be.
                if lock.kind() == Kind::Semaphore && self.words.spin(&|| lock.try_acquire(&caller)) {
                    return Ok(Taken::Yes);
                }
                let taken = match limit {
                    Limit::Never => self.wait_for_ever(lock, &caller, way == Way::Again, patience, &mut circle),
                    _ => lock.acquire(&caller, patience),
                };
                match taken {
                    Taken::No(end) if end != End::Deadlocked => Err(end),
                    taken => Ok(taken),
                }
            })?
        };
        match taken {
            Some(Taken::OwnerDied(holder)) => Err(self.owner_died(py, holder)),
            Some(Taken::No(_)) if !circle.is_empty() => Err(self.deadlocked(py, &circle)),
            taken => Ok(taken == Some(Taken::Yes)),
        }
    }

    /// A wait that nothing ends but the lock, unless it is one of a circle.
    fn wait_for_ever(
        &self,
        lock: &Core,
        caller: &Caller,
        reluctant: bool,
        patience: &mut Patience,
        circle: &mut Vec<Link>,
    ) -> Taken {
        let heap = self.words.heap();
        let holder = |lock| heap.bond(lock);
        let mut vigil = Vigil {
            table: heap.waits(),
            me: (caller.me as Who) << 32 | caller.thread as Who,
            lock: self.words.offset(),
            scope: caller.scope,
            reluctant,
            holder: &holder,
            alive: caller.alive,
            found: Default::default(),
        };
        let taken = lock.acquire_watched(caller, patience, &mut vigil);
        if taken == Taken::No(End::Deadlocked) {
            circle.extend_from_slice(vigil.circle());
        }
        taken
    }

    #[inline]
    fn give(&self) -> PyResult<()> {
        let heap = self.words.heap();
        self.words.get()?.release(heap.me(), thread(heap.pid())).map_err(refused)
    }

    /// Give it back; false where there is something to raise.
    #[inline]
    pub fn give_plainly(&self) -> bool {
        let heap = self.words.heap();
        self.words.get().is_ok_and(|lock| lock.release(heap.me(), thread(heap.pid())).is_ok())
    }

    fn owner_died(&self, py: Python<'_>, holder: Holder) -> PyErr {
        let holder = self.named(holder);
        raised(py, "owner_died", (holder.pid, holder.thread))
    }

    fn deadlocked(&self, py: Python<'_>, circle: &[Link]) -> PyErr {
        let heap = self.words.heap();
        let link = |link: &Link| {
            let id = member(link.who);
            let kind = if link.bond == Bond::Owner { "RLock" } else { "Lock" };
            let certain = link.bond != Bond::Loose;
            (heap.seat(seat_of(id)).pid_of(id), link.who as u32, kind, link.lock, certain)
        };
        raised(py, "deadlocked", (circle.iter().map(link).collect::<Vec<_>>(),))
    }

    /// With the pid from the member's seat if the holder had no time to leave it in the lock.
    fn named(&self, mut holder: Holder) -> Holder {
        if holder.pid == 0 {
            holder.pid = self.words.heap().seat(seat_of(holder.member)).pid_of(holder.member);
        }
        if holder.thread == 0 {
            holder.thread = holder.pid;
        }
        holder
    }
}

/// The error that this function of `procession._waits` makes.
fn raised<'py>(py: Python<'py>, maker: &str, arguments: impl PyCallArgs<'py>) -> PyErr {
    let error = py
        .import("procession._waits")
        .and_then(|waits| waits.getattr(maker))
        .and_then(|maker| maker.call1(arguments));
    error.map_or_else(|error| error, PyErr::from_value)
}

#[cold]
fn refused(refused: Refused) -> PyErr {
    match refused {
        Refused::TooMany => PyValueError::new_err("semaphore or lock released too many times"),
        Refused::NotOwner => PyAssertionError::new_err("attempt to release recursive lock not owned by thread"),
    }
}

fn kind_of(kind: u32, value: i64, maxvalue: i64, owned: bool) -> PyResult<Kind> {
    if value < 0 || value > maxvalue || maxvalue > SEM_VALUE_MAX as i64 {
        let most = maxvalue.min(SEM_VALUE_MAX as i64);
        let text = format!("semaphore's initial value must be between 0 and {most}: {value}");
        return Err(PyValueError::new_err(text));
    }
    match (kind, owned) {
        (RECURSIVE_MUTEX, _) => Ok(Kind::Recursive),
        (SEMAPHORE, true) if maxvalue == 1 => Ok(Kind::Lock),
        (SEMAPHORE, true) => Err(PyValueError::new_err(format!("an owned lock has maxvalue 1, not {maxvalue}"))),
        (SEMAPHORE, false) => Ok(Kind::Semaphore),
        _ => Err(PyValueError::new_err(format!("unknown kind of lock: {kind}"))),
    }
}

#[pymethods]
impl SemLock {
    #[new]
    #[pyo3(signature = (kind = SEMAPHORE, value = 1, maxvalue = 1, owned = false, *, _handle = None))]
    fn new(
        py: Python<'_>,
        kind: u32,
        value: i64,
        maxvalue: i64,
        owned: bool,
        _handle: Option<HandleTuple>,
    ) -> PyResult<PyClassInitializer<SemLock>> {
        let held = match _handle {
            Some(handle) => open(py, handle, BlockKind::SemLock)?,
            None => {
                let kind = kind_of(kind, value, maxvalue, owned)?;
                let heap = own()?;
                let thread = thread(heap.pid());
                let caller = Caller { me: heap.me(), pid: heap.pid(), thread, scope: false, alive: &|_| true };
                let core = Core::new(kind, value as u32, maxvalue as u32, &caller);
                create(py, &heap, BlockKind::SemLock, core)?
            }
        };
        let lock = SemLock { words: Words::of(&held) };
        Ok(PyClassInitializer::from(base(held)).add_subclass(lock))
    }

    #[classmethod]
    fn _attach<'py>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
        attach::<SemLock>(class, handle)
    }

    #[pyo3(signature = (block = Truth(true), timeout = None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(&self, py: Python<'_>, block: Truth, timeout: Option<f64>) -> PyResult<bool> {
        self.take(py, block, timeout)
    }

    fn release(&self) -> PyResult<()> {
        self.give()
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.enter(py)
    }

    #[pyo3(signature = (_kind = None, _error = None, _trace = None))]
    fn __exit__(
        &self,
        _kind: Option<&Bound<'_, PyAny>>,
        _error: Option<&Bound<'_, PyAny>>,
        _trace: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.give()
    }

    #[getter]
    fn kind(&self) -> PyResult<u32> {
        Ok(match self.words.get()?.kind() {
            Kind::Recursive => RECURSIVE_MUTEX,
            Kind::Lock | Kind::Semaphore => SEMAPHORE,
        })
    }

    #[getter]
    fn maxvalue(&self) -> PyResult<u32> {
        Ok(self.words.get()?.max())
    }

    #[getter]
    fn name(&self) -> Option<String> {
        None
    }

    fn _take_again(&self, py: Python<'_>) -> PyResult<bool> {
        let lock = self.words.get()?;
        if lock.try_acquire(&self.caller(false, &|_| true)) {
            return Ok(true);
        }
        self.take_slowly(py, lock, Limit::Never, Way::Again)
    }

    fn _count(&self) -> PyResult<u32> {
        Ok(self.words.get()?.count(self.words.heap().me()))
    }

    fn _is_mine(&self) -> PyResult<bool> {
        let heap = self.words.heap();
        Ok(self.words.get()?.mine(heap.me(), thread(heap.pid())))
    }

    fn _get_value(&self) -> PyResult<u32> {
        Ok(self.words.get()?.value())
    }

    fn _is_zero(&self) -> PyResult<bool> {
        Ok(self.words.get()?.value() == 0)
    }

    fn _holder(&self) -> PyResult<Option<(u32, u32)>> {
        let holder = self.words.get()?.holder();
        let known = (holder != Holder::default()).then(|| self.named(holder));
        Ok(known.map(|holder| (holder.pid, holder.thread)))
    }
}

/// With its docstring, since it stands in the general method's place.
const ACQUIRE: &CStr = c"acquire($self, block=True, timeout=None)
--

Take it: True when taken.

`block`: wait if need be. `timeout`: seconds to wait at most, None for ever, zero or less not at
all; False when they have gone by.

Raises OwnerDiedError, the lock being free again, in one waiter or the next caller after the
holder of a Lock or RLock died; DeadlockError in one of those who wait for each other in a circle.";

lean!(Acquire: SemLock, c"acquire", ACQUIRE; named c"block" | c"timeout", |py, lock, arguments| {
    (are_block_and_timeout(arguments) && lock.take_plainly()).then(|| Ok(PyBool::new(py, true).to_owned().into_any()))
});

/// As above.
const RELEASE: &CStr = c"release($self)
--

Give it back, or add one to a semaphore.

Raises ValueError where nobody holds the lock or a semaphore is at its maximum; AssertionError
for an RLock that the calling thread does not hold.";

lean!(Release: SemLock, c"release", RELEASE, |py, lock, arguments| {
    (arguments.is_empty() && lock.give_plainly()).then(|| Ok(py.None().into_bound(py)))
});

lean!(Enter: SemLock, c"__enter__", c"__enter__($self)\n--\n\n", |py, lock, arguments| {
    let plain = arguments.is_empty() && lock.words.get().ok()?.try_acquire(&lock.caller(true, &|_| true));
    plain.then(|| Ok(PyBool::new(py, true).to_owned().into_any()))
});

lean!(Exit: SemLock, c"__exit__", c"__exit__($self, _kind=None, _error=None, _trace=None)\n--\n\n", |py, lock, _| {
    lock.give_plainly().then(|| Ok(py.None().into_bound(py)))
});
