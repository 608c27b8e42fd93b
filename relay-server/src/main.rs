//! The program `relay-server`: parse, run, tell the truth with the exit code.

use clap::Parser;
use relay_server::cli::Cli;

// glibc keeps what a burst needed: 460 KiB per connection after one, where jemalloc keeps 145 (docs/performance.md).
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    Cli::parse().run()
}
