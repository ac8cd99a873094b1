//! The family's heap: one memfd, mapped by every member, in which everything has an offset.
//!
//! - [`map`]: the mapping, and pages that are allotted before anybody touches them.
//! - [`root`]: what stands at its beginning.
//! - [`blocks`]: pieces of it, recycled by size, each with its owner.
//! - [`apart`]: objects whose memory one process has for itself.
//! - `copy`: large copies.
//! - [`handles`]: objects, which several members hold and which go with the last of them.
//! - [`collect`]: what the dead leave is taken back.
//! - [`spin`]: waiting for a moment without sleeping.
//! - `watch`: where waiters at locks tell what they wait for.
//! - [`family`]: the heaps that this process has joined, and what happens to them at a fork.

pub mod apart;
pub mod blocks;
pub mod collect;
mod copy;
pub mod family;
pub mod handles;
mod local;
pub mod map;
pub mod root;
pub mod spin;
mod watch;

pub use blocks::{BlockKind, Header};
pub use handles::{Handle, Held};
pub use map::{Heap, HeapError};
pub use spin::Credit;
