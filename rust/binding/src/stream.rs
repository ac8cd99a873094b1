//! Small messages on a local socket or a pipe, each whole in one attempt.
//!
//! `procession._framing` does what takes longer: it waits, and outlives interruptions. A message is
//! sent whole or not at all, so there is nothing to be interrupted. What was received of one that is
//! not there whole is kept for who goes on with it: to look before taking costs a walk over all the
//! messages that wait. With any other descriptor nothing is done, nor with a pipe before Linux 6.4, which
//! cannot be asked not to wait.
//!
//! Where the stream has a [`Relay`] beside it, what goes by the stream is counted there.

use crate::data::{Data, new_bytes};
use crate::gil;
use crate::relay::Relay;
use procession_core::heap::{Credit, family};
use procession_core::relay::Relay as Core;
use pyo3::exceptions::{PyMemoryError, PyOSError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::cell::RefCell;
use std::os::fd::RawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};

/// Bytes of a length.
const HEAD: usize = 4;
/// Bytes of the longest message, with its length: so many are sent whole or not at all.
const MOST: usize = 4096;
/// So many a local socket takes as one piece, whatever its buffer: the smallest that the kernel gives
/// has room for 4,608, of which a piece is half, less what the kernel needs.
const PIECE: usize = 2048;

/// One direction of a descriptor that stays the same.
#[pyclass(frozen, module = "procession._core")]
pub struct Stream {
    credit: Credit,
    /// The descriptor that was found to be a local socket, and the one found to be a pipe.
    local: AtomicI32,
    pipe: AtomicI32,
    begun: Mutex<Begun>,
    relay: Option<Py<Relay>>,
}

/// A message of which some may have been taken.
struct Begun {
    bytes: [u8; MOST],
    got: usize,
}

/// What an attempt to read gave.
#[derive(Clone, Copy, PartialEq)]
enum Got {
    /// So many bytes.
    Bytes(usize),
    /// Nothing lies there.
    Nothing,
    /// Nor will anything come: it is no socket, or at its end.
    Never,
}

/// Take what lies ready, and at most what there is room for.
fn read(fd: RawFd, is_pipe: bool, room: &mut [u8]) -> Got {
    let place = room.as_mut_ptr().cast();
    let got = if is_pipe {
        let part = libc::iovec { iov_base: place, iov_len: room.len() };
        // SAFETY: so much room.
        unsafe { libc::preadv2(fd, &part, 1, -1, libc::RWF_NOWAIT) }
    } else {
        // SAFETY: so much room.
        unsafe { libc::recv(fd, place, room.len(), libc::MSG_DONTWAIT) }
    };
    match usize::try_from(got) {
        Ok(0) => Got::Never,
        Ok(got) => Got::Bytes(got),
        Err(_) if std::io::Error::last_os_error().kind() == std::io::ErrorKind::WouldBlock => Got::Nothing,
        Err(_) => Got::Never,
    }
}

/// Send these bytes, all or, to a pipe or a local socket, none; gives how many.
fn write(fd: RawFd, is_pipe: bool, bytes: &[u8]) -> usize {
    let place: *const libc::c_void = bytes.as_ptr().cast();
    let sent = if is_pipe {
        let part = libc::iovec { iov_base: place.cast_mut(), iov_len: bytes.len() };
        // SAFETY: so many bytes, which are only read.
        unsafe { libc::pwritev2(fd, &part, 1, -1, libc::RWF_NOWAIT) }
    } else {
        // SAFETY: so many bytes.
        unsafe { libc::send(fd, place, bytes.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) }
    };
    usize::try_from(sent).unwrap_or(0)
}

fn is_fifo(fd: RawFd) -> bool {
    // SAFETY: all zeroes is a valid stat; the kernel fills it.
    let stat = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        (libc::fstat(fd, &mut stat) == 0).then_some(stat)
    };
    stat.is_some_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFIFO)
}

fn option(fd: RawFd, name: libc::c_int) -> Option<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut size = std::mem::size_of::<libc::c_int>() as libc::socklen_t;
    let place = (&mut value as *mut libc::c_int).cast();
    // SAFETY: room for an int.
    let asked = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, place, &mut size) };
    (asked == 0).then_some(value)
}

impl Begun {
    /// Read on until so many bytes are there.
    fn fill(&mut self, fd: RawFd, is_pipe: bool, size: usize) -> Got {
        if self.got < size {
            match read(fd, is_pipe, &mut self.bytes[self.got..size]) {
                Got::Bytes(got) => self.got += got,
                nothing => return nothing,
            }
        }
        Got::Bytes(self.got)
    }

    /// Where the message ends, if its length is there and it is one of ours.
    fn end(&self) -> Option<usize> {
        let head = self.bytes[..self.got].first_chunk::<HEAD>()?;
        let length = usize::try_from(i32::from_be_bytes(*head)).ok()?;
        (HEAD + length <= MOST).then_some(HEAD + length)
    }
}

impl Stream {
    /// Asked once: a descriptor that is in use stays what it is.
    fn is_pipe(&self, fd: RawFd) -> bool {
        self.pipe.load(Ordering::Relaxed) == fd || self.local.load(Ordering::Relaxed) != fd && self.find_out(fd).0
    }

