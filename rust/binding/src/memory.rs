//! `Block`: plain memory.

use crate::gil;
use crate::shared::{HandleTuple, Shared, Words, attach, base, open, own, python};
use procession_core::heap::{BlockKind, Held};
use procession_core::sync::Ordering;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::os::raw::c_int;

#[pyclass(extends = Shared, subclass, frozen, module = "procession._core")]
pub struct Block {
    words: Words<u8>,
}

fn over(held: Held) -> PyClassInitializer<Block> {
    let block = Block { words: Words::of(&held) };
    PyClassInitializer::from(base(held)).add_subclass(block)
}

#[pymethods]
impl Block {
    #[new]
    #[pyo3(signature = (size = 0, *, _handle = None))]
    fn new(py: Python<'_>, size: i64, _handle: Option<HandleTuple>) -> PyResult<PyClassInitializer<Block>> {
        if let Some(handle) = _handle {
            return Ok(over(open(py, handle, BlockKind::Memory)?));
        }
        let size = u64::try_from(size).map_err(|_| PyValueError::new_err(format!("size is negative: {size}")))?;
        let heap = own()?;
        let held = gil::without(py, || {
            let length = size.max(1);
            // SAFETY: the block has room for `length` bytes and is known to nobody else.
            Held::create(&heap, BlockKind::Memory, length, |at| unsafe { at.write_bytes(0, length as usize) })
        });
        let held = held.map_err(python)?;
        // At least a byte is kept; what was asked for is remembered.
        held.heap().header(held.offset()).length.store(size, Ordering::Relaxed);
        Ok(over(held))
    }

    #[classmethod]
    fn _attach<'py>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
        attach::<Block>(class, handle)
    }

    #[getter]
    fn size(&self) -> PyResult<u64> {
        self.words.get()?;
        Ok(self.words.heap().header(self.words.offset()).length.load(Ordering::Relaxed))
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let size = slf.get().size()? as ffi::Py_ssize_t;
        let address = slf.get().words.heap().address(slf.get().words.offset()).cast();
        // SAFETY: the memory is ours as long as the object lives, which the view keeps alive.
        let filled = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), address, size, 0, flags) };
        if filled != 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {}
}
