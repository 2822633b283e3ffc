//! An engine with the API of Amazon Fraud Detector.
