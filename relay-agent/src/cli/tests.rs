use clap::ValueEnum as _;
use clap_complete::Shell;

use super::*;

fn parsed(words: &str) -> Result<Cli, clap::Error> {
    let program = std::iter::once("relay-agent");
    parse(program.chain(words.split_whitespace()).map(OsString::from).collect())
}

fn refused(words: &str) -> String {
    match parsed(words) {
        Ok(_) => panic!("`{words}` was taken"),
        Err(error) => error.to_string(),
    }
}

fn verb(words: &str) -> &'static str {
    match parsed(words).unwrap_or_else(|error| panic!("`{words}`: {error}")).verb {
        Verb::Login(_) => "login",
        Verb::Forward(_) => "forward",
        Verb::Up(_) => "up",
        Verb::Sources(_) => "sources",
        Verb::Source(_) => "source",
        Verb::Destinations(_) => "destinations",
        Verb::Pause(_) => "pause",
        Verb::Resume(_) => "resume",
        Verb::Wait(_) => "wait",
        Verb::Publish(_) => "publish",
        Verb::Providers(_) => "providers",
        Verb::Trigger(_) => "trigger",
        Verb::Verify(_) => "verify",
        Verb::Deliveries(_) => "deliveries",
        Verb::Cancel(_) => "cancel",
        Verb::Backlog(_) => "backlog",
        Verb::Mcp(_) => "mcp",
        Verb::Events(_) => "events",
        Verb::Event(_) => "event",
        Verb::Tail(_) => "tail",
        Verb::Record(_) => "record",
        Verb::Replay(_) => "replay",
        Verb::Status(_) => "status",
        Verb::Doctor(_) => "doctor",
        Verb::Completions(_) => "completions",
        Verb::Logout(_) => "logout",
        Verb::Unnamed(_) => "unnamed",
    }
}

#[test]
fn clap_finds_no_fault_with_the_arguments() {
    Cli::command().debug_assert();
}

#[test]
fn each_shape_leads_to_its_verb() {
    let table = [
        ("3000", "forward"),
        ("--json 3000", "forward"),
        ("--color never -q 3000 --host preserve", "forward"),
        ("3000 --json --timeout 5s", "forward"),
        ("localhost:3000", "forward"),
        ("http://localhost:3000/hooks", "forward"),
        ("unix:/run/app.sock", "forward"),
        ("forward 3000", "forward"),
        ("forward github 3000", "forward"),
        ("forward github http://localhost:3000 --sharing replace --upgrade --no-create", "forward"),
        ("forward github 3000 --backlog latest --reply accepted", "forward"),
        ("3000 --backlog none", "forward"),
        ("up --backlog all", "up"),
        ("up", "up"),
        ("up other.toml", "up"),
        ("login", "login"),
        ("login -", "login"),
        ("login relay://t@h:1 --offline", "login"),
        ("sources --json", "sources"),
        ("events --source github --limit 5", "events"),
        ("events --status 5xx --method POST --outcome answered --since 2h --until 2026-03-01", "events"),
        ("event evt_00000000000000000000000001 --body", "event"),
        ("source github", "source"),
        ("source github reply=accepted dedupe=null", "source"),
        ("destinations github --json", "destinations"),
        (
            "destinations add github ci --url https://ci.example.com --order strict --pace 5 --sign",
            "destinations",
        ),
        ("destinations set github ci --no-sign --primary", "destinations"),
        ("destinations rm github ci", "destinations"),
        ("pause github", "pause"),
        ("resume github/ci", "resume"),
        ("wait", "wait"),
        (
            "wait --source github --event push --header X-A:1 --header X-B:2 --status 2xx --timeout 5m --since 1m",
            "wait",
        ),
        ("publish billing invoice.paid --payload-file -", "publish"),
        ("providers", "providers"),
        ("providers stripe", "providers"),
        ("trigger --list", "trigger"),
        ("trigger github push --source ci --set ref=main", "trigger"),
        ("trigger slack app_mention --to 3000 --secret-file s", "trigger"),
        ("verify evt_00000000000000000000000001 --provider github --secret-file s", "verify"),
        ("forward github 3000 --provider github --secret-file s --resign", "forward"),
        ("source github --provider github --param a=b --secret-file -", "source"),
        ("source github --forget-secret 3", "source"),
        ("deliveries --source github --destination ci --state dead --limit 5", "deliveries"),
        ("cancel evt_00000000000000000000000001.1 evt_00000000000000000000000002.3", "cancel"),
        ("backlog github", "backlog"),
        ("mcp", "mcp"),
        ("mcp --allow-replay", "mcp"),
        ("3000 --no-inspector", "forward"),
        ("up --inspector 127.0.0.1:0", "up"),
        ("backlog github/ci latest", "backlog"),
        ("tail --source github", "tail"),
        ("record fixtures --last 20 --source github", "record"),
        ("record fixtures --since 2h --without-headers Authorization,Cookie", "record"),
        ("record fixtures evt_00000000000000000000000001 evt_00000000000000000000000002", "record"),
        ("record fixtures --follow --last 1 --json", "record"),
        ("replay fixtures --to 3000", "replay"),
        (
            "replay fixtures/a fixtures/b --to unix:/run/app.sock --rate 0.5 --repeat 3 --strict --host preserve",
            "replay",
        ),
        ("replay evt_00000000000000000000000001", "replay"),
        (
            "replay evt_00000000000000000000000001 --to 3000 --method PUT --path /a?b --without-header X",
            "replay",
        ),
        ("replay evt_00000000000000000000000001.2 --destination ci --wait=5m", "replay"),
        ("replay evt_00000000000000000000000001 --header X-A:1 --without-header X-B --wait", "replay"),
        ("replay --source github --state dead --dry-run", "replay"),
        ("replay --status 5xx --method POST --since 2h --destination ci --yes", "replay"),
        ("status", "status"),
        ("doctor 3000 4000", "doctor"),
        ("completions zsh", "completions"),
        ("logout", "logout"),
    ];
    for (words, expected) in table {
        assert_eq!(verb(words), expected, "{words}");
    }
}

