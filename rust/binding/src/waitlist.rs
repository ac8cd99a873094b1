//! `WaitList`: who waits on a condition.

use crate::shared::{HandleTuple, Shared, attach, base, open, own, python};
use crate::waiting::{Limit, wait};
use procession_core::heap::{BlockKind, Heap, Held};
use procession_core::waitlist::{Page, Surroundings, WaitList as Words};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::sync::Arc;

#[pyclass(extends = Shared, subclass, frozen, module = "procession._core")]
pub struct WaitList {
    heap: Arc<Heap>,
    offset: u64,
}

impl WaitList {
    fn over(held: Held) -> PyClassInitializer<WaitList> {
        let list = WaitList { heap: held.heap().clone(), offset: held.offset() };
        PyClassInitializer::from(base(held)).add_subclass(list)
    }

    fn with<R>(&self, work: impl FnOnce(&Words, &Surroundings) -> R) -> R {
        let heap = &*self.heap;
        let around = Surroundings {
            me: heap.me(),
            alive: &|id| heap.is_alive(id),
            // SAFETY: links of a list lead to its pages.
            page: &|offset| unsafe { heap.at::<Page>(offset) },
            grow: &|| {
                let page = heap.alloc(std::mem::size_of::<Page>() as u64, BlockKind::Part, self.offset).ok()?;
                // SAFETY: the block has room for a page and is known to nobody else.
                unsafe { heap.address(page).cast::<Page>().write(Page::default()) };
                Some(page)
            },
        };
        // SAFETY: the base class holds this object, of kind WaitList.
        work(unsafe { heap.at::<Words>(self.offset) }, &around)
    }
}

#[pymethods]
impl WaitList {
    #[new]
    #[pyo3(signature = (*, _handle = None))]
    fn new(_handle: Option<HandleTuple>) -> PyResult<PyClassInitializer<WaitList>> {
        if let Some(handle) = _handle {
            return Ok(Self::over(open(handle, BlockKind::WaitList)?));
        }
        let length = std::mem::size_of::<Words>() as u64;
        // SAFETY: the block has room for the words and is known to nobody else.
        let write = |at: *mut u8| unsafe { at.cast::<Words>().write(Words::default()) };
        Ok(Self::over(Held::create(&own()?, BlockKind::WaitList, length, write).map_err(python)?))
    }

    #[classmethod]
    fn _attach<'py>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
        attach::<WaitList>(class, handle)
    }

    fn enter(&self, py: Python<'_>) -> PyResult<u64> {
        py.detach(|| self.with(|words, around| words.enter(around)))
            .ok_or_else(|| PyMemoryError::new_err("the system refuses memory for one more waiter"))
    }

    #[pyo3(signature = (ticket, timeout = None))]
    fn wait(&self, py: Python<'_>, ticket: u64, timeout: Option<f64>) -> PyResult<bool> {
        let limit = Limit::of(timeout)?;
        let notified =
            wait(py, limit, |patience| self.with(|words, around| words.wait(around, ticket, patience)))?;
        Ok(notified.is_some())
    }

    #[pyo3(signature = (n = 1))]
    fn notify(&self, py: Python<'_>, n: usize) -> usize {
        py.detach(|| self.with(|words, around| words.notify(around, n)))
    }

    fn __len__(&self) -> usize {
        self.with(|words, around| words.len(around))
    }
}
