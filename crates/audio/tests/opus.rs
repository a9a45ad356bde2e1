//! Speech survives the codec, and hostile packets are errors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::time::Duration;

use antiphon_audio::opus::{MAX_PACKET_BYTES, SILENCE_20_MS, packet_duration};
use antiphon_audio::{
    AudioError, Frame, Frame16k, Frame24k, OpusDecoder, OpusEncoder, OpusEncoderOptions,
    audio_level,
};
use proptest::prelude::*;

const MS_20: Duration = Duration::from_millis(20);

/// A vowel-like sound: harmonics of a gliding pitch under a slow envelope.
fn voice(frames: usize) -> Vec<Frame24k> {
    let mut phase = 0.0_f32;
    let samples: Vec<i16> = (0..frames * Frame24k::SAMPLES_20_MS)
        .map(|n| {
            let t = n as f32 / 24_000.0;
            phase += (140.0 + 30.0 * (t * 3.0).sin()) / 24_000.0;
            let tone: f32 = (1..=12)
                .map(|k| (std::f32::consts::TAU * phase * k as f32).sin() / k as f32)
                .sum();
            (tone * (0.6 + 0.4 * (t * 12.0).sin()) * 6_000.0) as i16
        })
        .collect();
    samples
        .chunks(Frame24k::SAMPLES_20_MS)
        .map(|chunk| Frame::new(chunk.to_vec()))
        .collect()
}

fn encode(frames: &[Frame24k], options: OpusEncoderOptions) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::<24_000>::with_options(options).unwrap();
    frames
        .iter()
        .map(|frame| encoder.encode(frame).unwrap().to_vec())
        .collect()
}

/// Signal-to-noise ratio in dB of `b` against `a`, at the best alignment within `max_lag` samples.
fn snr(a: &[i16], b: &[i16], max_lag: usize) -> f64 {
    (0..max_lag)
        .map(|lag| {
            let (mut signal, mut noise) = (1e-9, 1e-9);
            for (x, y) in a.iter().zip(&b[lag..]) {
                signal += f64::from(*x).powi(2);
                noise += (f64::from(*x) - f64::from(*y)).powi(2);
            }
            10.0 * (signal / noise).log10()
        })
        .fold(f64::NEG_INFINITY, f64::max)
}

fn joined<const HZ: u32>(frames: Vec<Frame<HZ>>) -> Vec<i16> {
    frames.into_iter().flat_map(Frame::into_samples).collect()
}

#[test]
fn the_agents_voice_arrives_at_the_caller() {
    let frames = voice(100);
    let packets = encode(&frames, OpusEncoderOptions::default());
    let bytes: usize = packets.iter().map(Vec::len).sum();
    assert!(
        (5_000..12_000).contains(&bytes),
        "2 s at about 32 kb/s are 8 kB, not {bytes}"
    );
    let mut decoder = OpusDecoder::<24_000>::new().unwrap();
    let heard: Vec<_> = packets
        .iter()
        .map(|packet| decoder.decode(packet).unwrap())
        .collect();
    assert!(heard.iter().all(|frame| frame.duration() == MS_20));
    // Opus keeps what is heard, not the waveform: 4.5 dB here; a decoder gone wrong or a shift gives less than 0.
    let ratio = snr(&joined(frames), &joined(heard), 480);
    assert!(ratio > 3.0, "{ratio} dB");
}

#[test]
fn the_same_packets_decode_straight_to_what_vad_and_stt_want() {
    let packets = encode(&voice(20), OpusEncoderOptions::default());
    let mut decoder = OpusDecoder::<16_000>::new().unwrap();
    for packet in &packets {
        let frame: Frame16k = decoder.decode(packet).unwrap();
        assert_eq!(frame.samples().len(), 320);
    }
}

#[test]
fn a_lost_packet_comes_back_from_the_next_better_than_from_a_guess() {
    let frames = voice(100);
    let packets = encode(
        &frames,
        OpusEncoderOptions {
            expected_loss_percent: 20,
            ..OpusEncoderOptions::default()
        },
    );
    let lost = |index: usize| index % 8 == 5;
    let mut decoders = [(); 3].map(|()| OpusDecoder::<24_000>::new().unwrap());
    let mut heard: [Vec<Frame24k>; 3] = Default::default();
    for (index, packet) in packets.iter().enumerate() {
        heard[0].push(decoders[0].decode(packet).unwrap());
        if lost(index) {
            heard[1].push(decoders[1].recover(&packets[index + 1], MS_20).unwrap());
            heard[2].push(decoders[2].conceal(MS_20).unwrap());
        } else {
            heard[1].push(decoders[1].decode(packet).unwrap());
            heard[2].push(decoders[2].decode(packet).unwrap());
        }
    }
    let [whole, recovered, concealed] = heard.map(joined);
    assert_eq!(
        (whole.len(), recovered.len()),
        (concealed.len(), concealed.len())
    );
    let (recovered, concealed) = (snr(&whole, &recovered, 1), snr(&whole, &concealed, 1));
    assert!(
        recovered > concealed + 1.0,
        "FEC {recovered:.1} dB, concealment {concealed:.1} dB"
    );
}

