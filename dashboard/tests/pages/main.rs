//! The pages, looked at as browsers, readers and attackers do: parsed, not searched for strings.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and helpers are part of it")]

mod dom;
mod inert;
mod outlines;
mod rules;
mod samples;
