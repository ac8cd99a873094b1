//! Each primitive under the loom model checker, which tries every order of a few threads' steps.
//!
//! A wake-up that is lost shows as a deadlock, since sleepers of the model sleep until they are
//! woken. A process that dies is a thread that stops in the middle and says so; from then on time
//! passes, and sleepers look around.
//!
//! Run by `make test`, or: `RUSTFLAGS="--cfg loom" cargo test --release -p procession-core --test loom
//! --target-dir target/loom`.

#![cfg(loom)]

#[path = "loom/circle.rs"]
mod circle;
#[path = "loom/claims.rs"]
mod claims;
#[path = "loom/event.rs"]
mod event;
#[path = "loom/kit.rs"]
mod kit;
#[path = "loom/lane.rs"]
mod lane;
#[path = "loom/mutex.rs"]
mod mutex;
#[path = "loom/relay.rs"]
mod relay;
#[path = "loom/semlock.rs"]
mod semlock;
#[path = "loom/waitlist.rs"]
mod waitlist;
