//! A Kinesis data stream or a DynamoDB stream, and the event source mapping that reads it.
//!
//! A shard is read in order and divided into lanes; each lane has one invocation at a time. A lane has a list of
//! waiting records, a list of records to be delivered again before those, and the batch in flight.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::{Answer, Batch, EventSource, region};
use crate::simulation::dice::Dice;
use crate::simulation::history::MIDNIGHT_MS;

/// The longest time, in milliseconds, until a reader sees a record that was put: the propagation delay of
/// `docs.aws.amazon.com/streams/latest/dev/kinesis-low-latency.html`, which is typically under a second for a reader
/// that polls once per second. The exact number is our choice.
const PROPAGATION_MS: u64 = 300;
/// The first delay before a failed batch is delivered again, in milliseconds; it is doubled each time. AWS does not
/// publish it, so the number is our choice.
const FIRST_BACKOFF_MS: u64 = 100;
/// The longest delay before a failed batch is delivered again, in milliseconds; also our choice.
const LONGEST_BACKOFF_MS: u64 = 60_000;
/// How often, per thousand, an invocation is made twice at the same time. AWS says that this happens, but not how
/// often.
const TWICE_AT_ONCE: u64 = 5;
/// How often, per thousand, a batch that succeeded is delivered once more.
const TWICE_LATE: u64 = 10;
/// A batch that is delivered once more is delivered within this time, in milliseconds.
const LATEST_COPY_MS: u64 = 120_000;
/// The largest difference between consecutive sequence numbers of a shard.
const LARGEST_STEP: u64 = 2_000;

/// The kind of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// A Kinesis data stream.
    Kinesis,
    /// The stream of a DynamoDB table.
    DynamoDb,
}

impl StreamKind {
    /// How often a shard is polled, in milliseconds: once per second
    /// (`docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html`), or four times per second
    /// (`docs.aws.amazon.com/lambda/latest/dg/with-ddb.html`).
    fn poll_ms(self) -> u64 {
        match self {
            Self::Kinesis => 1_000,
            Self::DynamoDb => 250,
        }
    }
}

/// The settings of the stream and of its event source mapping.
#[derive(Clone, Debug)]
pub struct StreamRules {
    /// The stream's ARN.
    pub arn: String,
    /// The kind of the stream.
    pub kind: StreamKind,
    /// The number of shards at the start.
    pub shards: usize,
    /// `BatchSize`.
    pub batch_size: usize,
    /// `ParallelizationFactor`.
    pub factor: usize,
    /// `BisectBatchOnFunctionError`.
    pub bisect: bool,
    /// `MaximumRecordAgeInSeconds`, in milliseconds.
    pub max_age_ms: u64,
}

/// A record that is put into a stream.
#[derive(Clone, Debug)]
pub enum StreamRecord {
    /// The data of a Kinesis record.
    Kinesis(Vec<u8>),
    /// A change of a DynamoDB item.
    DynamoDb {
        /// `INSERT`, `MODIFY` or `REMOVE`.
        event_name: &'static str,
        /// The item after the change, in DynamoDB's JSON; null if it was removed.
        new_image: Value,
    },
}

/// A stream as its event source mapping reads it.
#[derive(Clone, Debug)]
pub struct Stream {
    rules: StreamRules,
    name: &'static str,
    dice: Dice,
    shards: Vec<Shard>,
    /// How often a record was put with each partition key. Key and number together name a record.
    put: BTreeMap<String, u64>,
    in_flight: BTreeMap<u64, InFlight>,
    copies: Vec<Duplicate>,
    tickets: u64,
    expired: Vec<Arc<Item>>,
}

/// A sequence number of up to 56 digits: `high` times 10^30 plus `low`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sequence {
    high: u128,
    low: u128,
}

/// A record in its shard.
#[derive(Debug)]
struct Item {
    /// Independent of other records: `orders k-1#2`.
    name: String,
    partition_key: String,
    shard: usize,
    /// Its position in the shard, from 1.
    place: u64,
    sequence: Sequence,
    arrived: u64,
    visible: u64,
    record: StreamRecord,
}

#[derive(Clone, Debug)]
struct Shard {
    /// The range of hashes of partition keys: the first and the last.
    range: (u128, u128),
    parent: Option<usize>,
    is_closed: bool,
    last: Sequence,
    places: u64,
    /// When its last record becomes visible; a later record never becomes visible earlier.
    seen: u64,
    lanes: Vec<Lane>,
}

/// A part of a shard that has one invocation at a time.
#[derive(Clone, Debug, Default)]
struct Lane {
    waiting: VecDeque<Arc<Item>>,
    /// Failed records to be delivered again, before the waiting ones.
    again: VecDeque<Piece>,
    is_busy: bool,
}

