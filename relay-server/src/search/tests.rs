use super::*;

const NOW_MS: u64 = 1_764_000_000_000;

fn facts() -> Facts<'static> {
    Facts {
        source: "billing",
        id: "evt_01abc",
        method: "POST",
        status: 502,
        outcome: OutcomeKind::NotSent,
        target: b"/h/billing/hooks/stripe?x=1",
        mount: 10,
        name: Some("invoice.paid"),
        sender_id: Some("evt_1NG8"),
        signature: Some("verified"),
    }
}

fn find(text: &str) -> Search {
    parse(text, NOW_MS).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn what_is_typed_is_found() {
    for text in [
        "",
        "invoice",
        "STRIPE",
        "evt_1ng8",
        "evt_01ABC",
        "method:post",
        "method:GET|POST",
        "status:5xx",
        "status:502",
        "status:404|5xx",
        "status:500-510",
        "event:invoice.*",
        "event:invoice.paid",
        "event:push|*.paid",
        "-event:push",
        "path:/hooks/*",
        "path:/h/billing/*",
        "source:billing",
        "source:bill*",
        "outcome:not_sent",
        "outcome:refused|NOT_SENT",
        "signature:verified",
        "-signature:refused",
        "method:POST status:5xx event:invoice.* -source:other",
        "\"/hooks/stripe?x=1\"",
        "x=1",
        // Judged by what has to be read.
        "body:\"abc\"",
        "delivery:dead",
        "pinned:yes",
    ] {
        assert!(find(text).holds(&facts()), "{text}");
    }
    for text in [
        "nothing",
        "-invoice",
        "method:GET",
        "status:4xx",
        "event:invoice",
        "path:/stripe",
        "source:bil",
        "outcome:answered",
        "signature:none",
        "invoice -stripe",
    ] {
        assert!(!find(text).holds(&facts()), "{text}");
    }
}

#[test]
fn what_has_to_be_read_is_asked_for_and_judged() {
    assert_eq!(find("status:5xx invoice since:2h").needs(), Needs::default());
    let all = find(r#"header:"x-one: 1" body:"a \"b\"" delivery:dead|waiting pinned:yes note:later"#);
    assert_eq!(all.needs(), Needs { headers: true, body: true, deliveries: true, mark: true });
    let fields = |value: &[u8]| {
        let mut block = HeaderBlock::default();
        block.push(b"X-One", value).expect("a field");
        block
    };
    assert!(all.holds_headers(&fields(b"1")) && !all.holds_headers(&fields(b"2")));
    assert!(all.holds_body(br#"{"x": "A "b""#) && !all.holds_body(b"ab"));
    assert!(all.holds_deliveries(&[DeliveryState::Delivered, DeliveryState::Dead]));
    assert!(!all.holds_deliveries(&[DeliveryState::Delivered]) && !all.holds_deliveries(&[]));
    assert!(all.holds_mark(true, Some("look LATER")) && !all.holds_mark(true, None));
    assert!(!all.holds_mark(false, Some("later")));
    assert!(find("-delivery:dead").holds_deliveries(&[]), "nothing died");
}

#[test]
fn times_are_ages_days_and_moments() {
    let since = |text: &str| find(&format!("since:{text}")).between().0.expect("a time");
    assert_eq!(since("2h"), NOW_MS - 2 * 3_600_000);
    assert_eq!(since("90s"), NOW_MS - 90_000);
    assert_eq!(since("2025-11-22"), 1_763_769_600_000);
    assert_eq!(since("2025-11-22T10:00"), 1_763_805_600_000);
    assert_eq!(since("2025-11-22T11:00:00+01:00"), 1_763_805_600_000);
    assert_eq!(find("until:1d since:7d").between(), (Some(NOW_MS - 604_800_000), Some(NOW_MS - 86_400_000)));
}

#[test]
fn only_sources_that_can_be_meant_are_looked_through() {
    let search = find("source:bill*|shop -source:billing-test status:5xx");
    let wanted = ["billing", "shop", "billing-test", "other"].map(|slug| search.wants_source(slug));
    assert_eq!(wanted, [true, true, false, false]);
}

#[test]
fn what_is_not_understood_is_told_with_what_to_say() {
    let cases = [
        ("satus:500", "did you mean `status:500`"),
        ("colour:red", "quote it: \"colour:red\""),
        ("status:7xx", "status: a number"),
        ("status:abc", "status: a number"),
        ("outcome:lost", "outcome: one of answered"),
        ("delivery:gone", "delivery: one of waiting"),
        ("signature:maybe", "signature: verified"),
        ("since:yesterday", "a time is"),
        ("-since:2h", "take no `-`"),
        ("body:\"abc", "a quote is not closed"),
        ("method:", "say what, after `method:`"),
        ("-", "an empty word"),
        ("pinned:no", "say `pinned:yes`"),
    ];
    for (text, told) in cases {
        let error = parse(text, NOW_MS).expect_err(text).to_string();
        assert!(error.contains(told), "{text}: {error}");
    }
    assert!(parse(&"x ".repeat(40), NOW_MS).is_err() && parse(&"x".repeat(2_000), NOW_MS).is_err());
}

#[test]
fn what_looks_like_a_key_and_is_none_is_text() {
    assert!(find("12:30").terms.len() == 1 && find("https://a.example/b").terms.len() == 1);
    assert!(find("\"status:5xx\"").terms.iter().all(|term| matches!(term.what, What::Text(_))));
}

proptest::proptest! {
    #[test]
    fn anything_typed_is_a_search_or_a_mistake(text in "\\PC{0,60}") {
        if let Ok(search) = parse(&text, NOW_MS) {
            let _ = search.holds(&facts());
            let _ = search.holds_body(text.as_bytes());
        }
    }
}
