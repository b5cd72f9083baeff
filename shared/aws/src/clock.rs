//! Time and randomness of the machine.

use jiff::Timestamp;
use pushway_core::ports::{Clock, Random};

use crate::Aws;

impl Clock for Aws {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl Random for Aws {
    fn bytes(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        // Without randomness ids would collide silently; the kernel's source never fails once it is seeded.
        assert!(getrandom::fill(&mut bytes).is_ok(), "the system gives no random bytes");
        bytes
    }
}
