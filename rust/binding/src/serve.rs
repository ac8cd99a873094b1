//! A worker's loop: take a message, run its items, answer, until it is dismissed.
//!
//! One loop for processes and threads. What it needs of the outside it asks the worker's link, an object
//! of Python; over rings the plain cases, which are nearly all, need no Python: see [`crate::ends`].

use crate::ends::{Ends, Rings};
use crate::wire::mode;
use procession_core::wait::clock;
use pyo3::exceptions::PyBaseException;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::sync::atomic::{AtomicBool, Ordering};

/// Nanoseconds for which results may lie with a worker that goes on with the same message.
const PATIENCE: u64 = 1_000_000;
/// Items between two looks at the clock, where they are so short (in nanoseconds, all of them).
const STRIDE: (usize, u64) = (8, 40_000);

/// Is a task running? For a handler of signals, which are meant for tasks and not for the loop.
#[pyclass(subclass, frozen, module = "procession._core")]
pub struct TaskGuard {
    inside: AtomicBool,
}

#[pymethods]
impl TaskGuard {
    #[new]
    fn new() -> TaskGuard {
        TaskGuard { inside: AtomicBool::new(false) }
    }

    #[getter]
    fn inside(&self) -> bool {
        self.inside.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_inside(&self, inside: bool) {
        self.inside.store(inside, Ordering::Relaxed);
    }
}

/// What is to be done.
pub struct Message<'py> {
    pub mid: u64,
    pub mode: u8,
    /// After so many items results are wanted; 0: all at the end.
    pub prompt: usize,
    pub function: Bound<'py, PyAny>,
    pub items: Bound<'py, PyAny>,
}

impl<'py> Message<'py> {
    /// As a link's `take` or `read` gives it.
    pub fn of(given: &Bound<'py, PyAny>) -> PyResult<Message<'py>> {
        let (mid, mode, prompt, function, items) = given.extract()?;
        Ok(Message { mid, mode, prompt, function, items })
    }
}

/// Results that are not answered yet.
pub struct Part<'py> {
    /// Number of the first one.
    pub first: usize,
    /// None where there is an error.
    pub values: Bound<'py, PyList>,
    /// By place in `values`.
    pub errors: Option<Bound<'py, PyDict>>,
}

impl<'py> Part<'py> {
    fn new(py: Python<'py>, first: usize) -> Part<'py> {
        Part { first, values: PyList::empty(py), errors: None }
    }

    fn fail(&mut self, error: PyErr) -> PyResult<()> {
        let py = self.values.py();
        let error: Py<PyBaseException> = error.into_value(py);
        self.errors.get_or_insert_with(|| PyDict::new(py)).set_item(self.values.len(), error)?;
        self.values.append(py.None())
    }
}

/// When to look at the clock, and when results have lain for long enough.
struct Pace {
    flushed: u64,
    looked: u64,
    stride: usize,
    next: usize,
}

impl Pace {
    fn new() -> Pace {
        let now = clock();
        Pace { flushed: now, looked: now, stride: 1, next: 1 }
    }

