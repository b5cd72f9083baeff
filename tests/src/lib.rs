//! Helpers of the tests that look at Pushway as a whole.

pub mod browser;
pub mod forges;
pub mod issuer;
pub mod repository;
pub mod served;
pub mod sim;
