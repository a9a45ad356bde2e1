//! The drawing instructions of a page, as far as they are about text.

use std::rc::Rc;

use hayro_syntax::content::{Instruction, UntypedIter};
use hayro_syntax::object::{Array, Dict, Name, Number, Object, ObjectIdentifier, Stream};
use hayro_syntax::page::{Page, Resources};
use rustc_hash::FxHashMap;
use unicode_normalization::UnicodeNormalization;

use super::font::Font;
use super::layout::Letter;

/// Letters of one page; a full page of a newspaper has 30,000.
const MAX_LETTERS: usize = 200_000;
/// Instructions of a document, those of a form each time that it is drawn: a form may draw others, and these others again.
const MAX_INSTRUCTIONS: usize = 50_000_000;
/// A form that is drawn counts as so many, whatever stands in it: finding it is what takes time.
const FORM_INSTRUCTIONS: usize = 1_000;
/// Forms inside one another.
const MAX_FORMS: usize = 12;
/// States that are kept to return to.
const MAX_STATES: usize = 200;
/// Fonts of a document.
const MAX_FONTS: usize = 1_000;

/// A linear transformation and a shift, as PDF writes it.
type Matrix = [f64; 6];
const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// First `inner`, then `outer`.
fn then(inner: Matrix, outer: Matrix) -> Matrix {
    let [a, b, c, d, e, f] = inner;
    let [p, q, r, s, t, u] = outer;
    [
        a * p + b * r,
        a * q + b * s,
        c * p + d * r,
        c * q + d * s,
        e * p + f * r + t,
        e * q + f * s + u,
    ]
}

#[derive(Clone)]
struct State {
    place: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    letter_spacing: f64,
    word_spacing: f64,
    /// In proportion, not in percent.
    stretch: f64,
    leading: f64,
    rise: f64,
}

/// What is kept from page to page.
#[derive(Default)]
pub(super) struct Interpreter {
    fonts: FxHashMap<ObjectIdentifier, Rc<Font>>,
    instructions: usize,
}

impl Interpreter {
    /// What is drawn on a page.
    pub(super) fn drawn(&mut self, page: &Page<'_>) -> Drawn {
        let mut drawing = Drawing {
            interpreter: self,
            letters: Vec::new(),
            has_picture: false,
            state: State {
                place: IDENTITY,
                font: None,
                size: 0.0,
                letter_spacing: 0.0,
                word_spacing: 0.0,
                stretch: 1.0,
                leading: 0.0,
                rise: 0.0,
            },
            kept: Vec::new(),
            text: IDENTITY,
            line: IDENTITY,
            marks: Vec::new(),
        };
        if let Some(stream) = page.page_stream() {
            drawing.draw(stream, page.resources(), 0);
        }
        Drawn {
            letters: drawing.letters,
            has_picture: drawing.has_picture,
        }
    }
}

/// What is drawn on a page, as far as it matters.
pub(super) struct Drawn {
    /// In the order in which they are drawn.
    pub(super) letters: Vec<Letter>,
    /// There is a picture on it.
    pub(super) has_picture: bool,
}

/// Letters that are drawn joined, as themselves: "ﬁ" is no letter to a model that embeds or speaks.
fn unjoined(text: String) -> String {
    let is_joined = |c: char| matches!(c, '\u{FB00}'..='\u{FB06}');
    match text.contains(is_joined) {
        true => text.nfkc().collect(),
        false => text,
    }
}

struct Drawing<'i> {
    interpreter: &'i mut Interpreter,
    letters: Vec<Letter>,
    has_picture: bool,
    state: State,
    kept: Vec<State>,
    text: Matrix,
    line: Matrix,
    /// Is each of the marked contents around one that is no part of the text (a page's number, a running title)?
    marks: Vec<bool>,
}

