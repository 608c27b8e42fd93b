//! jq expressions of destinations: filters (does this event pass?) and transforms (what is sent instead?).
//!
//! Expressions come from users and run on bytes from strangers. No interpreter in our own process can be held to a
//! bound: endless loops, endless recursion and doubled strings end in a stall or an abort. So they run in workers:
//! processes of the same program (`relay-server jq-worker`) with limits on address space and processor time, an
//! empty environment, nothing to open and nothing to start; killed when a run takes longer than [`JqSettings::time_max`].
//!
//! The language is that of [jaq 3](https://github.com/01mf02/jaq), nearly jq's. Left out is what is not a function of
//! the input: `input`, `inputs`, `input_filename`, `input_line_number`, `env`, `$ENV`, `now`, `localtime`,
//! `strflocaltime`, `debug`, `stderr`, `halt`, `halt_error`, and modules (`import`, `include`). jaq's libraries lack some
//! of jq: `@csv`, `@tsv`, `$__loc__`, `ascii`, `builtins`, `date`, `dateadd`, `datesub`, `fromstream`, `tostream`,
//! `truncate_stream`, `toarray`, `trimstr`, `IN` and `INDEX`.
//!
//! Numbers pass an expression that does no arithmetic on them as they were written: whole numbers of any size,
//! decimals digit for digit (`1.10`, `1e400`). The one exception is `-0`, which becomes `0`. Arithmetic on whole numbers
//! is exact, all other in double precision; `nan` is written as null, infinity as the largest double. Only Linux
//! enforces the limit of memory.

mod document;
mod frame;
mod json;
mod process;
mod program;
mod strikes;
mod transform;
mod turns;
mod worker;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

pub use document::{JqEvent, document, is_match, looks_like_json};
pub use json::Unshown;
pub(crate) use transform::is_free;
pub use transform::{TransformError, Transformed, apply};
pub use worker::{WorkerLimits, work};

use frame::{Answer, Question};
use process::{Death, Worker};
use strikes::{Cost, Scoreboard, Standing};
use turns::{Turns, Visit};

use crate::model::ProjectId;

/// Longest expression, in bytes. A page of text; parsing goes as deep as it nests.
pub const EXPRESSION_BYTES_MAX: usize = 4 * 1024;

/// Most workers at once: as many as there are cores on the smallest machine this is meant for.
pub const WORKERS_MAX: usize = 2;

/// Longest run. Filters take less than a millisecond; this is for a transform of a megabyte on a busy machine.
pub const TIME_MAX: Duration = Duration::from_millis(250);

/// Address space of a worker, in bytes: about 30 MiB for the program itself, the rest for values. JSON takes ten to fifty
/// times its size as values.
pub const MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Largest output, in bytes: as much as the largest body that is kept, several times over.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// Largest input, in bytes: such a body, and twice the room that header fields and target may take as JSON.
pub const INPUT_BYTES_MAX: usize = OUTPUT_BYTES_MAX + 256 * 1024;

/// Runs before a worker is replaced, so that what leaks in it stays small.
const RUNS_MAX: u32 = 10_000;

/// How long a run waits for a worker before it is told that all are busy.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Where expressions run. Cheap to clone; the workers end with the last clone.
#[derive(Clone)]
pub struct Jq {
    inner: Arc<Inner>,
}

/// What expressions may use.
#[derive(Debug, Clone)]
pub struct JqSettings {
    /// The `relay-server` program, an absolute path. On Linux `/proc/self/exe` stays the running one while an update replaces the file.
    pub program: PathBuf,
    /// Workers at once, [`WORKERS_MAX`] unless said. At least 1.
    pub workers_max: usize,
    /// Longest run, [`TIME_MAX`] unless said; starting a worker does not count.
    pub time_max: Duration,
    /// Address space of a worker in bytes, [`MEMORY_BYTES_MAX`] unless said.
    pub memory_bytes_max: u64,
    /// Largest output in bytes, [`OUTPUT_BYTES_MAX`] unless said.
    pub output_bytes_max: usize,
    /// Largest input in bytes, [`INPUT_BYTES_MAX`] unless said.
    pub input_bytes_max: usize,
}

