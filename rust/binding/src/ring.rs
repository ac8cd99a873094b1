//! `Ring`: messages of bytes.
//!
//! Quick attempts are made with the GIL held; whatever needs a lock, memory or patience is done
//! without it. A message's bytes object is made under the getters' lock, so it must not need the
//! GIL's release, and it does not: allocating bytes runs no Python code.

use crate::claims::Claims;
use crate::shared::{HandleTuple, Shared, attach, base, open, own, python};
use crate::waiting::{Limit, wait};
use procession_core::heap::{BlockKind, Held};
use procession_core::ring::claims::Claim;
use procession_core::ring::{Big, Found, Message, Quick, Rest, Ring as Core};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBufferError, PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyType};
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

/// From this size on bytes are copied without the GIL.
const LONG: usize = 128 << 10;

#[pyclass(extends = Shared, subclass, frozen, module = "procession._core")]
pub struct Ring {
    core: Core,
    /// What the messages that threads took last had carried; nearly always empty.
    carried: Mutex<Vec<(ThreadId, Vec<Held>)>>,
}

/// What a look at a message gives: its bytes, or the block in which they are.
enum Taken<'py> {
    Bytes(Bound<'py, PyBytes>),
    Block(Big),
}

impl Ring {
    /// Two holds, since the base class needs one of its own.
    fn over(held: Held) -> PyResult<PyClassInitializer<Ring>> {
        let second = Held::open(held.heap(), held.handle(), BlockKind::Ring).map_err(python)?;
        let ring = Ring { core: Core::over(held), carried: Mutex::default() };
        Ok(PyClassInitializer::from(base(second)).add_subclass(ring))
    }

    fn put_message(&self, py: Python<'_>, message: &Message, limit: Limit) -> PyResult<bool> {
        match self.core.put_quick(message) {
            Quick::Done(()) => return Ok(true),
            Quick::NotNow if limit == Limit::Now => return Ok(false),
            _ => {}
        }
        let mut refused = None;
        let put = wait(py, limit, |patience| match self.core.put(message, patience) {
            Ok(end) => end,
            Err(error) => {
                refused = Some(error);
                Ok(())
            }
        })?;
        match refused {
            Some(error) => Err(python(error)),
            None => Ok(put.is_some()),
        }
    }

    fn get_message<'py>(
        &self,
        py: Python<'py>,
        claim: Option<&Claim>,
        limit: Limit,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let alarms = self.core.lane().alarms();
        self.forget_carried();
        loop {
            match self.get_now(py, claim)? {
                Quick::Done(bytes) => return Ok(Some(bytes)),
                Quick::Busy => {
                    // Somebody is getting, or died getting: until that is over.
                    if wait(py, Limit::Never, |patience| self.core.settle(patience))?.is_none() {
                        return Ok(None);
                    }
                    continue;
                }
                Quick::NotNow => {}
            }
            if limit == Limit::Now || self.core.lane().alarms() != alarms {
                return Ok(None);
            }
            if wait(py, limit, |patience| self.core.wait_news(alarms, false, patience))?.is_none() {
                return Ok(None);
            }
        }
    }

    fn get_now<'py>(&self, py: Python<'py>, claim: Option<&Claim>) -> PyResult<Quick<Bound<'py, PyBytes>>> {
        let got = self.core.get_quick(claim, |found| match found {
            Found::Bytes(bytes) => {
                new_bytes(py, bytes.len(), |place| place.copy_from_slice(bytes)).map(Taken::Bytes)
            }
            Found::Block(block) => Some(Taken::Block(block)),
        });
        Ok(match got.map_err(python)? {
            Quick::NotNow => Quick::NotNow,
            Quick::Busy => Quick::Busy,
            Quick::Done((taken, rest)) => {
                self.clear_up(py, rest);
                Quick::Done(bytes_of(py, taken.ok_or_else(no_memory)?)?)
            }
        })
    }

    #[inline]
    fn clear_up(&self, py: Python<'_>, mut rest: Rest) {
        if rest.is_empty() {
            return;
        }
        let carried = std::mem::take(&mut rest.carried);
        if !carried.is_empty() {
            self.lock_carried().push((std::thread::current().id(), carried));
        }
        py.detach(|| drop(rest));
    }

    fn lock_carried(&self) -> std::sync::MutexGuard<'_, Vec<(ThreadId, Vec<Held>)>> {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_carried(&self) {
        let mut carried = self.lock_carried();
        if !carried.is_empty() {
            let thread = std::thread::current().id();
            carried.retain(|(owner, _)| *owner != thread);
        }
    }
}

