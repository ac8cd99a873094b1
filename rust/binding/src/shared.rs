//! What all objects have in common: the hold, the handle, and errors in Python's words.

use procession_core::heap::{BlockKind, Handle, Heap, HeapError, Held, family};
use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyLookupError, PyMemoryError, PyOSError, PyReferenceError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use std::sync::Arc;

/// `(family, offset, serial)`.
pub type HandleTuple = (u64, u64, u64);

/// The common base class.
#[pyclass(subclass, frozen, module = "procession._core")]
pub struct Shared {
    held: Option<Held>,
}

/// A core error as Python's.
pub fn python(error: HeapError) -> PyErr {
    match error {
        HeapError::NoMemory => PyMemoryError::new_err("the system refuses memory for the family's heap"),
        HeapError::Sys(error) => PyOSError::new_err((error.raw_os_error(), error.to_string())),
        HeapError::NotAHeap => {
            PyValueError::new_err("the descriptor is not a family's heap of this build of procession")
        }
        HeapError::Gone => PyReferenceError::new_err(
            "the shared object is gone: its last holder dropped it or died; keep a reference to it until the receiver has loaded it",
        ),
        HeapError::OtherKind => PyTypeError::new_err("the handle names a shared object of another class"),
        HeapError::Full => PyOSError::new_err("the family has no seat left: 32767 processes belong to it"),
    }
}

/// The process's own heap, founded if need be.
pub fn own() -> PyResult<Arc<Heap>> {
    family::found().map_err(python)
}

/// One more hold on what a tuple names.
pub fn open(tuple: HandleTuple, kind: BlockKind) -> PyResult<Held> {
    let (family, offset, serial) = tuple;
    let heap = family::of(family).ok_or_else(|| {
        PyLookupError::new_err(
            "the shared object belongs to another family: only processes started by this one, or by its children, can use it",
        )
    })?;
    Held::open(&heap, Handle { family, offset, serial }, kind).map_err(python)
}

/// The base of a class, with its hold in it.
pub fn base(held: Held) -> Shared {
    Shared { held: Some(held) }
}

impl Shared {
    /// The hold.
    #[inline]
    pub fn held(&self) -> PyResult<&Held> {
        self.held.as_ref().ok_or_else(|| PyTypeError::new_err("Shared is abstract: make one of its subclasses"))
    }
}

#[pymethods]
impl Shared {
    /// Offset in the heap.
    #[getter]
    fn handle(&self) -> PyResult<u64> {
        Ok(self.held()?.offset())
    }

    fn _handle(&self) -> PyResult<HandleTuple> {
        let handle = self.held()?.handle();
        Ok((handle.family, handle.offset, handle.serial))
    }
}

/// One more hold, as an instance of `class`, which may be a Python subclass of the native `T`. It is
/// made by the native `__new__` itself, not by the subclass's, and `__init__` is not run.
pub fn attach<'py, T: PyTypeInfo>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let keywords = PyDict::new(py);
    keywords.set_item("_handle", handle)?;
    T::type_object(py).getattr("__new__")?.call((class,), Some(&keywords))
}
