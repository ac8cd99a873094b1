//! `Ring`: messages of bytes.
//!
//! Quick attempts are made with the GIL held; whatever needs a lock, memory or patience is done
//! without it. In a quick attempt a message's bytes object is made under the getters' lock, which is
//! right since making bytes runs no Python code and does not give up the GIL.

use crate::carried::{self, Hold, Key, offsets, something};
use crate::claims::{Claims, slot};
use crate::data::{Data, lost, new_bytes};
use crate::gil;
use crate::shared::{HandleTuple, Shared, attach, base, open, own, python};
use crate::taken::{Taken, clear_up, no_memory};
use crate::tasks;
use crate::waiting::{Limit, Truth, wait};
use crate::wire::TaskEnd;
use procession_core::heap::{BlockKind, Held};
use procession_core::lane::Lane;
use procession_core::ring::{Got, Message, Quick, Ring as Core, Slot, Stop};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyType};

mod turns;

#[pyclass(extends = Shared, subclass, frozen, module = "procession._core")]
pub struct Ring {
    pub(crate) core: Core,
    pub(crate) key: Key,
}

impl Ring {
    /// Two holds, since the base class needs one of its own.
    fn over(py: Python<'_>, core: Core) -> PyResult<PyClassInitializer<Ring>> {
        let handle = core.held().handle();
        let held = gil::without(py, || Held::open(core.held().heap(), handle, BlockKind::Ring)).map_err(python)?;
        Ok(PyClassInitializer::from(base(held)).add_subclass(Ring { core, key: carried::key(handle) }))
    }

    #[inline]
    pub(crate) fn core(&self) -> PyResult<&Core> {
        if self.core.held().is_valid() {
            return Ok(&self.core);
        }
        Err(crate::shared::lost())
    }

    fn lane(&self) -> PyResult<&Lane> {
        Ok(self.core()?.lane())
    }

    #[inline]
    fn put_message(&self, py: Python<'_>, message: &Message, limit: Limit) -> PyResult<bool> {
        let core = self.core()?;
        match core.put_quick(message) {
            Quick::Done(()) => Ok(true),
            Quick::NotNow if limit == Limit::Now => Ok(false),
            _ => Ok(wait(py, limit, |patience| core.put(message, patience))?.is_some()),
        }
    }

    fn put_parts(
        &self,
        py: Python<'_>,
        parts: &Bound<'_, PyList>,
        message: &Message,
        limit: Limit,
    ) -> PyResult<bool> {
        let core = self.core()?;
        let parts: Vec<Data> = parts.iter().map(|part| Data::of(&part)).collect::<PyResult<_>>()?;
        let parts: Vec<&[u8]> = parts.iter().map(Data::bytes).collect();
        Ok(wait(py, limit, |patience| core.put_big(&parts, message, patience))?.is_some())
    }

    #[inline]
    pub(crate) fn get_message<'py>(
        &self,
        py: Python<'py>,
        slot: Option<&Slot>,
        limit: Limit,
    ) -> PyResult<Option<Taken<'py>>> {
        let core = self.core()?;
        let alarms = core.lane().alarms();
        match self.get_quickly(py, slot) {
            Some(taken) => taken.map(Some),
            None if limit == Limit::Now && core.lane().is_empty() => Ok(None),
            None => self.get_slowly(py, slot, alarms, limit),
        }
    }

    /// None where there is nothing, or only the slow way gets it.
    #[inline]
    pub(crate) fn get_quickly<'py>(&self, py: Python<'py>, slot: Option<&Slot>) -> Option<PyResult<Taken<'py>>> {
        carried::forget(self.key);
        match self.core.get_quick(slot, |found| Taken::look(py, found)) {
            Quick::Done((taken, rest)) => {
                clear_up(py, rest);
                Some(taken.ok_or_else(no_memory))
            }
            _ => None,
        }
    }

    #[cold]
    fn get_slowly<'py>(
        &self,
        py: Python<'py>,
        slot: Option<&Slot>,
        alarms: u32,
        limit: Limit,
    ) -> PyResult<Option<Taken<'py>>> {
        let got = wait(py, limit, |patience| {
            let (got, mut rest) = self.core.get(slot, alarms, patience)?;
            Ok::<_, Stop>((got, std::mem::take(&mut rest.carried)))
        })?;
        let Some((got, holds)) = got else {
            return Ok(None);
        };
        carried::keep(self.key, holds);
        match got {
            Got::Bytes(bytes) => {
                new_bytes(py, &bytes).ok_or_else(|| lost(bytes.len())).map(|bytes| Some(Taken::Bytes(bytes)))
            }
            Got::Block(block) => Ok(Some(Taken::Block(block))),
        }
    }

    /// Is it of the same family as these?
    pub(crate) fn is_kin(&self, claims: &Bound<'_, Claims>) -> PyResult<bool> {
        Ok(claims.as_super().get().held()?.heap().uid() == self.key.0)
    }
}

