//! Prints docs/providers.md.

fn main() {
    print!("{}", provider::page());
}