    /// So many items were run: have results lain for long enough?
    fn is_time(&mut self, run: usize) -> bool {
        if run < self.next {
            return false;
        }
        let now = clock();
        self.stride = if now - self.looked < STRIDE.1 { (2 * self.stride).min(STRIDE.0) } else { 1 };
        (self.looked, self.next) = (now, run + self.stride);
        let time = now - self.flushed > PATIENCE;
        if time {
            self.flushed = now;
        }
        time
    }
}

struct Worker<'a, 'py> {
    link: &'a Bound<'py, PyAny>,
    guard: &'a TaskGuard,
    ends: Option<Ends<'a, 'py>>,
}

impl<'py> Worker<'_, 'py> {
    fn next(&mut self) -> PyResult<Option<Message<'py>>> {
        if let Some(ends) = &mut self.ends {
            return ends.next();
        }
        let taken = self.link.call_method0("take")?;
        if taken.is_none() { Ok(None) } else { Message::of(&taken).map(Some) }
    }

    /// False where this is a fork of the worker by now, which a task made and came back from: it is none.
    fn run(&self, message: Message<'py>) -> PyResult<bool> {
        let Message { mid, mode, prompt, function, items } = message;
        let items = list_of(items)?;
        let (py, count, me) = (self.link.py(), items.len(), self.member());
        let (mut part, mut pace) = (Part::new(py, 0), Pace::new());
        let mut number = 0;
        while number < count && self.begin(number, count)? {
            match self.call(mode, &function, &items, number) {
                _ if self.member() != me => return Ok(false),
                Ok(value) => part.values.append(value)?,
                Err(error) => part.fail(error)?,
            }
            number += 1;
            let wanted = prompt > 0 && number % prompt == 0;
            if wanted || pace.is_time(number) {
                self.answer(mid, part)?;
                part = Part::new(py, number);
            }
        }
        if !part.values.is_empty() {
            self.answer(mid, part)?;
        }
        Ok(true)
    }

    fn member(&self) -> u32 {
        self.ends.as_ref().map_or(0, Ends::member)
    }

    /// May this item be run, or is it somebody else's by now?
    fn begin(&self, number: usize, count: usize) -> PyResult<bool> {
        match &self.ends {
            Some(ends) => Ok(ends.begin(number, count)),
            None => self.link.call_method1("begin", (number, count))?.is_truthy(),
        }
    }

    fn call(
        &self,
        mode: u8,
        function: &Bound<'py, PyAny>,
        items: &Bound<'py, PyList>,
        number: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let item = items.get_item(number)?;
        if self.ends.is_some() {
            // The list is nobody else's: what a task gives back of the item may be nobody's but its own.
            items.set_item(number, items.py().None())?;
        }
        // A signal that came before, while there was nothing to do, is not the task's.
        item.py().check_signals()?;
        self.guard.inside.store(true, Ordering::Relaxed);
        let called = call(mode, function, &item);
        // One that came while a function of C ran is.
        let called = called.and_then(|value| item.py().check_signals().map(|()| value));
        self.guard.inside.store(false, Ordering::Relaxed);
        called
    }

    fn answer(&self, mid: u64, part: Part<'py>) -> PyResult<()> {
        if let Some(ends) = &self.ends {
            ends.answering(&part);
            if ends.answer(mid, &part)? {
                return Ok(());
            }
        }
        let errors = part.errors.unwrap_or_else(|| PyDict::new(self.link.py()));
        self.link.call_method1("answer", (mid, part.first, part.values, errors)).map(drop)
    }
}

fn list_of(items: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyList>> {
    match items.cast_into_exact::<PyList>() {
        Ok(items) => Ok(items),
        Err(error) => {
            let items = error.into_inner();
            // SAFETY: the result is a new list, or null with an error set.
            let list = unsafe { Bound::from_owned_ptr_or_err(items.py(), ffi::PySequence_List(items.as_ptr()))? };
            Ok(list.cast_into()?)
        }
    }
}

fn call<'py>(mode: u8, function: &Bound<'py, PyAny>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match mode {
        // SAFETY: two objects, then the end of the arguments; the result is new, or null with an error set.
        mode::EACH => unsafe {
            let end = std::ptr::null_mut::<ffi::PyObject>();
            let result = ffi::PyObject_CallFunctionObjArgs(function.as_ptr(), item.as_ptr(), end);
            Bound::from_owned_ptr_or_err(item.py(), result)
        },
        mode::STAR => function.call1(tuple_of(item)?),
        _ => {
            let (args, kwds): (Bound<PyAny>, Bound<PyAny>) = item.extract()?;
            function.call(tuple_of(&args)?, Some(&dict_of(&kwds)?))
        }
    }
}

fn tuple_of<'py>(args: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    // SAFETY: the result is a new tuple, or null with an error set.
    let tuple = unsafe { Bound::from_owned_ptr_or_err(args.py(), ffi::PySequence_Tuple(args.as_ptr()))? };
    Ok(tuple.cast_into()?)
}

fn dict_of<'py>(kwds: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(kwds) = kwds.cast_exact::<PyDict>() {
        return Ok(kwds.clone());
    }
    let copy = PyDict::new(kwds.py());
    // SAFETY: a dictionary, and an object that is asked for its keys.
    match unsafe { ffi::PyDict_Update(copy.as_ptr(), kwds.as_ptr()) } {
        0 => Ok(copy),
        _ => Err(PyErr::fetch(kwds.py())),
    }
}

/// Serve `link`, at most `most` messages; gives how many there were. `rings`: tasks, answers, claims and
/// the place in these of a link over rings.
#[pyfunction]
#[pyo3(signature = (link, guard, most = None, rings = None))]
pub fn serve(
    link: &Bound<'_, PyAny>,
    guard: &Bound<'_, TaskGuard>,
    most: Option<u64>,
    rings: Option<Rings<'_>>,
) -> PyResult<u64> {
    let ends = rings.as_ref().map(|rings| Ends::new(link, rings)).transpose()?;
    let mut worker = Worker { link, guard: guard.get(), ends };
    let mut count = 0;
    while most.is_none_or(|most| count < most) {
        let Some(message) = worker.next()? else { break };
        count += 1;
        if !worker.run(message)? {
            break;
        }
    }
    Ok(count)
}
