//! Text as cells of a terminal: escaped at the door, and measured in columns, which are not characters.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::output::escape;

/// Marks shown on one character. Languages need two; a pile of them would reach into other lines.
const MARKS_MAX: usize = 2;

/// Columns of a tab in a body.
const TAB: &str = "    ";

/// What stands for the part that has no room.
const CUT: char = '…';

/// A piece of one line that a stranger wrote, cut to a bounded length.
pub(super) fn shown(text: &str) -> String {
    tamed(&escape::line(text))
}

/// A whole value that a stranger wrote, on one line.
pub(super) fn value(text: &str) -> String {
    tamed(&escape::value(text))
}

/// The lines of a text that a stranger wrote.
pub(super) fn lines(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split('\n').map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        tamed(&escape::value(&line.replace('\t', TAB)))
    })
}

/// Without piles of combining marks and without what selects another form of the character before it.
fn tamed(text: &str) -> String {
    let mut marks = 0;
    let is_kept = |c: &char| {
        marks = if c.width() == Some(0) { marks + 1 } else { 0 };
        marks <= MARKS_MAX && !matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
    };
    text.chars().filter(is_kept).collect()
}

/// How many columns a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// How many bytes of a text fit into so many columns, and how many columns they take.
fn fitting(text: &str, columns: usize) -> (usize, usize) {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        let width = c.width().unwrap_or(0);
        if taken + width > columns {
            return (at, taken);
        }
        taken += width;
    }
    (text.len(), taken)
}

/// The text, cut with `…` where it is longer than so many columns.
pub(super) fn cut(text: &str, columns: usize) -> String {
    let (bytes, _) = fitting(text, columns);
    if bytes == text.len() {
        return text.to_owned();
    }
    let (bytes, _) = fitting(text, columns.saturating_sub(1));
    let mut kept = text[..bytes].to_owned();
    kept.extend((columns > 0).then_some(CUT));
    kept
}

/// The text in exactly so many columns.
pub(super) fn cell(text: &str, columns: usize) -> String {
    let mut cell = cut(text, columns);
    let (_, taken) = fitting(&cell, columns);
    cell.extend(std::iter::repeat_n(' ', columns.saturating_sub(taken)));
    cell
}

/// The same, at the right end.
pub(super) fn cell_right(text: &str, columns: usize) -> String {
    let cell = cut(text, columns);
    let (_, taken) = fitting(&cell, columns);
    format!("{}{cell}", " ".repeat(columns.saturating_sub(taken)))
}

/// The text in pieces of at most so many columns; between words where that leaves no short piece behind.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let (bytes, _) = fitting(rest, columns);
        if bytes == rest.len() {
            pieces.push(rest.to_owned());
            return pieces;
        }
        let at_space = rest[..bytes].rfind(' ').filter(|at| at * 2 > bytes);
        let end = at_space.map_or(bytes.max(1), |at| at + 1);
        pieces.push(rest[..end].trim_end().to_owned());
        rest = &rest[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_not_characters() {
        let table = [
            ("push", 6, "push  "),
            ("pull_request", 6, "pull_…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日… "),
            ("a\u{301}bc", 3, "a\u{301}bc"),
            ("x", 0, ""),
        ];
        for (text, columns, expected) in table {
            assert_eq!(cell(text, columns), expected, "{text} in {columns}");
        }
        assert_eq!(cell_right("9 ms", 6), "  9 ms");
    }

    #[test]
    fn what_a_stranger_wrote_can_neither_act_nor_spill() {
        let table = [
            ("\x1b[2J\u{9b}31m", "\\u{1b}[2J\\u{9b}31m"),
            ("\u{202e}gpj.exe\u{2066}", "\\u{202e}gpj.exe\\u{2066}"),
            ("a\tb\r\nc", "a\\tb\\r\\nc"),
            ("e\u{301}\u{301}\u{301}\u{301}!", "e\u{301}\u{301}!"),
            ("\u{2764}\u{fe0f}", "\u{2764}"),
        ];
        for (given, expected) in table {
            assert_eq!(value(given), expected);
        }
        assert_eq!(lines("{\r\n\t\"a\": 1\x07\n}").collect::<Vec<_>>(), ["{", "    \"a\": 1\\u{7}", "}"]);
        assert_eq!(shown(&"x".repeat(100_000)).chars().count(), 161);
    }

    #[test]
    fn long_lines_are_wrapped_at_words_where_that_helps() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("日本語", 4), ["日本", "語"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("日", 0), ["日"], "never for ever");
    }
}
