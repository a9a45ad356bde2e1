//! Server-sent events (WHATWG HTML, section 9.2) without I/O, as forgiving as the servers are careless: LF, CRLF and CR, a
//! byte order mark, comments, and a last event without the empty line that should end it. Lines that are no field of an event are
//! given out too: JSON line by line, and an answer, an error or a page as a whole. The library at hand (`eventsource-stream`)
//! loses those and has no bound on a line.

/// The longest event. A tool call's arguments come in pieces, so this is far above anything honest.
pub(crate) const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// The event is longer than [`MAX_EVENT_BYTES`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EventTooLong;

/// Bytes in, `data` of events out.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// Lines that are no field of an event.
    is_raw: bool,
    after_cr: bool,
    begun: bool,
}

impl SseParser {
    /// Hear more bytes, split anywhere.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        mut emit: impl FnMut(String),
    ) -> Result<(), EventTooLong> {
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(&mut emit),
                other => {
                    if self.line.len() + self.data.len() >= MAX_EVENT_BYTES {
                        return Err(EventTooLong);
                    }
                    self.line.push(other);
                }
            }
        }
        Ok(())
    }

    /// No more bytes: give out what is complete but for its end.
    pub(crate) fn finish(&mut self, mut emit: impl FnMut(String)) {
        if !self.line.is_empty() {
            self.end_line(&mut emit);
        }
        self.dispatch(&mut emit);
    }

    fn end_line(&mut self, emit: &mut impl FnMut(String)) {
        let line = std::mem::take(&mut self.line);
        let line = if std::mem::replace(&mut self.begun, true) {
            line.as_slice()
        } else {
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line)
        };
        if line.is_empty() {
            // what is no event does not end there
            if !self.is_raw {
                self.dispatch(emit);
            }
            return;
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => line.split_at_checked(at).unwrap_or((line, b"")),
            None => (line, b"".as_slice()),
        };
        let value = value.strip_prefix(b":").unwrap_or(value);
        match name {
            b"data" => {
                if self.is_raw {
                    self.dispatch(emit);
                }
                self.add(value.strip_prefix(b" ").unwrap_or(value));
            }
            // they mean nothing here, nor do comments
            b"" | b"event" | b"id" | b"retry" => {}
            _ => {
                let is_whole = line.starts_with(b"{") && line.trim_ascii_end().ends_with(b"}");
                let is_alone = !self.has_data && (is_whole || line == b"[DONE]");
                self.is_raw |= !self.has_data;
                self.add(line);
                if is_alone {
                    self.dispatch(emit);
                }
            }
        }
    }

    fn add(&mut self, line: &[u8]) {
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(line);
    }

    fn dispatch(&mut self, emit: &mut impl FnMut(String)) {
        self.is_raw = false;
        if std::mem::take(&mut self.has_data) {
            emit(String::from_utf8_lossy(&std::mem::take(&mut self.data)).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn parse(pieces: &[&[u8]]) -> Vec<String> {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.push(piece, |event| events.push(event)).unwrap();
        }
        parser.finish(|event| events.push(event));
        events
    }

    #[test]
    fn all_three_line_ends_a_mark_and_comments_are_understood() {
        for end in ["\n", "\r\n", "\r"] {
            let text = [
                "\u{feff}: hello",
                "data: a",
                "",
                "event: x",
                "data:b",
                "data: c",
                "",
                ":",
                "",
                "data: [DONE]",
            ]
            .join(end);
            assert_eq!(
                parse(&[text.as_bytes()]),
                ["a", "b\nc", "[DONE]"],
                "{end:?}"
            );
        }
    }

    #[test]
    fn what_is_no_event_is_given_out_as_a_whole_and_lines_of_json_one_by_one() {
        assert_eq!(
            parse(&[b"{\"a\":1}\n{\"a\":2}\n\n[DONE]\n"]),
            ["{\"a\":1}", "{\"a\":2}", "[DONE]"]
        );
        assert_eq!(
            parse(&[b"data: ping\n\n{\n  \"error\":\n\n  \"no\"\n}\n"]),
            ["ping", "{\n  \"error\":\n  \"no\"\n}"]
        );
        assert_eq!(
            parse(&[b"<html>\n\n<p>\n", b"data: a\n\n"]),
            ["<html>\n<p>", "a"]
        );
        // a line break that nobody escaped
        assert_eq!(parse(&[b"data: {\"a\ndata\n\n"]), ["{\"a\n"]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = SseParser::default();
        let block = vec![b'x'; MAX_EVENT_BYTES];
        parser.push(&block, |_| ()).unwrap();
        assert_eq!(parser.push(b"x", |_| ()), Err(EventTooLong));
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_events(
            lines in prop::collection::vec("(data: ?[a-zé€😀\"{}]{0,12}|: c|event: e||[a-z:]{0,6})", 0..20),
            ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 20),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let text: String = lines.iter().zip(&ends).map(|(line, end)| format!("{line}{end}")).collect();
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(parse(&pieces), parse(&[bytes]));
        }

        #[test]
        fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            parse(&[&bytes]);
        }
    }
}