/// A batch, or what remains of one.
#[derive(Clone, Debug)]
struct Piece {
    items: Vec<Arc<Item>>,
    /// The number of failures since its checkpoint last moved.
    failures: u32,
    not_before: u64,
    note: &'static str,
}

#[derive(Clone, Debug)]
struct InFlight {
    /// Shard and lane; `None` for a copy, whose answer changes nothing.
    lane: Option<(usize, usize)>,
    piece: Piece,
    was_copied: bool,
}

/// A batch that is delivered once more, although its records have or will have their own answer.
#[derive(Clone, Debug)]
struct Duplicate {
    at: u64,
    items: Vec<Arc<Item>>,
    note: &'static str,
}

impl Stream {
    /// An empty stream. Its name is part of every draw and of the printed history.
    pub fn new(rules: StreamRules, name: &'static str, dice: Dice) -> Self {
        let count = rules.shards.max(1);
        let width = u128::MAX / count as u128;
        let shards = (0..count)
            .map(|number| {
                let first = width * number as u128;
                let last = if number + 1 == count {
                    u128::MAX
                } else {
                    first + width - 1
                };
                let start = Sequence::start(rules.kind, name, number, dice);
                Shard::new((first, last), None, start, rules.factor)
            })
            .collect();
        Self {
            rules,
            name,
            dice,
            shards,
            put: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            copies: Vec::new(),
            tickets: 0,
            expired: Vec::new(),
        }
    }

    /// Puts a record, which becomes visible a moment later.
    ///
    /// `docs.aws.amazon.com/streams/latest/dev/key-concepts.html`: MD5 maps the partition key to a number of 128 bits,
    /// and each shard has a range of these numbers; the sequence numbers of one partition key generally increase. How
    /// DynamoDB chooses a shard is not published, so the same is done for it.
    pub fn put(&mut self, now: u64, partition_key: &str, record: StreamRecord) {
        let count = self.put.entry(partition_key.to_owned()).or_default();
        *count += 1;
        let name = format!("{} {partition_key}#{count}", self.name);
        let hash = hash(partition_key);
        let Some((number, shard)) = (self.shards.iter_mut().enumerate())
            .find(|(_, shard)| !shard.is_closed && shard.holds(hash))
        else {
            return;
        };
        let step = (self.dice).between(format_args!("step to {name}"), 1, LARGEST_STEP + 1);
        shard.last = shard.last.plus(step);
        shard.places += 1;
        let delay = (self.dice).between(format_args!("propagation {name}"), 0, PROPAGATION_MS + 1);
        let poll = self.rules.kind.poll_ms();
        shard.seen = shard.seen.max((now + delay).div_ceil(poll) * poll);
        let item = Item {
            name,
            partition_key: partition_key.to_owned(),
            shard: number,
            place: shard.places,
            sequence: shard.last,
            arrived: now,
            visible: shard.seen,
            record,
        };
        let lane = lane_of(partition_key, shard.lanes.len());
        if let Some(lane) = shard.lanes.get_mut(lane) {
            lane.waiting.push_back(Arc::new(item));
        }
    }

    /// Splits an open shard into two. The shard accepts no more records; its children do, and they are read after it.
    ///
    /// `docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-after-resharding.html`: earlier records stay in
    /// the parent, and new ones are put into the children. Reading the children before the end of the parent could read
    /// the records of a key out of order.
    pub fn reshard(&mut self, now: u64) {
        let open: Vec<usize> = (0..self.shards.len())
            .filter(|&number| !self.shards[number].is_closed)
            .collect();
        let draw = format_args!("reshard {} of {} shards", self.name, self.shards.len());
        let parent = open[self.dice.place(draw, open.len())];
        let shard = &mut self.shards[parent];
        let (first, last) = shard.range;
        if last - first < 2 {
            return;
        }
        shard.is_closed = true;
        let middle = first + (last - first) / 2;
        let (start, seen) = (shard.last.plus(LARGEST_STEP), shard.seen.max(now));
        for range in [(first, middle), (middle + 1, last)] {
            let mut child = Shard::new(range, Some(parent), start, self.rules.factor);
            child.seen = seen;
            self.shards.push(child);
        }
    }
}

impl EventSource for Stream {
    /// The next batch that may be delivered now. Records that are too old are sent to the on-failure destination.
    fn take(&mut self, now: u64) -> Option<Batch> {
        loop {
            let expired = self.expired.len();
            if let Some(batch) = self.take_copy(now) {
                return Some(batch);
            }
            let lanes = self.lanes();
            // The first lane changes each time, so that no lane always gets the room if there is room for only some
            // batches.
            let first = usize::try_from(self.tickets).unwrap_or(0) % lanes.len().max(1);
            for &lane in lanes.iter().cycle().skip(first).take(lanes.len()) {
                if let Some(piece) = self.next_piece(lane, now) {
                    return Some(self.invoke(Some(lane), piece, now));
                }
            }
            // An expired record may have been the last of a parent, so its children can be read now.
            if self.expired.len() == expired {
                return None;
            }
        }
    }

