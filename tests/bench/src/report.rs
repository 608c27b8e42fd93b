//! Figures for people and for programs: tables that read well in a terminal and paste into Markdown as they are,
//! and the same as JSON.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use crate::machine::Machine;

/// Median, least and most of several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// None of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, min, max })
    }

    /// `12,345 (11,000-13,000)`, or the median alone where the rounds agree to the last decimal shown.
    pub fn text(&self, decimals: usize) -> String {
        let [median, min, max] = [self.median, self.min, self.max].map(|value| number(value, decimals));
        if min == max { median } else { format!("{median} ({min}-{max})") }
    }
}

/// A dash where there is nothing.
pub fn spread_text(spread: Option<Spread>, decimals: usize) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| spread.text(decimals))
}

/// With thousands set apart.
pub fn number(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let (sign, plain) = plain.strip_prefix('-').map_or(("", plain.as_str()), |rest| ("-", rest));
    let whole = plain.split('.').next().unwrap_or(plain);
    let mut text = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text.push_str(&plain[whole.len()..]);
    text
}

#[derive(Debug, Clone)]
pub struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self { title: title.into(), columns, rows: Vec::new() }
    }

    /// A cell for each column.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "a row of {:?} has other columns", self.title);
        self.rows.push(cells);
    }

    pub fn text(&self) -> String {
        let lines = || std::iter::once(&self.columns).chain(&self.rows);
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| lines().map(|line| line[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = format!("### {}\n\n", self.title);
        for (index, line) in lines().enumerate() {
            for (cell, width) in line.iter().zip(&widths) {
                let _ = write!(text, "| {cell:<width$} ");
            }
            text.push_str("|\n");
            if index == 0 {
                for width in &widths {
                    let _ = write!(text, "|{}", "-".repeat(width + 2));
                }
                text.push_str("|\n");
            }
        }
        text
    }
}

/// Something a chapter was asked to show.
#[derive(Debug, Clone, Serialize)]
pub struct Goal {
    what: String,
    wanted: String,
    measured: String,
    is_met: bool,
}

impl Goal {
    /// `measured`, NaN where it was not, has to reach `wanted`.
    pub fn at_least(what: impl Into<String>, wanted: f64, measured: f64, decimals: usize) -> Self {
        let is_met = measured >= wanted;
        Self::new(what.into(), format!("≥ {}", number(wanted, decimals)), measured, decimals, is_met)
    }

    /// `measured`, NaN where it was not, has to stay below `wanted`.
    pub fn below(what: impl Into<String>, wanted: f64, measured: f64, decimals: usize) -> Self {
        let is_met = measured < wanted;
        Self::new(what.into(), format!("< {}", number(wanted, decimals)), measured, decimals, is_met)
    }

    fn new(what: String, wanted: String, measured: f64, decimals: usize, is_met: bool) -> Self {
        let measured = if measured.is_nan() { "not measured".to_owned() } else { number(measured, decimals) };
        Self { what, wanted, measured, is_met }
    }

    /// All goals of a chapter.
    pub fn table(chapter: &str, goals: &[Self]) -> Table {
        let mut table = Table::new(format!("Goals of `{chapter}`"), &["goal", "wanted", "measured", "met"]);
        for goal in goals {
            let is_met = if goal.is_met { "yes" } else { "NO" };
            table.row(vec![goal.what.clone(), goal.wanted.clone(), goal.measured.clone(), is_met.to_owned()]);
        }
        table
    }
}

/// What one chapter found.
#[derive(Debug)]
pub struct Findings {
    pub tables: Vec<Table>,
    pub data: Value,
}

/// What is written to the file.
#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub is_quick: bool,
    pub is_optimised: bool,
    pub rounds: usize,
    /// By chapter: rows, and where it is worth keeping, every single point. An error is a text.
    pub chapters: serde_json::Map<String, Value>,
}

impl Report {
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(path, serde_json::to_string_pretty(self)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (value, decimals, expected) in
            [(0.0, 0, "0"), (999.4, 0, "999"), (1_234.56, 1, "1,234.6"), (-1_234_567.0, 0, "-1,234,567")]
        {
            assert_eq!(number(value, decimals), expected);
        }
    }

    #[test]
    fn a_spread_has_the_middle_and_both_ends() {
        let spread = Spread::of([3.0, 1.0, 2.0]).map(|spread| spread.text(0));
        assert_eq!(spread.as_deref(), Some("2 (1-3)"));
        assert_eq!(Spread::of([4.0, 1.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of([5.0]).map(|spread| spread.text(1)).as_deref(), Some("5.0"));
        assert_eq!(spread_text(Spread::of([]), 1), "-");
    }

    #[test]
    fn a_goal_that_was_not_measured_is_not_met() {
        let goals = [
            Goal::at_least("rate", 10_000.0, 10_000.0, 0),
            Goal::below("p99 ms", 10.0, 10.0, 1),
            Goal::below("p99 ms", 10.0, f64::NAN, 1),
        ];
        assert_eq!(goals.each_ref().map(|goal| goal.is_met), [true, false, false]);
        let text = Goal::table("x", &goals).text();
        assert!(text.contains("| rate   | ≥ 10,000 | 10,000       | yes |"), "{text}");
        assert!(text.contains("| p99 ms | < 10.0   | not measured | NO  |"), "{text}");
    }

    #[test]
    fn a_table_is_aligned_markdown() {
        let mut table = Table::new("Small", &["system", "req/s"]);
        table.row(vec!["direct".into(), "81,000".into()]);
        assert_eq!(
            table.text(),
            "### Small\n\n| system | req/s  |\n|--------|--------|\n| direct | 81,000 |\n"
        );
    }
}
