use crate::kit::model;
use loom::sync::Arc;
use loom::thread;
use procession_core::event::Event;
use procession_core::wait::Patience;

#[test]
fn setting_wakes_all_who_wait() {
    model(|| {
        let event = Arc::new(Event::default());
        let waiters: Vec<_> = [(), ()]
            .map(|()| {
                let event = event.clone();
                thread::spawn(move || event.wait(&mut Patience::endless()).unwrap())
            })
            .into();
        event.set();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert!(event.is_set());
    });
}

#[test]
fn a_pulse_wakes_who_waited_before_it() {
    model(|| {
        let event = Arc::new(Event::default());
        let seen = event.changes();
        let waiter = {
            let event = event.clone();
            thread::spawn(move || event.wait_since(seen, &mut Patience::endless()).unwrap())
        };
        event.set();
        event.clear();
        waiter.join().unwrap();
        assert!(!event.is_set());
    });
}

#[test]
fn two_who_set_at_once_change_it_once() {
    model(|| {
        let event = Arc::new(Event::default());
        let other = {
            let event = event.clone();
            thread::spawn(move || event.set())
        };
        event.set();
        other.join().unwrap();
        assert_eq!(event.changes(), 1);
    });
}
