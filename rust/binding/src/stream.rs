//! Small messages on a stream socket, each whole in one attempt.
//!
//! `procession._framing` does what takes longer: it waits, and outlives interruptions. Here nothing
//! is begun that is not done when the call returns, so there is nothing to be interrupted. A socket is
//! needed, since a message is looked at before it is taken; with any other descriptor nothing is done.

use crate::data::{Data, new_bytes};
use crate::gil;
use procession_core::heap::{Credit, family};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::cell::UnsafeCell;
use std::os::fd::RawFd;

/// Bytes of a length.
const HEAD: usize = 4;
/// Bytes of the longest message: so many are sent whole or not at all.
const MOST: usize = 4096 - HEAD;

/// One end's habit of waiting.
#[pyclass(frozen, module = "procession._core")]
pub struct Stream {
    credit: Credit,
    room: UnsafeCell<[u8; HEAD + MOST]>,
}

// SAFETY: the room is used by who has the GIL, which is not given up meanwhile.
unsafe impl Sync for Stream {}

/// Bytes that lie ready, without taking them; None where there are none, or the descriptor is no socket.
fn peek(fd: RawFd, room: &mut [u8]) -> Option<usize> {
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: so much room.
    let got = unsafe { libc::recv(fd, room.as_mut_ptr().cast(), room.len(), flags) };
    usize::try_from(got).ok().filter(|&got| got > 0)
}

/// Is it a socket that takes so few bytes as one piece or not at all? Others may take some of them, as
/// one does that was given a small buffer: its pieces are half as long, less what the kernel needs.
fn is_local(fd: RawFd) -> bool {
    option(fd, libc::SO_DOMAIN) == Some(libc::AF_UNIX)
        && option(fd, libc::SO_SNDBUF).is_some_and(|size| size as usize >= 4 * (HEAD + MOST))
}

fn option(fd: RawFd, name: libc::c_int) -> Option<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut size = std::mem::size_of::<libc::c_int>() as libc::socklen_t;
    let place = (&mut value as *mut libc::c_int).cast();
    // SAFETY: room for an int.
    let asked = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, place, &mut size) };
    (asked == 0).then_some(value)
}

/// The length of the message of which these are the first bytes, if it is there whole.
fn whole(bytes: &[u8]) -> Option<usize> {
    let head: [u8; HEAD] = bytes.get(..HEAD)?.try_into().ok()?;
    let length = usize::try_from(i32::from_be_bytes(head)).ok()?;
    (HEAD + length <= bytes.len()).then_some(length)
}

#[pymethods]
impl Stream {
    #[new]
    fn new() -> Stream {
        Stream { credit: Credit::default(), room: UnsafeCell::new([0; HEAD + MOST]) }
    }

    fn send(&self, fd: RawFd, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        let data = Data::of(data)?;
        let data = data.bytes();
        if data.len() > MOST || !is_local(fd) {
            return Ok(false);
        }
        // SAFETY: we have the GIL.
        let room = unsafe { &mut *self.room.get() };
        room[..HEAD].copy_from_slice(&(data.len() as i32).to_be_bytes());
        room[HEAD..HEAD + data.len()].copy_from_slice(data);
        let length = HEAD + data.len();
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: so many bytes.
        Ok(unsafe { libc::send(fd, room.as_ptr().cast(), length, flags) == length as isize })
    }

    fn receive<'py>(&self, py: Python<'py>, fd: RawFd) -> Option<Bound<'py, PyBytes>> {
        // SAFETY: we have the GIL, and do not give it up before the last use.
        let room = unsafe { &mut *self.room.get() };
        let there = peek(fd, room)?;
        let length = whole(&room[..there])?;
        let bytes = new_bytes(py, &room[HEAD..HEAD + length])?;
        // SAFETY: room for all that was seen; it is there, and nobody else reads meanwhile.
        let got = unsafe { libc::recv(fd, room.as_mut_ptr().cast(), HEAD + length, libc::MSG_DONTWAIT) };
        (got == (HEAD + length) as isize).then_some(bytes)
    }

    fn spin(&self, py: Python<'_>, fd: RawFd) -> bool {
        let Some(heap) = family::own() else {
            return false;
        };
        gil::without(py, || heap.spin(&self.credit, &|| peek(fd, &mut [0]).is_some()))
    }
}
