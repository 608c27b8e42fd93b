//! The program as a shell sees it: exit codes, and what goes to stdout and what to stderr. No server needed.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn agent(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay-agent"));
    command.env_clear().env("RELAY_CONFIG_DIR", config).current_dir(config).args(arguments);
    command
}

fn ran(config: &Path, arguments: &[&str]) -> Output {
    agent(config, arguments).stdin(Stdio::null()).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

fn fed(config: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = agent(config, arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(input.as_bytes()).expect("it reads its stdin");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[test]
fn help_is_an_answer_and_goes_to_stdout() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [&["--help"][..], &["forward", "--help"], &["--version"]] {
        let out = ran(dir.path(), arguments);
        assert_eq!(out.status.code(), Some(0), "{arguments:?}");
        assert!(text(&out.stdout).contains("relay-agent") && out.stderr.is_empty(), "{arguments:?}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "asking for help leaves nothing behind");
}

#[test]
fn a_mistake_goes_to_stderr_with_code_2() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, told) in [
        (&["statsu"][..], "did you mean `status`?"),
        (&["sources"], "relay-agent login"),
        (&["3000"], "relay-agent login"),
        (&["up"], "relay-agent.toml"),
        (&["--server", "a.example:1", "sources"], "no token for a.example:1"),
        (&["--server", "t@a.example:1", "sources"], "--token-file or RELAY_TOKEN"),
        (&["--token-file", "missing", "sources"], "cannot read missing"),
        (&["login", "relay://t@h"], "HOST:PORT"),
        (&["login", "-"], "no join line on stdin"),
        (&["--log", "=!", "logout"], "RELAY_LOG"),
    ] {
        let out = ran(dir.path(), arguments);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(told) && out.stdout.is_empty(), "{arguments:?}: {said}");
    }
}

#[test]
fn every_mistake_of_a_project_file_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let text_of_file = "[[route]]\nname = \"A\"\ntagret = 1\nupgrade = 1\n";
    std::fs::write(dir.path().join("relay-agent.toml"), text_of_file).unwrap();
    let out = ran(dir.path(), &["up"]);
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2));
    for line in ["relay-agent.toml:1:", "relay-agent.toml:2:", "relay-agent.toml:3:", "relay-agent.toml:4:"] {
        assert!(said.contains(line), "{line} is missing in {said}");
    }
}

#[test]
fn a_login_is_kept_privately_and_forgotten_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let out = fed(dir.path(), &["login", "--offline", "--json"], "relay://tok_1@127.0.0.1:4433\n");
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let said: serde_json::Value = serde_json::from_slice(&out.stdout).expect("one JSON object");
    assert_eq!(said["server"], "127.0.0.1:4433");
    assert!(
        !text(&out.stdout).contains("tok_1") && !text(&out.stderr).contains("tok_1"),
        "the token is not shown"
    );
    let file = dir.path().join("credentials.toml");
    assert!(std::fs::read_to_string(&file).unwrap().contains("tok_1"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let out = ran(dir.path(), &["sources"]);
        assert_eq!(out.status.code(), Some(2));
        assert!(text(&out.stderr).contains("chmod 600"));
    }
    assert_eq!(ran(dir.path(), &["logout"]).status.code(), Some(0));
    assert!(!file.exists());
}

#[test]
fn completions_need_no_home() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay-agent"));
    let out = command.env_clear().args(["completions", "bash"]).output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    assert!(text(&out.stdout).contains("doctor"));
}
