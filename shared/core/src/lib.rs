//! The domain of Pushway: ids, facts, the run, the plan, the contract between states, the ports.
//!
//! Everything here is pure or generic over a port: this crate never names AWS, tokio, a clock or an
//! environment variable, so that each decision can be tested without any of them. Handlers load, call
//! one function of this crate, store and act.

pub mod access;
pub mod api;
pub mod approval;
pub mod audit;
pub mod badge;
pub mod branch;
pub mod check_builds;
pub mod checkpoint;
pub mod checks;
pub mod claim;
pub mod clone_url;
pub mod commits;
pub mod contract;
pub mod cursor;
pub mod definition;
pub mod definition_file;
pub mod delivery;
pub mod deployments;
pub mod environment;
pub mod explain;
pub mod fact;
pub mod failure_card;
pub mod figures;
pub mod forge;
pub mod forge_pages;
pub mod gate;
pub mod ids;
pub mod image_file;
pub mod insights;
pub mod intake;
pub mod issuer;
pub mod jwt;
pub mod keys;
pub mod ledger;
pub mod listing;
pub mod messages;
pub mod notice;
pub mod one_off;
pub mod order;
pub mod pipeline_file;
pub mod plan;
pub mod ports;
pub mod preflight;
pub mod prices;
pub mod protection;
pub mod reconcile;
pub mod rollout;
pub mod run;
pub mod scheduled;
pub mod service_deployment;
pub mod session;
pub mod settle;
pub mod signature;
pub mod source;
pub mod steering;
pub mod strategy;
pub mod subscription;
pub mod summary;
pub mod test_answers;
pub mod test_case;
pub mod test_history;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod usage;
pub mod views;
pub mod wait;
