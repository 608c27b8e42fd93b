//! jq expressions in real worker processes: what is hostile ends in an error and harms nobody else.

#![cfg(unix)]

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use relay_server::jq::{EXPRESSION_BYTES_MAX, Jq, JqError, JqEvent, JqSettings, apply, document, is_match};
use relay_server::model::ProjectId;

/// Far above the limit of a run, and what a test may wait at most.
const LONG: Duration = Duration::from_secs(30);

/// Whose expressions they are, unless a test says otherwise.
const OWNER: ProjectId = ProjectId(1);

fn settings() -> JqSettings {
    JqSettings::new(PathBuf::from(env!("CARGO_BIN_EXE_relay-server")))
}

/// With a deadline that only a run without end misses, however busy the machine is.
fn patient() -> JqSettings {
    JqSettings { time_max: Duration::from_secs(20), ..settings() }
}

async fn run(jq: &Jq, expression: &str, input: &str) -> Result<String, JqError> {
    let ran = tokio::time::timeout(LONG, jq.run(OWNER, expression, Bytes::copy_from_slice(input.as_bytes())));
    let output = ran.await.expect("an answer in time")?;
    Ok(output.map_or("(none)".to_owned(), |json| String::from_utf8(json).expect("text")))
}

/// Process ids of the workers of `settings` that are still there, zombies apart. Tests share a process: each that looks
/// for workers gives its own a limit of memory that no other has.
#[cfg(target_os = "linux")]
fn workers(settings: &JqSettings) -> Vec<u32> {
    let own = std::process::id().to_string();
    let marked = format!("--memory-bytes-max={}", settings.memory_bytes_max);
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("proc").flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        // After the name in brackets: state, parent.
        let mut after = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let is_alive = !matches!(after.next(), Some("Z" | "X") | None);
        let is_marked = command.split(|b| *b == 0).any(|arg| arg == marked.as_bytes());
        if is_alive && after.next() == Some(&own) && is_marked {
            found.push(id);
        }
    }
    found
}

