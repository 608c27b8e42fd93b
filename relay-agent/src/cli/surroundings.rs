//! What the environment says about the terminal and the person at it, read in one place.

/// The variables that count.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    term: Option<String>,
    /// Of those that say how characters are written, the one that counts.
    locale: Option<String>,
    visual: Option<String>,
    editor: Option<String>,
}

impl Surroundings {
    /// As they are now.
    pub(super) fn read() -> Self {
        Self {
            term: variable("TERM"),
            // The order of POSIX.
            locale: ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable),
            visual: variable("VISUAL"),
            editor: variable("EDITOR"),
        }
    }

    /// Whether the terminal can move its cursor.
    pub(super) fn can_draw(&self) -> bool {
        cfg!(windows) || self.term.as_deref().is_some_and(|term| term != "dumb")
    }

    /// Whether characters other than ASCII arrive. Systems without a locale write UTF-8 nowadays.
    pub(super) fn is_unicode(&self) -> bool {
        let says_utf8 = |locale: &str| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        };
        self.locale.as_deref().is_none_or(says_utf8)
    }

    /// The editor that is wanted.
    pub(super) fn editor(&self) -> Option<String> {
        self.visual.clone().or_else(|| self.editor.clone())
    }
}

#[expect(clippy::disallowed_methods, reason = "names that other programs share and clap cannot read for us")]
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_is_taken_at_its_word() {
        let some = |text: &str| Some(text.to_owned());
        let of = |term, locale| Surroundings { term, locale, ..Surroundings::default() };
        assert!(of(some("xterm"), None).can_draw());
        assert!(cfg!(windows) || !of(some("dumb"), None).can_draw() && !of(None, None).can_draw());
        for (locale, expected) in [
            (None, true),
            (some("C.UTF-8"), true),
            (some("de_DE.utf8"), true),
            (some("C"), false),
            (some("POSIX"), false),
        ] {
            assert_eq!(of(None, locale.clone()).is_unicode(), expected, "{locale:?}");
        }
        let both = Surroundings { visual: some("code -w"), editor: some("ed"), ..Surroundings::default() };
        assert_eq!(both.editor().as_deref(), Some("code -w"));
    }
}
