//! Which languages a Whisper knows, and which one is spoken.

use rten_tensor::NdTensorView;

use crate::SttError;
use crate::tokenizer::Tokenizer;
use crate::words::probabilities;

/// GPT-2's end mark, which the English Whispers kept; the others have a longer vocabulary.
const ENGLISH_END: u32 = 50_256;
/// So much likelier than another language is the one that the same caller spoke before: an "okay" is the same in many.
const FAITHFULNESS: f32 = 20.0;
/// Where Whisper's name is not that of BCP 47, and languages that are written as another here: (BCP 47, Whisper).
const NAMES: [(&str, &str); 7] = [
    ("jv", "jw"),
    ("nb", "no"),
    ("fil", "tl"),
    ("cmn", "zh"),
    ("iw", "he"),
    ("in", "id"),
    ("ji", "yi"),
];

/// The languages, each with its mark. None: one language only.
pub(super) struct Languages(Vec<(String, u32)>);

impl Languages {
    pub(super) fn new(tokenizer: &Tokenizer, end: u32, is_multilingual: Option<bool>) -> Self {
        if !is_multilingual.unwrap_or(end != ENGLISH_END) {
            return Self(Vec::new());
        }
        let mut languages: Vec<(String, u32)> = tokenizer
            .marks()
            .filter_map(|(mark, id)| {
                let name = mark.strip_prefix("<|")?.strip_suffix("|>")?;
                let is_name = matches!(name.len(), 2 | 3)
                    && name.bytes().all(|byte| byte.is_ascii_lowercase());
                is_name.then(|| (of_whisper(name).to_owned(), id))
            })
            .collect();
        languages.sort_by_key(|(_, id)| *id);
        Self(languages)
    }

    /// Only one language: English, as far as is known.
    pub(super) fn is_one(&self) -> bool {
        self.0.is_empty()
    }

    /// The name here of a language (BCP 47); regions and scripts do not matter.
    pub(super) fn find(&self, language: &str) -> Result<Option<String>, SttError> {
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        let primary = primary.to_ascii_lowercase();
        if self.is_one() && primary == "en" {
            return Ok(None);
        }
        let of_whisper = NAMES.iter().find(|(name, _)| *name == primary);
        let wanted = of_whisper.map_or(primary.as_str(), |(_, whisper)| whisper);
        let wanted = self::of_whisper(wanted);
        self.0
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(name, _)| Some(name.clone()))
            .ok_or_else(|| SttError::Language {
                language: language.to_owned(),
                known: if self.is_one() {
                    "en".to_owned()
                } else {
                    self.0
                        .iter()
                        .map(|(name, _)| name.as_str())
                        .collect::<Vec<_>>()
                        .join(" ")
                },
            })
    }

    /// The mark of a language, by its name here.
    pub(super) fn token(&self, name: &str) -> Option<u32> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, id)| *id)
    }

    /// The language that the scores after the start mark make likeliest; `before` is the mark of the one spoken before.
    pub(super) fn likeliest(
        &self,
        scores: &NdTensorView<'_, f32, 1>,
        before: Option<u32>,
    ) -> Option<(u32, &str)> {
        let probabilities = probabilities(scores, self.0.iter().map(|(_, id)| *id));
        let weighed = self.0.iter().zip(probabilities).map(|((name, id), share)| {
            let weight = if before == Some(*id) {
                FAITHFULNESS
            } else {
                1.0
            };
            (*id, name.as_str(), share * weight)
        });
        weighed
            .max_by(|(_, _, a), (_, _, b)| a.total_cmp(b))
            .map(|(id, name, _)| (id, name))
    }
}

/// Whisper's own name of a language as BCP 47 has it.
fn of_whisper(name: &str) -> &str {
    if name == "jw" { "jv" } else { name }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rten_tensor::NdTensor;
    use rten_tensor::prelude::*;

    fn languages(end: u32) -> Languages {
        let file = r#"{"model":{"vocab":{"a":0}},"added_tokens":[{"id":1,"content":"<|endoftext|>"},{"id":2,"content":"<|en|>"},
            {"id":3,"content":"<|es|>"},{"id":4,"content":"<|jw|>"},{"id":5,"content":"<|no|>"},{"id":6,"content":"<|0.02|>"}]}"#;
        Languages::new(&Tokenizer::from_json(file.as_bytes()).unwrap(), end, None)
    }

    #[test]
    fn a_language_is_found_under_every_name_that_it_has() {
        let languages = languages(1);
        for (asked, found) in [
            ("es-MX", "es"),
            ("EN_us", "en"),
            ("jv", "jv"),
            ("jw", "jv"),
            ("nb-NO", "no"),
        ] {
            assert_eq!(languages.find(asked).unwrap().as_deref(), Some(found));
            assert!(languages.token(found).is_some());
        }
        let error = languages.find("eo").unwrap_err().to_string();
        assert!(
            error.contains("eo") && error.contains("en es jv no"),
            "{error}"
        );
    }

    #[test]
    fn an_english_whisper_hears_english_and_says_so_when_it_is_to_hear_spanish() {
        let languages = languages(ENGLISH_END);
        assert_eq!(languages.find("en-GB").unwrap(), None);
        let error = languages.find("es").unwrap_err().to_string();
        assert!(error.contains("knows en"), "{error}");
    }

    #[test]
    fn who_spoke_spanish_is_not_taken_to_speak_english_for_an_okay() {
        let languages = languages(1);
        let okay = NdTensor::from([0.0_f32, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
        let name = |before| languages.likeliest(&okay.view(), before).unwrap().1;
        assert_eq!((name(None), name(Some(3))), ("en", "es"));
        let english = NdTensor::from([0.0_f32, 0.0, 6.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(
            languages.likeliest(&english.view(), Some(3)).unwrap().1,
            "en"
        );
    }
}
