//! The calls that programs make all the time, without the general way from Python to Rust.
//!
//! PyO3 counts in and out of each call and sorts arguments by name, which costs as much as taking a
//! free lock does. A lean method stands in the general one's place: it serves the plain calls, and
//! hands everything else (arguments by name, waiting, errors) to the general one.

use pyo3::PyTypeInfo;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use std::ffi::CStr;

/// The arguments of a call, all given by place.
pub type Arguments<'a> = &'a [*mut ffi::PyObject];

/// A method for plain calls.
pub trait Lean {
    /// The class that it belongs to.
    type Class: PyTypeInfo;
    /// Its name.
    const NAME: &'static CStr;
    /// Its signature, as `inspect` reads it.
    const SIGNATURE: &'static CStr;
    /// The arguments, in order, of which a plain call may give one by name.
    const NAMED: &'static [&'static CStr];
    /// Where the general method is kept.
    fn general() -> &'static PyOnceLock<Py<PyAny>>;
    /// The result of a plain call; None where it is not plain, and then nothing was done.
    fn call<'py>(
        this: Borrowed<'_, 'py, Self::Class>,
        arguments: Arguments,
    ) -> Option<PyResult<Bound<'py, PyAny>>>;
}

/// Put a lean method in the place of the general one.
pub fn put_in_place<L: Lean>(py: Python<'_>) -> PyResult<()> {
    add::<L>(py, L::Class::type_object(py).getattr(&*L::NAME.to_string_lossy())?)
}

/// Give the class a lean method; `general` is a function.
pub fn add<L: Lean>(py: Python<'_>, general: Bound<'_, PyAny>) -> PyResult<()> {
    let class = L::Class::type_object(py);
    let name = L::NAME.to_string_lossy();
    if L::general().set(py, general.unbind()).is_err() {
        return Err(PyRuntimeError::new_err("the module can be initialised once"));
    }
    // Leaked, since the interpreter keeps the definition for ever.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: L::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: enter::<L> },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: L::SIGNATURE.as_ptr(),
    }));
    // SAFETY: a type, and a definition that stays.
    let method =
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(class.as_type_ptr(), definition))? };
    class.setattr(&*name, method)
}

/// The object of which this is the lean method, bound to it; None for any other callable.
#[inline]
pub fn owner<'a, 'py, L: Lean>(callable: &'a Bound<'py, PyAny>) -> Option<Borrowed<'a, 'py, L::Class>> {
    // SAFETY: the interpreter's own functions, asked of an object that is of their type. A lean method
    // is bound to nothing but an instance of its class, which it keeps alive.
    unsafe {
        let object = callable.as_ptr();
        let lean = ffi::PyCFunction_CheckExact(object) != 0
            && ffi::PyCFunction_GetFunction(object)
                .is_some_and(|found| found as usize == enter::<L> as *const () as usize);
        if !lean {
            return None;
        }
        let owner = Borrowed::from_ptr_or_opt(callable.py(), ffi::PyCFunction_GetSelf(object))?;
        Some(owner.cast_unchecked::<L::Class>())
    }
}

/// # Safety
/// Called by the interpreter, with an instance of the class and so many arguments.
unsafe extern "C" fn enter<L: Lean>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter's promise; it has the GIL when it calls.
    let (py, this) = unsafe {
        let py = Python::assume_attached();
        (py, Borrowed::from_ptr(py, this))
    };
    // SAFETY: null, or a tuple of names.
    if let Some(named) = unsafe { named::<L>(names, count as usize) } {
        let arguments = match count as usize + named {
            // There may be no pointer to them.
            0 => &[],
            // SAFETY: as above; those given by name follow.
            count => unsafe { std::slice::from_raw_parts(arguments, count) },
        };
        // SAFETY: the method descriptor has looked at the class.
        let this = unsafe { this.cast_unchecked::<L::Class>() };
        if let Some(result) = L::call(this, arguments) {
            return given_back(py, result);
        }
    }
    // SAFETY: as above.
    given_back(py, unsafe { call_general::<L>(py, this, arguments, count as usize, names) })
}

