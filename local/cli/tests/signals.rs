//! The command under Ctrl-C and SIGTERM: it ends, whatever it does, and what it leaves is whole.

#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const LONG: Duration = Duration::from_mins(2);
/// What a command says that does not reach a safe point.
const SENTENCE: &str = "not at a safe point";

/// The command in the folder of the sample files, with its state in `home`.
fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fraudstream"));
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .arg("--home")
        .arg(home)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the command to its end and returns what it says.
fn run(home: &Path, arguments: &[&str]) -> String {
    let output = command(home, arguments).output().unwrap();
    let (told, failed) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {failed}");
    told
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asks until there is an answer.
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not in time");
        thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// How a process ends, what it says on stdout and what on stderr.
fn end(mut child: Child) -> (ExitStatus, String, String) {
    let status = eventually("the process ends", || child.try_wait().unwrap());
    let (mut told, mut failed) = (String::new(), String::new());
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_to_string(&mut told).unwrap();
    let stderr = child.stderr.take().unwrap();
    BufReader::new(stderr).read_to_string(&mut failed).unwrap();
    (status, told, failed)
}

/// A service that takes connections and never answers.
struct Silent {
    listener: TcpListener,
    url: String,
}

impl Silent {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// Waits until the process calls the service.
    fn called(&self, child: &mut Child) -> TcpStream {
        self.listener.set_nonblocking(true).unwrap();
        eventually("a call", || {
            if let Some(status) = child.try_wait().unwrap() {
                let mut failed = String::new();
                let stderr = child.stderr.take().unwrap();
                BufReader::new(stderr).read_to_string(&mut failed).unwrap();
                panic!("{status}: {failed}");
            }
            self.listener.accept().ok()
        })
        .0
    }
}

/// The orders that were told of, and how many lines that are.
fn told(home: &Path) -> (BTreeSet<String>, usize) {
    let outcomes = fs::read_to_string(home.join("outcomes.jsonl")).unwrap_or_default();
    let ids = outcomes.lines().map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["detail"]["decision_id"].as_str().unwrap().to_owned()
    });
    (ids.collect(), outcomes.lines().count())
}

/// The first lines of the sample orders.
fn orders(folder: &Path, count: usize) -> (PathBuf, String) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/orders.jsonl");
    let sample = fs::read_to_string(sample).unwrap();
    let lines: String = sample.split_inclusive('\n').take(count).collect();
    let path = folder.join("orders.jsonl");
    fs::write(&path, &lines).unwrap();
    (path, lines)
}

/// A pipe that is open and silent: the command reads, and looks at nothing else.
#[test]
fn a_run_that_reaches_no_safe_point_ends_and_can_be_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let (home, other) = (folder.path().join("home"), folder.path().join("other"));
    for home in [&home, &other] {
        run(home, &["apply"]);
    }
    // What the first batch is, so that it is known when the command waits for the rest of the next, which is larger.
    let (batch, _) = orders(folder.path(), 50);
    run(&other, &["run", "predict", batch.to_str().unwrap()]);
    let batch = told(&other).1;
    let (path, lines) = orders(folder.path(), 120);
    let mut child = command(&home, &["run", "predict", "-"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines.as_bytes()).unwrap();
    eventually("the first decisions", || {
        let written = fs::read_to_string(home.join("outcomes.jsonl")).unwrap_or_default();
        (written.lines().count() == batch && written.ends_with('\n')).then_some(())
    });
    thread::sleep(Duration::from_secs(1));
    signal(&child, Signal::INT);
    let (status, _, failed) = end(child);
    assert_eq!(status.code(), Some(130), "{failed}");
    assert!(failed.contains(SENTENCE), "{failed}");
    drop(stdin);

    let path = path.to_str().unwrap();
    for home in [&home, &other] {
        run(home, &["run", "predict", path]);
    }
    let (whole, lines) = told(&other);
    assert_eq!(whole.len(), lines);
    assert_eq!(told(&home).0, whole);
}

