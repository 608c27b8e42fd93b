//! Colours and signs, as far as the terminal has them. Every colour only repeats what the words say.

use anstyle::{AnsiColor, Effects};
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use super::rows::Came;
use crate::output::style::{BAD, BOLD, DIM, GOOD, ODD, of_status};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Look {
    pub(in super::super) is_coloured: bool,
    /// Characters other than ASCII arrive.
    pub(in super::super) is_unicode: bool,
}

impl Look {
    fn of(self, style: anstyle::Style) -> Style {
        let colour = match style.get_fg_color() {
            Some(anstyle::Color::Ansi(AnsiColor::Green)) => Some(Color::Green),
            Some(anstyle::Color::Ansi(AnsiColor::Yellow)) => Some(Color::Yellow),
            Some(anstyle::Color::Ansi(AnsiColor::Red)) => Some(Color::Red),
            _ => None,
        };
        let effects = style.get_effects();
        let pairs = [(Effects::BOLD, Modifier::BOLD), (Effects::DIMMED, Modifier::DIM)];
        let modifiers = pairs.into_iter().filter(|(effect, _)| effects.contains(*effect));
        let plain = Style::new().add_modifier(modifiers.map(|(_, modifier)| modifier).collect());
        colour.filter(|_| self.is_coloured).map_or(plain, |colour| plain.fg(colour))
    }

    pub(super) fn dim(self) -> Style {
        self.of(DIM)
    }

    pub(super) fn bold(self) -> Style {
        self.of(BOLD)
    }

    pub(super) fn good(self) -> Style {
        self.of(GOOD)
    }

    pub(super) fn odd(self) -> Style {
        self.of(ODD)
    }

    pub(super) fn bad(self) -> Style {
        self.of(BAD)
    }

    pub(super) fn came(self, came: &Came) -> Style {
        match came {
            Came::Answered(status) => self.of(of_status(*status)),
            Came::Recorded(Some(status), None) => self.of(of_status(*status)),
            Came::Nothing(_) => self.bad(),
            Came::OnItsWay | Came::Recorded(..) => self.odd(),
        }
    }

    /// Writes signs in ASCII where nothing else arrives. What strangers wrote becomes `?`.
    pub(super) fn settle(self, buffer: &mut Buffer) {
        if self.is_unicode {
            return;
        }
        for cell in &mut buffer.content {
            if cell.symbol().is_ascii() {
                continue;
            }
            let plain = match cell.symbol() {
                "…" => "~",
                "·" | "─" | "–" => "-",
                "→" => ">",
                "│" => "|",
                "×" => "x",
                "┌" | "┐" | "└" | "┘" | "┬" | "┴" | "├" | "┤" => "+",
                "↑" => "^",
                "↓" => "v",
                _ => "?",
            };
            cell.set_symbol(plain);
        }
    }
}
