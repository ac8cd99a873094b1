//! What workers answer, as a pool takes it from its ring.

use crate::pickle;
use crate::ring::Ring;
use crate::taken::{Taken, big_buffer};
use crate::waiting::Limit;
use crate::wire::{AnswerEnd, kind};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::sync::OnceLock;

/// Results that were opened at once, being scalars, and that belong together.
struct Run<'py> {
    mid: u64,
    first: u32,
    values: Bound<'py, PyList>,
}

impl<'py> Run<'py> {
    fn goes_on(&self, end: &AnswerEnd) -> bool {
        self.mid == end.mid && self.first as usize + self.values.len() == end.first as usize
    }
}

/// Answers, one after the other, as (mid, first, count, kind, body).
struct Answers<'py> {
    py: Python<'py>,
    list: Bound<'py, PyList>,
    run: Option<Run<'py>>,
}

impl<'py> Answers<'py> {
    fn note(&mut self, taken: Taken<'py>) -> PyResult<()> {
        let (end, body) = match taken {
            Taken::Bytes(data) => {
                let Some((end, bytes)) = AnswerEnd::of(data.as_bytes()) else {
                    return self
                        .append((0_u64, 0_u32, 0_u32, kind::NUDGE, self.py.None()).into_pyobject(self.py)?);
                };
                if end.kind == kind::ONE
                    && end.count == 1
                    && let Some(Some(value)) = pickle::scalar(self.py, bytes)
                {
                    return self.open(&end, value);
                }
                (end, data.into_any())
            }
            Taken::Block(block) => {
                let end = AnswerEnd::of(block.bytes()).map(|(end, _)| end);
                let end = end.unwrap_or(AnswerEnd { mid: 0, first: 0, count: 0, kind: kind::NUDGE });
                (end, big_buffer(self.py, block)?)
            }
        };
        self.append((end.mid, end.first, end.count, end.kind, body).into_pyobject(self.py)?)
    }

    fn open(&mut self, end: &AnswerEnd, value: Bound<'py, PyAny>) -> PyResult<()> {
        if let Some(run) = self.run.as_ref().filter(|run| run.goes_on(end)) {
            return run.values.append(value);
        }
        self.close()?;
        self.run = Some(Run { mid: end.mid, first: end.first, values: PyList::new(self.py, [value])? });
        Ok(())
    }

    fn append(&mut self, answer: Bound<'py, PyTuple>) -> PyResult<()> {
        self.close()?;
        self.list.append(answer)
    }

    fn close(&mut self) -> PyResult<()> {
        match self.run.take() {
            Some(run) => self.list.append((run.mid, run.first, run.values.len(), kind::OPEN, run.values)),
            None => Ok(()),
        }
    }
}

/// No garbage is collected as long as this lives.
///
/// In Python 3.11 the collector runs wherever an object is made (later ones: between steps of the
/// interpreter). A finalizer that uses the pool would receive later answers, and have them noted, before
/// ours have left this room.
struct Uncollected {
    was_enabled: bool,
}

impl Uncollected {
    fn new(py: Python<'_>) -> Uncollected {
        static ANYWHERE: OnceLock<bool> = OnceLock::new();
        let anywhere = *ANYWHERE.get_or_init(|| py.version_info() < (3, 12));
        // SAFETY: we have the GIL; the same when this is dropped.
        Uncollected { was_enabled: anywhere && unsafe { ffi::PyGC_Disable() } == 1 }
    }
}

impl Drop for Uncollected {
    fn drop(&mut self) {
        if self.was_enabled {
            // SAFETY: as above.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}

/// Take the answers that are there, at most `most[0]`; waits for none.
#[pyfunction]
pub fn take_answers<'py>(ring: &Bound<'py, Ring>, most: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyList>> {
    let py = ring.py();
    let _uncollected = Uncollected::new(py);
    let mut answers = Answers { py, list: PyList::empty(py), run: None };
    let most = most.get_item(0)?.extract()?;
    ring.get().take_many(py, most, Limit::Now, |taken| answers.note(taken))?;
    answers.close()?;
    Ok(answers.list)
}
