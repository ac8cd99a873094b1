//! Large copies into the heap and out of it.

use super::map::{Heap, HeapError};

/// Bytes around a place that the system maps with it, where it was not told otherwise.
const AROUND: usize = 64 << 10;

impl Heap {
    /// Copy `parts` to a block of the caller's, one behind the other.
    pub fn write(&self, offset: u64, parts: &[&[u8]]) {
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
            match count {
                0 => return Err(HeapError::Damaged),
                1.. => done += count as usize,
                _ if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => (),
                _ => return Err(std::io::Error::last_os_error().into()),
            }
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
