//! The dashboard: pure functions from data to HTML.
//!
//! A page is a struct of plain data beside its template; whoever serves it fills it, renders it whole
//! (`render`) or only what changes (`as_main`), and sends it with [`headers`]. Nothing here reads, waits or
//! looks at a clock: the time comes with the [`Frame`]. Every text from outside goes through the templates'
//! escaping; what is written without it (`parts`) is made of numbers and words of this crate alone.

mod assets;
mod cases;
mod frame;
mod headers;
mod ledger;
pub mod links;
mod log;
mod messages;
mod pages;
mod parts;
mod picture;
mod time;

pub use askama::Template;
pub use assets::{Asset, asset};
pub use frame::{Frame, Section};
pub use headers::{ASSET_CACHE, headers};
pub use pages::approvals::{ApprovalPage, ApprovalsPage, Asked, Waiting};
pub use pages::commit::CommitPage;
pub use pages::environment::{EnvironmentPage, RollbackPage};
pub use pages::insights::{Bar, Figure, InsightsPage};
pub use pages::job_log::JobLogPage;
pub use pages::login::{Issuer, LoginPage, ProblemPage};
pub use pages::overview::{OverviewPage, PipelineLine, RunFilter};
pub use pages::run::RunPage;
