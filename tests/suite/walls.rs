//! The walls of the house, read from its sources: who may know what.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn sources(under: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(under)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root()).expect("inside").to_string_lossy().replace('\\', "/");
                // Words in comments bind nobody.
                let code: String = fs::read_to_string(&path)
                    .expect("text")
                    .lines()
                    .filter(|l| !l.trim_start().starts_with("//"))
                    .map(|l| format!("{l}\n"))
                    .collect();
                found.push((name, code));
            }
        }
    }
    assert!(!found.is_empty(), "{under} holds sources");
    found
}

const ALL: [&str; 5] = ["protocol/src", "provider/src", "link/src", "relay-server/src", "relay-agent/src"];

/// Fails with every place where `word` stands outside `allowed`.
fn only_in(word: &str, folders: &[&str], allowed: &[&str]) {
    let mut breaches = Vec::new();
    let mut uses = 0;
    for (name, code) in folders.iter().flat_map(|f| sources(f)) {
        for (number, line) in code.lines().enumerate().filter(|(_, l)| l.contains(word)) {
            uses += 1;
            if !allowed.iter().any(|a| name.starts_with(a)) {
                breaches.push(format!("{name}, code line {}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(breaches.is_empty(), "`{word}` belongs in {allowed:?} only:\n{}", breaches.join("\n"));
    assert!(allowed.is_empty() || uses > 0, "`{word}` is used nowhere: the wall guards nothing");
}

#[test]
fn protocol_knows_no_io() {
    for word in [
        "tokio", "quinn", "hyper", "rustls", "tracing", "rusqlite", "std::net", "std::fs", "async fn",
        "::now()",
    ] {
        only_in(word, &["protocol/src"], &[]);
    }
}

#[test]
fn providers_know_no_io() {
    for word in
        ["tokio", "hyper", "tracing", "rusqlite", "std::net", "std::fs", "async fn", "::now()", "println"]
    {
        only_in(word, &["provider/src"], &[]);
    }
}

#[test]
fn server_and_agent_do_not_know_each_other() {
    only_in("relay_agent", &["relay-server/src", "protocol/src", "link/src"], &[]);
    only_in("relay_server", &["relay-agent/src", "protocol/src", "link/src"], &[]);
    for (krate, other) in [("relay-server", "relay-agent"), ("relay-agent", "relay-server")] {
        let manifest = fs::read_to_string(root().join(krate).join("Cargo.toml")).expect("manifest");
        assert!(!manifest.contains(&format!("{other}.workspace")), "{krate} depends on {other}");
    }
}

#[test]
fn quinn_is_named_in_one_place() {
    only_in("quinn", &ALL, &["link/src/quic.rs", "link/src/quic/"]);
}

#[test]
fn sql_stands_under_the_store() {
    for word in ["rusqlite", "SELECT ", "INSERT ", "PRAGMA "] {
        only_in(word, &ALL, &["relay-server/src/store"]);
    }
}

#[test]
fn what_decides_does_not_wait() {
    let pure = [
        "relay-server/src/ingress/gate.rs",
        "relay-server/src/ingress/route.rs",
        "relay-server/src/delivery/capture.rs",
        "relay-server/src/delivery/dedupe.rs",
        "relay-server/src/delivery/dispatcher/lane.rs",
        "relay-server/src/delivery/schedule.rs",
        "relay-server/src/delivery/verdict.rs",
        "relay-server/src/model/delivery.rs",
        "relay-server/src/delivery/url/address.rs",
        "relay-server/src/delivery/url/head.rs",
        "relay-server/src/delivery/url/target.rs",
        "relay-server/src/jq/document.rs",
        "relay-server/src/jq/json.rs",
        "relay-server/src/jq/strikes.rs",
        "relay-server/src/jq/transform.rs",
        "relay-server/src/refusal.rs",
        "relay-server/src/model.rs",
        "relay-agent/src/cli/screen/curl.rs",
        "relay-agent/src/cli/screen/detail.rs",
        "relay-agent/src/cli/screen/draft.rs",
        "relay-agent/src/cli/screen/draw.rs",
        "relay-agent/src/cli/screen/keys.rs",
        "relay-agent/src/cli/screen/rows.rs",
        "relay-agent/src/cli/screen/state.rs",
        "relay-agent/src/cli/screen/summary.rs",
        "relay-agent/src/cli/screen/text.rs",
        "relay-agent/src/cli/screen/update.rs",
        "relay-agent/src/forward/response_gate.rs",
        "relay-agent/src/target.rs",
    ];
    for (name, code) in ALL.iter().flat_map(|f| sources(f)).filter(|(name, _)| pure.contains(&name.as_str()))
    {
        for word in ["tokio", "async ", ".await"] {
            assert!(!code.contains(word), "{name} says `{word}`");
        }
    }
    for name in pure {
        assert!(root().join(name).is_file(), "{name} has moved; so must this wall");
    }
}

#[test]
fn the_terminal_is_drawn_in_one_place() {
    only_in("ratatui", &ALL, &["relay-agent/src/cli/screen"]);
    only_in("crossterm", &ALL, &["relay-agent/src/cli/screen"]);
}

#[test]
fn nobody_imports_the_command_line() {
    only_in("cli::", &["relay-server/src"], &["relay-server/src/cli", "relay-server/src/main.rs"]);
    only_in("crate::cli", &["relay-agent/src"], &["relay-agent/src/cli", "relay-agent/src/main.rs"]);
}

#[test]
fn clock_chance_and_environment_are_passed_in() {
    only_in("SystemTime::now", &ALL, &["relay-server/src/clock.rs", "relay-agent/src/clock.rs"]);
    only_in("getrandom::", &ALL, &["relay-server/src/entropy.rs", "relay-agent/src/entropy.rs"]);
    only_in("tokio::spawn(", &ALL, &[]);
    only_in("env::var(", &ALL, &["relay-server/src/cli/serve.rs"]);
}

#[test]
fn only_the_command_line_prints() {
    for word in ["println!", "eprintln!", "print!("] {
        let allowed = [
            "relay-server/src/cli",
            "relay-server/src/main.rs",
            "relay-agent/src/cli",
            "relay-agent/src/output",
        ];
        let breaches: Vec<_> = ALL
            .iter()
            .flat_map(|f| sources(f))
            .filter(|(name, code)| code.contains(word) && !allowed.iter().any(|a| name.starts_with(a)))
            .map(|(name, _)| name)
            .collect();
        assert!(breaches.is_empty(), "`{word}` in {breaches:?}");
    }
}

#[test]
fn bincode_is_named_in_one_file() {
    only_in("bincode", &ALL, &["protocol/src/codec.rs"]);
}
