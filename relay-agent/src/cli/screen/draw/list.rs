//! The list of events. Columns go where there is no room for them, the least wanted first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::look::Look;
use super::super::rows::{Came, Row};
use super::super::state::{Focus, LinkSeen, State};
use super::super::text;
use crate::output::unit;

/// Columns a text has.
#[derive(Clone, Copy)]
struct Widths {
    time: usize,
    result: usize,
    source: usize,
    event: usize,
    app: usize,
    size: usize,
}

/// Between two columns.
const GAP: usize = 2;

/// What an event's name and request need to be told apart.
const EVENT_COLUMNS: usize = 16;

/// Widest name of a source.
const SOURCE_COLUMNS_MAX: usize = 14;

impl Widths {
    fn of(columns: usize, state: &State) -> Self {
        let source = match state.has_several() {
            true => state.lanes.iter().map(|lane| lane.source.as_str().len()).max().unwrap_or(0),
            false => 0,
        };
        let result = if columns < 76 { 10 } else { 12 };
        let source = source.min(SOURCE_COLUMNS_MAX);
        let mut widths = Self { time: 8, result, source, event: 0, app: 7, size: 8 };
        widths.fill(columns);
        for wanted_least in [Self::without_size, Self::without_source, Self::without_app] {
            if widths.event < EVENT_COLUMNS {
                wanted_least(&mut widths);
                widths.fill(columns);
            }
        }
        widths
    }

    fn without_size(&mut self) {
        self.size = 0;
    }

    fn without_source(&mut self) {
        self.source = 0;
    }

    fn without_app(&mut self) {
        self.app = 0;
    }

    /// The event gets what is left, behind the mark in front.
    fn fill(&mut self, columns: usize) {
        let others = [self.time, self.result, self.source, self.app, self.size];
        let taken: usize = others.iter().filter(|width| **width > 0).map(|width| width + GAP).sum();
        self.event = columns.saturating_sub(taken + 2);
    }
}

/// Draws the list, and says how many events it has room for.
pub(super) fn draw(frame: &mut Frame, state: &State, look: Look, area: Rect) -> usize {
    let columns = usize::from(area.width);
    let widths = Widths::of(columns, state);
    let height = usize::from(area.height).saturating_sub(1);
    let mut lines = vec![header(&widths, look, columns)];
    let rows: Vec<&Row> = state.rows.shown().collect();
    if rows.is_empty() {
        lines.extend(nothing(state, look, columns, height));
        frame.render_widget(Paragraph::new(lines), area);
        return height;
    }
    let current = state.current().map(|row| row.id);
    let at = rows.iter().position(|row| Some(row.id) == current).unwrap_or(0);
    // The chosen one stays in sight, with some of what is around it.
    let first = if state.chosen.is_none() { 0 } else { at.saturating_sub(height / 2) };
    let first = first.min(rows.len().saturating_sub(height));
    let has_keys = state.focus == Focus::List;
    let shown = rows.iter().skip(first).take(height);
    lines.extend(
        shown.map(|row| line(row, state, &widths, look, (Some(row.id) == current).then_some(has_keys))),
    );
    frame.render_widget(Paragraph::new(lines), area);
    height
}

fn header(widths: &Widths, look: Look, columns: usize) -> Line<'static> {
    let cells = [
        text::cell("TIME", widths.time),
        text::cell("RESULT", widths.result),
        text::cell("SOURCE", widths.source),
        text::cell("EVENT", widths.event),
        text::cell_right("APP", widths.app),
        text::cell_right("SIZE", widths.size),
    ];
    let cells: Vec<_> = cells.into_iter().filter(|cell| !cell.is_empty()).collect();
    Line::styled(text::cut(&format!("  {}", cells.join("  ")), columns), look.dim())
}

fn line(row: &Row, state: &State, widths: &Widths, look: Look, chosen: Option<bool>) -> Line<'static> {
    let mark = if chosen.is_some() { "> " } else { "  " };
    let mut spans = vec![Span::raw(mark)];
    let mut put = |cell: String, style: Style| {
        if !cell.is_empty() {
            if spans.len() > 1 {
                spans.push(Span::raw("  "));
            }
            spans.push(Span::styled(cell, style));
        }
    };
    put(text::cell(&unit::time_of_day(row.at_ms, &state.setup.zone), widths.time), look.dim());
    put(text::cell(&row.result(), widths.result), look.came(&row.came));
    put(text::cell(&row.source, widths.source), Style::new());
    put(text::cell(&event(row), widths.event), Style::new());
    let app = row.app.map_or_else(|| "-".to_owned(), unit::duration);
    put(text::cell_right(&app, widths.app), Style::new());
    let size = row.body_bytes.map_or_else(|| "-".to_owned(), unit::bytes);
    put(text::cell_right(&size, widths.size), Style::new());
    let line = Line::from(spans);
    match chosen {
        Some(true) => line.patch_style(Style::new().add_modifier(Modifier::REVERSED)),
        Some(false) => line.patch_style(look.bold()),
        None => line,
    }
}

/// Its name and its request; how often it came; why there is no answer.
fn event(row: &Row) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(row.name.clone());
    parts.push(format!("{} {}", row.method, row.path));
    parts.extend((row.times > 1).then(|| format!("×{}", row.times)));
    parts.extend((row.attempt > 1).then(|| format!("attempt {}", row.attempt)));
    if let Came::Nothing(why) = &row.came {
        // Why comes first: it is what one acts on.
        parts.insert(usize::from(row.name.is_some()), why.clone());
    }
    parts.join("  ")
}

fn nothing(state: &State, look: Look, columns: usize, height: usize) -> Vec<Line<'static>> {
    let url = state.lanes.iter().find_map(|lane| lane.url.as_ref()?.as_ref().ok());
    let words = if state.rows.len() > 0 {
        vec![format!(
            "Nothing here has `{}` in it. Esc shows all {} events.",
            state.rows.filter(),
            state.rows.len()
        )]
    } else if let (LinkSeen::Live { .. }, Some(url)) = (&state.link, url) {
        vec![
            "No events yet. Webhooks sent to the URL above appear here. To try it:".to_owned(),
            String::new(),
            format!("curl -d '{{\"hello\":\"world\"}}' {url}"),
        ]
    } else {
        vec!["No events yet.".to_owned()]
    };
    let indent = columns.saturating_sub(4);
    let lines = words.iter().flat_map(|words| text::wrapped(words, indent));
    let lines = std::iter::once(String::new()).chain(lines);
    lines.take(height).map(|line| Line::styled(format!("  {line}"), look.dim())).collect()
}
