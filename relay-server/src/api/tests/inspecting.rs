//! What the inspector asks for: signing in, finding, marking, holding, the overview, files.

use super::*;
use crate::delivery::verdict::AttemptOutcome;
use crate::model::SignatureSeen;

/// A call by cookie, as a page of ours makes it, or one of another site.
async fn by_cookie(house: &House, cookie: &str, method: &str, path: &str, is_ours: bool) -> StatusCode {
    let body = (method != "GET").then(|| json!({ "rules": { "paused": false } }));
    let mut request = request(None, method, path, body);
    request.headers_mut().insert("cookie", format!("a=b; {cookie}; c=d").parse().unwrap());
    if is_ours {
        request.headers_mut().insert("relay-inspector", "1".parse().unwrap());
    }
    house.open(request).await.status()
}

#[tokio::test]
async fn who_signs_in_gets_a_cookie_that_no_other_site_can_use() {
    let house = house().await;
    let token = house.token(house.project, Scope::Admin).await;
    let wrong = json!({ "token": "rt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" });
    let refused = house.call(None, "POST", "/api/v1/session", Some(wrong)).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (401, "token_invalid"));
    let signed_in = house.call(None, "POST", "/api/v1/session", Some(json!({ "token": token.text.0 }))).await;
    assert_eq!(signed_in.status, 204);
    let set = signed_in.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains(&token.text.0),
        "{set}"
    );
    let cookie = set.split(';').next().unwrap().to_owned();

    let sources = "/api/v1/sources";
    assert_eq!(by_cookie(&house, &cookie, "GET", sources, false).await, 200);
    assert_eq!(by_cookie(&house, "relay_session=guess", "GET", sources, true).await, 401);
    let mine = "/api/v1/sources/mine";
    assert_eq!(by_cookie(&house, &cookie, "PATCH", mine, false).await, 403, "another site's page");
    assert_eq!(by_cookie(&house, &cookie, "PATCH", mine, true).await, 200);

    let other = house.token(house.project, Scope::Read).await;
    let signed_in = house.call(None, "POST", "/api/v1/session", Some(json!({ "token": other.text.0 }))).await;
    let reader = signed_in.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(by_cookie(&house, &reader, "PATCH", mine, true).await, 403, "no more than its token may");
    house.state.store.revoke_token(house.project, other.token.id).await.unwrap();
    assert_eq!(by_cookie(&house, &reader, "GET", sources, true).await, 401, "a revoked token ends it");

    let mut sign_out = request(None, "DELETE", "/api/v1/session", None);
    sign_out.headers_mut().insert("cookie", cookie.parse().unwrap());
    assert_eq!(house.open(sign_out).await.status(), 204);
    assert_eq!(by_cookie(&house, &cookie, "GET", sources, true).await, 401);
}

#[tokio::test]
async fn a_cookie_ends_with_the_working_day() {
    let house = house().await;
    let token = house.token(house.project, Scope::Admin).await;
    let signed_in = house.call(None, "POST", "/api/v1/session", Some(json!({ "token": token.text.0 }))).await;
    let cookie = signed_in.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    house.state.clock.set(NOW + 12 * 3_600_000 - 1);
    assert_eq!(by_cookie(&house, &cookie, "GET", "/api/v1/whoami", true).await, 200);
    house.state.clock.set(NOW + 12 * 3_600_000);
    assert_eq!(by_cookie(&house, &cookie, "GET", "/api/v1/whoami", true).await, 401);
}