impl JqSettings {
    /// The usual limits.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            workers_max: WORKERS_MAX,
            time_max: TIME_MAX,
            memory_bytes_max: MEMORY_BYTES_MAX,
            output_bytes_max: OUTPUT_BYTES_MAX,
            input_bytes_max: INPUT_BYTES_MAX,
        }
    }
}

/// Why there is no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    /// It does not compile. Names line and column, for whoever wrote it.
    #[error("the expression is no valid jq: {0}")]
    Invalid(String),
    /// It raised an error, or its output cannot be said in JSON. At most 500 characters; may quote the input.
    #[error("the expression failed: {0}")]
    Failed(String),
    /// It ran too long. The same input will most likely fare the same.
    #[error("the expression took too long")]
    TooSlow,
    /// It used up memory or stack, or its input or output is beyond a cap, or nests too deep.
    #[error("the expression, its input or its output is too large")]
    TooLarge,
    /// It cost a worker several times in a row just before and is not run for some seconds, whatever the input: this
    /// one may do well, and trying again later can help.
    #[error("the expression rests: it took too long or too much memory several times in a row just before")]
    Resting,
    /// Other expressions hold all workers; trying again later can help.
    #[error("all jq workers are busy")]
    Busy,
    /// A worker cannot be started or died without a fault of the expression; trying again can help.
    #[error("no jq worker is available: {0}")]
    Unavailable(String),
}

impl JqError {
    /// Whether it says nothing about this input: it was not run, and trying again later can help.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Resting | Self::Busy | Self::Unavailable(_))
    }
}

impl From<Cost> for JqError {
    fn from(cost: Cost) -> Self {
        match cost {
            Cost::Time => Self::TooSlow,
            Cost::Memory => Self::TooLarge,
        }
    }
}

struct Inner {
    settings: JqSettings,
    places: Semaphore,
    // One place for all expressions that struck lately: however many they are, they hold up one worker.
    suspects: Semaphore,
    turns: Mutex<Turns>,
    started: AtomicU64,
    idle: Mutex<Vec<Worker>>,
    board: Mutex<Scoreboard>,
}

/// The right to keep one worker busy.
struct Place<'a> {
    _worker: SemaphorePermit<'a>,
    _suspect: Option<SemaphorePermit<'a>>,
    _turn: OwnedSemaphorePermit,
    _visit: Visit<'a>,
}

