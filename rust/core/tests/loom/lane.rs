use crate::kit::{ALL_LIVE, Dead, model};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use procession_core::lane::{Lane, Spot};
use procession_core::mutex::Held;
use procession_core::wait::Patience;

/// Messages are numbers in a row of places; a lane says in which order.
struct Road {
    lane: Lane,
    places: [UnsafeCell<u32>; 4],
}

// SAFETY: a place is written before the commit that publishes it and read after; loom checks that.
unsafe impl Sync for Road {}
// SAFETY: as above.
unsafe impl Send for Road {}

impl Road {
    fn new(limit: u32) -> Arc<Road> {
        let lane = Lane::new(Spot::default(), Spot::default(), limit);
        Arc::new(Road { lane, places: std::array::from_fn(|_| UnsafeCell::new(0)) })
    }

    fn put(&self, me: u32, value: u32) {
        assert!(self.put_unless_shut(me, value));
    }

    fn put_unless_shut(&self, me: u32, value: u32) -> bool {
        let mut patience = Patience::endless();
        loop {
            self.lane.puts.lock.lock(me, ALL_LIVE, &mut patience).unwrap();
            let room = self.lane.space() > 0;
            if room {
                self.write(value);
                let spot = self.lane.puts.spot();
                self.lane.puts.commit(Spot { at: spot.at + 1, ..spot });
            }
            self.lane.puts.lock.unlock();
            if room {
                self.lane.news.ring(1);
                return true;
            }
            if self.lane.is_shut() {
                return false;
            }
            self.lane.wait_room(&mut patience).unwrap();
        }
    }

    fn shut(&self, me: u32) {
        self.lane.puts.lock.lock(me, ALL_LIVE, &mut Patience::endless()).unwrap();
        self.lane.shut();
        self.lane.puts.lock.unlock();
    }

    fn write(&self, value: u32) {
        let place = &self.places[self.lane.puts.spot().at as usize];
        // SAFETY: see `Road`.
        place.with_mut(|place| unsafe { *place = value });
    }

    fn get(&self, me: u32) -> u32 {
        loop {
            self.lane.gets.lock.lock(me, ALL_LIVE, &mut Patience::endless()).unwrap();
            let spot = self.lane.gets.spot();
            let value = (!self.lane.is_empty()).then(|| {
                // SAFETY: see `Road`.
                let value = self.places[spot.at as usize].with(|place| unsafe { *place });
                self.lane.gets.commit(Spot { at: spot.at + 1, ..spot });
                value
            });
            self.lane.gets.lock.unlock();
            if let Some(value) = value {
                self.lane.got(1);
                return value;
            }
            self.lane.wait_news(0, false, &mut Patience::endless()).unwrap();
        }
    }
}

fn also(road: &Arc<Road>, work: impl FnOnce(&Road) + 'static) -> thread::JoinHandle<()> {
    let road = road.clone();
    thread::spawn(move || work(&road))
}

#[test]
fn messages_come_in_order_and_sleepers_wake() {
    model(|| {
        let road = Road::new(0);
        let putter = also(&road, |road| (1..=2).for_each(|value| road.put(1, value)));
        assert_eq!([road.get(2), road.get(2)], [1, 2]);
        putter.join().unwrap();
        assert!(road.lane.is_empty());
    });
}

#[test]
fn a_full_lane_wakes_its_putter() {
    model(|| {
        let road = Road::new(1);
        let putter = also(&road, |road| (1..=2).for_each(|value| road.put(1, value)));
        assert_eq!([road.get(2), road.get(2)], [1, 2]);
        putter.join().unwrap();
    });
}

#[test]
fn two_putters_put_each_their_own() {
    model(|| {
        let road = Road::new(0);
        let putters = [also(&road, |road| road.put(1, 1)), also(&road, |road| road.put(2, 2))];
        assert_eq!(road.get(3) + road.get(3), 3);
        putters.into_iter().for_each(|putter| putter.join().unwrap());
    });
}

#[test]
fn two_getters_wake_for_a_message_each() {
    model(|| {
        let road = Road::new(0);
        let getters = [2, 3].map(|me| also(&road, move |road| assert!(road.get(me) > 0)));
        road.put(1, 1);
        road.put(1, 2);
        getters.into_iter().for_each(|getter| getter.join().unwrap());
        assert!(road.lane.is_empty());
    });
}

