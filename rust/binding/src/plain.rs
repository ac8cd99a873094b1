//! The plain calls of `Ring`; see [`crate::lean`].

use crate::carried::something;
use crate::lean::{Arguments, are_block_and_timeout, lean};
use crate::ring::Ring;
use procession_core::ring::{Message, Quick};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyInt};

lean!(Put: Ring, c"put", c"put($self, data, block=True, timeout=None, tag=0, carry=None)\n--\n\n", |py, ring, given| {
    let (&data, rest) = given.split_first()?;
    if !are_plain(py, rest) || !ring.core.held().is_valid() {
        return None;
    }
    // SAFETY: an argument, alive as long as the call.
    let data = unsafe { Borrowed::from_ptr(py, data) };
    let data = data.cast_exact::<PyBytes>().ok()?;
    match ring.core.put_quick(&Message { data: data.as_bytes(), tag: 0, carry: &[] }) {
        Quick::Done(()) => Some(Ok(PyBool::new(py, true).to_owned().into_any())),
        _ => None,
    }
});

lean!(Get: Ring, c"get", c"get($self, block=True, timeout=None)\n--\n\n", |py, ring, given| {
    if !are_block_and_timeout(given) || !ring.core.held().is_valid() {
        return None;
    }
    Some(ring.get_quickly(py, None)?.and_then(|taken| taken.bytes(py)).map(Bound::into_any))
});

lean!(Take: Ring, c"take", c"take($self, block=True, timeout=None)\n--\n\n", |py, ring, given| {
    if !are_block_and_timeout(given) || !ring.core.held().is_valid() {
        return None;
    }
    Some(ring.get_quickly(py, None)?.and_then(|taken| taken.bytes_or_buffer(py)))
});

/// Are these, as far as given, block, timeout None, tag 0 and nothing to carry?
#[inline]
fn are_plain(py: Python<'_>, given: Arguments) -> bool {
    let (first, more) = given.split_at(given.len().min(2));
    // SAFETY: arguments, alive as long as the call.
    let object = |place: usize| more.get(place).map(|&object| unsafe { Borrowed::from_ptr(py, object) });
    are_block_and_timeout(first)
        && more.len() <= 2
        && object(0).is_none_or(|tag| is_zero(&tag))
        && object(1).is_none_or(|carry| carry.is_none() || something(Some(&carry)).is_none())
}

fn is_zero(number: &Bound<'_, PyAny>) -> bool {
    number.is_exact_instance_of::<PyInt>() && {
        // SAFETY: an int; where it is too large, an error is set.
        let value = unsafe { ffi::PyLong_AsLong(number.as_ptr()) };
        if value == -1 {
            drop(PyErr::take(number.py()));
        }
        value == 0
    }
}
