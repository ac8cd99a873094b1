//! Plain values as pickles, made and read without a pickler.
//!
//! Numbers, None, short strings and bytes, and small flat tuples of these are most of what programs
//! send. What is written here every `pickle.loads` reads; what is read here is what we, or pickle
//! itself, write for such values. All else is pickle's: other small containers of plain values at
//! once, since pickle asks nobody about them; what may have a reducer, buffers or something of main in
//! it only by way of `procession.reduction`.

use crate::scalar::{FRAME, Head, LONGEST, MARGIN, MARK, MEMOIZE, PROTO, ROOM, STOP, TUPLE, TUPLES, Value};
use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

/// Tuples of more items are pickle's, and those whose pickles are longer than [`ROOM`].
const WIDEST: usize = 8;
/// The protocol that is written, and the oldest that is read: the default of Python 3.11.
const PROTOCOL: u8 = 5;
const OLDEST: u8 = 4;

/// A pickle, or where its parts lie.
pub struct Pickle<'a> {
    head: Head,
    body: Body<'a>,
}

enum Body<'a> {
    Borrowed(&'a [u8]),
    /// Pickle's own, of a container.
    Made(Bound<'a, PyBytes>),
}

impl<'a> Pickle<'a> {
    /// Of a plain value; None of anything else. Calls nothing of the program, but the collector may
    /// run: not under a lock.
    #[inline]
    pub fn of(object: &'a Bound<'_, PyAny>) -> Option<Pickle<'a>> {
        let mut head = Head::new();
        let body = match Value::of(object) {
            Some(value) => {
                head.push(&[PROTO, PROTOCOL]);
                value.head(&mut head);
                Body::Borrowed(value.body())
            }
            None => match push_tuple(&mut head, object) {
                Some(()) => Body::Borrowed(&[]),
                None => {
                    head = Head::new();
                    Body::Made(container(object)?)
                }
            },
        };
        Some(Pickle { head, body })
    }

    /// What is to be written, one behind the other.
    #[inline]
    pub fn parts(&self) -> [&[u8]; 3] {
        let body = match &self.body {
            Body::Borrowed(body) => body,
            Body::Made(pickle) => pickle.as_bytes().strip_suffix(&[STOP]).unwrap_or_default(),
        };
        [self.head.bytes(), body, &[STOP]]
    }

    fn bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        if let Body::Made(pickle) = &self.body {
            return Ok(pickle.as_unbound().bind(py).clone());
        }
        let parts = self.parts();
        PyBytes::new_with(py, parts.iter().map(|part| part.len()).sum(), |mut place| {
            for part in parts {
                let (here, rest) = std::mem::take(&mut place).split_at_mut(part.len());
                here.copy_from_slice(part);
                place = rest;
            }
            Ok(())
        })
    }
}

/// What pickle makes of a small container of plain values, for which it asks no reducer.
fn container<'py>(object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyBytes>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if !Content::default().takes(object) {
        return None;
    }
    let dumps = DUMPS.import(object.py(), "pickle", "dumps").ok()?;
    // Whatever is wrong, pickle will say it again to whoever asks next.
    dumps.call1((object, PROTOCOL)).ok()?.cast_into_exact().ok()
}

/// How many values, and how long ones, a plain container may still have.
struct Content {
    values: usize,
    bytes: usize,
}

impl Default for Content {
    fn default() -> Content {
        Content { values: 128, bytes: LONGEST }
    }
}

impl Content {
    /// Is this plain, with all that it contains?
    fn takes(&mut self, object: &Bound<'_, PyAny>) -> bool {
        let Some(values) = self.values.checked_sub(1) else {
            return false;
        };
        self.values = values;
        if let Ok(list) = object.cast_exact::<PyList>() {
            return list.len() <= self.values && list.iter().all(|item| self.takes(&item));
        }
        if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            return tuple.len() <= self.values && tuple.iter_borrowed().all(|item| self.takes(&item));
        }
        if let Ok(dict) = object.cast_exact::<PyDict>() {
            return dict.len() <= self.values
                && dict.iter().all(|(key, value)| self.takes(&key) && self.takes(&value));
        }
        Value::of(object).and_then(|value| self.bytes.checked_sub(value.body().len())).is_some_and(|left| {
            self.bytes = left;
            true
        })
    }
}

