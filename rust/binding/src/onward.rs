//! Buffers that go on to the next receiver: one that nobody else has goes as it is, and only what
//! somebody still has is copied.

use crate::buffer::Buffer;
use crate::gil;
use crate::shared::{Shared, attach};
use pyo3::buffer::PyBuffer;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyType};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// The buffers that this process has taken, by address; borrowed, for each is forgotten as it goes.
/// Used with the GIL only, so that no fork finds it locked.
static TAKEN: LazyLock<Mutex<HashMap<usize, usize>>> = LazyLock::new(Mutex::default);

fn taken() -> MutexGuard<'static, HashMap<usize, usize>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This one was taken.
pub fn remember(buffer: &Bound<'_, Buffer>) {
    taken().insert(buffer.get().place().0, buffer.as_ptr() as usize);
}

/// The one at this address is going.
pub fn forget(address: usize) {
    taken().remove(&address);
}

/// The taken buffer all of which this is a view of.
fn behind<'py>(view: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, Buffer>>> {
    let bytes = PyBuffer::<u8>::get(view)?;
    let place = (bytes.buf_ptr() as usize, bytes.len_bytes());
    let found = taken().get(&place.0).copied();
    // SAFETY: it has not gone yet, or it would have been forgotten.
    let found = found.map(|object| unsafe { Bound::from_borrowed_ptr(view.py(), object as *mut ffi::PyObject) });
    let buffer = found.map(|object| object.cast_into::<Buffer>()).transpose()?;
    Ok(buffer.filter(|buffer| buffer.get().place() == place))
}

/// For each of `offered` (pickle's buffers; the list is emptied of them) a buffer of `class`.
pub fn all<'py>(class: &Bound<'py, PyType>, offered: &Bound<'py, PyList>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let mut made = Vec::with_capacity(offered.len());
    for number in 0..offered.len() {
        let one = offered.get_item(number)?;
        offered.set_item(number, class.py().None())?;
        made.push(send_on(class, one)?);
    }
    Ok(made)
}

fn send_on<'py>(class: &Bound<'py, PyType>, offered: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let view = offered.call_method0("raw")?;
    let Some(taken) = behind(&view)? else {
        return class.call1((view,));
    };
    // If there was nothing but this between us and the buffer, it is ours alone now.
    drop((view, offered));
    // SAFETY: a living object.
    if unsafe { ffi::Py_REFCNT(taken.as_ptr()) } == 1 {
        let held = taken.cast::<Shared>()?.get().held()?;
        if let Some(handle) = gil::without(class.py(), || held.offer()) {
            return attach::<Buffer>(class, (handle.family, handle.offset, handle.serial));
        }
    }
    class.call1((taken,))
}
