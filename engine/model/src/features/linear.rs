//! A linear model of words and runs of letters, for free text, names, addresses and URLs.
//!
//! Words, pairs of words and runs of three to five bytes are hashed into a table of weights, learnt by logistic
//! regression with `AdaGrad` (Duchi, Hazan, Singer 2011). Each variable has its own salt, so that one table serves
//! all of them, and the part of each variable in the sum is known.

use rayon::prelude::*;

use super::plan::LearningPlan;
use crate::hash::{add_byte_to_hash, mix_bits};

/// The largest table has 2¹⁸ buckets.
const MOST_BITS: u32 = 18;
const EPOCHS: usize = 5;
/// The learning rate, and the starting value of its divisor: only after about a hundred occurrences do the steps of a
/// token shrink, so rare tokens learn little.
const RATE: f32 = 3.0;
const PRIOR: f32 = 1.0;
/// Runs of letters are read only in the first so many bytes of a value.
const LONGEST_SPELLED: usize = 512;
/// How many tokens one fit may process. If there are more, legitimate training rows are left out.
const MOST_TOKENS: usize = 400_000_000;

/// The learnt weights.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TextModel {
    pub bits: u32,
    pub scale: f32,
    pub buckets: Vec<TokenBucket>,
}

/// The weight of one token: the most frequent of all whose hashes fall into the bucket. The other tokens are not used.
/// Tokens that only one value has are not used either, because they would only memorise it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenBucket {
    pub weight: i16,
    /// How much the token counts, in sixteenths: rare tokens count more. 0: the bucket is empty.
    pub rarity: u8,
    /// The last bits of the token, to recognise it.
    pub owner: u8,
}

impl TokenBucket {
    /// How much this token counts; 0 if the bucket is not its own.
    fn rarity_of(self, token: u32) -> u8 {
        if take_low_byte(token) == self.owner {
            self.rarity
        } else {
            0
        }
    }
}

fn take_low_byte(token: u32) -> u8 {
    token.to_le_bytes()[0]
}

impl TextModel {
    /// The part of one variable in the log-odds: the weighted mean of its weights, times the root of their number.
    pub fn score(&self, tokens: &[u32]) -> f64 {
        if tokens.is_empty() {
            return 0.0;
        }
        let shift = 32 - self.bits;
        let (mut sum, mut squares) = (0_i64, 0_u64);
        for token in tokens {
            let at = (token >> shift) as usize;
            let bucket = self.buckets[at];
            let rarity = bucket.rarity_of(*token);
            sum += i64::from(bucket.weight) * i64::from(rarity);
            squares += u64::from(rarity) * u64::from(rarity);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "sums over the tokens of a value"
        )]
        let score = sum as f64 * f64::from(self.scale) / (squares.max(1) as f64).sqrt();
        score
    }
}

/// Chooses the most frequent token for each bucket. How much it counts is its inverse document frequency.
fn choose_buckets(corpus: &Corpus<'_>, plan: &LearningPlan, bits: u32) -> Vec<TokenBucket> {
    const SKETCH: u32 = 22;
    let shift = 32 - bits;
    let step = plan.rows() / 50_000 + 1;
    let documents = || {
        (0..plan.rows())
            .step_by(step)
            .filter(|row| plan.is_training(*row))
    };
    let mut buffers = corpus.empty_buffers();
    let mut sketch = vec![0_u32; 1 << SKETCH];
    let mut many = 0_u32;
    for row in documents() {
        corpus.read_tokens(row, &mut buffers);
        many += 1;
        for token in buffers.iter().flatten() {
            sketch[(*token >> (32 - SKETCH)) as usize] += 1;
        }
    }
    let idf = |count: u32| 1.0 + (f64::from(1 + many) / f64::from(1 + count)).ln();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "1 to 12 sixteen times over"
    )]
    let sixteenths = |count| (idf(count) * 16.0).clamp(1.0, 255.0) as u8;
    let mut buckets = vec![TokenBucket::default(); 1 << bits];
    let mut most = vec![1_u32; 1 << bits];
    for row in documents() {
        corpus.read_tokens(row, &mut buffers);
        for token in buffers.iter().flatten() {
            let count = sketch[(*token >> (32 - SKETCH)) as usize];
            let at = (*token >> shift) as usize;
            if count > most[at] {
                most[at] = count;
                buckets[at] = TokenBucket {
                    weight: 0,
                    rarity: sixteenths(count),
                    owner: take_low_byte(*token),
                };
            }
        }
    }
    buckets
}