/// A new bytes object that `fill` fills; None where there is no memory.
fn new_bytes<'py>(py: Python<'py>, length: usize, fill: impl FnOnce(&mut [u8])) -> Option<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, length, |place| {
        fill(place);
        Ok(())
    })
    .ok()
}

fn bytes_of<'py>(py: Python<'py>, taken: Taken<'py>) -> PyResult<Bound<'py, PyBytes>> {
    let block = match taken {
        Taken::Bytes(bytes) => return Ok(bytes),
        Taken::Block(block) => block,
    };
    let bytes = new_bytes(py, block.bytes().len(), |place| {
        if place.len() < LONG {
            place.copy_from_slice(block.bytes());
        } else {
            py.detach(|| place.copy_from_slice(block.bytes()));
        }
    });
    py.detach(|| drop(block));
    bytes.ok_or_else(|| PyMemoryError::new_err("no memory for the message, which is lost"))
}

/// Run `work` with the bytes of a bytes-like object.
fn with_bytes<R>(data: &Bound<'_, PyAny>, work: impl FnOnce(&[u8]) -> PyResult<R>) -> PyResult<R> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return work(bytes.as_bytes());
    }
    let buffer = PyBuffer::<u8>::get(data).or_else(|_| byte_view(data))?;
    if !buffer.is_c_contiguous() {
        return Err(PyBufferError::new_err("the data must be contiguous"));
    }
    // SAFETY: the buffer holds so many bytes and is held until `work` is done. Who writes to it
    // meanwhile gets a message with some of what was written, as with any file.
    work(unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast(), buffer.len_bytes()) })
}

/// Arrays of larger items, as bytes.
fn byte_view(data: &Bound<'_, PyAny>) -> PyResult<PyBuffer<u8>> {
    let view = data.py().import("builtins")?.getattr("memoryview")?.call1((data,))?;
    PyBuffer::<u8>::get(&view.call_method1("cast", ("B",))?)
}

#[pymethods]
impl Ring {
    #[new]
    #[pyo3(signature = (maxsize = 0, *, _handle = None))]
    fn new(maxsize: i64, _handle: Option<HandleTuple>) -> PyResult<PyClassInitializer<Ring>> {
        if let Some(handle) = _handle {
            return Self::over(open(handle, BlockKind::Ring)?);
        }
        let limit = u32::try_from(maxsize).ok().filter(|&limit| limit <= i32::MAX as u32).ok_or_else(|| {
            PyValueError::new_err(format!("maxsize must be between 0 and 2147483647: {maxsize}"))
        })?;
        let core = Core::create(&own()?, limit).map_err(python)?;
        let held = Held::open(core.held().heap(), core.held().handle(), BlockKind::Ring).map_err(python)?;
        Ok(PyClassInitializer::from(base(held)).add_subclass(Ring { core, carried: Mutex::default() }))
    }

