//! WAV files of all kinds, and files that are not WAV.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use antiphon_audio::wav::{MAX_WAV_BYTES, read, write, write_stereo};
use antiphon_audio::{AudioError, Frame, Frame16k, Frame24k};
use proptest::prelude::*;

/// A file built by hand, so that the reader is not only tested against its own writer.
fn file(format: u16, channels: u16, rate: u32, bits: u16, data: &[u8], claimed: u32) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut bytes = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0".to_vec();
    bytes.extend(format.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * u32::from(block)).to_le_bytes());
    bytes.extend(block.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"LIST\x03\0\0\0abc\0data");
    bytes.extend(claimed.to_le_bytes());
    bytes.extend(data);
    bytes
}

fn good(format: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    file(format, channels, rate, bits, data, data.len() as u32)
}

#[test]
fn a_quarter_of_full_scale_is_the_same_in_every_width() {
    let cases: [(&str, u16, u16, &[u8]); 5] = [
        ("8 bit", 1, 8, &[0x80 + 0x20]),
        ("16 bit", 1, 16, &[0, 0x20]),
        ("24 bit", 1, 24, &[0, 0, 0x20]),
        ("32 bit", 1, 32, &[0, 0, 0, 0x20]),
        ("float", 3, 32, &0.25_f32.to_le_bytes()),
    ];
    for (name, format, bits, sample) in cases {
        let frame: Frame16k =
            read(&good(format, 1, 16_000, bits, &sample.repeat(100))).expect(name);
        assert_eq!(frame.samples(), [8_192; 100], "{name}");
    }
}

#[test]
fn stereo_is_mixed_down() {
    let data: Vec<u8> = [1_000_i16, 3_000]
        .iter()
        .flat_map(|it| it.to_le_bytes())
        .collect::<Vec<_>>()
        .repeat(50);
    let frame: Frame16k = read(&good(1, 2, 16_000, 16, &data)).unwrap();
    assert_eq!(frame.samples(), [2_000; 50]);
}

#[test]
fn another_rate_is_resampled() {
    let frame: Frame16k = read(&good(1, 1, 44_100, 16, &[0; 88_200])).unwrap();
    assert_eq!(frame.samples().len(), 16_000);
}

/// Found by fuzzing: the resampler's FFT panics on what is not finite.
#[test]
fn a_float_file_with_values_that_are_no_sound_is_read() {
    let samples = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -1e30];
    let data: Vec<u8> = samples.into_iter().flat_map(f32::to_le_bytes).collect();
    for rate in [16_000, 44_100, 48_000] {
        let frame: Frame16k = read(&good(3, 1, rate, 32, &data)).unwrap();
        assert!(!frame.is_empty());
    }
}

#[test]
fn a_file_from_a_pipe_with_a_length_from_the_sky_is_read_to_its_end() {
    for claimed in [0xffff_ffff, 0x7fff_f000, 0x7fff_ffff] {
        let frame: Frame16k = read(&file(1, 1, 16_000, 16, &[1; 201], claimed)).unwrap();
        assert_eq!(frame.samples(), [0x0101; 100], "{claimed:x}");
    }
}

#[test]
fn the_answer_of_the_console_can_be_read_back() {
    let frame = Frame24k::new((0..2_400).map(|n| (n * 13 % 30_000) as i16).collect());
    assert_eq!(read::<24_000>(&write(&frame).unwrap()).unwrap(), frame);
    assert!(
        read::<24_000>(&write(&Frame24k::default()).unwrap())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_recording_has_the_caller_left_and_the_agent_right() {
    let bytes = write_stereo(&Frame24k::new(vec![1, 2, 3]), &Frame24k::new(vec![-1])).unwrap();
    let reader = hound::WavReader::new(bytes.as_slice()).unwrap();
    assert_eq!(
        (reader.spec().channels, reader.spec().sample_rate),
        (2, 24_000)
    );
    let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
    assert_eq!(samples, [1, -1, 2, 0, 3, 0]);
}

#[test]
fn a_wav_that_is_not_one_says_so() {
    for bytes in [
        &b""[..],
        b"hello",
        b"ID3\x03mp3 here, not wav",
        b"RIFF\0\0\0\0AVI LIST",
        b"OggS\0\0\0\0\0\0\0\0\0\0",
    ] {
        let error = read::<16_000>(bytes).unwrap_err();
        assert!(matches!(error, AudioError::NotWav), "{error}");
        assert!(error.to_string().contains("not a WAV file"), "{error}");
    }
    for bytes in [
        &b"RIFF\0\0\0\0WAVE"[..],
        b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd",
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01",
    ] {
        let error = read::<16_000>(bytes).unwrap_err();
        assert!(matches!(error, AudioError::DamagedWav { .. }), "{error}");
    }
}

#[test]
fn codecs_many_channels_and_odd_rates_are_named() {
    let unsupported = [
        good(6, 1, 8_000, 8, &[0; 8]),
        good(3, 1, 16_000, 64, &[0; 16]),
        good(1, 6, 48_000, 16, &[0; 12]),
    ];
    for bytes in unsupported {
        let error = read::<16_000>(&bytes).unwrap_err();
        assert!(
            matches!(error, AudioError::UnsupportedWav { .. }),
            "{error}"
        );
    }
    let error = read::<16_000>(&good(1, 1, 1_000_000, 16, &[0; 8])).unwrap_err();
    assert!(
        matches!(
            error,
            AudioError::ResampleRate {
                from_hz: 1_000_000,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn too_large_or_too_long_is_refused_before_it_costs_memory() {
    let mut huge = good(1, 1, 48_000, 16, &[]);
    huge.resize(MAX_WAV_BYTES + 1, 0);
    assert!(matches!(
        read::<16_000>(&huge),
        Err(AudioError::WavTooLarge)
    ));
    let long = good(1, 1, 8_000, 8, &vec![0x80; 8_000 * (15 * 60 + 1)]);
    assert!(matches!(
        read::<16_000>(&long),
        Err(AudioError::WavTooLarge)
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn hostile_files_never_panic(
        mut bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            (any::<u16>(), 0..9_u16, any::<u16>(), prop::sample::select(vec![0, 1, 8, 12, 16, 24, 32, 64]), any::<u32>())
                .prop_map(|(format, channels, rate, bits, claimed)| {
                    file(format % 8, channels, u32::from(rate), bits, &[7; 301], claimed)
                }),
        ],
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        header in any::<bool>(),
    ) {
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        if header && bytes.len() >= 12 {
            bytes[..4].copy_from_slice(b"RIFF");
            bytes[8..12].copy_from_slice(b"WAVE");
        }
        let _ = read::<16_000>(&bytes);
    }

    #[test]
    fn what_is_written_is_read_back(samples in prop::collection::vec(any::<i16>(), 0..500)) {
        let frame = Frame::<24_000>::new(samples);
        prop_assert_eq!(read::<24_000>(&write(&frame).unwrap()).unwrap(), frame);
    }
}
