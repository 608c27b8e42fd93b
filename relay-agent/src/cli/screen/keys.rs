//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::message::{Ask, Effect, Purpose, Wish};
use super::state::{Focus, Over, State};

/// A question that comes up takes no answer at first: it may come between somebody and what they were typing.
const QUESTION_PAUSE_MS: u64 = 700;

/// Most characters of a filter.
const FILTER_CHARS_MAX: usize = 200;

/// Takes a key in.
pub(super) fn press(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    if key.kind == KeyEventKind::Release {
        return vec![];
    }
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    if is_control && key.code == KeyCode::Char('c') {
        return vec![Effect::Wish(Wish::Stop)];
    }
    if matches!(state.over, Over::Typing(_)) {
        return typing(state, key.code, is_control);
    }
    if state.question.is_some() {
        return answer(state, key.code);
    }
    match std::mem::take(&mut state.over) {
        // Any key closes it.
        Over::Help => vec![],
        Over::Confirm(id, change) => match key.code {
            KeyCode::Char('y') => {
                state.drafted = None;
                state.say("replaying an edited copy…");
                vec![Ask::Replay(id, change.wish).into()]
            }
            KeyCode::Char('e') => {
                let draft = state.drafted.as_ref().map(|(_, draft)| Effect::Edit(Box::new(draft.clone())));
                draft.into_iter().collect()
            }
            KeyCode::Char('n') | KeyCode::Esc => {
                state.drafted = None;
                state.say("nothing is sent");
                vec![]
            }
            _ => {
                state.over = Over::Confirm(id, change);
                vec![]
            }
        },
        Over::Nothing | Over::Typing(_) if is_control => vec![],
        Over::Nothing | Over::Typing(_) => free(state, key.code),
    }
}

/// Pasted text goes where somebody types, and nowhere else.
pub(super) fn paste(state: &mut State, text: &str) {
    if matches!(state.over, Over::Typing(_)) {
        let line = text.lines().next().unwrap_or_default();
        let words: String = state.rows.filter().chars().chain(line.chars()).take(FILTER_CHARS_MAX).collect();
        state.rows.set_filter(&words);
    }
}

fn typing(state: &mut State, code: KeyCode, is_control: bool) -> Vec<Effect> {
    let mut words = state.rows.filter().to_owned();
    match code {
        KeyCode::Enter => state.over = Over::Nothing,
        KeyCode::Esc => {
            if let Over::Typing(before) = std::mem::take(&mut state.over) {
                state.rows.set_filter(&before);
            }
        }
        KeyCode::Backspace => {
            words.pop();
            state.rows.set_filter(&words);
        }
        KeyCode::Char('u') if is_control => state.rows.set_filter(""),
        KeyCode::Char(c) if !is_control && words.chars().count() < FILTER_CHARS_MAX => {
            words.push(c);
            state.rows.set_filter(&words);
        }
        KeyCode::Up => step(state, -1),
        KeyCode::Down => step(state, 1),
        _ => {}
    }
    vec![]
}

fn answer(state: &mut State, code: KeyCode) -> Vec<Effect> {
    let Some(question) = &state.question else { return vec![] };
    let answer = match code {
        _ if state.now_ms < question.since_ms + QUESTION_PAUSE_MS => return vec![],
        KeyCode::Char('a') => "all",
        KeyCode::Char('l') => "latest",
        KeyCode::Char('n') => "none",
        // Leaves everything waiting.
        KeyCode::Esc | KeyCode::Char('w') => "",
        _ => return vec![],
    };
    state.question = None;
    vec![Effect::Wish(Wish::Answer(answer))]
}

