//! One event: facts on top, below them request and answer, side by side where there is room.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::detail::{Detail, Part};
use super::super::look::Look;
use super::super::rows::Came;
use super::super::state::{Focus, Load, State};
use super::super::text;

/// From this width on request and answer stand side by side.
const BESIDE_COLUMNS: u16 = 76;

/// Columns of the names of facts.
const NAME_COLUMNS: usize = 11;

/// Lines of facts that stay in sight; with many attempts the rest is cut.
const FACTS_PART: usize = 3;

/// On the whole screen.
pub(super) fn full(frame: &mut Frame, state: &State, look: Look, area: Rect) -> [usize; 2] {
    if area.width < BESIDE_COLUMNS {
        return pane(frame, state, look, area);
    }
    let Some((detail, note)) = content(state) else { return [0, 0] };
    let mut facts = facts(&detail, look, usize::from(area.width));
    facts.extend(note.map(|note| Line::styled(note, look.odd())));
    let most = (usize::from(area.height) * 2 / 5).max(3);
    if facts.len() > most {
        let rest = facts.len() - most + 1;
        facts.truncate(most.saturating_sub(1));
        facts.push(Line::styled(format!("… {rest} more lines: relay-agent event ID"), look.dim()));
    }
    let top = u16::try_from(facts.len() + 1).unwrap_or(1);
    let [above, below] = Layout::vertical([Constraint::Length(top), Constraint::Min(1)]).areas(area);
    frame.render_widget(Paragraph::new(facts), above);
    let sides = Layout::horizontal([Constraint::Fill(1), Constraint::Length(3), Constraint::Fill(1)]);
    let [left, between, right] = sides.areas(below);
    let bar: Vec<Line> = (0..between.height).map(|_| Line::styled(" │ ", look.dim())).collect();
    frame.render_widget(Paragraph::new(bar), between);
    let scroll = state.opened.as_ref().map_or([0, 0], |opened| opened.scroll);
    let sides = [
        ("Request", &detail.request, left, Focus::Request),
        ("Answer", &detail.answer, right, Focus::Answer),
    ];
    let mut maxes = [0, 0];
    for (side, (title, parts, area, focus)) in sides.into_iter().enumerate() {
        let lines = message(parts, look, usize::from(area.width));
        maxes[side] = scrolled(frame, (title, state.focus == focus), lines, scroll[side], look, area);
    }
    maxes
}

/// Beside the list, or on a narrow screen: one text.
pub(super) fn pane(frame: &mut Frame, state: &State, look: Look, area: Rect) -> [usize; 2] {
    let Some((detail, note)) = content(state) else { return [0, 0] };
    let columns = usize::from(area.width);
    let mut lines = facts(&detail, look, columns);
    lines.extend(note.map(|note| Line::styled(note, look.odd())));
    for (title, parts) in [("Request", &detail.request), ("Answer", &detail.answer)] {
        if !parts.is_empty() {
            lines.push(Line::default());
            lines.push(Line::styled(title, look.bold()));
            lines.extend(message(parts, look, columns));
        }
    }
    let side = state.focus.side();
    let scroll = state.opened.as_ref().map_or(0, |opened| opened.scroll[side]);
    let has_keys = state.focus != Focus::List;
    let max = scrolled(frame, ("Event", has_keys), lines, scroll, look, area);
    [max, max]
}

/// The event as it is known by now, and a word about it.
fn content(state: &State) -> Option<(Detail, Option<String>)> {
    let id = state.current()?.id;
    let opened = state.opened.as_ref().filter(|opened| opened.id == id);
    let row = state.rows.get(id);
    let of_row = || Detail::of_row(id, row, &state.setup.zone);
    let known = opened.and_then(|opened| opened.known.clone());
    let is_on_its_way = row.is_some_and(|row| row.came == Came::OnItsWay);
    let note = match opened {
        _ if is_on_its_way => Some("on its way to the app".to_owned()),
        Some(opened) if opened.why_not.is_some() => {
            opened.why_not.as_ref().map(|why| format!("cannot be had in full: {why}"))
        }
        Some(opened) if opened.load != Load::Done && known.is_none() => Some("reading it…".to_owned()),
        _ => None,
    };
    Some((known.unwrap_or_else(of_row), note))
}

fn facts(detail: &Detail, look: Look, columns: usize) -> Vec<Line<'static>> {
    let rest = columns.saturating_sub(NAME_COLUMNS).max(8);
    let mut lines = Vec::new();
    for (name, value) in &detail.facts {
        for (at, piece) in text::wrapped(value, rest).into_iter().take(FACTS_PART).enumerate() {
            let name = if at == 0 { *name } else { "" };
            lines.push(Line::from(vec![
                Span::styled(text::cell(name, NAME_COLUMNS), look.dim()),
                Span::raw(piece),
            ]));
        }
    }
    lines
}

fn message(parts: &[Part], look: Look, columns: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for part in parts {
        match part {
            Part::Title(title) => {
                lines.extend(
                    text::wrapped(title, columns).into_iter().map(|piece| Line::styled(piece, look.bold())),
                );
            }
            Part::Field(name, value) => {
                let whole = format!("{name}: {value}");
                let mut pieces = text::wrapped(&whole, columns).into_iter();
                let first = pieces.next().unwrap_or_default();
                let rest = first.strip_prefix(name.as_str()).map(str::to_owned);
                lines.push(match rest {
                    Some(rest) => Line::from(vec![Span::styled(name.clone(), look.dim()), Span::raw(rest)]),
                    None => Line::from(first),
                });
                lines.extend(pieces.map(Line::from));
            }
            Part::Body(line) => lines.extend(text::wrapped(line, columns).into_iter().map(Line::from)),
            Part::Note(note) => {
                lines.extend(
                    text::wrapped(note, columns).into_iter().map(|piece| Line::styled(piece, look.odd())),
                );
            }
            Part::Empty => lines.push(Line::default()),
        }
    }
    lines
}

/// A text under its title, from a line on. Says how far it can be scrolled.
fn scrolled(
    frame: &mut Frame,
    (title, has_keys): (&str, bool),
    lines: Vec<Line<'static>>,
    scroll: usize,
    look: Look,
    area: Rect,
) -> usize {
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let room = usize::from(body.height);
    let max = lines.len().saturating_sub(room);
    let first = scroll.min(max);
    let place = if max == 0 {
        String::new()
    } else {
        format!("  lines {}–{} of {}", first + 1, (first + room).min(lines.len()), lines.len())
    };
    let style = if has_keys { Style::new().add_modifier(Modifier::REVERSED) } else { look.dim() };
    let mark = if has_keys { "> " } else { "  " };
    let title = text::cell(&format!("{mark}{title}{place}"), usize::from(head.width));
    frame.render_widget(Paragraph::new(Line::styled(title, style)), head);
    frame.render_widget(Paragraph::new(lines.into_iter().skip(first).take(room).collect::<Vec<_>>()), body);
    max
}
