//! The rule language of Amazon Fraud Detector: text, checked rule, verdict.
