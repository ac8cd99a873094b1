//! The family: founding it, joining it, leaving it.

use crate::gil;
use crate::shared::{own, python};
use procession_core::heap::family as core;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::os::fd::{BorrowedFd, IntoRawFd};

#[pyfunction]
fn heap_fd() -> PyResult<i32> {
    Ok(own()?.fd())
}

#[pyfunction]
fn family() -> PyResult<u64> {
    Ok(own()?.uid())
}

#[pyfunction]
fn attach(fd: i32) -> PyResult<u64> {
    if fd < 0 {
        return Err(python(procession_core::heap::HeapError::NotAHeap));
    }
    // SAFETY: borrowed for the duplication only; a closed descriptor is refused by the system.
    let copy = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()?;
    Ok(core::join(copy).map_err(python)?.uid())
}

#[pyfunction]
fn leave() {
    core::leave();
}

#[pyfunction]
fn adopt() {
    core::adopt();
}

#[pyfunction]
fn forked(pid: u32) {
    core::forked(pid);
}

#[pyfunction]
fn end_with(fd: i32) -> PyResult<i32> {
    Ok(procession_core::process::end_with(fd)?.into_raw_fd())
}

#[pyfunction]
fn end_by(own: i32) -> PyResult<()> {
    Ok(procession_core::process::end_by(own)?)
}

#[pyfunction]
fn member() -> PyResult<u32> {
    Ok(own()?.me())
}

#[pyfunction]
fn members(py: Python<'_>) -> PyResult<Vec<(u32, u32)>> {
    let heap = own()?;
    Ok(gil::without(py, || heap.members()))
}

#[pyfunction]
fn bury(py: Python<'_>, pid: u32) -> usize {
    gil::without(py, || core::own().map_or(0, |heap| heap.bury(pid)))
}

#[pyfunction]
fn heap_stats(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let heap = own()?;
    let stats = gil::without(py, || heap.stats());
    let result = PyDict::new(py);
    for (name, value) in [
        ("used", stats.used),
        ("free", stats.free),
        ("top", stats.top),
        ("blocks", stats.blocks),
        ("objects", stats.objects),
        ("members", stats.members),
    ] {
        result.set_item(name, value)?;
    }
    Ok(result)
}

/// Add the functions to the module.
pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(heap_fd, module)?)?;
    module.add_function(wrap_pyfunction!(family, module)?)?;
    module.add_function(wrap_pyfunction!(attach, module)?)?;
    module.add_function(wrap_pyfunction!(leave, module)?)?;
    module.add_function(wrap_pyfunction!(adopt, module)?)?;
    module.add_function(wrap_pyfunction!(forked, module)?)?;
    module.add_function(wrap_pyfunction!(end_with, module)?)?;
    module.add_function(wrap_pyfunction!(end_by, module)?)?;
    module.add_function(wrap_pyfunction!(member, module)?)?;
    module.add_function(wrap_pyfunction!(members, module)?)?;
    module.add_function(wrap_pyfunction!(bury, module)?)?;
    module.add_function(wrap_pyfunction!(heap_stats, module)?)
}
