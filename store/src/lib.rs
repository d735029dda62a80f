//! A content-addressed store.
