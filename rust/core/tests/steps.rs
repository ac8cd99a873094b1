//! Kill a process at every named step of the protocols; the others carry on.
//!
//! The names are read from the source, so that no step is left out; `ROUNDS` of the environment says
//! at how many passings of each a process is killed, `STEP` chooses one.

#[cfg(loom)]
fn main() {}

#[cfg(not(loom))]
mod kit;
#[cfg(not(loom))]
#[path = "steps/life.rs"]
mod life;
#[cfg(not(loom))]
#[path = "steps/things.rs"]
mod things;

#[cfg(not(loom))]
fn main() {
    rounds::run();
}

#[cfg(not(loom))]
mod rounds {
    use crate::kit::{Chance, fork, memory, reap, recover};
    use crate::life;
    use crate::things::Things;
    use procession_core::fault;
    use procession_core::heap::{Heap, family};
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;

    pub fn run() {
        let variable = |name: &str| std::env::var(name).ok();
        let rounds = variable("ROUNDS").and_then(|text| text.parse().ok()).unwrap_or(3);
        let seed = variable("SEED").and_then(|text| text.parse().ok()).unwrap_or(1);
        println!("steps: SEED={seed} ROUNDS={rounds}");
        let heap = family::found_apart().expect("no heap");
        drop(memory(&heap, 1));
        let mut names = BTreeSet::new();
        read_names(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut names);
        assert!(names.len() > 50, "the source was not found");
        names.retain(|name| variable("STEP").is_none_or(|step| step == *name));
        for name in &names {
            let passings = lived(&heap, name, 0);
            assert!(passings > 0, "step {name} is never passed: put it into tests/steps/life.rs");
            let mut chance = Chance::new(seed);
            let between = (2..rounds).map(|_| 1 + chance.below(passings as u64) as u32);
            let counts: BTreeSet<u32> = between.chain([1, passings]).collect();
            // Told before it is tried, so that one that hangs has a name.
            println!("steps: {name}, passings {counts:?} of {passings}");
            counts.into_iter().for_each(|count| {
                lived(&heap, name, count);
            });
        }
        println!("steps: {} steps, each survived", names.len());
    }

    fn read_names(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("no source") {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read_names(&path, names);
            } else {
                let source = std::fs::read_to_string(path).unwrap();
                let called = source.split("step(\"").skip(1).filter_map(|rest| rest.split_once("\")"));
                names.extend(called.map(|(name, _)| name.to_owned()));
            }
        }
    }

    /// Have a child live, and somebody die at that passing; gives how many there were.
    fn lived(heap: &Arc<Heap>, name: &str, count: u32) -> u32 {
        let before = heap.stats();
        // SAFETY: ends the process if something hangs; one thread, no handler.
        unsafe { libc::alarm(60) };
        let things = Things::new(heap);
        // Armed here first, so that the child counts where we can read it; not while we fork.
        fault::arm(name, 0);
        fault::disarm();
        let pid = fork(|| {
            fault::arm(name, count);
            life::live(&things);
        });
        let end = reap(pid);
        assert!(end == 0 || (count > 0 && end == -libc::SIGKILL), "the child ended with {end}");
        heap.bury(pid);
        things.check();
        drop(things);
        recover(heap, before);
        fault::passed()
    }
}
