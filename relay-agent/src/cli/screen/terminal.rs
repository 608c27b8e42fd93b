//! The thread that has the terminal: takes keys, draws, lends the terminal to an editor, gives it back.
//!
//! It alone waits for the terminal: one that stands still holds up nothing else. However the program ends, a panic
//! included, the terminal is as it was.

use std::io::{self, BufRead as _, BufWriter, Stdout, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event};
use ratatui::crossterm::terminal::{
    self, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use ratatui::layout::Rect;
use relay_agent::clock;
use tokio::sync::mpsc;

use super::draft::Draft;
use super::draw::draw;
use super::look::Look;
use super::message::{Effect, Message, Wish};
use super::state::{Setup, State};
use crate::output::held;

/// Between two pictures: about thirty a second.
const FRAME: Duration = Duration::from_millis(33);

/// Ages are told in seconds.
const SECOND_MS: u64 = 1000;

/// How long the keyboard is listened to before somebody else may have it.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// Most messages taken in between two pictures.
const BURST: usize = 1024;

/// Most bytes terminals take into their clipboard: xterm's and others' limit is about a hundred thousand of base64.
const COPY_BYTES_MAX: usize = 74_000;

/// How the terminal is when nobody has it.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// Takes the terminal.
pub(super) fn enter() -> io::Result<()> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            before(panic);
        }));
    });
    enable_raw_mode()?;
    IS_OPEN.store(true, Ordering::SeqCst);
    held::hold();
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)
}

/// Gives it back, if it was taken. Does what can be done: there is nobody to tell.
pub(super) fn leave() {
    if IS_OPEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
        held::release();
    }
}

/// The columns and lines there are.
pub(super) fn size() -> (u16, u16) {
    terminal::size().unwrap_or((80, 24))
}

/// The keyboard, read by a thread of its own.
struct Keyboard {
    /// Held while it is read.
    reading: Mutex<()>,
    /// Somebody else wants it.
    is_lent: AtomicBool,
    is_over: AtomicBool,
}

impl Keyboard {
    fn read(&self, messages: &SyncSender<Message>) {
        while !self.is_over.load(Ordering::Relaxed) {
            if self.is_lent.load(Ordering::Relaxed) {
                thread::sleep(KEY_WAIT / 4);
                continue;
            }
            let read = {
                let _reading = self.reading.lock();
                match event::poll(KEY_WAIT) {
                    Ok(true) if !self.is_lent.load(Ordering::Relaxed) => event::read().map(Some),
                    Ok(_) => Ok(None),
                    Err(error) => Err(error),
                }
            };
            let message = match read {
                Ok(Some(Event::Key(key))) => Message::Key(key),
                Ok(Some(Event::Paste(text))) => Message::Paste(text),
                Ok(Some(Event::Resize(columns, lines))) => Message::Size(columns, lines),
                Ok(_) => continue,
                Err(_) => Message::Gone,
            };
            let is_gone = matches!(message, Message::Gone);
            if messages.send(message).is_err() || is_gone {
                return;
            }
        }
    }
}

/// What the thread is started with.
pub(super) struct Parts {
    pub(super) setup: Setup,
    pub(super) look: Look,
    pub(super) editor: Option<String>,
    pub(super) messages: SyncSender<Message>,
    pub(super) queue: Receiver<Message>,
    pub(super) wishes: mpsc::Sender<Wish>,
    /// Ctrl-C is somebody else's meanwhile.
    pub(super) is_away: Arc<AtomicBool>,
}

type Picture = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// The thread's whole life.
pub(super) fn run(parts: Parts) {
    let wishes = parts.wishes.clone();
    let keyboard = Arc::new(Keyboard {
        reading: Mutex::new(()),
        is_lent: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
    });
    let reader = {
        let (keyboard, messages) = (Arc::clone(&keyboard), parts.messages.clone());
        thread::spawn(move || keyboard.read(&messages))
    };
    let over = Arc::clone(&keyboard);
    let result = Window::new(parts, keyboard).and_then(|mut window| window.live());
    over.is_over.store(true, Ordering::Relaxed);
    leave();
    if let Err(error) = result {
        tracing::debug!(%error, "the terminal is gone");
        let _ = wishes.try_send(Wish::Gone);
    }
    drop(reader);
}

struct Window {
    parts: Parts,
    keyboard: Arc<Keyboard>,
    state: State,
    picture: Picture,
}

