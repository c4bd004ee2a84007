//! Which callers may use which methods, by the names in their certificates.
//!
//! A method that some rule names is open to those alone whom such a rule names; a method that no rule names is
//! open to everybody whom the listener lets in, unless it is one of [`CLOSED`] on a port that others than this machine
//! reach. So a rule closes what it names, and another one widens it; none has to stand before another.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::proto;
use crate::spelling::nearest;

/// Every method, or every certificate.
const ANY: &str = "*";
/// Every caller, with a certificate or without.
const ANYONE: &str = "anyone";
/// What tells of other people's sessions, or of the service itself: closed where no rule opens it, unless the port is
/// reached from this machine alone.
const CLOSED: [&str; 3] = [
    "countersign.v1.RevocationService/",
    "grpc.reflection.v1.ServerReflection/",
    "grpc.reflection.v1alpha.ServerReflection/",
];
/// Served by this port where it is switched on, from descriptors that are not ours.
const ENVOY: &str = "envoy.service.auth.v3.Authorization/Check";

/// Who may use some methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// `package.Service/Method`, `package.Service/*`, or `*`.
    pub methods: Vec<String>,
    /// `spiffe://trust.domain/path` or another URI, one that ends in `/*` for all below it; `dns:name`; `*` for
    /// any certificate that was verified; or `anyone`, with a certificate or without.
    pub names: Vec<String>,
}

/// The rules together. Without any, everybody may use everything that is not closed.
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    rules: Vec<Allow>,
    reached_from_elsewhere: bool,
}

/// A rule names a method that there is not: what it should guard would be open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no method {0:?}{meant}", meant = suggestion(.0))]
pub struct UnknownMethod(pub String);

fn suggestion(unknown: &str) -> String {
    let known = known_methods();
    let meant = nearest(unknown, known.iter().map(String::as_str));
    meant.map(|meant| format!(": did you mean {meant:?}?")).unwrap_or_default()
}

impl AllowList {
    /// Every method that is named must be one that is known.
    pub fn new(rules: Vec<Allow>) -> Result<Self, UnknownMethod> {
        let known = known_methods();
        let is_known = |pattern: &str| known.iter().any(|method| covers(pattern, method));
        match rules.iter().flat_map(|rule| &rule.methods).find(|pattern| !is_known(pattern)) {
            Some(unknown) => Err(UnknownMethod(unknown.clone())),
            None => Ok(Self { rules, reached_from_elsewhere: false }),
        }
    }

    /// For a port that others than this machine reach: what tells of other people's sessions is closed unless a rule
    /// opens it.
    #[must_use]
    pub fn reached_from_elsewhere(self) -> Self {
        Self { reached_from_elsewhere: true, ..self }
    }

    /// Whether the method at `path` may be called by one whose certificate has these names; `None` is one without
    /// a certificate.
    pub(super) fn permits(&self, path: &str, names: Option<&[String]>) -> bool {
        let method = path.strip_prefix('/').unwrap_or(path);
        let mut guarding = self.guarding(method).peekable();
        if guarding.peek().is_none() {
            return !self.is_closed(method);
        }
        guarding.any(|rule| rule.is_for(names))
    }

    /// Whether no rule says who may use the method at `path`, and it is therefore refused to everybody.
    pub(super) fn lacks_a_rule_for(&self, path: &str) -> bool {
        let method = path.strip_prefix('/').unwrap_or(path);
        self.is_closed(method) && self.guarding(method).next().is_none()
    }

    fn guarding<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Allow> {
        self.rules.iter().filter(move |rule| rule.methods.iter().any(|pattern| covers(pattern, method)))
    }

    fn is_closed(&self, method: &str) -> bool {
        self.reached_from_elsewhere && CLOSED.iter().any(|service| method.starts_with(service))
    }
}

impl Allow {
    fn is_for(&self, names: Option<&[String]>) -> bool {
        if self.names.iter().any(|name| name == ANYONE) {
            return true;
        }
        let Some(names) = names else { return false };
        self.names.iter().any(|pattern| pattern == ANY || names.iter().any(|name| is_meant(pattern, name)))
    }
}

fn covers(pattern: &str, method: &str) -> bool {
    pattern == ANY
        || pattern == method
        || pattern.strip_suffix('*').is_some_and(|service| {
            service.ends_with('/') && method.strip_prefix(service).is_some_and(|rest| !rest.is_empty())
        })
}

/// Whether a name is the one that a rule has, or below it. No path goes up again: what is signed is taken as it is
/// written, and `.` and `..` stand in no SPIFFE ID.
fn is_meant(pattern: &str, name: &str) -> bool {
    let Some(above) = pattern.strip_suffix("/*") else { return pattern == name };
    let below = name.strip_prefix(above).and_then(|rest| rest.strip_prefix('/'));
    below.is_some_and(|rest| !rest.is_empty() && !rest.split('/').any(|part| matches!(part, "" | "." | "..")))
}

