//! Whether a condition of a template holds.

use super::text_part::UnknownValue;

/// Whether a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    True,
    False,
    /// It depends on a value that only a deployment knows.
    Unknown(UnknownValue),
    /// It has a problem, which has been reported.
    Refused,
}

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }
}

impl Truth {
    pub(crate) fn negate(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            other => other,
        }
    }

    /// `And` of all, where `decisive` is `False`; `Or` where it is `True`.
    pub(crate) fn combine(truths: Vec<Self>, decisive: &Self) -> Self {
        let refused = |truth: &Self| *truth == Self::Refused;
        if truths.iter().any(refused) {
            return Self::Refused;
        }
        if truths.contains(decisive) {
            return decisive.clone();
        }
        let unknown = |truth: &Self| matches!(truth, Self::Unknown(_));
        let neutral = decisive.clone().negate();
        truths.into_iter().find(unknown).unwrap_or(neutral)
    }
}
