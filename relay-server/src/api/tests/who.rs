//! Who may do what, route by route.

use super::*;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Revoked,
    Stranger,
    Read,
    AgentOfOther,
    GuestOfMine,
    AgentOfMine,
    Admin,
}

/// Who is let do it, from the one who may least; whoever may less is told the status beside.
type Row = (&'static str, &'static str, Option<Value>, [(Who, u16); 6]);

fn matrix(event: EventId, delivery: DeliveryId, token: TokenId) -> Vec<Row> {
    use Who::{Admin, AgentOfMine, AgentOfOther, GuestOfMine, Read, Stranger};
    let to = |who: [u16; 6]| {
        [
            (Stranger, who[0]),
            (Read, who[1]),
            (AgentOfOther, who[2]),
            (GuestOfMine, who[3]),
            (AgentOfMine, who[4]),
            (Admin, who[5]),
        ]
    };
    let path = |rest: &str| -> &'static str { Box::leak(path(rest).into_boxed_str()) };
    let event = |rest: &str| path(&format!("/events/{event}{rest}"));
    let delivery = |rest: &str| path(&format!("/deliveries/{delivery}{rest}"));
    let rules = || Some(json!({ "rules": { "paused": false } }));
    let (all, seers) = ([200, 200, 200, 200, 200, 200], [404, 200, 404, 200, 200, 200]);
    let (managers, made) = ([404, 403, 404, 403, 200, 200], [404, 403, 404, 403, 201, 201]);
    vec![
        ("GET", path("/whoami"), None, to(all)),
        ("GET", path("/sources"), None, to(all)),
        ("POST", path("/sources"), Some(json!({})), to([201, 403, 403, 403, 403, 201])),
        ("GET", path("/sources/mine"), None, to(seers)),
        ("PATCH", path("/sources/mine"), rules(), to(managers)),
        ("GET", path("/tokens"), None, to([200, 200, 403, 403, 403, 200])),
        ("POST", path("/tokens"), Some(json!({ "scope": "read" })), to([201, 403, 403, 403, 403, 201])),
        ("GET", path("/events"), None, to(all)),
        ("GET", path("/events?source=mine"), None, to(seers)),
        ("GET", path("/events/stream?source=mine"), None, to(seers)),
        ("GET", event(""), None, to(seers)),
        ("GET", event("/body"), None, to(seers)),
        ("GET", path("/agents"), None, to(all)),
        ("GET", path("/overview"), None, to(all)),
        ("GET", path("/providers"), None, to(all)),
        ("GET", path("/events?q=method:POST"), None, to(all)),
        ("GET", path("/events/export?format=har"), None, to(all)),
        ("PATCH", event(""), Some(json!({ "pinned": true })), to(managers)),
        ("POST", path("/sources/mine/test"), Some(json!({})), to([404, 403, 404, 403, 202, 202])),
        ("POST", delivery("/release"), Some(json!({})), to([404, 403, 404, 403, 200, 200])),
        ("GET", path("/sources/mine/destinations"), None, to(seers)),
        (
            "POST",
            path("/sources/mine/destinations"),
            Some(json!({ "name": "second" })),
            to([404, 403, 404, 403, 201, 409]),
        ),
        ("GET", path("/sources/mine/destinations/second"), None, to(seers)),
        ("PATCH", path("/sources/mine/destinations/second"), rules(), to(managers)),
        ("GET", path("/sources/mine/destinations/second/backlog"), None, to(seers)),
        (
            "POST",
            path("/sources/mine/destinations/second/backlog"),
            Some(json!({ "keep": "none" })),
            to(managers),
        ),
        ("GET", path("/sources/mine/destinations/second/secret"), None, to(managers)),
        (
            "POST",
            path("/sources/mine/publish"),
            Some(json!({ "name": "a", "payload": 1 })),
            to([404, 403, 404, 403, 202, 202]),
        ),
        ("GET", path("/sources/mine/ledger"), None, to(seers)),
        (
            "POST",
            path("/sources/mine/trigger"),
            Some(json!({ "headers": [], "body": "e30=" })),
            to([404, 403, 404, 403, 202, 202]),
        ),
        ("GET", path("/sources/mine/secrets"), None, to(seers)),
        // The source has no provider yet.
        (
            "POST",
            path("/sources/mine/secrets"),
            Some(json!({ "secret": "s" })),
            to([404, 403, 404, 403, 409, 409]),
        ),
        ("DELETE", path("/sources/mine/secrets/7"), None, to([404, 403, 404, 403, 404, 404])),
        ("POST", path("/sources/mine/pair"), None, to(managers)),
        ("POST", event("/replay"), Some(json!({})), to(made)),
        ("POST", event("/replay"), Some(json!({ "method": "PUT" })), to(made)),
        ("POST", path("/replay"), Some(json!({ "source": "mine" })), to(managers)),
        ("POST", path("/replay"), Some(json!({})), to([200, 403, 200, 403, 200, 200])),
        ("GET", path("/deliveries"), None, to(all)),
        ("GET", path("/deliveries?source=mine"), None, to(seers)),
        ("GET", delivery(""), None, to(seers)),
        ("POST", delivery("/replay"), None, to(made)),
        // What takes something away comes last.
        ("POST", delivery("/cancel"), None, to([404, 403, 404, 403, 200, 409])),
        ("DELETE", path("/sources/mine/destinations/second"), None, to([404, 403, 404, 403, 204, 404])),
        ("DELETE", path(&format!("/tokens/{}", token.0)), None, to([404, 403, 403, 403, 403, 204])),
        ("DELETE", path("/sources/mine"), None, to([404, 403, 404, 403, 403, 204])),
    ]
}

