//! The engine through Amazon's own client, over an embedded DynamoDB.

mod core_path;
mod definitions;
mod errors;
mod history;
mod lists;
mod pages;
mod predictions;
mod shared_tables;
mod wire;
mod world;
