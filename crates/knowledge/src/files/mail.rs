//! E-mail (RFC 5322, MIME): subject, who wrote it to whom and when, its words, and the documents that are attached.

use mailparse::{DispositionType, MailHeaderMap as _, ParsedMail};

use super::{Block, MAX_ATTACHED, Part, extension, read_attached, squeezed};
use crate::folder::Form;
use crate::html::html;

/// Parts of one e-mail that are looked at.
const MAX_PIECES: usize = 200;

pub(super) fn read(bytes: &[u8], depth: usize) -> Result<Vec<Part>, String> {
    let mail = mailparse::parse_mail(bytes).map_err(|error| format!("it is no e-mail: {error}"))?;
    let header = |name| {
        mail.headers
            .get_first_value(name)
            .map(|value| squeezed(&value))
    };
    let mut blocks = Vec::new();
    if let Some(subject) = header("Subject").filter(|subject| !subject.is_empty()) {
        blocks.push(Block::Heading(1, subject));
    }
    for name in ["From", "To", "Date"] {
        if let Some(value) = header(name).filter(|value| !value.is_empty()) {
            blocks.push(Block::Line(format!("{name}: {value}")));
        }
    }
    if blocks.is_empty() {
        return Err("it is no e-mail: it has neither sender nor subject".into());
    }
    let mut found = Found {
        blocks,
        attached: Vec::new(),
        depth,
    };
    let mut left = MAX_PIECES;
    found.piece(&mail, &mut left)?;
    let mut parts = vec![Part {
        page: None,
        blocks: found.blocks,
    }];
    parts.extend(found.attached);
    Ok(parts)
}

struct Found {
    blocks: Vec<Block>,
    attached: Vec<Part>,
    depth: usize,
}

impl Found {
    fn piece(&mut self, mail: &ParsedMail<'_>, left: &mut usize) -> Result<(), String> {
        let Some(less) = left.checked_sub(1) else {
            return Ok(());
        };
        *left = less;
        let kind = mail.ctype.mimetype.as_str();
        let disposition = mail.get_content_disposition();
        let name = disposition
            .params
            .get("filename")
            .or_else(|| mail.ctype.params.get("name"));
        if let (Some(name), false) = (name, disposition.disposition == DispositionType::Inline) {
            return self.attachment(mail, name);
        }
        match kind {
            "multipart/alternative" => {
                // the same words several times; plain ones have nothing hidden in them
                let plain = mail
                    .subparts
                    .iter()
                    .find(|part| part.ctype.mimetype == "text/plain");
                let has_words = |part: &&ParsedMail<'_>| {
                    part.get_body().is_ok_and(|body| !body.trim().is_empty())
                };
                match plain.filter(has_words).or(mail.subparts.last()) {
                    Some(part) => self.piece(part, left),
                    None => Ok(()),
                }
            }
            "message/rfc822" => self.attachment(mail, "message.eml"),
            "text/html" => {
                let body = body_of(mail)?;
                for chunk in html("", &body) {
                    self.blocks
                        .extend(chunk.text.lines().map(|line| Block::Line(squeezed(line))));
                }
                Ok(())
            }
            kind if kind.starts_with("text/") => {
                let body = body_of(mail)?;
                self.blocks.extend(paragraphs(&body));
                Ok(())
            }
            _ => mail
                .subparts
                .iter()
                .try_for_each(|part| self.piece(part, left)),
        }
    }

    /// A document that is attached; of one that cannot be read the reason.
    fn attachment(&mut self, mail: &ParsedMail<'_>, name: &str) -> Result<(), String> {
        let name = squeezed(name);
        let end = extension(&name);
        let whole = |blocks| vec![Part { page: None, blocks }];
        let read = match Form::of_extension(&end) {
            None => return Ok(()),
            Some(Form::Other(_)) if self.depth >= MAX_ATTACHED => {
                Err("e-mails are attached to e-mails too deeply".into())
            }
            Some(Form::Other(kind)) => {
                let body = mail.get_body_raw().map_err(|error| error.to_string())?;
                read_attached(kind, &body, self.depth + 1)
            }
            Some(Form::Html) => body_of(mail).map(|body| {
                let chunks = html("", &body).into_iter();
                whole(chunks.map(|chunk| Block::Line(chunk.text)).collect())
            }),
            Some(Form::Markdown | Form::Text) => body_of(mail).map(|body| whole(paragraphs(&body))),
        };
        match read {
            Ok(parts) => self.attached.extend(parts.into_iter().map(|part| Part {
                page: Some(match part.page {
                    Some(page) => format!("{name}, {page}"),
                    None => name.clone(),
                }),
                ..part
            })),
            Err(reason) => self.blocks.push(Block::Line(format!(
                "The attachment {name} could not be read: {reason}."
            ))),
        }
        Ok(())
    }
}

/// Lines of the same paragraph joined; quoted answers and a signature are left out.
fn paragraphs(body: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut paragraph = String::new();
    let said = body.lines().take_while(|line| *line != "-- ");
    for line in said.filter(|line| !line.starts_with('>')).chain([""]) {
        if line.trim().is_empty() {
            let said = squeezed(&std::mem::take(&mut paragraph));
            if !said.is_empty() {
                blocks.push(Block::Line(said));
            }
        } else {
            paragraph.push_str(line);
            paragraph.push(' ');
        }
    }
    blocks
}

fn body_of(mail: &ParsedMail<'_>) -> Result<String, String> {
    mail.get_body().map_err(|error| error.to_string())
}
