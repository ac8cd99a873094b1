//! `Claims`: what each worker has taken.

use crate::shared::{HandleTuple, Shared, attach, base, open, own, python};
use procession_core::heap::{BlockKind, Heap, Held};
use procession_core::ring::claims::Claim;
use procession_core::sync::Ordering;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::sync::Arc;

const SLOT: u64 = std::mem::size_of::<Claim>() as u64;

#[pyclass(extends = Shared, subclass, frozen, module = "procession._core")]
pub struct Claims {
    heap: Arc<Heap>,
    offset: u64,
}

impl Claims {
    fn over(held: Held) -> PyClassInitializer<Claims> {
        let claims = Claims { heap: held.heap().clone(), offset: held.offset() };
        PyClassInitializer::from(base(held)).add_subclass(claims)
    }

    /// The claim of this slot.
    pub fn claim(&self, slot: u64) -> PyResult<&Claim> {
        let slots = self.heap.header(self.offset).length.load(Ordering::Relaxed) / SLOT;
        if slot >= slots {
            return Err(PyIndexError::new_err(format!("slot {slot} of {slots}")));
        }
        // SAFETY: the base class holds this object, a row of claims, and the slot lies in it.
        Ok(unsafe { self.heap.at::<Claim>(self.offset + slot * SLOT) })
    }

    /// The family that it belongs to.
    pub fn family(&self) -> u64 {
        self.heap.uid()
    }
}

#[pymethods]
impl Claims {
    #[new]
    #[pyo3(signature = (slots = 1, *, _handle = None))]
    fn new(slots: i64, _handle: Option<HandleTuple>) -> PyResult<PyClassInitializer<Claims>> {
        if let Some(handle) = _handle {
            return Ok(Self::over(open(handle, BlockKind::Claims)?));
        }
        let slots = u64::try_from(slots).ok().filter(|&slots| slots > 0 && slots < 1 << 20);
        let slots = slots.ok_or_else(|| PyValueError::new_err("slots must be between 1 and 1048575"))?;
        let length = slots * SLOT;
        // SAFETY: the block has room for `length` bytes and is known to nobody else; zeroes are claims.
        let write = |at: *mut u8| unsafe { at.write_bytes(0, length as usize) };
        Ok(Self::over(Held::create(&own()?, BlockKind::Claims, length, write).map_err(python)?))
    }

    #[classmethod]
    fn _attach<'py>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
        attach::<Claims>(class, handle)
    }

    fn read(&self, slot: u64) -> PyResult<Option<(u64, u64)>> {
        Ok(self.claim(slot)?.read())
    }

    fn advance(&self, slot: u64, progress: u64) -> PyResult<()> {
        self.claim(slot)?.advance(progress);
        Ok(())
    }

    fn clear(&self, slot: u64) -> PyResult<()> {
        self.claim(slot)?.clear();
        Ok(())
    }
}