#[test]
fn slips_are_told_with_the_word_that_was_meant() {
    for (words, told) in [
        ("statsu", "did you mean `status`?"),
        ("--json evnts", "did you mean `events`?"),
        ("github 3000", "did you mean `forward github 3000`?"),
        ("xyzzy", "`xyzzy` is neither a verb nor a target"),
        ("forward xyzzy", "`xyzzy` names no port"),
        ("forward GitHub 3000", "lower-case letters"),
        ("3000 --sharing pol", "did you mean `pool`?"),
        ("3000 --timeout never", "expected a time"),
        ("3000 --hots x", "--host"),
        ("event 7", "evt_"),
        ("events --limit 0", "0 is not in"),
        ("-q -v status", "cannot be used with"),
        ("record", "<DIR>"),
        ("record fixtures 7", "evt_"),
        ("record fixtures --last 3 --since 2h", "cannot be used with"),
        ("record fixtures --last 0", "0 is not in"),
        ("record fixtures --since soon", "expected a time"),
        ("record fixtures --follow --without-headers a,b:c", "is not the name of a header field"),
        ("replay", "<WHAT>"),
        ("replay evt_1 --to 3000", "evt_"),
        ("replay fixtures --to xyzzy", "`xyzzy` names no port"),
        ("replay fixtures --rate 5", "--to"),
        ("replay --method PUT", "<WHAT>"),
        ("replay evt_00000000000000000000000001 --source github", "cannot be used with"),
        ("replay evt_00000000000000000000000001 --yes", "cannot be used with"),
        ("replay --source github --to 3000", "cannot be used with"),
        ("replay fixtures --to 3000 --destination ci", "cannot be used with"),
        ("replay fixtures --to 3000 --wait", "cannot be used with"),
        ("replay --source github --dry-run --yes", "cannot be used with"),
        ("replay --state leased", "expected `dead`"),
        ("replay evt_00000000000000000000000001.0", "is no delivery"),
        ("3000 --backlog lates", "did you mean `latest`?"),
        ("forward github 3000 --reply live!", "did you mean `live`?"),
        ("events --status 6xx", "expected a status"),
        ("events --outcome acepted", "did you mean `accepted`?"),
        ("wait --timeout 2d", "at most a day"),
        ("wait --header nonsense", "Name: value"),
        ("deliveries --state died", "did you mean `dead`?"),
        ("cancel", "<DELIVERY>"),
        ("cancel evt_00000000000000000000000001", "is no delivery"),
        ("backlog github some", "expected `all`"),
        ("backlog GitHub", "lower-case letters"),
        ("source github reply", "expected KEY=VALUE"),
        ("destinations", "Usage"),
        ("destinations add github", "<NAME>"),
        ("destinations add github ci --order fifo", "expected `none` or `strict`"),
        ("destinations add github ci --concurrency 0", "0 is not in"),
        ("publish billing", "<NAME>"),
        ("replay fixtures --to 3000 --rate 0", "more than none"),
        ("replay fixtures --to 3000 --repeat 0", "0 is not in"),
        ("replay fixtures --to 3000 --method GET/", "is not a method"),
        ("replay fixtures --to 3000 --path hooks", "starts with `/`"),
        ("replay fixtures --to 3000 --header nonsense", "Name: value"),
    ] {
        let text = refused(words);
        assert!(text.contains(told), "`{words}`: {text}");
    }
}

#[test]
fn a_token_among_the_arguments_is_refused_and_not_repeated() {
    for words in ["--token SECRET status", "status --token=SECRET", "3000 --token SECRET"] {
        let text = refused(words);
        assert!(text.contains("RELAY_TOKEN") && !text.contains("SECRET"), "{text}");
    }
}

#[test]
fn help_names_every_verb_exit_code_and_variable() {
    let help = Cli::command().render_long_help().to_string();
    for command in Cli::command().get_subcommands() {
        let line = format!("\n  {} ", command.get_name());
        assert!(help.contains(&line), "{} is missing", command.get_name());
    }
    let words = [
        "0 done",
        "1 failed",
        "2 usage",
        "3 refused",
        "4 server not",
        "5 server could",
        "6 taken over",
        "130 stopped",
        "RELAY_SERVER",
        "RELAY_TOKEN",
        "RELAY_CONFIG_DIR",
        "NO_COLOR",
        "relay-agent 3000",
    ];
    for word in words {
        assert!(help.contains(word), "{word} is missing in\n{help}");
    }
    assert!(!help.contains("--token "), "no such flag is offered");
}

#[test]
fn every_verb_explains_itself() {
    for command in Cli::command().get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!((10..80).contains(&about.len()), "{}: {about:?}", command.get_name());
    }
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in Shell::value_variants() {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut Cli::command(), "relay-agent", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("doctor") && script.contains("forward"), "{shell}");
    }
}
