//! Every limit of the engine in one place: what grows from outside has a name, a reason and a policy here.

use std::time::Duration;

/// Longest session description that is read. A room of a hundred sections is about 150 kB, one of 500 with video 700 kB.
/// Longer: refused.
pub(crate) const MAX_SDP_BYTES: usize = 1024 * 1024;
/// Longest line in one: some list every section of the description. Longer: refused.
pub(crate) const MAX_SDP_LINE_BYTES: usize = 64 * 1024;
/// Lines of one section: all formats that RTP can name, with what belongs to each. More: refused.
pub(crate) const MAX_SDP_SECTION_LINES: usize = 1_500;
/// A description longer than this waits behind others like it: an ordinary call's, with every codec of a browser for a
/// microphone and a camera, is half as long.
pub(crate) const LARGE_SDP_BYTES: usize = 32 * 1024;
/// Media sections of one peer, so that renegotiation stays affordable. More: the description is refused.
pub(crate) const MAX_SECTIONS: usize = 512;
/// Candidates that the other side may name until ICE restarts; browsers name about ten. More: ignored.
pub(crate) const MAX_REMOTE_CANDIDATES: usize = 64;
/// ICE user names of ours that lead to one peer, the newest and those before: each restart of ICE makes one. Older ones are
/// forgotten.
pub(crate) const MAX_UFRAGS: usize = 4;
/// Our own candidates of one peer: machines with more addresses than this name them in the configuration.
pub(crate) const MAX_LOCAL_CANDIDATES: usize = 16;
/// Addresses that lead to one peer. More: those that were only written to are not remembered, and one that has proved by a
/// check that it is the peer's takes the place of the oldest. STUN finds the peer by its user name anyway.
pub(crate) const MAX_PEER_ADDRESSES: usize = 16;
/// Data channels of one peer (LiveKit opens three). More: closed at once.
pub(crate) const MAX_CHANNELS: usize = 32;
/// Longest message that is sent; LiveKit's clients refuse packets over 64 000 bytes. Longer: dropped and counted.
pub(crate) const MAX_DATA_MESSAGE_BYTES: usize = 128 * 1024;
/// Waiting messages of a reliable channel: a file of some megabytes on its way to a phone. More: left out and counted. The
/// stream that they belong to has a hole then, which its reader notices; the call goes on.
pub(crate) const MAX_RELIABLE_QUEUE_BYTES: usize = 16 * 1024 * 1024;
/// Waiting messages of all peers of a shard.
pub(crate) const MAX_ALL_QUEUES_BYTES: usize = 256 * 1024 * 1024;
/// What a channel may still queue beyond that.
pub(crate) const MAX_RELIABLE_QUEUE_BYTES_WHEN_FULL: usize = 512 * 1024;
/// Bytes in SCTP's buffer of a lossy channel beyond which a message is dropped: older than that it is worthless.
pub(crate) const MAX_LOSSY_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes of one reliable channel handed to SCTP at once; the rest waits in our queue so that lossy messages find room.
pub(crate) const MAX_RELIABLE_IN_FLIGHT_BYTES: usize = 256 * 1024;
/// SCTP's own buffer of one peer, all channels together: one full reliable channel and room for the others.
pub(crate) const SCTP_BUFFER_BYTES: usize = 512 * 1024;
/// Longest RTP payload that is forwarded or sent: an Ethernet frame less the headers. Longer: dropped and counted.
pub(crate) const MAX_RTP_PAYLOAD_BYTES: usize = 1_450;
/// Sections a section is forwarded to; a voice room of this size would want mixing. More: ignored and logged.
pub(crate) const MAX_FORWARDS: usize = 4_096;
/// Simulcast layers of one section; senders have three. More: those beyond are not forwarded.
pub(crate) const MAX_LAYERS: usize = 8;
/// SSRCs remembered per peer. More: the memory is cleared and refills.
pub(crate) const MAX_SSRCS: usize = 256;

/// Commands waiting for a shard. Beyond it those with an answer fail, others are dropped and counted.
pub(crate) const MAX_COMMANDS: usize = 65_536;
/// Datagrams, forwarded packets and commands kept for a peer while it is negotiated, which takes milliseconds. More:
/// dropped and counted.
pub(crate) const MAX_KEPT_WHILE_AWAY: usize = 1_024;
/// Beyond this many waiting commands, voice packets are dropped and counted: they would arrive too late anyway.
pub(crate) const MAX_COMMANDS_WITH_MEDIA: usize = 16_384;
/// Free places in a reader's event channel below which its RTP packets, levels and lossy messages are dropped, so that a
/// slow reader of them still learns what else happens.
pub(crate) const EVENT_RESERVE: usize = 16;
/// What else waits for a reader that is busy for a moment, events and bytes of messages. More: the peer is closed.
pub(crate) const MAX_BACKLOG_EVENTS: usize = 4_096;
/// See [`MAX_BACKLOG_EVENTS`].
pub(crate) const MAX_BACKLOG_BYTES: usize = 4 * 1024 * 1024;
/// How soon a busy reader is tried again.
pub(crate) const BACKLOG_INTERVAL: Duration = Duration::from_millis(5);

/// From the first remote description to a connection. Longer: closed. LiveKit allows 10 to 20 s for ICE and more for
/// DTLS.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// From the loss of ICE to giving up; LiveKit takes 10 s + 5 s, ICE restarts fit in.
pub(crate) const LOST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long our goodbye may take.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// At most one key frame request to a layer of a source in this time.
pub(crate) const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// Silent Opus frames of 20 ms after a forwarded voice stops, so that the listener's jitter buffer runs empty softly.
pub(crate) const SILENT_FRAMES: u8 = 10;
/// How long one silent frame is.
pub(crate) const SILENT_FRAME: Duration = Duration::from_millis(20);
/// Voice packets of one peer that are kept in case it asks for them again: a second of twenty voices. More: the oldest are
/// forgotten.
pub(crate) const MAX_RESEND_PACKETS: usize = 1_024;
/// How old such a packet may be: what comes later than that is of no use to a listener.
pub(crate) const MAX_RESEND_AGE: Duration = Duration::from_secs(1);
/// How often one packet is sent again. Whoever asks more often gets nothing.
pub(crate) const MAX_RESENDS: u8 = 3;
/// Datagrams waiting for one TCP connection or relay: half a second of a voice and a camera. More: dropped and counted, as a
/// router would.
pub(crate) const PATH_QUEUE: usize = 256;
/// A TCP connection has to show a check for one of our peers within this long. Longer: closed.
pub(crate) const PATH_CLAIM_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest frame over TCP; DTLS and RTP stay below an Ethernet frame, and libwebrtc's largest is 1 500. Longer: closed.
pub(crate) const MAX_FRAME_BYTES: usize = 2_048;
/// ICE connections over TCP at once. More: closed at once.
pub(crate) const MAX_TCP_PATHS: usize = 20_000;
/// Of these, those of one address, a /64 in IPv6: an office behind one address has many callers with two connections each.
pub(crate) const MAX_TCP_PATHS_PER_ADDRESS: usize = 500;
/// Batches read from a socket before commands and timers get their turn.
pub(crate) const MAX_BATCHES_PER_TURN: usize = 16;

/// Receive and send buffer of a shard's socket: a second of 2000 voices.
pub(crate) const SHARED_SOCKET_BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Receive and send buffer of a peer's own socket.
pub(crate) const OWN_SOCKET_BUFFER_BYTES: usize = 512 * 1024;
