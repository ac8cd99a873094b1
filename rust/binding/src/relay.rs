//! `Relay`: a message that goes from hand to hand, beside a stream.

use crate::data::{Data, lost, new_bytes};
use crate::gil;
use crate::lean::lean;
use crate::pickle::{Pickle, loads_object, scalar};
use crate::shared::{Shared, Words, base, create, own};
use procession_core::heap::BlockKind;
use procession_core::heap::spin::SPIN;
use procession_core::relay::{ROOM, Relay as Core};
use procession_core::wait::clock;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes};

#[pyclass(extends = Shared, frozen, module = "procession._core")]
pub struct Relay {
    words: Words<Core>,
}

#[pymethods]
impl Relay {
    #[new]
    fn new(py: Python<'_>) -> PyResult<PyClassInitializer<Relay>> {
        let held = create(py, &own()?, BlockKind::Relay, Core::default())?;
        let relay = Relay { words: Words::of(&held) };
        Ok(PyClassInitializer::from(base(held)).add_subclass(relay))
    }

    fn give_bytes(&self, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        let data = Data::of(data)?;
        Ok(self.core().is_some_and(|relay| relay.give(clock, &[data.bytes()])))
    }

    fn catch_bytes<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let caught = self.caught(py);
        caught.map(|caught| new_bytes(py, caught.bytes()).ok_or_else(|| lost(caught.length))).transpose()
    }

    fn close(&self) {
        self.core().inspect(|relay| relay.close());
    }

    fn count_sent(&self) {
        self.core().inspect(|relay| relay.count_sent());
    }

    fn count_unsent(&self) {
        self.core().inspect(|relay| relay.count_unsent());
    }

    fn count_received(&self) {
        self.core().inspect(|relay| relay.count_received());
    }
}

/// A message that was given to us.
struct Caught {
    place: [u8; ROOM],
    length: usize,
}

impl Caught {
    fn bytes(&self) -> &[u8] {
        &self.place[..self.length]
    }

    fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let no_memory = || lost(self.length);
        match scalar(py, self.bytes()) {
            Some(object) => object.ok_or_else(no_memory),
            None => loads_object(new_bytes(py, self.bytes()).ok_or_else(no_memory)?.as_any()),
        }
    }
}

impl Relay {
    /// None where a fork cost this process its holds.
    #[inline]
    pub fn core(&self) -> Option<&Core> {
        self.words.get().ok()
    }

    fn gives(&self, object: &Bound<'_, PyAny>) -> bool {
        // Nobody looks out at most relays at most times.
        let relay = self.core().filter(|relay| relay.is_looked_at());
        relay.is_some_and(|relay| Pickle::of(object).is_some_and(|pickle| relay.give(clock, &pickle.parts())))
    }

    /// Look out for a moment, where that is worth it; not if something may lie in the stream.
    fn caught(&self, py: Python<'_>) -> Option<Caught> {
        let relay = self.core().filter(|relay| !relay.is_behind())?;
        gil::without(py, || {
            let lookout = relay.announce(clock() + SPIN.as_nanos() as u64)?;
            self.words.spin(&|| lookout.has_come() || relay.is_behind());
            let mut place = [0; ROOM];
            lookout.end(&mut place).map(|length| Caught { place, length })
        })
    }
}

/// Give a plain object to who looks out; false where nobody does, and for any other object.
#[pyfunction]
pub fn give(relay: &Bound<'_, Relay>, obj: &Bound<'_, PyAny>) -> bool {
    relay.get().gives(obj)
}

/// Look out for an object for a moment; `default` where none is given.
#[pyfunction]
pub fn catch<'py>(relay: &Bound<'py, Relay>, default: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = relay.py();
    relay.get().caught(py).map_or(Ok(default), |caught| caught.object(py))
}

lean!(Give: Relay, c"give", c"give($self, obj, /)\n--\n\n", |py, relay, given| {
    let &[object] = given else { return None };
    // SAFETY: an argument, alive as long as the call.
    let object = unsafe { Borrowed::from_ptr(py, object) };
    Some(Ok(PyBool::new(py, relay.gives(&object)).to_owned().into_any()))
});

lean!(Catch: Relay, c"catch", c"catch($self, default, /)\n--\n\n", |py, relay, given| {
    let &[default] = given else { return None };
    // SAFETY: as above.
    let default = || unsafe { Borrowed::from_ptr(py, default) }.to_owned();
    Some(relay.caught(py).map_or_else(|| Ok(default()), |caught| caught.object(py)))
});
