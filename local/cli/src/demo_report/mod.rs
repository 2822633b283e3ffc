//! The report of the demo for a fraud lead: which fraud money got away and which was stopped, which good orders were
//! touched, and what each rule contributed; once for each set of rules that judged the same orders.

mod money;
mod state;
mod text;

use std::collections::HashMap;
use std::io::BufRead as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use money::Volume;
pub use state::{ActiveRule, StateReport};

/// The truth about one order, as the simulator knows it.
#[derive(Clone, Debug, Deserialize)]
pub struct KnownTruth {
    order_id: String,
    fraud: bool,
    pattern: String,
    why: String,
    amount_usd: String,
}

/// The whole report: the same new orders, judged in several states.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DemoReport {
    /// From the fewest facts to the most.
    pub states: Vec<StateReport>,
}

/// Reads `truth.jsonl` of a simulated shop.
///
/// # Errors
/// The file cannot be read, or a line cannot be parsed.
pub fn read_truth(path: &Path) -> std::io::Result<HashMap<String, KnownTruth>> {
    let file = std::fs::File::open(path)?;
    let mut truths = HashMap::new();
    for line in std::io::BufReader::new(file).lines() {
        let truth: KnownTruth = serde_json::from_str(&line?)?;
        truths.insert(truth.order_id.clone(), truth);
    }
    Ok(truths)
}

impl DemoReport {
    /// A fraud that the last state did not approve, to look at.
    pub fn example(&self) -> Option<&str> {
        let last = self.states.last()?;
        last.example().map(|order| order.order_id.as_str())
    }
}
