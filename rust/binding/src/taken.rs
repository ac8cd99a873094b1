//! What a getter has taken from a ring, until it is a bytes object.

use crate::buffer::{Access, Buffer};
use crate::data::{big_bytes, new_bytes};
use crate::gil;
use procession_core::ring::{Big, Found, Rest};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// What a look at a message gives: its bytes, or the block in which they are.
pub enum Taken<'py> {
    Bytes(Bound<'py, PyBytes>),
    Block(Big),
}

impl<'py> Taken<'py> {
    #[inline]
    pub fn look(py: Python<'py>, found: Found) -> Option<Taken<'py>> {
        match found {
            Found::Bytes(bytes) => new_bytes(py, bytes).map(Taken::Bytes),
            Found::Block(block) => Some(Taken::Block(block)),
        }
    }

    #[inline]
    pub fn bytes(self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        match self {
            Taken::Bytes(bytes) => Ok(bytes),
            Taken::Block(block) => big_bytes(py, block),
        }
    }

    /// Large ones as a buffer, not copied.
    #[inline]
    pub fn bytes_or_buffer(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Taken::Bytes(bytes) => Ok(bytes.into_any()),
            Taken::Block(block) => big_buffer(py, block),
        }
    }
}

/// A large message where it lies, held like any object.
pub fn big_buffer(py: Python<'_>, block: Big) -> PyResult<Bound<'_, PyAny>> {
    match gil::without(py, || block.hold()) {
        Ok(held) => Ok(Buffer::over(py, held, Access::Read)?.into_any()),
        // No memory even for a line in a list: then perhaps for a copy in this process's own.
        Err(block) => Ok(big_bytes(py, block)?.into_any()),
    }
}

/// Free the chunk that was left behind, if one was.
#[inline]
pub fn clear_up(py: Python<'_>, rest: Rest) {
    if !rest.is_empty() {
        gil::without(py, || drop(rest));
    }
}

pub fn no_memory() -> PyErr {
    PyMemoryError::new_err("no memory for the message, which stays in the ring")
}
