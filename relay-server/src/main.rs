//! The program `relay-server`: parse, run, tell the truth with the exit code.

use clap::Parser;
use relay_server::cli::Cli;

// glibc keeps what a burst of connections needed; jemalloc gives more of it back.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    Cli::parse().run()
}