#[test]
fn the_second_signal_ends_a_run_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = orders(folder.path(), 1);
    let silent = Silent::start();
    let run = ["--endpoint-url", &silent.url, "run", "predict"];
    let run = [&run[..], &[path.to_str().unwrap()]].concat();
    let mut child = command(folder.path(), &run).spawn().unwrap();
    let _open = silent.called(&mut child);
    let again = eventually("the end", || {
        kill_process(Pid::from_child(&child), Signal::INT).ok();
        child.try_wait().unwrap()
    });
    assert_eq!(again.code(), Some(130));
    let (_, _, failed) = end(child);
    assert_eq!(failed, "");
}

/// While a dependency fails, the pause before the next try is a safe point.
#[test]
fn a_run_whose_calls_fail_or_stay_without_an_answer_stops() {
    for silent_still in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = orders(folder.path(), 1);
        let silent = Silent::start();
        let run = ["--endpoint-url", &silent.url, "run", "predict", "--json"];
        let run = [&run[..], &[path.to_str().unwrap()]].concat();
        let mut child = command(folder.path(), &run).spawn().unwrap();
        let call = silent.called(&mut child);
        // A connection that is closed is a failure.
        let _open = silent_still.then_some((call, silent));
        signal(&child, Signal::TERM);
        let (status, told, failed) = end(child);
        // A call that is given up only when the grace is over ends with the process.
        let late = status.code() == Some(143) && failed.contains(SENTENCE);
        let in_time = status.code() == Some(0) && told.contains(r#""interrupted": true"#);
        assert!(in_time || late && silent_still, "{status}: {told}{failed}");
    }
}

/// The arguments of commands that have no safe point; the state of each is whole at any time.
#[test]
fn commands_without_a_safe_point_end_at_once() {
    let commands: [&[&str]; 5] = [
        &["apply"],
        &["replay"],
        &["forget", "ORD-000001"],
        &["train", "--model", "orders_model"],
        &["show", "ORD-000001"],
    ];
    for (arguments, kind) in commands
        .into_iter()
        .flat_map(|arguments| [(arguments, Signal::INT), (arguments, Signal::TERM)])
    {
        let folder = tempfile::tempdir().unwrap();
        let silent = Silent::start();
        let arguments = [&["--endpoint-url", &silent.url], arguments].concat();
        let mut child = command(folder.path(), &arguments).spawn().unwrap();
        let _open = silent.called(&mut child);
        signal(&child, kind);
        let (status, _, failed) = end(child);
        assert_eq!(status.signal(), Some(kind.as_raw()), "{arguments:?}");
        assert_eq!(failed, "", "{arguments:?}");
    }
}

/// Both read nothing and compute: a simulation, and an evaluation whose file never comes.
#[test]
fn a_computation_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("shop");
    let simulate = ["simulate", "--out", out.to_str().unwrap()];
    let child = command(folder.path(), &simulate).spawn().unwrap();
    eventually("the simulation begins", || out.exists().then_some(()));
    signal(&child, Signal::INT);
    assert_eq!(end(child).0.signal(), Some(Signal::INT.as_raw()));

    let pipe = folder.path().join("labelled.csv");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let evaluate = ["evaluate", pipe.to_str().unwrap()];
    let child = command(folder.path(), &evaluate).spawn().unwrap();
    // Opening it waits for the reader.
    let _open = fs::File::options().write(true).open(&pipe).unwrap();
    signal(&child, Signal::TERM);
    assert_eq!(end(child).0.signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn serve_and_jobs_stop_whatever_is_on_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(folder.path(), &["serve", "--port", "0"])
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").unwrap();
    let mut unfinished = TcpStream::connect(address).unwrap();
    let head = "PUT /fraudstream/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n";
    unfinished.write_all(head.as_bytes()).unwrap();
    assert!(folder.path().join("at-work").exists());
    signal(&child, Signal::TERM);
    let status = eventually("serve ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    assert!(!folder.path().join("at-work").exists());

    let silent = Silent::start();
    let jobs = ["--endpoint-url", &silent.url, "jobs", "--watch"];
    let mut child = command(folder.path(), &jobs).spawn().unwrap();
    let _open = silent.called(&mut child);
    signal(&child, Signal::INT);
    let (status, _, failed) = end(child);
    assert_eq!(status.code(), Some(0), "{failed}");
}
