//! `Readiness`: a descriptor that is readable exactly while a message waits in a ring.
//!
//! What other processes do with the ring is noticed by two threads: one waits for messages while the
//! descriptor is clear, the other for emptiness while it is set. They run no Python code, so they can
//! be had, and go on, where the interpreter grants no threads any more: while it ends.
//!
//! A forked child has a copy of all this, but not of the threads, and perhaps the lock as one of them
//! held it; so the only thing that it does is to give up its copy of the descriptor.

use crate::gil;
use crate::ring::Ring;
use crate::shared::python;
use procession_core::heap::{BlockKind, Held};
use procession_core::ring::Ring as Core;
use procession_core::wait::{End, Patience};
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use std::io::Error;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

struct State {
    open: bool,
    set: bool,
    threads: u32,
}

struct Watched {
    ring: Core,
    /// Not behind the lock, for the sake of forked children; -1 when it is closed.
    fd: AtomicI32,
    state: Mutex<State>,
    turn: Condvar,
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nobody panics with the lock held; and the state would still be true.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self) {
        let mut state = self.state();
        let lane = self.ring.lane();
        // For good where the ring is shut, as at the end of a stream.
        let ready = !lane.is_empty() || lane.is_shut();
        if state.open && ready != state.set {
            let mut count = 1_u64;
            let (fd, place) = (self.fd.load(Ordering::Relaxed), (&raw mut count).cast());
            // SAFETY: an eventfd of ours takes and gives eight bytes, which `count` has.
            unsafe { if ready { libc::write(fd, place, 8) } else { libc::read(fd, place, 8) } };
            state.set = ready;
            self.turn.notify_all();
        }
    }

    /// One of the threads; `when`: the one that works while the descriptor is set.
    fn watch(&self, when: bool) {
        let lane = self.ring.lane();
        loop {
            // Read first: an alarm that comes from here on ends the wait below.
            let alarms = lane.alarms();
            if !self.await_turn(when) {
                break;
            }
            let mut check = || (!self.state().open).then_some(End::Interrupted);
            let mut patience = Patience::new(None, &mut check);
            let _ = match when {
                true => lane.wait_drained(alarms, &mut patience),
                false => self.ring.wait_news(alarms, true, &mut patience),
            };
            self.update();
        }
        self.state().threads -= 1;
        self.turn.notify_all();
    }

    fn await_turn(&self, when: bool) -> bool {
        let idle = |state: &mut State| state.open && (state.set != when || (when && self.ring.lane().is_shut()));
        self.turn.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner).open
    }

    fn start(self: &Arc<Self>, when: bool) -> Result<(), Error> {
        let watched = self.clone();
        let name = if when { "ring-drained" } else { "ring-readable" };
        self.state().threads += 1;
        let started = std::thread::Builder::new().name(name.into()).spawn(move || watched.watch(when));
        if started.is_err() {
            self.state().threads -= 1;
        }
        started.map(drop)
    }

    /// Back when the threads have ended and the descriptor is closed.
    fn close(&self) {
        if self.fd.load(Ordering::Relaxed) < 0 {
            return;
        }
        self.state().open = false;
        self.turn.notify_all();
        self.ring.lane().alarm();
        drop(self.turn.wait_while(self.state(), |state| state.threads > 0));
        self.close_descriptor();
    }

    fn close_descriptor(&self) {
        let fd = self.fd.swap(-1, Ordering::Relaxed);
        if fd >= 0 {
            // SAFETY: it is ours, and nobody else gets it from now on.
            unsafe { libc::close(fd) };
        }
    }
}

/// Signals are for Python's threads: those that `work` starts have all of them blocked.
fn without_signals<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: both sets are ours, and filled by these calls.
    let before = unsafe {
        let (mut all, mut before) = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        before
    };
    let result = work();
    // SAFETY: the mask that this thread had.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    result
}

#[pyclass(frozen, module = "procession._core")]
pub struct Readiness {
    watched: Arc<Watched>,
}

#[pymethods]
impl Readiness {
    #[new]
    fn new(py: Python<'_>, ring: &Bound<'_, Ring>) -> PyResult<Readiness> {
        let held = ring.as_super().get().held()?;
        let (heap, handle) = (held.heap().clone(), held.handle());
        let held = gil::without(py, || Held::open(&heap, handle, BlockKind::Ring)).map_err(python)?;
        // SAFETY: no pointers are handed over.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            let error = Error::last_os_error();
            return Err(PyOSError::new_err((error.raw_os_error(), error.to_string())));
        }
        let state = State { open: true, set: false, threads: 0 };
        let watched = Arc::new(Watched {
            ring: Core::over(held),
            fd: AtomicI32::new(fd),
            state: Mutex::new(state),
            turn: Condvar::new(),
        });
        watched.update();
        let started = without_signals(|| watched.start(false).and_then(|()| watched.start(true)));
        if let Err(error) = started {
            gil::without(py, || watched.close());
            return Err(PyRuntimeError::new_err(format!("can't start new thread: {error}")));
        }
        Ok(Readiness { watched })
    }

    fn fileno(&self) -> i32 {
        self.watched.fd.load(Ordering::Relaxed)
    }

    fn update(&self) {
        self.watched.update();
    }

    fn close(&self, py: Python<'_>) {
        gil::without(py, || self.watched.close());
    }

    fn forget(&self) {
        self.watched.close_descriptor();
    }
}
