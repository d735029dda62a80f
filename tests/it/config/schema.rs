//! The JSON Schema and the parser tell the same files apart, as far as shapes go.
