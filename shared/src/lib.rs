//! What every function of fraudstream knows: mapping, records and batches, decisions, labels, telemetry.
