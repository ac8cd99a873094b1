//! Many messages in one turn, and messages in parts, for the native rooms of pools.

use super::Ring;
use crate::carried;
use crate::gil;
use crate::taken::{Taken, no_memory};
use crate::waiting::{Limit, wait};
use procession_core::ring::{Message, Quick};
use pyo3::prelude::*;

/// How many messages are taken before others have a turn.
const TURN: usize = 256;

impl Ring {
    /// One message of these parts, waiting as long as that takes.
    pub(crate) fn put_whole(&self, py: Python<'_>, parts: &[&[u8]], tag: u64) -> PyResult<()> {
        let core = self.core()?;
        if let Quick::Done(()) = core.put_parts_quick(parts, tag) {
            return Ok(());
        }
        let message = Message { data: &[], tag, carry: &[] };
        wait(py, Limit::Never, |patience| core.put_parts(parts, &message, patience)).map(drop)
    }

    /// What is there, at most `limit` messages, under one lock; and whether there may be more that
    /// only the slow way gets.
    fn get_turn<'py>(&self, py: Python<'py>, limit: usize, taken: &mut Vec<Taken<'py>>) -> PyResult<bool> {
        let mut rests = Vec::new();
        let end = match self.core.getter_at_once() {
            Quick::Done(mut getter) => loop {
                if taken.len() == limit {
                    break Ok(false);
                }
                match getter.take_quick(None, |found| Taken::look(py, found)) {
                    Quick::Done((Some(message), rest)) => {
                        taken.push(message);
                        rests.extend((!rest.is_empty()).then_some(rest));
                    }
                    Quick::Done((None, _)) => break Err(no_memory()),
                    Quick::NotNow => break Ok(false),
                    Quick::Busy => break Ok(true),
                }
            },
            Quick::NotNow => Ok(false),
            Quick::Busy => Ok(true),
        };
        if !rests.is_empty() {
            gil::without(py, || drop(rests));
        }
        // What was taken is given; the next call tells of the memory.
        if taken.is_empty() { end } else { Ok(end.unwrap_or(false)) }
    }

    /// Give `keep` what is there, at most `limit` messages, waiting with `patience` for the first.
    pub(crate) fn take_many<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
        mut patience: Limit,
        mut keep: impl FnMut(Taken<'py>) -> PyResult<()>,
    ) -> PyResult<()> {
        let alarms = self.lane()?.alarms();
        carried::forget(self.key);
        let mut count = 0;
        while count < limit {
            let mut taken = Vec::new();
            let more = self.get_turn(py, (limit - count).min(TURN), &mut taken)?;
            let none = taken.is_empty();
            for message in taken {
                keep(message)?;
                (count, patience) = (count + 1, Limit::Now);
            }
            if !none && !more {
                continue;
            }
            if !more && patience == Limit::Now {
                break;
            }
            match self.get_slowly(py, None, alarms, patience)? {
                Some(message) => keep(message)?,
                None => break,
            }
            (count, patience) = (count + 1, Limit::Now);
        }
        Ok(())
    }
}