#[tokio::test]
async fn ordinary_expressions_are_answered() {
    let jq = Jq::new(patient());
    let event = r#"{"body":{"action":"opened","id":12345678901234567890,"price":1.10},"headers":{"x":"1"}}"#;
    for (expression, expected) in [
        (".body.action == \"opened\"", "true"),
        (".body | {body: {id, price}}", r#"{"body":{"id":12345678901234567890,"price":1.10}}"#),
        (".headers.x | tonumber + 1", "2"),
        ("empty", "(none)"),
        (".", event),
        ("now?", "invalid"),
    ] {
        match run(&jq, expression, event).await {
            Ok(output) => assert_eq!(output, expected, "{expression}"),
            Err(JqError::Invalid(_)) => assert_eq!("invalid", expected, "{expression}"),
            Err(other) => panic!("{expression}: {other}"),
        }
    }
    assert_eq!(run(&jq, ".a.b", "[]").await, Err(JqError::Failed("cannot index [] with \"a\"".to_owned())));
    assert!(matches!(run(&jq, ".", "{").await, Err(JqError::Failed(_))));
    assert_eq!(jq.check(OWNER, ".a | map(.b)").await, Ok(()));
    let mistake = jq.check(OWNER, ".a | mpa(.b)").await;
    assert_eq!(mistake, Err(JqError::Invalid("line 1, column 6: there is no filter `mpa/1`".to_owned())));
    assert_eq!(jq.workers_started(), 1, "mistakes and errors cost no worker");
}

/// From the event to what is sent, as the relay does it.
#[tokio::test]
async fn an_event_is_filtered_and_transformed() {
    let jq = Jq::new(patient());
    let mut headers = protocol::field::HeaderBlock::default();
    for (name, value) in [("Host", "h.example"), ("X-Kind", "push"), ("Content-Length", "41")] {
        headers.push(name.as_bytes(), value.as_bytes()).expect("valid field");
    }
    let body = Bytes::from_static(b"{\"id\": 12345678901234567890,\"price\":1.10}");
    let event = JqEvent {
        id: "e1",
        source: "shop",
        method: "POST",
        target: b"/in?to=a",
        headers: &headers,
        body: &body,
    };
    let input = Bytes::from(document(&event).expect("shown"));
    for (filter, expected) in [
        (".headers[\"x-kind\"] == \"push\" and .query.to == \"a\"", true),
        (".body.id == 12345678901234567890", true),
        (".body.id == 12345678901234567891", false),
        (".body.missing", false),
        ("empty", false),
    ] {
        let output = jq.run(OWNER, filter, input.clone()).await.expect("an output");
        assert_eq!(is_match(output.as_deref()), expected, "{filter}");
    }
    let transform =
        "{path: \"/\\(.source)/\\(.query.to)\", headers: (.headers + {\"x-id\": .id}), body: .body}";
    let output = jq.run(OWNER, transform, input.clone()).await.expect("an output");
    let sent = apply(output.as_deref(), &event).expect("a transform").expect("sent");
    assert_eq!((&sent.target[..], sent.method.as_str()), (&b"/shop/a"[..], "POST"));
    assert_eq!(&sent.body[..], b"{\"id\":12345678901234567890,\"price\":1.10}");
    assert_eq!(sent.headers.find("x-id"), Some(&b"e1"[..]));
    assert_eq!(sent.headers.find("host"), Some(&b"h.example"[..]));
    assert_eq!(sent.headers.framing(), Ok(Some(protocol::field::BodyFraming::Length(40))));
    let output = jq.run(OWNER, "select(.body.price > 2)", input).await.expect("an output");
    assert_eq!(apply(output.as_deref(), &event), Ok(None));
}

#[tokio::test]
async fn what_is_too_long_never_reaches_a_worker() {
    let jq = Jq::new(JqSettings { input_bytes_max: 10, output_bytes_max: 10, ..patient() });
    let long = format!("1{}", " ".repeat(EXPRESSION_BYTES_MAX));
    assert!(matches!(jq.check(OWNER, &long).await, Err(JqError::Invalid(_))));
    assert_eq!(run(&jq, ".", "\"123456789\"").await, Err(JqError::TooLarge));
    assert_eq!(jq.workers_started(), 0);
    assert_eq!(jq.check(OWNER, &long[..EXPRESSION_BYTES_MAX]).await, Ok(()));
    assert_eq!(run(&jq, ".", "\"12345678\"").await.as_deref(), Ok("\"12345678\""));
    assert_eq!(run(&jq, ". + .", "\"12345678\"").await, Err(JqError::TooLarge));
    assert_eq!(jq.workers_started(), 1);
}

#[tokio::test]
async fn a_large_event_passes_whole() {
    let jq = Jq::new(patient());
    let input = format!("\"{}\"", "é".repeat(500_000));
    assert_eq!(run(&jq, ".", &input).await.expect("output"), input);
}

#[tokio::test]
async fn a_thousand_runs_need_one_worker() {
    let jq = Jq::new(patient());
    for n in 0..1_000 {
        assert_eq!(run(&jq, ". + 1", &n.to_string()).await, Ok((n + 1).to_string()));
    }
    assert_eq!(jq.workers_started(), 1);
    // And after ten thousand it is replaced, whatever leaked in it.
    for _ in 1_000..10_001 {
        assert_eq!(run(&jq, ".", "0").await.as_deref(), Ok("0"));
    }
    assert_eq!(jq.workers_started(), 2);
}

#[tokio::test]
async fn no_more_workers_run_than_agreed() {
    let jq = Jq::new(patient());
    let runs = (0..50).map(|n: u32| {
        let jq = jq.clone();
        async move { assert_eq!(run(&jq, "[range(.)] | length", &n.to_string()).await, Ok(n.to_string())) }
    });
    futures_util::future::join_all(runs).await;
    assert!(jq.workers_started() <= 2, "{} workers", jq.workers_started());
}

/// Never end.
const ENDLESS: [&str; 4] = [
    "def f: f; f",
    "last(range(infinite))",
    "last(repeat(.))",
    "label $out | repeat(.) | select(. == 2), empty",
];

/// Use up memory or stack, given time.
const BOUNDLESS: [&str; 12] = [
    "def f: [f]; f",
    "def f: f | f; f",
    "[range(infinite)]",
    "[repeat(.)]",
    "[\"xx\"] | [.[] | while(true; . + .)]",
    "\"x\" * 1000000000000",
    "\"x\" * 100000000000000000000",
    "reduce range(60) as $_ (\"xx\"; . + .) | length",
    "reduce range(60) as $_ ([1]; . + .) | length",
    "reduce range(1000000) as $_ (0; [.])",
    "[range(100000000)] | sort | .[10]",
    "\"[\" * 100000 | fromjson",
];

/// Each ends in an error of its own within a bound, while a good expression next to it keeps its answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_expressions_end_and_harm_nobody() {
    let endless = ENDLESS.map(|expression| (expression, &[JqError::TooSlow][..]));
    let boundless = BOUNDLESS.map(|expression| (expression, &[JqError::TooSlow, JqError::TooLarge][..]));
    let jq = Jq::new(settings());
    // Takes what a compilation costs, and the start of a worker.
    assert_eq!(run(&jq, ".n + 1", "{\"n\":1}").await.as_deref(), Ok("2"));
    let memory = resident_kib();
    for (expression, expected) in endless.into_iter().chain(boundless) {
        let began = Instant::now();
        let hostile = tokio::time::timeout(LONG, jq.run(ProjectId(2), expression, "1".into()));
        let (ended, beside) = tokio::join!(hostile, async {
            let mut answers = 0;
            for n in 0..20 {
                match run(&jq, ".n + 1", &format!("{{\"n\":{n}}}")).await {
                    Ok(answer) => {
                        assert_eq!(answer, (n + 1).to_string());
                        answers += 1;
                    }
                    // The machine may be that busy.
                    Err(JqError::TooSlow | JqError::Busy) => {}
                    Err(other) => panic!("beside {expression}: {other}"),
                }
            }
            answers
        });
        let error = ended.expect("an answer in time").expect_err(expression);
        assert!(expected.contains(&error), "{expression}: {error}");
        assert!(beside >= 15, "beside {expression}: {beside} of 20");
        assert!(began.elapsed() < Duration::from_secs(8), "{expression}: {:?}", began.elapsed());
    }
    let grown = resident_kib().saturating_sub(memory);
    assert!(grown < 32 * 1024, "the relay grew by {grown} KiB");
}

