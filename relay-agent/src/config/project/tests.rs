use std::time::Duration;

use protocol::control::Sharing;
use relay_agent::HostField;

use super::*;

fn mistakes(text: &str) -> Vec<String> {
    let list = parse(text).expect_err("there are mistakes");
    list.iter().map(|mistake| format!("{}: {}", mistake.line, mistake.text)).collect()
}

#[test]
fn a_short_file_takes_every_default() {
    let project = parse("[[route]]\nname = \"github\"\ntarget = 3000\n").unwrap();
    let expected = Route::new("github".parse().unwrap(), "3000".parse().unwrap());
    assert_eq!(project, Project { routes: vec![expected], in_flight_max: None, target_ca: None });
}

#[test]
fn a_full_file_is_read_whole() {
    let text = r#"
in_flight_max = 64
target_ca = "dev-ca.pem"

[[route]]
name = "github"
target = "http://localhost:3000/hooks"
destination = "ci"
host = "preserve"
create = false
sharing = "broadcast"
upgrade = true
answer_timeout = "1m 30s"

[[route]]
name = "github"
target = "https://app.test:8443"
host = "app.example.com"
answer_timeout = 5
"#;
    let project = parse(text).unwrap();
    assert_eq!(project.in_flight_max, Some(64));
    assert_eq!(project.target_ca.as_deref(), Some(Path::new("dev-ca.pem")));
    let [first, second] = project.routes.as_slice() else { panic!("two routes") };
    assert_eq!(first.destination.as_str(), "ci");
    assert_eq!(first.host, HostField::Preserve);
    assert_eq!((first.create, first.sharing, first.upgrade), (false, Sharing::Broadcast, true));
    assert_eq!(first.answer_timeout, Duration::from_secs(90));
    assert_eq!(second.host, HostField::Fixed("app.example.com".to_owned()));
    assert_eq!(second.answer_timeout, Duration::from_secs(5));
    assert!(second.create);
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    let text = r#"in_flight_max = 0
rout = 1

[[route]]
name = "GitHub"
tagret = "http://localhost:3000"
upgrade = "yes"

[[route]]
name = "stripe"
target = "http://localhost:4000"
sharing = "brodcast"
answer_timeout = "soon"
host = ["a"]
"#;
    assert_eq!(
        mistakes(text),
        [
            "1: `in_flight_max` is a whole number from 1 to 4096",
            "2: unknown key `rout` at the top of the file",
            "4: `target` is missing in [[route]]",
            "5: `name`: `GitHub` is not a valid name: use 1 to 63 lower-case letters, digits and `-`, not at either end",
            "6: unknown key `tagret` in [[route]]; did you mean `target`?",
            "7: `upgrade` is true or false, without quotes",
            "12: `sharing`: expected `pool`, `replace` or `broadcast`, not `brodcast`; did you mean `broadcast`?",
            "13: `answer_timeout`: expected a time such as `30s` or `2m`, more than none and at most an hour, not `soon`",
            "14: `host` is a text, not an array",
        ]
    );
}

#[test]
fn routes_that_would_fight_are_told() {
    let text = "[[route]]\nname = \"a\"\ntarget = 1\n[[route]]\nname = \"a\"\ntarget = 2\n";
    assert_eq!(mistakes(text), ["4: two routes for a/default: give one another `destination`"]);
}

#[test]
fn a_file_without_routes_is_a_mistake() {
    assert_eq!(mistakes(""), ["1: there is no [[route]]"]);
    assert_eq!(mistakes("\nroute = []"), ["2: routes are written as [[route]], with double brackets"]);
    assert_eq!(
        mistakes("[route]\nname = \"a\""),
        ["1: routes are written as [[route]], with double brackets"]
    );
    assert_eq!(
        mistakes("routes = 1")[1],
        "1: unknown key `routes` at the top of the file; did you mean `route`?"
    );
    assert_eq!(mistakes("route = [1]"), ["1: a route is a table: [[route]]"]);
}

#[test]
fn broken_toml_names_its_lines() {
    let found = mistakes("[[route]]\nname = \"a\ntarget = 3000\nupgrade = maybe\n");
    assert!(found.iter().any(|line| line.starts_with("2: ")), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("4: ")), "{found:?}");
    assert!(mistakes("a = 1\na = 2\n")[0].starts_with("2: "));
}

#[test]
fn the_message_leads_to_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    std::fs::write(&path, "[[route]]\nname = \"a\"\n").unwrap();
    let message = load(&path).unwrap_err().to_string();
    let shown = path.display();
    assert_eq!(message, format!("1 mistake in {shown}\n  {shown}:1: `target` is missing in [[route]]"));

    std::fs::write(&path, "target_ca = \"ca.pem\"\n[[route]]\nname = \"a\"\ntarget = 1\n").unwrap();
    assert_eq!(
        load(&path).unwrap().target_ca,
        Some(dir.path().join("ca.pem")),
        "beside the file that names it"
    );
    assert!(load(&dir.path().join("none.toml")).unwrap_err().to_string().contains("none.toml"));
}
