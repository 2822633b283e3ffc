//! From the section of the mapping file to what the profiles of each key keep.

use std::collections::{BTreeMap, BTreeSet};

use event::VariableName;
use serde_saphyr::{Location, Spanned};
use velocity::{Aggregate, Function, KeyKind, Layout, SlotId};

use super::section::{AggregateOptions, AggregateSource, FunctionName, LongKey};
use super::{
    AggregateKey, AggregateSection, AggregateVariable, Aggregates, DistinctValue, LinkSection,
    Links,
};
use crate::computed_source::TimeUnit;
use crate::condition::Condition;
use crate::located_error::LocatedError;
use crate::normal_form::NormalForm;
use crate::on_invalid::OnInvalid;
use crate::short_or_long::ShortOrLong;

/// The most keys with aggregates.
const MOST_KEYS: usize = 12;
/// The most aggregates.
const MOST_AGGREGATES: usize = 60;

/// The keys as the mapping file has them.
type KeySection = BTreeMap<VariableName, Spanned<ShortOrLong<LongKey>>>;

/// What the aggregates on one key need.
#[derive(Default)]
struct KeyPlan {
    variables: Vec<AggregateVariable>,
    aggregates: Vec<Aggregate>,
    numbers: Vec<VariableName>,
    values: Vec<DistinctValue>,
    /// Their places among the conditions of the mapping.
    conditions: Vec<usize>,
    /// Where the last aggregate is in the file.
    location: (u64, u64),
}

impl Aggregates {
    /// No aggregates; these labels mean fraud.
    pub(crate) fn none(fraud_labels: BTreeSet<String>) -> Self {
        Self {
            fraud_labels,
            ..Self::default()
        }
    }

    /// Checks the section and works out what the profiles of each key keep.
    /// `chargeback_labels` are those that `labels.table` gives for chargebacks.
    pub(crate) fn new(
        section: AggregateSection,
        links: Option<LinkSection>,
        chargeback_labels: BTreeSet<String>,
        is_variable: impl Fn(&VariableName) -> bool,
    ) -> Result<Self, LocatedError> {
        let AggregateSection {
            keys,
            variables: aggregates,
            fraud_labels,
        } = section;
        let fraud_labels = fraud_labels.map_or(chargeback_labels, |labels| {
            labels.iter().map(ToString::to_string).collect()
        });
        let aggregate_names: BTreeSet<VariableName> = aggregates.keys().cloned().collect();
        check_numbers(&keys, &aggregates)?;
        let mut conditions: Vec<Condition> = Vec::new();
        let mut plans: BTreeMap<VariableName, KeyPlan> = BTreeMap::new();
        for (name, source) in aggregates {
            let location = find_place(&source.referenced);
            let fault = |what: String| (location.0, location.1, what);
            let AggregateSource { function, options } = source.value;
            check_names(&name, &options, &keys, &is_variable).map_err(fault)?;
            let plan = plans.entry(options.by.clone()).or_default();
            plan.location = location;
            let kind = keys[&options.by].value.kind();
            let is_key = |name: &VariableName| keys.contains_key(name);
            let of = resolve_of(function, options.of, is_key, &is_variable).map_err(fault)?;
            let condition = options
                .condition
                .map(|condition| find_or_add_condition(&mut conditions, condition));
            let aggregate = Aggregate {
                function: plan.add_function(function, of),
                condition: condition.map(|at| find_or_add(&mut plan.conditions, at)),
                window: options.within,
            };
            check_unit(aggregate.function, options.unit).map_err(fault)?;
            check_fraud_labels(function, &fraud_labels).map_err(fault)?;
            aggregate
                .check(kind)
                .map_err(|error| fault(error.to_string()))?;
            plan.aggregates.push(aggregate);
            plan.variables.push(AggregateVariable {
                name,
                unit: options.unit,
            });
        }
        let keys = keys.into_iter().map(|(name, key)| {
            let plan = plans.remove(&name).unwrap_or_default();
            plan.compile(name, key.value, &conditions)
        });
        let mut keys: Vec<AggregateKey> = keys.collect::<Result<_, _>>()?;
        let is_taken = |name: &VariableName| is_variable(name) || aggregate_names.contains(name);
        let links = links.map(|links| Links::new(links, &mut keys, is_taken));
        Ok(Self {
            keys,
            conditions,
            links: links.transpose()?,
            fraud_labels,
        })
    }
}

