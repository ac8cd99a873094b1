//! Records: what lies in a ring's chunks.
//!
//! `length: u32, flags: u32, tag: u64`, then the bytes, padded to eight, then the offsets of the
//! objects that the message carries. A record whose bytes lie in a block of their own has that
//! block's offset and length in the bytes' place. A link has the next chunk in the tag's place.

/// Bytes before a record's payload, and of a link.
pub const RECORD: u64 = 16;
/// The bytes lie in a block of their own.
pub const BIG: u32 = 1;
/// The ring goes on in another chunk.
pub const LINK: u32 = 2;
const CARRY_SHIFT: u32 = 8;
/// More objects than this fit no message.
pub const MAX_CARRY: usize = (1 << (32 - CARRY_SHIFT)) - 1;

/// A record's first bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Bytes of payload that lie here.
    pub length: u32,
    flags: u32,
    /// The message's tag, or a link's chunk.
    pub tag: u64,
}

impl Head {
    /// Of a message.
    pub fn new(length: usize, flags: u32, carry: usize, tag: u64) -> Head {
        Head { length: length as u32, flags: flags | (carry as u32) << CARRY_SHIFT, tag }
    }

    /// Of a link.
    pub fn link(chunk: u64) -> Head {
        Head { length: 0, flags: LINK, tag: chunk }
    }

    /// Is this flag there?
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// How many objects it carries.
    pub fn carry(&self) -> usize {
        (self.flags >> CARRY_SHIFT) as usize
    }

    /// Bytes of the whole record.
    pub fn size(&self) -> u64 {
        size(self.length as usize, self.carry())
    }

    /// Where the carried objects' offsets begin, behind the record's beginning.
    pub fn carry_at(&self) -> u64 {
        RECORD + padded(self.length as usize)
    }
}

/// Bytes of a record.
pub fn size(length: usize, carry: usize) -> u64 {
    RECORD + padded(length) + 8 * carry as u64
}

fn padded(length: usize) -> u64 {
    (length as u64 + 7) & !7
}
