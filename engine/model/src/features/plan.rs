//! Which rows may learn from which, so that no feature of a training row gives away its own or a future label.

/// Stands for "in no part".
const NEVER: u8 = u8::MAX;

/// Into how many parts the training rows are cut.
const PARTS: u8 = 10;

/// For each row, what it may see of the others.
///
/// With times, training rows are cut into ten blocks in order of time. A row sees the events of earlier blocks, and
/// those of their labels that were known when its own block began: in service, the rates that a model learnt grow old in
/// the same way until it is trained again. Histories are not cut into blocks: they are up to date in service too.
/// Without times, training rows are cut into ten folds, and each row sees the other nine. Held-out rows see all
/// training rows.
#[derive(Clone, Debug)]
pub(crate) struct LearningPlan {
    /// The part of each row; `PARTS` if it is held out.
    part: Vec<u8>,
    /// For each row, the first part that may see its label. Only if `ordered`.
    known: Vec<u8>,
    ordered: bool,
    /// When each part begins, the held-out rows last. Only if `ordered`.
    begins: Vec<i64>,
    by_part: Vec<Vec<u32>>,
    by_known: Vec<Vec<u32>>,
}

/// One step of [`Plan::walk`]. A row may see exactly what was added, and not removed, before its `Encode` step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanStep {
    /// The event of this row can be seen from now on.
    Add(u32),
    /// Its label can be seen from now on.
    AddLabel(u32),
    /// The event of this row cannot be seen any more.
    Remove(u32),
    /// Its label cannot be seen any more.
    RemoveLabel(u32),
    /// The features of this row can be computed now.
    Encode(u32),
    /// So many seconds pass.
    Wait(i64),
}

/// The rows to compute features for. Features are learnt from those that are not held out.
pub(crate) struct TrainingRows<'a> {
    /// Their places in the data set.
    pub rows: &'a [u32],
    /// Whether each is fraud.
    pub labels: &'a [bool],
    /// From when on histories show each label to later events; `None`: never.
    pub shown_from: &'a [Option<i64>],
    /// What each may see of the others.
    pub plan: &'a LearningPlan,
    /// Chooses the order in which the linear model of texts learns.
    pub seed: u64,
}

impl LearningPlan {
    /// A plan by time. `times` ascend; `known` is the time from which each label was known; rows from `held_out_from`
    /// on are held out.
    pub fn by_time(times: &[i64], known: &[i64], held_out_from: usize) -> Self {
        let rows = times.len();
        let mut starts = Vec::new();
        let mut part = vec![PARTS; rows];
        for block in 0..PARTS {
            let mut start = held_out_from * usize::from(block) / usize::from(PARTS);
            // Events of the same time are in the same block.
            while start > 0 && start < held_out_from && times[start] == times[start - 1] {
                start += 1;
            }
            starts.push(start);
            let end = held_out_from;
            part[start.min(end)..end].fill(block);
        }
        // When each part begins; last, when the held-out rows begin.
        let begins: Vec<i64> = starts
            .iter()
            .map(|start| times.get(*start).copied().unwrap_or(i64::MAX))
            .chain([times.get(held_out_from).copied().unwrap_or(i64::MAX)])
            .collect();
        let known = known
            .iter()
            .zip(&part)
            .map(|(known, part)| {
                if *part == PARTS {
                    return NEVER;
                }
                let first = begins.partition_point(|begin| begin < known);
                u8::try_from(first).unwrap_or(NEVER).max(part + 1)
            })
            .collect();
        Self {
            begins,
            ..Self::new(part, known, true)
        }
    }

    /// A plan without times: folds by a hash of each row.
    pub fn by_hash(hashes: &[u64], held_out: &[bool]) -> Self {
        let part = hashes
            .iter()
            .zip(held_out)
            .map(|(hash, out)| {
                if *out {
                    PARTS
                } else {
                    u8::try_from((hash >> 32) % u64::from(PARTS)).unwrap_or(0)
                }
            })
            .collect();
        Self::new(part, Vec::new(), false)
    }

    fn new(part: Vec<u8>, known: Vec<u8>, ordered: bool) -> Self {
        let mut by_part = vec![Vec::new(); usize::from(PARTS) + 1];
        let mut by_known = by_part.clone();
        for (row, of) in (0_u32..).zip(&part) {
            by_part[usize::from(*of)].push(row);
        }
        for (row, known) in (0_u32..).zip(&known) {
            if let Some(rows) = by_known.get_mut(usize::from(*known)) {
                rows.push(row);
            }
        }
        Self {
            part,
            known,
            ordered,
            begins: Vec::new(),
            by_part,
            by_known,
        }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.part.len()
    }

    /// Whether the rows are in order of time.
    pub fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// Whether the row is one of those that are learnt from.
    pub fn is_training(&self, row: usize) -> bool {
        self.part[row] < PARTS
    }

    /// How long the part before `part` takes, in seconds.
    fn seconds_before(&self, part: usize) -> i64 {
        match (self.begins.get(part - 1), self.begins.get(part)) {
            // Without held-out rows, the last part has no end.
            (Some(from), Some(to)) if *to < i64::MAX => to.saturating_sub(*from),
            _ => 0,
        }
    }

