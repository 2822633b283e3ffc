//! A forest as bytes: a section of a model's artifact.
//!
//! All numbers are little-endian. Version 1: the version `u32`, then `u32` counts of features,
//! trees, nodes, sets, words of sets; the base score `f64`; the roots `u32`; for each node its
//! value `f64`, feature and flags `u32`, left child `u32`; the covers `f32`; the gains `f32`; each
//! set's number of words `u32`; the words `u32`. What can be computed is not stored.

use super::layout::{CATEGORIES, FlatNode, FlatTrees, LEAF, MAX_DEPTH, can_be_summed};
use super::{Forest, TreeError};

const VERSION: u32 = 1;

impl Forest {
    /// The forest as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let flat = &self.flat;
        let words: usize = flat.sets.iter().map(Vec::len).sum();
        let counts = [
            self.features,
            flat.roots.len(),
            flat.nodes.len(),
            flat.sets.len(),
            words,
        ];
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for count in counts {
            push_count(&mut bytes, count);
        }
        bytes.extend(self.base.to_le_bytes());
        bytes.extend(flat.roots.iter().flat_map(|root| root.to_le_bytes()));
        for node in &flat.nodes {
            bytes.extend(node.value.to_le_bytes());
            bytes.extend(node.feature.to_le_bytes());
            bytes.extend(node.left.to_le_bytes());
        }
        let statistics = flat.cover.iter().chain(&flat.gain);
        bytes.extend(statistics.flat_map(|number| number.to_le_bytes()));
        for set in &flat.sets {
            push_count(&mut bytes, set.len());
        }
        bytes.extend(
            flat.sets
                .iter()
                .flatten()
                .flat_map(|word| word.to_le_bytes()),
        );
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Memory is bounded by the bytes' length.
    ///
    /// # Errors
    /// [`TreeError::Bytes`] if they are of another version, too short, too long, or not a forest.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TreeError> {
        let mut reader = ForestReader(bytes);
        if reader.u32()? != VERSION {
            return Err(TreeError::Bytes("they have another version than 1"));
        }
        let [features, trees, nodes, sets, words] = [
            reader.count()?,
            reader.count()?,
            reader.count()?,
            reader.count()?,
            reader.count()?,
        ];
        let base = reader.f64()?;
        // The rest must have exactly this length. This is checked before anything is allocated.
        let length = 4 * (trees as u128 + sets as u128 + words as u128) + 24 * nodes as u128;
        if reader.0.len() as u128 != length {
            return Err(TreeError::Bytes(
                "their length is not what their counts say",
            ));
        }
        let mut flat = FlatTrees {
            roots: reader.many(trees, ForestReader::u32)?,
            nodes: reader.many(nodes, |reader| {
                Ok(FlatNode {
                    value: reader.f64()?,
                    feature: reader.u32()?,
                    left: reader.u32()?,
                })
            })?,
            cover: reader.many(nodes, ForestReader::f32)?,
            gain: reader.many(nodes, ForestReader::f32)?,
            sets: Vec::new(),
        };
        let lengths = reader.many(sets, ForestReader::count)?;
        if lengths.iter().sum::<usize>() != words {
            return Err(TreeError::Bytes(
                "its sets of categories have another length than it says",
            ));
        }
        for length in lengths {
            flat.sets.push(reader.many(length, ForestReader::u32)?);
        }
        check_trees(&flat, features)?;
        flat.sum_covers(0);
        Self::from_flat(features, base, flat)
    }
}

fn push_count(bytes: &mut Vec<u8>, count: usize) {
    // Counts are bounded by the nodes' `u32` numbers when a forest is built.
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    bytes.extend(count.to_le_bytes());
}

/// Checks that every tree is a tree: each node that is not a root is the child of exactly one earlier node.
fn check_trees(flat: &FlatTrees, features: usize) -> Result<(), TreeError> {
    let nodes = flat.nodes.len();
    let wrong = |what| Err(TreeError::Bytes(what));
    // The depth of each node, set when its parent or the list of roots names it.
    let mut depths: Vec<Option<usize>> = vec![None; nodes];
    for root in &flat.roots {
        match depths.get_mut(*root as usize) {
            Some(depth @ None) => *depth = Some(0),
            _ => return wrong("a root does not exist or is there twice"),
        }
    }
    for (at, node) in flat.nodes.iter().enumerate() {
        let Some(depth) = depths[at] else {
            return wrong("a node has no parent before it");
        };
        let left = node.left as usize;
        if node.is_leaf() {
            if left != at || !can_be_summed(node.value) || node.feature != LEAF {
                return wrong("a leaf is not a number of at most 1e27");
            }
        } else if node.column() >= features {
            return wrong("a split looks at a feature that does not exist");
        } else if node.value.is_nan() {
            return wrong("a split's threshold is not a number");
        } else if node.feature & CATEGORIES != 0 && !flat.has_set(node.value) {
            return wrong("a split names a set of categories that does not exist");
        } else if left <= at || left + 1 >= nodes {
            return wrong("a child does not come after its parent");
        } else if depth >= MAX_DEPTH {
            return wrong("a tree is too deep");
        } else {
            for child in [left, left + 1] {
                if depths[child].replace(depth + 1).is_some() {
                    return wrong("a node has two parents");
                }
            }
        }
    }
    // A number just below the limit may have been rounded up beyond it.
    let fits = |number: f32| can_be_summed(f64::from(number) * 0.999_999);
    let leaves = flat
        .nodes
        .iter()
        .zip(&flat.cover)
        .filter(|(node, _)| node.is_leaf());
    let mut covers = leaves.map(|(_, cover)| *cover);
    if !covers.all(|cover| fits(cover) && cover >= 0.0) || !flat.gain.iter().all(|gain| fits(*gain))
    {
        return wrong("a cover or a gain is not a number of at most 1e27");
    }
    Ok(())
}

impl FlatTrees {
    /// Whether the value of a split is the number of an existing set.
    fn has_set(&self, value: f64) -> bool {
        value.to_bits() < self.sets.len() as u64
    }
}

/// Reads numbers from the front.
struct ForestReader<'a>(&'a [u8]);

impl ForestReader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], TreeError> {
        let (bytes, rest) = self
            .0
            .split_first_chunk()
            .ok_or(TreeError::Bytes("they end too early"))?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn u32(&mut self) -> Result<u32, TreeError> {
        self.take().map(u32::from_le_bytes)
    }

    fn count(&mut self) -> Result<usize, TreeError> {
        self.u32().map(|count| count as usize)
    }

    fn f32(&mut self) -> Result<f32, TreeError> {
        self.take().map(f32::from_le_bytes)
    }

    fn f64(&mut self) -> Result<f64, TreeError> {
        self.take().map(f64::from_le_bytes)
    }

    fn many<T>(
        &mut self,
        count: usize,
        mut one: impl FnMut(&mut Self) -> Result<T, TreeError>,
    ) -> Result<Vec<T>, TreeError> {
        (0..count).map(|_| one(self)).collect()
    }
}
