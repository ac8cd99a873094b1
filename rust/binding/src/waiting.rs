//! Waiting without the GIL, and what Python's signal handlers have to say about it.

use crate::shared::python;
use procession_core::ring::Stop;
use procession_core::wait::{End, Patience};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;
use std::time::Duration;

/// How long Python asks to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Not at all.
    Now,
    /// So long.
    For(Duration),
    /// For ever.
    Never,
}

impl Limit {
    /// Of `timeout` in seconds: None is for ever, zero or less not at all.
    pub fn of(timeout: Option<f64>) -> PyResult<Limit> {
        match timeout {
            None => Ok(Limit::Never),
            Some(seconds) if seconds.is_nan() => {
                Err(PyValueError::new_err("timeout is not a number of seconds: nan"))
            }
            Some(seconds) if seconds <= 0.0 => Ok(Limit::Now),
            // Longer than the clock runs is for ever.
            Some(seconds) => Ok(Duration::try_from_secs_f64(seconds).map_or(Limit::Never, Limit::For)),
        }
    }

    /// As `acquire(block, timeout)` and `get(block, timeout)` mean it.
    #[inline]
    pub fn blocking(block: Truth, timeout: Option<f64>) -> PyResult<Limit> {
        if block.0 { Limit::of(timeout) } else { Ok(Limit::Now) }
    }

    fn duration(self) -> Option<Duration> {
        match self {
            Limit::Now => Some(Duration::ZERO),
            Limit::For(duration) => Some(duration),
            Limit::Never => None,
        }
    }
}

/// An argument that may be anything and is asked for its truth, as `acquire(0)` does.
#[derive(Clone, Copy)]
pub struct Truth(pub bool);

impl<'py> FromPyObject<'_, 'py> for Truth {
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Truth> {
        object.is_truthy().map(Truth)
    }
}

/// Run `wait` without the GIL; None where the time ran out. A signal handler that raises ends it
/// with that exception.
pub fn wait<T: Send, E: Into<Stop>>(
    py: Python<'_>,
    limit: Limit,
    wait: impl FnOnce(&mut Patience) -> Result<T, E> + Send,
) -> PyResult<Option<T>> {
    let pid = std::process::id();
    let mut raised: Option<PyErr> = None;
    let done = py.detach(|| {
        let mut check = || {
            let (error, end) = ask(pid);
            raised = error;
            end
        };
        let done = wait(&mut Patience::new(limit.duration(), &mut check)).map_err(Into::into);
        stay_out_of_the_end();
        done
    });
    match (done, raised) {
        (Ok(value), _) => Ok(Some(value)),
        (Err(_), Some(error)) => Err(error),
        (Err(Stop::Heap(error)), None) => Err(python(error)),
        (Err(Stop::End(_)), None) => Ok(None),
    }
}

/// Never return where the interpreter is being taken down.
///
/// A daemon thread that then asks for the GIL is ended by the interpreter (up to Python 3.13) as by
/// `pthread_exit`, which unwinds the stack and must not meet frames of Rust. The process's exit ends
/// it soon; since 3.14 the interpreter lets such threads hang as well.
fn stay_out_of_the_end() {
    static ASK: OnceLock<Option<extern "C" fn() -> c_int>> = OnceLock::new();
    let ask = ASK.get_or_init(|| {
        // Public since 3.13, with an underscore before; not a part of the stable ABI that we build for.
        [c"Py_IsFinalizing", c"_Py_IsFinalizing"].iter().find_map(|name| {
            // SAFETY: a constant name, looked up among what the process has loaded.
            let found = unsafe { dlsym(std::ptr::null_mut(), name.as_ptr()) };
            // SAFETY: in all versions of Python a function without arguments that gives an int.
            (!found.is_null())
                .then(|| unsafe { std::mem::transmute::<*mut c_void, extern "C" fn() -> c_int>(found) })
        })
    });
    while ask.is_some_and(|ending| ending() != 0) {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// Have Python's signal handlers run: what they raised, and whether that ends the wait that process
/// `pid` began.
#[cold]
fn ask(pid: u32) -> (Option<PyErr>, Option<End>) {
    // Where the interpreter is gone, so are the handlers.
    let asked = Python::try_attach(|py| py.check_signals()).unwrap_or(Ok(()));
    if std::process::id() != pid {
        let forked = "a signal handler forked this process in the middle of a wait, which is its parent's";
        return (Some(asked.err().unwrap_or_else(|| PyRuntimeError::new_err(forked))), Some(End::Forked));
    }
    let end = asked.is_err().then_some(End::Interrupted);
    (asked.err(), end)
}
