//! The page people read is the table.

#[test]
fn the_page_about_providers_is_made_of_the_table() {
    let file = include_str!("../../docs/providers.md");
    let hint = "run: cargo run -q -p relay-provider --example page > docs/providers.md";
    assert!(file == provider::page(), "docs/providers.md is not what the table says; {hint}");
}

#[test]
fn the_ten_most_used_say_how_to_register_a_url() {
    for name in [
        "github",
        "stripe",
        "shopify",
        "slack",
        "discord",
        "twilio",
        "gitlab",
        "linear",
        "meta",
        "standard_webhooks",
    ] {
        let steps = &provider::find(name).expect("known").facts.steps;
        assert!(steps.len() >= 2 && steps.iter().any(|step| step.contains("{url}")), "{name}: {steps:?}");
    }
}
