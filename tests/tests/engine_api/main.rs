//! The engine through Amazon's own client, over an embedded DynamoDB.

mod core_path;
mod world;
