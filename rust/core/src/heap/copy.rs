//! Large copies into the heap and out of it.
//!
//! Pages that nobody has used yet are written by the system, which then need not clear them before, nor
//! do so at a page fault each: that takes half the time.

use super::map::{Heap, HeapError};

/// Bytes around a place that the system maps with it, where it was not told otherwise.
const AROUND: usize = 64 << 10;
/// So many bytes are written by one system call: meanwhile nobody else gets pages of the heap.
const PIECE: usize = 1 << 20;

impl Heap {
    /// Copy `parts` to a block of the caller's whose pages are missing, and have all of them allotted.
    pub(super) fn fill_fresh(&self, offset: u64, capacity: u64, parts: &[&[u8]]) -> Result<(), HeapError> {
        let mut at = offset;
        for piece in parts.iter().flat_map(|part| part.chunks(PIECE)) {
            self.write_file(at, piece)?;
            at += piece.len() as u64;
        }
        self.allot(at, offset + capacity - at)?;
        // For the next time.
        self.touch(offset, at - offset);
        Ok(())
    }

    fn write_file(&self, offset: u64, data: &[u8]) -> Result<(), HeapError> {
        let mut done = 0;
        while done < data.len() {
            let rest = &data[done..];
            let at = (offset as usize + done) as libc::off_t;
            // SAFETY: our descriptor, and so many bytes of the caller's.
            let count = unsafe { libc::pwrite(self.fd(), rest.as_ptr().cast(), rest.len(), at) };
            done += Self::passed(count)?;
        }
        Ok(())
    }

    /// Bytes that a call has passed, of which at least one was asked for.
    fn passed(count: isize) -> Result<usize, HeapError> {
        match count {
            0 => Err(HeapError::Damaged),
            1.. => Ok(count as usize),
            _ if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => Ok(0),
            _ => Err(std::io::Error::last_os_error().into()),
        }
    }

    /// Copy `parts` to a block of the caller's, one behind the other.
    pub(super) fn write(&self, offset: u64, parts: &[&[u8]]) {
        self.touch(offset, parts.iter().map(|part| part.len() as u64).sum());
        let mut place = self.address(offset);
        for part in parts {
            // SAFETY: the caller made the block large enough for all; what is copied cannot overlap it.
            unsafe {
                place.copy_from_nonoverlapping(part.as_ptr(), part.len());
                place = place.add(part.len());
            }
        }
    }

    /// Read what the members share at `offset`, also where this process has mapped something of its own.
    pub(super) fn read_file(&self, offset: u64, place: &mut [u8]) -> Result<(), HeapError> {
        let mut done = 0;
        while done < place.len() {
            let rest = &mut place[done..];
            let at = (offset as usize + done) as libc::off_t;
            // SAFETY: our descriptor, and so many bytes of the caller's.
            let count = unsafe { libc::pread(self.fd(), rest.as_mut_ptr().cast(), rest.len(), at) };
            done += Self::passed(count)?;
        }
        Ok(())
    }

    /// Have the system map what this process has not seen yet: for a read it maps pages around as well,
    /// for a write each by itself, which takes four times as long as copying.
    fn touch(&self, at: u64, length: u64) {
        for at in (at..at + length).step_by(AROUND) {
            // SAFETY: a byte of the block.
            unsafe { self.address(at).read_volatile() };
        }
    }
}
