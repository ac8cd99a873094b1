//! `Relay`: a message that goes from hand to hand, beside a stream.

use crate::shared::{Shared, Words, base, create, own};
use procession_core::heap::BlockKind;
use procession_core::relay::Relay as Core;
use pyo3::prelude::*;

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

impl Relay {
    /// None where a fork cost this process its holds.
    #[inline]
    pub fn core(&self) -> Option<&Core> {
        self.words.get().ok()
    }
}