#[test]
fn concealment_takes_any_duration_and_stays_within_one_packet() {
    let mut decoder = OpusDecoder::<16_000>::new().unwrap();
    for (asked_ms, given_us) in [
        (0, 2_500),
        (1, 2_500),
        (9, 7_500),
        (20, 20_000),
        (60, 60_000),
        (10_000, 120_000),
    ] {
        let frame = decoder.conceal(Duration::from_millis(asked_ms)).unwrap();
        assert_eq!(
            frame.duration(),
            Duration::from_micros(given_us),
            "{asked_ms} ms"
        );
    }
}

#[test]
fn the_silence_packet_is_20_ms_of_silence_at_any_time() {
    assert_eq!(packet_duration(&SILENCE_20_MS), Some(MS_20));
    let mut decoder = OpusDecoder::<24_000>::new().unwrap();
    for packet in encode(&voice(5), OpusEncoderOptions::default()) {
        decoder.decode(&packet).unwrap();
    }
    let levels: Vec<u8> = (0..10)
        .map(|_| audio_level(&decoder.decode(&SILENCE_20_MS).unwrap()))
        .collect();
    assert!(levels[9] > 90, "{levels:?}");
    let fresh = OpusDecoder::<24_000>::new()
        .unwrap()
        .decode(&SILENCE_20_MS)
        .unwrap();
    assert!(audio_level(&fresh) > 90);
}

#[test]
fn a_frame_of_another_length_and_a_rate_opus_does_not_know_are_errors() {
    let mut encoder = OpusEncoder::<24_000>::new().unwrap();
    let error = encoder.encode(&Frame::new(vec![0; 100])).unwrap_err();
    assert!(matches!(
        error,
        AudioError::OpusFrameLength {
            expected: 480,
            got: 100
        }
    ));
    assert!(matches!(
        OpusDecoder::<22_050>::new(),
        Err(AudioError::OpusRate { rate_hz: 22_050 })
    ));
    assert!(matches!(
        OpusEncoder::<44_100>::new(),
        Err(AudioError::OpusRate { rate_hz: 44_100 })
    ));
}

#[test]
fn an_empty_or_oversized_packet_is_an_error_and_the_next_one_is_heard() {
    let mut decoder = OpusDecoder::<16_000>::new().unwrap();
    assert!(matches!(
        decoder.decode(&[]),
        Err(AudioError::OpusPacket { bytes: 0, .. })
    ));
    assert!(matches!(
        decoder.decode(&vec![0xf8; MAX_PACKET_BYTES + 1]),
        Err(AudioError::OpusPacket { .. })
    ));
    assert_eq!(decoder.decode(&SILENCE_20_MS).unwrap().duration(), MS_20);
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let good = encode(&voice(12), OpusEncoderOptions::default());
    let mutated = (
        0..good.len(),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        any::<prop::sample::Index>(),
    )
        .prop_map(move |(which, changes, end)| {
            let mut packet = good[which].clone();
            for (at, byte) in changes {
                let at = at.index(packet.len());
                packet[at] = byte;
            }
            packet.truncate(end.index(packet.len()) + 1);
            packet
        });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        prop::collection::vec(any::<u8>(), 0..1600),
        mutated,
    ]
}

proptest! {
    /// No packet panics or yields more than a packet may hold, in any order of decoding, recovering and concealing.
    #[test]
    fn hostile_packets_never_panic(packets in prop::collection::vec((hostile(), 0..3_u8), 1..40)) {
        let mut narrow = OpusDecoder::<16_000>::new().unwrap();
        let mut wide = OpusDecoder::<48_000>::new().unwrap();
        for (packet, how) in packets {
            let (a, b) = match how {
                0 => (narrow.decode(&packet), wide.decode(&packet)),
                1 => (narrow.recover(&packet, MS_20), wide.recover(&packet, MS_20)),
                _ => (narrow.conceal(MS_20), wide.conceal(MS_20)),
            };
            if let (Ok(a), Ok(b)) = (&a, &b) {
                prop_assert!(a.duration() <= Duration::from_millis(120));
                prop_assert_eq!(a.samples().len() * 3, b.samples().len());
            }
        }
        prop_assert_eq!(narrow.decode(&SILENCE_20_MS).unwrap().duration(), MS_20);
    }

    /// Any sound at all can be encoded, and comes out as 20 ms.
    #[test]
    fn any_samples_survive_the_round_trip(
        frames in prop::collection::vec(prop::collection::vec(any::<i16>(), 480), 1..4),
        bitrate_bps in any::<u32>(), complexity in any::<u8>(), expected_loss_percent in any::<u8>(),
    ) {
        let options = OpusEncoderOptions { bitrate_bps, complexity, expected_loss_percent };
        let mut encoder = OpusEncoder::<24_000>::with_options(options).unwrap();
        let mut decoder = OpusDecoder::<16_000>::new().unwrap();
        for samples in frames {
            let packet = encoder.encode(&Frame::new(samples)).unwrap().to_vec();
            prop_assert_eq!(packet_duration(&packet), Some(MS_20));
            prop_assert_eq!(decoder.decode(&packet).unwrap().duration(), MS_20);
        }
    }
}
