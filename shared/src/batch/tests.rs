use super::*;
use crate::failure::ServiceRefusal;
use crate::records::Origin;

/// Records written as `key:payload`; the payload says what becomes of it.
pub(super) fn records(origin: Origin, lines: &[&str]) -> Vec<Record> {
    lines
        .iter()
        .enumerate()
        .map(|(n, line)| {
            let (key, payload) = line.split_once(':').unwrap();
            Record {
                position: Position::new(origin, "arn:x:orders", (n + 8).to_string()),
                key: (!key.is_empty()).then(|| key.to_owned()),
                payload: payload.into(),
            }
        })
        .collect()
}

async fn process(_: usize, record: &Record) -> Result<(), Failure> {
    match record.payload.as_slice() {
        b"bad" => Err(Failure::rejected("bad", "bad")),
        b"down" => Err(Failure::retry("down")),
        b"panic" => panic!("as the test wants"),
        b"refused" => Err(Failure::Rejected(Rejection {
            class: "refused",
            reason: String::new(),
            refusal: Some(ServiceRefusal {
                code: "ValidationException".into(),
                member: "price".into(),
            }),
        })),
        b"slow" => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn no_subjects(_: usize) -> Vec<String> {
    Vec::new()
}

/// Runs a batch and keeps the ids of what was parked.
pub(super) async fn answer(
    batcher: &Batcher,
    records: Vec<Record>,
    deadline: Option<Instant>,
    parked: &Mutex<Vec<String>>,
) -> String {
    let park = async |record: &Record, _: &Rejection| {
        parked.lock().unwrap().push(record.position.id.clone());
        Ok(())
    };
    let ends = batcher.phase_deadlines(deadline);
    let handled = batcher
        .run(
            records,
            ends,
            no_subjects,
            process,
            CHUNK,
            keep_results,
            park,
        )
        .await;
    match handled.response() {
        Ok(response) => {
            let items: Vec<_> = response
                .batch_item_failures
                .into_iter()
                .map(|item| item.item_identifier)
                .collect();
            items.join(" ")
        }
        Err(error) => format!("error: {error}"),
    }
}

#[track_caller]
fn check(origin: Origin, lines: &[&str], want: &str, parked: &[&str]) {
    let parked_ids = Mutex::default();
    let batcher = Batcher::new("test", Budget::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let got = runtime.block_on(async {
        let deadline = Instant::now() + Budget::default().margin + Duration::from_millis(50);
        answer(
            &batcher,
            records(origin, lines),
            Some(deadline),
            &parked_ids,
        )
        .await
    });
    assert_eq!(got, want, "{lines:?}");
    let mut ids = parked_ids.into_inner().unwrap();
    ids.sort();
    assert_eq!(ids, parked, "{lines:?}");
}

#[test]
fn a_stream_names_its_lowest_failure() {
    use Origin::Kinesis;
    check(Kinesis, &[], "", &[]);
    check(Kinesis, &["a:ok", "b:ok"], "", &[]);
    check(Kinesis, &["a:ok", "b:down", "c:ok"], "9", &[]);
    // 9 comes before 10 although "10" sorts before "9".
    check(Kinesis, &["a:ok", "b:down", "c:down"], "9", &[]);
    check(
        Kinesis,
        &["a:down", "b:down"],
        "error: all 2 records failed and will be delivered again; the first: down",
        &[],
    );
}

#[test]
fn a_key_stops_at_its_first_retry() {
    check(
        Origin::Sqs,
        &["a:ok", "a:down", "a:ok", "b:ok"],
        "9 10",
        &[],
    );
    check(Origin::Sqs, &[":ok", ":down", ":ok"], "9", &[]);
}

#[test]
fn rejections_are_parked_and_stop_nothing() {
    check(Origin::Sqs, &["a:bad", "a:ok"], "", &["8"]);
    check(Origin::Kinesis, &["a:panic", "b:ok"], "", &["8"]);
    // What lies above the checkpoint comes again, so it is not parked now.
    check(Origin::Kinesis, &["a:bad", "b:down", "c:bad"], "9", &["8"]);
    check(
        Origin::Sqs,
        &["a:bad", "b:down", "c:bad"],
        "9",
        &["10", "8"],
    );
}

#[test]
fn what_the_deadline_cuts_off_comes_again() {
    check(Origin::Sqs, &["a:ok", "b:slow", "b:ok"], "9 10", &[]);
}

#[test]
fn refusals_that_are_all_alike_are_set_up() {
    let ten = ["a:refused"; 10];
    check(
        Origin::Kinesis,
        &ten,
        "error: all 10 records failed and will be delivered again; the first: every record is refused with ValidationException at `price`",
        &[],
    );
    let mut nine = ten;
    nine[9] = "a:ok";
    check(
        Origin::Kinesis,
        &nine,
        "",
        &["10", "11", "12", "13", "14", "15", "16", "8", "9"],
    );
}

#[tokio::test]
async fn twenty_refusals_in_a_row_are_set_up_over_batches() {
    let parked = Mutex::default();
    let batcher = Batcher::new("test", Budget::default());
    for round in 0..21_usize {
        let mut other = records(Origin::Sqs, &["a:refused"]);
        other[0].position.id = round.to_string();
        let got = answer(&batcher, other, None, &parked).await;
        assert_eq!(got.starts_with("error"), round >= 19, "{round}: {got}");
    }
    assert_eq!(parked.lock().unwrap().len(), 19);
    for one in ["a:ok", "a:refused"] {
        assert_eq!(
            answer(&batcher, records(Origin::Sqs, &[one]), None, &parked).await,
            ""
        );
    }
}

#[tokio::test]
async fn one_record_that_is_delivered_again_and_again_is_no_wrong_set_up() {
    let parked = Mutex::default();
    let batcher = Batcher::new("test", Budget::default());
    for round in 0..50 {
        // On a stream the record comes again while a record before it is a retry.
        let lines = if round < 49 {
            ["a:down", "b:refused"]
        } else {
            ["a:ok", "b:refused"]
        };
        let got = answer(&batcher, records(Origin::Kinesis, &lines), None, &parked).await;
        assert_eq!(got, if round < 49 { "8" } else { "" }, "{round}");
    }
    assert_eq!(*parked.lock().unwrap(), ["9"]);
}

#[tokio::test]
async fn what_was_done_before_the_deadline_stays_done() {
    let batcher = Batcher::new(
        "test",
        Budget {
            concurrency: 1,
            ..Budget::default()
        },
    );
    let records = records(
        Origin::Sqs,
        &["a:ok", "b:ok", "c:ok", "d:bad", "e:bad", "f:slow", "g:ok"],
    );
    let ends = batcher.phase_deadlines(Some(Instant::now() + Duration::from_secs(4)));
    // Settling and parking take the time that they have, and more.
    let settle = async |chunk: Vec<()>, say: &dyn Fn(usize, Result<(), Failure>)| {
        for index in 0..chunk.len() {
            tokio::time::sleep(Duration::from_millis(1_300)).await;
            say(index, Ok(()));
        }
    };
    let park = async |_: &Record, _: &Rejection| {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(())
    };
    let handled = batcher
        .run(records, ends, no_subjects, process, CHUNK, settle, park)
        .await;
    let failures = handled.response().unwrap().batch_item_failures;
    let failed: Vec<&str> = failures
        .iter()
        .map(|item| item.item_identifier.as_str())
        .collect();
    // Two of three are settled within three seconds, one of two is parked within the next three quarters of a second.
    assert_eq!(failed, ["10", "12", "13", "14"]);
    assert!(Instant::now() < ends.park.unwrap() + Duration::from_millis(250));
}

/// Runs a batch, and writes down the chunks that are settled, in order: the payloads of each. A payload that ends with
/// `?` cannot be settled now, and one that ends with `!` never.
async fn list_chunks(chunk: usize, lines: &[&str]) -> (String, String) {
    let batcher = Batcher::new("test", Budget::default());
    let chunks = Mutex::new(Vec::new());
    let judge = async |_: usize, record: &Record| {
        let payload = String::from_utf8_lossy(&record.payload).into_owned();
        match payload.as_str() {
            "down" => Err(Failure::retry("down")),
            "slow" => {
                tokio::time::sleep(Duration::from_mins(1)).await;
                Ok(payload)
            }
            _ => Ok(payload),
        }
    };
    let settle = async |chunk: Vec<String>, say: &dyn Fn(usize, Result<String, Failure>)| {
        chunks.lock().unwrap().push(chunk.join(" "));
        tokio::time::sleep(Duration::from_millis(10)).await;
        for (place, payload) in chunk.into_iter().enumerate() {
            let result = match payload.chars().last() {
                Some('?') => Err(Failure::retry("throttled")),
                Some('!') => Err(Failure::rejected("bad", "bad")),
                _ => Ok(payload),
            };
            say(place, result);
        }
    };
    let park = async |_: &Record, _: &Rejection| Ok(());
    let ends = batcher.phase_deadlines(Some(Instant::now() + Duration::from_secs(20)));
    let records = records(Origin::Sqs, lines);
    let handled = batcher
        .run(records, ends, no_subjects, judge, chunk, settle, park)
        .await;
    let failed = match handled.response() {
        Ok(response) => {
            let items = response.batch_item_failures.into_iter();
            let items: Vec<_> = items.map(|item| item.item_identifier).collect();
            items.join(" ")
        }
        Err(_) => "all".to_owned(),
    };
    (chunks.into_inner().unwrap().join(" | "), failed)
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_settled_in_chunks() {
    #[track_caller]
    fn check(got: &(String, String), chunks: &str, failed: &str) {
        assert_eq!((got.0.as_str(), got.1.as_str()), (chunks, failed));
    }
    // A chunk is settled when it is full, and the last one when nothing else is on its way.
    let got = list_chunks(2, &["a:1", "b:2", "c:3", "d:4", "e:5"]).await;
    check(&got, "1 2 | 3 4 | 5", "");
    // A chunk has at most one record of a key, and the next one waits until it is settled.
    let got = list_chunks(4, &["a:1", "a:2", "b:3", "a:4"]).await;
    check(&got, "1 3 | 2 | 4", "");
    // After a retry, no record of the key enters a later chunk; others go on.
    let got = list_chunks(4, &["a:1?", "b:2", "a:3", "b:4", "c:down", "c:5"]).await;
    check(&got, "1? 2 | 4", "8 10 12 13");
    // A rejection stops nothing.
    let got = list_chunks(4, &["a:1!", "a:2", "b:3"]).await;
    check(&got, "1! 3 | 2", "");
    // One slow record does not stop the other keys.
    let got = list_chunks(4, &["a:1", "b:slow", "c:3", "a:4", "b:5"]).await;
    check(&got, "1 3 | 4", "9 12");
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_settling_fails_the_records_that_were_not_reported() {
    let batcher = Batcher::new("test", Budget::default());
    let settle = async |chunk: Vec<()>, say: &dyn Fn(usize, Result<(), Failure>)| {
        say(0, Ok(()));
        assert!(chunk.len() < 2, "as the test wants");
    };
    let park = async |_: &Record, _: &Rejection| Ok(());
    let handled = batcher
        .run(
            records(Origin::Sqs, &["a:ok", "b:ok", "b:ok"]),
            PhaseDeadlines::default(),
            no_subjects,
            process,
            CHUNK,
            settle,
            park,
        )
        .await;
    let failures = handled.response().unwrap().batch_item_failures;
    let failed: Vec<_> = failures.iter().map(|item| &item.item_identifier).collect();
    assert_eq!(failed, ["9", "10"]);
}

#[tokio::test]
async fn preparation_counts_against_the_deadline() {
    let batcher = Batcher::new("test", Budget::default());
    let ends = batcher.phase_deadlines(Some(Instant::now() + Duration::from_millis(100)));
    let records = records(Origin::Sqs, &[":ok"; 50]);
    let prepared = prepare_records(&records, ends, |_| {
        std::thread::sleep(Duration::from_millis(10));
        Ok(())
    });
    let reached = prepared.iter().filter(|result| result.is_ok()).count();
    assert!((1..40).contains(&reached), "{reached} of 50");
    assert!(matches!(&prepared[49], Err(Failure::Retry(retry)) if retry.cause == "not reached"));
}

#[tokio::test]
async fn a_record_that_cannot_be_parked_is_delivered_again() {
    let batcher = Batcher::new("test", Budget::default());
    let broken = async |_: &Record, _: &Rejection| Err(Failure::retry("PutObject: no disk"));
    let handled = batcher
        .run(
            records(Origin::Sqs, &["a:bad", "b:ok"]),
            PhaseDeadlines::default(),
            no_subjects,
            process,
            CHUNK,
            keep_results,
            broken,
        )
        .await;
    assert_eq!(
        handled.response().unwrap().batch_item_failures[0].item_identifier,
        "8"
    );
}

#[tokio::test]
async fn keys_run_side_by_side_and_one_key_in_order() {
    let batcher = Batcher::new(
        "test",
        Budget {
            concurrency: 16,
            ..Budget::default()
        },
    );
    let park = async |_: &Record, _: &Rejection| Ok(());
    let seen = Mutex::new(Vec::new());
    let slow = async |_: usize, record: &Record| -> Result<(), Failure> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        seen.lock().unwrap().push(record.position.id.clone());
        Ok(())
    };
    let distinct: Vec<String> = (0..100).map(|n| format!("k{n}:ok")).collect();
    let lines: Vec<&str> = distinct.iter().map(String::as_str).collect();
    let start = Instant::now();
    batcher
        .run(
            records(Origin::Kinesis, &lines),
            PhaseDeadlines::default(),
            no_subjects,
            &slow,
            CHUNK,
            keep_results,
            &park,
        )
        .await;
    let overlapped = start.elapsed();
    seen.lock().unwrap().clear();
    let start = Instant::now();
    batcher
        .run(
            records(Origin::Kinesis, &["k:ok"; 100]),
            PhaseDeadlines::default(),
            no_subjects,
            &slow,
            CHUNK,
            keep_results,
            &park,
        )
        .await;
    let one_by_one = start.elapsed();
    let in_order: Vec<String> = (8..108).map(|n| n.to_string()).collect();
    assert_eq!(*seen.lock().unwrap(), in_order);
    assert!(
        overlapped * 3 < one_by_one,
        "{overlapped:?} against {one_by_one:?}"
    );
}

#[tokio::test]
async fn a_group_of_a_queue_that_failed_stops_alone_and_is_forgotten_once_it_succeeds() {
    let parked = Mutex::default();
    let batcher = Batcher::new("test", Budget::default());
    let deliveries = [
        // The group stops at its first failure, and the other one goes on.
        (["a:down", "a:ok", "b:ok"], "8 9"),
        // The same environment remembers neither the failure nor the group.
        (["a:ok", "a:ok", "b:ok"], ""),
        (["b:down", "a:ok", "b:ok"], "8 10"),
        (["b:ok", "a:ok", "b:ok"], ""),
    ];
    for (lines, want) in deliveries {
        let got = answer(&batcher, records(Origin::Sqs, &lines), None, &parked).await;
        assert_eq!(got, want, "{lines:?}");
    }
}
