//! The lines of a doctor's visit, printed as they are found.

use std::io;

use serde_json::json;

use crate::cli::Exit;
use crate::output::style::{BAD, DIM, GOOD, ODD, paint};
use crate::output::{Output, escape};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Ok,
    /// Works, but not as it should.
    Warn,
    Fail,
}

/// Everything found so far.
pub(super) struct Report {
    output: Output,
    worst: Grade,
}

impl Report {
    pub(super) fn new(output: Output) -> Self {
        Self { output, worst: Grade::Ok }
    }

    /// As it should be.
    pub(super) fn ok(&mut self, check: &str, found: &str) -> io::Result<()> {
        self.add(check, Grade::Ok, found, None)
    }

    /// Works, but somebody should look.
    pub(super) fn warn(&mut self, check: &str, found: &str, advice: &str) -> io::Result<()> {
        self.add(check, Grade::Warn, found, Some(advice))
    }

    /// Does not work.
    pub(super) fn fail(&mut self, check: &str, found: &str, advice: &str) -> io::Result<()> {
        self.add(check, Grade::Fail, found, Some(advice))
    }

    /// How the visit ends.
    pub(super) fn exit(&self) -> Exit {
        if self.worst == Grade::Fail { Exit::Failed } else { Exit::Done }
    }

    fn add(&mut self, check: &str, grade: Grade, found: &str, advice: Option<&str>) -> io::Result<()> {
        self.worst = self.worst.max(grade);
        if self.output.json {
            let grade = match grade {
                Grade::Ok => "ok",
                Grade::Warn => "warn",
                Grade::Fail => "fail",
            };
            let line =
                json!({ "type": "check", "check": check, "grade": grade, "found": found, "try": advice });
            return self.output.object(&line);
        }
        lines(check, grade, found, advice).iter().try_for_each(|line| self.output.data(line))
    }
}

fn lines(check: &str, grade: Grade, found: &str, advice: Option<&str>) -> Vec<String> {
    let grade = match grade {
        Grade::Ok => paint(GOOD, "ok  "),
        Grade::Warn => paint(ODD, "warn"),
        Grade::Fail => paint(BAD, "fail"),
    };
    let mut lines = vec![format!("{grade}  {check:<9}  {}", escape::text(found))];
    lines.extend(advice.map(|advice| format!("      {}  {}", paint(DIM, "try:     "), escape::text(advice))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_says_what_to_try() {
        let plain = |lines: Vec<String>| {
            lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect::<Vec<_>>()
        };
        assert_eq!(plain(lines("clock", Grade::Ok, "agrees", None)), ["ok    clock      agrees"]);
        assert_eq!(
            plain(lines("udp", Grade::Fail, "no answer", Some("another network"))),
            ["fail  udp        no answer", "      try:       another network"]
        );
    }

    #[test]
    fn only_a_failure_changes_the_exit_code() {
        let exit = |worst| Report { output: Output { json: false, quiet: false }, worst }.exit();
        assert_eq!([Grade::Ok, Grade::Warn, Grade::Fail].map(exit), [Exit::Done, Exit::Done, Exit::Failed]);
        assert_eq!([Grade::Fail, Grade::Ok, Grade::Warn].into_iter().max(), Some(Grade::Fail));
    }
}
