//! Waiting without the GIL, and what Python's signal handlers have to say about it.

use procession_core::wait::{End, Patience};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::time::Duration;

/// How long Python asks to wait.
#[derive(Clone, Copy, PartialEq, Eq)]
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
    pub fn blocking(block: bool, timeout: Option<f64>) -> PyResult<Limit> {
        if block { Limit::of(timeout) } else { Ok(Limit::Now) }
    }

    fn duration(self) -> Option<Duration> {
        match self {
            Limit::Now => Some(Duration::ZERO),
            Limit::For(duration) => Some(duration),
            Limit::Never => None,
        }
    }
}

/// Run `wait` without the GIL. A signal handler that raises ends it with that exception.
pub fn wait<T: Send>(
    py: Python<'_>,
    limit: Limit,
    wait: impl FnOnce(&mut Patience) -> Result<T, End> + Send,
) -> PyResult<Option<T>> {
    let mut raised: Option<PyErr> = None;
    let end = py.detach(|| {
        let mut check = || {
            raised = Python::attach(|py| py.check_signals()).err();
            raised.is_some()
        };
        wait(&mut Patience::new(limit.duration(), &mut check))
    });
    match (end, raised) {
        (_, Some(error)) => Err(error),
        (Ok(value), None) => Ok(Some(value)),
        (Err(_), None) => Ok(None),
    }
}
