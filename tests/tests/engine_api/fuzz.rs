//! Random bytes on the wire, as tokens and in files, ten seconds each; the fuzz targets run longer.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use aws_sdk_frauddetector::types::RuleExecutionMode::FirstMatched;
use futures::FutureExt as _;

use engine::Engine;

use crate::world::World;

const TIME: Duration = Duration::from_secs(10);
/// How many requests go to one account before a new one is used, because the account fills up.
const REQUESTS: usize = 2_000;

/// A small random number generator (xorshift), so that a run can be repeated with its seed.
struct RandomBytes(u64);

impl RandomBytes {
    fn from_clock() -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        Self(now.as_secs() | 1)
    }

    fn next_number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn random_bytes(&mut self) -> Vec<u8> {
        let length = self.next_number() % 400;
        (0..length)
            .map(|_| self.next_number().to_be_bytes()[0])
            .collect()
    }
}

/// Sends any bytes as a request and checks that the answer is one that a client of AWS understands.
async fn check_answer(engine: &Engine, data: &[u8]) {
    let request = protocol::fuzz::make_request(data);
    let shown = format!("{request:?}");
    let response = engine.handle(request).await;
    assert!(
        protocol::fuzz::is_answer(&response),
        "{shown}\n{response:?}"
    );
}

#[tokio::test]
async fn any_bytes_as_a_request() {
    let mut random = RandomBytes::from_clock();
    let (start, mut requests) = (Instant::now(), 0_usize);
    while start.elapsed() < TIME {
        let world = World::deciding(&[("r", "$price > 1", "block")], FirstMatched).await;
        world.client.create_list().name("l").send().await.unwrap();
        for _ in 0..REQUESTS {
            let seed = random.0;
            let data = random.random_bytes();
            let handled = AssertUnwindSafe(check_answer(&world.engine, &data));
            assert!(handled.catch_unwind().await.is_ok(), "seed {seed}");
            requests += 1;
            if start.elapsed() > TIME {
                break;
            }
        }
    }
    assert!(requests > 100, "only {requests} requests were made");
}

#[test]
fn any_bytes_as_a_token() {
    let mut random = RandomBytes::from_clock();
    let start = Instant::now();
    while start.elapsed() < TIME {
        for _ in 0..100 {
            protocol::fuzz::check_token_bytes(&random.random_bytes());
        }
    }
}

#[test]
fn any_bytes_as_a_file() {
    let mut random = RandomBytes::from_clock();
    let start = Instant::now();
    while start.elapsed() < TIME {
        for number in 0..100 {
            let mut data = random.random_bytes();
            // Most files are made of texts with a meaning in CSV, under a valid header.
            if number % 4 > 0 {
                for byte in &mut data {
                    *byte = b"ab1,\"\n\r\\\xff\0 -"[usize::from(*byte) % 12];
                }
                data.splice(0..0, *b"EVENT_TIMESTAMP,EVENT_ID,price\n");
            }
            protocol::fuzz::check_job_file_bytes(&data);
        }
    }
}