impl Drawing<'_> {
    fn draw(&mut self, stream: &[u8], resources: &Resources<'_>, depth: usize) {
        let mut instructions = UntypedIter::new(stream);
        while let Some(instruction) = instructions.next() {
            self.interpreter.instructions += 1;
            if self.interpreter.instructions > MAX_INSTRUCTIONS || self.letters.len() >= MAX_LETTERS
            {
                return;
            }
            self.instruction(&instruction, resources, depth);
        }
    }

    fn instruction(
        &mut self,
        instruction: &Instruction<'_, '_>,
        resources: &Resources<'_>,
        depth: usize,
    ) {
        let number = |at: usize| match instruction.operands().nth(at) {
            Some(Object::Number(number)) => number.as_f64(),
            _ => 0.0,
        };
        let matrix = || {
            [
                number(0),
                number(1),
                number(2),
                number(3),
                number(4),
                number(5),
            ]
        };
        match &**instruction.operator {
            b"q" if self.kept.len() < MAX_STATES => self.kept.push(self.state.clone()),
            b"Q" => {
                if let Some(state) = self.kept.pop() {
                    self.state = state;
                }
            }
            b"cm" => self.state.place = then(matrix(), self.state.place),
            b"BT" => (self.text, self.line) = (IDENTITY, IDENTITY),
            b"Tc" => self.state.letter_spacing = number(0),
            b"Tw" => self.state.word_spacing = number(0),
            b"Tz" => self.state.stretch = number(0) / 100.0,
            b"TL" => self.state.leading = number(0),
            b"Ts" => self.state.rise = number(0),
            b"Tf" => {
                self.state.size = number(1);
                if let Some(Object::Name(name)) = instruction.operands().next() {
                    self.state.font = self.font(name, resources);
                }
            }
            b"Td" => self.next_line(number(0), number(1)),
            b"TD" => {
                self.state.leading = -number(1);
                self.next_line(number(0), number(1));
            }
            b"Tm" => (self.text, self.line) = (matrix(), matrix()),
            b"T*" => self.next_line(0.0, -self.state.leading),
            b"Tj" => self.show_first(instruction),
            b"'" => {
                self.next_line(0.0, -self.state.leading);
                self.show_first(instruction);
            }
            b"\"" => {
                (self.state.word_spacing, self.state.letter_spacing) = (number(0), number(1));
                self.next_line(0.0, -self.state.leading);
                if let Some(Object::String(text)) = instruction.operands().nth(2) {
                    self.show(text.as_bytes());
                }
            }
            b"TJ" => {
                if let Some(Object::Array(pieces)) = instruction.operands().next() {
                    self.show_all(pieces);
                }
            }
            b"BMC" | b"BDC" if self.marks.len() < MAX_STATES => {
                let is_artifact = matches!(instruction.operands().next(), Some(Object::Name(name)) if &**name == b"Artifact");
                self.marks.push(is_artifact);
            }
            b"EMC" => {
                self.marks.pop();
            }
            b"Do" => {
                if let Some(Object::Name(name)) = instruction.operands().next()
                    && depth < MAX_FORMS
                    && let Some(form) = resources.get_x_object(name)
                {
                    self.form(&form, resources, depth);
                }
            }
            _ => {}
        }
    }

    fn form(&mut self, form: &Stream<'_>, around: &Resources<'_>, depth: usize) {
        let kind = form.dict().get::<Name<'_>>("Subtype");
        let is = |kind: &Name<'_>, name: &[u8]| **kind == *name;
        self.has_picture |= kind.as_ref().is_some_and(|kind| is(kind, b"Image"));
        let is_form = kind.is_some_and(|kind| is(&kind, b"Form"));
        let Some(stream) = is_form.then(|| form.decoded_data().ok()).flatten() else {
            return;
        };
        self.interpreter.instructions += FORM_INSTRUCTIONS;
        let (state, kept, text, line) = (self.state.clone(), self.kept.len(), self.text, self.line);
        let marks = self.marks.len();
        if let Some(matrix) = form
            .dict()
            .get::<Array<'_>>("Matrix")
            .and_then(|matrix| six(&matrix))
        {
            self.state.place = then(matrix, self.state.place);
        }
        let own = form.dict().get::<Dict<'_>>("Resources").map(Resources::new);
        self.draw(&stream, own.as_ref().unwrap_or(around), depth + 1);
        (self.state, self.text, self.line) = (state, text, line);
        self.kept.truncate(kept);
        self.marks.truncate(marks);
    }

    fn font(&mut self, name: &Name<'_>, resources: &Resources<'_>) -> Option<Rc<Font>> {
        let dict = resources.get_font(name)?;
        let id = dict.obj_id();
        let fonts = &mut self.interpreter.fonts;
        if let Some(font) = id.and_then(|id| fonts.get(&id)) {
            return Some(font.clone());
        }
        let font = Rc::new(Font::new(&dict));
        if let Some(id) = id
            && fonts.len() < MAX_FONTS
        {
            fonts.insert(id, font.clone());
        }
        Some(font)
    }

    fn next_line(&mut self, right: f64, up: f64) {
        self.line = then([1.0, 0.0, 0.0, 1.0, right, up], self.line);
        self.text = self.line;
    }

    fn show_first(&mut self, instruction: &Instruction<'_, '_>) {
        if let Some(Object::String(text)) = instruction.operands().next() {
            self.show(text.as_bytes());
        }
    }

    fn show_all(&mut self, pieces: &Array<'_>) {
        for piece in pieces.iter::<Object<'_>>() {
            match piece {
                Object::String(text) => self.show(text.as_bytes()),
                Object::Number(number) => {
                    self.forward(-number.as_f64() / 1000.0 * self.state.size * self.state.stretch);
                }
                _ => {}
            }
        }
    }

    fn forward(&mut self, right: f64) {
        self.text = then([1.0, 0.0, 0.0, 1.0, right, 0.0], self.text);
    }

    fn show(&mut self, codes: &[u8]) {
        let Some(font) = self.state.font.clone() else {
            return;
        };
        let is_artifact = self.marks.contains(&true);
        let State {
            size,
            stretch,
            rise,
            ..
        } = self.state;
        for glyph in font.glyphs(codes) {
            if self.letters.len() >= MAX_LETTERS {
                return;
            }
            let at = then(
                [size * stretch, 0.0, 0.0, size, 0.0, rise],
                then(self.text, self.state.place),
            );
            let [a, b, .., x, y] = at;
            let em = a.hypot(b);
            let is_placed = em.is_normal() && x.is_finite() && y.is_finite();
            if is_placed && !glyph.text.is_empty() {
                // along the line and across it: a line may run upwards
                let (right, up) = (a / em, b / em);
                let apart = (self.state.letter_spacing / size * em).max(0.0);
                let along = x * right + y * up;
                self.letters.push(Letter {
                    along,
                    // letters that are set apart are one word all the same
                    end: along + glyph.width * em + apart,
                    across: y * right - x * up,
                    size: em,
                    text: unjoined(glyph.text),
                    is_artifact,
                });
            }
            let word = if glyph.is_space {
                self.state.word_spacing
            } else {
                0.0
            };
            self.forward((glyph.width * size + self.state.letter_spacing + word) * stretch);
        }
    }
}

fn six(numbers: &Array<'_>) -> Option<Matrix> {
    let numbers: Vec<f64> = numbers
        .iter::<Number>()
        .take(6)
        .map(|number| number.as_f64())
        .collect();
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::unjoined;

    #[test]
    fn letters_that_are_drawn_joined_are_read_apart() {
        assert_eq!(unjoined("ﬃ".into()), "ffi");
        assert_eq!(unjoined("ﬁ".into()), "fi");
        // what is a letter or a sign of its own stays
        assert_eq!(unjoined("ß½Æ".into()), "ß½Æ");
    }
}
