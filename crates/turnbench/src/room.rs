//! A room with a loudspeaker and a microphone, so that the agent hears its own voice: a box whose walls are mirrors that swallow a part.
//!
//! Source: J. Allen, D. Berkley, "Image method for efficiently simulating small-room acoustics" (1979).

use crate::turns::RATE;

/// Metres a second.
const SPEED_OF_SOUND: f64 = 343.0;
/// Width, length and height in metres: an office.
const ROOM: [f64; 3] = [4.0, 3.2, 2.5];
/// What a wall gives back of the pressure: plaster, a carpet, curtains. The room then rings for about 0.3 s.
const REFLECTION: f64 = 0.75;
const LOUDSPEAKER: [f64; 3] = [1.2, 1.5, 0.9];
/// Half a metre away: a laptop or a speakerphone.
const MICROPHONE: [f64; 3] = [1.6, 1.8, 0.9];
/// Mirrors of mirrors, in each direction; what comes later than [`LENGTH`] is left out.
const ORDER: i32 = 14;
/// Samples of the response: 0.3 s.
const LENGTH: usize = RATE as usize * 3 / 10;

/// What the microphone hears of a click.
#[must_use]
pub fn response() -> Vec<f64> {
    let mut response = vec![0.0; LENGTH];
    // along one axis: where the mirrored loudspeaker stands from the microphone, and how often its sound was reflected
    let images = |axis: usize| -> Vec<(f64, i32)> {
        let of = |values: [f64; 3]| values.get(axis).copied().unwrap_or_default();
        let (size, source, ear) = (of(ROOM), of(LOUDSPEAKER), of(MICROPHONE));
        (-ORDER..=ORDER)
            .map(|number| {
                let place = match number % 2 {
                    0 => f64::from(number) * size + source,
                    _ => f64::from(number + 1) * size - source,
                };
                (place - ear, number.abs())
            })
            .collect()
    };
    let [xs, ys, zs] = [images(0), images(1), images(2)];
    for (x, through_x) in &xs {
        for (y, through_y) in &ys {
            for (z, through_z) in &zs {
                let way = (x * x + y * y + z * z).sqrt();
                let at = (way / SPEED_OF_SOUND * f64::from(RATE)).round() as usize;
                if let Some(tap) = response.get_mut(at) {
                    *tap += REFLECTION.powi(through_x + through_y + through_z) / way;
                }
            }
        }
    }
    response
}

/// `sound` from the loudspeaker as the microphone hears it, `decibels` louder than `sound` itself, after `delay` seconds on the way.
#[must_use]
pub fn echo(sound: &[i16], decibels: f64, delay: f64) -> Vec<i16> {
    let response = response();
    let length = sound.len() + response.len();
    let mut heard = vec![0.0; length];
    for (at, sample) in sound.iter().enumerate().filter(|(_, sample)| **sample != 0) {
        let sample = f64::from(*sample);
        for (place, tap) in heard.iter_mut().skip(at).zip(&response) {
            *place += sample * tap;
        }
    }
    let level = |energy: f64| energy.sqrt().max(1e-9);
    let before = level(sound.iter().map(|sample| f64::from(*sample).powi(2)).sum());
    let after = level(heard.iter().map(|sample| sample.powi(2)).sum());
    let gain = before / after * 10_f64.powf(decibels / 20.0);
    let silence = std::iter::repeat_n(0, (delay * f64::from(RATE)) as usize);
    silence
        .chain(heard.iter().map(|sample| (sample * gain) as i16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sound_comes_straight_first_and_dies_away() {
        let response = response();
        let straight = (0.5 / SPEED_OF_SOUND * f64::from(RATE)).round() as usize;
        let first = response.iter().position(|tap| *tap > 0.0);
        assert_eq!(first, Some(straight));
        let energy = |from: usize, to: usize| -> f64 {
            let part = response.iter().take(to).skip(from);
            part.map(|tap| tap * tap).sum()
        };
        let early = energy(0, LENGTH / 3);
        let late = energy(2 * LENGTH / 3, LENGTH);
        assert!(late > 0.0 && late < early / 30.0, "{early} {late}");
    }

    #[test]
    fn the_echo_has_the_level_that_was_asked_for() {
        let sound: Vec<i16> = (0..8_000)
            .map(|at| ((at * at) % 4_001) as i16 - 2_000)
            .collect();
        let energy = |samples: &[i16]| -> f64 {
            samples
                .iter()
                .map(|sample| f64::from(*sample).powi(2))
                .sum()
        };
        let heard = echo(&sound, -20.0, 0.1);
        let ratio = 10.0 * (energy(&heard) / energy(&sound)).log10();
        assert!((ratio + 20.0).abs() < 0.5, "{ratio}");
        assert!(heard.iter().take(1_600).all(|sample| *sample == 0));
    }
}
