//! As much of a Kubernetes API server as helm asks when it looks for what is in the cluster.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

/// Serves these objects until the test ends.
pub(super) struct ApiServer(SocketAddr);

impl ApiServer {
    pub(super) fn start(objects: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let objects = objects.to_vec();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let objects = objects.clone();
                thread::spawn(move || serve(stream, &objects));
            }
        });
        Self(address)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

/// One connection, one request after the other.
fn serve(mut stream: TcpStream, objects: &[Value]) {
    let mut requests = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = String::new();
        if requests.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let path = line.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
        while line.trim() != "" {
            line.clear();
            if requests.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
        }
        let (status, body) = answer(&path, objects);
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
        if stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).is_err() {
            return;
        }
    }
}

/// The kinds that are looked for, and where.
const KINDS: [(&str, &str, &str, &str); 3] = [
    ("v1", "Secret", "secrets", "/api/v1/namespaces/default/secrets/"),
    (
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        "/api/v1/namespaces/default/persistentvolumeclaims/",
    ),
    ("apps/v1", "Deployment", "deployments", "/apis/apps/v1/namespaces/default/deployments/"),
];

fn answer(path: &str, objects: &[Value]) -> (&'static str, Value) {
    const OK: &str = "200 OK";
    let resources = |version: &str| {
        let of_version = KINDS.iter().filter(|(group, ..)| *group == version);
        let resources: Vec<_> = of_version
            .map(|(_, kind, name, _)| json!({ "name": name, "kind": kind, "namespaced": true, "verbs": ["get"] }))
            .collect();
        (OK, json!({ "kind": "APIResourceList", "groupVersion": version, "resources": resources }))
    };
    match path {
        "/version" => (OK, json!({ "major": "1", "minor": "30", "gitVersion": "v1.30.0" })),
        "/api" => (OK, json!({ "kind": "APIVersions", "versions": ["v1"] })),
        "/apis" => {
            let version = json!({ "groupVersion": "apps/v1", "version": "v1" });
            let apps = json!({ "name": "apps", "versions": [version], "preferredVersion": version });
            (OK, json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [apps] }))
        }
        "/api/v1" => resources("v1"),
        "/apis/apps/v1" => resources("apps/v1"),
        _ => {
            let found = KINDS.iter().find_map(|(_, kind, _, prefix)| {
                let name = path.strip_prefix(prefix)?;
                objects.iter().find(|it| it["kind"] == **kind && it["metadata"]["name"] == name)
            });
            found.map_or_else(
                || {
                    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404 });
                    ("404 Not Found", status)
                },
                |found| (OK, found.clone()),
            )
        }
    }
}