#[test]
fn whoever_looks_out_misses_nothing_and_lets_nobody_sleep_on() {
    model(|| {
        let road = Road::new(0);
        let getters = [
            also(&road, |road| assert!(road.get(2) > 0)),
            also(&road, |road| {
                road.lane.news.looking_out(2, || !road.lane.is_empty());
                assert!(road.get(3) > 0);
            }),
        ];
        road.put(1, 1);
        road.put(1, 2);
        getters.into_iter().for_each(|getter| getter.join().unwrap());
        assert!(road.lane.is_empty());
    });
}

#[test]
fn a_watcher_does_not_take_the_getter_s_wake_up() {
    model(|| {
        let road = Road::new(0);
        let watcher = also(&road, |road| road.lane.wait_news(0, true, &mut Patience::endless()).unwrap());
        let getter = also(&road, |road| assert_eq!(road.get(2), 1));
        road.put(1, 1);
        getter.join().unwrap();
        // The watcher may have come when the message was gone.
        road.lane.alarm();
        watcher.join().unwrap();
    });
}

#[test]
fn who_waits_for_emptiness_hears_of_the_last_get() {
    model(|| {
        let road = Road::new(0);
        road.put(1, 1);
        let watcher = also(&road, |road| road.lane.wait_drained(0, &mut Patience::endless()).unwrap());
        assert_eq!(road.get(2), 1);
        watcher.join().unwrap();
    });
}

#[test]
fn who_joins_hears_of_the_last_task() {
    model(|| {
        let road = Road::new(0);
        road.put(1, 1);
        let joiner = also(&road, |road| road.lane.join(&mut Patience::endless()).unwrap());
        assert!(road.lane.task_done());
        assert!(!road.lane.task_done());
        joiner.join().unwrap();
    });
}

#[test]
fn an_alarm_wakes_who_waits_in_vain() {
    model(|| {
        let road = Road::new(0);
        let waiters = [
            also(&road, |road| road.lane.wait_news(0, false, &mut Patience::endless()).unwrap()),
            also(&road, |road| road.lane.wait_news(0, true, &mut Patience::endless()).unwrap()),
        ];
        road.lane.alarm();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}

#[test]
fn who_waits_for_room_in_a_lane_that_is_shut_is_let_go() {
    model(|| {
        let road = Road::new(1);
        road.put(1, 1);
        let putter = also(&road, |road| assert!(!road.put_unless_shut(1, 2)));
        road.shut(2);
        putter.join().unwrap();
        assert_eq!(road.get(2), 1);
        assert!(!road.put_unless_shut(2, 3));
        assert!(road.lane.is_empty());
    });
}

#[test]
fn who_waits_for_a_message_hears_that_none_will_come() {
    model(|| {
        let road = Road::new(0);
        let getter = also(&road, |road| {
            road.lane.wait_news(0, false, &mut Patience::endless()).unwrap();
            assert!(road.lane.is_shut());
        });
        road.shut(1);
        getter.join().unwrap();
    });
}

#[test]
fn a_put_that_stops_before_its_commit_did_not_happen() {
    model(|| {
        let (road, dead) = (Road::new(0), Arc::new(Dead::default()));
        let killed = {
            let dead = dead.clone();
            also(&road, move |road| {
                road.lane.puts.lock.lock(1, ALL_LIVE, &mut Patience::endless()).unwrap();
                road.write(99);
                dead.die(1);
            })
        };
        let putter = also(&road, move |road| {
            let held = road.lane.puts.lock.lock(2, &|id| dead.is_alive(id), &mut Patience::endless()).unwrap();
            assert!(matches!(held, Held::Clean | Held::Inherited(1)));
            road.write(1);
            road.lane.puts.commit(Spot { at: 1, with: 0 });
            road.lane.puts.lock.unlock();
            road.lane.news.ring(1);
        });
        killed.join().unwrap();
        assert_eq!(road.get(3), 1);
        putter.join().unwrap();
        assert!(road.lane.is_empty());
    });
}

#[test]
fn a_snapshot_shows_count_and_spot_of_one_moment() {
    model(|| {
        let road = Road::new(0);
        let putter = also(&road, |road| {
            for at in 1..=3 {
                road.lane.puts.lock.lock(1, ALL_LIVE, &mut Patience::endless()).unwrap();
                road.lane.puts.commit(Spot { at, with: 10 * at });
                road.lane.puts.lock.unlock();
            }
        });
        let (count, spot) = road.lane.puts.snapshot();
        assert_eq!(spot, Spot { at: count as u64, with: 10 * count as u64 });
        putter.join().unwrap();
    });
}
