//! `Buffer`: bytes in shared memory that one receiver takes, or that several map.

use crate::carried;
use crate::data::Data;
use crate::gil;
use crate::onward;
use crate::shared::{HandleTuple, Shared, Words, attach, base, open, own, python};
use procession_core::heap::{BlockKind, Handle, Held};
use pyo3::exceptions::{PyReferenceError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyList, PyType};
use std::os::raw::c_int;

/// What its holder may do with the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

#[pyclass(extends = Shared, subclass, frozen, module = "procession._core")]
pub struct Buffer {
    words: Words<u8>,
    length: usize,
    access: Access,
}

fn initializer(held: Held, access: Access) -> PyClassInitializer<Buffer> {
    let buffer = Buffer { words: Words::of(&held), length: held.length(), access };
    PyClassInitializer::from(base(held)).add_subclass(buffer)
}

impl Buffer {
    /// The bytes of an object of plain memory, which is the caller's alone.
    pub fn over(py: Python<'_>, held: Held, access: Access) -> PyResult<Bound<'_, Buffer>> {
        Bound::new(py, initializer(held, access))
    }

    fn address(&self) -> usize {
        self.words.heap().address(self.words.offset()) as usize
    }

    /// Its bytes, where they lie.
    pub fn place(&self) -> (usize, usize) {
        (self.address(), self.length)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.access == Access::Write {
            onward::forget(self.address());
        }
    }
}

fn gone() -> PyErr {
    PyReferenceError::new_err("this buffer of a message was taken before, or its sender dropped it")
}

/// A hold on a buffer under way: that of the message it came with, where there was one.
fn find(py: Python<'_>, handle: HandleTuple) -> PyResult<Held> {
    let (family, offset, serial) = handle;
    match carried::take_out(Handle { family, offset, serial }) {
        Some(held) => Ok(held),
        None => {
            open(py, handle, BlockKind::Buffer).map_err(|error| match error.is_instance_of::<PyTypeError>(py) {
                true => gone(),
                false => error,
            })
        }
    }
}

#[pymethods]
impl Buffer {
    #[new]
    #[pyo3(signature = (data = None, *, _handle = None))]
    fn new(
        py: Python<'_>,
        data: Option<&Bound<'_, PyAny>>,
        _handle: Option<HandleTuple>,
    ) -> PyResult<PyClassInitializer<Buffer>> {
        if let Some(handle) = _handle {
            return Ok(initializer(open(py, handle, BlockKind::Buffer)?, Access::Read));
        }
        let data = data.ok_or_else(|| PyTypeError::new_err("Buffer() needs the bytes to be copied"))?;
        let (data, heap) = (Data::of(data)?, own()?);
        let bytes = data.bytes();
        let held = gil::without(py, || Held::buffer(&heap, bytes)).map_err(python)?;
        Ok(initializer(held, Access::Read))
    }

    #[classmethod]
    fn _attach<'py>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
        attach::<Buffer>(class, handle)
    }

    #[staticmethod]
    fn _take(py: Python<'_>, handle: HandleTuple) -> PyResult<Bound<'_, PyAny>> {
        let held = find(py, handle)?;
        if !held.take() {
            return Err(gone());
        }
        let apart = held.set_apart();
        let buffer = Buffer::over(py, held, Access::Write)?;
        if !apart {
            return Ok(PyByteArray::from(&buffer)?.into_any());
        }
        onward::remember(&buffer);
        Ok(buffer.into_any())
    }

    #[staticmethod]
    fn _map(py: Python<'_>, handle: HandleTuple) -> PyResult<Bound<'_, PyAny>> {
        let held = find(py, handle)?;
        if held.map_apart() {
            return Ok(Buffer::over(py, held, Access::Write)?.into_any());
        }
        let copy = |place: &mut [u8]| gil::without(py, || held.read(place)).map_err(python);
        Ok(PyByteArray::new_with(py, held.length(), copy)?.into_any())
    }

    #[classmethod]
    fn _onward<'py>(class: &Bound<'py, PyType>, offered: &Bound<'py, PyList>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        onward::all(class, offered)
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let this = slf.get();
        this.words.get()?;
        let address = this.words.heap().address(this.words.offset()).cast();
        let readonly = (this.access == Access::Read) as c_int;
        // SAFETY: the memory is ours as long as the object lives, which the view keeps alive.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), address, this.length as ffi::Py_ssize_t, readonly, flags)
        };
        if filled != 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {}

    fn __len__(&self) -> usize {
        self.length
    }
}
