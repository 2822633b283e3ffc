//! `links:` of the mapping file: the accounts that share a card, a device or an address with an order.

use std::collections::BTreeMap;

use event::VariableName;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, de};
use serde_saphyr::Spanned;
use velocity::{KeyHash, LayoutError, LinkWalk, PartnerKey, SlotId};

use super::read::parse_key_hash;
use super::{AggregateKey, HashedKeys, format_span};
use crate::computed_source::TimeUnit;
use crate::located_error::LocatedError;
use crate::order::MappedOrder;

/// The most steps that a walk takes.
const MOST_STEPS: u8 = 2;

/// `links:` of the mapping file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkSection {
    account: Spanned<VariableName>,
    through: Vec<Spanned<VariableName>>,
    pub(super) variables: BTreeMap<VariableName, Spanned<LinkFunction>>,
}

/// `{accounts: {steps}}` and its siblings: what a variable says of the links.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LinkFunction {
    /// How many accounts there are.
    Accounts(Reach),
    /// How many of them are known as fraud.
    Fraud(Reach),
    /// For how long the youngest of them is known.
    Youngest(YoungestReach),
}

/// `{steps}`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reach {
    #[serde(deserialize_with = "read_steps")]
    steps: u8,
}

/// `{steps, in}`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct YoungestReach {
    #[serde(deserialize_with = "read_steps")]
    steps: u8,
    #[serde(rename = "in")]
    unit: TimeUnit,
}

fn read_steps<'de, D: de::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let steps = u8::deserialize(deserializer)?;
    if (1..=MOST_STEPS).contains(&steps) {
        return Ok(steps);
    }
    Err(de::Error::custom(format!(
        "`steps: {steps}` is not 1 (accounts that share a key with the order) or 2 (and those that share one with these)"
    )))
}

/// The checked section.
#[derive(Debug)]
pub(crate) struct Links {
    /// The place of the account among the keys.
    account: usize,
    /// The places of the shared keys.
    through: Vec<usize>,
    variables: BTreeMap<VariableName, LinkFunction>,
}

/// What an order saw of its links, as its decision keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenLinks {
    /// How many other accounts share a key with the order, at most [`velocity::MOST_LINKED`].
    pub accounts: usize,
    /// How many there are with those that share a key with one of these.
    pub accounts_within_two_steps: usize,
    /// How many of all these are known as fraud.
    pub frauds: usize,
    /// How many accounts share each kind of key with the order.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub through: BTreeMap<String, usize>,
    /// The kinds of keys at which the walk ended, because too many accounts share the value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hubs: Vec<String>,
}

impl Links {
    /// Checks the section, and lets the profiles of its keys keep who came with whom.
    pub(super) fn new(
        section: LinkSection,
        keys: &mut [AggregateKey],
        is_taken: impl Fn(&VariableName) -> bool,
    ) -> Result<Self, LocatedError> {
        let account = find_key(&section.account, keys, "account")?;
        let mut through = Vec::with_capacity(section.through.len());
        for name in &section.through {
            let place = find_key(name, keys, "through")?;
            if place == account || through.contains(&place) {
                let what = format!(
                    "`{}` is named twice; name each key once, and the account only as `account`",
                    name.value
                );
                return Err(locate(name, what));
            }
            through.push(place);
        }
        if through.is_empty() {
            let what = "`through` is empty; name the keys that accounts may share, such as card";
            return Err(locate(&section.account, what.to_owned()));
        }
        for (place, name) in std::iter::once((&account, &section.account))
            .chain(through.iter().zip(&section.through))
        {
            let key = &mut keys[*place];
            key.keep_partners()
                .map_err(|error| locate(name, format!("key `{}`: {error}", name.value)))?;
        }
        for (name, function) in &section.variables {
            if is_taken(name) {
                let what =
                    format!("`{name}` is a variable or an aggregate already; choose another name");
                return Err(locate(function, what));
            }
        }
        let variables = section.variables.into_iter();
        Ok(Self {
            account,
            through,
            variables: variables
                .map(|(name, function)| (name, function.value))
                .collect(),
        })
    }

    /// The variables of the section.
    pub(crate) fn variable_names(&self) -> impl Iterator<Item = &VariableName> {
        self.variables.keys()
    }

    /// The keys that come with the key at this place in the same order, from the hashes of all keys.
    pub(super) fn partners_of(
        &self,
        place: usize,
        keys: &[AggregateKey],
        hashes: impl Fn(usize) -> Vec<KeyHash>,
    ) -> Vec<PartnerKey> {
        let others: &[usize] = if place == self.account {
            &self.through
        } else if self.through.contains(&place) {
            std::slice::from_ref(&self.account)
        } else {
            &[]
        };
        let partner = |other: &usize| {
            let kind = keys[*other].kind();
            let hashes = hashes(*other).into_iter();
            hashes.map(move |hash| PartnerKey { kind, hash })
        };
        others.iter().flat_map(partner).collect()
    }
}

