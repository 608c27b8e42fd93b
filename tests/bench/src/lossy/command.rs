//! The words that steer a proxy in a process of its own, one command a line: `cut`, `heal`, `count`, and
//! `set drop=0.01 delay-ms=20 jitter-ms=0 reorder=0 seed=1`. `set` changes what it names and leaves the rest.

use std::time::Duration;

use super::{Conditions, LossyProxy};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Command {
    Cut,
    Heal,
    Count,
    Set(Conditions),
}

/// Why a line was not understood, in words for whoever typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError(String);

impl std::fmt::Display for CommandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CommandError {}

impl Command {
    /// `current` is what a `set` starts from.
    pub fn parse(line: &str, current: Conditions) -> Result<Self, CommandError> {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("cut") => Ok(Self::Cut),
            Some("heal") => Ok(Self::Heal),
            Some("count") => Ok(Self::Count),
            Some("set") => words.try_fold(current, changed).map(Self::Set),
            other => Err(CommandError(format!(
                "unknown command {:?}: there are cut, heal, count and set KEY=VALUE...",
                other.unwrap_or_default()
            ))),
        }
    }

    pub fn apply(self, proxy: &LossyProxy) {
        match self {
            Self::Cut => proxy.cut(),
            Self::Heal => proxy.heal(),
            Self::Count => {}
            Self::Set(conditions) => proxy.set(conditions),
        }
    }
}

fn changed(mut conditions: Conditions, word: &str) -> Result<Conditions, CommandError> {
    let broken = |expected: &str| CommandError(format!("{word:?} is not {expected}"));
    let (key, value) = word.split_once('=').ok_or_else(|| broken("KEY=VALUE"))?;
    let probability = || {
        value
            .parse()
            .ok()
            .filter(|p| (0.0..=1.0).contains(p))
            .ok_or_else(|| broken("a probability from 0 to 1"))
    };
    let whole = || value.parse::<u64>().map_err(|_| broken("a whole number"));
    match key {
        "drop" => conditions.drop = probability()?,
        "reorder" => conditions.reorder = probability()?,
        "delay-ms" => conditions.delay = Duration::from_millis(whole()?),
        "jitter-ms" => conditions.jitter = Duration::from_millis(whole()?),
        "seed" => conditions.seed = whole()?,
        _ => return Err(broken("one of drop, delay-ms, jitter-ms, reorder, seed")),
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_changes_what_it_names_and_leaves_the_rest() {
        let current = Conditions { drop: 0.5, seed: 9, ..Conditions::default() };
        let wanted = Conditions { delay: Duration::from_millis(20), drop: 0.01, ..current };
        assert_eq!(Command::parse("set drop=0.01 delay-ms=20\n", current), Ok(Command::Set(wanted)));
        assert_eq!(Command::parse("cut", current), Ok(Command::Cut));
        assert_eq!(Command::parse(" heal ", current), Ok(Command::Heal));
    }

    #[test]
    fn a_line_that_is_not_understood_says_what_is_wrong() {
        for (line, part) in [
            ("", "unknown command"),
            ("pause", "\"pause\""),
            ("set drop", "KEY=VALUE"),
            ("set drop=1.5", "a probability"),
            ("set drop=NaN", "a probability"),
            ("set delay-ms=-1", "a whole number"),
            ("set loss=0.1", "one of drop"),
        ] {
            let error = Command::parse(line, Conditions::default()).expect_err(line).to_string();
            assert!(error.contains(part), "{line:?} gave {error:?}");
        }
    }
}
