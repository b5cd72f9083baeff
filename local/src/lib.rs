//! The laptop engine: runs the unmodified installation on an AWS emulator, and adds only what it lacks.
//!
//! A supervisor process owns the emulator, the container engine, the build worker, the event relay and
//! the git remote; `Engine` starts, inspects and stops it. Everything lives under `<project>/.pushway`
//! and listens on loopback only. Nothing here may be needed by a function: the binaries, the state
//! machine and the template are the ones that AWS gets.

pub mod codebuild;
pub mod debian;
pub mod deploy;
pub mod docker;
pub mod ecs;
pub mod emulator;
pub mod engine;
pub mod git;
pub mod layout;
mod log;
pub mod loopback;
mod process;
pub mod relay;
pub mod supervisor;
pub mod tools;

pub use emulator::{Answer, AwsError, Emulator};
pub use engine::{Endpoints, Engine, Options, Running, Status};
pub use layout::Layout;
pub use process::ProcessId;
pub use supervisor::supervise;

/// Takes one line about what a slow step is doing now, for a human to read.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);
