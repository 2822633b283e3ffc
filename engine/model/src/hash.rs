//! Hashes that stay the same in every version: artifacts and stored histories depend on them.

/// The hash of bytes. Never 0.
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    hash_with_salt(0, bytes)
}

/// The hash of bytes, another one for each salt. Never 0.
pub(crate) fn hash_with_salt(salt: u64, bytes: &[u8]) -> u64 {
    let mut state = mix_bits(salt ^ 0x9E37_79B9_7F4A_7C15 ^ ((bytes.len() as u64) << 32));
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        state = mix_bits(state ^ u64::from_le_bytes(word));
    }
    let mut word = [0; 8];
    word[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    mix_bits(state ^ u64::from_le_bytes(word)).max(1)
}

/// Adds one byte to a running hash. Faster and weaker than [`hash_with_salt_salt`].
pub(crate) fn add_byte_to_hash(state: u64, byte: u8) -> u64 {
    (state ^ u64::from(byte))
        .wrapping_mul(0xff51_afd7_ed55_8ccd)
        .rotate_left(23)
}

/// Mixes the bits of a number: the finalizer of `SplitMix64` (Steele, Lea, Flood 2014).
pub(crate) fn mix_bits(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The next number of the `SplitMix64` generator (Steele, Lea, Flood 2014) in this state.
pub(crate) fn next_split_mix(state: u64) -> u64 {
    mix_bits(state.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

/// The key of a hash, as tables and histories hold it: its upper 32 bits. 0 stands for no key.
pub(crate) fn shorten_key(key: u64) -> u32 {
    let short = (key >> 32) as u32;
    if key == 0 { 0 } else { short.max(1) }
}
