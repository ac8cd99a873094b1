//! `Claims`: what each worker has taken.

use crate::gil;
use crate::shared::{HandleTuple, Shared, attach, base, open, own, python};
use procession_core::claims::{Claim, MOST as MOST_ITEMS};
use procession_core::heap::{BlockKind, Held};
use procession_core::ring::Slot;
use procession_core::sync::Ordering;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;

const SLOT: u64 = std::mem::size_of::<Claim>() as u64;
const MOST: i64 = (1 << 20) - 1;

#[pyclass(extends = Shared, subclass, frozen, module = "procession._core")]
pub struct Claims {}

fn over(held: Held) -> PyClassInitializer<Claims> {
    PyClassInitializer::from(base(held)).add_subclass(Claims {})
}

/// (tag, begun, runs, answers, end)
type ClaimTuple = (u64, u64, bool, bool, u64);

/// The claim of this slot.
pub fn slot<'a>(claims: &'a Bound<'_, Claims>, number: i64) -> PyResult<Slot<'a>> {
    let held = claims.as_super().get().held()?;
    let slot = u64::try_from(number).ok().and_then(|number| Slot::of(held, number));
    slot.ok_or_else(|| {
        let slots = held.heap().header(held.offset()).length.load(Ordering::Relaxed) / SLOT;
        PyIndexError::new_err(format!("slot {number} of {slots}"))
    })
}

#[pymethods]
impl Claims {
    #[new]
    #[pyo3(signature = (slots = 1, *, _handle = None))]
    fn new(py: Python<'_>, slots: i64, _handle: Option<HandleTuple>) -> PyResult<PyClassInitializer<Claims>> {
        if let Some(handle) = _handle {
            return Ok(over(open(py, handle, BlockKind::Claims)?));
        }
        if !(1..=MOST).contains(&slots) {
            return Err(PyValueError::new_err(format!("slots must be between 1 and {MOST}: {slots}")));
        }
        let (heap, length) = (own()?, slots as u64 * SLOT);
        // SAFETY: the block has room for `length` bytes and is known to nobody else; zeroes are claims.
        let write = |at: *mut u8| unsafe { at.write_bytes(0, length as usize) };
        let held = gil::without(py, || Held::create(&heap, BlockKind::Claims, length, write));
        Ok(over(held.map_err(python)?))
    }

    #[classmethod]
    fn _attach<'py>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
        attach::<Claims>(class, handle)
    }

    fn read(slf: &Bound<'_, Self>, slot: i64) -> PyResult<Option<ClaimTuple>> {
        let claim = self::slot(slf, slot)?.claim().read();
        Ok(claim.map(|(tag, now)| (tag, now.begun, now.runs, now.answers, now.end)))
    }

    fn begin(slf: &Bound<'_, Self>, slot: i64, begun: u64, end: u64) -> PyResult<bool> {
        if begun > MOST_ITEMS || end > MOST_ITEMS {
            return Err(PyValueError::new_err(format!("too many items: {begun} of {end}")));
        }
        Ok(self::slot(slf, slot)?.claim().begin(begun, end))
    }

    fn answer(slf: &Bound<'_, Self>, slot: i64) -> PyResult<()> {
        self::slot(slf, slot)?.claim().answer();
        Ok(())
    }

    fn clear(slf: &Bound<'_, Self>, slot: i64) -> PyResult<()> {
        self::slot(slf, slot)?.claim().clear();
        Ok(())
    }
}
