//! Canonical protobuf: fields are written in the order of the calls, scalars that hold their
//! default are left out, as the REAPI asks. Writes only; reading is strict and done by the owner.

use crate::tree::Object;

/// Writes one protobuf message. The caller writes fields in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Starts with no field.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a number or boolean; 0 is left out.
    pub fn varint(&mut self, field: u32, value: u64) -> &mut Self {
        if value != 0 {
            self.raw(u64::from(field) << 3);
            self.raw(value);
        }
        self
    }

    /// Writes bytes; no bytes are left out.
    pub fn bytes(&mut self, field: u32, value: &[u8]) -> &mut Self {
        if value.is_empty() {
            return self;
        }
        self.delimited(field, value)
    }

    /// Writes a text; an empty one is left out.
    pub fn text(&mut self, field: u32, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    /// Writes one element of a repeated text field; an empty one is written too.
    pub fn text_item(&mut self, field: u32, value: &str) -> &mut Self {
        self.delimited(field, value.as_bytes())
    }

    /// Writes a message, also one without fields.
    pub fn message(&mut self, field: u32, value: Message) -> &mut Self {
        self.delimited(field, &value.into_bytes())
    }

    /// Writes a message field by field, without a buffer of its own.
    pub fn nested(&mut self, field: u32, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.raw(u64::from(field) << 3 | 2);
        let start = self.bytes.len();
        // Most lengths need one byte; a longer one is put in afterwards.
        self.bytes.push(0);
        write(self);
        let length = (self.bytes.len() - start - 1) as u64;
        if length < 0x80 {
            self.bytes[start] = length.to_le_bytes()[0];
        } else {
            let mut prefix = Self::new();
            prefix.raw(length);
            self.bytes.splice(start..=start, prefix.bytes);
        }
        self
    }

    /// Writes a REAPI `Digest`.
    pub fn object(&mut self, field: u32, value: &Object) -> &mut Self {
        self.nested(field, |message| {
            message.bytes(1, &value.digest.hex_digits());
            message.varint(2, value.size);
        })
    }

    /// Returns the bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn delimited(&mut self, field: u32, value: &[u8]) -> &mut Self {
        self.raw(u64::from(field) << 3 | 2);
        self.raw(value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }

    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.bytes.push(value.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: store/format R5
    #[test]
    fn a_message_in_place_equals_one_apart() {
        for length in [0, 1, 125, 126, 127, 128, 16_381, 16_384, 70_000] {
            let text = "x".repeat(length);
            let mut apart = Message::new();
            apart.text(1, &text);
            let mut expected = Message::new();
            expected.varint(1, 7).message(2, apart).varint(3, 9);
            let mut nested = Message::new();
            nested.varint(1, 7);
            nested.nested(2, |message| {
                message.text(1, &text);
            });
            nested.varint(3, 9);
            assert_eq!(nested, expected, "{length}");
        }
    }
}