/// The hashes of a text's words and, if `spelled`, of its runs of letters. Each is given once, because otherwise common
/// words would outweigh all others in a long text.
pub(crate) fn hash_tokens(salt: u64, text: &str, spelled: bool, tokens: &mut Vec<u32>) {
    tokens.clear();
    add_tokens(salt, text, spelled, tokens);
    tokens.sort_unstable();
    tokens.dedup();
}

fn add_tokens(salt: u64, text: &str, spelled: bool, tokens: &mut Vec<u32>) {
    let mut push = |hash: u64| tokens.push((hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32);
    let start = add_byte_to_hash(salt, 0x51);
    let mut word = 0_u64;
    let mut previous = 0_u64;
    for byte in text.bytes().chain([b' ']) {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 128 {
            word = add_byte_to_hash(
                if word == 0 { start } else { word },
                byte.to_ascii_lowercase(),
            );
        } else if word != 0 {
            push(word);
            if previous != 0 {
                push(previous.rotate_left(17) ^ word);
            }
            previous = word;
            word = 0;
        }
    }
    if !spelled {
        return;
    }
    let bytes = &text.as_bytes()[..text.len().min(LONGEST_SPELLED)];
    let start = add_byte_to_hash(salt, 0x52);
    // The beginning and the end of the value count as letters.
    let padded = |at: usize| match at.checked_sub(1).and_then(|at| bytes.get(at)) {
        Some(byte) => byte.to_ascii_lowercase(),
        None => 2,
    };
    for first in 0..bytes.len() {
        let mut hash = start;
        for length in 0..5 {
            let at = first + length;
            if at > bytes.len() + 1 {
                break;
            }
            hash = add_byte_to_hash(hash, padded(at));
            if length >= 2 {
                push(hash);
            }
        }
    }
}

/// The texts of all rows, by variable.
pub(crate) struct Corpus<'a> {
    pub variables: Vec<CorpusVariable<'a>>,
}

pub(crate) struct CorpusVariable<'a> {
    pub salt: u64,
    pub spelled: bool,
    /// The text of a row.
    pub text: Box<dyn Fn(usize) -> Option<&'a str> + Sync + 'a>,
}

impl Corpus<'_> {
    fn read_tokens(&self, row: usize, tokens_of: &mut [Vec<u32>]) {
        for (variable, into) in self.variables.iter().zip(tokens_of) {
            into.clear();
            if let Some(text) = (variable.text)(row) {
                hash_tokens(variable.salt, text, variable.spelled, into);
            }
        }
    }

    fn empty_buffers(&self) -> Vec<Vec<u32>> {
        vec![Vec::new(); self.variables.len()]
    }
}

/// A model, and the scores of the variables for each row that it was learnt for.
type LearntStage = (TextModel, Vec<(u32, Vec<f64>)>);

/// Learns the weights. Returns the model of all training rows, and one column a variable: each row's score by a model
/// of the rows that it may see.
pub(crate) fn fit_text_model(
    corpus: &Corpus<'_>,
    labels: &[bool],
    plan: &LearningPlan,
    seed: u64,
) -> (TextModel, Vec<Vec<f64>>) {
    let rows = plan.rows();
    let bits = if rows > 5_000 {
        MOST_BITS
    } else {
        MOST_BITS - 2
    };
    let mut buffers = corpus.empty_buffers();
    let sample = (0..rows).step_by(rows / 1000 + 1);
    let (mut many, mut sampled) = (1, 0);
    for row in sample {
        corpus.read_tokens(row, &mut buffers);
        many += buffers.iter().map(Vec::len).sum::<usize>();
        sampled += 1;
    }
    let most_rows = MOST_TOKENS / EPOCHS / (many / sampled.max(1) + 1) / 6;

    let everything: Vec<u32> = (0_u32..)
        .take(rows)
        .filter(|row| plan.is_training(*row as usize))
        .collect();
    let mut stages = plan.visibility_groups();
    stages.push((Vec::new(), everything));
    let buckets = choose_buckets(corpus, plan, bits);
    let mut fitted: Vec<LearntStage> = stages
        .par_iter()
        .map(|(own, seen)| {
            let linear = learn_weights(corpus, labels, seen, &buckets, most_rows, seed);
            let mut buffers = corpus.empty_buffers();
            let scores = own
                .iter()
                .map(|row| {
                    corpus.read_tokens(*row as usize, &mut buffers);
                    let scores = buffers.iter().map(|tokens| {
                        if seen.is_empty() || tokens.is_empty() {
                            f64::NAN
                        } else {
                            linear.score(tokens)
                        }
                    });
                    (*row, scores.collect())
                })
                .collect();
            (linear, scores)
        })
        .collect();
    let mut columns = vec![vec![f64::NAN; rows]; corpus.variables.len()];
    for (row, scores) in fitted.iter().flat_map(|(_, scores)| scores) {
        for (column, score) in columns.iter_mut().zip(scores) {
            column[*row as usize] = *score;
        }
    }
    let last = fitted.pop().map(|(linear, _)| linear);
    let empty = || TextModel {
        bits: 1,
        scale: 0.0,
        buckets: vec![TokenBucket::default(); 2],
    };
    (last.unwrap_or_else(empty), columns)
}

