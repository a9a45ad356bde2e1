//! A tool from a description: an HTTP request.
