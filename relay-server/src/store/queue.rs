//! The bounded queue between everybody and the one thread that writes.
//!
//! Records wait for company, jobs do not: a batch forms when a job is there, when the pace allows one, or when a
//! batch is full. Putting a record in never blocks, and wakes the writer only when it sleeps without a deadline.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use super::error::{RecordFull, StoreError};
use super::job::{Job, Kind};
use super::record::weight;
use crate::model::EventRecord;

/// Most records waiting. At 5,000 events a second that is three seconds of a stalled disk.
const RECORDS_MAX: usize = 16_384;

/// Most bytes of records waiting: what the server may spend on a stalled disk.
const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most records of one transaction, and most bytes: what keeps a commit below some 30 ms.
const BATCH_RECORDS_MAX: usize = 1_024;
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most jobs waiting, and most bytes of events in them: a stalled disk may cost a second of senders, not the memory.
const JOBS_MAX: usize = 4_096;
const JOB_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most jobs of one transaction; their bytes count into [`BATCH_BYTES_MAX`].
const BATCH_JOBS_MAX: usize = 1_024;

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
    jobs: VecDeque<Box<dyn Job>>,
    job_bytes: usize,
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
        for job in &self.jobs {
            if count == BATCH_JOBS_MAX || bytes >= BATCH_BYTES_MAX {
                break;
            }
            count += 1;
            bytes += bytes_of(job.as_ref());
        }
        self.job_bytes -= bytes;
        let jobs = self.jobs.drain(..count).collect();
        let (mut count, mut record_bytes) = (0, 0);
        for record in &self.records {
            if count == BATCH_RECORDS_MAX || bytes + record_bytes >= BATCH_BYTES_MAX {
                break;
            }
            count += 1;
            record_bytes += weight(record);
        }
        self.record_bytes -= record_bytes;
        Batch { jobs, records: self.records.drain(..count).collect() }
    }
}

fn bytes_of(job: &dyn Job) -> usize {
    match job.kind() {
        Kind::Accept { weight } => weight,
        Kind::Change | Kind::Advance => 0,
    }
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
        let bytes = bytes_of(job.as_ref());
        // The dispatcher has one turn at a time, and what it settles must not be turned away.
        let is_full = state.jobs.len() >= JOBS_MAX || state.job_bytes + bytes > JOB_BYTES_MAX;
        if is_full && job.kind() != Kind::Advance {
            return Err(StoreError::Busy);
        }
        state.job_bytes += bytes;
        state.jobs.push_back(job);
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

    /// Waits for the next batch; records alone make one from `paced` on. An empty one comes at `wake`, if nothing else
    /// does. `None` when closed and empty.
    pub(super) fn take(&self, paced: Instant, wake: Option<Instant>) -> Option<Batch> {
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
            if wake.is_some_and(|wake| now >= wake) {
                state.writer = Writer::Works;
                return Some(Batch { jobs: Vec::new(), records: Vec::new() });
            }
            let due = if state.records.is_empty() {
                state.writer = Writer::WaitsForAnything;
                wake
            } else {
                state.writer = Writer::WaitsForItsPace;
                Some(wake.map_or(paced, |wake| wake.min(paced)))
            };
            state = match due {
                None => self.wake.wait(state).expect("nothing panics while it holds the queue"),
                Some(due) => {
                    let left = due.saturating_duration_since(now);
                    let waited = self.wake.wait_timeout(state, left);
                    waited.expect("nothing panics while it holds the queue").0
                }
            };
        }
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
        (state.record_bytes, state.job_bytes) = (0, 0);
        Batch { jobs: state.jobs.drain(..).collect(), records: state.records.drain(..).collect() }
    }
}
