//! The state as a picture. Reads it, changes nothing, and tells how far texts can be scrolled.

mod bottom;
mod detail;
mod dialog;
mod list;
mod top;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::look::Look;
use super::state::{Drawn, State};
use super::text;

/// Below this nothing can be told in a useful way.
const COLUMNS_MIN: u16 = 36;
const LINES_MIN: u16 = 8;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame, state: &State, look: Look) -> Drawn {
    let area = frame.area();
    let mut drawn = Drawn::default();
    if area.width < COLUMNS_MIN || area.height < LINES_MIN {
        let words = format!(
            "The window is too small: {COLUMNS_MIN} columns, {LINES_MIN} lines are needed. Forwarding goes on."
        );
        let lines = text::wrapped(&words, usize::from(area.width)).into_iter().map(Line::from);
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
    } else {
        drawn = parts(frame, state, look, area);
    }
    look.settle(frame.buffer_mut());
    drawn
}

fn parts(frame: &mut Frame, state: &State, look: Look, area: Rect) -> Drawn {
    let top = top::lines(state, look, usize::from(area.width), usize::from(area.height));
    let top_lines = u16::try_from(top.len()).unwrap_or(1);
    let rows = Layout::vertical([Constraint::Length(top_lines), Constraint::Min(1), Constraint::Length(2)]);
    let [above, middle, below] = rows.areas(area);
    frame.render_widget(Paragraph::new(top), above);
    let mut drawn = Drawn::default();
    if state.is_full {
        drawn.scroll_max = detail::full(frame, state, look, middle);
    } else if state.is_split() {
        let sides =
            Layout::horizontal([Constraint::Percentage(52), Constraint::Length(3), Constraint::Min(1)]);
        let [left, between, right] = sides.areas(middle);
        drawn.list_lines = list::draw(frame, state, look, left);
        let bar: Vec<Line> = (0..between.height).map(|_| Line::styled(" │ ", look.dim())).collect();
        frame.render_widget(Paragraph::new(bar), between);
        drawn.scroll_max = detail::pane(frame, state, look, right);
    } else {
        drawn.list_lines = list::draw(frame, state, look, middle);
    }
    bottom::draw(frame, state, look, below);
    dialog::draw(frame, state, look, area);
    drawn
}

#[cfg(test)]
mod tests;