    /// Processes the answer to a batch.
    ///
    /// `docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html` and
    /// `docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html`: an empty list means success. The
    /// lowest sequence number in the list is the checkpoint, and everything from there on is retried. An invalid
    /// identifier fails the whole batch.
    fn answered(&mut self, now: u64, ticket: u64, answer: Answer) {
        let Some(in_flight) = self.in_flight.remove(&ticket) else {
            return;
        };
        // AWS documents no retry for such an extra delivery: the lane has its own state for these records.
        let Some((shard, number)) = in_flight.lane else {
            return;
        };
        let piece = in_flight.piece;
        let pieces = match checkpoint(&piece.items, answer) {
            Checkpoint::End => {
                if !in_flight.was_copied {
                    self.deliver_late(&piece, now);
                }
                Vec::new()
            }
            Checkpoint::At(place) => vec![piece.rest(place, now)],
            // The same pages: a failed invocation splits the batch, whatever is set for partial answers; the on-failure
            // page adds that this does not count as a retry.
            Checkpoint::Start if self.rules.bisect && piece.items.len() > 1 => piece.halves(now),
            Checkpoint::Start => vec![piece.again(now)],
        };
        let lane = &mut self.shards[shard].lanes[number];
        lane.is_busy = false;
        for piece in pieces.into_iter().rev() {
            lane.again.push_front(piece);
        }
    }

    /// The earliest time, `now` or later, at which [`take`](Self::take) may return a batch if no answer arrives. If it
    /// has just returned none, that is later than `now`.
    fn next_time(&self, now: u64) -> Option<u64> {
        let lanes = self.lanes();
        let ready = lanes.iter().filter_map(|&(shard, lane)| {
            let lane = &self.shards[shard].lanes[lane];
            let again = lane.again.front().map(|piece| piece.not_before);
            again.or_else(|| lane.waiting.front().map(|item| item.visible))
        });
        let copies = self.copies.iter().map(|copy| copy.at);
        ready.chain(copies).min().map(|time| time.max(now))
    }

    /// Whether nothing is waiting, in flight or to be delivered once more.
    fn is_drained(&self) -> bool {
        self.in_flight.is_empty()
            && self.copies.is_empty()
            && self.shards.iter().all(Shard::is_drained)
    }

    /// How many records were too old and were sent to the on-failure destination.
    fn given_up(&self) -> usize {
        self.expired.len()
    }
}

impl Stream {
    /// The records that were given up, as events show them.
    pub fn expired_records(&self) -> Vec<Value> {
        self.expired
            .iter()
            .map(|item| item.event(&self.rules, self.dice))
            .collect()
    }

    /// The lanes that may be read and have nothing in flight: shard and number.
    ///
    /// `docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html`: one batch of a shard at a time, or as many as the
    /// parallelization factor allows, but still in order for each partition key. A child waits for its parent (see
    /// [`reshard`](Self::reshard)).
    fn lanes(&self) -> Vec<(usize, usize)> {
        let is_readable = |shard: &Shard| {
            shard
                .parent
                .is_none_or(|parent| self.shards[parent].is_drained())
        };
        (self.shards.iter().enumerate())
            .filter(|(_, shard)| is_readable(shard))
            .flat_map(|(number, shard)| {
                let free = (0..shard.lanes.len()).filter(|&lane| !shard.lanes[lane].is_busy);
                free.map(move |lane| (number, lane))
            })
            .collect()
    }

    /// The next batch of a lane: records to be delivered again, otherwise waiting ones.
    fn next_piece(&mut self, (shard, number): (usize, usize), now: u64) -> Option<Piece> {
        while let Some(piece) = self.shards[shard].lanes[number].again.front_mut() {
            if piece.not_before > now {
                return None;
            }
            let (old, young) = split_by_age(&piece.items, now, self.rules.max_age_ms);
            self.expired.extend(old);
            let piece = self.shards[shard].lanes[number].again.pop_front();
            if let Some(piece) = piece.filter(|_| !young.is_empty()) {
                return Some(Piece {
                    items: young,
                    ..piece
                });
            }
        }
        self.poll((shard, number), now)
    }

