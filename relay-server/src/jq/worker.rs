//! The worker's own side: limits set on itself, then question by question until stdin ends.
//!
//! It trusts the relay and not the expressions. What they do to it ends this process and nothing else: running out of
//! memory or stack aborts, running out of processor time kills, and the relay starts another.

use std::io::{self, BufReader, Read, Write};
use std::panic::AssertUnwindSafe;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::EXPRESSION_BYTES_MAX;
use super::frame::{Answer, QUESTION_HEAD_BYTES, Question, QuestionHead, malformed};
use super::program::{Programs, short};

/// Most stack, in bytes, where the system lets a process choose. A hundred levels of nesting take a fraction of it even
/// unoptimised; recursion of an expression goes some thousand calls deep.
const STACK_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a worker may use.
#[derive(Debug, Clone, Copy)]
pub struct WorkerLimits {
    /// Address space, in bytes.
    pub memory_bytes_max: u64,
    /// Input of one run, in bytes.
    pub input_bytes_max: usize,
    /// Output of one run, in bytes.
    pub output_bytes_max: usize,
    /// Processor time of one run, in seconds: what ends a worker whose relay is gone.
    pub cpu_seconds_max: u64,
}

/// Answers questions until stdin ends. For the verb `jq-worker`, which does nothing else.
///
/// # Errors
/// When a limit cannot be set, or the relay does not speak as agreed.
pub fn work(limits: WorkerLimits) -> io::Result<()> {
    confine(limits)?;
    // On the first thread: another one would take 64 MiB of address space for a heap of its own (glibc).
    converse(limits, io::stdin().lock(), io::stdout().lock())
}

/// Takes away what expressions have no use for. Only Linux is known to keep to the limit of address space; elsewhere
/// it is asked for, and the deadline of the relay is what holds.
fn confine(limits: WorkerLimits) -> io::Result<()> {
    let memory = lower(Resource::As, limits.memory_bytes_max);
    if cfg!(target_os = "linux") {
        memory?;
    }
    lower(Resource::Stack, STACK_BYTES_MAX)?;
    lower(Resource::Core, 0)?;
    // Nothing can be opened beside stdin, stdout and stderr, written to disk, or started.
    lower(Resource::Nofile, 3)?;
    lower(Resource::Fsize, 0)?;
    lower(Resource::Nproc, 0)?;
    Ok(())
}

/// Sets a limit for good. Whoever started the relay may have set a lower one.
fn lower(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |inherited| inherited.min(most));
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    Ok(())
}

/// Allows so many more seconds of processor time from now on; then the process is killed (SIGXCPU).
fn allow_seconds(seconds: u64) -> io::Result<()> {
    let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or(0);
    let maximum = getrlimit(Resource::Cpu).maximum;
    // One more, because what was used is rounded down.
    let current = used.saturating_add(seconds).saturating_add(1).min(maximum.unwrap_or(u64::MAX));
    setrlimit(Resource::Cpu, Rlimit { current: Some(current), maximum })?;
    Ok(())
}

fn converse(limits: WorkerLimits, from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut from = BufReader::with_capacity(64 * 1024, from);
    let mut programs = Programs::new();
    Answer::Ready.write(&mut to)?;
    let mut head = [0; QUESTION_HEAD_BYTES];
    while has_more(&mut from, &mut head)? {
        let head = QuestionHead::from_bytes(head)?;
        let expression = read_bytes(&mut from, head.expression_bytes, EXPRESSION_BYTES_MAX)?;
        let input = read_bytes(&mut from, head.input_bytes, limits.input_bytes_max)?;
        let expression =
            String::from_utf8(expression).map_err(|_| malformed("an expression that is no text"))?;
        allow_seconds(limits.cpu_seconds_max)?;
        answer(&mut programs, head.kind, &expression, &input, limits.output_bytes_max).write(&mut to)?;
    }
    Ok(())
}

/// A panic of the interpreter is an error of the expression; it has left the programs in an order that is not known.
fn answer(
    programs: &mut Programs,
    kind: Question,
    expression: &str,
    input: &[u8],
    output_bytes_max: usize,
) -> Answer {
    let answered = std::panic::catch_unwind(AssertUnwindSafe(|| match kind {
        Question::Check => programs.check(expression),
        Question::Run => programs.run(expression, input, output_bytes_max),
    }));
    answered.unwrap_or_else(|panic| {
        programs.clear();
        let text = match panic.downcast_ref::<&str>() {
            Some(text) => text,
            None => panic.downcast_ref::<String>().map_or("", String::as_str),
        };
        // What the standard library says to more bytes than there are addresses.
        if text == "capacity overflow" {
            return Answer::TooLarge;
        }
        Answer::Failed(short(&format!("the interpreter broke on this: {text}")))
    })
}

/// Fills `head`, or says that there is nothing more.
fn has_more(from: &mut impl Read, head: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < head.len() {
        match from.read(&mut head[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn read_bytes(from: &mut impl Read, length: u32, bytes_max: usize) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > bytes_max {
        return Err(malformed("a question longer than agreed"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_interpreter_is_an_error_of_the_expression() {
        let mut programs = Programs::new();
        let huge = answer(&mut programs, Question::Run, "\"ab\" * 9223372036854775807", b"null", 10);
        assert_eq!(huge, Answer::TooLarge);
        assert_eq!(answer(&mut programs, Question::Run, "1", b"null", 10), Answer::Output(b"1".to_vec()));
    }

    #[test]
    fn questions_are_answered_until_there_are_no_more() {
        let limits = WorkerLimits {
            memory_bytes_max: u64::MAX,
            input_bytes_max: 3,
            output_bytes_max: 10,
            cpu_seconds_max: 1_000_000,
        };
        let ask = |kind, expression: &str, input: &str| {
            let head = QuestionHead {
                kind,
                expression_bytes: u32::try_from(expression.len()).expect("short"),
                input_bytes: u32::try_from(input.len()).expect("short"),
            };
            [&head.to_bytes(), expression.as_bytes(), input.as_bytes()].concat()
        };
        let mut said = Vec::new();
        let questions = [ask(Question::Check, ".", ""), ask(Question::Run, ". + 1", "41")].concat();
        converse(limits, &questions[..], &mut said).expect("as agreed");
        let mut expected = Vec::new();
        for answer in [Answer::Ready, Answer::Nothing, Answer::Output(b"42".to_vec())] {
            answer.write(&mut expected).expect("memory");
        }
        assert_eq!(said, expected);
        for broken in [ask(Question::Run, ".", "1234"), ask(Question::Run, ".", "12")[..8].to_vec()] {
            assert!(converse(limits, &broken[..], Vec::new()).is_err());
        }
    }
}
