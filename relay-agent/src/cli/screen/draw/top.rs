//! The lines on top: how the link fares, what was forwarded, where from and where to, what is missing.

use std::time::Duration;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::look::Look;
use super::super::state::{Lane, LinkSeen, State};
use super::super::text;
use crate::output::unit;

/// Routes that are shown; of the others only how many there are.
const ROUTES_MAX: usize = 4;

/// Lines below which of several routes only one is shown.
const LINES_FEW: usize = 16;

/// Lines of a warning: what is wrong and what listens instead fit in on narrow terminals.
const WARNING_LINES: usize = 2;

/// `8 s`, `3 min 5 s`: an age, which nobody wants to the tenth.
fn age(now_ms: u64, since_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(since_ms) / 1000;
    if seconds < 60 { format!("{seconds} s") } else { unit::duration(Duration::from_secs(seconds)) }
}

pub(super) fn lines(state: &State, look: Look, columns: usize, height: usize) -> Vec<Line<'static>> {
    let (link, style) = link(state, look);
    let mut first = vec![Span::styled(text::cut(&link, columns), style)];
    let room = columns.saturating_sub(text::columns(&link) + 2);
    let counts = counts(state).into_iter().find(|counts| text::columns(counts) <= room).unwrap_or_default();
    let gap = columns.saturating_sub(text::columns(&link) + text::columns(&counts));
    if gap > 1 {
        first.push(Span::raw(" ".repeat(gap)));
        first.push(Span::styled(counts, look.dim()));
    }
    let mut lines = vec![Line::from(first)];
    if let LinkSeen::Down { reason, .. } = &state.link {
        lines.push(Line::from(text::cut(&format!("  {reason}"), columns)));
    }
    if state.is_full {
        lines.push(Line::styled("─".repeat(columns), look.dim()));
        return lines;
    }
    let routes_max = if height < LINES_FEW { 1 } else { ROUTES_MAX };
    let rest = state.lanes.len().saturating_sub(routes_max);
    for lane in state.lanes.iter().take(routes_max) {
        lines.extend(route(lane, look, columns, height));
    }
    if rest > 0 {
        lines.push(Line::styled(format!("and {rest} more"), look.dim()));
    }
    for lane in state.lanes.iter().filter(|lane| lane.missing.is_some()).take(routes_max) {
        let missing = lane.missing.as_deref().unwrap_or("");
        let warning = format!("! {missing}");
        let pieces = text::wrapped(&warning, columns);
        let kept = pieces.into_iter().take(WARNING_LINES);
        lines.extend(kept.map(|piece| Line::styled(piece, look.bad())));
    }
    lines.push(Line::styled("─".repeat(columns), look.dim()));
    lines
}

fn link(state: &State, look: Look) -> (String, Style) {
    let now_ms = state.now_ms;
    if state.is_stopping {
        let open = state.counts.arrived.saturating_sub(state.counts.answered);
        let open = if open == 0 { String::new() } else { format!(" ({open})") };
        return (format!("finishing what is in flight{open} · Ctrl-C stops at once"), look.odd());
    }
    match &state.link {
        LinkSeen::Connecting { since_ms } => {
            let server = text::shown(&state.setup.server);
            (format!("connecting to {server} for {}", age(now_ms, *since_ms)), look.odd())
        }
        LinkSeen::Live { rtt, heard_ms } => {
            let heard = age(now_ms, *heard_ms);
            (format!("live · {} · heard {heard} ago", unit::duration(*rtt)), look.good())
        }
        LinkSeen::Down { since_ms, next_ms, .. } => {
            let next = match next_ms {
                Some(next_ms) if *next_ms > now_ms => format!("next try in {}", age(*next_ms + 999, now_ms)),
                _ => "trying now".to_owned(),
            };
            (format!("down for {} · {next}", age(now_ms, *since_ms)), look.bad())
        }
    }
}

/// The longest form first.
fn counts(state: &State) -> [String; 3] {
    let counts = state.counts;
    let failed = format!("{} failed", counts.failed);
    let usual = format!("{} forwarded · {failed}", counts.answered);
    let open = counts.arrived.saturating_sub(counts.answered);
    let long = if open > 0 { format!("{usual} · {open} on the way") } else { usual.clone() };
    [long, usual, format!("{} done, {failed}", counts.answered)]
}

/// On one line, or on two where the URL would lose its end.
fn route(lane: &Lane, look: Look, columns: usize, height: usize) -> Vec<Line<'static>> {
    let (url, style) = match &lane.url {
        Some(Ok(url)) => (url.clone(), look.bold()),
        Some(Err(why)) => (format!("{} is not served: {why}", lane.source), look.bad()),
        None => (format!("{}: waiting for its URL", lane.source), look.dim()),
    };
    let held = if lane.is_held == Some(true) { "  held" } else { "" };
    let target = format!(" → {}", text::shown(&lane.target.to_string()));
    let has_room = text::columns(&url) + text::columns(&target) + held.len() <= columns;
    let held = Span::styled(held, look.odd());
    if has_room {
        return vec![Line::from(vec![Span::styled(url, style), Span::styled(target, look.dim()), held])];
    }
    let mut lines = vec![Line::styled(text::cut(&url, columns), style)];
    if height >= super::LINES_MIN as usize + 4 {
        let target = Span::styled(text::cut(&format!(" {target}"), columns), look.dim());
        lines.push(Line::from(vec![target, held]));
    }
    lines
}
