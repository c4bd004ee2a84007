//! The chart as helm renders it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize as _;
use serde_json::Value;

use super::api_server::ApiServer;
use crate::support::tool;

/// The oldest Kubernetes that the chart is for, whose schemas the validator has.
const KUBERNETES: &str = "1.30.0";

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the chart, or with an empty name its directory.
pub(super) fn chart_path(file: &str) -> PathBuf {
    root().join("helm/countersign").join(file)
}

/// The chart, and helm.
pub(super) struct Chart {
    helm: PathBuf,
}

impl Chart {
    pub(super) fn find(test: &str) -> Option<Self> {
        Some(Self { helm: tool::find("helm", test)? })
    }

    fn helm(&self, arguments: &[&str], values: &str, set: &[(&str, &str)]) -> Result<String, String> {
        let mut command = Command::new(&self.helm);
        command.args(arguments).arg("--values").arg(chart_path(values));
        for (key, value) in set {
            command.args(["--set", &format!("{key}={value}")]);
        }
        let output = command.output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        if output.status.success() { Ok(out) } else { Err(format!("{out}{err}")) }
    }

    pub(super) fn lint(&self, values: &str) {
        let path = chart_path("");
        let arguments = ["lint", "--strict", "--kube-version", KUBERNETES, path.to_str().unwrap()];
        self.helm(&arguments, values, &[]).unwrap_or_else(|error| panic!("{values}: {error}"));
    }

    /// Renders the chart with these values, or says why helm does not.
    pub(super) fn render(&self, values: &str, set: &[(&str, &str)]) -> Result<Manifests, String> {
        let path = chart_path("");
        let arguments = ["template", "countersign", path.to_str().unwrap(), "--kube-version", KUBERNETES];
        self.helm(&arguments, values, set).map(|text| Manifests::parse(&text))
    }

    /// Renders as an upgrade does, which looks at what is in the cluster.
    pub(super) fn render_in(
        &self,
        cluster: &ApiServer,
        values: &str,
        set: &[(&str, &str)],
    ) -> Result<Manifests, String> {
        let path = chart_path("");
        let (path, url) = (path.to_str().unwrap(), cluster.url());
        let cluster = ["--dry-run=server", "--validate=false", "--kube-apiserver", &url];
        let arguments = ["template", "countersign", path, "--kube-version", KUBERNETES];
        let arguments = [&arguments[..], &cluster[..]].concat();
        self.helm(&arguments, values, set).map(|text| Manifests::parse(&text))
    }

    /// What people are told after an install. Helm shows it to nobody else, so another template quotes it.
    pub(super) fn notes(&self, values: &str, set: &[(&str, &str)]) -> String {
        const QUOTE: &str = r#"notes: {{ include (print .Template.BasePath "/NOTES.txt") . | toJson }}"#;
        let copy = tempfile::tempdir().unwrap();
        run(Command::new("cp").arg("-r").arg(chart_path(".")).arg(copy.path().join("countersign"))).unwrap();
        let path = copy.path().join("countersign");
        fs::write(path.join("templates/quote.yaml"), QUOTE).unwrap();
        let arguments = ["template", "countersign", path.to_str().unwrap(), "--kube-version", KUBERNETES];
        let manifests = Manifests::parse(&self.helm(&arguments, values, set).unwrap());
        manifests.0.iter().find_map(|it| it["notes"].as_str()).unwrap().to_owned()
    }
}

/// What the chart rendered.
#[derive(Debug, Clone)]
pub(super) struct Manifests(Vec<Value>);

impl Manifests {
    fn parse(text: &str) -> Self {
        let documents = serde_yaml_ng::Deserializer::from_str(text);
        let documents = documents.map(|document| Value::deserialize(document).unwrap());
        Self(documents.filter(|document| !document.is_null()).collect())
    }

    pub(super) fn all<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let kind = kind.to_owned();
        self.0.iter().filter(move |it| it["kind"] == kind)
    }

    pub(super) fn only(&self, kind: &str) -> &Value {
        let mut found = self.all(kind);
        let first = found.next().unwrap_or_else(|| panic!("no {kind}"));
        assert!(found.next().is_none(), "more than one {kind}");
        first
    }

    pub(super) fn named(&self, kind: &str, name: &str) -> &Value {
        self.all(kind).find(|it| it["metadata"]["name"] == name).unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    /// All of them, as a cluster has them once this release has applied them.
    pub(super) fn applied(&self) -> Vec<Value> {
        let mut objects = self.0.clone();
        for object in &mut objects {
            object["metadata"]["annotations"]["meta.helm.sh/release-name"] = "countersign".into();
        }
        objects
    }

    /// The names of all objects of a kind.
    pub(super) fn names(&self, kind: &str) -> Vec<String> {
        self.all(kind).filter_map(|it| it["metadata"]["name"].as_str()).map(str::to_owned).collect()
    }

    /// The configuration file of the Deployment.
    pub(super) fn config(&self) -> &str {
        self.named("ConfigMap", "countersign")["data"]["countersign.toml"].as_str().unwrap()
    }

    /// Every pod's specification, with the name of what makes it.
    pub(super) fn pods(&self) -> Vec<(String, &Value)> {
        let name = |it: &Value| format!("{} {}", it["kind"], it["metadata"]["name"]);
        let templates = self.0.iter().filter(|it| !it["spec"]["template"]["spec"].is_null());
        let of_templates = templates.map(|it| (name(it), &it["spec"]["template"]["spec"]));
        of_templates.chain(self.all("Pod").map(|it| (name(it), &it["spec"]))).collect()
    }

    /// Puts a value where a JSON pointer says, in the first object of a kind.
    pub(super) fn set(&mut self, kind: &str, path: &str, value: Value) {
        let object = self.0.iter_mut().find(|it| it["kind"] == kind).unwrap();
        let (parent, key) = path.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = value;
    }

    /// As YAML, without the keys, which are others each time.
    pub(super) fn without_keys(&self) -> String {
        let mut manifests = self.0.clone();
        for secret in manifests.iter_mut().filter(|it| it["kind"] == "Secret") {
            secret["data"] = "(made by the chart)".into();
        }
        to_yaml(&manifests)
    }
}

fn to_yaml(manifests: &[Value]) -> String {
    let documents: Vec<_> = manifests.iter().map(|it| serde_yaml_ng::to_string(it).unwrap()).collect();
    documents.join("---\n")
}

/// Kubernetes' own schemas, and the Go types of the custom resources.
pub(super) struct Validator {
    schemas: PathBuf,
    types: PathBuf,
}

impl Validator {
    pub(super) fn find(test: &str) -> Option<Self> {
        let schemas = tool::find("kubectl-validate", test)?;
        Some(Self { schemas, types: tool::find("decode-custom-resources", test)? })
    }

    pub(super) fn check(&self, manifests: &Manifests) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let is_custom = |it: &&Value| {
            let group = it["apiVersion"].as_str().unwrap().split('/').next().unwrap();
            ["cert-manager.io", "gateway.networking.k8s.io", "monitoring.coreos.com"].contains(&group)
        };
        let write = |name: &str, manifests: Vec<Value>| {
            let file = folder.path().join(name);
            fs::write(&file, to_yaml(&manifests)).unwrap();
            file
        };
        let own = write("own.yaml", manifests.0.iter().filter(|it| !is_custom(it)).cloned().collect());
        let custom = write("custom.yaml", manifests.0.iter().filter(is_custom).cloned().collect());
        run(Command::new(&self.schemas).args(["--version", "1.30"]).arg(own))?;
        run(Command::new(&self.types).arg(custom))
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// The text of a file of the repository.
pub(super) fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}