    fn is_local(&self, fd: RawFd) -> bool {
        self.local.load(Ordering::Relaxed) == fd || self.pipe.load(Ordering::Relaxed) != fd && self.find_out(fd).1
    }

    /// Is it a pipe, or a local socket?
    #[cold]
    fn find_out(&self, fd: RawFd) -> (bool, bool) {
        let found = (is_fifo(fd), option(fd, libc::SO_DOMAIN) == Some(libc::AF_UNIX));
        let note = |place: &AtomicI32, is: bool| {
            if is {
                place.store(fd, Ordering::Relaxed);
            }
        };
        note(&self.pipe, found.0);
        note(&self.local, found.1);
        found
    }

    /// Does it take so many bytes, [`MOST`] at most, as one piece or not at all? A pipe does.
    fn takes_whole(&self, fd: RawFd, length: usize) -> bool {
        let has_room = || option(fd, libc::SO_SNDBUF).is_some_and(|size| size as usize >= 4 * MOST);
        // A socket's pieces are half as long as its buffer.
        self.is_pipe(fd) || self.is_local(fd) && (length <= PIECE || has_room())
    }

    #[inline]
    fn relay(&self) -> Option<&Core> {
        self.relay.as_ref().and_then(|relay| relay.get().core())
    }

    /// Read the beginning of the next message, looking out for it for a moment if there is none.
    fn begin(&self, py: Python<'_>, fd: RawFd, is_pipe: bool, begun: &mut Begun) -> Got {
        // Where there is a relay, it was there that the caller looked out.
        if !self.relay().is_none_or(Core::is_behind) {
            return Got::Nothing;
        }
        match (begun.fill(fd, is_pipe, HEAD), family::own()) {
            (Got::Nothing, Some(heap)) => {
                let begun = RefCell::new((begun, Got::Nothing));
                gil::without(py, move || {
                    heap.spin(&self.credit, &|| {
                        let (begun, got) = &mut *begun.borrow_mut();
                        *got = begun.fill(fd, is_pipe, HEAD);
                        *got != Got::Nothing
                    });
                    begun.into_inner().1
                })
            }
            (got, _) => got,
        }
    }
}

#[pymethods]
impl Stream {
    #[new]
    #[pyo3(signature = (relay = None))]
    fn new(relay: Option<Py<Relay>>) -> Stream {
        let begun = Mutex::new(Begun { bytes: [0; MOST], got: 0 });
        Stream { credit: Credit::default(), local: AtomicI32::new(-1), pipe: AtomicI32::new(-1), begun, relay }
    }

    fn send(&self, fd: RawFd, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        let data = Data::of(data)?;
        let (data, length) = (data.bytes(), HEAD + data.bytes().len());
        if length > MOST || !self.takes_whole(fd, length) {
            return Ok(false);
        }
        let mut room = [0; MOST];
        room[..HEAD].copy_from_slice(&(data.len() as i32).to_be_bytes());
        room[HEAD..length].copy_from_slice(data);
        let relay = self.relay().inspect(|relay| relay.count_sent());
        match write(fd, self.is_pipe(fd), &room[..length]) {
            0 => {
                relay.inspect(|relay| relay.count_unsent());
                Ok(false)
            }
            sent if sent == length => Ok(true),
            sent => Err(PyOSError::new_err(format!(
                "only {sent} of {length} bytes were sent: descriptor {fd} is another than it was"
            ))),
        }
    }

    fn receive<'py>(&self, py: Python<'py>, fd: RawFd) -> Option<Bound<'py, PyBytes>> {
        // Another thread has it while it looks out, and a message that was begun takes the long way.
        let mut begun = self.begun.try_lock().ok().filter(|begun| begun.got == 0)?;
        let is_pipe = self.is_pipe(fd);
        if self.begin(py, fd, is_pipe, &mut begun) != Got::Bytes(HEAD) {
            return None;
        }
        let end = begun.end()?;
        if begun.fill(fd, is_pipe, end) != Got::Bytes(end) {
            return None;
        }
        let bytes = new_bytes(py, &begun.bytes[HEAD..end])?;
        begun.got = 0;
        self.relay().inspect(|relay| relay.count_received());
        Some(bytes)
    }

    fn hand_over(&self, head: &Bound<'_, PyList>, body: &Bound<'_, PyList>) -> PyResult<()> {
        let Ok(mut begun) = self.begun.try_lock() else {
            return Ok(());
        };
        // One after the other, so that nothing is there twice or lost where memory is refused.
        if begun.got > HEAD {
            body.append(new_bytes(body.py(), &begun.bytes[HEAD..begun.got]).ok_or_else(no_memory)?)?;
            begun.got = HEAD;
        }
        if begun.got > 0 {
            head.append(new_bytes(head.py(), &begun.bytes[..begun.got]).ok_or_else(no_memory)?)?;
            begun.got = 0;
        }
        Ok(())
    }
}

fn no_memory() -> PyErr {
    PyMemoryError::new_err("no memory for the message, of which the rest can still be received")
}
