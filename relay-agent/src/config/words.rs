//! The words of a route that the command line and the project file share.

use std::time::Duration;

use protocol::control::Sharing;
use relay_agent::{HostField, Target};

use crate::suggest::did_you_mean;

/// An app that thinks longer than this about a webhook has lost its sender long ago.
const ANSWER_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// A script that waits for longer than this has lost its reader.
const PATIENCE_MAX: Duration = Duration::from_secs(24 * 3600);

/// The ways to share a destination, by name.
pub(crate) const SHARING: [(&str, Sharing); 3] =
    [("pool", Sharing::Pool), ("replace", Sharing::Replace), ("broadcast", Sharing::Broadcast)];

/// A target. A bare word is none here: it is far more often a forgotten port or a misspelt verb than a host with an
/// application on port 80.
pub(crate) fn target(text: &str) -> Result<Target, String> {
    let is_bare = !text.contains([':', '/']) && !text.bytes().all(|b| b.is_ascii_digit());
    if is_bare {
        let shown = text.escape_debug();
        return Err(format!("`{shown}` names no port: write `3000`, `{shown}:3000` or `http://{shown}`"));
    }
    text.parse().map_err(|error: relay_agent::TargetError| error.to_string())
}

/// `pool`, `replace` or `broadcast`.
pub(crate) fn sharing(text: &str) -> Result<Sharing, String> {
    let found = SHARING.iter().find(|(name, _)| *name == text);
    found.map(|(_, sharing)| *sharing).ok_or_else(|| {
        let hint = did_you_mean(text, SHARING.map(|(name, _)| name));
        format!("expected `pool`, `replace` or `broadcast`, not `{text}`{hint}")
    })
}

/// `target`, `preserve`, or a host to send as it is.
pub(crate) fn host_field(text: &str) -> Result<HostField, String> {
    match text {
        "target" => return Ok(HostField::Target),
        "preserve" => return Ok(HostField::Preserve),
        _ => {}
    }
    // A bare word near one of ours is a slip rather than a host.
    let hint = did_you_mean(text, ["target", "preserve"]);
    let is_slip = !hint.is_empty() && !text.contains(['.', ':', '-']);
    let is_host = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"/@?#\\\"".contains(&b));
    if is_slip || !is_host {
        return Err(format!(
            "expected `target`, `preserve` or a host with optional port, not `{text}`{hint}"
        ));
    }
    Ok(HostField::Fixed(text.to_owned()))
}

/// `30s`, `1m 30s`, `500ms`; a bare number is seconds.
pub(crate) fn answer_timeout(text: &str) -> Result<Duration, String> {
    time(text, ANSWER_TIMEOUT_MAX, "an hour")
}

/// The same, for a verb that waits: at most a day.
pub(crate) fn patience(text: &str) -> Result<Duration, String> {
    time(text, PATIENCE_MAX, "a day")
}

fn time(text: &str, most: Duration, most_in_words: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "expected a time such as `30s` or `2m`, more than none and at most {most_in_words}, not `{text}`"
        )
    };
    let time = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|time| Duration::try_from(time).ok())
            .ok_or_else(wrong)?,
    };
    if time.is_zero() || time > most { Err(wrong()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, ms) in
            [("30", 30_000), ("30s", 30_000), ("1m 30s", 90_000), ("500ms", 500), ("1h", 3_600_000)]
        {
            assert_eq!(answer_timeout(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "0", "-1s", "soon", "61m", "18446744073709551615"] {
            assert!(answer_timeout(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_is_one_of_ours_or_a_host() {
        assert_eq!(host_field("target"), Ok(HostField::Target));
        assert_eq!(host_field("preserve"), Ok(HostField::Preserve));
        assert_eq!(host_field("app.test:8080"), Ok(HostField::Fixed("app.test:8080".to_owned())));
        assert!(host_field("presrve").unwrap_err().ends_with("did you mean `preserve`?"));
        for text in ["", "a b", "a/b", "http://x", "a\r\nX: y", "ä.example"] {
            assert!(host_field(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_bare_word_is_no_target() {
        for text in ["3000", "localhost:3000", "http://app", "unix:/run/app.sock"] {
            assert!(target(text).is_ok(), "{text}");
        }
        for text in ["github", "app.test", "statsu", "ftp://app"] {
            assert!(target(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sharing_goes_by_name() {
        assert_eq!(sharing("replace"), Ok(Sharing::Replace));
        assert!(sharing("pol").unwrap_err().ends_with("did you mean `pool`?"));
    }
}