    /// The waiting records that a poll returns.
    ///
    /// `docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html`: Lambda invokes the function as soon as there are
    /// records, so a batch may have any number of records from one to `BatchSize`. The number is drawn, because here no
    /// records arrive between two polls at the same time.
    fn poll(&mut self, (shard, number): (usize, usize), now: u64) -> Option<Piece> {
        let waiting = &mut self.shards[shard].lanes[number].waiting;
        let is_old = |item: &Arc<Item>| item.is_older_than(self.rules.max_age_ms, now);
        while let Some(item) = waiting.pop_front_if(|item| is_old(item)) {
            self.expired.push(item);
        }
        let seen = waiting.iter().take_while(|item| item.visible <= now);
        let seen = seen.count().min(self.rules.batch_size.max(1));
        let first = waiting.front().filter(|_| seen > 0)?;
        let is_all = (self.dice).happens(format_args!("all there is from {}", first.name), 500);
        let count = if is_all {
            seen
        } else {
            1 + (self.dice).place(format_args!("batch from {}", first.name), seen)
        };
        Some(Piece {
            items: waiting.drain(..count).collect(),
            failures: 0,
            not_before: now,
            note: "",
        })
    }

    /// A batch to be delivered once more, if its records are not too old.
    fn take_copy(&mut self, now: u64) -> Option<Batch> {
        while let Some(place) = self.copies.iter().position(|copy| copy.at <= now) {
            let copy = self.copies.remove(place);
            let (_, items) = split_by_age(&copy.items, now, self.rules.max_age_ms);
            if !items.is_empty() {
                let piece = Piece {
                    items,
                    failures: 0,
                    not_before: now,
                    note: copy.note,
                };
                return Some(self.invoke(None, piece, now));
            }
        }
        None
    }

    fn invoke(&mut self, lane: Option<(usize, usize)>, piece: Piece, now: u64) -> Batch {
        let mut was_copied = false;
        if let Some((shard, lane)) = lane {
            self.shards[shard].lanes[lane].is_busy = true;
            was_copied = self.deliver_twice_at_once(&piece, now);
        }
        self.tickets += 1;
        let ticket = self.tickets;
        let records: Vec<Value> = (piece.items.iter())
            .map(|item| item.event(&self.rules, self.dice))
            .collect();
        let batch = Batch {
            ticket,
            what: self.describe(lane, &piece),
            records: records.len(),
            event: json!({ "Records": records }),
        };
        let in_flight = InFlight {
            lane,
            piece,
            was_copied,
        };
        self.in_flight.insert(ticket, in_flight);
        batch
    }

    /// A description: `orders shard 0 lane 1 #17-#23 (first half)`.
    fn describe(&self, lane: Option<(usize, usize)>, piece: &Piece) -> String {
        let (Some(first), Some(last)) = (piece.items.first(), piece.items.last()) else {
            return String::new();
        };
        let lane = match lane {
            Some((_, lane)) if self.rules.factor > 1 => format!(" lane {lane}"),
            _ => String::new(),
        };
        let range = if first.place == last.place {
            format!("#{}", first.place)
        } else {
            format!("#{}-#{}", first.place, last.place)
        };
        let note = if piece.note.is_empty() {
            String::new()
        } else {
            format!(" ({})", piece.note)
        };
        format!("{} shard {}{lane} {range}{note}", self.name, first.shard)
    }

    /// By chance, delivers the batch that is being invoked a second time while the first invocation still runs.
    ///
    /// `docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html`: each event is processed at least
    /// once, and records may be processed twice. It does not say when; a function has to handle both a second delivery
    /// at the same time and a late one.
    fn deliver_twice_at_once(&mut self, piece: &Piece, now: u64) -> bool {
        let Some(name) = piece.name() else {
            return false;
        };
        let is_copied = (self.dice).happens(format_args!("twice at once {name}"), TWICE_AT_ONCE);
        if is_copied {
            let delay = (self.dice).between(format_args!("twice at once after {name}"), 0, 1000);
            self.copies.push(Duplicate {
                at: now + delay,
                items: piece.items.clone(),
                note: "once more, at once",
            });
        }
        is_copied
    }

    /// By chance, delivers a batch that succeeded again: at the same time as its successor or after it.
    ///
    /// The same page as for [`deliver_twice_at_once`](Self::deliver_twice_at_once).
    fn deliver_late(&mut self, piece: &Piece, now: u64) {
        let Some(name) = piece.name() else {
            return;
        };
        if (self.dice).happens(format_args!("duplicate {name}"), TWICE_LATE) {
            let overlaps = (self.dice).happens(format_args!("duplicate overlaps {name}"), 500);
            let delay =
                (self.dice).between(format_args!("duplicate after {name}"), 0, LATEST_COPY_MS);
            self.copies.push(Duplicate {
                at: if overlaps { now } else { now + delay },
                items: piece.items.clone(),
                note: "once more",
            });
        }
    }
}

/// Where a batch continues after its answer.
enum Checkpoint {
    /// It succeeded, so after its end.
    End,
    /// It is delivered again from this position.
    At(usize),
    /// It failed as a whole.
    Start,
}

