//! Bytes from Python and for Python.

use crate::gil;
use procession_core::ring::Big;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBufferError, PyMemoryError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

/// From this size on bytes are copied without the GIL.
pub const LONG: usize = 128 << 10;

/// A bytes-like object.
pub enum Data<'py> {
    Bytes(Bound<'py, PyBytes>),
    Buffer(PyBuffer<u8>),
}

impl<'py> Data<'py> {
    /// TypeError for what has no bytes, BufferError for what has them scattered.
    #[inline]
    pub fn of(object: &Bound<'py, PyAny>) -> PyResult<Data<'py>> {
        match object.cast::<PyBytes>() {
            Ok(bytes) => Ok(Data::Bytes(bytes.clone())),
            Err(_) => Self::buffer(object),
        }
    }

    #[cold]
    fn buffer(object: &Bound<'py, PyAny>) -> PyResult<Data<'py>> {
        let buffer = PyBuffer::<u8>::get(object).or_else(|_| byte_view(object))?;
        if !buffer.is_c_contiguous() {
            return Err(PyBufferError::new_err("the data must be contiguous"));
        }
        Ok(Data::Buffer(buffer))
    }

    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Data::Bytes(bytes) => bytes.as_bytes(),
            Data::Buffer(buffer) if buffer.len_bytes() == 0 => &[],
            // SAFETY: the buffer holds so many bytes as long as it is held. Who writes to it
            // meanwhile gets a message with some of what was written, as with any file.
            Data::Buffer(buffer) => unsafe {
                std::slice::from_raw_parts(buffer.buf_ptr().cast(), buffer.len_bytes())
            },
        }
    }
}

/// Arrays of larger items, as bytes.
fn byte_view(object: &Bound<'_, PyAny>) -> PyResult<PyBuffer<u8>> {
    let view = PyMemoryView::from(object)?;
    if !view.getattr("c_contiguous")?.is_truthy()? {
        return Err(PyBufferError::new_err("the data must be contiguous"));
    }
    PyBuffer::<u8>::get(&view.call_method1("cast", ("B",))?)
}

/// A bytes object with a copy of `data`; None where there is no memory. Runs no Python code.
#[inline]
pub fn new_bytes<'py>(py: Python<'py>, data: &[u8]) -> Option<Bound<'py, PyBytes>> {
    // SAFETY: so many bytes are there; the result is a new bytes object or null with an error set.
    unsafe {
        let bytes = ffi::PyBytes_FromStringAndSize(data.as_ptr().cast(), data.len() as ffi::Py_ssize_t);
        owned(py, bytes)
    }
}

/// The bytes of a large message, whose block is freed.
pub fn big_bytes<'py>(py: Python<'py>, block: Big) -> PyResult<Bound<'py, PyBytes>> {
    let length = block.bytes().len();
    // SAFETY: a new bytes object, or null with an error set.
    let bytes = unsafe { owned(py, ffi::PyBytes_FromStringAndSize(std::ptr::null(), length as ffi::Py_ssize_t)) };
    if let Some(bytes) = &bytes {
        // SAFETY: the object is as long, and nobody else knows it yet.
        let place =
            unsafe { std::slice::from_raw_parts_mut(ffi::PyBytes_AsString(bytes.as_ptr()).cast::<u8>(), length) };
        if length < LONG {
            place.copy_from_slice(block.bytes());
        } else {
            gil::without(py, || place.copy_from_slice(block.bytes()));
        }
    }
    gil::without(py, || drop(block));
    bytes.ok_or_else(|| lost(length))
}

/// A message was taken, and there is no memory for its bytes object.
pub fn lost(length: usize) -> PyErr {
    PyMemoryError::new_err(format!("no memory for a message of {length} bytes, which is lost"))
}

/// # Safety
/// `bytes` is a new bytes object, or null with an error set.
#[inline]
unsafe fn owned(py: Python<'_>, bytes: *mut ffi::PyObject) -> Option<Bound<'_, PyBytes>> {
    // SAFETY: the caller's promise.
    match unsafe { Bound::from_owned_ptr_or_opt(py, bytes) } {
        // SAFETY: as above.
        Some(bytes) => Some(unsafe { bytes.cast_into_unchecked() }),
        None => {
            drop(PyErr::take(py));
            None
        }
    }
}
