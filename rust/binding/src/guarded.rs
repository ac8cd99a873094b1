//! `Guard` and `Guarded`: an object and the lock that guards it, and attributes that are read and
//! written with the lock held.
//!
//! One step does what Python code would that calls `acquire()`, looks and calls `release()`: no handler
//! of a signal runs in between, and no name is looked up but that of the attribute.

use crate::lean::{self, lean};
use crate::semlock::{Acquire, Release, SemLock};
use pyo3::exceptions::PyAttributeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::cell::UnsafeCell;

/// An attribute that may be set again.
struct Slot<T>(UnsafeCell<Option<T>>);

// SAFETY: whoever has a `Python` has the GIL, and nothing that is done with the cell gives it up.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Slot<T> {
    fn empty() -> Self {
        Slot(UnsafeCell::new(None))
    }

    /// What `keep` makes of the value; it runs nobody's code. AttributeError if there is none.
    #[inline]
    fn get<R>(&self, _py: Python<'_>, keep: impl FnOnce(&T) -> R) -> PyResult<R> {
        // SAFETY: see `Sync`.
        let value = unsafe { &*self.0.get() };
        value.as_ref().map(keep).ok_or_else(absent)
    }

    fn put(&self, _py: Python<'_>, value: Option<T>) {
        // SAFETY: see `Sync`. What was there is dropped at the end, which may run anybody's code.
        let _before = unsafe { std::mem::replace(&mut *self.0.get(), value) };
    }

    fn visit(&self, visit: impl FnOnce(&T) -> Result<(), PyTraverseError>) -> Result<(), PyTraverseError> {
        // SAFETY: the collector has the GIL.
        unsafe { &*self.0.get() }.as_ref().map_or(Ok(()), visit)
    }
}

#[cold]
fn absent() -> PyErr {
    PyAttributeError::new_err("there is no lock and no object yet: __init__ was not called")
}

/// A method of any lock; of one of ours, the lock is known.
struct Method {
    callable: Py<PyAny>,
    lock: Option<Py<SemLock>>,
}

impl Method {
    fn of<L: lean::Lean<Class = SemLock>>(callable: Bound<'_, PyAny>) -> Method {
        let lock = lean::owner::<L>(&callable).map(|lock| lock.to_owned().unbind());
        Method { callable: callable.unbind(), lock }
    }

    /// None if `plainly` did what the method does to a lock of ours; else the method, to be called.
    #[inline]
    fn unless(&self, py: Python<'_>, plainly: fn(&SemLock) -> bool) -> Option<Py<PyAny>> {
        let done = self.lock.as_ref().is_some_and(|lock| plainly(lock.get()));
        (!done).then(|| self.callable.clone_ref(py))
    }
}

impl Slot<Method> {
    /// Call the method.
    #[inline]
    fn call(&self, py: Python<'_>, plainly: fn(&SemLock) -> bool) -> PyResult<()> {
        match self.get(py, |method| method.unless(py, plainly))? {
            None => Ok(()),
            Some(callable) => callable.call0(py).map(drop),
        }
    }
}

#[pyclass(subclass, frozen, module = "procession._core")]
pub struct Guard {
    object: Slot<Py<PyAny>>,
    lock: Slot<Py<PyAny>>,
    acquire: Slot<Method>,
    release: Slot<Method>,
}

impl Guard {
    /// What `work` makes of the object, with the lock held.
    #[inline]
    fn under<R>(&self, py: Python<'_>, work: impl FnOnce(&Py<PyAny>) -> PyResult<R>) -> PyResult<R> {
        self.acquire.call(py, SemLock::take_plainly)?;
        let done = self.object.get(py, |object| object.clone_ref(py)).and_then(|object| work(&object));
        self.release.call(py, SemLock::give_plainly)?;
        done
    }
}

#[pymethods]
impl Guard {
    #[new]
    #[pyo3(signature = (*_arguments, **_by_name))]
    fn new(_arguments: &Bound<'_, PyTuple>, _by_name: Option<&Bound<'_, PyDict>>) -> Guard {
        Guard { object: Slot::empty(), lock: Slot::empty(), acquire: Slot::empty(), release: Slot::empty() }
    }

    #[getter(_obj)]
    fn object(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.object.get(py, |object| object.clone_ref(py))
    }

    #[setter(_obj)]
    fn set_object(&self, py: Python<'_>, object: Py<PyAny>) {
        self.object.put(py, Some(object));
    }

    #[getter(_lock)]
    fn its_lock(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.lock.get(py, |lock| lock.clone_ref(py))
    }

    #[setter(_lock)]
    fn set_lock(&self, py: Python<'_>, lock: Py<PyAny>) {
        self.lock.put(py, Some(lock));
    }

    fn get_lock(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.its_lock(py)
    }

    #[getter]
    fn acquire(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.acquire.get(py, |method| method.callable.clone_ref(py))
    }

    #[setter]
    fn set_acquire(&self, acquire: Bound<'_, PyAny>) {
        self.acquire.put(acquire.py(), Some(Method::of::<Acquire>(acquire.clone())));
    }

    #[getter]
    fn release(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.release.get(py, |method| method.callable.clone_ref(py))
    }

    #[setter]
    fn set_release(&self, release: Bound<'_, PyAny>) {
        self.release.put(release.py(), Some(Method::of::<Release>(release.clone())));
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.object.visit(|object| visit.call(object))?;
        self.lock.visit(|lock| visit.call(lock))?;
        for method in [&self.acquire, &self.release] {
            method.visit(|method| visit.call(&method.callable).and_then(|()| visit.call(&method.lock)))?;
        }
        Ok(())
    }

    fn __clear__(&self, py: Python<'_>) {
        self.object.put(py, None);
        self.lock.put(py, None);
        self.acquire.put(py, None);
        self.release.put(py, None);
    }
}

lean!(GetLock: Guard, c"get_lock", c"get_lock($self)\n--\n\nThe lock.", |py, guard, arguments| {
    arguments.is_empty().then(|| guard.its_lock(py).map(|lock| lock.into_bound(py)))
});

/// A descriptor: an attribute of a guard's object.
#[pyclass(frozen, module = "procession._core")]
pub struct Guarded {
    name: Py<PyString>,
}

#[pymethods]
impl Guarded {
    #[new]
    fn new(name: Py<PyString>) -> Guarded {
        Guarded { name }
    }

    fn __get__<'py>(
        this: Bound<'py, Self>,
        guard: Option<Bound<'py, Guard>>,
        _class: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        match guard {
            Some(guard) => guard.get().under(py, |object| object.bind(py).getattr(&this.get().name)),
            None => Ok(this.into_any()),
        }
    }

    fn __set__(&self, guard: &Bound<'_, Guard>, value: Bound<'_, PyAny>) -> PyResult<()> {
        let py = guard.py();
        guard.get().under(py, |object| object.bind(py).setattr(&self.name, value))
    }

    fn __delete__(&self, _guard: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyAttributeError::new_err(format!("{} cannot be deleted", self.name)))
    }
}