    #[classmethod]
    fn _attach<'py>(class: &Bound<'py, PyType>, handle: HandleTuple) -> PyResult<Bound<'py, PyAny>> {
        attach::<Ring>(class, handle)
    }

    #[pyo3(signature = (data, block = true, timeout = None, tag = 0, carry = None))]
    fn put(
        &self,
        data: &Bound<'_, PyAny>,
        block: bool,
        timeout: Option<f64>,
        tag: u64,
        carry: Option<Vec<PyRef<'_, Shared>>>,
    ) -> PyResult<bool> {
        let limit = Limit::blocking(block, timeout)?;
        let mut objects = Vec::new();
        for object in carry.iter().flatten() {
            let held = object.held()?;
            if held.heap().uid() != self.core.held().heap().uid() {
                return Err(PyTypeError::new_err("a message carries objects of its own family only"));
            }
            objects.push(held.offset());
        }
        let py = data.py();
        with_bytes(data, |data| self.put_message(py, &Message { data, tag, carry: &objects }, limit))
    }

    #[pyo3(signature = (items, block = true, timeout = None))]
    fn put_many(&self, items: &Bound<'_, PyAny>, block: bool, timeout: Option<f64>) -> PyResult<usize> {
        let limit = Limit::blocking(block, timeout)?;
        let mut count = 0;
        for item in items.try_iter()? {
            let put = with_bytes(&item?, |data| {
                self.put_message(items.py(), &Message { data, tag: 0, carry: &[] }, limit)
            })?;
            if !put {
                break;
            }
            count += 1;
        }
        Ok(count)
    }

    #[pyo3(signature = (block = true, timeout = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.get_message(py, None, Limit::blocking(block, timeout)?)
    }

    #[pyo3(signature = (limit, block = true, timeout = None))]
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let taken = PyList::empty(py);
        let mut patience = Limit::blocking(block, timeout)?;
        while taken.len() < limit {
            match self.get_message(py, None, patience)? {
                Some(message) => taken.append(message)?,
                None => break,
            }
            patience = Limit::Now;
        }
        Ok(taken)
    }

    #[pyo3(signature = (claims, slot, block = true, timeout = None))]
    fn get_claimed<'py>(
        &self,
        py: Python<'py>,
        claims: &Bound<'py, Claims>,
        slot: u64,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let claims = claims.get();
        if claims.family() != self.core.held().heap().uid() {
            return Err(PyTypeError::new_err("the claims belong to another family than the ring"));
        }
        self.get_message(py, Some(claims.claim(slot)?), Limit::blocking(block, timeout)?)
    }

    fn settle(&self, py: Python<'_>) -> PyResult<()> {
        wait(py, Limit::Never, |patience| self.core.settle(patience)).map(drop)
    }

    fn carried(&self) -> Vec<HandleTuple> {
        let carried = self.lock_carried();
        if carried.is_empty() {
            return Vec::new();
        }
        let thread = std::thread::current().id();
        let mine = carried.iter().filter(|(owner, _)| *owner == thread);
        mine.flat_map(|(_, holds)| holds)
            .map(|held| (held.handle().family, held.handle().offset, held.handle().serial))
            .collect()
    }

    fn drop_carried(&self) {
        self.forget_carried();
    }

    #[pyo3(signature = (timeout = None))]
    fn wait_readable(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let alarms = self.core.lane().alarms();
        wait(py, Limit::of(timeout)?, |patience| self.core.wait_news(alarms, true, patience))?;
        Ok(!self.core.lane().is_empty())
    }

    #[pyo3(signature = (timeout = None))]
    fn wait_drained(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let alarms = self.core.lane().alarms();
        wait(py, Limit::of(timeout)?, |patience| self.core.lane().wait_drained(alarms, patience))?;
        Ok(self.core.lane().is_empty())
    }

    fn interrupt(&self) {
        self.core.lane().alarm();
    }

    fn qsize(&self) -> u32 {
        self.core.lane().len()
    }

    #[getter]
    fn maxsize(&self) -> u32 {
        self.core.lane().limit()
    }

    fn task_done(&self) -> PyResult<()> {
        match self.core.lane().task_done() {
            true => Ok(()),
            false => Err(PyValueError::new_err("task_done() called too many times")),
        }
    }

    fn unfinished(&self) -> u32 {
        self.core.lane().unfinished()
    }

    #[pyo3(signature = (timeout = None))]
    fn join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        if self.core.lane().unfinished() == 0 {
            return Ok(true);
        }
        Ok(wait(py, Limit::of(timeout)?, |patience| self.core.lane().join(patience))?.is_some())
    }
}

fn no_memory() -> PyErr {
    PyMemoryError::new_err("no memory for the message, which stays in the ring")
}
