//! One profile while orders are counted in it.

use velocity::{Added, KeyEvent, Layout, PartnerKey, Profile, UnreadableProfile};

use crate::failure::Failure;
use crate::items::Item;

/// A change of a profile.
pub(super) enum Change {
    /// An order is added.
    Add(KeyEvent),
    /// An order is taken out, because this revision of it has another key. `partners` came with it.
    TakeOut {
        id: u32,
        revision: (u64, u32),
        partners: Vec<PartnerKey>,
    },
    /// An order is taken out for good, and with it the partners that came with it.
    Forget { id: u32, partners: Vec<PartnerKey> },
    /// An order of `account` is known as fraud since this time, in milliseconds, or it is not, or no longer.
    SetFraud {
        id: u32,
        known: Option<i64>,
        account: Option<PartnerKey>,
    },
}

impl Change {
    /// The hashed id of the order.
    pub(super) fn id(&self) -> u32 {
        match self {
            Self::Add(event) => event.id,
            Self::TakeOut { id, .. } | Self::Forget { id, .. } | Self::SetFraud { id, .. } => *id,
        }
    }
}

/// What is known of a profile.
pub(super) enum State {
    NotRead,
    /// It is stored with these changes.
    Known(Profile),
    /// It is stored in a form that cannot be read, and stays as it is.
    Unreadable(UnreadableProfile),
    Failed(Failure),
}

/// One profile while orders are counted in it.
pub(super) struct CountedProfile<'a> {
    layout: &'a Layout,
    pub(super) changes: Vec<Change>,
    /// What is known of it in the active generation.
    pub(super) state: State,
    /// What is known of it in the other generation that is written, if there is one.
    other_state: State,
}

impl<'a> CountedProfile<'a> {
    pub(super) fn new(layout: &'a Layout) -> Self {
        Self {
            layout,
            changes: Vec::new(),
            state: State::NotRead,
            other_state: State::NotRead,
        }
    }

    /// Whether the profile keeps which orders are known as fraud.
    pub(super) fn keeps_frauds(&self) -> bool {
        self.layout.keeps_frauds()
    }

    /// What is known of it in the active generation, or in the other one.
    pub(super) fn state_in(&mut self, active: bool) -> &mut State {
        if active {
            &mut self.state
        } else {
            &mut self.other_state
        }
    }

    /// Makes a failure in the other generation one of the profile: there, too, the change must not be missing. A profile
    /// that cannot be read there stays as it is, and says nothing about the order.
    pub(super) fn fail_with_other_generation(&mut self) {
        if let State::Failed(failure) = &self.other_state {
            self.state = State::Failed(failure.clone());
        }
    }

    /// Reads the item of the active generation or the other one, if there is an item, and makes the changes. Returns the
    /// profile and its revision if it must be written.
    pub(super) fn change(&mut self, active: bool, item: Option<&Item>) -> Option<(Vec<u8>, u64)> {
        let (mut profile, revision) = match item.map(|item| read_item(self.layout, item)) {
            None => (Profile::default(), 0),
            Some(Ok(read)) => read,
            Some(Err(why)) => {
                *self.state_in(active) = State::Unreadable(why);
                return None;
            }
        };
        let mut has_changed = false;
        for change in &self.changes {
            has_changed |= match change {
                Change::Add(event) => match profile.add(self.layout, event) {
                    Added::Known => false,
                    Added::New => true,
                    Added::NewOrForgotten => {
                        metrics::counter!("OrdersPerhapsCountedTwice").increment(1);
                        true
                    }
                },
                Change::TakeOut {
                    id,
                    revision,
                    partners,
                } => profile.take_out(self.layout, *id, *revision, partners),
                Change::Forget { id, partners } => profile.forget(self.layout, *id, partners),
                Change::SetFraud { id, known, account } => {
                    profile.set_fraud(self.layout, *id, *known, *account)
                }
            };
        }
        let bytes = has_changed.then(|| profile.to_bytes(self.layout));
        *self.state_in(active) = State::Known(profile);
        bytes.map(|bytes| (bytes, revision))
    }
}

pub(super) fn read_item(layout: &Layout, item: &Item) -> Result<(Profile, u64), UnreadableProfile> {
    let bytes = item.get("profile").and_then(|value| value.as_b().ok());
    let bytes = bytes.ok_or(UnreadableProfile::Damaged)?;
    let revision = item.get("revision").and_then(|value| value.as_n().ok());
    // Writes count up from 1.
    let revision = revision.and_then(|revision| revision.parse().ok());
    let revision = revision.filter(|revision| (1..u64::MAX).contains(revision));
    let profile = Profile::from_bytes(layout, bytes.as_ref())?;
    Ok((profile, revision.ok_or(UnreadableProfile::Damaged)?))
}
