//! The last two lines: a word about what was done, and the keys that matter here.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::look::Look;
use super::super::rows::Came;
use super::super::state::{Over, State};
use super::super::text;

pub(super) fn draw(frame: &mut Frame, state: &State, look: Look, area: Rect) {
    let columns = usize::from(area.width);
    frame.render_widget(Paragraph::new(vec![status(state, look, columns), keys(state, look, columns)]), area);
}

fn status(state: &State, look: Look, columns: usize) -> Line<'static> {
    let filter = state.rows.filter();
    if matches!(state.over, Over::Typing(_)) {
        let found = state.rows.shown().count();
        let end = format!("  {found} of {}", state.rows.len());
        let typed = format!("/{}_", text::value(filter));
        let room = columns.saturating_sub(text::columns(&end));
        return Line::from(vec![Span::raw(text::cut(&typed, room)), Span::styled(end, look.dim())]);
    }
    if let Some(status) = &state.status {
        let style = if status.is_bad { look.bad() } else { Style::new() };
        let mark = if status.is_bad { "! " } else { "" };
        return Line::styled(text::cut(&format!("{mark}{}", status.text), columns), style);
    }
    if !filter.trim().is_empty() {
        let found = state.rows.shown().count();
        let words = format!("filter: {}  {found} of {}  Esc ends it", text::value(filter), state.rows.len());
        return Line::styled(text::cut(&words, columns), look.odd());
    }
    // A reason that has no room in its row.
    if let Some(Came::Nothing(why)) = state.current().map(|row| &row.came) {
        return Line::styled(text::cut(&format!("no answer: {why}"), columns), look.bad());
    }
    let skipped = state.skipped;
    let words = if skipped > 0 {
        format!("{skipped} changes were not shown: the terminal stood still")
    } else {
        String::new()
    };
    Line::styled(text::cut(&words, columns), look.odd())
}

/// The keys, the most wanted first; what has no room is in the help.
fn keys(state: &State, look: Look, columns: usize) -> Line<'static> {
    let always: &[(&str, &str)] = &[("?", "help"), ("q", "quit")];
    let more: &[(&str, &str)] = match &state.over {
        Over::Typing(_) => {
            return pairs(&[("Enter", "keep"), ("Esc", "cancel"), ("Ctrl-U", "clear")], look, columns);
        }
        Over::Help => return pairs(&[("any key", "close")], look, columns),
        Over::Confirm(..) => {
            return pairs(&[("y", "send"), ("e", "edit again"), ("n", "do not send")], look, columns);
        }
        Over::Nothing if state.question.is_some() => {
            return pairs(
                &[("a", "all"), ("l", "latest"), ("n", "none"), ("Esc", "leave waiting")],
                look,
                columns,
            );
        }
        Over::Nothing if state.is_full => &[
            ("Esc", "back"),
            ("Tab", "side"),
            ("r", "replay"),
            ("e", "edit"),
            ("c", "curl"),
            ("o", "browser"),
        ],
        Over::Nothing => &[
            ("Enter", "open"),
            ("r", "replay"),
            ("e", "edit"),
            ("/", "search"),
            ("t", "test"),
            ("c", "curl"),
            ("p", "hold"),
            ("n", "next"),
            ("o", "browser"),
        ],
    };
    let width =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(key, word)| key.len() + word.len() + 3).sum::<usize>();
    let room = columns.saturating_sub(width(always));
    let mut shown = more.to_vec();
    while width(&shown) > room {
        shown.pop();
    }
    shown.extend_from_slice(always);
    pairs(&shown, look, columns)
}

fn pairs(pairs: &[(&str, &str)], look: Look, columns: usize) -> Line<'static> {
    let mut spans = Vec::new();
    let mut taken = 0;
    for (key, word) in pairs {
        taken += key.len() + word.len() + 3;
        if taken > columns + 2 {
            break;
        }
        spans.push(Span::styled((*key).to_owned(), look.bold()));
        spans.push(Span::styled(format!(" {word}  "), look.dim()));
    }
    Line::from(spans)
}