/// Whether a path is one of this route's.
pub(super) fn is_route(route: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (mut ours, mut theirs) = (route.split('/'), path.split('/'));
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return true,
            (Some(ours), Some(theirs)) if ours == theirs || ours.starts_with('{') => {}
            _ => return false,
        }
    }
}

#[tokio::test]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    let house = house().await;
    let event = house.record(house.mine, b"hello").await;
    let destination = house.destination("mine", "default").id;
    house.state.store.replay(vec![(event, destination)]).await.unwrap();
    let delivery = DeliveryId { event, no: 1 };
    let bound = |source: &str| Scope::Agent { sources: vec![source.to_owned()], create: true };
    let guest = Scope::Agent { sources: vec!["mine".to_owned()], create: false };
    let victim = house.token(house.project, Scope::Read).await;
    let revoked = house.token(house.project, Scope::Admin).await;
    house.state.store.revoke_token(house.project, revoked.token.id).await.unwrap();
    let tokens = [
        (Who::Stranger, house.token(house.stranger, Scope::Admin).await),
        (Who::Read, house.token(house.project, Scope::Read).await),
        (Who::AgentOfOther, house.token(house.project, bound("other")).await),
        (Who::GuestOfMine, house.token(house.project, guest).await),
        (Who::AgentOfMine, house.token(house.project, bound("mine")).await),
        (Who::Admin, house.token(house.project, Scope::Admin).await),
    ];
    // A stream has no end: only its head is looked at.
    let status = async |request: Request<Body>| house.open(request).await.status().as_u16();
    for (method, path, body, expected) in matrix(event, delivery, victim.token.id) {
        for (who, token) in [(Who::Nobody, None), (Who::Revoked, Some(revoked.text.0.as_str()))] {
            let told = status(request(token, method, path, body.clone())).await;
            assert_eq!(told, 401, "{method} {path} by {who:?}");
        }
        let mut request_of_revoked = request(None, method, path, body.clone());
        request_of_revoked.extensions_mut().insert(Identity(revoked.token.clone()));
        assert_eq!(status(request_of_revoked).await, 401, "{method} {path} through the tunnel");
        for (who, expected) in expected {
            let (_, token) = tokens.iter().find(|(holder, _)| *holder == who).unwrap();
            let mut through_tunnel = request(None, method, path, body.clone());
            through_tunnel.extensions_mut().insert(Identity(token.token.clone()));
            if !(200..300).contains(&expected) || method == "GET" {
                assert_eq!(status(through_tunnel).await, expected, "{method} {path} by {who:?}, tunnel");
            }
            let told = status(request(Some(&token.text.0), method, path, body.clone())).await;
            assert_eq!(told, expected, "{method} {path} by {who:?}");
        }
    }
    let rows = matrix(event, delivery, victim.token.id);
    for (route, _) in v1() {
        let is_tried = |row: &Row| is_route(route, row.1.trim_start_matches("/api/v1"));
        assert!(rows.iter().any(is_tried) || route == "/openapi.json", "nobody tries {route}");
    }
    assert_eq!(*house.revoked.lock().unwrap(), [victim.token.id]);
}

#[tokio::test]
async fn lists_hold_only_what_the_caller_may_look_at() {
    let house = house().await;
    let mine = house.record(house.mine, b"").await;
    let other = house.state.store.source("other").unwrap().id;
    let others = house.record(other, b"").await;
    let bound = Scope::Agent { sources: vec!["mine".to_owned(), "no-such".to_owned()], create: false };
    let agent = house.token(house.project, bound).await.text.0;
    let free = house.token(house.project, Scope::Agent { sources: vec![], create: false }).await.text.0;
    let nothing = Scope::Agent { sources: vec!["no-such".to_owned()], create: false };
    let nothing = house.token(house.project, nothing).await.text.0;
    let stranger = house.token(house.stranger, Scope::Admin).await.text.0;
    let of = |list: &Value, key: &str, field: &str| -> Vec<String> {
        let items = list[key].as_array().unwrap();
        items.iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
    };
    let admin = house.admin().await;
    let table = [
        (&admin, vec!["mine", "other"], vec![others, mine], 2),
        (&free, vec!["mine", "other"], vec![others, mine], 2),
        (&agent, vec!["mine"], vec![mine], 1),
        (&nothing, vec![], vec![], 0),
        (&stranger, vec![], vec![], 0),
    ];
    for (token, slugs, events, agents) in table {
        let told = house.call(Some(token), "GET", "/api/v1/sources", None).await.json();
        assert_eq!(of(&told, "sources", "slug"), slugs);
        let told = house.call(Some(token), "GET", "/api/v1/events", None).await.json();
        assert_eq!(of(&told, "events", "id"), events.iter().map(EventId::to_string).collect::<Vec<_>>());
        let told = house.call(Some(token), "GET", "/api/v1/agents", None).await.json();
        assert_eq!(told["agents"].as_array().unwrap().len(), agents);
    }
    let told = house.call(Some(&agent), "GET", "/api/v1/agents", None).await.json();
    assert_eq!(told["agents"][0]["serves"], json!(["mine/default"]));
}
