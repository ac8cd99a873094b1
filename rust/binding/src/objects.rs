//! Objects through a `Ring`, pickled and put, or taken and loaded, in one call.
//!
//! Nothing of Python runs between the ring and the object, so nothing that a signal handler raises
//! comes between the two.

use crate::carried;
use crate::lean::lean;
use crate::pickle::{Pickle, loads_object, scalar};
use crate::ring::Ring;
use crate::taken::{Taken, clear_up, no_memory};
use crate::waiting::{Limit, wait};
use procession_core::ring::{Found, Message, Quick};
use pyo3::prelude::*;
use pyo3::types::PyBool;

/// What a look at a message gives: its object, or what is to be loaded after the lock was given back.
enum Look<'py> {
    Object(Bound<'py, PyAny>),
    Pickle(Taken<'py>),
}

impl<'py> Look<'py> {
    #[inline]
    fn at(py: Python<'py>, found: Found) -> Option<Look<'py>> {
        match found {
            Found::Bytes(bytes) => match scalar(py, bytes) {
                Some(object) => object.map(Look::Object),
                None => Taken::look(py, found).map(Look::Pickle),
            },
            Found::Block(_) => Taken::look(py, found).map(Look::Pickle),
        }
    }
}

/// Put a plain object, if there is room; false where it is another.
#[pyfunction]
pub fn offer(ring: &Bound<'_, Ring>, obj: &Bound<'_, PyAny>) -> PyResult<bool> {
    let (py, core) = (ring.py(), ring.get().core()?);
    let Some(pickle) = Pickle::of(obj) else {
        return Ok(false);
    };
    let (parts, message) = (pickle.parts(), Message { data: &[], tag: 0, carry: &[] });
    Ok(wait(py, Limit::Now, |patience| core.put_parts(&parts, &message, patience))?.is_some())
}

/// Take and load the oldest message; `default` where there is none.
#[pyfunction]
pub fn fetch<'py>(ring: &Bound<'py, Ring>, default: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let (py, ring) = (ring.py(), ring.get());
    match ring.get_message(py, None, Limit::Now)? {
        Some(taken) => load(py, ring, taken),
        None => Ok(default),
    }
}

/// The object, for whose making what the message carried is kept.
fn load<'py>(py: Python<'py>, ring: &Ring, taken: Taken<'py>) -> PyResult<Bound<'py, PyAny>> {
    let loaded = taken.bytes_or_buffer(py).and_then(|data| loads_object(&data));
    carried::forget(ring.key);
    loaded
}

lean!(Offer: Ring, c"offer", c"offer($self, obj, /)\n--\n\n", |py, ring, given| {
    let &[object] = given else { return None };
    // SAFETY: an argument, alive as long as the call.
    let object = unsafe { Borrowed::from_ptr(py, object) };
    let done = match Pickle::of(&object) {
        Some(_) if !ring.core.held().is_valid() => return None,
        Some(pickle) => match ring.core.put_parts_quick(&pickle.parts(), 0) {
            Quick::Done(()) => true,
            Quick::NotNow => false,
            Quick::Busy => return None,
        },
        None => false,
    };
    Some(Ok(PyBool::new(py, done).to_owned().into_any()))
});

lean!(Fetch: Ring, c"fetch", c"fetch($self, default, /)\n--\n\n", |py, ring, given| {
    let &[default] = given else { return None };
    if !ring.core.held().is_valid() {
        return None;
    }
    carried::forget(ring.key);
    match ring.core.get_quick(None, |found| Look::at(py, found)) {
        Quick::Done((look, rest)) => {
            clear_up(py, rest);
            Some(match look {
                Some(Look::Object(object)) => Ok(object),
                Some(Look::Pickle(taken)) => load(py, ring, taken),
                None => Err(no_memory()),
            })
        }
        // SAFETY: an argument, alive as long as the call.
        Quick::NotNow => Some(Ok(unsafe { Borrowed::from_ptr(py, default) }.to_owned())),
        Quick::Busy => None,
    }
});