fn locate<T>(at: &Spanned<T>, what: String) -> LocatedError {
    (at.referenced.line(), at.referenced.column(), what)
}

fn find_key(
    name: &Spanned<VariableName>,
    keys: &[AggregateKey],
    field: &str,
) -> Result<usize, LocatedError> {
    let place = keys
        .iter()
        .position(|key| key.name() == name.value.as_str());
    place.ok_or_else(|| {
        let names: Vec<String> = keys.iter().map(|key| format!("`{}`", key.name())).collect();
        let known = if names.is_empty() {
            "there are none".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        let what = format!(
            "`{field}` names `{}`, which is no key of `aggregates`; {known}",
            name.value
        );
        locate(name, what)
    })
}

impl AggregateKey {
    /// Which kind of key this is in the profiles of others.
    pub fn kind(&self) -> SlotId {
        super::DistinctValue::Key(self.name.clone()).slot()
    }

    fn keep_partners(&mut self) -> Result<(), LayoutError> {
        self.layout = self.layout.clone().with_partners()?;
        self.has_partners = true;
        Ok(())
    }
}

/// The keys of a mapping with `links`, to walk along them.
#[derive(Clone, Copy, Debug)]
pub struct LinkedKeys<'a> {
    pub(crate) links: &'a Links,
    pub(crate) keys: &'a [AggregateKey],
}

impl LinkedKeys<'_> {
    /// Begins the walk of an order.
    pub fn start_walk(&self, order: &MappedOrder) -> LinkWalk {
        let partners = |places: &[usize]| -> Vec<PartnerKey> {
            let own = order.keys.iter().filter(|key| places.contains(&key.key));
            own.flat_map(|key| {
                let kind = self.keys[key.key].kind();
                key.hashes
                    .iter()
                    .filter_map(move |hash| read_partner(kind, hash))
            })
            .collect()
        };
        let own = partners(&[self.links.account]).first().copied();
        LinkWalk::new(
            own,
            &partners(&self.links.through),
            order.timestamp.epoch_millis(),
        )
    }

    /// The place of a key among [`Mapping::aggregate_keys`](crate::Mapping::aggregate_keys), and the text of its hash.
    /// `None` for a kind of key that the mapping no longer has.
    pub fn find(&self, key: &PartnerKey) -> Option<(usize, String)> {
        let place = self.keys.iter().position(|it| it.kind() == key.kind)?;
        Some((place, event::hash::to_hex(&key.hash)))
    }

    /// The account among the hashed keys of an order, by the name of the key.
    pub fn account(&self, keys: &HashedKeys) -> Option<PartnerKey> {
        let key = &self.keys[self.links.account];
        let hash = keys.get(key.name())?.first()?;
        read_partner(key.kind(), hash)
    }

    /// The keys that came with the key at this place, among the hashed keys of an order.
    pub fn partners_of(&self, place: usize, keys: &HashedKeys) -> Vec<PartnerKey> {
        self.links.partners_of(place, self.keys, |other| {
            let hashes = keys.get(self.keys[other].name()).into_iter().flatten();
            hashes.filter_map(|hash| parse_key_hash(hash)).collect()
        })
    }

    /// What the decision keeps of a walk.
    pub(crate) fn seen(&self, walk: &LinkWalk) -> SeenLinks {
        let name = |kind: SlotId| {
            let key = self.keys.iter().find(|key| key.kind() == kind);
            key.map(|key| key.name().to_owned())
        };
        SeenLinks {
            accounts: walk.accounts(1),
            accounts_within_two_steps: walk.accounts(MOST_STEPS),
            frauds: walk.frauds(MOST_STEPS),
            through: walk
                .through()
                .filter_map(|(kind, count)| Some((name(kind)?, count)))
                .collect(),
            hubs: walk.hubs().filter_map(name).collect(),
        }
    }

    /// The variables of a walk with their texts; the age of the youngest is absent if there is no account.
    pub(crate) fn variables(&self, walk: &LinkWalk) -> Vec<(VariableName, String)> {
        let text = |function: &LinkFunction| match function {
            LinkFunction::Accounts(reach) => Some(walk.accounts(reach.steps).to_string()),
            LinkFunction::Fraud(reach) => Some(walk.frauds(reach.steps).to_string()),
            LinkFunction::Youngest(reach) => {
                let millis = walk.youngest(reach.steps)?;
                Some(format_span(Decimal::from(millis), reach.unit))
            }
        };
        let variables = self.links.variables.iter();
        variables
            .filter_map(|(name, function)| Some((name.clone(), text(function)?)))
            .collect()
    }
}

fn read_partner(kind: SlotId, hash: &str) -> Option<PartnerKey> {
    let hash = parse_key_hash(hash)?;
    Some(PartnerKey { kind, hash })
}