/// Given time, the limit of memory ends them and not the deadline; the process is the only one that notices.
#[tokio::test]
async fn memory_and_stack_of_a_worker_are_bounded() {
    let jq = Jq::new(JqSettings { memory_bytes_max: 64 * 1024 * 1024, ..patient() });
    for expression in BOUNDLESS {
        assert_eq!(run(&jq, expression, "1").await, Err(JqError::TooLarge), "{expression}");
        assert_eq!(run(&jq, ".", "1").await.as_deref(), Ok("1"), "after {expression}");
    }
    let brackets = "[".repeat(100_000);
    let started = jq.workers_started();
    assert_eq!(run(&jq, ".", &brackets).await, Err(JqError::TooLarge), "refused before it is read");
    assert_eq!(jq.workers_started(), started);
}

/// Memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Whatever is made of it: an answer or an error, and the next one is answered.
#[tokio::test]
async fn expressions_that_nest_deep_harm_nobody() {
    let jq = Jq::new(patient());
    let half = EXPRESSION_BYTES_MAX / 2;
    for expression in [
        "(".repeat(2 * half),
        format!("{}1{}", "(".repeat(half - 1), ")".repeat(half - 1)),
        format!("{}1{}", "[".repeat(half - 1), "]".repeat(half - 1)),
        format!("{}1", "-".repeat(2 * half - 1)),
        format!("1{}", "|.".repeat(half - 1)),
        format!(".{}", "[]".repeat(half - 1)),
        format!("1{}", "?".repeat(2 * half - 1)),
        "try ".repeat(half / 2),
        "\"\\(".repeat(half / 2),
        "def f:".repeat(half / 4),
        "\u{1f4a3}".repeat(half / 2),
        "if 1 then ".repeat(half / 8),
    ] {
        let ended = jq.check(OWNER, &expression).await;
        let begin = &expression[..8];
        assert!(matches!(ended, Ok(()) | Err(JqError::Invalid(_) | JqError::TooLarge)), "{begin}: {ended:?}");
        assert_eq!(run(&jq, ". + 1", "1").await.as_deref(), Ok("2"), "after {begin}");
    }
}

