//! Values without parts in the form in which pickle writes them; see [`crate::pickle`].

use crate::data::new_bytes;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::ptr::addr_of_mut;

/// Longer strings and bytes are pickle's: it hands them on without a copy.
pub const LONGEST: usize = (64 << 10) - 1;
/// The most bytes of a beginning.
pub const ROOM: usize = 256;
/// The most bytes of an item in front of its body, and behind the last item.
pub const MARGIN: usize = 12;

pub const PROTO: u8 = 0x80;
pub const FRAME: u8 = 0x95;
pub const STOP: u8 = b'.';
pub const MARK: u8 = b'(';
pub const MEMOIZE: u8 = 0x94;
const NONE: u8 = b'N';
const TRUE: u8 = 0x88;
const FALSE: u8 = 0x89;
const BININT1: u8 = b'K';
const BININT2: u8 = b'M';
const BININT: u8 = b'J';
const LONG1: u8 = 0x8a;
const BINFLOAT: u8 = b'G';
const SHORT_BINUNICODE: u8 = 0x8c;
const BINUNICODE: u8 = b'X';
const SHORT_BINBYTES: u8 = b'C';
const BINBYTES: u8 = b'B';
/// Ends of tuples by their number of items; longer ones begin with a mark.
pub const TUPLES: [u8; 4] = [b')', 0x85, 0x86, 0x87];
pub const TUPLE: u8 = b't';

/// A value without parts.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// UTF-8.
    Str(&'a [u8]),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Of an object that is exactly of such a type, and neither too large nor too long.
    #[inline]
    pub fn of(object: &'a Bound<'_, PyAny>) -> Option<Value<'a>> {
        let pointer = object.as_ptr();
        // SAFETY: an object, whose type is looked at before it is read as one of that type; the
        // singletons and the types are there as long as the interpreter.
        unsafe {
            let kind = ffi::Py_TYPE(pointer);
            if kind == addr_of_mut!(ffi::PyLong_Type) {
                return int(pointer).map(Value::Int);
            }
            if kind == addr_of_mut!(ffi::PyFloat_Type) {
                return Some(Value::Float(ffi::PyFloat_AsDouble(pointer)));
            }
            if kind == addr_of_mut!(ffi::PyUnicode_Type) {
                return text(object).map(Value::Str);
            }
            if kind == addr_of_mut!(ffi::PyBytes_Type) {
                let bytes = object.cast_unchecked::<PyBytes>().as_bytes();
                return (bytes.len() <= LONGEST).then_some(Value::Bytes(bytes));
            }
            match pointer {
                _ if pointer == ffi::Py_None() => Some(Value::None),
                _ if pointer == ffi::Py_True() => Some(Value::Bool(true)),
                _ if pointer == ffi::Py_False() => Some(Value::Bool(false)),
                _ => None,
            }
        }
    }

    /// Does pickle remember the object, so that it is one where it occurs twice?
    pub fn is_remembered(&self) -> bool {
        matches!(self, Value::Str(_) | Value::Bytes(_))
    }

    /// What stands before the bytes of its body.
    #[inline]
    pub fn head(&self, head: &mut Head) {
        match *self {
            Value::None => head.push(&[NONE]),
            Value::Bool(value) => head.push(&[if value { TRUE } else { FALSE }]),
            Value::Int(value) => head.push_int(value),
            Value::Float(value) => {
                head.push(&[BINFLOAT]);
                head.push(&value.to_be_bytes());
            }
            Value::Str(text) => head.push_length(text.len(), SHORT_BINUNICODE, BINUNICODE),
            Value::Bytes(bytes) => head.push_length(bytes.len(), SHORT_BINBYTES, BINBYTES),
        }
    }

    #[inline]
    pub fn body(&self) -> &'a [u8] {
        match *self {
            Value::Str(bytes) | Value::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// The object; None where there is no memory. Runs no Python code.
    #[inline]
    pub fn object<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        // SAFETY: singletons, and new objects or null with an error set.
        let object = unsafe {
            match *self {
                Value::None => return Some(py.None().into_bound(py)),
                Value::Bool(value) => ffi::PyBool_FromLong(value.into()),
                Value::Int(value) => ffi::PyLong_FromLongLong(value),
                Value::Float(value) => ffi::PyFloat_FromDouble(value),
                Value::Str(text) => ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len() as isize),
                Value::Bytes(bytes) => return new_bytes(py, bytes).map(Bound::into_any),
            }
        };
        // SAFETY: as above.
        let object = unsafe { Bound::from_owned_ptr_or_opt(py, object) };
        if object.is_none() {
            drop(PyErr::take(py));
        }
        object
    }

    /// The value at the beginning of what follows the protocol, and what follows it; None where
    /// something else stands there.
    #[inline]
    pub fn read(data: &'a [u8]) -> Option<(Value<'a>, &'a [u8])> {
        let (&code, rest) = data.split_first()?;
        let (value, rest) = match code {
            BININT1 => rest.split_first().map(|(&byte, rest)| (Value::Int(byte.into()), rest)),
            BININT2 => chunk(rest).map(|(bytes, rest)| (Value::Int(u16::from_le_bytes(bytes).into()), rest)),
            BININT => chunk(rest).map(|(bytes, rest)| (Value::Int(i32::from_le_bytes(bytes).into()), rest)),
            LONG1 => run(rest, 1).and_then(|(bytes, rest)| Some((Value::Int(long(bytes)?), rest))),
            BINFLOAT => chunk(rest).map(|(bytes, rest)| (Value::Float(f64::from_be_bytes(bytes)), rest)),
            SHORT_BINBYTES => run(rest, 1).map(|(bytes, rest)| (Value::Bytes(bytes), rest)),
            BINBYTES => run(rest, 4).map(|(bytes, rest)| (Value::Bytes(bytes), rest)),
            SHORT_BINUNICODE => run(rest, 1).and_then(utf8),
            BINUNICODE => run(rest, 4).and_then(utf8),
            NONE => Some((Value::None, rest)),
            TRUE => Some((Value::Bool(true), rest)),
            FALSE => Some((Value::Bool(false), rest)),
            _ => None,
        }?;
        Some((value, rest.strip_prefix(&[MEMOIZE]).unwrap_or(rest)))
    }
}

