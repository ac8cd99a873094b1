//! `WaitList`: who waits on a condition.

use crate::gil;
use crate::shared::{HandleTuple, Shared, Words, attach, base, create, open, own};
use crate::waiting::{Limit, wait};
use procession_core::heap::BlockKind;
use procession_core::wait::End;
use procession_core::waitlist::{Page, Surroundings, WaitList as List};
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;

#[pyclass(extends = Shared, subclass, frozen, module = "procession._core")]
pub struct WaitList {
    words: Words<List>,
}

impl WaitList {
    fn with<R>(&self, list: &List, work: impl FnOnce(&List, &Surroundings) -> R) -> R {
        let heap = &**self.words.heap();
        let around = Surroundings {
            me: heap.me(),
            alive: &|id| heap.is_alive(id),
            // SAFETY: links of a list lead to its pages.
            page: &|offset| unsafe { heap.at::<Page>(offset) },
            grow: &|| {
                let length = std::mem::size_of::<Page>() as u64;
                let page = heap.alloc(length, BlockKind::Part, self.words.offset()).ok()?;
                // SAFETY: the block has room for a page and is known to nobody else.
                unsafe { heap.address(page).cast::<Page>().write(Page::default()) };
                Some(page)
            },
        };
        work(list, &around)
    }
}

#[pymethods]
impl WaitList {
    #[new]
    #[pyo3(signature = (*, _handle = None))]
    fn new(py: Python<'_>, _handle: Option<HandleTuple>) -> PyResult<PyClassInitializer<WaitList>> {
        let held = match _handle {
            Some(handle) => open(py, handle, BlockKind::WaitList)?,
            None => create(py, &own()?, BlockKind::WaitList, List::default())?,
        };
        let list = WaitList { words: Words::of(&held) };
        Ok(PyClassInitializer::from(base(held)).add_subclass(list))
    }

    #[classmethod]
    fn _attach<'py>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
        attach::<WaitList>(class, handle)
    }

    fn enter(&self, py: Python<'_>) -> PyResult<u64> {
        let list = self.words.get()?;
        let ticket = gil::without(py, || self.with(list, |list, around| list.enter(around)));
        ticket.ok_or_else(|| PyMemoryError::new_err("the system refuses memory for one more waiter"))
    }

    #[pyo3(signature = (ticket, timeout = None))]
    fn wait(&self, py: Python<'_>, ticket: u64, timeout: Option<f64>) -> PyResult<bool> {
        let (list, limit) = (self.words.get()?, Limit::of(timeout)?);
        let waited = wait(py, limit, |patience| {
            let notified = || self.with(list, |list, around| list.is_notified(around, ticket));
            if limit != Limit::Now {
                self.words.spin(&notified);
            }
            match self.with(list, |list, around| list.wait(around, ticket, patience)) {
                Some(waited) => waited.map(|()| true),
                None => Ok::<_, End>(false),
            }
        })?;
        match waited {
            Some(false) => Err(PyValueError::new_err("the ticket was used, or is another process's")),
            notified => Ok(notified.is_some()),
        }
    }

    #[pyo3(signature = (n = 1))]
    fn notify(&self, py: Python<'_>, n: usize) -> PyResult<usize> {
        let list = self.words.get()?;
        Ok(gil::without(py, || self.with(list, |list, around| list.notify(around, n))))
    }

    fn __len__(&self) -> PyResult<usize> {
        let list = self.words.get()?;
        Ok(self.with(list, |list, around| list.len(around)))
    }
}