fn checkpoint(items: &[Arc<Item>], answer: Answer) -> Checkpoint {
    let Answer::Failures(failures) = answer else {
        return Checkpoint::Start;
    };
    let find = |id: &String| {
        let mut items = items.iter();
        items.position(|item| item.sequence.to_string() == *id)
    };
    let places: Option<Vec<usize>> = failures.iter().map(find).collect();
    let Some(places) = places else {
        return Checkpoint::Start;
    };
    // Compared as integers: "10" is above "9".
    match places
        .into_iter()
        .min_by_key(|&place| items[place].sequence)
    {
        Some(place) => Checkpoint::At(place),
        None => Checkpoint::End,
    }
}

impl Piece {
    /// The name of a delivery: its first and last record, and the number of failures.
    fn name(&self) -> Option<String> {
        let (first, last) = (self.items.first()?, self.items.last()?);
        Some(format!(
            "{} to {} #{}",
            first.name, last.name, self.failures
        ))
    }

    /// Everything from the checkpoint on. The delay grows each time the checkpoint stays the same.
    ///
    /// `docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html`: with
    /// `BisectBatchOnFunctionError` the batch is split at the returned number and only the rest is retried, which is
    /// the same.
    fn rest(&self, place: usize, now: u64) -> Self {
        let failures = if place == 0 { self.failures + 1 } else { 1 };
        Self {
            items: self.items[place..].to_vec(),
            failures,
            not_before: now + backoff(failures),
            note: "from the checkpoint",
        }
    }

    /// The whole batch again.
    fn again(self, now: u64) -> Self {
        let failures = self.failures + 1;
        Self {
            failures,
            not_before: now + backoff(failures),
            note: "again",
            ..self
        }
    }

    /// The first half, then the second.
    ///
    /// `docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html` and
    /// `docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html`: a failed batch is split into two smaller
    /// ones, which are retried in its place.
    fn halves(&self, now: u64) -> Vec<Self> {
        let (first, second) = self.items.split_at(self.items.len() / 2);
        let failures = self.failures + 1;
        let half = |items: &[Arc<Item>], note, not_before| Self {
            items: items.to_vec(),
            failures,
            not_before,
            note,
        };
        vec![
            half(first, "first half", now + backoff(failures)),
            half(second, "second half", now),
        ]
    }
}

fn backoff(failures: u32) -> u64 {
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1).min(32));
    (FIRST_BACKOFF_MS * doubled.unwrap_or(1)).min(LONGEST_BACKOFF_MS)
}

impl Shard {
    fn new(range: (u128, u128), parent: Option<usize>, start: Sequence, factor: usize) -> Self {
        Self {
            range,
            parent,
            is_closed: false,
            last: start,
            places: 0,
            seen: 0,
            lanes: vec![Lane::default(); factor.max(1)],
        }
    }

    fn holds(&self, hash: u128) -> bool {
        (self.range.0..=self.range.1).contains(&hash)
    }

    fn is_drained(&self) -> bool {
        let is_drained =
            |lane: &Lane| !lane.is_busy && lane.waiting.is_empty() && lane.again.is_empty();
        self.lanes.iter().all(is_drained)
    }
}

fn hash(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}

/// The lane of a partition key. AWS says that records of one partition key stay in order, but not how they are divided
/// into lanes; here by another hash of the key.
fn lane_of(partition_key: &str, lanes: usize) -> usize {
    let lane = hash(&format!("lane of {partition_key}")) % lanes.max(1) as u128;
    usize::try_from(lane).unwrap_or(0)
}

/// Separates the records that are too old from the others.
///
/// `docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html` and
/// `docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html`: a record older than
/// `MaximumRecordAgeInSeconds` is discarded and sent to the on-failure destination. Keeping the younger records of its
/// batch is our choice; the pages speak of single records.
fn split_by_age(items: &[Arc<Item>], now: u64, max_age: u64) -> (Vec<Arc<Item>>, Vec<Arc<Item>>) {
    let items = items.iter().cloned();
    items.partition(|item| item.is_older_than(max_age, now))
}

impl Item {
    fn is_older_than(&self, max_age: u64, now: u64) -> bool {
        now.saturating_sub(self.arrived) > max_age
    }

