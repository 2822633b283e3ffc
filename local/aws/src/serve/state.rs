//! What the routes of the server share.

use std::sync::Arc;

use axum::extract::State;

use super::limits::Reader;
use super::{Front, Services};

/// The state of the server that every request needs.
pub(super) struct Server {
    pub(super) services: Services,
    pub(super) front: Front,
    pub(super) reader: Reader,
}

pub(super) type Shared = State<Arc<Server>>;
