//! Taking an event in for good: the whole body first, then one transaction, and only then a word to the sender.

use std::io;
use std::sync::{Arc, Mutex};

use link::Tasks;
use protocol::field::HeaderBlock;
use protocol::id::EventId;
use tokio::sync::oneshot;

use super::body::{BodyFault, Gathered, Piece, RequestBody, next_piece};
use super::capture::Capture;
use super::dedupe;
use super::recording::{Recorder, Recording};
use super::spool::Spool;
use crate::model::{Captured, EventRecord, Source};
use crate::refusal::Refusal;
use crate::store::{Acceptance, Accepted, FileTrouble, NewDelivery, OwnFile, Start, Store, StoreError};

/// A request body that is there whole.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The body.
    pub body: Captured,
    /// Trailer fields.
    pub trailers: HeaderBlock,
    /// Its file, if it is in one.
    pub file: Option<Arc<OwnFile>>,
}

/// Why an event was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The body did not come whole.
    Body(BodyFault),
    /// The relay cannot keep it.
    Relay(Refusal),
}

impl From<BodyFault> for Fault {
    fn from(fault: BodyFault) -> Self {
        Self::Body(fault)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Relay(match error {
            StoreError::Full => Refusal::DiskFull,
            StoreError::Poisoned | StoreError::Closed => Refusal::Draining,
            StoreError::Busy | StoreError::TooSlow => Refusal::Overloaded,
            StoreError::Database(cause) => {
                tracing::error!(error = %cause, "an event could not be stored");
                Refusal::Overloaded
            }
        })
    }
}

/// What the sender may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The event that came first, if this one is a copy of it.
    pub duplicate_of: Option<EventId>,
}

/// Takes events in. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    /// Where they are kept.
    pub store: Store,
    /// Tells of them.
    pub recorder: Arc<Recorder>,
    /// Where an acceptance goes on whose sender gave up.
    pub tasks: Tasks,
}

impl Intake {
    /// Has the store take an event in, together with its body's file. The file must not go while its row may come: so it
    /// goes only once it is known that there is none, and this goes on when whoever waits gives up.
    async fn accept(
        &self,
        acceptance: Acceptance,
        file: Option<Arc<OwnFile>>,
    ) -> Result<Accepted, StoreError> {
        let Some(file) = file else { return self.store.accept(acceptance).await };
        let (store, (tell, told)) = (self.store.clone(), oneshot::channel());
        file.keep(true);
        self.tasks.spawn(async move {
            let accepted = store.accept(acceptance).await;
            file.keep(match &accepted {
                Ok(Accepted::Stored { .. }) => true,
                Ok(Accepted::Duplicate { .. }) => false,
                Err(error) => error.may_be_done(),
            });
            let _ = tell.send(accepted);
        });
        told.await.unwrap_or(Err(StoreError::Closed))
    }

    /// The whole body: what was gathered, and what is still to come. The capture sees the rest pass.
    ///
    /// # Errors
    /// When the sender breaks off, or the disk refuses.
    pub async fn read_whole<B: RequestBody>(
        &self,
        event: EventId,
        gathered: Gathered,
        rest: Option<B>,
        capture: &Arc<Mutex<Capture>>,
    ) -> Result<Whole, Fault> {
        let mut spool = Spool::new(self.store.body_files().clone(), event);
        for piece in &gathered.pieces {
            spool.write(piece).await.map_err(|error| self.disk_failed(&error))?;
        }
        let mut trailers = gathered.end;
        if trailers.is_none() {
            let mut rest = rest.ok_or(BodyFault::Gone)?;
            let mut end = HeaderBlock::default();
            while let Some(piece) = next_piece(&mut rest).await? {
                match piece {
                    Piece::Data(data) => {
                        capture.lock().expect("capture lock").see(&data);
                        spool.write(&data).await.map_err(|error| self.disk_failed(&error))?;
                    }
                    Piece::Trailers(block) => end = block,
                }
            }
            capture.lock().expect("capture lock").see_end();
            trailers = Some(end);
        }
        let (body, file) = spool.finish().await.map_err(|error| self.disk_failed(&error))?;
        Ok(Whole { body, trailers: trailers.unwrap_or_default(), file: file.map(Arc::new) })
    }

