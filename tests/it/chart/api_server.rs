//! As much of a Kubernetes API server as helm asks when it looks for a Secret.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

/// Serves these Secrets until the test ends.
pub(super) struct ApiServer(SocketAddr);

impl ApiServer {
    pub(super) fn start(secrets: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let secrets = secrets.to_vec();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let secrets = secrets.clone();
                thread::spawn(move || serve(stream, &secrets));
            }
        });
        Self(address)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

/// One connection, one request after the other.
fn serve(mut stream: TcpStream, secrets: &[Value]) {
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
        let (status, body) = answer(&path, secrets);
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
        if stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(path: &str, secrets: &[Value]) -> (&'static str, Value) {
    const OK: &str = "200 OK";
    let secret = path.strip_prefix("/api/v1/namespaces/default/secrets/");
    match path {
        "/version" => (OK, json!({ "major": "1", "minor": "30", "gitVersion": "v1.30.0" })),
        "/api" => (OK, json!({ "kind": "APIVersions", "versions": ["v1"] })),
        "/apis" => (OK, json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] })),
        "/api/v1" => {
            let secrets =
                json!({ "name": "secrets", "kind": "Secret", "namespaced": true, "verbs": ["get"] });
            let list = json!({ "kind": "APIResourceList", "groupVersion": "v1", "resources": [secrets] });
            (OK, list)
        }
        _ => match secrets.iter().find(|it| it["metadata"]["name"].as_str() == secret) {
            Some(found) if secret.is_some() => (OK, found.clone()),
            _ => {
                let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404 });
                ("404 Not Found", status)
            }
        },
    }
}
