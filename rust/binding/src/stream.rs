//! Small messages on a stream socket, each whole in one attempt.
//!
//! `procession._framing` does what takes longer: it waits, and outlives interruptions. A message is
//! sent whole or not at all, so there is nothing to be interrupted. What was received of one that is
//! not there whole is kept for who goes on with it: to look before taking costs a walk over all the
//! messages that wait. With a descriptor that is no socket nothing is done.

use crate::data::{Data, new_bytes};
use crate::gil;
use procession_core::heap::{Credit, family};
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
    /// The descriptor that was found to be a local socket.
    local: AtomicI32,
    begun: Mutex<Begun>,
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
fn read(fd: RawFd, room: &mut [u8]) -> Got {
    // SAFETY: so much room.
    let got = unsafe { libc::recv(fd, room.as_mut_ptr().cast(), room.len(), libc::MSG_DONTWAIT) };
    match usize::try_from(got) {
        Ok(0) => Got::Never,
        Ok(got) => Got::Bytes(got),
        Err(_) if std::io::Error::last_os_error().kind() == std::io::ErrorKind::WouldBlock => Got::Nothing,
        Err(_) => Got::Never,
    }
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
    fn fill(&mut self, fd: RawFd, size: usize) -> Got {
        if self.got < size {
            match read(fd, &mut self.bytes[self.got..size]) {
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
    /// Does it take so many bytes as one piece or not at all?
    fn takes_whole(&self, fd: RawFd, length: usize) -> bool {
        let local = || option(fd, libc::SO_DOMAIN) == Some(libc::AF_UNIX);
        if self.local.load(Ordering::Relaxed) != fd {
            if !local() {
                return false;
            }
            self.local.store(fd, Ordering::Relaxed);
        }
        // Pieces are half as long as the buffer.
        length <= PIECE || option(fd, libc::SO_SNDBUF).is_some_and(|size| size as usize >= 4 * MOST)
    }

    /// Read the beginning of the next message, looking out for it for a moment if there is none.
    fn begin(&self, py: Python<'_>, fd: RawFd, begun: &mut Begun) -> Got {
        match (begun.fill(fd, HEAD), family::own()) {
            (Got::Nothing, Some(heap)) => {
                let begun = RefCell::new((begun, Got::Nothing));
                gil::without(py, move || {
                    heap.spin(&self.credit, &|| {
                        let (begun, got) = &mut *begun.borrow_mut();
                        *got = begun.fill(fd, HEAD);
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
    fn new() -> Stream {
        let begun = Mutex::new(Begun { bytes: [0; MOST], got: 0 });
        Stream { credit: Credit::default(), local: AtomicI32::new(-1), begun }
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
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: so many bytes.
        let sent = unsafe { libc::send(fd, room.as_ptr().cast(), length, flags) };
        match usize::try_from(sent) {
            Ok(sent) if sent == length => Ok(true),
            Ok(sent) if sent > 0 => Err(PyOSError::new_err(format!(
                "only {sent} of {length} bytes were sent: descriptor {fd} is another than it was"
            ))),
            _ => Ok(false),
        }
    }

    fn receive<'py>(&self, py: Python<'py>, fd: RawFd) -> Option<Bound<'py, PyBytes>> {
        // Another thread has it while it looks out, and a message that was begun takes the long way.
        let mut begun = self.begun.try_lock().ok().filter(|begun| begun.got == 0)?;
        if self.begin(py, fd, &mut begun) != Got::Bytes(HEAD) {
            return None;
        }
        let end = begun.end()?;
        if begun.fill(fd, end) != Got::Bytes(end) {
            return None;
        }
        let bytes = new_bytes(py, &begun.bytes[HEAD..end])?;
        begun.got = 0;
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
