//! The engine through Amazon's own client, with a database in this process.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod core_path;
mod definitions;
mod entity_history;
mod errors;
mod external_models;
mod fuzz;
mod history;
mod jobs;
mod key_history;
mod lists;
mod models;
mod orchestration;
mod pages;
mod predictions;
mod shared_tables;
mod training;
mod wire;
mod world;