/// Append the pickle of a small flat tuple, but for the end.
fn push_tuple(head: &mut Head, object: &Bound<'_, PyAny>) -> Option<()> {
    let tuple = object.cast_exact::<PyTuple>().ok().filter(|tuple| tuple.len() <= WIDEST)?;
    let marked = tuple.len() >= TUPLES.len();
    head.push(&[PROTO, PROTOCOL]);
    if marked {
        head.push(&[MARK]);
    }
    for (number, item) in tuple.iter_borrowed().enumerate() {
        let value = Value::of(&item)?;
        // One object must not become two.
        let again = value.is_remembered() && tuple.iter_borrowed().take(number).any(|other| other.is(&*item));
        if again || head.length + value.body().len() + MARGIN > ROOM {
            return None;
        }
        value.head(head);
        head.push(value.body());
    }
    head.push(&[if marked { TUPLE } else { TUPLES[tuple.len()] }]);
    Some(())
}

/// What follows the protocol (and the frame, if it is all in one).
#[inline]
fn content(pickle: &[u8]) -> Option<&[u8]> {
    let (&[proto, protocol], content) = pickle.split_first_chunk()?;
    if proto != PROTO || !(OLDEST..=PROTOCOL).contains(&protocol) {
        return None;
    }
    match content.strip_prefix(&[FRAME]) {
        Some(framed) => {
            let (&length, framed) = framed.split_first_chunk()?;
            (u64::from_le_bytes(length) == framed.len() as u64).then_some(framed)
        }
        None => Some(content),
    }
}

/// The value without parts whose pickle this is; None of all else, and the second None where there is
/// no memory. Runs no Python code.
#[inline]
pub fn scalar<'py>(py: Python<'py>, pickle: &[u8]) -> Option<Option<Bound<'py, PyAny>>> {
    let (value, end) = Value::read(content(pickle)?)?;
    (end == [STOP]).then(|| value.object(py))
}

/// The values of a small flat tuple, and how many they are.
fn items(pickle: &[u8]) -> Option<([Value<'_>; WIDEST], usize)> {
    let content = content(pickle)?;
    let (marked, mut rest) = match content.strip_prefix(&[MARK]) {
        Some(rest) => (true, rest),
        None => (false, content),
    };
    let (mut values, mut count) = ([Value::None; WIDEST], 0);
    while let Some((value, after)) = Value::read(rest) {
        *values.get_mut(count)? = value;
        (count, rest) = (count + 1, after);
    }
    let end = if marked { TUPLE } else { *TUPLES.get(count)? };
    let rest = rest.strip_prefix(&[end])?;
    let rest = rest.strip_prefix(&[MEMOIZE]).unwrap_or(rest);
    (rest == [STOP]).then_some((values, count))
}

/// The plain value whose pickle this is. A tuple is watched by the collector, which may run
/// finalizers when one is made: not under a lock.
fn plain<'py>(py: Python<'py>, pickle: &[u8]) -> Option<PyResult<Bound<'py, PyAny>>> {
    if let Some(object) = scalar(py, pickle) {
        return Some(object.ok_or_else(no_memory));
    }
    let (values, count) = items(pickle)?;
    Some(new_tuple(py, &values[..count]))
}

fn new_tuple<'py>(py: Python<'py>, values: &[Value]) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a new tuple, or null with an error set.
    let tuple = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyTuple_New(values.len() as ffi::Py_ssize_t))? };
    for (place, value) in values.iter().enumerate() {
        let item = value.object(py).ok_or_else(no_memory)?;
        // SAFETY: the tuple is new and has this place; it takes the item over.
        unsafe { ffi::PyTuple_SetItem(tuple.as_ptr(), place as ffi::Py_ssize_t, item.into_ptr()) };
    }
    Ok(tuple)
}

fn no_memory() -> PyErr {
    PyMemoryError::new_err("no memory for the value of a pickle")
}

/// What `pickle.loads` gives of a bytes-like object.
pub fn loads_object<'py>(pickle: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let bytes = pickle.cast_exact::<PyBytes>().ok();
    match bytes.and_then(|bytes| plain(pickle.py(), bytes.as_bytes())) {
        Some(object) => object,
        None => unpickle(pickle),
    }
}

#[inline]
fn unpickle<'py>(pickle: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    LOADS.import(pickle.py(), "pickle", "loads")?.call1((pickle,))
}

#[pyfunction]
pub fn dumps_plain<'py>(py: Python<'py>, obj: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    Pickle::of(obj).map(|pickle| pickle.bytes(py)).transpose()
}

#[pyfunction]
pub fn loads<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    loads_object(data)
}
