//! The bounded queue between everybody and the one thread that writes.
//!
//! Records wait for company, jobs do not: a batch forms when a job is there, when the pace allows one, or when a
//! batch is full. Putting a record in never blocks, and wakes the writer only when it sleeps without a deadline.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use super::error::{RecordFull, StoreError};
use super::job::Job;
use crate::model::EventRecord;

/// Most records waiting. At 5,000 events a second that is three seconds of a stalled disk.
const RECORDS_MAX: usize = 16_384;

/// Most bytes of records waiting: what the server may spend on a stalled disk.
const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most records of one transaction, and most bytes: what keeps a commit below some 30 ms.
const BATCH_RECORDS_MAX: usize = 1_024;
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most jobs waiting. Each is one API call or one agent's greeting.
const JOBS_MAX: usize = 1_024;

/// What the writer takes at once.
pub(super) struct Batch {
    pub(super) jobs: Vec<Box<dyn Job>>,
    #[expect(
        clippy::vec_box,
        reason = "they come boxed, and moving a pointer is cheaper than moving them again"
    )]
    pub(super) records: Vec<Box<EventRecord>>,
}

/// Jobs and records on their way to the writer.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: Vec<Box<dyn Job>>,
    records: VecDeque<Box<EventRecord>>,
    record_bytes: usize,
    closed: bool,
    writer: Writer,
}

/// What the writer waits for; whoever brings it wakes the writer.
#[derive(Default, PartialEq, Eq)]
enum Writer {
    #[default]
    Works,
    WaitsForAnything,
    WaitsForItsPace,
}

impl State {
    fn is_full_batch(&self) -> bool {
        self.records.len() >= BATCH_RECORDS_MAX || self.record_bytes >= BATCH_BYTES_MAX
    }

    fn take(&mut self) -> Batch {
        let (mut count, mut bytes) = (0, 0);
        for record in &self.records {
            if count == BATCH_RECORDS_MAX || bytes >= BATCH_BYTES_MAX {
                break;
            }
            count += 1;
            bytes += weight(record);
        }
        self.record_bytes -= bytes;
        Batch { jobs: std::mem::take(&mut self.jobs), records: self.records.drain(..count).collect() }
    }
}

/// What a record costs while it waits, in bytes.
fn weight(record: &EventRecord) -> usize {
    let headers = record.headers.as_bytes().len() + record.answer.headers.as_bytes().len();
    let bodies = record.body.bytes.len() + record.answer.body.bytes.len();
    size_of::<EventRecord>() + record.method.len() + record.target.len() + headers + bodies
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the queue")
    }

    /// Adds a record.
    pub(super) fn put_record(&self, record: Box<EventRecord>) -> Result<(), RecordFull> {
        let bytes = weight(&record);
        let mut state = self.lock();
        let is_full = state.records.len() >= RECORDS_MAX || state.record_bytes + bytes > RECORD_BYTES_MAX;
        if is_full || state.closed {
            return Err(RecordFull);
        }
        state.record_bytes += bytes;
        state.records.push_back(record);
        let wakes = match state.writer {
            Writer::Works => false,
            Writer::WaitsForAnything => true,
            Writer::WaitsForItsPace => state.is_full_batch(),
        };
        self.release(state, wakes);
        Ok(())
    }

    /// Adds a job.
    pub(super) fn put_job(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        if state.jobs.len() >= JOBS_MAX {
            return Err(StoreError::Busy);
        }
        state.jobs.push(job);
        let wakes = state.writer != Writer::Works;
        self.release(state, wakes);
        Ok(())
    }

    fn release(&self, mut state: MutexGuard<'_, State>, wakes: bool) {
        if wakes {
            // Said here, not by the writer when it wakes up: the next record need not wake it again.
            state.writer = Writer::Works;
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Waits for the next batch; records alone make one from `paced` on. `None` when closed and empty.
    pub(super) fn take(&self, paced: Instant) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let is_due = !state.records.is_empty() && (now >= paced || state.is_full_batch() || state.closed);
            if is_due || !state.jobs.is_empty() {
                state.writer = Writer::Works;
                return Some(state.take());
            }
            if state.closed {
                return None;
            }
            if state.records.is_empty() {
                state.writer = Writer::WaitsForAnything;
                state = self.wake.wait(state).expect("nothing panics while it holds the queue");
            } else {
                state.writer = Writer::WaitsForItsPace;
                let left = paced.saturating_duration_since(now);
                (state, _) =
                    self.wake.wait_timeout(state, left).expect("nothing panics while it holds the queue");
            }
        }
    }

    /// Whether a job waits.
    pub(super) fn has_jobs(&self) -> bool {
        !self.lock().jobs.is_empty()
    }

    /// Takes nothing more; what is in it is still handed out.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.release(state, true);
    }

    /// Takes nothing more, and hands out what is in it for the last time.
    pub(super) fn abandon(&self) -> Batch {
        let mut state = self.lock();
        state.closed = true;
        state.record_bytes = 0;
        Batch { jobs: std::mem::take(&mut state.jobs), records: state.records.drain(..).collect() }
    }
}
