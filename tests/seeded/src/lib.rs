//! The operating system's random numbers, from a seed, for one thread.
//!
//! Ids ([`uuid`](https://docs.rs/uuid)) and the order of hash maps come from the `getrandom` of the C library. On Linux
//! this crate takes its place: on a thread that called [`seed_this_thread`] it answers from a generator with that seed,
//! on every other one it asks the system. So a test on a new thread makes the same ids and walks its maps in the same
//! order, each time that it runs. A program that links this crate must be a test.
//!
//! On other systems the seed has no effect.

use std::cell::RefCell;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

thread_local! {
    static GENERATOR: RefCell<Option<ChaCha8Rng>> = const { RefCell::new(None) };
}

/// Answers this thread's questions for random numbers from `seed`, from now on.
///
/// To be called first on a new thread: a hash map that was made before has taken the thread's keys from the system.
pub fn seed_this_thread(seed: u64) {
    GENERATOR.with_borrow_mut(|generator| *generator = Some(ChaCha8Rng::seed_from_u64(seed)));
}

#[cfg(target_os = "linux")]
mod linux {
    use rand::Rng as _;

    /// The `getrandom` of the C library, see `man 2 getrandom`.
    ///
    /// # Safety
    /// `buffer` has room for `length` bytes, as the caller of the C function promises.
    #[allow(unsafe_code, reason = "the function of the C library has this form")]
    #[unsafe(no_mangle)]
    unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, flags: u32) -> isize {
        if buffer.is_null() || length == 0 {
            return 0;
        }
        // SAFETY: the caller promises that the buffer has room; zeroed first, because it may hold nothing yet.
        let buffer = unsafe {
            std::ptr::write_bytes(buffer, 0, length);
            std::slice::from_raw_parts_mut(buffer, length)
        };
        let seeded = super::GENERATOR.try_with(|generator| {
            let mut generator = generator.try_borrow_mut().ok()?;
            generator.as_mut()?.fill_bytes(buffer);
            Some(())
        });
        if let Ok(Some(())) = seeded {
            return isize::try_from(length).unwrap_or(-1);
        }
        let flags = rustix::rand::GetRandomFlags::from_bits_retain(flags);
        match rustix::rand::getrandom(buffer, flags) {
            Ok(filled) => isize::try_from(filled).unwrap_or(-1),
            Err(_) => -1,
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "what cannot go on should stop")]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Two ids and the order of a set, on a new thread.
    fn seen(seed: Option<u64>) -> (String, Vec<u32>) {
        let thread = std::thread::spawn(move || {
            if let Some(seed) = seed {
                seed_this_thread(seed);
            }
            let ids = format!("{} {}", uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
            let set: HashSet<u32> = (0..100).collect();
            (ids, set.into_iter().collect())
        });
        thread.join().unwrap()
    }

    #[test]
    fn a_seed_gives_the_same_ids_and_orders_and_no_seed_gives_others() {
        assert_eq!(seen(Some(1)), seen(Some(1)));
        assert_ne!(seen(Some(1)), seen(Some(2)));
        assert_ne!(seen(None), seen(None));
    }
}