fn bytes<'py>(py: Python<'py>, taken: Option<Taken<'py>>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    taken.map(|taken| taken.bytes(py)).transpose()
}

#[pymethods]
impl Ring {
    #[new]
    #[pyo3(signature = (maxsize = 0, *, _handle = None))]
    fn new(py: Python<'_>, maxsize: i64, _handle: Option<HandleTuple>) -> PyResult<PyClassInitializer<Ring>> {
        if let Some(handle) = _handle {
            return Self::over(py, Core::over(open(py, handle, BlockKind::Ring)?));
        }
        let limit = u32::try_from(maxsize).ok().filter(|&limit| limit <= i32::MAX as u32).ok_or_else(|| {
            PyValueError::new_err(format!("maxsize must be between 0 and 2147483647: {maxsize}"))
        })?;
        let heap = own()?;
        let core = gil::without(py, || Core::create(&heap, limit)).map_err(python)?;
        Self::over(py, core)
    }

    #[classmethod]
    fn _attach<'py>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
        attach::<Ring>(class, handle)
    }

    #[pyo3(
        signature = (data, block = Truth(true), timeout = None, tag = 0, carry = None),
        text_signature = "($self, data, block=True, timeout=None, tag=0, carry=None)"
    )]
    fn put(
        &self,
        data: &Bound<'_, PyAny>,
        block: Truth,
        timeout: Option<f64>,
        tag: u64,
        carry: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let limit = Limit::blocking(block, timeout)?;
        let py = data.py();
        let objects = match something(carry) {
            Some(carry) => offsets(carry, self.key.0)?,
            None => Vec::new(),
        };
        if let Ok(parts) = data.cast_exact::<PyList>() {
            return self.put_parts(py, parts, &Message { data: &[], tag, carry: &objects }, limit);
        }
        let data = Data::of(data)?;
        self.put_message(py, &Message { data: data.bytes(), tag, carry: &objects }, limit)
    }

    fn put_task(
        &self,
        mid: u64,
        key: i64,
        text: &Bound<'_, PyBytes>,
        prompt: usize,
        mode: u8,
        items: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let text = text.as_bytes();
        tasks::put(self, &TaskEnd { mid, key, text: text.len(), prompt, mode, odd: false }, text, items)
    }

    #[pyo3(
        signature = (items, block = Truth(true), timeout = None),
        text_signature = "($self, items, block=True, timeout=None)"
    )]
    fn put_many(&self, items: &Bound<'_, PyAny>, block: Truth, timeout: Option<f64>) -> PyResult<usize> {
        let (py, core, limit) = (items.py(), self.core()?, Limit::blocking(block, timeout)?);
        // All of them first: iterating runs Python code, which must not happen under the lock.
        let items: Vec<Data> = items.try_iter()?.map(|item| Data::of(&item?)).collect::<PyResult<_>>()?;
        let messages: Vec<Message> =
            items.iter().map(|item| Message { data: item.bytes(), tag: 0, carry: &[] }).collect();
        let mut count = 0;
        match wait(py, limit, |patience| core.put_many(&messages, &mut count, patience)) {
            // Whoever puts the rest meets the refusal again.
            Err(error) if count > 0 && error.is_instance_of::<PyMemoryError>(py) => Ok(count),
            put => put.map(|_| count),
        }
    }

    #[pyo3(signature = (block = Truth(true), timeout = None), text_signature = "($self, block=True, timeout=None)")]
    fn get<'py>(
        &self,
        py: Python<'py>,
        block: Truth,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        bytes(py, self.get_message(py, None, Limit::blocking(block, timeout)?)?)
    }

    #[pyo3(signature = (block = Truth(true), timeout = None), text_signature = "($self, block=True, timeout=None)")]
    fn take<'py>(
        &self,
        py: Python<'py>,
        block: Truth,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let taken = self.get_message(py, None, Limit::blocking(block, timeout)?)?;
        taken.map(|taken| taken.bytes_or_buffer(py)).transpose()
    }

    #[pyo3(
        signature = (limit, block = Truth(true), timeout = None),
        text_signature = "($self, limit, block=True, timeout=None)"
    )]
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
        block: Truth,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let messages = PyList::empty(py);
        let patience = Limit::blocking(block, timeout)?;
        self.take_many(py, limit, patience, |message| messages.append(message.bytes_or_buffer(py)?))?;
        Ok(messages)
    }

    #[pyo3(
        signature = (claims, slot, block = Truth(true), timeout = None),
        text_signature = "($self, claims, slot, block=True, timeout=None)"
    )]
    fn get_claimed<'py>(
        &self,
        py: Python<'py>,
        claims: &Bound<'py, Claims>,
        slot: i64,
        block: Truth,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !self.is_kin(claims)? {
            return Err(PyTypeError::new_err("the claims belong to another family than the ring"));
        }
        let slot = self::slot(claims, slot)?;
        let taken = self.get_message(py, Some(&slot), Limit::blocking(block, timeout)?)?;
        taken.map(|taken| taken.bytes_or_buffer(py)).transpose()
    }

    fn settle(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core()?;
        wait(py, Limit::Never, |patience| core.settle(patience)).map(drop)
    }

    fn cut(
        &self,
        py: Python<'_>,
        claims: &Bound<'_, Claims>,
        slot: i64,
        tag: u64,
        unit: u64,
    ) -> PyResult<Option<(u64, u64, u64)>> {
        let (core, slot) = (self.core()?, self::slot(claims, slot)?);
        if unit == 0 {
            return Err(PyValueError::new_err("unit must be at least 1"));
        }
        let cut = wait(py, Limit::Never, |patience| core.cut(&slot, tag, unit, patience))?.flatten();
        Ok(cut.map(|(first, end)| (tag, first, end)))
    }

    fn carried(&self) -> Vec<HandleTuple> {
        let handles = carried::handles(self.key);
        handles.into_iter().map(|handle| (handle.family, handle.offset, handle.serial)).collect()
    }

    fn hand_over_carried<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, Hold>>> {
        carried::hand_over(py, self.key)
    }

    fn drop_carried(&self) {
        carried::forget(self.key);
    }

    #[pyo3(signature = (timeout = None))]
    fn wait_readable(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let (core, limit) = (self.core()?, Limit::of(timeout)?);
        let alarms = core.lane().alarms();
        wait(py, limit, |patience| core.wait_news(alarms, true, patience))?;
        Ok(!core.lane().is_empty() || core.lane().is_shut())
    }

    #[pyo3(signature = (timeout = None))]
    fn wait_drained(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let (lane, limit) = (self.lane()?, Limit::of(timeout)?);
        let alarms = lane.alarms();
        wait(py, limit, |patience| lane.wait_drained(alarms, patience))?;
        Ok(lane.is_empty())
    }

    fn interrupt(&self) -> PyResult<()> {
        self.lane()?.alarm();
        Ok(())
    }

    fn shut(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core()?;
        wait(py, Limit::Never, |patience| core.shut(patience)).map(drop)
    }

    fn is_shut(&self) -> PyResult<bool> {
        Ok(self.lane()?.is_shut())
    }

    fn qsize(&self) -> PyResult<u32> {
        Ok(self.lane()?.len())
    }

    #[getter]
    fn maxsize(&self) -> PyResult<u32> {
        Ok(self.lane()?.limit())
    }

    fn task_done(&self) -> PyResult<()> {
        match self.lane()?.task_done() {
            true => Ok(()),
            false => Err(PyValueError::new_err("task_done() called too many times")),
        }
    }

    fn unfinished(&self) -> PyResult<u32> {
        Ok(self.lane()?.unfinished())
    }

    #[pyo3(signature = (timeout = None))]
    fn join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let (lane, limit) = (self.lane()?, Limit::of(timeout)?);
        if lane.unfinished() == 0 {
            return Ok(true);
        }
        Ok(wait(py, limit, |patience| lane.join(patience))?.is_some())
    }
}
