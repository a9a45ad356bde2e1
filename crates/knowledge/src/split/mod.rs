//! Documents cut into nodes as LlamaIndex's node parsers cut them, so that an index made here is the one that Python would have made.
//!
//! | module | what |
//! |---|---|
//! | [`sentence`] | `SentenceSplitter`, LlamaIndex's default: whole sentences up to a number of tokens |
//! | [`punkt`] | where sentences end, as NLTK's untrained Punkt sees it |

pub mod punkt;
pub mod sentence;

pub use self::punkt::Nltk;
pub use self::sentence::{Release, SentenceSplitter, SplitError};