fn check_fraud_labels(function: FunctionName, labels: &BTreeSet<String>) -> Result<(), String> {
    let counts_frauds = matches!(function, FunctionName::Fraud | FunctionName::FraudRate);
    if counts_frauds && labels.is_empty() {
        return Err(
            "no label means fraud: `labels.table` gives none for chargebacks; name them in `aggregates.fraud_labels`, such as [fraud]"
                .to_owned(),
        );
    }
    Ok(())
}

fn find_place(location: &Location) -> (u64, u64) {
    (location.line(), location.column())
}

fn check_numbers(
    keys: &KeySection,
    aggregates: &BTreeMap<VariableName, Spanned<AggregateSource>>,
) -> Result<(), LocatedError> {
    if let Some(key) = keys.values().nth(MOST_KEYS) {
        let (line, column) = find_place(&key.referenced);
        let count = keys.len();
        let what = format!("there are {count} keys; at most {MOST_KEYS} may have aggregates");
        return Err((line, column, what));
    }
    if let Some(aggregate) = aggregates.values().nth(MOST_AGGREGATES) {
        let (line, column) = find_place(&aggregate.referenced);
        let count = aggregates.len();
        let what = format!("there are {count} aggregates; a mapping has at most {MOST_AGGREGATES}");
        return Err((line, column, what));
    }
    Ok(())
}

/// Checks the name of an aggregate and that of its key.
fn check_names(
    name: &VariableName,
    options: &AggregateOptions,
    keys: &KeySection,
    is_variable: impl Fn(&VariableName) -> bool,
) -> Result<(), String> {
    if is_variable(name) {
        return Err(format!(
            "`{name}` is also in `variables`; give the aggregate another name"
        ));
    }
    if !keys.contains_key(&options.by) {
        let names: Vec<String> = keys.keys().map(|name| format!("`{name}`")).collect();
        return Err(format!(
            "`by: {}` names no key; there are {}",
            options.by,
            names.join(", ")
        ));
    }
    Ok(())
}

impl KeyPlan {
    fn add_function(&mut self, name: FunctionName, of: Of) -> Function {
        let (number, value) = match of {
            Of::Nothing => (0, 0),
            Of::Number(number) => (find_or_add(&mut self.numbers, number), 0),
            Of::Value(value) => (0, find_or_add(&mut self.values, value)),
        };
        match name {
            FunctionName::Count => Function::Count,
            FunctionName::Sum => Function::Sum(number),
            FunctionName::Mean => Function::Mean(number),
            FunctionName::Max => Function::Max(number),
            FunctionName::Distinct => Function::Distinct(value),
            FunctionName::SinceFirst => Function::SinceFirst,
            FunctionName::SinceLast => Function::SinceLast,
            FunctionName::RatioToUsual => Function::RatioToUsual(number),
            FunctionName::Fraud => Function::Fraud,
            FunctionName::FraudRate => Function::FraudRate,
        }
    }

    fn compile(
        self,
        name: VariableName,
        key: ShortOrLong<LongKey>,
        conditions: &[Condition],
    ) -> Result<AggregateKey, LocatedError> {
        let (line, column) = self.location;
        let slot_of_condition = |at: &usize| SlotId::of(&conditions[*at].definition());
        let slot_of_number = |name: &VariableName| SlotId::of(name.as_str());
        let layout = Layout::new(
            key.kind(),
            self.numbers.iter().map(slot_of_number).collect(),
            self.values.iter().map(DistinctValue::slot).collect(),
            self.conditions.iter().map(slot_of_condition).collect(),
            self.aggregates,
        );
        if key.kind() == KeyKind::Hub && key.source_count() > 1 {
            let what = format!("key `{name}`: a hub has one source; make each a key of its own");
            return Err((line, column, what));
        }
        let (sources, form, on_invalid) = match key {
            ShortOrLong::Short(source) => (
                vec![ShortOrLong::Short(source)],
                NormalForm::default(),
                OnInvalid::default(),
            ),
            ShortOrLong::Long(long) => (long.from.0, long.form, long.on_invalid),
        };
        Ok(AggregateKey {
            layout: layout.map_err(|error| (line, column, format!("key `{name}`: {error}")))?,
            name,
            sources,
            form,
            on_invalid,
            variables: self.variables,
            numbers: self.numbers,
            values: self.values,
            conditions: self.conditions,
            has_partners: false,
        })
    }
}

