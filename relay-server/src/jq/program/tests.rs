use super::*;

fn run(expression: &str, input: &str) -> Answer {
    Programs::new().run(expression, input.as_bytes(), 1_000)
}

fn output(expression: &str, input: &str) -> String {
    match run(expression, input) {
        Answer::Output(json) => String::from_utf8(json).expect("text"),
        other => panic!("{expression}: {other:?}"),
    }
}

fn mistake(expression: &str) -> String {
    match Programs::new().check(expression) {
        Answer::Invalid(text) => text,
        other => panic!("{expression}: {other:?}"),
    }
}

#[test]
fn the_first_output_is_the_answer() {
    for (expression, input, expected) in [
        (".", "{\"b\":1,\"a\":[ 2 ]}", r#"{"b":1,"a":[2]}"#),
        (".a, .b", r#"{"a":1,"b":2}"#, "1"),
        (".body.action == \"opened\"", r#"{"body":{"action":"opened"}}"#, "true"),
        ("[.[] | select(.n > 1) | .id]", r#"[{"n":1,"id":"a"},{"n":2,"id":"b"}]"#, r#"["b"]"#),
        (".ref | test(\"^refs/tags/v[0-9]+\")", r#"{"ref":"refs/tags/v12"}"#, "true"),
        (
            "{headers: {\"x-a\": .a}, body: (del(.a))}",
            r#"{"a":"1","c":2}"#,
            r#"{"headers":{"x-a":"1"},"body":{"c":2}}"#,
        ),
        (".t | fromdate", r#"{"t":"2024-05-01T00:00:00Z"}"#, "1714521600"),
        ("@base64 \"\\(.)\"", "\"hi\"", "\"aGk=\""),
        ("nan", "null", "null"),
        (". as {a: $x} | $x", r#"{"a":7}"#, "7"),
        ("try error(\"no\") catch .", "null", "\"no\""),
        ("first(range(10; infinite))", "null", "10"),
    ] {
        assert_eq!(output(expression, input), expected, "{expression}");
    }
    assert_eq!(run("empty", "1"), Answer::Nothing);
    assert_eq!(run(".[] | select(. > 5)", "[1,2]"), Answer::Nothing);
}

#[test]
fn numbers_pass_as_they_were_written() {
    for number in [
        "0",
        "9007199254740993",
        "123456789012345678901234567890",
        "-98765432109876543210",
        "1.10",
        "0.1000000000000000055511151231257827",
        "1e5",
        "1E+2",
        "1e400",
        "-0.0",
    ] {
        assert_eq!(output(".", number), number);
        assert_eq!(output(".a[0]", &format!("{{\"a\":[{number}]}}")), number);
    }
    // The one that does not: there is no negative zero among whole numbers.
    assert_eq!(output(".", "-0"), "0");
    // Arithmetic on whole numbers is exact, all other is in double precision.
    assert_eq!(output(". + 1", "9007199254740993"), "9007199254740994");
    assert_eq!(output(". + 0", "1.10"), "1.1");
    assert_eq!(output(". / 2", "4"), "2.0");
}

#[test]
fn a_mistake_is_told_with_its_place() {
    for (expression, expected) in [
        ("", "line 1, column 1: expected term, found the end"),
        (".a |", "line 1, column 5: expected term, found the end"),
        (".a\n  | foo(1)", "line 2, column 5: there is no filter `foo/1`"),
        ("if . then 1", "line 1, column 12: expected else or end, found the end"),
        (".a ) .b", "line 1, column 4: expected token, found `)`"),
        ("[1, 2", "line 1, column 1: `[` is never closed"),
        ("\"é\" | $x", "line 1, column 7: there is no variable `$x`"),
        ("1 2", "line 1, column 3: expected the end, found `2`"),
        ("break $out", "line 1, column 7: there is no label `$out`"),
    ] {
        assert_eq!(mistake(expression), expected, "{expression}");
    }
    let many = mistake(&(0..100).map(|n| format!("f{n}")).collect::<Vec<_>>().join("|"));
    assert!(many.starts_with("line 1, column 1: ") && many.chars().count() <= TEXT_CHARS_MAX, "{many}");
}

#[test]
fn an_expression_sees_its_input_and_nothing_else() {
    for name in [
        "now",
        "env",
        "localtime",
        "strflocaltime(\"%Y\")",
        "debug",
        "debug(1)",
        "stderr",
        "halt",
        "halt(1)",
        "halt_error",
        "input",
        "inputs",
        "input_filename",
        "input_line_number",
    ] {
        assert!(mistake(name).contains("is not available here"), "{name}");
    }
    for name in ["$ENV", "$ENV.PATH", "$__prog_args", "get_search_list", "repl"] {
        assert!(mistake(name).contains("there is no"), "{name}");
    }
    for name in ["import \"a\" as $a; $a", "import \"a\" as a; 1", "include \"a\"; 1"] {
        assert!(mistake(name).contains("load"), "{name}: {}", mistake(name));
    }
}

/// Guards against a filter that comes with a new release of the interpreter and is not pure. Whoever changes this
/// list has looked at what is new.
#[test]
fn the_native_filters_are_those_somebody_looked_at() {
    let mut names: Vec<_> = functions().map(|(name, _, _)| name).collect();
    names.sort_unstable();
    let known = "acos acosh ascii_downcase ascii_upcase asin asinh atan atan2 atanh bsearch cbrt ceil contains \
        copysign cos cosh decode_base64 decode_uri encode_base64 encode_uri endswith erf erfc error_empty \
        escape_html escape_sh exp exp10 exp2 explode expm1 fabs fdim first floor fma fmax fmin fmod frexp \
        fromdateiso8601 fromjson gmtime group_by has hypot ilogb implode indices j0 j1 jn key_values \
        keys_unsorted last ldexp length lgamma limit log log10 log1p log2 ltrim ltrimstr matches \
        max_by_or_empty min_by_or_empty mktime modf nearbyint nextafter path path_value pow range remainder \
        reverse rint round rtrim rtrimstr scalbln sin sinh skip sort sort_by split_ split_matches sqrt \
        startswith strftime strptime tan tanh tgamma tobytes todateiso8601 tojson trim trunc unescape_html \
        utf8bytelength y0 y1 yn";
    assert_eq!(names, known.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn a_raised_error_is_short_and_without_quotes() {
    let failed = |expression: &str, input: &str| match run(expression, input) {
        Answer::Failed(text) => text,
        other => panic!("{expression}: {other:?}"),
    };
    assert_eq!(failed("error(\"no such \\\"thing\\\"\")", "null"), "no such \"thing\"");
    assert_eq!(failed("error({a: 1})", "null"), "{\"a\":1}");
    assert_eq!(failed(".a.b", "{\"a\":1}"), "cannot index 1 with \"b\"");
    let long = failed("error(\"é\" * 10000)", "null");
    assert!(long.starts_with('é') && long.ends_with('…') && long.chars().count() == TEXT_CHARS_MAX, "{long}");
    let long = failed(".[0] + 1", &format!("[\"{}\"]", "x".repeat(100_000)));
    assert!(long.starts_with("cannot calculate") && long.chars().count() == TEXT_CHARS_MAX, "{long}");
    assert!(failed(".", "{").starts_with("the input is no JSON: byte offset 1"));
    assert!(failed(".", "").starts_with("the input is no JSON"));
    assert!(failed("tobytes", "\"a\"").contains("byte string"));
}

#[test]
fn what_is_too_large_or_too_deep_is_refused() {
    assert_eq!(run("\"x\" * 999", "null"), Answer::TooLarge);
    assert_eq!(output("\"x\" * 998", "null").len(), 1_000);
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(output(".", &nested(NESTING_MAX)), nested(NESTING_MAX));
    assert_eq!(run(".", &nested(NESTING_MAX + 1)), Answer::TooLarge);
    assert_eq!(run("1", &"[".repeat(100_000)), Answer::TooLarge);
}

#[test]
fn only_so_many_compiled_expressions_are_kept() {
    let mut programs = Programs::new();
    programs.check("\"kept\"");
    for n in 0..2 * COMPILED_MAX {
        programs.check(&n.to_string());
        programs.check("\"kept\"");
        assert!(programs.compiled.len() <= COMPILED_MAX);
    }
    assert!(programs.compiled.contains_key("\"kept\""), "what is in use stays");
    assert!(!programs.compiled.contains_key("0"));
    programs.check("|");
    assert!(!programs.compiled.contains_key("|"), "what does not compile is not kept");
}
