//! The core of procession, without Python: memory that one process family shares, and the words
//! in it that both sides touch.
//!
//! Reading order: [`member`] (who is alive), [`mutex`] (a lock whose dead holder is noticed),
//! [`heap`] (blocks, objects, and what happens to those of the dead), then the primitives
//! [`semlock`] (and [`circle`], where its waiters tell what they wait for), [`semaphore`], [`event`],
//! [`waitlist`], [`relay`], and [`ring`] over [`lane`] and [`claims`].
//!
//! Two rules hold everywhere:
//! - *A commit is one store.* Each structure is consistent after every instruction, so a process
//!   may be killed anywhere; what it had begun and not committed did not happen.
//! - *No wait without a look.* Every sleep is cut into slices (see [`wait`]); at the end of one the
//!   sleeper looks again whether what it waits for came, and whether who it waits for is dead. A
//!   wake-up lost with its killed sender thus costs a slice, never a hang.

#![warn(missing_docs)]

pub mod circle;
pub mod claims;
pub mod event;
pub mod fault;
pub mod futex;
#[cfg(not(loom))]
pub mod heap;
pub mod lane;
#[cfg(not(loom))]
pub mod member;
pub mod mutex;
#[cfg(not(loom))]
pub mod process;
pub mod relay;
#[cfg(not(loom))]
pub mod ring;
pub mod semaphore;
pub mod semlock;
pub mod sync;
pub mod wait;
pub mod waitlist;
