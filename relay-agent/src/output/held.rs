//! What is said on stderr while a screen has the terminal is held back, and said when it is given back: a line in the
//! middle of a picture helps nobody.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that are held; of more only the first.
const HELD_BYTES_MAX: usize = 64 * 1024;

static HELD: Mutex<Option<Vec<u8>>> = Mutex::new(None);

fn held() -> MutexGuard<'static, Option<Vec<u8>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on stderr is held, if it is a terminal.
pub(crate) fn hold() {
    if io::stderr().is_terminal() {
        held().get_or_insert_default();
    }
}

/// Says what was held.
pub(crate) fn release() {
    let text = held().take();
    if let Some(text) = text {
        // A closed stderr has nobody left to tell.
        let _ = io::stderr().lock().write_all(&text);
    }
}

/// Stderr, or what holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(text) = held().as_mut() {
            let room = HELD_BYTES_MAX.saturating_sub(text.len());
            text.extend_from_slice(&bytes[..bytes.len().min(room)]);
            return Ok(bytes.len());
        }
        io::stderr().lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded() {
        held().get_or_insert_default();
        Stderr.write_all(&vec![b'x'; HELD_BYTES_MAX + 10]).unwrap();
        assert_eq!(held().take().unwrap().len(), HELD_BYTES_MAX);
    }
}