impl ShortOrLong<LongKey> {
    fn source_count(&self) -> usize {
        match self {
            Self::Short(_) => 1,
            Self::Long(long) => long.from.0.len(),
        }
    }

    fn kind(&self) -> KeyKind {
        match self {
            Self::Long(long) if long.hub => KeyKind::Hub,
            _ => KeyKind::Profile,
        }
    }
}

/// What an aggregate reads of each event.
enum Of {
    Nothing,
    Number(VariableName),
    Value(DistinctValue),
}

/// Checks `of`: a number is a variable, and `distinct` also takes a key.
fn resolve_of(
    function: FunctionName,
    of: Option<VariableName>,
    is_key: impl Fn(&VariableName) -> bool,
    is_variable: impl Fn(&VariableName) -> bool,
) -> Result<Of, String> {
    use FunctionName::{Count, Distinct, Fraud, FraudRate, SinceFirst, SinceLast};
    match (function, of) {
        (Count | SinceFirst | SinceLast | Fraud | FraudRate, None) => Ok(Of::Nothing),
        (Count | SinceFirst | SinceLast | Fraud | FraudRate, Some(of)) => Err(format!(
            "`of: {of}` is not needed; this counts events, leave it out"
        )),
        (Distinct, None) => {
            Err("`of` is missing; name the key or variable whose values are counted".to_owned())
        }
        (_, None) => Err("`of` is missing; name the variable that has the number".to_owned()),
        (Distinct, Some(of)) if is_key(&of) => Ok(Of::Value(DistinctValue::Key(of))),
        (Distinct, Some(of)) if is_variable(&of) => Ok(Of::Value(DistinctValue::Variable(of))),
        (Distinct, Some(of)) => Err(format!(
            "`of: {of}` is neither a key nor one of `variables`"
        )),
        (_, Some(of)) if is_variable(&of) => Ok(Of::Number(of)),
        (_, Some(of)) => Err(format!("`of: {of}` is not one of `variables`")),
    }
}

fn check_unit(function: Function, unit: Option<TimeUnit>) -> Result<(), String> {
    let is_time_span = matches!(function, Function::SinceFirst | Function::SinceLast);
    let name = function.name();
    match unit {
        None if is_time_span => Err(format!(
            "`{name}` needs `in`: seconds, minutes, hours or days"
        )),
        Some(_) if !is_time_span => Err(format!("`{name}` has no unit; leave `in` out")),
        _ => Ok(()),
    }
}

impl DistinctValue {
    pub(super) fn slot(&self) -> SlotId {
        match self {
            Self::Key(name) => SlotId::of(&format!("key {name}")),
            Self::Variable(name) => SlotId::of(name.as_str()),
        }
    }
}

/// The place of a condition, which is added if it is new.
fn find_or_add_condition(all: &mut Vec<Condition>, new: Condition) -> usize {
    let definition = new.definition();
    let known = all.iter().position(|it| it.definition() == definition);
    known.unwrap_or_else(|| {
        all.push(new);
        all.len() - 1
    })
}

/// The place of an element, which is added if it is new.
fn find_or_add<T: PartialEq>(all: &mut Vec<T>, new: T) -> usize {
    all.iter().position(|it| *it == new).unwrap_or_else(|| {
        all.push(new);
        all.len() - 1
    })
}
