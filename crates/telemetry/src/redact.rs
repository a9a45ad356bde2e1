//! Secrets and tokens never reach a log.
