//! Unsigned variable-length integers, as compact lengths and tagged fields use them (KIP-482).

use bytes::{Buf, BufMut};

/// Seven bits a byte: this many hold 32.
const MOST_BYTES: u32 = 5;

pub fn put(out: &mut impl BufMut, value: u32) {
    let mut rest = value;
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

/// Takes a value off the front; `None` if it does not end there or within five bytes. Bits beyond 32 are lost,
/// as in Kafka's `ByteUtils`.
pub fn take(bytes: &mut impl Buf) -> Option<u32> {
    let mut value = 0_u32;
    for index in 0..MOST_BYTES {
        let byte = bytes.try_get_u8().ok()?;
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{put, take};

    proptest! {
        #[test]
        fn values_return(value in any::<u32>()) {
            let mut out = Vec::new();
            put(&mut out, value);
            let mut rest = &out[..];
            prop_assert_eq!(take(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn what_does_not_end_is_none(bytes in prop::collection::vec(0x80..=0xff_u8, 0..9)) {
            prop_assert_eq!(take(&mut &bytes[..]), None);
        }
    }
}
