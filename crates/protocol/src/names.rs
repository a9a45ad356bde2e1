//! Names that both ends of a connection must spell alike: text stream topics, participant attributes, data channels,
//! protocol versions.

/// The signalling protocol version we speak as a client and announce as a server.
pub const PROTOCOL_VERSION: i32 = 17;
/// The version a server announces. SDKs compare it as plain semver (RPC needs 1.8.0 or later) and one of them panics on
/// anything else, so this says which LiveKit server we behave like, not which Antiphon this is.
pub const SERVER_VERSION: &str = "1.13.5";
/// The agent worker protocol version.
pub const AGENT_PROTOCOL_VERSION: i32 = 1;
/// `client_protocol`: peers may send RPC as data streams.
pub const CLIENT_PROTOCOL_RPC_STREAMS: i32 = 1;
/// `client_protocol`: peers may inline and compress data streams.
pub const CLIENT_PROTOCOL_STREAMS_V2: i32 = 2;

/// Data channel for reliable packets.
pub const CHANNEL_RELIABLE: &str = "_reliable";
/// Data channel for lossy packets.
pub const CHANNEL_LOSSY: &str = "_lossy";
/// Data channel for data track frames.
pub const CHANNEL_DATA_TRACK: &str = "_data_track";
/// The largest data packet that SDKs accept, bytes.
pub const MAX_DATA_PACKET_BYTES: usize = 64_000;
/// Payload of one data stream chunk, bytes, as every SDK cuts it.
pub const STREAM_CHUNK_BYTES: usize = 15_000;

/// Text stream topic: transcriptions.
pub const TOPIC_TRANSCRIPTION: &str = "lk.transcription";
/// Text stream topic: chat.
pub const TOPIC_CHAT: &str = "lk.chat";
/// Text stream topic: RPC request of version 2.
pub const TOPIC_RPC_REQUEST: &str = "lk.rpc_request";
/// Text stream topic: RPC response of version 2.
pub const TOPIC_RPC_RESPONSE: &str = "lk.rpc_response";
/// Byte stream topic: what the caller said before the agent was there.
pub const TOPIC_PRE_CONNECT_AUDIO: &str = "lk.agent.pre-connect-audio-buffer";
/// Text stream topic: remote control of an agent session.
pub const TOPIC_AGENT_SESSION: &str = "lk.agent.session";
/// Data message topic, our own: the server tells a room why nobody answers yet.
pub const TOPIC_DISPATCH: &str = "antiphon.dispatch";

/// Transcription stream attribute: segment.
pub const ATTRIBUTE_SEGMENT_ID: &str = "lk.segment_id";
/// Transcription stream attribute: `TR_…` of the voice that was transcribed.
pub const ATTRIBUTE_TRANSCRIBED_TRACK_ID: &str = "lk.transcribed_track_id";
/// Transcription stream attribute: `true` or `false`.
pub const ATTRIBUTE_TRANSCRIPTION_FINAL: &str = "lk.transcription_final";
/// RPC stream attribute: request id.
pub const ATTRIBUTE_RPC_REQUEST_ID: &str = "lk.rpc_request_id";
/// RPC stream attribute: method.
pub const ATTRIBUTE_RPC_REQUEST_METHOD: &str = "lk.rpc_request_method";
/// RPC stream attribute: response timeout in milliseconds.
pub const ATTRIBUTE_RPC_RESPONSE_TIMEOUT_MS: &str = "lk.rpc_request_response_timeout_ms";
/// RPC stream attribute: version, `2`.
pub const ATTRIBUTE_RPC_VERSION: &str = "lk.rpc_request_version";

/// Participant attribute: what an agent is doing, one of [`AgentState`]'s strings.
pub const ATTRIBUTE_AGENT_STATE: &str = "lk.agent.state";
/// Participant attribute: an agent's name.
pub const ATTRIBUTE_AGENT_NAME: &str = "lk.agent.name";
/// Participant attribute that the server adds: the name under which the worker registered.
pub const ATTRIBUTE_AGENT_DISPATCH_NAME: &str = "lk.agent_name";
/// Participant attribute: identity on whose behalf a participant publishes (avatars).
pub const ATTRIBUTE_PUBLISH_ON_BEHALF: &str = "lk.publish_on_behalf";

/// What an agent is doing, as clients read it from [`ATTRIBUTE_AGENT_STATE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgentState {
    /// Starting.
    Initializing,
    /// Nobody to talk to.
    Idle,
    /// The caller has the floor.
    Listening,
    /// Preparing an answer.
    Thinking,
    /// The agent has the floor.
    Speaking,
}

impl AgentState {
    /// The attribute's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Idle => "idle",
            Self::Listening => "listening",
            Self::Thinking => "thinking",
            Self::Speaking => "speaking",
        }
    }
}
