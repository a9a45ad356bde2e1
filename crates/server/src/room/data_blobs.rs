//! Small pieces of data that participants keep here for the others to fetch, by key. Off unless the operator allows it, as
//! with LiveKit.

use std::sync::Arc;

use antiphon_protocol::proto::request_response::Reason;
use antiphon_protocol::proto::signal_response::Message;
use antiphon_protocol::proto::{
    DataBlob, DataBlobKey, GetDataBlobRequest, GetDataBlobResponse, RequestResponse,
    StoreDataBlobRequest, StoreDataBlobResponse,
};
use prost::Message as _;

use super::actor::Room;
use crate::limits::{MAX_DATA_BLOB_KEY_BYTES, MAX_DATA_BLOBS_BYTES};

/// Those of one participant; they go with it.
#[derive(Debug, Default)]
pub(super) struct DataBlobs(Vec<DataBlob>);

impl DataBlobs {
    /// Keep it, in the place of one with the same key.
    fn store(&mut self, blob: DataBlob) -> Result<DataBlobKey, (Reason, &'static str)> {
        let invalid = |why| (Reason::InvalidRequest, why);
        let key = blob.key.clone().filter(|key| key.key.is_some());
        let key = key.ok_or(invalid("a data blob needs a key"))?;
        if key.encoded_len() > MAX_DATA_BLOB_KEY_BYTES {
            return Err(invalid("the key of the data blob is too long"));
        }
        if blob.contents.is_empty() {
            return Err(invalid("the data blob is empty"));
        }
        let others = self.0.iter().filter(|other| other.key != blob.key);
        let bytes: usize = others.chain([&blob]).map(DataBlob::encoded_len).sum();
        if bytes > MAX_DATA_BLOBS_BYTES {
            return Err((Reason::LimitExceeded, "the data blobs are too large"));
        }
        self.0.retain(|other| other.key != blob.key);
        self.0.push(blob);
        Ok(key)
    }

    fn get(&self, key: &DataBlobKey) -> Option<&DataBlob> {
        self.0.iter().find(|blob| blob.key.as_ref() == Some(key))
    }
}

impl Room {
    pub(super) fn on_store_data_blob(&mut self, sid: &Arc<str>, request: StoreDataBlobRequest) {
        let allowed = self.options.data_blobs;
        let Some(p) = self.participants.get_mut(sid) else {
            return;
        };
        let request_id = request.request_id;
        let stored = if allowed {
            p.data_blobs.store(request.blob.unwrap_or_default())
        } else {
            Err((Reason::NotAllowed, "data blobs are not enabled"))
        };
        p.send(match stored {
            Ok(key) => Message::StoreDataBlobResponse(StoreDataBlobResponse {
                request_id,
                key: Some(key),
            }),
            Err(refusal) => refused(request_id, refusal),
        });
    }

    pub(super) fn on_get_data_blob(&mut self, sid: &Arc<str>, request: &GetDataBlobRequest) {
        let asker_sees = |p: &&super::participant::Participant| {
            *p.identity == *request.participant_identity && (!p.permission.hidden || p.sid == *sid)
        };
        let owner = self.participants.values().find(asker_sees);
        let found = match (&request.key, owner) {
            (None, _) => Err((Reason::InvalidRequest, "a data blob has a key")),
            (_, None) => Err((Reason::NotFound, "participant not found")),
            (Some(key), Some(owner)) => {
                let blob = owner.data_blobs.get(key).cloned();
                blob.ok_or((Reason::NotFound, "data blob not found"))
            }
        };
        let request_id = request.request_id;
        if let Some(p) = self.participants.get_mut(sid) {
            p.send(match found {
                Ok(blob) => Message::GetDataBlobResponse(GetDataBlobResponse {
                    request_id,
                    blob: Some(blob),
                }),
                Err(refusal) => refused(request_id, refusal),
            });
        }
    }
}

fn refused(request_id: u32, (reason, message): (Reason, &str)) -> Message {
    Message::RequestResponse(RequestResponse {
        request_id,
        reason: reason as i32,
        message: message.to_owned(),
        request: None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use antiphon_protocol::proto::data_blob_key::Key;

    use super::*;

    fn blob(key: &str, bytes: usize) -> DataBlob {
        DataBlob {
            key: Some(DataBlobKey {
                key: Some(Key::Generic(key.to_owned())),
            }),
            contents: vec![7; bytes],
        }
    }

    #[test]
    fn a_blob_is_found_by_its_key_and_replaced_by_one_with_the_same() {
        let mut blobs = DataBlobs::default();
        let key = blobs.store(blob("menu", 10)).unwrap();
        blobs.store(blob("menu", 20)).unwrap();
        blobs.store(blob("map", 5)).unwrap();
        assert_eq!(blobs.get(&key).unwrap().contents.len(), 20);
        assert_eq!(blobs.0.len(), 2);
    }

    #[test]
    fn what_is_too_large_or_has_no_key_is_refused_and_nothing_is_lost() {
        let mut blobs = DataBlobs::default();
        let key = blobs.store(blob("menu", 30_000)).unwrap();
        let reason = |refused: Result<_, (Reason, _)>| refused.map(drop).unwrap_err().0;
        assert_eq!(
            reason(blobs.store(blob("map", 40_000))),
            Reason::LimitExceeded
        );
        assert_eq!(reason(blobs.store(blob("map", 0))), Reason::InvalidRequest);
        assert_eq!(
            reason(blobs.store(DataBlob::default())),
            Reason::InvalidRequest
        );
        let long = blob(&"k".repeat(MAX_DATA_BLOB_KEY_BYTES + 1), 1);
        assert_eq!(reason(blobs.store(long)), Reason::InvalidRequest);
        assert_eq!(blobs.get(&key).unwrap().contents.len(), 30_000);
        // One that grows takes the place of the smaller one.
        assert!(blobs.store(blob("menu", 60_000)).is_ok());
    }
}