/// Learns the weights from some rows, by logistic regression with `AdaGrad`.
fn learn_weights(
    corpus: &Corpus<'_>,
    labels: &[bool],
    rows: &[u32],
    buckets: &[TokenBucket],
    most_rows: usize,
    seed: u64,
) -> TextModel {
    let bits = buckets.len().ilog2();
    let mut weights = vec![0.0_f32; 1 << bits];
    let mut squares = vec![0.0_f32; 1 << bits];
    let shift = 32 - bits;
    let fraud = rows.iter().filter(|row| labels[**row as usize]).count();
    let order = draw_learning_order(rows, labels, fraud, most_rows, seed);
    #[expect(clippy::cast_precision_loss, reason = "numbers of rows")]
    let mut intercept = ((fraud as f32 + 1.0) / ((order.len() - fraud) as f32 + 1.0)).ln();
    let mut buffers = corpus.empty_buffers();
    let mut sizes = Vec::new();
    for _ in 0..EPOCHS {
        for row in &order {
            let row = *row as usize;
            corpus.read_tokens(row, &mut buffers);
            let mut margin = intercept;
            sizes.clear();
            for tokens in &buffers {
                let (mut sum, mut squares) = (0.0_f32, 0_u64);
                for token in tokens {
                    let at = (token >> shift) as usize;
                    let rarity = buckets[at].rarity_of(*token);
                    sum += weights[at] * f32::from(rarity);
                    squares += u64::from(rarity) * u64::from(rarity);
                }
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "sums over the tokens of a value"
                )]
                let size = 1.0 / (squares.max(1) as f32).sqrt();
                margin += sum * size;
                sizes.push(size);
            }
            let error = 1.0 / (1.0 + (-margin).exp()) - f32::from(u8::from(labels[row]));
            intercept -= 0.002 * error;
            for (tokens, size) in buffers.iter().zip(&sizes) {
                for token in tokens {
                    let at = (token >> shift) as usize;
                    let gradient = error * size * f32::from(buckets[at].rarity_of(*token));
                    squares[at] += gradient * gradient;
                    weights[at] -= RATE * gradient / (squares[at] + PRIOR).sqrt();
                }
            }
        }
    }
    quantize_weights(&weights, buckets)
}

/// The rows in a random order. Of too many rows, all fraud is kept and legitimate rows are left out.
fn draw_learning_order(
    rows: &[u32],
    labels: &[bool],
    fraud: usize,
    most_rows: usize,
    seed: u64,
) -> Vec<u32> {
    let keep_one_in = ((rows.len() - fraud) / most_rows.max(1) + 1) as u64;
    let mut order: Vec<(u64, u32)> = rows
        .iter()
        .map(|row| (mix_bits(u64::from(*row) ^ seed), *row))
        .filter(|(hash, row)| labels[*row as usize] || (hash >> 20).is_multiple_of(keep_one_in))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, row)| row).collect()
}

/// Rounds the weights to 16 bits.
fn quantize_weights(weights: &[f32], buckets: &[TokenBucket]) -> TextModel {
    let largest = weights
        .iter()
        .fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
    let scale = if largest > 0.0 {
        largest / f32::from(i16::MAX)
    } else {
        1.0
    };
    #[expect(clippy::cast_possible_truncation, reason = "scaled into the range")]
    let place = |(weight, bucket): (&f32, &TokenBucket)| TokenBucket {
        weight: (weight / scale).round() as i16,
        ..*bucket
    };
    TextModel {
        bits: buckets.len().ilog2(),
        scale,
        buckets: weights.iter().zip(buckets).map(place).collect(),
    }
}
