//! What lies over the list: help, the question about what waited, and what is about to be sent.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Padding, Paragraph};

use super::super::draft;
use super::super::look::Look;
use super::super::state::{Over, State};
use super::super::text;

/// Widest dialogue: lines stay readable.
const COLUMNS_MAX: usize = 76;

const HELP: [(&str, &str); 14] = [
    ("arrows, j k", "move; PgUp PgDn by a page"),
    ("g G", "first (follows the newest), last"),
    ("Enter", "open the event; Esc goes back"),
    ("Tab", "to the other side"),
    ("/", "search in what is listed"),
    ("r", "replay the event"),
    ("e", "edit in $EDITOR, then replay"),
    ("c C", "copy as curl; show it"),
    ("o", "open in the browser"),
    ("t", "send a test event"),
    ("p", "hold the source's events or not"),
    ("n", "let the next held one go"),
    ("q", "quit; finishes what is in flight"),
    ("Ctrl-C", "the same; twice stops at once"),
];

/// Where there is no room for a line a key.
const HELP_SHORT: &str = "j k g G move · Enter open · Esc back · Tab side · / search · r replay · e edit · c C curl · \
    o browser · t test · p hold · n next · q quit · Ctrl-C twice: at once";

pub(super) fn draw(frame: &mut Frame, state: &State, look: Look, area: Rect) {
    if let Some(question) = &state.question
        && !matches!(state.over, Over::Typing(_))
    {
        return boxed(frame, look, area, " What waited ", |columns| {
            question_lines(&question.text, look, columns, area.height)
        });
    }
    match &state.over {
        Over::Nothing | Over::Typing(_) => {}
        Over::Help => boxed(frame, look, area, " Help ", |columns| help(look, columns, area.height)),
        Over::Confirm(_, change) => {
            boxed(frame, look, area, " Send the edited copy? ", |columns| {
                changes(&change.lines, look, columns)
            });
        }
    }
}

/// A box in the middle, as large as its lines. The last line always stays in sight.
fn boxed(
    frame: &mut Frame,
    look: Look,
    area: Rect,
    title: &'static str,
    lines: impl Fn(usize) -> Vec<Line<'static>>,
) {
    let columns = usize::from(area.width).saturating_sub(6).min(COLUMNS_MAX);
    let mut lines = lines(columns);
    // The keys stay in sight.
    let room = usize::from(area.height).saturating_sub(3).max(1);
    if lines.len() > room {
        let end = lines.pop();
        lines.truncate(room.saturating_sub(2));
        lines.push(Line::styled("…", look.dim()));
        lines.extend(end);
    }
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let width = u16::try_from(columns + 4).unwrap_or(u16::MAX).min(area.width);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let block = Block::bordered().title(title).padding(Padding::horizontal(1)).title_style(look.bold());
    // What looks out beside a box helps nobody.
    frame.render_widget(Clear, Rect { x: area.x, width: area.width, ..place });
    frame.render_widget(Paragraph::new(lines).block(block), place);
}

fn question_lines(question: &str, look: Look, columns: usize, height: u16) -> Vec<Line<'static>> {
    // The words of the line log, without its keys.
    let waited = question.split_once(". ").map_or(question, |(waited, _)| waited);
    let waited = text::wrapped(&format!("{waited}."), columns).into_iter();
    let mut lines: Vec<Line> = waited.map(|line| Line::styled(line, look.bold())).collect();
    let has_room = height >= 14;
    lines.extend(has_room.then(Line::default));
    for (key, words) in [
        ("a", "deliver all, the oldest first"),
        ("l", "deliver the latest, cancel the rest"),
        ("n", "deliver none, cancel all"),
        ("Esc", "leave them waiting"),
    ] {
        lines.push(Line::from(text::cut(&format!("{key:<4} {words}"), columns)));
    }
    lines.extend(has_room.then(Line::default));
    lines.push(Line::styled(text::cut("Live events pass meanwhile.", columns), look.dim()));
    lines
}

fn help(look: Look, columns: usize, height: u16) -> Vec<Line<'static>> {
    let line = |(key, words): &(&str, &str)| Line::from(text::cut(&format!("{key:<12} {words}"), columns));
    let mut lines: Vec<_> = HELP.iter().map(line).collect();
    if lines.len() + 4 > usize::from(height) {
        lines = text::wrapped(HELP_SHORT, columns).into_iter().map(Line::from).collect();
    }
    lines.push(Line::styled("any key closes this", look.dim()));
    lines
}

fn changes(lines: &[draft::Line], look: Look, columns: usize) -> Vec<Line<'static>> {
    let mut shown = Vec::new();
    for line in lines {
        shown.push(match line {
            draft::Line::Same(line) => Line::styled(text::cut(&format!("  {line}"), columns), look.dim()),
            draft::Line::Gone(line) => Line::styled(text::cut(&format!("- {line}"), columns), look.bad()),
            draft::Line::New(line) => Line::styled(text::cut(&format!("+ {line}"), columns), look.good()),
            draft::Line::Skip(count) => Line::styled(format!("  … {count} more lines"), look.dim()),
        });
    }
    shown.push(Line::default());
    shown.push(Line::from("y send   e edit again   n do not send"));
    shown
}