    /// A full disk is told to the sender; a broken one ends the process, since nothing on it can be relied on.
    fn disk_failed(&self, error: &io::Error) -> Fault {
        Fault::Relay(match FileTrouble::of(error) {
            FileTrouble::Full => Refusal::DiskFull,
            FileTrouble::Short => {
                tracing::warn!(%error, "no file could be opened for a body; raise the limit of open files");
                Refusal::Overloaded
            }
            FileTrouble::Broken => {
                self.store.poison(error);
                Refusal::Draining
            }
        })
    }

    /// Takes an event in. `why` says for what reason it was stored; `first` where its first delivery stands, the
    /// primary's, which is ready if nothing is said. `None` there: the primary has it already.
    ///
    /// # Errors
    /// What to tell the sender; the event is not kept then.
    pub async fn take_in(
        &self,
        source: &Source,
        recording: Recording,
        whole: Whole,
        answer: StoredAnswer,
        first: Option<Start>,
    ) -> Result<Receipt, Fault> {
        let mut deliveries = Vec::with_capacity(source.destinations.len());
        let others = source.destinations.iter().skip(1);
        deliveries.extend(first.map(|start| NewDelivery { destination: source.destinations[0].id, start }));
        deliveries.extend(others.map(|other| NewDelivery { destination: other.id, start: Start::Ready }));
        let file = whole.file.clone();
        let record = recording.into_accepted(whole, answer);
        let dedupe = source.rules.dedupe.as_ref();
        let dedupe = dedupe.and_then(|rule| dedupe::key(rule, &record.known, &record.headers, &record.body));
        let summary = self.recorder.activity.prepare(&record);
        let told = self.heard(source, &record);
        let accepted = self.accept(Acceptance { record, deliveries, dedupe }, file).await?;
        self.recorder.metrics.events_recorded.inc();
        self.recorder.activity.tell(summary);
        Ok(match accepted {
            Accepted::Stored { .. } => {
                self.recorder.metrics.events_accepted.inc();
                told.into_iter().for_each(|record| self.recorder.smee.tell(&record));
                Receipt { duplicate_of: None }
            }
            Accepted::Duplicate { of } => {
                self.recorder.metrics.events_duplicate.inc();
                Receipt { duplicate_of: Some(of) }
            }
        })
    }
}

impl Intake {
    /// A copy for whoever listens to the source, if anybody does.
    fn heard(&self, source: &Source, record: &EventRecord) -> Option<Box<EventRecord>> {
        let is_heard = source.rules.smee && !source.rules.hold && self.recorder.smee.is_heard(source.id);
        is_heard.then(|| Box::new(record.clone()))
    }

    /// Puts an event that is live, and answered, on disk: for its source's other destinations, and against copies of
    /// it, if the app took it.
    ///
    /// # Errors
    /// What to tell the sender instead of the app's answer.
    pub async fn take_in_live(
        &self,
        source: &Source,
        recording: &mut Recording,
        whole: Whole,
    ) -> Result<(), Refusal> {
        let file = whole.file.clone();
        let record = recording.accepted_so_far(whole);
        let others = source.destinations.iter().skip(1);
        let deliveries =
            others.map(|other| NewDelivery { destination: other.id, start: Start::Ready }).collect();
        let rule = source.rules.dedupe.as_ref().filter(|_| record.answer.status < 400);
        let dedupe = rule.and_then(|rule| dedupe::key(rule, &record.known, &record.headers, &record.body));
        let summary = self.recorder.activity.prepare(&record);
        let told = self.heard(source, &record);
        match self.accept(Acceptance { record, deliveries, dedupe }, file).await {
            Ok(_) => {
                self.recorder.metrics.events_accepted.inc();
                self.recorder.activity.tell(summary);
                told.into_iter().for_each(|record| self.recorder.smee.tell(&record));
                Ok(())
            }
            Err(error) => {
                recording.not_accepted();
                match Fault::from(error) {
                    Fault::Relay(refusal) => Err(refusal),
                    Fault::Body(_) => Err(Refusal::Overloaded),
                }
            }
        }
    }
}

/// What the record says the sender was told.
#[derive(Debug, Clone, Copy)]
pub enum StoredAnswer {
    /// The relay's own word, for this reason.
    Relay {
        /// Status.
        status: u16,
        /// Why it was stored.
        why: &'static str,
    },
    /// The app's own answer, which is on its way.
    App,
}
