//! A word of the text on its way to phonemes.

/// One token. What it borrows lives in the tagger.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) text: String,
    /// Penn Treebank part of speech.
    pub(crate) tag: &'a str,
    /// A space follows in the text.
    pub(crate) has_space: bool,
    /// What it sounds like, once that is known; empty is silence.
    pub(crate) phonemes: Option<String>,
    /// It begins a word of the text, rather than going on within one.
    pub(crate) is_head: bool,
    /// Another word to say in its place.
    pub(crate) alias: Option<&'static str>,
    /// The sign before an amount of money.
    pub(crate) currency: Option<char>,
    /// A pause separates it from what stands before it in the same word.
    pub(crate) has_gap: bool,
}

impl<'a> Token<'a> {
    pub(crate) fn new(text: String, tag: &'a str, has_space: bool) -> Self {
        Self {
            text,
            tag,
            has_space,
            phonemes: None,
            is_head: true,
            alias: None,
            currency: None,
            has_gap: false,
        }
    }

    /// Nothing is decided about it yet.
    pub(crate) fn is_open(&self) -> bool {
        self.phonemes.is_none() && self.alias.is_none()
    }
}

/// The text of adjacent tokens, with the spaces between them.
pub(crate) fn text_of(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    for (index, token) in tokens.iter().enumerate() {
        text.push_str(&token.text);
        if token.has_space && index + 1 < tokens.len() {
            text.push(' ');
        }
    }
    text
}

/// Adjacent tokens as one, whose sound is open. Its part of speech is that of the longest piece, capitals counting twice.
pub(crate) fn merge<'a>(tokens: &[Token<'a>]) -> Option<Token<'a>> {
    let (first, last) = (tokens.first()?, tokens.last()?);
    let mut longest = (0, first.tag);
    for token in tokens {
        let size = token
            .text
            .chars()
            .map(|c| if c.to_lowercase().eq([c]) { 1 } else { 2 })
            .sum();
        if size > longest.0 {
            longest = (size, token.tag);
        }
    }
    let mut merged = Token::new(text_of(tokens), longest.1, last.has_space);
    merged.is_head = first.is_head;
    merged.has_gap = first.has_gap;
    merged.currency = tokens.iter().filter_map(|token| token.currency).max();
    Some(merged)
}