/// Events of `mine`: a push that failed, an invoice that was verified, and one whose body says "needle".
async fn three(house: &House) -> [EventId; 3] {
    let record = |change: fn(&mut EventRecord)| {
        let mut record = *event(house.state.store.next_event_id(), house.mine, br#"{"say":"nothing"}"#);
        change(&mut record);
        record
    };
    let failed = record(|record| {
        record.known.name = Some("push".to_owned());
        (record.outcome, record.answer.status) = (Outcome::NotSent("app_refused"), 502);
    });
    let invoice = record(|record| {
        record.known.name = Some("invoice.paid".to_owned());
        record.known.sender_id = Some("evt_stripe".to_owned());
        record.known.signature = SignatureSeen::Verified;
        record.method = "PUT".to_owned();
    });
    let needle = record(|record| record.body.bytes = br#"{"say":"a Needle in it"}"#[..].into());
    let ids = [failed.id, invoice.id, needle.id];
    write(house, vec![failed, invoice, needle]).await;
    ids
}

/// Records events, and waits until all of them are there.
async fn write(house: &House, records: Vec<EventRecord>) {
    let wanted = house.state.store.record_counts().written + records.len() as u64;
    for record in records {
        house.state.store.record(Box::new(record)).unwrap();
    }
    let written = async {
        while house.state.store.record_counts().written < wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.expect("written in time");
}

async fn found(house: &House, token: &str, q: &str) -> Vec<String> {
    let q: String = form_urlencoded::byte_serialize(q.as_bytes()).collect();
    let told = house.call(Some(token), "GET", &format!("/api/v1/events?q={q}"), None).await;
    assert_eq!(told.status, 200, "{q}: {}", told.json());
    told.json()["events"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn events_are_found_by_what_is_typed() {
    let house = house().await;
    let admin = house.admin().await;
    let [failed, invoice, needle] = three(&house).await.map(|id| id.to_string());
    let other = house.state.store.source("other").unwrap().id;
    let others = house.record(other, b"").await.to_string();
    let table: [(&str, Vec<&String>); 14] = [
        ("", vec![&others, &needle, &invoice, &failed]),
        ("source:mine", vec![&needle, &invoice, &failed]),
        ("-source:mine", vec![&others]),
        ("status:5xx", vec![&failed]),
        ("outcome:not_sent", vec![&failed]),
        ("event:invoice.*", vec![&invoice]),
        ("evt_stripe", vec![&invoice]),
        ("signature:verified", vec![&invoice]),
        ("method:PUT", vec![&invoice]),
        ("body:needle", vec![&needle]),
        ("-body:\"nothing\" source:mine", vec![&needle]),
        ("header:x-kind event:push", vec![&failed]),
        ("since:1h", vec![&others, &needle, &invoice, &failed]),
        ("until:1h", vec![]),
    ];
    for (q, expected) in table {
        assert_eq!(found(&house, &admin, q).await.iter().collect::<Vec<_>>(), expected, "{q}");
    }
    let bound = Scope::Agent { sources: vec!["mine".to_owned()], create: false };
    let agent = house.token(house.project, bound).await.text.0;
    assert!(found(&house, &agent, "-source:mine").await.is_empty(), "nobody finds what they may not see");
    assert!(
        found(&house, &house.token(house.stranger, Scope::Admin).await.text.0, "status:5xx").await.is_empty()
    );
    let wrong = house.call(Some(&admin), "GET", "/api/v1/events?q=satus:500", None).await;
    assert!(wrong.status == 400 && wrong.json()["error"]["message"].as_str().unwrap().contains("status:500"));
}

#[tokio::test]
async fn a_search_that_looked_far_enough_says_where_to_go_on() {
    let house = house().await;
    let admin = house.admin().await;
    let [failed, ..] = three(&house).await;
    for _ in 0..18 {
        let next = || *event(house.state.store.next_event_id(), house.mine, b"");
        write(&house, std::iter::repeat_with(next).take(500).collect()).await;
    }
    let (mut before, mut looks, mut ids) = (String::new(), 0, Vec::new());
    loop {
        looks += 1;
        let path = format!("/api/v1/events?q=event:push{before}");
        let page = house.call(Some(&admin), "GET", &path, None).await.json();
        ids.extend(page["events"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    assert_eq!((ids, looks), (vec![failed.to_string()], 2));
}

#[tokio::test]
async fn what_is_noted_stands_beside_an_event_and_what_is_pinned_stays() {
    let house = house().await;
    let admin = house.admin().await;
    let [_, invoice, needle] = three(&house).await;
    let at = format!("/api/v1/events/{invoice}");
    let marked =
        house.call(Some(&admin), "PATCH", &at, Some(json!({ "pinned": true, "note": " look again " }))).await;
    assert_eq!(marked.status, 200);
    assert_eq!((&marked.json()["pinned"], &marked.json()["note"]), (&json!(true), &json!("look again")));
    assert_eq!(found(&house, &admin, "pinned:yes note:AGAIN").await, [invoice.to_string()]);
    let shown = house.call(Some(&admin), "GET", &at, None).await.json();
    assert_eq!((&shown["pinned"], &shown["note"]), (&json!(true), &json!("look again")));
    let long = house.call(Some(&admin), "PATCH", &at, Some(json!({ "note": "x".repeat(3_000) }))).await;
    assert_eq!(long.status, 400);
    let only_note = house.call(Some(&admin), "PATCH", &at, Some(json!({ "note": null }))).await.json();
    assert_eq!((&only_note["pinned"], &only_note["note"]), (&json!(true), &json!(null)));

    let policy = crate::store::Retention { age_ms: 0, bytes_max: u64::MAX };
    house.state.clock.set(NOW + 1_000);
    house.state.store.prune(policy, Default::default()).await.unwrap();
    assert_eq!(found(&house, &admin, "").await, [invoice.to_string()], "{needle} is gone");
    house.call(Some(&admin), "PATCH", &at, Some(json!({ "pinned": false }))).await;
    house.state.store.prune(policy, Default::default()).await.unwrap();
    assert!(found(&house, &admin, "").await.is_empty());
}

#[tokio::test]
async fn on_hold_only_what_somebody_let_go_is_claimed() {
    let house = house().await;
    let admin = house.admin().await;
    let [first, second, third] = [
        house.accept("mine", b"1").await,
        house.accept("mine", b"2").await,
        house.accept("mine", b"3").await,
    ];
    let destination = house.state.store.source("mine").unwrap().destinations[0].clone();
    let claimed = async || {
        let want = Want {
            destination: destination.id,
            limit: 10,
            lease_ms: 60_000,
            bytes_max: u64::MAX,
            is_strict: false,
            is_on_hold: true,
        };
        let advanced = house.state.store.advance(Arc::default(), vec![want], u64::MAX).await.unwrap();
        advanced.leased.iter().map(|leased| (leased.delivery, leased.is_replay)).collect::<Vec<_>>()
    };
    assert_eq!(claimed().await, []);
    let oldest = "/api/v1/deliveries?source=mine&state=waiting&order=oldest&limit=2";
    let listed = house.call(Some(&admin), "GET", oldest, None).await.json();
    let ids: Vec<_> =
        listed["deliveries"].as_array().unwrap().iter().map(|d| d["event"].as_str().unwrap()).collect();
    assert_eq!(ids, [first.to_string(), second.to_string()]);

    let release = |id: &str| format!("/api/v1/deliveries/{id}/release");
    let one = DeliveryId { event: second, no: 1 };
    let told = house.call(Some(&admin), "POST", &release(&one.to_string()), Some(json!({}))).await;
    assert_eq!(
        (told.status.as_u16(), told.json()["delivery"].as_str().unwrap()),
        (200, one.to_string().as_str())
    );
    assert_eq!(claimed().await, [(one, false)], "let go, and no replay");
    let over = house.call(Some(&admin), "POST", &release(&one.to_string()), Some(json!({}))).await;
    assert_eq!((over.status.as_u16(), over.code().as_str()), (409, "delivery_over"));

    let original = DeliveryId { event: third, no: 1 };
    let edit = json!({ "body": { "text": "edited" } });
    let told = house.call(Some(&admin), "POST", &release(&original.to_string()), Some(edit)).await.json();
    let copy: DeliveryId = told["delivery"].as_str().unwrap().parse().unwrap();
    assert_eq!(claimed().await, [(copy, true)]);
    let original = house.delivery(&original.to_string()).await;
    assert_eq!(
        (original.state, original.reason.as_deref()),
        (crate::model::DeliveryState::Cancelled, Some("edited"))
    );
}

#[tokio::test]
async fn the_overview_tells_how_each_source_stands_and_what_to_do() {
    let house = house().await;
    let admin = house.admin().await;
    let dead = house.accept("mine", b"1").await;
    house.accept("mine", b"2").await;
    let destination = house.state.store.source("mine").unwrap().destinations[0].clone();
    let leased = house.lease(&destination, 1).await.pop().unwrap();
    house.settle(leased, AttemptOutcome::Answered(410), Next::Dead("gone")).await;
    house.state.pulse.see(&event(house.state.store.next_event_id(), house.mine, b""), NOW);
    let told = house.call(Some(&admin), "GET", "/api/v1/overview", None).await.json();
    let mine = told["sources"].as_array().unwrap().iter().find(|line| line["slug"] == "mine").unwrap();
    let numbers =
        ["accepted", "delivered", "waiting", "dead", "cancelled", "agents"].map(|name| mine[name].as_u64());
    assert_eq!(numbers, [2, 0, 1, 1, 0, 1].map(Some));
    let other = told["sources"].as_array().unwrap().iter().find(|line| line["slug"] == "other").unwrap();
    assert_eq!((&other["accepted"], &other["delivered"]), (&json!(0), &json!(0)), "nothing was ever kept");
    assert_eq!(mine["minutes"][59], json!({ "events": 1, "failed": 0 }));
    assert!(mine["p99_us"].is_number() && mine["oldest_waiting_at"].is_string());
    let problems: Vec<_> =
        told["problems"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(problems, ["dead"]);
    assert_eq!(found(&house, &admin, told["problems"][0]["q"].as_str().unwrap()).await, [dead.to_string()]);
    let stranger = house.token(house.stranger, Scope::Admin).await.text.0;
    let theirs = house.call(Some(&stranger), "GET", "/api/v1/overview", None).await.json();
    assert_eq!((&theirs["sources"], &theirs["problems"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn what_was_found_can_be_had_as_a_file() {
    let house = house().await;
    let admin = house.admin().await;
    let ids = three(&house).await;
    let har = house.call(Some(&admin), "GET", "/api/v1/events/export?format=har&q=source:mine", None).await;
    assert!(har.headers["content-disposition"].to_str().unwrap().contains("events.har"));
    let har = har.json();
    let entries = har["log"]["entries"].as_array().unwrap();
    assert_eq!((har["log"]["version"].as_str(), entries.len()), (Some("1.2"), 3));
    assert_eq!(entries[2]["comment"], ids[0].to_string());
    assert_eq!(entries[1]["request"]["url"], "https://relay.example/h/mine/a?b");
    assert_eq!(entries[1]["request"]["queryString"], json!([{ "name": "b", "value": "" }]));
    let lines =
        house.call(Some(&admin), "GET", "/api/v1/events/export?format=ndjson&q=event:push", None).await;
    let text = String::from_utf8(lines.bytes).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((events.len(), &events[0]["id"]), (1, &json!(ids[0].to_string())));
}

#[tokio::test]
async fn a_test_event_needs_nothing_of_anybody() {
    let house = house().await;
    let admin = house.admin().await;
    let told = house.call(Some(&admin), "POST", "/api/v1/sources/mine/test", Some(json!({}))).await;
    assert_eq!((told.status.as_u16(), &told.json()["signed"]), (202, &json!(false)));
    let push = json!({ "provider": "github", "event": "push" });
    let told = house.call(Some(&admin), "POST", "/api/v1/sources/mine/test", Some(push)).await;
    assert_eq!(told.status, 202);
    let wrong = json!({ "provider": "github", "event": "no-such" });
    let told = house.call(Some(&admin), "POST", "/api/v1/sources/mine/test", Some(wrong)).await;
    assert_eq!(told.status, 400);
    assert_eq!(found(&house, &admin, "delivery:waiting").await.len(), 2);
}

#[tokio::test]
async fn browsers_get_the_stream_as_they_know_it() {
    let house = house().await;
    let token = house.admin().await;
    let mut asked = request(Some(&token), "GET", "/api/v1/events/stream", None);
    asked.headers_mut().insert("accept", "text/event-stream".parse().unwrap());
    let answer = house.open(asked).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body();
    let id = house.record(house.mine, b"hello").await;
    let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.expect("in time").unwrap();
    let text = String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap();
    let json = text.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).expect("one message");
    let line: Value = serde_json::from_str(json).unwrap();
    assert_eq!(line["id"], id.to_string());
}
