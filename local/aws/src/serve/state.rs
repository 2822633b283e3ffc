//! What the routes of the server share.

use std::sync::Arc;

use axum::extract::State;

use super::limits::BodyReader;
use super::{ServeOptions, Services};

/// The state of the server that every request needs.
pub(super) struct ServerState {
    pub(super) services: Services,
    pub(super) front: ServeOptions,
    pub(super) reader: BodyReader,
}

pub(super) type SharedState = State<Arc<ServerState>>;
