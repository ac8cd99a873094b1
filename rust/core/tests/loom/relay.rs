use crate::kit::model;
use loom::sync::{Arc, Mutex};
use loom::thread;
use procession_core::relay::{ROOM, Relay};
use std::collections::VecDeque;

/// A relay and the stream beside it.
#[derive(Default)]
struct Wire {
    relay: Relay,
    stream: Mutex<VecDeque<u8>>,
}

impl Wire {
    fn send(&self, message: u8) {
        if !self.relay.give(|| 1, &[&[message]]) {
            self.relay.count_sent();
            self.stream.lock().unwrap().push_back(message);
        }
    }

    fn read(&self) -> Option<u8> {
        let message = self.stream.lock().unwrap().pop_front();
        message.inspect(|_| self.relay.count_received())
    }

    /// As a receiver does that looks out for two looks, and would sleep then.
    fn receive(&self) -> Option<u8> {
        if self.relay.is_behind() {
            return self.read();
        }
        let lookout = self.relay.announce(2)?;
        let mut place = [0; ROOM];
        let _ = (0..2).any(|_| {
            thread::yield_now();
            lookout.has_come()
        });
        lookout.end(&mut place).map(|length| {
            assert_eq!(length, 1);
            place[0]
        })
    }
}

#[test]
fn what_one_sends_comes_whole_and_in_order() {
    model(|| {
        let wire = Arc::new(Wire::default());
        let sender = {
            let wire = wire.clone();
            thread::spawn(move || (1..4).for_each(|message| wire.send(message)))
        };
        let mut got: Vec<_> = (0..2).filter_map(|_| wire.receive()).collect();
        sender.join().unwrap();
        got.extend(std::iter::from_fn(|| wire.read()));
        assert_eq!(got, [1, 2, 3]);
    });
}

#[test]
fn two_who_send_and_one_after_the_other() {
    model(|| {
        let wire = Arc::new(Wire::default());
        let sender = {
            let wire = wire.clone();
            // Its own second comes after its first, whatever the other does.
            thread::spawn(move || [1, 2].into_iter().for_each(|message| wire.send(message)))
        };
        let other = {
            let wire = wire.clone();
            thread::spawn(move || wire.send(9))
        };
        let mut got: Vec<_> = (0..2).filter_map(|_| wire.receive()).collect();
        sender.join().unwrap();
        other.join().unwrap();
        got.extend(std::iter::from_fn(|| wire.read()));
        assert_eq!(got.iter().filter(|&&message| message != 9).collect::<Vec<_>>(), [&1, &2]);
        assert_eq!(got.len(), 3);
    });
}

#[test]
fn two_who_receive_get_each_message_once() {
    model(|| {
        let wire = Arc::new(Wire::default());
        let receiver = {
            let wire = wire.clone();
            thread::spawn(move || wire.receive())
        };
        let sender = {
            let wire = wire.clone();
            thread::spawn(move || [1, 2].into_iter().for_each(|message| wire.send(message)))
        };
        let mut got: Vec<_> = wire.receive().into_iter().collect();
        sender.join().unwrap();
        got.extend(receiver.join().unwrap());
        got.extend(std::iter::from_fn(|| wire.read()));
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn a_closed_one_gives_nothing() {
    model(|| {
        let wire = Arc::new(Wire::default());
        let receiver = {
            let wire = wire.clone();
            thread::spawn(move || wire.receive())
        };
        wire.relay.close();
        // Who does not count.
        wire.stream.lock().unwrap().push_back(1);
        wire.send(2);
        let mut got: Vec<_> = receiver.join().unwrap().into_iter().collect();
        got.extend(std::iter::from_fn(|| wire.read()));
        assert_eq!(got, [1, 2]);
    });
}