/// `package.Service/Method` of everything that this port may serve, and that a rule may therefore name.
pub fn known_methods() -> BTreeSet<String> {
    let sets = [
        proto::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let files =
        sets.into_iter().filter_map(|set| FileDescriptorSet::decode(set).ok()).flat_map(|set| set.file);
    let mut methods = BTreeSet::from([ENVOY.to_owned()]);
    for file in files {
        for service in &file.service {
            let service_name = format!("{}.{}", file.package(), service.name());
            methods.extend(service.method.iter().map(|method| format!("{service_name}/{}", method.name())));
        }
    }
    methods
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCH: &str = "/countersign.v1.RevocationService/WatchRevocations";
    const VERIFY: &str = "/countersign.v1.AuthService/VerifyAccessToken";

    fn rule(methods: &[&str], names: &[&str]) -> Allow {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Allow { methods: owned(methods), names: owned(names) }
    }

    fn permits(rules: &[Allow], path: &str, names: Option<&[&str]>) -> bool {
        let names: Option<Vec<String>> =
            names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        AllowList::new(rules.to_vec()).unwrap().permits(path, names.as_deref())
    }

    #[test]
    fn a_rule_closes_what_it_names_and_leaves_all_else_open() {
        let rules = [rule(&["countersign.v1.RevocationService/*"], &["spiffe://td/orders", "dns:gateway"])];
        assert!(permits(&rules, WATCH, Some(&["spiffe://td/orders"])));
        assert!(permits(&rules, WATCH, Some(&["spiffe://td/other", "dns:gateway"])));
        for stranger in [None, Some(&[][..]), Some(&["spiffe://td/orders/x"][..]), Some(&["dns:orders"][..])]
        {
            assert!(!permits(&rules, WATCH, stranger), "{stranger:?}");
            assert!(permits(&rules, VERIFY, stranger), "{stranger:?}");
        }
        assert!(permits(&[], WATCH, None), "without rules everybody may");
    }

    #[test]
    fn what_tells_of_other_peoples_sessions_is_closed_to_other_machines_until_a_rule_opens_it() {
        let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        let elsewhere = |rules: &[Allow]| AllowList::new(rules.to_vec()).unwrap().reached_from_elsewhere();
        for closed in [WATCH, reflection] {
            assert!(!elsewhere(&[]).permits(closed, None), "{closed}");
            assert!(!elsewhere(&[]).permits(closed, Some(&["spiffe://td/orders".to_owned()])), "{closed}");
            assert!(elsewhere(&[]).lacks_a_rule_for(closed));
            assert!(AllowList::default().permits(closed, None), "on loopback {closed} is open");
        }
        assert!(elsewhere(&[]).permits(VERIFY, None));
        let named = [rule(&["countersign.v1.RevocationService/*"], &["spiffe://td/orders"])];
        assert!(elsewhere(&named).permits(WATCH, Some(&["spiffe://td/orders".to_owned()])));
        assert!(!elsewhere(&named).permits(WATCH, None));
        assert!(!elsewhere(&named).lacks_a_rule_for(WATCH));
        let anyone = [rule(&["countersign.v1.RevocationService/*"], &["anyone"])];
        assert!(elsewhere(&anyone).permits(WATCH, None));
        assert!(!elsewhere(&anyone).permits(reflection, None));
    }

    #[test]
    fn rules_that_name_one_method_widen_each_other() {
        let rules = [
            rule(&["*"], &["*"]),
            rule(&["countersign.v1.AuthService/VerifyAccessToken"], &["spiffe://td/gateway"]),
        ];
        assert!(permits(&rules, VERIFY, Some(&["spiffe://td/anyone"])), "the first rule lets it");
        assert!(!permits(&rules, VERIFY, None), "without a certificate nobody is anybody");
        assert!(!permits(&rules, "/grpc.health.v1.Health/Check", None), "all is all");
        assert!(permits(&rules, WATCH, Some(&[])), "any certificate, with whatever names");
    }

    #[test]
    fn a_star_at_the_end_of_a_name_is_all_below_it() {
        let rules = [rule(&["*"], &["spiffe://td/ns/prod/*"])];
        assert!(permits(&rules, WATCH, Some(&["spiffe://td/ns/prod/sa/orders"])));
        for other in [
            "spiffe://td/ns/prod",
            "spiffe://td/ns/prod/",
            "spiffe://td/ns/production/sa/orders",
            "spiffe://td/ns/prod/../admin",
            "spiffe://td/ns/prod//x",
            "spiffe://other/ns/prod/sa/orders",
        ] {
            assert!(!permits(&rules, WATCH, Some(&[other])), "{other}");
        }
    }

    #[test]
    fn a_method_that_there_is_not_is_refused() {
        for unknown in ["countersign.v1.RevokationService/*", "countersign.v1.AuthService/login", "a.B/C"] {
            let refused = AllowList::new(vec![rule(&["*", unknown], &["*"])]).unwrap_err();
            assert_eq!(refused, UnknownMethod(unknown.to_owned()));
        }
        let known = ["*", "grpc.health.v1.Health/*", "grpc.reflection.v1.ServerReflection/*", ENVOY];
        AllowList::new(vec![rule(&known, &["*"])]).unwrap();
    }
}