/// The interpreter's regular expressions neither backtrace nor grow without end.
#[tokio::test]
async fn regular_expressions_are_bounded_by_themselves() {
    let jq = Jq::new(patient());
    let input = format!("\"{}\"", "a".repeat(10_000));
    assert_eq!(run(&jq, "test(\"(a*)*b\")", &input).await.as_deref(), Ok("false"));
    let ended = run(&jq, "test(\"((a{100}){100}){100}\")", &input).await;
    assert!(matches!(&ended, Err(JqError::Failed(text)) if text.contains("size limit")), "{ended:?}");
    assert_eq!(jq.workers_started(), 1);
}

#[tokio::test]
async fn an_expression_that_keeps_costing_workers_rests_for_a_while() {
    let jq = Jq::new(JqSettings { time_max: Duration::from_millis(200), ..settings() });
    for _ in 0..3 {
        assert_eq!(run(&jq, "def f: f; f", "1").await, Err(JqError::TooSlow));
    }
    let started = jq.workers_started();
    let began = Instant::now();
    for _ in 0..100 {
        // Another error than the one of the runs: it says nothing about this input.
        assert_eq!(run(&jq, "def f: f; f", "1").await, Err(JqError::Resting));
    }
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    assert_eq!(jq.workers_started(), started);
    let of_another = jq.run(ProjectId(2), "def f: f; f", Bytes::from_static(b"1")).await;
    assert_eq!(of_another, Err(JqError::TooSlow), "another project's expression runs");
    assert_eq!(run(&jq, "def f: .; f", "1").await.as_deref(), Ok("1"));
}

/// Those that struck once share a place, however many they are and however often they come.
#[tokio::test]
async fn slow_expressions_do_not_take_all_workers() {
    let time_max = Duration::from_secs(1);
    let jq = Jq::new(JqSettings { time_max, ..settings() });
    let slow = ["def f: f; f", "last(range(infinite))", "last(repeat(.))"];
    for expression in slow {
        assert_eq!(run(&jq, expression, "1").await, Err(JqError::TooSlow));
    }
    let began = Instant::now();
    let good = async {
        for n in 0..20 {
            assert_eq!(run(&jq, ". + 1", &n.to_string()).await, Ok((n + 1).to_string()));
        }
    };
    tokio::select! {
        biased;
        _ = futures_util::future::join_all((0..30).map(|n| run(&jq, slow[n % 3], "1"))) => panic!("they end"),
        () = good => {}
    }
    assert!(began.elapsed() < time_max, "{:?}: it waited for a slow one", began.elapsed());
}