impl Jq {
    /// Starts nothing yet: workers start when they are needed.
    #[must_use]
    pub fn new(settings: JqSettings) -> Self {
        let inner = Inner {
            places: Semaphore::new(settings.workers_max.clamp(1, Semaphore::MAX_PERMITS)),
            suspects: Semaphore::new(1),
            turns: Mutex::default(),
            started: AtomicU64::new(0),
            idle: Mutex::default(),
            board: Mutex::default(),
            settings,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Whether `expression` of the project `owner` compiles.
    ///
    /// # Errors
    /// [`JqError::Invalid`] when it does not; others as for [`Jq::run`], less [`JqError::Failed`].
    pub async fn check(&self, owner: ProjectId, expression: &str) -> Result<(), JqError> {
        self.inner.ask(owner, Question::Check, expression, &[]).await.map(|_| ())
    }

    /// The first output of `expression` of the project `owner` on the JSON text `input`, as JSON text. `None` when it
    /// gives none (`empty`).
    ///
    /// May be dropped at any time; the worker at it is then killed. An expression that cost a worker three times in a
    /// row, by time or by memory, is answered [`JqError::Resting`] at once for the next ten seconds. Another project's
    /// expression of the same text is not concerned.
    ///
    /// # Errors
    /// See [`JqError`]; an input that is no JSON is [`JqError::Failed`].
    pub async fn run(
        &self,
        owner: ProjectId,
        expression: &str,
        input: Bytes,
    ) -> Result<Option<Vec<u8>>, JqError> {
        self.inner.ask(owner, Question::Run, expression, &input).await
    }

    /// Workers started so far. Grows by one for each that had to be replaced.
    #[must_use]
    pub fn workers_started(&self) -> u64 {
        self.inner.started.load(Ordering::Relaxed)
    }
}

impl Inner {
    async fn ask(
        &self,
        owner: ProjectId,
        kind: Question,
        expression: &str,
        input: &[u8],
    ) -> Result<Option<Vec<u8>>, JqError> {
        if expression.len() > EXPRESSION_BYTES_MAX {
            return Err(JqError::Invalid(format!(
                "it has {} bytes, and {EXPRESSION_BYTES_MAX} are the most",
                expression.len()
            )));
        }
        if input.len() > self.settings.input_bytes_max {
            return Err(JqError::TooLarge);
        }
        let _place = self.place(owner, expression).await?;
        let asked = (kind, expression, input);
        let answered = match self.answer(self.worker().await?, asked).await {
            // Somebody else killed it, perhaps long ago. A new one was not there then.
            Err(Death::Other(_)) => self.answer(self.start().await?, asked).await,
            answered => answered,
        };
        let answer = match answered {
            Ok(answer) => answer,
            Err(Death::Cost(cost)) => {
                lock(&self.board).strike(owner, expression, Instant::now().into_std());
                return Err(cost.into());
            }
            Err(Death::Other(text)) => return Err(JqError::Unavailable(text)),
        };
        lock(&self.board).forgive(owner, expression);
        match answer {
            Answer::Output(json) => Ok(Some(json)),
            Answer::Nothing | Answer::Ready => Ok(None),
            Answer::Invalid(text) => Err(JqError::Invalid(text)),
            Answer::Failed(text) => Err(JqError::Failed(text)),
            Answer::TooLarge => Err(JqError::TooLarge),
        }
    }

    /// Waits for a place. What its expression may do is asked again after the wait, in which it may have struck.
    async fn place(&self, owner: ProjectId, expression: &str) -> Result<Place<'_>, JqError> {
        let deadline = Instant::now() + WAIT_MAX;
        let mut visit = Visit::begin(&self.turns, owner).ok_or(JqError::Busy)?;
        loop {
            let standing = self.standing(owner, expression)?;
            let turn = until(deadline, visit.line(standing).acquire_owned()).await?;
            let suspect = match standing {
                Standing::Suspect => Some(until(deadline, self.suspects.acquire()).await?),
                _ => None,
            };
            let worker = until(deadline, self.places.acquire()).await?;
            if suspect.is_some() || self.standing(owner, expression)? == Standing::Good {
                visit.served();
                return Ok(Place { _worker: worker, _suspect: suspect, _turn: turn, _visit: visit });
            }
        }
    }

    fn standing(&self, owner: ProjectId, expression: &str) -> Result<Standing, JqError> {
        match lock(&self.board).standing(owner, expression, Instant::now().into_std()) {
            Standing::Resting => Err(JqError::Resting),
            standing => Ok(standing),
        }
    }

    async fn worker(&self) -> Result<Worker, JqError> {
        // The one used last: those not needed are not woken, and what they hold may be paged out.
        let idle = lock(&self.idle).pop();
        match idle {
            Some(worker) => Ok(worker),
            None => self.start().await,
        }
    }

    async fn start(&self) -> Result<Worker, JqError> {
        self.started.fetch_add(1, Ordering::Relaxed);
        Worker::start(&self.settings).await.map_err(|error| {
            JqError::Unavailable(format!("{} cannot be started: {error}", self.settings.program.display()))
        })
    }

    /// The answer of `worker`, which is kept if it is still good; or how it died.
    async fn answer(&self, mut worker: Worker, asked: (Question, &str, &[u8])) -> Result<Answer, Death> {
        let (kind, expression, input) = asked;
        let time_max = self.settings.time_max;
        let began = Instant::now();
        match timeout(time_max, worker.ask(kind, expression, input)).await {
            Ok(Ok(answer)) => {
                // A long run may have left much memory with the worker, and only its end gives that back.
                let is_heavy = began.elapsed() > time_max / 4;
                if !is_heavy && worker.runs < RUNS_MAX {
                    lock(&self.idle).push(worker);
                }
                Ok(answer)
            }
            Ok(Err(error)) => Err(worker.death(&error).await),
            Err(_) => {
                worker.kill().await;
                Err(Death::Cost(Cost::Time))
            }
        }
    }
}

/// What is waited for, or that all are busy when the time is over.
async fn until<T>(
    deadline: Instant,
    permit: impl Future<Output = Result<T, AcquireError>>,
) -> Result<T, JqError> {
    timeout_at(deadline, permit).await.ok().and_then(Result::ok).ok_or(JqError::Busy)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No holder of these locks panics, and each leaves whole values if it did.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
