//! A worker's short cuts where its link goes over rings: the plain cases, without Python.

use crate::claims::{Claims, slot};
use crate::data::{Data, new_bytes};
use crate::pickle::Pickle;
use crate::ring::Ring;
use crate::serve::{Message, Part};
use crate::taken::{Taken, big_buffer};
use crate::tasks::{is_scalar, pickled};
use crate::waiting::Limit;
use crate::wire::{AnswerEnd, TaskEnd, kind};
use procession_core::claims::MOST;
use procession_core::ring::Slot;
use pyo3::exceptions::{PyBaseException, PyMemoryError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyList;

/// Tasks, answers, claims, and the place in these.
pub type Rings<'py> = (Bound<'py, Ring>, Bound<'py, Ring>, Bound<'py, Claims>, i64);

/// See the module.
pub struct Ends<'a, 'py> {
    link: &'a Bound<'py, PyAny>,
    tasks: &'a Ring,
    answers: &'a Ring,
    slot: Slot<'a>,
    loads: Bound<'py, PyAny>,
    /// The last function: most messages have that again.
    known: Option<Known<'py>>,
}

struct Known<'py> {
    key: i64,
    text: Vec<u8>,
    function: Bound<'py, PyAny>,
}

/// What became of a message that was taken.
enum Read<'py> {
    Message(Message<'py>),
    /// It could not be read, which was answered.
    Unread,
    /// The worker shall end.
    Dismissed,
}

impl<'a, 'py> Ends<'a, 'py> {
    pub fn new(link: &'a Bound<'py, PyAny>, rings: &'a Rings<'py>) -> PyResult<Self> {
        let (tasks, answers, claims, number) = rings;
        if !tasks.get().is_kin(claims)? {
            return Err(PyTypeError::new_err("the claims belong to another family than the ring"));
        }
        Ok(Ends {
            link,
            tasks: tasks.get(),
            answers: answers.get(),
            slot: slot(claims, *number)?,
            loads: link.py().import("_pickle")?.getattr("loads")?,
            known: None,
        })
    }

    /// The next message, waited for; None: the worker shall end.
    pub fn next(&mut self) -> PyResult<Option<Message<'py>>> {
        loop {
            match self.read(self.take()?)? {
                Read::Message(message) => return Ok(Some(message)),
                Read::Dismissed => return Ok(None),
                Read::Unread => {}
            }
        }
    }

    fn take(&self) -> PyResult<Taken<'py>> {
        let py = self.link.py();
        if let Some(taken) = self.tasks.get_quickly(py, Some(&self.slot)) {
            return taken;
        }
        self.link.call_method0("idle")?;
        loop {
            // None: an alarm, which is not for us.
            if let Some(taken) = self.tasks.get_message(py, Some(&self.slot), Limit::Never)? {
                return Ok(taken);
            }
        }
    }

    fn read(&mut self, taken: Taken<'py>) -> PyResult<Read<'py>> {
        let message = match taken {
            Taken::Bytes(bytes) => bytes.into_any(),
            Taken::Block(block) => big_buffer(self.link.py(), block)?,
        };
        let data = Data::of(&message)?;
        if data.bytes().is_empty() {
            return Ok(Read::Dismissed);
        }
        match TaskEnd::of(data.bytes()).filter(|(end, _)| !end.odd) {
            Some((end, text)) => self.read_plain(&end, text, &message),
            None => self.read_oddly(&message),
        }
    }

    fn read_plain(&mut self, end: &TaskEnd, text: &[u8], data: &Bound<'py, PyAny>) -> PyResult<Read<'py>> {
        let items = self.loads.call1((data,));
        let read = items.and_then(|items| Ok((items, self.function(end.key, text)?)));
        match read {
            Ok((items, function)) => {
                Ok(Read::Message(Message { mid: end.mid, mode: end.mode, prompt: end.prompt, function, items }))
            }
            Err(error) => {
                let error: Py<PyBaseException> = error.into_value(self.link.py());
                self.link.call_method1("unread", (error,))?;
                Ok(Read::Unread)
            }
        }
    }

    fn read_oddly(&self, data: &Bound<'py, PyAny>) -> PyResult<Read<'py>> {
        let read = self.link.call_method1("read", (data,))?;
        if read.is_none() { Ok(Read::Unread) } else { Message::of(&read).map(Read::Message) }
    }

    fn function(&mut self, key: i64, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        if let Some(known) = self.known.as_ref().filter(|known| known.key == key && known.text == text) {
            return Ok(known.function.clone());
        }
        let own = new_bytes(self.link.py(), text)
            .ok_or_else(|| PyMemoryError::new_err(format!("no memory for a function of {} bytes", text.len())))?;
        let function = self.link.call_method1("function", (key, own))?;
        // One whose key is zero is rebuilt for each call.
        self.known = (key != 0).then(|| Known { key, text: text.to_vec(), function: function.clone() });
        Ok(function)
    }

    /// Who serves; a fork of it is somebody else.
    #[inline]
    pub fn member(&self) -> u32 {
        self.tasks.core.held().heap().me()
    }

    /// May this item be run, or is it somebody else's by now?
    #[inline]
    pub fn begin(&self, number: usize, count: usize) -> bool {
        self.slot.claim().begin(number as u64, (count as u64).min(MOST))
    }

    /// The item begun last has been run. Where more than that one is answered, none of them is to blame for
    /// what may happen meanwhile.
    #[inline]
    pub fn answering(&self, part: &Part<'py>) {
        if part.values.len() > 1 {
            self.slot.claim().answer();
        }
    }

    /// Answer, if the results need no reducer, and there is memory for it; else nothing is done.
    pub fn answer(&self, mid: u64, part: &Part<'py>) -> PyResult<bool> {
        if part.errors.is_some() {
            return Ok(false);
        }
        let (first, count) = (part.first as u32, part.values.len() as u32);
        let end = AnswerEnd { mid, first, count, kind: if count == 1 { kind::ONE } else { kind::MANY } };
        match self.pickle_and_put(&part.values, &end) {
            Err(error) if error.is_instance_of::<PyMemoryError>(self.link.py()) => Ok(false),
            done => done,
        }
    }

    fn pickle_and_put(&self, values: &Bound<'py, PyList>, end: &AnswerEnd) -> PyResult<bool> {
        let value = if end.kind == kind::ONE { values.get_item(0)? } else { values.as_any().clone() };
        if let Some(pickle) = Pickle::of(&value) {
            return self.put(&pickle.parts(), end);
        }
        if !values.iter().all(|value| is_scalar(&value)) {
            return Ok(false);
        }
        self.put(&[pickled(&value)?.as_bytes()], end)
    }

    fn put(&self, pickle: &[&[u8]], end: &AnswerEnd) -> PyResult<bool> {
        let end = end.bytes();
        let parts: Vec<&[u8]> = pickle.iter().copied().chain([&end[..]]).collect();
        self.answers.put_whole(self.link.py(), &parts, 0).map(|()| true)
    }
}
