//! Record batches. The bytes are also tried as what follows a header that is right, for few inputs would ever
//! have one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use retrial_fuzz::bodies::{self, with_header};

fuzz_target!(|input: (i16, i32, &[u8])| {
    let (attributes, count, payload) = input;
    bodies::batches(payload);
    bodies::batches(&with_header(attributes, count, payload));
});
