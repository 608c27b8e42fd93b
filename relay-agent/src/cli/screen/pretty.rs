//! JSON with line breaks and indents, and otherwise byte for byte: keys in their order, numbers as they were written.

use serde::de::IgnoredAny;

/// Indent of a level.
const STEP: &str = "  ";

/// The text with one member a line, if it is JSON.
pub(super) fn json(text: &str) -> Option<String> {
    let is_nested = text.trim_start().starts_with(['{', '[']);
    if !is_nested || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return None;
    }
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut is_string = false;
    let mut is_escaped = false;
    let mut chars = text.chars().filter(|c| !c.is_ascii_control() || *c == ' ').peekable();
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(STEP, depth));
    };
    while let Some(c) = chars.next() {
        if is_string {
            out.push(c);
            is_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            ' ' => {}
            '{' | '[' => {
                out.push(c);
                while chars.next_if_eq(&' ').is_some() {}
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                is_string = c == '"';
                out.push(c);
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_numbers_and_strings_stay_as_they_were_written() {
        let text = "{\"z\":1.0, \"a\" :[ ],\n\t\"s\":\"a, \\\"b\\\\\" ,\"n\":{\"x\":12345678901234567890,\"y\":[1,{}]}}";
        let expected = "{\n  \"z\": 1.0,\n  \"a\": [],\n  \"s\": \"a, \\\"b\\\\\",\n  \"n\": {\n    \
                        \"x\": 12345678901234567890,\n    \"y\": [\n      1,\n      {}\n    ]\n  }\n}";
        assert_eq!(json(text).as_deref(), Some(expected));
    }

    #[test]
    fn what_is_no_json_is_left_alone() {
        for text in ["", "hello", "3", "\"x\"", "{", "{\"a\":1} x", "<a/>"] {
            assert_eq!(json(text), None, "{text}");
        }
    }
}
