//! The name of this machine, for people who look at a list of agents.

use std::process::{Command, Stdio};

const CHARS_MAX: usize = 64;

/// The kernel's name for it, or `unnamed`.
pub(crate) fn read() -> String {
    let known = ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| tidy(&std::fs::read_to_string(path).ok()?))
        .or_else(|| {
            let out = Command::new("hostname").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
            tidy(&String::from_utf8_lossy(&out.stdout))
        });
    known.unwrap_or_else(|| "unnamed".to_owned())
}

fn tidy(text: &str) -> Option<String> {
    let name: String = text.trim().chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_short_clean_line() {
        assert_eq!(tidy("laptop\n").as_deref(), Some("laptop"));
        assert_eq!(tidy(" \n"), None);
        assert_eq!(tidy(&"x".repeat(100)).map(|name| name.len()), Some(CHARS_MAX));
        assert!(!read().is_empty());
    }
}
