//! What recording an event costs: `cargo run --release -p relay-server --example record_cost [EVENTS_PER_SECOND] [SOURCES]`.
//!
//! Records events with a 1 KiB body, a 2 byte answer and ten header fields for eight seconds at the given rate (5,000;
//! 0 is as fast as the queue takes them), spread over so many sources (1), and prints events and CPU time of the whole
//! process, checkpoints and the making of the records included.

use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::control::Sharing;
use protocol::field::HeaderBlock;
use protocol::id::AgentId;
use relay_server::clock::Clock;
use relay_server::model::{Captured, EventRecord, Outcome, RecordedAnswer, SourceId, SourceRules, Times};
use relay_server::store::{DEFAULT_PROJECT, Store};

const RUN: Duration = Duration::from_secs(8);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let rate: u64 = args.next().map_or(Ok(5_000), |text| text.parse())?;
    let sources: usize = args.next().map_or(Ok(1), |text| text.parse())?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(rate, sources))
}

async fn run(rate: u64, sources: usize) -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path(), Clock::system()).await?;
    let project = store.project(DEFAULT_PROJECT).await?;
    let mut ids = Vec::new();
    for number in 0..sources.max(1) {
        let slug = format!("source-{number}").parse()?;
        ids.push(store.create_source(project, slug, SourceRules::default(), Sharing::Pool).await?.id);
    }
    let body = Bytes::from(vec![b'x'; 1024]);
    let (started, cpu) = (Instant::now(), cpu_us()?);
    let mut taken: u64 = 0;
    let mut refused: u64 = 0;
    while started.elapsed() < RUN {
        let due = if rate == 0 {
            taken + 512
        } else {
            u64::try_from(started.elapsed().as_micros())? * rate / 1_000_000
        };
        while taken < due {
            let source = ids[usize::try_from(taken)? % ids.len()];
            match store.record(event(&store, source, &body)?) {
                Ok(()) => taken += 1,
                Err(_) => {
                    refused += 1;
                    break;
                }
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    while store.record_counts().written + store.record_counts().lost < taken {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (counts, took, after) = (store.record_counts(), started.elapsed().as_secs_f64(), cpu_us()?);
    store.close().await;
    let each = |us: u64| us as f64 / taken as f64;
    println!("{taken} events, {:.0}/s, {refused} times refused, {} lost", taken as f64 / took, counts.lost);
    println!(
        "CPU each: {:.2} µs writing, {:.2} µs making and waiting",
        each(after.0 - cpu.0),
        each(after.1 - cpu.1)
    );
    println!("{} bytes each", size(dir.path())? / taken.max(1));
    Ok(())
}

fn event(
    store: &Store,
    source: SourceId,
    body: &Bytes,
) -> Result<Box<EventRecord>, Box<dyn std::error::Error>> {
    let mut headers = HeaderBlock::with_capacity(512);
    for (name, value) in [
        ("Host", "relay.example.org"),
        ("User-Agent", "GitHub-Hookshot/044aadd"),
        ("Content-Length", "1024"),
        ("Accept", "*/*"),
        ("Content-Type", "application/json"),
        ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("X-GitHub-Event", "issues"),
        ("X-GitHub-Hook-ID", "292430182"),
        ("X-Hub-Signature-256", "sha256=d57c68ca6f92289e6987922ff26938930f6e66a2d161ef06abdf1859230aa23c"),
        ("X-Forwarded-For", "192.0.2.10"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes())?;
    }
    let mut answer = HeaderBlock::with_capacity(128);
    answer.push(b"Content-Length", b"2")?;
    answer.push(b"Date", b"Mon, 02 Nov 2026 10:00:00 GMT")?;
    Ok(Box::new(EventRecord {
        id: store.next_event_id(),
        source,
        remote: [192, 0, 2, 10].into(),
        method: "POST".to_owned(),
        target: b"/h/github/hooks/incoming".to_vec(),
        headers,
        body: Captured { bytes: body.clone(), total_bytes: 1024, complete: true, is_in_file: false },
        outcome: Outcome::Answered,
        shape: Default::default(),
        related: None,
        is_accepted: false,
        known: Default::default(),
        agent: Some(AgentId(7)),
        answer: RecordedAnswer {
            status: 200,
            headers: answer,
            body: Captured {
                bytes: Bytes::from_static(b"ok"),
                total_bytes: 2,
                complete: true,
                is_in_file: false,
            },
        },
        times: Times { head_us: 1_200, total_us: 1_300, connect_us: 80, app_us: 700 },
    }))
}

/// CPU time of every thread so far, user and system, in microseconds: the store's writer, and all others.
fn cpu_us() -> Result<(u64, u64), Box<dyn std::error::Error>> {
    let (mut writer, mut others) = (0, 0);
    for thread in std::fs::read_dir("/proc/self/task")? {
        let path = thread?.path();
        let ran_ns: u64 =
            std::fs::read_to_string(path.join("schedstat"))?.split(' ').next().unwrap_or("").parse()?;
        let is_writer = std::fs::read_to_string(path.join("comm"))?.trim_end() == "store-writer";
        *(if is_writer { &mut writer } else { &mut others }) += ran_ns / 1_000;
    }
    Ok((writer, others))
}

fn size(dir: &std::path::Path) -> std::io::Result<u64> {
    std::fs::metadata(dir.join("relay.db")).map(|file| file.len())
}
