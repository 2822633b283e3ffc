//! Reviews: what people do with decisions.
//!
//! A decision waits for a person while it is in a queue of index `gsi2`: because its outcome is reviewable, or because
//! somebody appealed against it. What people do is the [case](crate::decisions::ReviewCase), an attribute of the decision's
//! item; the decision itself stays what it was. [`CaseEditor`] says what a person may do, as a function of the case as it was
//! read, and [`Reviews`] writes the result on the condition that the case is still the same. So two people cannot decide one
//! case twice.
//!
//! A [`Verdict`] is an item of its own, written in the same transaction that closes the case. Its insertion is what
//! `forward` publishes. A verdict of a person waits in an index until its label is applied.

mod editor;
mod names;
mod queue;
mod settlement;
mod table;
mod verdict;
mod verdict_labels;

pub use editor::{CaseChange, CaseEditor, Edited, QueueChange, Refusal};
pub use names::{CaseText, InvalidText, PersonName};
pub use queue::WaitingCase;
pub use settlement::{Settlement, plan_settlement};
pub use table::{ReviewError, Reviews};
pub use verdict::{Lapse, Recheck, Verdict, VerdictCause, parse_verdict};
pub use verdict_labels::AppliedLabels;
