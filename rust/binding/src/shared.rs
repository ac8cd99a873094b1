//! What all objects have in common: the hold, the handle, and errors in Python's words.

use crate::gil;
use procession_core::heap::{BlockKind, Credit, Handle, Heap, HeapError, Held, family, map};
use pyo3::PyTypeInfo;
use pyo3::exceptions::{
    PyLookupError, PyMemoryError, PyOSError, PyReferenceError, PyRuntimeError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use std::marker::PhantomData;
use std::sync::Arc;

/// `(family, offset, serial)`.
pub type HandleTuple = (u64, u64, u64);

/// The common base class.
#[pyclass(subclass, frozen, module = "procession._core")]
pub struct Shared {
    held: Option<Held>,
}

/// What may keep a heap small, or from being made.
const LIMITS: &str = "the limits on the length of files (ulimit -f) or on addresses (ulimit -v)";

/// A core error as Python's.
pub fn python(error: HeapError) -> PyErr {
    match error {
        HeapError::NoMemory => PyMemoryError::new_err("the system refuses memory for the family's heap"),
        HeapError::UsedUp(size) => PyMemoryError::new_err(format!(
            "the family's heap cannot grow beyond {} MiB, which is too little for this{}",
            size >> 20,
            if size < map::wanted() {
                format!("; {LIMITS} left it no more when it was made")
            } else {
                String::new()
            }
        )),
        HeapError::Limited => PyMemoryError::new_err(format!(
            "the family's heap needs {} MiB, which {LIMITS} forbid",
            map::SMALLEST_MAP >> 20
        )),
        HeapError::Sys(error) => PyOSError::new_err((error.raw_os_error(), error.to_string())),
        HeapError::NotAHeap => {
            PyValueError::new_err("the descriptor is not a family's heap of this build of procession")
        }
        HeapError::Gone => PyReferenceError::new_err(
            "the shared object is gone: its last holder dropped it or died; keep a reference to it until the receiver has loaded it",
        ),
        HeapError::OtherKind => PyTypeError::new_err("the handle names a shared object of another class"),
        HeapError::Damaged => PyRuntimeError::new_err(
            "the family's shared memory is damaged: one of its processes has written where it should not",
        ),
        HeapError::Lost => lost(),
        HeapError::Full => PyOSError::new_err("the family has no seat left: 32767 processes belong to it"),
    }
}

/// The error of a process whose holds a fork could not hand on.
#[cold]
pub fn lost() -> PyErr {
    PyRuntimeError::new_err(
        "this process lost its shared objects when it was forked: the system had no memory or no seat for it",
    )
}

/// The process's own heap, founded if need be.
pub fn own() -> PyResult<Arc<Heap>> {
    family::found().map_err(python)
}

/// One more hold on what a tuple names.
pub fn open(py: Python<'_>, tuple: HandleTuple, kind: BlockKind) -> PyResult<Held> {
    let (family, offset, serial) = tuple;
    let Some(heap) = family::of(family) else {
        return Err(PyLookupError::new_err(
            "the shared object belongs to another family: only processes started by this one, or by its children, can use it",
        ));
    };
    let heap = heap.map_err(python)?;
    gil::without(py, || Held::open(&heap, Handle { family, offset, serial }, kind)).map_err(python)
}

/// Make an object whose words are `words`.
pub fn create<T: Send>(py: Python<'_>, heap: &Arc<Heap>, kind: BlockKind, words: T) -> PyResult<Held> {
    let length = std::mem::size_of::<T>() as u64;
    // SAFETY: the block has room for the words and is known to nobody else.
    let write = |at: *mut u8| unsafe { at.cast::<T>().write(words) };
    gil::without(py, || Held::create(heap, kind, length, write)).map_err(python)
}

/// The base of a class, with its hold in it.
pub fn base(held: Held) -> Shared {
    Shared { held: Some(held) }
}

/// Give up a hold; if that has to wait for others, then without the GIL.
pub fn release(held: Held) {
    let Err(held) = held.drop_at_once() else { return };
    let mut held = Some(held);
    // Where the interpreter is gone, there is no GIL to give up, and the hold goes at the end.
    Python::try_attach(|py| gil::without(py, || drop(held.take())));
}

impl Shared {
    /// The hold.
    #[inline]
    pub fn held(&self) -> PyResult<&Held> {
        let held = self
            .held
            .as_ref()
            .ok_or_else(|| PyTypeError::new_err("Shared is abstract: make one of its subclasses"))?;
        held.is_valid().then_some(held).ok_or_else(lost)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            release(held);
        }
    }
}

/// Where an object's words lie, for as long as the base class's hold on it is good.
pub struct Words<T> {
    heap: Arc<Heap>,
    offset: u64,
    epoch: u32,
    credit: Credit,
    kind: PhantomData<fn() -> T>,
}

impl<T> Words<T> {
    /// Of the object of this hold, which must be of the kind that `T` stands for.
    pub fn of(held: &Held) -> Words<T> {
        Words {
            heap: held.heap().clone(),
            offset: held.offset(),
            epoch: held.heap().epoch(),
            credit: Credit::default(),
            kind: PhantomData,
        }
    }

    /// The heap it lies in.
    #[inline]
    pub fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }

    /// Its offset.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Look for a moment whether `ready` comes true, where that is worth it.
    pub fn spin(&self, ready: &dyn Fn() -> bool) -> bool {
        self.heap.spin(&self.credit, ready)
    }

    /// Spin in the caller's own way, where that is worth it.
    pub fn spin_as(&self, spin: impl FnOnce() -> bool) -> bool {
        self.heap.spin_as(&self.credit, spin)
    }

    /// The words; RuntimeError if a fork cost this process its holds.
    #[inline]
    pub fn get(&self) -> PyResult<&T> {
        if self.heap.epoch() != self.epoch {
            return Err(lost());
        }
        // SAFETY: the base class holds the object, which `of` was promised to be a `T`.
        Ok(unsafe { self.heap.at::<T>(self.offset) })
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