    /// The record in the event that the function gets.
    fn event(&self, rules: &StreamRules, dice: Dice) -> Value {
        let sequence = self.sequence.to_string();
        let arrived = MIDNIGHT_MS + self.arrived;
        match &self.record {
            // As in the example event of `docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html`.
            StreamRecord::Kinesis(data) => json!({
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": self.partition_key,
                    "sequenceNumber": sequence,
                    "data": BASE64.encode(data),
                    "approximateArrivalTimestamp": seconds(arrived),
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": format!("shardId-{:012}:{sequence}", self.shard),
                "eventName": "aws:kinesis:record",
                "awsRegion": region(&rules.arn),
                "eventSourceARN": rules.arn,
            }),
            // As in the example event of `docs.aws.amazon.com/lambda/latest/dg/with-ddb.html`.
            StreamRecord::DynamoDb {
                event_name,
                new_image,
            } => {
                let mut change = json!({
                    "ApproximateCreationDateTime": arrived / 1000,
                    "SequenceNumber": sequence,
                    "SizeBytes": new_image.to_string().len(),
                    "StreamViewType": "NEW_IMAGE",
                });
                if !new_image.is_null() {
                    change["NewImage"] = new_image.clone();
                }
                let id = [0, 1].map(|half| {
                    let draw = dice.draw(format_args!("event id {} {half}", self.name));
                    format!("{draw:016x}")
                });
                json!({
                    "eventID": id.concat(),
                    "eventName": event_name,
                    "eventVersion": "1.1",
                    "eventSource": "aws:dynamodb",
                    "awsRegion": region(&rules.arn),
                    "dynamodb": change,
                    "eventSourceARN": rules.arn,
                })
            }
        }
    }
}

/// Milliseconds as seconds with decimals.
fn seconds(ms: u64) -> f64 {
    let part = |ms: u64| f64::from(u32::try_from(ms).unwrap_or(u32::MAX));
    part(ms / 1000) + part(ms % 1000) / 1000.0
}

const TEN_TO_30: u128 = 10_u128.pow(30);

impl Sequence {
    /// The first sequence number of a shard. Some shards soon reach a number with one more digit, so that comparing as
    /// text gives another order than comparing as numbers.
    ///
    /// `docs.aws.amazon.com/kinesis/latest/APIReference/API_SequenceNumberRange.html` allows up to 129 digits; 56
    /// digits that begin with 49 are usual.
    /// `docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_SequenceNumberRange.html` allows 21 to 40.
    fn start(kind: StreamKind, name: &str, shard: usize, dice: Dice) -> Self {
        let draw = |what: &str| dice.draw(format_args!("{what} {name} shard {shard}"));
        let before = 1 + u128::from(draw("records before more digits") % (10 * LARGEST_STEP));
        let grows = dice.happens(
            format_args!("sequence gets longer {name} shard {shard}"),
            800,
        );
        match (kind, grows) {
            (StreamKind::Kinesis, false) => Self {
                high: 49 * 10_u128.pow(24) + u128::from(draw("sequence high")),
                low: u128::from(draw("sequence low")),
            },
            (StreamKind::Kinesis, true) => Self {
                high: 10_u128.pow(25) - 1,
                low: TEN_TO_30 - before,
            },
            (StreamKind::DynamoDb, false) => Self {
                high: 0,
                low: 2 * 10_u128.pow(23) + u128::from(draw("sequence low")),
            },
            (StreamKind::DynamoDb, true) => Self {
                high: 0,
                low: 10_u128.pow(21) - before,
            },
        }
    }