/// How many arguments a plain call gives by name, after `count` by place; None if it is not plain.
///
/// # Safety
/// `names` is null or a tuple of strings.
#[inline]
unsafe fn named<L: Lean>(names: *mut ffi::PyObject, count: usize) -> Option<usize> {
    if names.is_null() {
        return Some(0);
    }
    // SAFETY: the promise of the caller.
    let is = |known: &&CStr| unsafe {
        ffi::PyTuple_Size(names) == 1
            && ffi::PyUnicode_CompareWithASCIIString(ffi::PyTuple_GetItem(names, 0), known.as_ptr()) == 0
    };
    let place = L::NAMED.iter().position(is)?;
    (count <= place).then_some(1)
}

#[inline]
fn given_back(py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) -> *mut ffi::PyObject {
    match result {
        Ok(result) => result.into_ptr(),
        Err(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// As [`enter`].
#[cold]
unsafe fn call_general<'py, L: Lean>(
    py: Python<'py>,
    this: Borrowed<'_, 'py, PyAny>,
    arguments: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the promise of the caller.
    let given = |place: usize| unsafe { Borrowed::from_ptr(py, *arguments.add(place)).to_owned() };
    let by_name = PyDict::new(py);
    if !names.is_null() {
        // SAFETY: a tuple of the names of the arguments that follow.
        let names = unsafe { Borrowed::from_ptr(py, names).cast_unchecked::<PyTuple>().to_owned() };
        for (number, name) in names.iter().enumerate() {
            by_name.set_item(name, given(count + number))?;
        }
    }
    let by_place: Vec<_> = std::iter::once(this.to_owned()).chain((0..count).map(given)).collect();
    let general = L::general().get(py).ok_or_else(|| PyRuntimeError::new_err("not initialised"))?;
    general.bind(py).call(PyTuple::new(py, by_place)?, Some(&by_name))
}

/// Are these, as far as given, a block and a timeout that nobody could object to?
#[inline]
pub fn are_block_and_timeout(arguments: Arguments) -> bool {
    // SAFETY: plain addresses of singletons and types, and objects that the caller holds.
    let is_plain = |argument: &*mut ffi::PyObject| unsafe {
        [ffi::Py_True(), ffi::Py_False(), ffi::Py_None()].contains(argument)
            || (ffi::PyFloat_CheckExact(*argument) != 0 && !ffi::PyFloat_AsDouble(*argument).is_nan())
            || ffi::PyLong_CheckExact(*argument) != 0
    };
    arguments.len() <= 2 && arguments.iter().all(is_plain)
}

/// Define a lean method.
macro_rules! lean {
    ($lean:ident: $class:ty, $name:literal, $signature:expr $(; named $($named:literal)|+)?, $call:expr) => {
        pub struct $lean;

        impl $crate::lean::Lean for $lean {
            type Class = $class;
            const NAME: &'static std::ffi::CStr = $name;
            const SIGNATURE: &'static std::ffi::CStr = $signature;
            const NAMED: &'static [&'static std::ffi::CStr] = &[$($($named),+)?];

            fn general() -> &'static pyo3::sync::PyOnceLock<Py<PyAny>> {
                static GENERAL: pyo3::sync::PyOnceLock<Py<PyAny>> = pyo3::sync::PyOnceLock::new();
                &GENERAL
            }

            #[inline]
            fn call<'py>(
                this: Borrowed<'_, 'py, $class>,
                arguments: $crate::lean::Arguments,
            ) -> Option<PyResult<Bound<'py, PyAny>>> {
                type Call<'py> =
                    fn(Python<'py>, &$class, $crate::lean::Arguments) -> Option<PyResult<Bound<'py, PyAny>>>;
                let call: Call<'py> = $call;
                call(this.py(), this.get(), arguments)
            }
        }
    };
}
pub(crate) use lean;
