//! `procession._core`: the core crate for Python. Each class is a thin coat over a core primitive;
//! what each does is written in `src/procession/_core.pyi`.
//!
//! Quick attempts run with the GIL held; whatever may wait gives it up first (see [`waiting`]).

mod answers;
mod buffer;
mod carried;
mod claims;
mod data;
mod ends;
mod event;
mod family;
mod gil;
mod guarded;
mod lean;
mod memory;
mod objects;
mod onward;
mod pickle;
mod plain;
mod readiness;
mod relay;
mod ring;
mod scalar;
mod semlock;
mod serve;
mod shared;
mod stream;
mod taken;
mod tasks;
mod waiting;
mod waitlist;
mod wire;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("RECURSIVE_MUTEX", semlock::RECURSIVE_MUTEX)?;
    module.add("SEMAPHORE", semlock::SEMAPHORE)?;
    module.add("SEM_VALUE_MAX", semlock::SEM_VALUE_MAX)?;
    family::add_to(module)?;
    module.add_class::<shared::Shared>()?;
    module.add_class::<semlock::SemLock>()?;
    module.add_class::<guarded::Guard>()?;
    module.add_class::<guarded::Guarded>()?;
    module.add_class::<event::EventWord>()?;
    module.add_class::<waitlist::WaitList>()?;
    module.add_class::<memory::Block>()?;
    module.add_class::<buffer::Buffer>()?;
    module.add_class::<ring::Ring>()?;
    module.add_class::<readiness::Readiness>()?;
    module.add_class::<claims::Claims>()?;
    module.add_class::<carried::Hold>()?;
    module.add_class::<relay::Relay>()?;
    module.add_class::<stream::Stream>()?;
    module.add_function(wrap_pyfunction!(pickle::dumps_plain, module)?)?;
    module.add_function(wrap_pyfunction!(pickle::loads, module)?)?;
    module.add_class::<serve::TaskGuard>()?;
    module.add_function(wrap_pyfunction!(serve::serve, module)?)?;
    module.add_function(wrap_pyfunction!(answers::take_answers, module)?)?;
    let py = module.py();
    lean::add::<objects::Offer>(py, wrap_pyfunction!(objects::offer, module)?.into_any())?;
    lean::add::<objects::Fetch>(py, wrap_pyfunction!(objects::fetch, module)?.into_any())?;
    lean::add::<relay::Give>(py, wrap_pyfunction!(relay::give, module)?.into_any())?;
    lean::add::<relay::Catch>(py, wrap_pyfunction!(relay::catch, module)?.into_any())?;
    lean::put_in_place::<semlock::Acquire>(py)?;
    lean::put_in_place::<semlock::Release>(py)?;
    lean::put_in_place::<semlock::Enter>(py)?;
    lean::put_in_place::<semlock::Exit>(py)?;
    lean::put_in_place::<guarded::GetLock>(py)?;
    lean::put_in_place::<plain::Put>(py)?;
    lean::put_in_place::<plain::Get>(py)?;
    lean::put_in_place::<plain::Take>(py)
}