    fn plus(self, step: u64) -> Self {
        let low = self.low + u128::from(step);
        Self {
            high: self.high + low / TEN_TO_30,
            low: low % TEN_TO_30,
        }
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.high == 0 {
            write!(f, "{}", self.low)
        } else {
            write!(f, "{}{:030}", self.high, self.low)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::drive::{drive, drive_from, ids};
    use super::*;

    fn stream(kind: StreamKind, bisect: bool, seed: u64) -> Stream {
        let rules = StreamRules {
            arn: "arn:aws:kinesis:us-east-1:1:stream/orders".into(),
            kind,
            shards: 2,
            batch_size: 10,
            factor: 2,
            bisect,
            max_age_ms: 7 * 86_400_000,
        };
        Stream::new(rules, "orders", Dice::new(seed))
    }

    fn one_shard(seed: u64) -> Stream {
        let mut stream = stream(StreamKind::Kinesis, true, seed);
        stream.shards.drain(1..);
        stream.shards[0].range = (0, u128::MAX);
        stream.shards[0].lanes.drain(1..);
        stream
    }

    fn record(kind: StreamKind, n: u64) -> StreamRecord {
        match kind {
            StreamKind::Kinesis => StreamRecord::Kinesis(n.to_string().into_bytes()),
            StreamKind::DynamoDb => StreamRecord::DynamoDb {
                event_name: "INSERT",
                new_image: json!({"n": {"N": n.to_string()}}),
            },
        }
    }

    /// The number that [`record`] put in.
    fn numbers(batch: &Batch) -> Vec<u64> {
        let records = batch.event["Records"].as_array().unwrap();
        let number = |record: &Value| {
            let image = &record["dynamodb"]["NewImage"];
            if let Some(number) = image["n"]["N"].as_str() {
                return number.parse().unwrap();
            }
            let data = BASE64.decode(record["kinesis"]["data"].as_str().unwrap());
            String::from_utf8(data.unwrap()).unwrap().parse().unwrap()
        };
        records.iter().map(number).collect()
    }

    fn put_forty(stream: &mut Stream, kind: StreamKind) {
        for n in 0..40 {
            stream.put(n * 50, &format!("k-{}", n % 5), record(kind, n));
            if n % 15 == 14 {
                stream.reshard(n * 50);
            }
        }
    }

    /// For five minutes, one third of the batches fail and another third fail partially.
    fn moody(dice: Dice, now: u64, ticket: u64, ids: &[String]) -> Answer {
        let draw = format!("answer {ticket}");
        match dice.between(&draw, 0, 3) {
            0 if now < 300_000 => Answer::Failed,
            1 if now < 300_000 => {
                let fails = |id: &&String| dice.happens(format_args!("{draw} {id}"), 300);
                Answer::Failures(ids.iter().filter(fails).cloned().collect())
            }
            _ => Answer::Failures(Vec::new()),
        }
    }

    #[track_caller]
    fn nothing_is_lost(kind: StreamKind, bisect: bool, seed: u64) {
        let dice = Dice::new(seed);
        let mut stream = stream(kind, bisect, seed);
        put_forty(&mut stream, kind);
        // When each record was done.
        let mut done: BTreeMap<u64, u64> = BTreeMap::new();
        let history = drive(&mut stream, |now, batch| {
            let (ids, numbers) = (ids(batch), numbers(batch));
            let runs = dice.between(format_args!("runs {}", batch.ticket), 1, 900);
            let answer = moody(dice, now, batch.ticket, &ids);
            if batch.what.contains("once more") {
                return (runs, answer);
            }
            // The earlier records of the same key are done, or are in the same batch.
            for &number in &numbers {
                let mut earlier = (0..number).filter(|other| other % 5 == number % 5);
                let is_done = |other: u64| done.get(&other).is_some_and(|&time| time <= now);
                assert!(
                    earlier.all(|other| numbers.contains(&other) || is_done(other)),
                    "{number}"
                );
            }
            assert!(numbers.is_sorted());
            if let Answer::Failures(failures) = &answer {
                let good = ids.iter().position(|id| failures.contains(id));
                for &number in &numbers[..good.unwrap_or(ids.len())] {
                    assert_eq!(done.insert(number, now + runs), None);
                }
            }
            (runs, answer)
        });
        assert!(done.keys().copied().eq(0..40), "seed {seed}: {history:#?}");
        assert_eq!(stream.given_up(), 0);
    }

    #[test]
    fn nothing_is_lost_and_no_record_overtakes_its_key() {
        for seed in 0..60 {
            nothing_is_lost(StreamKind::Kinesis, seed % 2 == 0, seed);
            nothing_is_lost(StreamKind::DynamoDb, seed % 2 == 0, seed);
        }
    }

    #[test]
    fn the_checkpoint_is_the_lowest_failure_as_an_integer() {
        let item = |low: u128| {
            Arc::new(Item {
                name: String::new(),
                partition_key: "k".into(),
                shard: 0,
                place: 1,
                sequence: Sequence { high: 0, low },
                arrived: 0,
                visible: 0,
                record: StreamRecord::Kinesis(Vec::new()),
            })
        };
        let items = [999_999_990, 999_999_999, 1_000_000_001].map(item);
        let at = |ids: &[&str]| {
            let ids = ids.iter().map(|&id| id.to_owned()).collect();
            match checkpoint(&items, Answer::Failures(ids)) {
                Checkpoint::End => "end".to_owned(),
                Checkpoint::Start => "start".to_owned(),
                Checkpoint::At(place) => place.to_string(),
            }
        };
        assert_eq!(at(&["1000000001", "999999999"]), "1");
        assert_eq!(at(&["1000000001"]), "2");
        assert_eq!(at(&[]), "end");
        assert_eq!(at(&["1000000001", "7"]), "start");
        assert_eq!(at(&[""]), "start");
    }

    #[test]
    fn sequence_numbers_grow_and_some_grow_by_a_digit() {
        for (kind, digits) in [
            (StreamKind::Kinesis, [55, 56]),
            (StreamKind::DynamoDb, [21, 22]),
        ] {
            let sequence = |seed| Sequence::start(kind, "orders", 0, Dice::new(seed));
            let shard = (0..99).map(sequence).find(|sequence| {
                let longer = sequence.plus(10 * LARGEST_STEP);
                [*sequence, longer].map(|sequence| sequence.to_string().len()) == digits
            });
            let shard = shard.unwrap();
            let longer = shard.plus(10 * LARGEST_STEP);
            assert!(shard < longer && shard.to_string() > longer.to_string());
        }
    }

    #[test]
    fn halving_narrows_to_the_one_record_that_fails() {
        let mut stream = one_shard(7);
        for n in 0..8 {
            stream.put(0, "k", record(StreamKind::Kinesis, n));
        }
        let (mut done, mut failed) = (BTreeSet::new(), Vec::new());
        drive_from(1000, &mut stream, |now, batch| {
            let numbers = numbers(batch);
            if numbers.contains(&5) && now < 60_000 {
                failed.push(numbers);
                return (10, Answer::Failed);
            }
            done.extend(numbers);
            (10, Answer::Failures(Vec::new()))
        });
        assert_eq!(done, (0..8).collect());
        let sizes: Vec<usize> = failed.iter().map(Vec::len).collect();
        assert!(sizes.is_sorted_by(|one, next| one >= next), "{sizes:?}");
        assert!(sizes[0] > 1);
        assert_eq!(failed.last(), Some(&vec![5]));
    }

    #[test]
    fn without_bisect_the_whole_batch_comes_again() {
        let mut stream = one_shard(7);
        stream.rules.bisect = false;
        for n in 0..8 {
            stream.put(0, "k", record(StreamKind::Kinesis, n));
        }
        let first = stream.take(1000).unwrap();
        assert!(first.records > 1);
        stream.answered(1010, first.ticket, Answer::Failed);
        assert_eq!(stream.next_time(1010), Some(1110));
        let again = stream.take(1110).unwrap();
        assert_eq!(numbers(&first), numbers(&again));
        // Everything from the lowest failure on, in any order of the list.
        let mut failures = ids(&again).split_off(1);
        failures.reverse();
        stream.answered(1120, again.ticket, Answer::Failures(failures));
        let rest = stream.take(1220).unwrap();
        assert_eq!(numbers(&again)[1..], numbers(&rest));
    }

    #[test]
    fn what_is_too_old_goes_to_the_destination() {
        let mut stream = one_shard(7);
        stream.rules.max_age_ms = 600_000;
        stream.put(0, "k", record(StreamKind::Kinesis, 0));
        stream.put(300_000, "k", record(StreamKind::Kinesis, 1));
        let mut done = Vec::new();
        drive(&mut stream, |_, batch| {
            if numbers(batch).contains(&0) {
                return (10, Answer::Failed);
            }
            done.extend(numbers(batch));
            (10, Answer::Failures(Vec::new()))
        });
        assert_eq!(done, [1]);
        assert_eq!(stream.given_up(), 1);
        let data = &stream.expired_records()[0]["kinesis"]["data"];
        assert_eq!(data, &BASE64.encode("0"));
    }

    #[test]
    fn a_retry_waits_longer_each_time() {
        assert_eq!([1, 2, 3, 99].map(backoff), [100, 200, 400, 60_000]);
    }

    #[test]
    fn a_batch_may_come_once_more_beside_the_next() {
        let overlap = (0..400).any(|seed| {
            let mut stream = one_shard(seed);
            for n in 0..20 {
                stream.put(0, "k", record(StreamKind::Kinesis, n));
            }
            let mut running: Vec<(u64, bool)> = Vec::new();
            let mut overlaps = false;
            drive(&mut stream, |now, batch| {
                running.retain(|&(end, _)| end > now);
                let is_copy = batch.what.ends_with("(once more)");
                overlaps |= running.iter().any(|&(_, other)| other != is_copy);
                running.push((now + 200, is_copy));
                (200, Answer::Failures(Vec::new()))
            });
            overlaps
        });
        assert!(overlap);
    }

    #[test]
    fn the_same_dice_deliver_the_same() {
        let run = |seed| {
            let mut stream = stream(StreamKind::Kinesis, true, seed);
            put_forty(&mut stream, StreamKind::Kinesis);
            let dice = Dice::new(seed);
            let mut events = Vec::new();
            let history = drive(&mut stream, |now, batch| {
                events.push(batch.event.to_string());
                (5, moody(dice, now, batch.ticket, &ids(batch)))
            });
            (history, events)
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn events_have_the_form_that_lambda_passes() {
        let mut stream = one_shard(1);
        stream.put(1500, "k", record(StreamKind::Kinesis, 7));
        assert!(stream.take(1499).is_none());
        let time = stream.next_time(1499).unwrap();
        let batch = stream.take(time).unwrap();
        let record = &batch.event["Records"][0];
        let sequence = record["kinesis"]["sequenceNumber"].as_str().unwrap();
        assert_eq!(batch.what, "orders shard 0 lane 0 #1");
        assert_eq!(record["kinesis"]["data"], "Nw==");
        assert_eq!(record["kinesis"]["partitionKey"], "k");
        assert_eq!(
            record["kinesis"]["approximateArrivalTimestamp"].to_string(),
            "1780272001.5"
        );
        assert_eq!(record["eventSource"], "aws:kinesis");
        assert_eq!(record["awsRegion"], "us-east-1");
        assert_eq!(
            record["eventID"],
            format!("shardId-000000000000:{sequence}")
        );
    }
}
