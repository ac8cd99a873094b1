//! `SemLock`: Lock, RLock and the semaphores.

use crate::shared::{HandleTuple, Shared, attach, base, open, own};
use crate::waiting::{Limit, wait};
use procession_core::heap::{BlockKind, Heap, Held};
use procession_core::semlock::{Caller, Kind, Refused, SemLock as Words, Taken};
use procession_core::wait::End;
use pyo3::exceptions::{PyAssertionError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::sync::Arc;

/// As in `_multiprocessing`.
pub const RECURSIVE_MUTEX: u32 = 0;
/// As in `_multiprocessing`.
pub const SEMAPHORE: u32 = 1;
/// The greatest count.
pub const SEM_VALUE_MAX: u32 = i32::MAX as u32;

#[pyclass(extends = Shared, subclass, frozen, module = "procession._core")]
pub struct SemLock {
    heap: Arc<Heap>,
    offset: u64,
}

/// What tells this thread from the others of its process, also after a fork: its descriptor's page.
#[inline]
fn thread() -> u32 {
    // SAFETY: always succeeds.
    (unsafe { pthread_self() } >> 12) as u32
}

unsafe extern "C" {
    fn pthread_self() -> usize;
}

impl SemLock {
    fn over(held: Held) -> PyClassInitializer<SemLock> {
        let lock = SemLock { heap: held.heap().clone(), offset: held.offset() };
        PyClassInitializer::from(base(held)).add_subclass(lock)
    }

    #[inline]
    fn words(&self) -> &Words {
        // SAFETY: the base class holds this object, of kind SemLock.
        unsafe { self.heap.at::<Words>(self.offset) }
    }

    #[inline]
    fn quick(&self) -> bool {
        let me = self.heap.me();
        self.words().try_acquire(&Caller { me, pid: self.heap.pid(), thread: thread(), alive: &|_| true })
    }

    fn slow(&self, py: Python<'_>, limit: Limit) -> PyResult<bool> {
        let (me, thread) = (self.heap.me(), thread());
        let alive = |id| self.heap.is_alive(id);
        let caller = |alive| Caller { me, pid: self.heap.pid(), thread, alive };
        let taken = if limit == Limit::Now {
            Some(self.words().look(&caller(&alive)))
        } else {
            wait(py, limit, |patience| match self.words().acquire(&caller(&alive), patience) {
                Taken::Interrupted => Err(End::Interrupted),
                taken => Ok(taken),
            })?
        };
        match taken {
            Some(Taken::OwnerDied(pid)) => Err(owner_died(py, pid)),
            taken => Ok(taken == Some(Taken::Yes)),
        }
    }
}

fn owner_died(py: Python<'_>, pid: u32) -> PyErr {
    let error = py
        .import("procession.errors")
        .and_then(|errors| errors.getattr("OwnerDiedError"))
        .and_then(|class| class.call1((pid,)));
    error.map_or_else(|error| error, PyErr::from_value)
}

#[pymethods]
impl SemLock {
    #[new]
    #[pyo3(signature = (kind = SEMAPHORE, value = 1, maxvalue = 1, owned = false, *, _handle = None))]
    fn new(
        kind: u32,
        value: i64,
        maxvalue: i64,
        owned: bool,
        _handle: Option<HandleTuple>,
    ) -> PyResult<PyClassInitializer<SemLock>> {
        if let Some(handle) = _handle {
            return Ok(Self::over(open(handle, BlockKind::SemLock)?));
        }
        let kind = match (kind, owned) {
            (RECURSIVE_MUTEX, _) => Kind::Recursive,
            (SEMAPHORE, true) => Kind::Lock,
            (SEMAPHORE, false) => Kind::Semaphore,
            _ => {
                return Err(PyValueError::new_err(format!("unknown kind of lock: {kind}")));
            }
        };
        if value < 0 || value > maxvalue || maxvalue > SEM_VALUE_MAX as i64 {
            let text = format!("semaphore's initial value must be between 0 and {maxvalue}: {value}");
            return Err(PyValueError::new_err(text));
        }
        let heap = own()?;
        let caller = Caller { me: heap.me(), pid: heap.pid(), thread: thread(), alive: &|_| true };
        let words = Words::new(kind, value as u32, maxvalue as u32, &caller);
        let length = std::mem::size_of::<Words>() as u64;
        // SAFETY: the block has room for the words and is known to nobody else.
        let held =
            Held::create(&heap, BlockKind::SemLock, length, |at| unsafe { at.cast::<Words>().write(words) });
        Ok(Self::over(held.map_err(crate::shared::python)?))
    }

    #[classmethod]
    fn _attach<'py>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
        attach::<SemLock>(class, handle)
    }

    #[pyo3(signature = (block = true, timeout = None))]
    fn acquire(&self, py: Python<'_>, block: bool, timeout: Option<f64>) -> PyResult<bool> {
        if self.quick() {
            return Ok(true);
        }
        self.slow(py, Limit::blocking(block, timeout)?)
    }

    fn release(&self) -> PyResult<()> {
        self.words().release(self.heap.me(), thread()).map_err(|refused| match refused {
            Refused::TooMany => PyValueError::new_err("semaphore or lock released too many times"),
            Refused::NotOwner => {
                PyAssertionError::new_err("attempt to release recursive lock not owned by thread")
            }
        })
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire(py, true, None)
    }

    #[pyo3(signature = (_kind = None, _error = None, _trace = None))]
    fn __exit__(
        &self,
        _kind: Option<&Bound<'_, PyAny>>,
        _error: Option<&Bound<'_, PyAny>>,
        _trace: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.release()
    }

    #[getter]
    fn kind(&self) -> u32 {
        match self.words().kind() {
            Kind::Recursive => RECURSIVE_MUTEX,
            Kind::Lock | Kind::Semaphore => SEMAPHORE,
        }
    }

    #[getter]
    fn maxvalue(&self) -> u32 {
        self.words().max()
    }

    #[getter]
    fn name(&self) -> Option<String> {
        None
    }

    fn _count(&self) -> u32 {
        self.words().count(self.heap.me())
    }

    fn _is_mine(&self) -> bool {
        self.words().mine(self.heap.me(), thread())
    }

    fn _get_value(&self) -> u32 {
        self.words().value()
    }

    fn _is_zero(&self) -> bool {
        self.words().value() == 0
    }

    fn _holder(&self) -> Option<(u32, u32)> {
        Some(self.words().holder()).filter(|holder| *holder != (0, 0))
    }
}
