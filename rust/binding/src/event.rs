//! `EventWord`: a flag to wait for.

use crate::shared::{HandleTuple, Shared, Words, attach, base, create, open, own};
use crate::waiting::{Limit, wait};
use procession_core::event::Event;
use procession_core::heap::BlockKind;
use pyo3::prelude::*;
use pyo3::types::PyType;

#[pyclass(extends = Shared, subclass, frozen, module = "procession._core")]
pub struct EventWord {
    words: Words<Event>,
}

#[pymethods]
impl EventWord {
    #[new]
    #[pyo3(signature = (*, _handle = None))]
    fn new(py: Python<'_>, _handle: Option<HandleTuple>) -> PyResult<PyClassInitializer<EventWord>> {
        let held = match _handle {
            Some(handle) => open(py, handle, BlockKind::Event)?,
            None => create(py, &own()?, BlockKind::Event, Event::default())?,
        };
        let event = EventWord { words: Words::of(&held) };
        Ok(PyClassInitializer::from(base(held)).add_subclass(event))
    }

    #[classmethod]
    fn _attach<'py>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
        attach::<EventWord>(class, handle)
    }

    /// Is the flag set?
    fn is_set(&self) -> PyResult<bool> {
        Ok(self.words.get()?.is_set())
    }

    /// Set the flag and wake all who wait; a handler of a signal may do so too.
    fn set(&self) -> PyResult<()> {
        self.words.get()?.set();
        Ok(())
    }

    /// Clear the flag.
    fn clear(&self) -> PyResult<()> {
        self.words.get()?.clear();
        Ok(())
    }

    /// Wait until the flag is, or was for a moment, set; False when `timeout` seconds have gone by.
    ///
    /// None waits for ever.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let event = self.words.get()?;
        let limit = Limit::of(timeout)?;
        let seen = event.changes();
        if seen & 1 == 1 || limit == Limit::Now {
            return Ok(seen & 1 == 1);
        }
        let waited = wait(py, limit, |patience| match self.words.spin(&|| event.changes() != seen) {
            true => Ok(()),
            false => event.wait_since(seen, patience),
        })?;
        Ok(waited.is_some())
    }
}
