//! `EventWord`: a flag to wait for.

use crate::shared::{HandleTuple, Shared, attach, base, open, own, python};
use crate::waiting::{Limit, wait};
use procession_core::event::Event;
use procession_core::heap::{BlockKind, Heap, Held};
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::sync::Arc;

#[pyclass(extends = Shared, subclass, frozen, module = "procession._core")]
pub struct EventWord {
    heap: Arc<Heap>,
    offset: u64,
}

impl EventWord {
    fn over(held: Held) -> PyClassInitializer<EventWord> {
        let event = EventWord { heap: held.heap().clone(), offset: held.offset() };
        PyClassInitializer::from(base(held)).add_subclass(event)
    }

    fn words(&self) -> &Event {
        // SAFETY: the base class holds this object, of kind Event.
        unsafe { self.heap.at::<Event>(self.offset) }
    }
}

#[pymethods]
impl EventWord {
    #[new]
    #[pyo3(signature = (*, _handle = None))]
    fn new(_handle: Option<HandleTuple>) -> PyResult<PyClassInitializer<EventWord>> {
        if let Some(handle) = _handle {
            return Ok(Self::over(open(handle, BlockKind::Event)?));
        }
        let length = std::mem::size_of::<Event>() as u64;
        // SAFETY: the block has room for the words and is known to nobody else.
        let write = |at: *mut u8| unsafe { at.cast::<Event>().write(Event::default()) };
        Ok(Self::over(Held::create(&own()?, BlockKind::Event, length, write).map_err(python)?))
    }

    #[classmethod]
    fn _attach<'py>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
        attach::<EventWord>(class, handle)
    }

    fn is_set(&self) -> bool {
        self.words().is_set()
    }

    fn set(&self) {
        self.words().set();
    }

    fn clear(&self) {
        self.words().clear();
    }

    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        if self.words().is_set() {
            return Ok(true);
        }
        Ok(wait(py, Limit::of(timeout)?, |patience| self.words().wait(patience))?.is_some())
    }
}
