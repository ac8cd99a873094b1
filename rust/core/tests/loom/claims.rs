use crate::kit::{ALL_LIVE, Dead, model};
use loom::sync::Arc;
use loom::thread;
use procession_core::claims::{Claim, Note, Place, Progress};
use procession_core::lane::{Lane, Spot};
use procession_core::wait::Patience;

const PLACE: Place = Place { table: 64, serial: 7, claim: 128 };

struct Ring {
    lane: Lane,
    note: Note,
    claim: Claim,
}

impl Ring {
    /// The first steps of a taking, as [`Claim::take`] does them.
    fn take_some(&self, steps: u32) {
        let gets = &self.lane.gets;
        gets.lock.lock(1, ALL_LIVE, &mut Patience::endless()).unwrap();
        let all: [&dyn Fn(); 5] = [
            &|| self.note.begin(PLACE),
            &|| self.claim.write(gets, 42),
            &|| gets.commit(Spot::default()),
            &|| self.note.end(),
            &|| assert!(gets.lock.unlock()),
        ];
        all.iter().take(steps as usize).for_each(|step| step());
    }

    fn settle(&self, dead: &Dead) {
        let gets = &self.lane.gets;
        gets.lock.lock(2, &|id| dead.is_alive(id), &mut Patience::endless()).unwrap();
        if let Some(place) = self.note.read() {
            assert_eq!(place, PLACE);
            self.claim.settle(gets);
        }
        self.note.end();
        gets.lock.unlock();
    }
}

#[test]
fn after_a_death_at_any_step_a_settled_claim_is_exact() {
    for steps in 0..=5 {
        model(move || {
            let ring = Arc::new(Ring {
                lane: Lane::new(Spot::default(), Spot::default(), 0),
                note: Note::default(),
                claim: Claim::default(),
            });
            ring.lane.puts.commit(Spot::default());
            let dead = Arc::new(Dead::default());
            let killed = {
                let (ring, dead) = (ring.clone(), dead.clone());
                thread::spawn(move || {
                    ring.take_some(steps);
                    dead.die(1);
                })
            };
            ring.settle(&dead);
            killed.join().unwrap();
            // It may have begun only after that.
            ring.settle(&dead);
            let taken = ring.lane.is_empty();
            assert_eq!(taken, steps >= 3);
            assert_eq!(ring.claim.read(), taken.then_some((42, Progress::default())));
        });
    }
}

#[test]
fn an_item_is_either_begun_or_cut_off() {
    model(|| {
        let claim = Arc::new(Claim::default());
        let lane = Lane::new(Spot::default(), Spot::default(), 0);
        claim.write(&lane.gets, 42);
        let worker = {
            let claim = claim.clone();
            thread::spawn(move || (0..3).take_while(|&begun| claim.begin(begun, 3)).count() as u64)
        };
        let first = claim.cut(42, 1).map_or(3, |(first, end)| {
            assert_eq!(end, 3);
            first
        });
        assert_eq!(worker.join().unwrap(), first);
    });
}