    /// Groups of rows that may see the same, each with the rows whose labels they may see.
    pub fn visibility_groups(&self) -> Vec<(Vec<u32>, Vec<u32>)> {
        let training = |wanted: &dyn Fn(usize) -> bool| {
            (0_u32..)
                .zip(&self.part)
                .filter(|(row, part)| **part < PARTS && wanted(*row as usize))
                .map(|(row, _)| row)
                .collect::<Vec<_>>()
        };
        let mut stages = Vec::new();
        if self.ordered {
            for part in 0..=PARTS {
                let seen = training(&|row| self.known[row] <= part);
                stages.push((self.by_part[usize::from(part)].clone(), seen));
            }
        } else {
            // Two folds at a time, to halve the work.
            for first in (0..PARTS).step_by(2) {
                let own = |row: usize| self.part[row] == first || self.part[row] == first + 1;
                stages.push((training(&own), training(&|row| !own(row))));
            }
            let out = self.by_part[usize::from(PARTS)].clone();
            stages.push((out, training(&|_| true)));
        }
        stages
    }

    /// Calls `step` so that for each row, exactly what it may see has been added when it is encoded. In the end, every
    /// training row and its label is added.
    pub fn walk_rows(&self, mut step: impl FnMut(PlanStep)) {
        let last = usize::from(PARTS);
        if self.ordered {
            for part in 0..=last {
                if part > 0 {
                    list_steps(&self.by_part[part - 1], PlanStep::Add).for_each(&mut step);
                    step(PlanStep::Wait(self.seconds_before(part)));
                }
                list_steps(&self.by_known[part], PlanStep::AddLabel).for_each(&mut step);
                list_steps(&self.by_part[part], PlanStep::Encode).for_each(&mut step);
            }
            let late: Vec<u32> = (0_u32..)
                .zip(self.part.iter().zip(&self.known))
                .filter(|(_, (part, known))| **part < PARTS && usize::from(**known) > last)
                .map(|(row, _)| row)
                .collect();
            list_steps(&late, PlanStep::AddLabel).for_each(&mut step);
        } else {
            for rows in &self.by_part[..last] {
                list_steps(rows, PlanStep::Add).for_each(&mut step);
                list_steps(rows, PlanStep::AddLabel).for_each(&mut step);
            }
            for rows in &self.by_part[..last] {
                list_steps(rows, PlanStep::Remove).for_each(&mut step);
                list_steps(rows, PlanStep::RemoveLabel).for_each(&mut step);
                list_steps(rows, PlanStep::Encode).for_each(&mut step);
                list_steps(rows, PlanStep::Add).for_each(&mut step);
                list_steps(rows, PlanStep::AddLabel).for_each(&mut step);
            }
            list_steps(&self.by_part[last], PlanStep::Encode).for_each(&mut step);
        }
    }
}

/// The same step for each of some rows.
fn list_steps(rows: &[u32], kind: fn(u32) -> PlanStep) -> impl Iterator<Item = PlanStep> {
    rows.iter().map(move |row| kind(*row))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_row_sees_only_labels_that_were_known_when_it_happened(
            mut rows in prop::collection::vec((0_i64..50, 0_i64..30), 1..60),
            share in 0_usize..=100,
        ) {
            rows.sort_unstable();
            let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
            let known: Vec<i64> = rows.iter().map(|row| row.0 + row.1).collect();
            let plan = LearningPlan::by_time(&times, &known, rows.len() * share / 100);
            let (mut seen, mut labels, mut encoded) = (BTreeSet::new(), BTreeSet::new(), 0);
            plan.walk_rows(|step| match step {
                PlanStep::Add(row) => assert!(seen.insert(row)),
                PlanStep::AddLabel(row) => assert!(labels.insert(row)),
                PlanStep::Remove(_) | PlanStep::RemoveLabel(_) => panic!("time does not go back"),
                PlanStep::Wait(seconds) => assert!((0..=80).contains(&seconds)),
                PlanStep::Encode(row) => {
                    encoded += 1;
                    let now = times[row as usize];
                    assert!(labels.iter().all(|other| known[*other as usize] <= now));
                    assert!(!seen.contains(&row) && labels.is_subset(&seen));
                }
            });
            prop_assert_eq!(encoded, rows.len());
            let training = (0..rows.len()).filter(|row| plan.is_training(*row)).count();
            prop_assert_eq!((seen.len(), labels.len()), (training, training));
            for (own, seen) in plan.visibility_groups() {
                for (row, other) in own.iter().flat_map(|row| seen.iter().map(move |other| (*row, *other))) {
                    prop_assert!(known[other as usize] <= times[row as usize]);
                }
            }
        }

        #[test]
        fn a_row_never_sees_itself(hashes in prop::collection::vec(any::<u64>(), 1..80)) {
            let held_out: Vec<bool> = hashes.iter().map(|hash| hash % 3 == 0).collect();
            let plan = LearningPlan::by_hash(&hashes, &held_out);
            let mut seen = BTreeSet::new();
            let mut encoded = 0;
            plan.walk_rows(|step| match step {
                PlanStep::Add(row) => assert!(seen.insert(row) && !held_out[row as usize]),
                PlanStep::Remove(row) => assert!(seen.remove(&row)),
                PlanStep::AddLabel(_) | PlanStep::RemoveLabel(_) => {}
                PlanStep::Wait(_) => panic!("there is no time"),
                PlanStep::Encode(row) => {
                    encoded += 1;
                    assert!(!seen.contains(&row));
                }
            });
            prop_assert_eq!(encoded, hashes.len());
            prop_assert!(plan.visibility_groups().iter().all(|(own, seen)| own.iter().all(|row| !seen.contains(row))));
        }
    }
}
