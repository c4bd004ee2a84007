//! Connections that are open and do nothing.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::target::{Port, Target, eventually};
use super::watch::resident_kib;
use super::{Force, alone};

/// As many as can be told apart from what else a process takes and gives back.
const CONNECTIONS: usize = 3000;
/// What docs/operations.md says that one takes, in KiB.
const EACH_KIB: usize = 20;
/// How much more than before may be resident afterwards, in KiB.
const MARGIN_KIB: usize = 10 * 1024;

#[test]
fn an_idle_connection_takes_little_memory_and_gives_it_back() {
    let _alone = alone();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the hard limit");
    let force = Force { peers: CONNECTIONS + 100, ..Force::asked() };
    let target = Target::start(force, &[("COUNTERSIGN__LIMITS__REQUEST_TIMEOUT", "5m")]);
    let service = target.service.id();
    for round in 1..=2 {
        let before = resident_kib(service);
        let open: Vec<_> = (0..CONNECTIONS).map(|_| settled(target.address(Port::Grpc))).collect();
        eventually("an idle connection takes no more than it may", || {
            resident_kib(service).saturating_sub(before) <= EACH_KIB * CONNECTIONS
        });
        let held = resident_kib(service).saturating_sub(before);
        drop(open);
        eventually("what they took comes back", || resident_kib(service) <= before + MARGIN_KIB);
        println!("round {round}: {before} KiB before, {held} more with {CONNECTIONS} connections");
    }
}

/// A connection of HTTP/2 on which both sides have said how they speak, and nothing else.
fn settled(address: SocketAddr) -> TcpStream {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const ACKNOWLEDGED: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];
    let mut stream = TcpStream::connect(address).expect("the port takes it");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a time that is not 0");
    stream.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &SETTINGS].concat()).expect("it is read");
    stream.read_exact(&mut [0; 9]).expect("the server's settings");
    stream.write_all(&ACKNOWLEDGED).expect("it is read");
    stream
}
