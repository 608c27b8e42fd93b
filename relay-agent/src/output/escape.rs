//! Makes text from strangers safe to show: a webhook must not move the cursor, retitle the window or turn a line
//! around. Escaped as in Rust source, `\u{1b}`, so that what was there can still be read.

/// Characters shown of a path, a name or a sentence before it is cut with `…`.
pub(crate) const LINE_CHARS: usize = 160;

/// Control characters, and those that reorder or hide their neighbours (Unicode's bidirectional controls,
/// zero-width characters, line separators, tags).
fn is_hazard(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn escaped(text: &str, chars_max: usize, keep: &[char]) -> String {
    let mut out = String::with_capacity(text.len().min(chars_max));
    for (at, c) in text.chars().enumerate() {
        if at == chars_max {
            out.push('…');
            break;
        }
        if is_hazard(c) && !keep.contains(&c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// A piece of one line, cut to [`LINE_CHARS`].
pub(crate) fn line(text: &str) -> String {
    escaped(text, LINE_CHARS, &[])
}

/// A whole value on one line, uncut.
pub(crate) fn value(text: &str) -> String {
    escaped(text, usize::MAX, &[])
}

/// A text of several lines, uncut: line ends and tabs stay.
pub(crate) fn text(text: &str) -> String {
    escaped(text, usize::MAX, &['\n', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_acts_on_gets_through() {
        let table = [
            ("plain /path?q=ä", "plain /path?q=ä"),
            ("\x1b]0;owned\x07", "\\u{1b}]0;owned\\u{7}"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("\u{7f}", "\\u{7f}"),
        ];
        for (given, shown) in table {
            assert_eq!(value(given), shown);
        }
    }

    #[test]
    fn a_line_is_cut_and_a_text_keeps_its_lines() {
        let long = "x".repeat(LINE_CHARS + 1);
        assert_eq!(line(&long).chars().count(), LINE_CHARS + 1);
        assert!(line(&long).ends_with('…'));
        assert_eq!(line(&long[1..]), long[1..]);
        assert_eq!(text("a\n\tb\x1b[2J"), "a\n\tb\\u{1b}[2J");
    }
}
