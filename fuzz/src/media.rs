//! What comes by UDP, and sound files.

use std::time::{Duration, Instant};

use antiphon_audio::jitter::{JitterBuffer, MAX_HELD_PACKETS, MAX_SILENCE_AT_ONCE, Output};
use antiphon_audio::opus::MAX_PACKET_DURATION;
use antiphon_audio::{OpusDecoder, wav};
use antiphon_rtc::fuzzing::RedPacket;

use crate::bytes::Bytes;

pub fn datagram(data: &[u8]) {
    antiphon_rtc::fuzzing::datagram(data);
}

/// An ICE connection by TCP, in pieces.
pub fn frames(data: &[u8]) {
    antiphon_rtc::fuzzing::frames(Bytes(data).pieces());
}

/// Packets near each other in sequence and time, as pieces.
pub fn red(data: &[u8]) {
    let mut data = Bytes(data);
    let packets = std::iter::from_fn(|| {
        (!data.is_empty()).then(|| RedPacket {
            sequence: 65_000 + u64::from(data.u16()),
            timestamp: 1_000_000 + u64::from(data.byte()) * 480,
            payload: data.piece(),
        })
    });
    antiphon_rtc::fuzzing::red(packets);
}

/// Payloads of video, as pieces.
pub fn video(data: &[u8]) {
    let mut data = Bytes(data);
    let payloads = std::iter::from_fn(|| {
        (!data.is_empty()).then(|| (data.byte() % 4 == 0, data.piece()))
    });
    antiphon_rtc::fuzzing::video(payloads);
}

/// Packets in a row through one decoder, with losses in between.
pub fn opus(data: &[u8]) {
    let mut decoder = OpusDecoder::<48_000>::new().expect("a decoder");
    let mut data = Bytes(data);
    for _ in 0..20 {
        if data.is_empty() {
            return;
        }
        let how = data.byte();
        let packet = data.piece();
        let frame = match how % 4 {
            0 => decoder.recover(packet, Duration::from_millis(u64::from(how))),
            1 => decoder.conceal(Duration::from_millis(u64::from(how))),
            _ => decoder.decode(packet),
        };
        if let Ok(frame) = frame {
            assert!(frame.duration() <= MAX_PACKET_DURATION.max(Duration::from_millis(255)), "{:?}", frame.duration());
        }
    }
}

/// Arbitrary packets, arbitrary moments.
pub fn jitter(data: &[u8]) {
    let mut buffer = JitterBuffer::new();
    let mut now = Instant::now();
    let (mut sequence, mut timestamp) = (1_u64 << 32, 1_u64 << 40);
    let mut data = Bytes(data);
    while !data.is_empty() {
        let (what, value) = (data.byte(), data.u16());
        match what % 8 {
            0..3 => {
                sequence += 1;
                timestamp += 960;
                let payload = bytes::Bytes::copy_from_slice(data.take(usize::from(value % 4)));
                buffer.push(sequence, timestamp, payload, now);
            }
            3 => sequence = sequence.wrapping_add_signed(i64::from(value as i16) >> (what / 16)),
            4 => timestamp = timestamp.wrapping_add_signed(i64::from(value as i16) << (what / 8)),
            5 => now += Duration::from_millis(u64::from(value % 512)),
            6 => now = buffer.deadline().map_or(now, |due| due.max(now)),
            _ => drain(&mut buffer, now),
        }
        assert!(buffer.len() <= MAX_HELD_PACKETS);
    }
    drain(&mut buffer, now);
}

/// Popping comes to an end without time passing.
fn drain(buffer: &mut JitterBuffer, now: Instant) {
    for _ in 0..10_000 {
        match buffer.pop(now) {
            Output::Nothing => return,
            Output::Silence { duration } => assert!(duration <= MAX_SILENCE_AT_ONCE),
            Output::Lost { .. } | Output::Packet(_) => {}
        }
    }
    panic!("it never runs dry");
}

pub fn wav(data: &[u8]) {
    if let Ok(frame) = wav::read::<16_000>(data) {
        let _ = wav::write(&frame).expect("what was read can be written");
    }
}