impl Window {
    fn new(parts: Parts, keyboard: Arc<Keyboard>) -> io::Result<Self> {
        let state = State::new(parts.setup.clone(), size(), clock::unix_ms());
        let picture =
            Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(64 * 1024, io::stdout())))?;
        Ok(Self { parts, keyboard, state, picture })
    }

    fn live(&mut self) -> io::Result<()> {
        let mut is_changed = true;
        let mut drawn_at: Option<Instant> = None;
        let mut second = 0;
        loop {
            let since = drawn_at.map_or(FRAME, |at| at.elapsed());
            if is_changed && since >= FRAME {
                let (state, look) = (&self.state, self.parts.look);
                let mut drawn = super::state::Drawn::default();
                self.picture.draw(|frame| drawn = draw(frame, state, look))?;
                self.state.settle(drawn);
                (drawn_at, is_changed) = (Some(Instant::now()), false);
            }
            let now_ms = clock::unix_ms();
            let until_second = Duration::from_millis(SECOND_MS - now_ms % SECOND_MS);
            let until_due =
                self.state.due_ms().map(|due| Duration::from_millis(due.saturating_sub(now_ms).max(1)));
            let until_frame =
                is_changed.then(|| FRAME.saturating_sub(drawn_at.map_or(FRAME, |at| at.elapsed())));
            let wait =
                [Some(until_second), until_due, until_frame].into_iter().flatten().min().unwrap_or(FRAME);
            let first = match self.parts.queue.recv_timeout(wait) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let mut effects = Vec::new();
            let now_ms = clock::unix_ms();
            if let Some(first) = first {
                is_changed = true;
                effects.extend(self.state.update(first, now_ms));
                for _ in 1..BURST {
                    let Ok(next) = self.parts.queue.try_recv() else { break };
                    effects.extend(self.state.update(next, now_ms));
                }
            }
            let before = self.state.status.is_some();
            effects.extend(self.state.tick(now_ms));
            is_changed |=
                before != self.state.status.is_some() || now_ms / SECOND_MS != second || !effects.is_empty();
            second = now_ms / SECOND_MS;
            for effect in effects {
                if effect == Effect::Leave {
                    return Ok(());
                }
                self.follow(effect)?;
            }
        }
    }

    fn follow(&mut self, effect: Effect) -> io::Result<()> {
        match effect {
            Effect::Wish(wish) => {
                if self.parts.wishes.try_send(wish).is_err() {
                    self.state.complain("too much is asked for at once; nothing was done");
                }
            }
            Effect::Copy(text) if text.len() > COPY_BYTES_MAX => {
                self.state.complain("too long for the clipboard of a terminal; C shows it");
            }
            Effect::Copy(text) => {
                let mut out = io::stdout().lock();
                write!(out, "\x1b]52;c;{}\x07", STANDARD.encode(text))?;
                out.flush()?;
            }
            Effect::Show(text) => self.lend(|| {
                let mut out = io::stdout().lock();
                writeln!(out, "{}\n\nEnter goes back.", crate::output::escape::text(&text))?;
                out.flush()?;
                io::stdin().lock().read_line(&mut String::new()).map(drop)
            })??,
            Effect::Edit(draft) => {
                let editor = self.parts.editor.clone();
                let is_away = Arc::clone(&self.parts.is_away);
                let result = self.lend(|| {
                    is_away.store(true, Ordering::Relaxed);
                    let result = edit(editor.as_deref(), &draft);
                    is_away.store(false, Ordering::Relaxed);
                    result
                })?;
                let effects = self.state.update(Message::Edited(result), clock::unix_ms());
                for effect in effects {
                    self.follow(effect)?;
                }
            }
            Effect::Browse(url) => match browse(&url) {
                Ok(()) => self.state.say(format!("opened {url}")),
                Err(error) => self.state.complain(format!("cannot open {url}: {error}")),
            },
            Effect::Leave => {}
        }
        Ok(())
    }

    /// Lends the terminal to somebody else. Forwarding goes on.
    fn lend<T>(&mut self, work: impl FnOnce() -> T) -> io::Result<T> {
        self.keyboard.is_lent.store(true, Ordering::Relaxed);
        let done = {
            let _reading = self.keyboard.reading.lock();
            leave();
            work()
        };
        enter()?;
        self.keyboard.is_lent.store(false, Ordering::Relaxed);
        self.state.size = size();
        // Draws everything anew; `clear` would ask the terminal where its cursor is, which not every one answers.
        self.picture.resize(Rect::new(0, 0, self.state.size.0, self.state.size.1))?;
        Ok(done)
    }
}

/// Has the text of a request edited.
fn edit(editor: Option<&str>, draft: &Draft) -> Result<String, String> {
    let editor = editor.unwrap_or("vi");
    let failed = |error: io::Error| format!("{editor}: {error}");
    // Nobody else may read it: it holds what senders sign with.
    let file = tempfile::Builder::new().prefix("relay-").suffix(".http").tempfile().map_err(failed)?;
    std::fs::write(file.path(), draft.text()).map_err(failed)?;
    // As git has it: the shell takes an editor with arguments apart.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(file.path());
    let status = command.status().map_err(failed)?;
    if !status.success() {
        return Err(format!("{editor} ended with {status}"));
    }
    std::fs::read_to_string(file.path()).map_err(failed)
}

fn browse(url: &str) -> io::Result<()> {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(opener);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    // Somebody has to wait for it, or it would stay as a zombie.
    thread::spawn(move || child.wait());
    Ok(())
}