/// Whoever has many slow expressions waits for them alone.
#[tokio::test]
async fn one_projects_slow_expressions_do_not_hold_up_anothers() {
    let time_max = Duration::from_secs(1);
    let jq = Jq::new(JqSettings { time_max, ..settings() });
    assert_eq!(run(&jq, ". + 1", "1").await.as_deref(), Ok("2"));
    let slow = (0..100).map(|n| {
        let jq = jq.clone();
        async move { jq.run(ProjectId(2), &format!("last(range(infinite)) | {n}"), "1".into()).await }
    });
    let began = Instant::now();
    let good = async {
        for n in 0..20 {
            assert_eq!(run(&jq, ". + 1", &n.to_string()).await, Ok((n + 1).to_string()));
        }
    };
    tokio::select! {
        biased;
        _ = futures_util::future::join_all(slow) => panic!("they end"),
        () = good => {}
    }
    assert!(began.elapsed() < time_max, "{:?}: it waited for another's", began.elapsed());
}

#[tokio::test]
async fn who_waits_too_long_or_with_too_many_is_told_so() {
    let jq = Jq::new(JqSettings { workers_max: 1, ..patient() });
    assert_eq!(run(&jq, ".", "1").await.as_deref(), Ok("1"));
    let began = Instant::now();
    let waiting = async {
        let waiting = (0..300).map(|_| async {
            assert_eq!(run(&jq, ".", "1").await, Err(JqError::Busy));
            u32::from(began.elapsed() < Duration::from_secs(1))
        });
        futures_util::future::join_all(waiting).await.into_iter().sum::<u32>()
    };
    tokio::select! {
        biased;
        ended = run(&jq, "def f: f; f", "1") => panic!("{ended:?}"),
        at_once = waiting => assert_eq!(at_once, 300 - 64, "as many as may not even wait"),
    }
    assert_eq!(run(&jq, ".", "1").await.as_deref(), Ok("1"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_worker_killed_by_somebody_is_replaced() {
    let settings = JqSettings { memory_bytes_max: 256 * 1024 * 1024 + 4096, ..patient() };
    let workers = || workers(&settings);
    let jq = Jq::new(settings.clone());
    assert_eq!(run(&jq, ".", "1").await.as_deref(), Ok("1"));
    kill(workers()[0]);
    until(|| workers().is_empty()).await;
    assert_eq!(run(&jq, ".", "2").await.as_deref(), Ok("2"), "it was idle: nobody notices");
    assert_eq!(jq.workers_started(), 2);

    let killer = async {
        // Once for the first worker, once for the one that tries again.
        for _ in 0..2 {
            until(|| workers().iter().any(|id| is_busy(*id))).await;
            let id = workers()[0];
            kill(id);
            until(|| !workers().contains(&id)).await;
        }
    };
    let (ended, ()) = tokio::join!(run(&jq, "def f: f; f", "1"), killer);
    assert!(matches!(&ended, Err(JqError::Unavailable(text)) if text.contains("signal: 9")), "{ended:?}");
    assert_eq!(run(&jq, ".", "3").await.as_deref(), Ok("3"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_run_nobody_waits_for_leaves_no_worker_behind() {
    let settings = JqSettings { memory_bytes_max: 256 * 1024 * 1024 + 8192, ..patient() };
    let workers = || workers(&settings);
    let jq = Jq::new(settings.clone());
    assert_eq!(run(&jq, ".", "1").await.as_deref(), Ok("1"));
    let first = workers();
    assert_eq!(first.len(), 1);
    tokio::select! {
        // The question is asked before anybody looks whether the worker is at it.
        biased;
        ended = run(&jq, "def f: f; f", "1") => panic!("{ended:?}"),
        () = until(|| is_busy(first[0])) => {}
    }
    until(|| workers().is_empty()).await;
    assert_eq!(run(&jq, ". + 1", "1").await.as_deref(), Ok("2"), "not the answer to what was asked before");
    let second = workers();
    drop(jq);
    until(|| workers().is_empty()).await;
    assert_eq!(second.len(), 1);
}

/// What a worker can see and do, read from outside.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_worker_has_nothing_but_its_pipes() {
    let settings = JqSettings { memory_bytes_max: 256 * 1024 * 1024 + 12288, ..patient() };
    let workers = || workers(&settings);
    let jq = Jq::new(settings.clone());
    assert_eq!(run(&jq, ".", "1").await.as_deref(), Ok("1"));
    let proc = PathBuf::from("/proc").join(workers()[0].to_string());
    assert_eq!(std::fs::read(proc.join("environ")).expect("ours"), b"");
    let limits = std::fs::read_to_string(proc.join("limits")).expect("ours");
    let hard = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).expect("a limit");
        line[name.len()..].split_whitespace().nth(1).expect("a hard limit").to_owned()
    };
    assert_eq!(hard("Max address space"), settings.memory_bytes_max.to_string());
    for name in ["Max core file size", "Max file size", "Max processes"] {
        assert_eq!(hard(name), "0", "{name}");
    }
    assert_eq!(hard("Max open files"), "3");
    for (number, expected) in [("0", "pipe:"), ("1", "pipe:"), ("2", "/dev/null")] {
        let open = std::fs::read_link(proc.join("fd").join(number)).expect("open");
        assert!(open.to_string_lossy().starts_with(expected), "{number}: {}", open.display());
    }
    let stat = std::fs::read_to_string(proc.join("stat")).expect("ours");
    let group = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(2)).expect("a group").to_owned();
    assert_eq!(group, workers()[0].to_string(), "signals of the terminal are not for it");
}

/// The relay is gone and cannot kill: an idle worker ends with its stdin, a busy one with its processor time.
#[test]
fn a_worker_ends_without_its_relay() {
    let start = || {
        Command::new(env!("CARGO_BIN_EXE_relay-server"))
            .args(["jq-worker", "--memory-bytes-max=268435456", "--input-bytes-max=10"])
            .args(["--output-bytes-max=10", "--cpu-seconds-max=0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started")
    };
    let mut idle = start();
    drop(idle.stdin.take());
    assert!(idle.wait().expect("ended").success());

    let mut busy = start();
    let expression = b"def f: f; f";
    let question = [&[1, 11, 0, 0, 0, 1, 0, 0, 0][..], expression, b"1"].concat();
    std::io::Write::write_all(busy.stdin.as_mut().expect("a pipe"), &question).expect("asked");
    drop(busy.stdin.take());
    let began = Instant::now();
    let status = loop {
        match busy.try_wait().expect("ours") {
            Some(status) => break status,
            None if began.elapsed() > LONG => panic!("it goes on: {:?}", busy.kill()),
            None => std::thread::yield_now(),
        }
    };
    assert_eq!(status.signal(), Some(24), "SIGXCPU");
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_said_so() {
    for program in ["/nonexistent/relay-server", "/bin/false", "/bin/echo"] {
        let jq = Jq::new(JqSettings { program: Path::new(program).to_owned(), ..settings() });
        let ended = run(&jq, ".", "1").await;
        assert!(matches!(&ended, Err(JqError::Unavailable(text)) if text.contains(program)), "{ended:?}");
    }
    // Enough to start, because what is mapped stays, and for nothing more.
    let starved = Jq::new(JqSettings { memory_bytes_max: 1024 * 1024, ..patient() });
    assert_eq!(run(&starved, "[range(1000000)] | length", "1").await, Err(JqError::TooLarge));
}

#[test]
fn help_does_not_show_the_worker() {
    let help = Command::new(env!("CARGO_BIN_EXE_relay-server")).arg("--help").output().expect("ran");
    let help = String::from_utf8(help.stdout).expect("text");
    assert!(help.contains("token") && !help.contains("jq"), "{help}");
}

#[cfg(target_os = "linux")]
fn kill(id: u32) {
    let status = Command::new("kill").args(["-9", &id.to_string()]).status().expect("kill");
    assert!(status.success());
}

/// Whether a process is running rather than waiting.
#[cfg(target_os = "linux")]
fn is_busy(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('R'))
}

#[cfg(target_os = "linux")]
async fn until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LONG, "waited too long");
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
