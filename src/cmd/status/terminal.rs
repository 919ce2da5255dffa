//! The terminal that a live view is drawn on, given back as it was however that ends.

use std::io::{self, IsTerminal, Write};

use rustix::termios::tcgetwinsize;

use super::live::Size;

/// The other screen, without a cursor (xterm's control sequences, DECSET 1049 and DECTCEM).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the upper left.
const HOME: &str = "\x1b[H";
/// Clears the rest of a line, and of the screen.
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

/// Size where nobody tells: what is not a terminal has no edge.
const NO_EDGE: Size = Size { columns: 1_000, lines: 200 };

/// Standard output, drawn on in place where it is a terminal.
pub(super) struct Terminal<'a, W: Write> {
    out: &'a mut W,
    is_screen: bool,
}

impl<'a, W: Write> Terminal<'a, W> {
    /// Takes the terminal over. A panic gives it back before it speaks.
    pub(super) fn enter(out: &'a mut W) -> io::Result<Self> {
        let is_screen = io::stdout().is_terminal();
        if is_screen {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let _ = io::stderr().write_all(LEAVE.as_bytes());
                before(panic);
            }));
            out.write_all(ENTER.as_bytes())?;
        }
        Ok(Self { out, is_screen })
    }

    /// How much fits now.
    pub(super) fn size(&self) -> Size {
        let told = if self.is_screen { tcgetwinsize(io::stdout()).ok() } else { None };
        let told = told.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        told.map_or(NO_EDGE, |size| Size { columns: size.ws_col.into(), lines: size.ws_row.into() })
    }

    /// Shows a frame in the place of the last one, or below it where it is no terminal.
    pub(super) fn show(&mut self, frame: &[String]) -> io::Result<()> {
        let text = if self.is_screen {
            let lines = frame.join(&format!("{REST_OF_LINE}\r\n"));
            format!("{HOME}{lines}{REST_OF_LINE}{REST_OF_SCREEN}")
        } else {
            frame.join("\n") + "\n\n"
        };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Drop for Terminal<'_, W> {
    fn drop(&mut self) {
        if self.is_screen {
            let _ = self.out.write_all(LEAVE.as_bytes()).and_then(|()| self.out.flush());
        }
    }
}
