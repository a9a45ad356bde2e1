//! `antiphon generate-keys`: a new API key with its secret, printed as livekit-server does.

use antiphon_protocol::ids;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::print_line;

/// Nobody guesses 256 bits.
const SECRET_BYTES: usize = 32;

/// Print both.
pub fn run() {
    let secret = secret(&rand::random());
    print_line(&format!("API Key:  {}", ids::new(ids::API_KEY)));
    print_line(&format!("API Secret:  {secret}"));
}

/// Letters and digits, so that no shell and no file takes it for something else.
fn secret(bytes: &[u8; SECRET_BYTES]) -> String {
    URL_SAFE_NO_PAD
        .encode(bytes)
        .replace('-', "x")
        .replace('_', "X")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_enough_and_needs_no_quotes() {
        let made = secret(&[0xff; SECRET_BYTES]);
        assert!(made.len() >= antiphon_server::config::MIN_SECRET_CHARS);
        assert!(made.chars().all(|c| c.is_ascii_alphanumeric()), "{made}");
    }
}
