//! A request as a `curl` command for the app it went to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use relay_agent::Target;
use relay_agent::fixture::Fixture;
use relay_agent::target::At;

/// The command, for a POSIX shell.
pub(super) fn command(fixture: &Fixture, target: &Target) -> String {
    let app_target = target.join(fixture.app_target());
    let fixture = fixture.clone().without(&["Host", "Content-Length"].map(str::to_owned));
    let base = Target { at: target.at.clone(), prefix: String::new() };
    let path = String::from_utf8_lossy(&app_target).into_owned();
    let mut words =
        vec!["curl".to_owned(), "-X".to_owned(), quoted(&fixture.method), "--path-as-is".to_owned()];
    let url = match &target.at {
        At::Unix(socket) => {
            words.extend(["--unix-socket".to_owned(), quoted(&socket.to_string_lossy())]);
            format!("http://localhost{path}")
        }
        At::Https { insecure: true, .. } => {
            words.push("-k".to_owned());
            format!("{}{path}", base.to_string().replacen("https+insecure", "https", 1))
        }
        _ => format!("{base}{path}"),
    };
    words.push(quoted(&url));
    for (name, value) in &fixture.headers {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        // Without a value curl would leave the field out.
        let field = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        words.extend(["-H".to_owned(), quoted(&field)]);
    }
    if fixture.body.is_empty() {
        return words.join(" ");
    }
    words.push("--data-binary".to_owned());
    let plain = |text: &&str| !text.starts_with('@') && !text.contains(|c: char| c.is_control() && c != '\n');
    match std::str::from_utf8(&fixture.body).ok().filter(plain) {
        Some(body) => {
            words.push(quoted(body));
            words.join(" ")
        }
        None => {
            words.push("@-".to_owned());
            format!("echo {} | base64 -d | {}", STANDARD.encode(&fixture.body), words.join(" "))
        }
    }
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use protocol::field::HeaderBlock;

    use super::*;

    fn fixture(headers: &[(&str, &str)], body: &[u8]) -> Fixture {
        let mut block = HeaderBlock::default();
        headers.iter().for_each(|(name, value)| block.push(name.as_bytes(), value.as_bytes()).unwrap());
        Fixture {
            id: None,
            source: None,
            received_ms: None,
            name: None,
            status: None,
            method: "POST".to_owned(),
            target: b"/h/hook/a?x=1".to_vec(),
            mount: 7,
            headers: block,
            body: body.to_vec().into(),
        }
    }

    #[test]
    fn the_app_gets_from_curl_what_it_got_from_the_sender() {
        let headers = [
            ("Host", "x"),
            ("X-Hub", "it's $HOME"),
            ("Relay-Event-Id", "e"),
            ("Empty", ""),
            ("Content-Length", "4"),
        ];
        let command = |target: &str, body: &[u8]| command(&fixture(&headers, body), &target.parse().unwrap());
        let expected = "curl -X POST --path-as-is 'http://localhost:3000/hooks/a?x=1' -H 'X-Hub: it'\\''s $HOME' \
                        -H 'Empty;' --data-binary '{\"a\": \"b'\\''\"}'";
        assert_eq!(command("http://localhost:3000/hooks", b"{\"a\": \"b'\"}"), expected);
        assert!(command("3000", b"").ends_with("-H 'Empty;'"));
        let binary = command("3000", &[0, 255]);
        assert!(binary.starts_with("echo AP8= | base64 -d | curl") && binary.ends_with("--data-binary @-"));
        assert!(command("3000", b"@/etc/passwd").starts_with("echo "), "no file is read");
        let insecure = command("https+insecure://app.internal", b"");
        assert!(insecure.contains("-k 'https://app.internal:443/a?x=1'"), "{insecure}");
        let socket = command("unix:/run/app.sock", b"");
        assert!(socket.contains("--unix-socket /run/app.sock 'http://localhost/a?x=1'"), "{socket}");
    }
}
