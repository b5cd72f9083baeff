//! Every target on its seeds, as plain functions: what fuzzing begins with is sound, and still compiles.

use std::collections::BTreeSet;

use pushway_fuzz::{TARGETS, target};

#[test]
fn every_target_takes_its_seeds_and_their_first_mutations() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} begins with nothing", target.name);
        for seed in seeds {
            (target.run)(&seed);
            (target.run)(&seed[..seed.len() / 2]);
            // A changed byte here and there: quotes, brackets, digits and UTF-8 broken in the middle.
            for (step, byte) in [(7, b'"'), (11, 0xff), (13, b'9'), (17, b'\n')] {
                let mut seed = seed.clone();
                seed.iter_mut().skip(step).step_by(31 * step).for_each(|at| *at = byte);
                (target.run)(&seed);
            }
        }
    }
}

#[test]
fn every_target_has_a_name_of_its_own() {
    let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len());
    assert!(names.iter().all(|name| target(name).is_some_and(|found| found.name == *name)));
}
