//! Waiting without the GIL, and what Python's signal handlers have to say about it.

use crate::gil;
use crate::shared::python;
use procession_core::ring::Stop;
use procession_core::wait::{End, Patience};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
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
    let (pid, ending) = (std::process::id(), gil::is_ending());
    let mut raised: Option<PyErr> = None;
    let done = gil::without(py, || {
        let mut check = || {
            let (error, end) = ask(pid, ending);
            raised = error;
            end
        };
        wait(&mut Patience::new(limit.duration(), &mut check)).map_err(Into::into)
    });
    match (done, raised) {
        (Ok(value), _) => Ok(Some(value)),
        (Err(_), Some(error)) => Err(error),
        (Err(Stop::Heap(error)), None) => Err(python(error)),
        (Err(Stop::End(_)), None) => Ok(None),
    }
}

/// Have Python's signal handlers run: what they raised, and whether that ends the wait that process
/// `pid` began; `ending` tells that this very thread ends the interpreter.
#[cold]
fn ask(pid: u32, ending: bool) -> (Option<PyErr>, Option<End>) {
    if !ending {
        gil::stay_out_of_the_end();
    }
    // Where the interpreter is gone, so are the handlers.
    let asked = Python::try_attach(|py| py.check_signals()).unwrap_or(Ok(()));
    if std::process::id() != pid {
        let forked = "a signal handler forked this process in the middle of a wait, which is its parent's";
        return (Some(asked.err().unwrap_or_else(|| PyRuntimeError::new_err(forked))), Some(End::Forked));
    }
    let end = asked.is_err().then_some(End::Interrupted);
    (asked.err(), end)
}
