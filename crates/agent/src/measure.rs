//! Every metric of a session is recorded here.
