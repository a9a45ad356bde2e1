//! Texts in which variables of the environment stand: `Bearer ${TOKEN}`.

/// A part of such a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// As it is.
    Text(&'a str),
    /// The variable's name.
    Variable(&'a str),
    /// A `${` without `}`; the last piece.
    Unclosed,
}

/// The text in its pieces, in order; none is empty text.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let Some((name, after)) = after.split_once('}') else {
            pieces.push(Piece::Unclosed);
            return pieces;
        };
        pieces.push(Piece::Variable(name));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}
