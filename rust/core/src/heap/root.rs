//! The heap's first page.

use crate::mutex::Mutex;
use crate::sync::{AtomicU32, AtomicU64};

pub(super) const MAGIC: u64 = 0x7072_6f63_6573_0001;
/// Changes whenever anything that two builds could understand differently changes.
pub(super) const LAYOUT: u64 = 5;
/// Free lists: four a power of two.
pub const CLASSES: usize = 160;

/// What lies in it.
#[repr(C)]
pub struct Root {
    pub(super) magic: u64,
    pub(super) layout: u64,
    pub(super) uid: u64,
    pub(super) size: u64,
    /// Guards everything below, and all block headers.
    pub lock: Mutex,
    /// Where the search for a seat goes on.
    pub seat: AtomicU32,
    /// Seats below this number have been used.
    pub seats: AtomicU32,
    /// Where the search for dead members that nobody looks after goes on.
    pub stroll: AtomicU32,
    /// Members that spin just now.
    pub spinning: AtomicU32,
    /// Blocks lie below this offset.
    pub top: AtomicU64,
    /// Pages below this offset are allotted.
    pub allotted: AtomicU64,
    /// Serial number of the newest block.
    pub serial: AtomicU64,
    /// Bytes of free blocks whose pages are kept.
    pub idle: AtomicU64,
    /// First free block of each class.
    pub free: [AtomicU64; CLASSES],
}
