//! How times are written.

/// How the times of a field are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeShape {
    /// The forms; none if all are read without one.
    pub(crate) forms: Vec<&'static str>,
    /// Whether another order of day and month fits as well.
    pub(crate) is_ambiguous: bool,
    /// Whether some time has no zone.
    pub(crate) lacks_zone: bool,
}
