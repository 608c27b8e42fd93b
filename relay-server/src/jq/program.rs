//! Expressions compiled and run, with nothing around them: whoever calls this must survive that it never returns,
//! takes all memory, or aborts.
//!
//! The language is that of jaq 3 less everything that is not a function of the input; [`LEFT_OUT`] names it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use jaq_core::compile::Undefined;
use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader, lex, parse};
use jaq_core::{Compiler, Ctx, Vars, unwrap_valr};
use jaq_json::{Val, read};

use super::frame::{Answer, TEXT_BYTES_MAX, TEXT_CHARS_MAX};
use super::json::{self, Capped, NESTING_MAX, Unwritable};

/// Filters of jq that read or change the world: environment, clock, time zone, other inputs, stderr, exit. Those that
/// the libraries have are taken out; the others are named so that a person is told why they are not there.
const LEFT_OUT: [&str; 14] = [
    "debug",
    "debug_empty",
    "env",
    "halt",
    "halt_error",
    "input",
    "inputs",
    "localtime",
    "now",
    "stderr",
    "stderr_empty",
    "strflocaltime",
    "input_filename",
    "input_line_number",
];

/// Compiled expressions a worker keeps. One takes about 80 KiB, nearly all of it the standard library.
const COMPILED_MAX: usize = 64;

/// Mistakes of one expression that are told. The first is nearly always the one.
const MISTAKES_MAX: usize = 3;

type Data = JustLut<Val>;
type Filter = jaq_core::Filter<Data>;
type Definition = parse::Def<&'static str>;

/// Expressions, each compiled once while it is in use.
pub(super) struct Programs {
    definitions: Vec<Definition>,
    compiled: HashMap<String, Compiled>,
    // Counts look-ups, so that the one not wanted for longest can be found.
    turn: u64,
}

struct Compiled {
    filter: Rc<Filter>,
    wanted: u64,
}

impl Programs {
    pub(super) fn new() -> Self {
        let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let definitions = all.filter(|definition| !LEFT_OUT.contains(&definition.name)).collect();
        Self { definitions, compiled: HashMap::new(), turn: 0 }
    }

    /// Whether `expression` compiles.
    pub(super) fn check(&mut self, expression: &str) -> Answer {
        self.filter(expression).map_or_else(Answer::Invalid, |_| Answer::Nothing)
    }

    /// The first output of `expression` on `input`.
    pub(super) fn run(&mut self, expression: &str, input: &[u8], output_bytes_max: usize) -> Answer {
        let filter = match self.filter(expression) {
            Ok(filter) => filter,
            Err(mistakes) => return Answer::Invalid(mistakes),
        };
        if json::nesting(input) > NESTING_MAX {
            return Answer::TooLarge;
        }
        let input = match read::parse_single(input) {
            Ok(input) => input,
            Err(error) => return Answer::Failed(format!("the input is no JSON: {error}")),
        };
        let context = Ctx::<Data>::new(&filter.lut, Vars::new([]));
        let first = filter.id.run((context, input)).map(unwrap_valr).next();
        match first {
            None => Answer::Nothing,
            Some(Ok(value)) => {
                let mut output = Capped::new(output_bytes_max);
                match json::write(&value, &mut output) {
                    Ok(()) => Answer::Output(output.bytes),
                    Err(Unwritable::TooLarge) => Answer::TooLarge,
                    Err(Unwritable::NoJson(what)) => Answer::Failed(what.to_owned()),
                }
            }
            Some(Err(error)) => {
                // What does not fit is not even formatted: the error may name a value of many megabytes.
                let mut said = Capped::new(TEXT_BYTES_MAX);
                let _ = write!(said, "{error}");
                Answer::Failed(short(&unquoted(&String::from_utf8_lossy(&said.bytes))))
            }
        }
    }

    /// Forgets what was compiled.
    pub(super) fn clear(&mut self) {
        self.compiled.clear();
    }

