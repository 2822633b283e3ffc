//! Faults that were fixed, and faults that could be made. The simulation injects each of them and has to find it.
//!
//! Without the feature `known-faults`, which only the package of tests enables, [`is_injected`] is always `false` and the
//! compiler removes the branch. A build of the whole workspace enables the feature too, but no fault is injected unless a
//! test asks for it. `tests/invariants.sh` checks that a function built by itself does not have the feature.

/// A fault that can be injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownFault {
    /// Finishing has no time limit: the environment is killed at the deadline, and all records are delivered again.
    FinishWithoutTime,
    /// The streak of refusals counts deliveries instead of records: one bad record that is delivered several times looks
    /// like a wrong set-up.
    StreakOfDeliveries,
    /// After a label was sent to the service, nobody checks whether another has become current meanwhile.
    LabelRace,
    /// Labels are not applied to a decision that existed already, although the attempt that made it may have failed
    /// before applying them.
    LostCarry,
    /// The label of an event without a decision is sent to the service whatever its rank.
    RankIgnored,
    /// Sequence numbers are compared as text.
    SequenceAsText,
    /// A rejected record that could not be parked counts as parked.
    ParkFailureIgnored,
    /// Failed entries of `PutEvents` count as sent.
    FailedEntriesForgotten,
    /// Keys that `BatchGetItem` leaves unprocessed count as absent.
    UnprocessedTakenForAbsent,
    /// A decision is written without the condition that the order has none.
    UnconditionalPut,
    /// A statement that failed because the table was busy counts as one that inserted its decision.
    BusyTakenForInserted,
    /// Decisions are written before their predictions.
    DecisionBeforePrediction,
    /// A profile is written without the condition that nobody wrote it meanwhile.
    ProfileOverwritten,
    /// A profile that somebody else wrote meanwhile counts as written: its orders are judged on a state that never was.
    ConflictTakenForWritten,
    /// A decision keeps only the first of the rules that matched.
    FirstRuleOnly,
}

#[cfg(feature = "known-faults")]
thread_local! {
    static INJECTED: std::cell::Cell<Option<KnownFault>> = const { std::cell::Cell::new(None) };
}

/// Injects a fault on this thread, or removes it again.
#[cfg(feature = "known-faults")]
pub fn inject_fault(fault: Option<KnownFault>) {
    INJECTED.set(fault);
}

/// Whether the fault is injected on this thread.
#[cfg(feature = "known-faults")]
pub fn is_injected(fault: KnownFault) -> bool {
    INJECTED.get() == Some(fault)
}

/// Whether the fault is injected: never, without the feature `known-faults`.
#[cfg(not(feature = "known-faults"))]
pub const fn is_injected(_: KnownFault) -> bool {
    false
}
