//! Messages in Protocol Buffers' encoding, as far as event files need them, and the records in which they lie there.

/// A message that is being written.
#[derive(Debug, Clone, Default)]
pub(super) struct ProtoMessage(Vec<u8>);

/// How a field's value is encoded.
mod wire {
    pub(super) const VARINT: u64 = 0;
    pub(super) const FIXED64: u64 = 1;
    pub(super) const BYTES: u64 = 2;
    pub(super) const FIXED32: u64 = 5;
}

impl ProtoMessage {
    /// A whole number, a truth value or one of an enumeration.
    pub(super) fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3 | wire::VARINT);
        self.varint(value);
        self
    }

    /// A fraction of 64 bits.
    pub(super) fn double(mut self, field: u64, value: f64) -> Self {
        self.varint(field << 3 | wire::FIXED64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A fraction of 32 bits.
    pub(super) fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | wire::FIXED32);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A text, or bytes.
    pub(super) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | wire::BYTES);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// A message in the message.
    pub(super) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// The message as a record of an event file: its length and its bytes, each with a checksum.
    pub(super) fn record(&self) -> Vec<u8> {
        let length = (self.0.len() as u64).to_le_bytes();
        [&length[..], &checksum(&length), &self.0, &checksum(&self.0)].concat()
    }
}

/// A CRC-32C that is turned and shifted, so that a checksum of what holds checksums is none of them.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// The cyclic redundancy check with Castagnoli's polynomial.
fn crc32c(bytes: &[u8]) -> u32 {
    const REVERSED: u32 = 0x82f6_3b78;
    const TABLE: [u32; 256] = {
        let (mut table, mut byte) = ([0; 256], 0);
        while byte < 256 {
            let (mut rest, mut bit) = (byte as u32, 0);
            while bit < 8 {
                rest = if rest & 1 == 1 { rest >> 1 ^ REVERSED } else { rest >> 1 };
                bit += 1;
            }
            table[byte] = rest;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::{ProtoMessage, crc32c};

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn fields_have_their_number_and_kind_before_them() {
        let inner = ProtoMessage::default().float(2, 1.0);
        let bytes = ProtoMessage::default().number(2, 300).message(5, &inner).0;
        assert_eq!(bytes, [0x10, 0xac, 0x02, 0x2a, 0x05, 0x15, 0, 0, 0x80, 0x3f]);
    }
}