    fn filter(&mut self, expression: &str) -> Result<Rc<Filter>, String> {
        self.turn += 1;
        if let Some(found) = self.compiled.get_mut(expression) {
            found.wanted = self.turn;
            return Ok(found.filter.clone());
        }
        let filter = Rc::new(compile(expression, &self.definitions)?);
        if self.compiled.len() == COMPILED_MAX {
            let oldest = self.compiled.iter().min_by_key(|(_, compiled)| compiled.wanted);
            if let Some(oldest) = oldest.map(|(expression, _)| expression.clone()) {
                self.compiled.remove(&oldest);
            }
        }
        let compiled = Compiled { filter: filter.clone(), wanted: self.turn };
        self.compiled.insert(expression.to_owned(), compiled);
        Ok(filter)
    }
}

/// The native filters an expression may use.
fn functions() -> impl Iterator<Item = jaq_core::native::Fun<Data>> {
    let all = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    all.filter(|(name, _, _)| !LEFT_OUT.contains(name))
}

fn compile(expression: &str, definitions: &[Definition]) -> Result<Filter, String> {
    let arena = Arena::default();
    let loader = Loader::new(definitions.iter().cloned());
    let modules = loader
        .load(&arena, File { code: expression, path: () })
        .map_err(|errors| told(expression, errors.into_iter().flat_map(|(_, error)| mistakes(error))))?;
    load::import(&modules, |_| Err("modules cannot be loaded here".to_owned()))
        .map_err(|errors| told(expression, errors.into_iter().flat_map(|(_, error)| mistakes(error))))?;
    Compiler::default().with_funs(functions()).compile(modules).map_err(|errors| {
        let undefined = errors.into_iter().flat_map(|(_, undefined)| undefined);
        told(expression, undefined.map(|(name, kind)| (name, undefined_text(name, &kind))))
    })
}

/// What is wrong, and the part of the expression where it is.
type Mistake<'s> = (&'s str, String);

fn mistakes(error: load::Error<&str>) -> Vec<Mistake<'_>> {
    match error {
        load::Error::Io(paths) => paths.into_iter().collect(),
        load::Error::Lex(errors) => errors
            .into_iter()
            .map(|(expected, found)| match expected {
                lex::Expect::Delim(open) => (open, format!("`{open}` is never closed")),
                other => (found, format!("expected {}, found {}", other.as_str(), quoted(found))),
            })
            .collect(),
        load::Error::Parse(errors) => errors
            .into_iter()
            .map(|(expected, found)| {
                let expected = match expected {
                    parse::Expect::Just(token) => quoted(token),
                    parse::Expect::Nothing => "the end".to_owned(),
                    other => other.as_str().to_owned(),
                };
                (found, format!("expected {expected}, found {}", quoted(found)))
            })
            .collect(),
    }
}

fn undefined_text(name: &str, kind: &Undefined) -> String {
    match kind {
        Undefined::Filter(arity) if LEFT_OUT.contains(&name) => {
            format!("`{name}/{arity}` is not available here: an expression sees its input and nothing else")
        }
        Undefined::Filter(arity) => format!("there is no filter `{name}/{arity}`"),
        other => format!("there is no {} `{name}`", other.as_str()),
    }
}

/// The beginning of `found`, which may go on to the end of the expression.
fn quoted(found: &str) -> String {
    let found = found.trim_start();
    match found.split_whitespace().next() {
        None => "the end".to_owned(),
        Some(word) => format!("`{}`", word.chars().take(20).collect::<String>()),
    }
}

fn told<'s>(expression: &'s str, mistakes: impl Iterator<Item = Mistake<'s>>) -> String {
    let mut texts: Vec<String> = Vec::new();
    for (part, text) in mistakes.take(MISTAKES_MAX) {
        let before = expression.get(..load::span(expression, part).start).unwrap_or(expression);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        texts.push(format!("line {line}, column {column}: {text}"));
    }
    short(&texts.join("; "))
}

/// An error that is a string, without its quotes. It may have been cut in the middle.
fn unquoted(said: &str) -> String {
    match serde_json::from_str(said) {
        Ok(text) => text,
        Err(_) => said.strip_prefix('"').unwrap_or(said).to_owned(),
    }
}

/// At most [`TEXT_CHARS_MAX`] characters of `text`.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..text[..at].char_indices().next_back().map_or(0, |(i, _)| i)]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