fn free(state: &mut State, code: KeyCode) -> Vec<Effect> {
    let page = isize::try_from(state.drawn.list_lines.max(2) - 1).unwrap_or(1);
    match code {
        KeyCode::Char('q') if !state.is_stopping => return vec![Effect::Wish(Wish::Stop)],
        KeyCode::Down | KeyCode::Char('j') => step(state, 1),
        KeyCode::Up | KeyCode::Char('k') => step(state, -1),
        KeyCode::PageDown | KeyCode::Char(' ') => step(state, page),
        KeyCode::PageUp => step(state, -page),
        KeyCode::Home | KeyCode::Char('g') => step(state, isize::MIN),
        KeyCode::End | KeyCode::Char('G') => step(state, isize::MAX),
        KeyCode::Enter => open(state),
        KeyCode::Esc => back(state),
        KeyCode::Tab | KeyCode::Right => turn(state, true),
        KeyCode::BackTab | KeyCode::Left => turn(state, false),
        KeyCode::Char('/') => state.over = Over::Typing(state.rows.filter().to_owned()),
        KeyCode::Char('?') => state.over = Over::Help,
        KeyCode::Char('r') => return state.replay(),
        KeyCode::Char('e') => return exact(state, Purpose::Edit),
        KeyCode::Char('c') => return exact(state, Purpose::Copy),
        KeyCode::Char('C') => return exact(state, Purpose::Show),
        KeyCode::Char('o') => return browse(state),
        KeyCode::Char('t') => {
            let source = state.current_lane().map(|lane| lane.source.clone());
            return source.map(|source| Ask::Test(source).into()).into_iter().collect();
        }
        KeyCode::Char('p') => {
            let lane = state.current_lane().map(|lane| (lane.source.clone(), lane.is_held));
            let hold = |(source, held): (_, Option<bool>)| Ask::Hold(source, !held.unwrap_or(false)).into();
            return lane.map(hold).into_iter().collect();
        }
        KeyCode::Char('n') => {
            let source = state.current_lane().map(|lane| lane.source.clone());
            return source.map(|source| Ask::Next(source).into()).into_iter().collect();
        }
        _ => {}
    }
    vec![]
}

/// Moves in the list, or in the text that has the keys.
fn step(state: &mut State, by: isize) {
    if state.focus != Focus::List {
        let side = state.focus.side();
        let max = state.drawn.scroll_max[side];
        if let Some(opened) = &mut state.opened {
            opened.scroll[side] = opened.scroll[side].saturating_add_signed(by).min(max);
        }
        return;
    }
    let ids: Vec<_> = state.rows.shown().map(|row| row.id).collect();
    let at = state.current().and_then(|row| ids.iter().position(|id| *id == row.id)).unwrap_or(0);
    let to = at.saturating_add_signed(by).min(ids.len().saturating_sub(1));
    // At the top the newest is followed.
    state.chosen = ids.get(to).copied().filter(|_| to > 0);
}

fn open(state: &mut State) {
    let Some(id) = state.current().map(|row| row.id) else {
        state.nothing_chosen();
        return;
    };
    state.chosen = Some(id);
    state.is_full = true;
    if state.focus == Focus::List {
        state.focus = Focus::Request;
    }
}

fn back(state: &mut State) {
    if state.is_full {
        state.is_full = false;
        state.focus = Focus::List;
    } else if state.focus != Focus::List {
        state.focus = Focus::List;
    } else if !state.rows.filter().is_empty() {
        state.rows.set_filter("");
    } else if state.status.is_some() {
        state.status = None;
    } else {
        state.chosen = None;
    }
}

/// To the next text, or to the one before.
fn turn(state: &mut State, is_forward: bool) {
    let Some(id) = state.current().map(|row| row.id) else { return };
    if !state.is_full && !state.is_split() {
        return;
    }
    let all = if state.is_full {
        &[Focus::Request, Focus::Answer][..]
    } else {
        // In the pane request and answer are one text.
        &[Focus::List, Focus::Request]
    };
    let at = all.iter().position(|focus| *focus == state.focus).unwrap_or(0);
    let by = if is_forward { 1 } else { all.len() - 1 };
    state.focus = all[(at + by) % all.len()];
    if state.focus != Focus::List {
        state.chosen = Some(id);
    }
}

fn exact(state: &mut State, purpose: Purpose) -> Vec<Effect> {
    let Some(id) = state.current().map(|row| row.id) else { return state.nothing_chosen() };
    vec![Ask::Exact(id, purpose).into()]
}

fn browse(state: &mut State) -> Vec<Effect> {
    let Some(id) = state.current().map(|row| row.id) else { return state.nothing_chosen() };
    let Some(inspector) = state.setup.inspector else {
        state.say(format!("no inspector runs here; in a shell: relay-agent event {id}"));
        return vec![];
    };
    vec![Effect::Browse(format!("http://{inspector}/#/events/{id}"))]
}
