//! What stands behind the pickle in a pool's messages, so that `pickle.loads` takes them as they are.
//!
//! Little-endian and without gaps; `_flow/wire.py` has the same in Python.

/// How items are given to the function, as in `_flow/task.py`.
pub mod mode {
    pub const EACH: u8 = 0;
    pub const STAR: u8 = 1;
    pub const APPLY: u8 = 2;
}

/// Kinds of answers, as in `_flow/channel.py` and `_flow/outcome.py`.
pub mod kind {
    /// Scalars, in a list.
    pub const MANY: u8 = 0;
    /// About nothing.
    pub const NUDGE: u8 = 4;
    /// One scalar.
    pub const ONE: u8 = 5;
    /// A list that was opened when it was received.
    pub const OPEN: u8 = 7;
}

/// The end of a message to a worker, behind the pickle of its items and the text of its function.
pub struct TaskEnd {
    /// Number of the message.
    pub mid: u64,
    /// Which function: see `_flow/functions.py`.
    pub key: i64,
    /// Bytes of the function's text.
    pub text: usize,
    /// After so many items results are wanted; 0: all at the end.
    pub prompt: usize,
    /// How items are given to the function.
    pub mode: u8,
    /// The pickle holds more than the items: for Python to read.
    pub odd: bool,
}

impl TaskEnd {
    /// Length in bytes.
    pub const SIZE: usize = 34;

    /// As it is written.
    pub fn bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.mid.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.key.to_le_bytes());
        bytes[16..24].copy_from_slice(&(self.text as u64).to_le_bytes());
        bytes[24..32].copy_from_slice(&(self.prompt as u64).to_le_bytes());
        bytes[32] = self.mode;
        bytes[33] = self.odd.into();
        bytes
    }

    /// Of a message; None if it is too short for one.
    pub fn of(data: &[u8]) -> Option<(TaskEnd, &[u8])> {
        let (rest, end) = data.split_at_checked(data.len().checked_sub(Self::SIZE)?)?;
        let found = TaskEnd {
            mid: u64::from_le_bytes(end[..8].try_into().ok()?),
            key: i64::from_le_bytes(end[8..16].try_into().ok()?),
            text: u64::from_le_bytes(end[16..24].try_into().ok()?) as usize,
            prompt: u64::from_le_bytes(end[24..32].try_into().ok()?) as usize,
            mode: end[32],
            odd: end[33] != 0,
        };
        let text = &rest[rest.len().checked_sub(found.text)?..];
        Some((found, text))
    }
}

/// The end of an answer, behind its pickle.
pub struct AnswerEnd {
    /// Number of the message; 0 for notes.
    pub mid: u64,
    /// Number of the first item that is answered.
    pub first: u32,
    /// How many are.
    pub count: u32,
    /// What the pickle holds: see `_flow/outcome.py`.
    pub kind: u8,
}

impl AnswerEnd {
    /// Length in bytes.
    pub const SIZE: usize = 17;

    /// Of an answer; None if it is too short for one.
    pub fn of(data: &[u8]) -> Option<(AnswerEnd, &[u8])> {
        let (pickle, end) = data.split_at_checked(data.len().checked_sub(Self::SIZE)?)?;
        let found = AnswerEnd {
            mid: u64::from_le_bytes(end[..8].try_into().ok()?),
            first: u32::from_le_bytes(end[8..12].try_into().ok()?),
            count: u32::from_le_bytes(end[12..16].try_into().ok()?),
            kind: end[16],
        };
        Some((found, pickle))
    }

    /// As it is written.
    pub fn bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.mid.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.first.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16] = self.kind;
        bytes
    }
}
