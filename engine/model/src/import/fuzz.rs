//! Checks for any bytes at all, shared by the tests and the fuzz target.

/// Reads the bytes as a model file. Must not panic, whatever they are.
pub fn read_model(data: &[u8]) {
    let _ = super::read_model(data);
    for model in [super::read_xgboost(data), super::read_lightgbm(data)]
        .into_iter()
        .flatten()
    {
        let _ = (model.predict(&[0.5; 8]), model.forest.to_bytes());
    }
}
