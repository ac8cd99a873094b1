//! What a pool sends to its workers, where C alone pickles it; all else goes by `_flow/ring_channel.py`.

use crate::ring::Ring;
use crate::wire::{TaskEnd, mode};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyRange, PyString, PyTuple};

const PROTOCOL: u8 = 5;

/// Send a message, if its items are plain; else nothing is done.
pub fn put<'py>(ring: &Ring, end: &TaskEnd, text: &[u8], items: &Bound<'py, PyAny>) -> PyResult<bool> {
    if !are_plain(end.mode, items) {
        return Ok(false);
    }
    let pickle = pickled(items)?;
    ring.put_whole(items.py(), &[pickle.as_bytes(), text, &end.bytes()], end.mid).map(|()| true)
}

/// By pickle itself; of plain values it asks no reducer.
pub fn pickled<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let pickle = DUMPS.import(value.py(), "_pickle", "dumps")?.call1((value, PROTOCOL))?;
    Ok(pickle.cast_into_exact()?)
}

fn are_plain(mode: u8, items: &Bound<'_, PyAny>) -> bool {
    match mode {
        mode::APPLY => sequence(items, is_plain_call),
        mode::STAR => sequence(items, |item| sequence(item, is_scalar)),
        _ => items.is_exact_instance_of::<PyRange>() || sequence(items, is_scalar),
    }
}

/// (args, kwds), the latter empty.
fn is_plain_call(call: &Bound<'_, PyAny>) -> bool {
    let Ok((args, kwds)) = call.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
        return false;
    };
    kwds.cast_exact::<PyDict>().is_ok_and(|kwds| kwds.is_empty())
        && args.is_exact_instance_of::<PyTuple>()
        && sequence(&args, is_scalar)
}

/// Is it a list or a tuple, all of whose items are so?
fn sequence(object: &Bound<'_, PyAny>, is_so: impl Fn(&Bound<'_, PyAny>) -> bool) -> bool {
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        return tuple.iter_borrowed().all(|item| is_so(&item));
    }
    object.cast_exact::<PyList>().is_ok_and(|list| list.iter().all(|item| is_so(&item)))
}

/// Of the types that pickle by C alone, whatever is registered for them?
pub fn is_scalar(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyInt>()
        || value.is_none()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyBytes>()
}
