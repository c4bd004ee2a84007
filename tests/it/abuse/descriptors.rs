//! A process that has no file descriptors left.

use std::net::TcpStream;

use super::target::{Port, Target, eventually};
use super::watch::newcomer_is_served;
use super::{Force, alone};

#[test]
fn when_descriptors_run_out_the_listeners_wait_and_go_on_afterwards() {
    let _alone = alone();
    let force = Force { peers: 1000, ..Force::asked() };
    let mut target = Target::start_with_descriptors(
        force,
        96,
        &[("COUNTERSIGN__LIMITS__REQUEST_TIMEOUT", "1m"), ("COUNTERSIGN__LIMITS__UNREAD_TIMEOUT", "1m")],
    );
    for port in [Port::Grpc, Port::Edge] {
        let silent: Vec<_> = (0..200)
            .map(|_| TcpStream::connect(target.address(port)).expect("the backlog takes it"))
            .collect();
        eventually("it says that it cannot accept", || {
            target.service.log().contains("cannot accept connections")
        });
        drop(silent);
        newcomer_is_served(port, target.address(port));
        newcomer_is_served(Port::Operations, target.address(Port::Operations));
    }
    assert!(target.service.is_alive());
}
