//! Faults that were mended and faults that are feared, to be put back by the simulation alone: it has to find each.
//!
//! Without the feature `known-faults`, which only the package of tests asks for, [`is_back`] is `false` and the compiler
//! leaves the branch out. What is built for the whole workspace at once has it, as the tests do, and no fault is back;
//! `tests/invariants.sh` checks that a function that is built by itself has not.

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownFault {
    /// What succeeded is finished without an end: the environment is killed at the deadline, and all comes again.
    FinishWithoutTime,
    /// The streak of refusals counts deliveries and not records: one bad record that comes again is a wrong set-up.
    StreakOfDeliveries,
    /// Whoever tells the service a label does not look whether a better one has come meanwhile.
    LabelRace,
    /// A decision that is found and not made gets no labels: whoever made it may have failed before that.
    LostCarry,
    /// The label of an event without a decision goes to the service whatever its rank.
    RankIgnored,
    /// Sequence numbers are compared as texts.
    SequenceAsText,
    /// A rejected record that could not be written counts as written.
    ParkFailureIgnored,
    /// Entries of `PutEvents` that failed count as sent.
    FailedEntriesForgotten,
    /// Keys that `BatchGetItem` leaves unprocessed count as absent.
    UnprocessedTakenForAbsent,
    /// A decision is put without the condition that there is none.
    UnconditionalPut,
}

#[cfg(feature = "known-faults")]
thread_local! {
    static BACK: std::cell::Cell<Option<KnownFault>> = const { std::cell::Cell::new(None) };
}

/// Puts a fault back on this thread, or mends it again.
#[cfg(feature = "known-faults")]
pub fn put_back(fault: Option<KnownFault>) {
    BACK.set(fault);
}

/// Whether the fault is put back on this thread.
#[cfg(feature = "known-faults")]
pub fn is_back(fault: KnownFault) -> bool {
    BACK.get() == Some(fault)
}

/// Whether the fault is put back: never.
#[cfg(not(feature = "known-faults"))]
pub const fn is_back(_: KnownFault) -> bool {
    false
}
