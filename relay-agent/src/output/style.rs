//! The few colours. Each only repeats what the words say: everything reads the same without them.

use anstyle::{AnsiColor, Style};

pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();

/// `text` in a style.
pub(crate) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// The colour of a status.
pub(crate) const fn of_status(status: u16) -> Style {
    match status {
        0..300 => GOOD,
        300..500 => ODD,
        _ => BAD,
    }
}
