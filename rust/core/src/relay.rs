//! A message that goes from hand to hand, beside the stream of bytes that it would else go by.
//!
//! A receiver that finds its stream empty, and looks out for a moment before it sleeps, announces
//! itself here; a sender that sees it gives it the message. No message ever lies here but for a receiver
//! that takes it: where nobody looks out, all goes by the stream, so its descriptor is readable exactly
//! while a message waits.
//!
//! Why it is right:
//! - *Order.* Messages are counted before they go into the stream and after they have come out.
//!   One is given by hand only where both counts are the same: what was sent before it has been
//!   received. Who uses the descriptor itself does not count, so the relay is closed before anybody gets to know it.
//! - *Nothing is lost.* A receiver takes its announcement back, or finds that a message is there: both
//!   are a compare-exchange of the word that the announcement is in. Only who announced itself ends that.
//! - *Death.* An announcement holds until the time that it names, so nothing is given to who was killed
//!   longer ago than that. Whoever is killed in the middle leaves a word that nobody changes any more,
//!   a lock that nobody takes, or counts that differ: from then on all goes by the stream.

use crate::fault::step;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use std::cell::UnsafeCell;

/// Bytes of the longest message.
pub const ROOM: usize = 432;
/// The word of a relay that nobody looks out at.
const IDLE: u64 = 0;
/// The word of one in which a message lies.
const FULL: u64 = 1;
/// The bit of `sent` by which it differs from `received` for ever.
const CLOSED: u64 = 1 << 63;

/// One direction of a stream; all zeroes is an unused one.
#[repr(C, align(64))]
pub struct Relay {
    /// [`IDLE`], [`FULL`], or until when somebody looks out.
    word: AtomicU64,
    /// The lock of those who give.
    giving: AtomicU32,
    length: UnsafeCell<u32>,
    bytes: UnsafeCell<[u8; ROOM]>,
    sent: AtomicU64,
    received: AtomicU64,
}

// SAFETY: the message is written under the lock of those who give, while it is nobody's, and read by
// the one who announced itself.
unsafe impl Sync for Relay {}
// SAFETY: plain memory.
unsafe impl Send for Relay {}

impl Default for Relay {
    fn default() -> Self {
        Relay {
            word: AtomicU64::new(IDLE),
            giving: AtomicU32::new(0),
            length: UnsafeCell::new(0),
            bytes: UnsafeCell::new([0; ROOM]),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        }
    }
}

impl Relay {
    /// May something lie in the stream, or be on its way into it?
    #[inline]
    pub fn is_behind(&self) -> bool {
        // In this order: what was sent meanwhile makes them differ.
        let received = self.received.load(Ordering::Acquire);
        received != self.sent.load(Ordering::Acquire)
    }

    /// A message is about to go into the stream.
    pub fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::SeqCst);
    }

    /// Nothing of it has.
    pub fn count_unsent(&self) {
        self.sent.fetch_sub(1, Ordering::SeqCst);
    }

    /// A message has come out of the stream.
    pub fn count_received(&self) {
        self.received.fetch_add(1, Ordering::SeqCst);
    }

    /// From now on everything goes by the stream, which somebody uses who does not count.
    pub fn close(&self) {
        self.sent.fetch_or(CLOSED, Ordering::SeqCst);
    }

    /// Does somebody look out, or did it until lately?
    #[inline]
    pub fn is_looked_at(&self) -> bool {
        self.word.load(Ordering::Relaxed) > FULL
    }

    /// Give a message, in parts, to who looks out at time `now`; false if there is nobody, or it is
    /// longer than [`ROOM`], or something goes before it.
    #[inline]
    pub fn give(&self, now: impl FnOnce() -> u64, parts: &[&[u8]]) -> bool {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        if !self.is_looked_at() || length > ROOM {
            return false;
        }
        // Who finds another at it has no need to come after it.
        if self.giving.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        step("relay.giving");
        // Looked at again: the other may have given its message meanwhile.
        let seen = self.word.load(Ordering::Acquire);
        let given = seen > FULL && !self.is_behind() && now() < seen && {
            self.write(length, parts);
            self.word.compare_exchange(seen, FULL, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        step("relay.given");
        self.giving.store(0, Ordering::Release);
        given
    }

    fn write(&self, length: usize, parts: &[&[u8]]) {
        // SAFETY: the lock is ours, and nobody reads what no word tells of.
        let mut place = unsafe {
            *self.length.get() = length as u32;
            &mut *self.bytes.get()
        }
        .as_mut_slice();
        for part in parts {
            let (here, rest) = place.split_at_mut(part.len());
            here.copy_from_slice(part);
            place = rest;
        }
    }

    /// Say that somebody looks out until then, a time above 1; None where another does.
    #[inline]
    pub fn announce(&self, until: u64) -> Option<Lookout<'_>> {
        let announced = self.word.compare_exchange(IDLE, until, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        step("relay.announced");
        announced.then_some(Lookout { relay: self, until })
    }
}

/// Somebody who looks out.
#[must_use = "who announced itself must take that back"]
pub struct Lookout<'a> {
    relay: &'a Relay,
    until: u64,
}

impl Lookout<'_> {
    /// Has a message been given?
    #[inline]
    pub fn has_come(&self) -> bool {
        self.relay.word.load(Ordering::Relaxed) == FULL
    }

    /// Look out no longer; gives the length of the message, now at the beginning of `place`, if one was
    /// given.
    #[inline]
    pub fn end(self, place: &mut [u8; ROOM]) -> Option<usize> {
        let relay = self.relay;
        if relay.word.compare_exchange(self.until, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return None;
        }
        // SAFETY: it is for us, and nobody writes before the word is idle, and somebody looks out, again.
        let length = unsafe {
            let length = (*relay.length.get() as usize).min(ROOM);
            place[..length].copy_from_slice(&(&*relay.bytes.get())[..length]);
            length
        };
        step("relay.taken");
        relay.word.store(IDLE, Ordering::Release);
        Some(length)
    }
}
