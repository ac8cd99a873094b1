//! What the messages that a thread took last had carried.
//!
//! Kept for the thread, so that it goes with it; nearly always there is nothing.

use crate::shared::{Shared, release};
use procession_core::heap::{Handle, Held};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Holds of all threads: where it is zero, nobody needs to look.
static HOLDS: AtomicUsize = AtomicUsize::new(0);

/// A ring: its family and its serial number.
pub type Key = (u64, u64);

/// The key of the ring of this handle.
pub fn key(ring: Handle) -> Key {
    (ring.family, ring.serial)
}

#[derive(Default)]
struct Carried(Vec<(Key, Held)>);

impl Drop for Carried {
    fn drop(&mut self) {
        HOLDS.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

thread_local! {
    static CARRIED: RefCell<Carried> = const { RefCell::new(Carried(Vec::new())) };
}

/// Keep what a message of this ring carried.
pub fn keep(ring: Key, holds: Vec<Held>) {
    if !holds.is_empty() {
        HOLDS.fetch_add(holds.len(), Ordering::Relaxed);
        CARRIED.with_borrow_mut(|carried| carried.0.extend(holds.into_iter().map(|held| (ring, held))));
    }
}

/// Give up what this thread keeps of this ring.
#[inline]
pub fn forget(ring: Key) {
    if HOLDS.load(Ordering::Relaxed) > 0 {
        forget_some(ring);
    }
}

#[cold]
fn forget_some(ring: Key) {
    // Taken out first: giving one up may let other threads run, or this one in a finalizer.
    take(ring).into_iter().for_each(release);
}

fn take(ring: Key) -> Vec<Held> {
    let going: Vec<Held> = CARRIED.with_borrow_mut(|carried| {
        let (going, staying) = std::mem::take(&mut carried.0).into_iter().partition(|(owner, _)| *owner == ring);
        carried.0 = staying;
        let going: Vec<(Key, Held)> = going;
        going.into_iter().map(|(_, held)| held).collect()
    });
    HOLDS.fetch_sub(going.len(), Ordering::Relaxed);
    going
}

/// What a thread kept, to be kept by an object instead; goes with it.
#[pyclass(frozen, module = "procession._core")]
pub struct Hold {
    held: Mutex<Vec<Held>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let held = self.held.get_mut().map(std::mem::take).unwrap_or_default();
        held.into_iter().for_each(release);
    }
}

/// Hand what this thread keeps of this ring over to an object; None if there is nothing.
#[inline]
pub fn hand_over(py: Python<'_>, ring: Key) -> PyResult<Option<Bound<'_, Hold>>> {
    if HOLDS.load(Ordering::Relaxed) == 0 {
        return Ok(None);
    }
    let held = take(ring);
    if held.is_empty() { Ok(None) } else { Bound::new(py, Hold { held: Mutex::new(held) }).map(Some) }
}

/// Take out the hold on this object, if this thread keeps one, of whichever ring.
pub fn take_out(object: Handle) -> Option<Held> {
    if HOLDS.load(Ordering::Relaxed) == 0 {
        return None;
    }
    let taken = CARRIED.with_borrow_mut(|carried| {
        let place = carried.0.iter().position(|(_, held)| held.handle() == object)?;
        Some(carried.0.swap_remove(place).1)
    })?;
    HOLDS.fetch_sub(1, Ordering::Relaxed);
    Some(taken)
}

/// Handles of what this thread keeps of this ring.
pub fn handles(ring: Key) -> Vec<Handle> {
    if HOLDS.load(Ordering::Relaxed) == 0 {
        return Vec::new();
    }
    CARRIED.with_borrow(|carried| {
        carried.0.iter().filter(|(owner, _)| *owner == ring).map(|(_, held)| held.handle()).collect()
    })
}

/// Offsets of the objects that a message shall carry.
pub fn offsets(carry: &Bound<'_, PyAny>, family: u64) -> PyResult<Vec<u64>> {
    let mut offsets = Vec::new();
    for object in carry.try_iter()? {
        let object = object?;
        let held = object.cast::<Shared>()?.get().held()?;
        if held.heap().uid() != family {
            return Err(PyTypeError::new_err("a message carries objects of its own family only"));
        }
        offsets.push(held.offset());
    }
    Ok(offsets)
}

/// The list, unless there is nothing in it, which is the common case.
#[inline]
pub fn something<'a, 'py>(carry: Option<&'a Bound<'py, PyAny>>) -> Option<&'a Bound<'py, PyAny>> {
    carry.filter(|carry| !carry.cast::<PyList>().is_ok_and(|list| list.is_empty()))
}