/// The value of an int, where it is one of 64 bits.
///
/// # Safety
/// `object` is an int.
#[inline]
unsafe fn int(object: *mut ffi::PyObject) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: the caller's promise, by which no error is raised.
    let value = unsafe { ffi::PyLong_AsLongAndOverflow(object, &mut overflow) };
    (overflow == 0).then_some(value)
}

/// The UTF-8 of a string, which the string keeps; None where it is long or has surrogates.
#[inline]
fn text<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a [u8]> {
    let mut size = 0;
    // SAFETY: a string, which keeps what the result points to.
    unsafe {
        if ffi::PyUnicode_GetLength(object.as_ptr()) > LONGEST as isize {
            return None;
        }
        let text = ffi::PyUnicode_AsUTF8AndSize(object.as_ptr(), &mut size);
        if text.is_null() {
            drop(PyErr::take(object.py()));
            return None;
        }
        Some(std::slice::from_raw_parts(text.cast(), size as usize))
    }
}

fn chunk<const N: usize>(data: &[u8]) -> Option<([u8; N], &[u8])> {
    data.split_first_chunk().map(|(&bytes, rest)| (bytes, rest))
}

/// As many bytes as the first `width` bytes say.
#[inline]
fn run(data: &[u8], width: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_at_checked(width)?;
    let length = length.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    rest.split_at_checked(length)
}

/// A number of at most eight bytes, the least first, with its sign in the last.
fn long(bytes: &[u8]) -> Option<i64> {
    let sign = if bytes.last().is_some_and(|&last| last >= 0x80) { 0xff } else { 0 };
    let mut whole = [sign; 8];
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(whole))
}

/// Surrogates are pickle's.
fn utf8<'a>((bytes, rest): (&'a [u8], &'a [u8])) -> Option<(Value<'a>, &'a [u8])> {
    std::str::from_utf8(bytes).ok().map(|text| (Value::Str(text.as_bytes()), rest))
}

/// The beginning of a pickle: all of it but the bytes of a single string, and the end.
pub struct Head {
    bytes: [u8; ROOM],
    pub length: usize,
}

impl Head {
    #[inline]
    pub fn new() -> Head {
        Head { bytes: [0; ROOM], length: 0 }
    }

    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    #[inline]
    fn push_int(&mut self, value: i64) {
        let bytes = value.to_le_bytes();
        if let Ok(byte) = u8::try_from(value) {
            self.push(&[BININT1, byte]);
        } else if u16::try_from(value).is_ok() {
            self.push(&[BININT2, bytes[0], bytes[1]]);
        } else if i32::try_from(value).is_ok() {
            self.push(&[BININT]);
            self.push(&bytes[..4]);
        } else {
            let signs = (value ^ (value >> 63)).leading_zeros();
            let size = 8 - (signs as usize - 1) / 8;
            self.push(&[LONG1, size as u8]);
            self.push(&bytes[..size]);
        }
    }

    #[inline]
    fn push_length(&mut self, length: usize, short: u8, long: u8) {
        match u8::try_from(length) {
            Ok(length) => self.push(&[short, length]),
            Err(_) => {
                self.push(&[long]);
                self.push(&(length as u32).to_le_bytes());
            }
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
