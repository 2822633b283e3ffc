//! What Amazon Fraud Detector accepts as an event, as types that can only hold what is valid.
