//! TLS handshakes that say nothing, or begin and do not go on.

use std::sync::Arc;

use super::peers::{Attack, say_and_hold};
use super::target::{Port, Target};
use super::{Force, alone};
use crate::support::tls::Authority;

#[test]
#[ignore = "takes what the machine has: make abuse"]
fn handshakes_may_say_nothing() {
    let _alone = alone();
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.issue(&["localhost"]).write(files.path(), "server");
    let force = Force::asked();
    let mut target = Target::start(
        force,
        &[
            ("COUNTERSIGN__EDGE__PLAIN_HTTP", "false"),
            ("COUNTERSIGN__EDGE__TLS__CERTIFICATE_FILE", certificate.to_str().unwrap()),
            ("COUNTERSIGN__EDGE__TLS__KEY_FILE", key.to_str().unwrap()),
            ("COUNTERSIGN__EDGE__TLS__HANDSHAKE_TIMEOUT", "1s"),
        ],
    );
    // Nothing at all; and the head of a record that promises a ClientHello of 512 bytes.
    for (name, said) in [("silent handshakes", &[][..]), ("begun handshakes", &[0x16, 3, 1, 2, 0, 1])] {
        let said = Arc::new(said.to_vec());
        target.withstands(name, Port::EdgeInTls, |address| {
            Attack::begin(address, force.peers, move |stream| say_and_hold(stream, Arc::clone(&said)))
        });
    }
}
