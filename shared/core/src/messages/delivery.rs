//! What the measures of the DORA programme are, in our words, and how they are measured here.
//!
//! Sources: dora.dev, "DORA's software delivery performance metrics". docs/insights.md says the same at length.

use crate::insights::Definition;

/// Name, meaning, measurement.
const DEFINITIONS: [[&str; 3]; 4] = [
    [
        "Deployment frequency",
        "How often changes are brought to the people who use them, over a period.",
        "Runs whose new version was live in the environment: rolled out, checked, and well while it was watched. \
         Rollbacks by hand are no deployments.",
    ],
    [
        "Change lead time",
        "How long a change takes from being committed to version control until it runs where it is used.",
        "From the push until the version that holds it was live, for every push that a deployment brought: its own, and \
         those of the branch since the version before, each commit once, from its first push. A commit that waited to \
         be pushed is not seen.",
    ],
    [
        "Change fail rate",
        "The share of deployments that needed somebody to step in at once, such as by a rollback or a hotfix.",
        "Of the deployments that moved the environment, those that failed there, and those that a rollback by hand \
         undid. A hotfix is a push like any other, and is not recognised as one.",
    ],
    [
        "Failed deployment recovery time",
        "How long it takes to recover from a deployment that failed and needed somebody to step in at once.",
        "From the moment the failed deployment began to move the environment until a good version served again. Of \
         one that a rollback by hand undid, from when the rollback was asked for.",
    ],
];

/// The four measures.
pub(crate) fn definitions() -> Vec<Definition> {
    let definition = |[name, meaning, measured]: &[&str; 3]| Definition {
        name: (*name).to_owned(),
        meaning: (*meaning).to_owned(),
        measured: (*measured).to_owned(),
    };
    DEFINITIONS.iter().map(definition).collect()
}
