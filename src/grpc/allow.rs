//! Which callers may use which methods, by the names in their certificates, or by the roles of the user or the service
//! account that calls.
//!
//! A method that some rule names is open to those alone whom such a rule names; a method that no rule names is
//! open to everybody whom the listener lets in, unless it is one of [`CLOSED`] on a port that others than this machine
//! reach. So a rule closes what it names, and another one widens it; none has to stand before another.
//!
//! Administrative methods are never open to everybody: whoever has one of the roles of [`ADMINISTRATIVE`] may call
//! them, and a rule that names them, by more than `*`, lets in others beside.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::proto;
use crate::model::Role;
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
/// The administrative methods, and the reserved roles each of which is enough to call them.
const ADMINISTRATIVE: [(&str, &[&str]); 13] = [
    ("countersign.v1.UserService/GetUser", &[Role::ADMIN, Role::USERS, Role::AUDITOR]),
    ("countersign.v1.UserService/ListUsers", &[Role::ADMIN, Role::USERS, Role::AUDITOR]),
    ("countersign.v1.UserService/*", &[Role::ADMIN, Role::USERS]),
    ("countersign.v1.SessionService/ListSessions", &[Role::ADMIN, Role::SESSIONS, Role::AUDITOR]),
    ("countersign.v1.SessionService/ExplainSession", &[Role::ADMIN, Role::SESSIONS, Role::AUDITOR]),
    ("countersign.v1.SessionService/*", &[Role::ADMIN, Role::SESSIONS]),
    ("countersign.v1.ServiceAccountService/GetServiceAccount", &[Role::ADMIN, Role::AUDITOR]),
    ("countersign.v1.ServiceAccountService/ListServiceAccounts", &[Role::ADMIN, Role::AUDITOR]),
    ("countersign.v1.ServiceAccountService/ListKeys", &[Role::ADMIN, Role::AUDITOR]),
    // Whoever makes a key has what the key may do.
    ("countersign.v1.ServiceAccountService/*", &[Role::ADMIN]),
    ("countersign.v1.KeyService/ListKeys", &[Role::ADMIN, Role::AUDITOR]),
    ("countersign.v1.KeyService/*", &[Role::ADMIN]),
    ("countersign.v1.AuditService/*", &[Role::ADMIN, Role::AUDITOR]),
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
    /// Roles: whoever has one of them, by an access token or, for what is administrative, by a service key, may call, whatever
    /// their certificate.
    pub roles: Vec<String>,
}

/// What a caller must show to use a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Nothing more.
    Open,
    /// An access token or, where the method is administrative, a service key with a role, see [`AllowList::permits_roles`].
    Token,
    /// Nothing would do.
    Closed,
}

/// The rules together. Without any, everybody may use everything that is not closed.
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    rules: Vec<Allow>,
    reached_from_elsewhere: bool,
    /// Whether who shows nothing may administer.
    waives_credentials: bool,
}

/// A rule names a method that there is not: what it should guard would be open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no method {0:?}{meant}", meant = suggestion(.0))]
pub struct UnknownMethod(pub String);

/// A rule cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// It guards nothing.
    #[error(transparent)]
    UnknownMethod(#[from] UnknownMethod),
    /// It lets everybody administer.
    #[error("opens {0:?} to \"anyone\": administrative methods need a certificate's name or a role")]
    OpenToAnyone(String),
}

fn suggestion(unknown: &str) -> String {
    let known = known_methods();
    let meant = nearest(unknown, known.iter().map(String::as_str));
    meant.map(|meant| format!(": did you mean {meant:?}?")).unwrap_or_default()
}

impl AllowList {
    /// Every method that is named must be one that is known, and nobody may open what is administrative to everybody.
    pub fn new(rules: Vec<Allow>) -> Result<Self, InvalidRule> {
        let known = known_methods();
        let is_known = |pattern: &str| known.iter().any(|method| covers(pattern, method));
        for rule in &rules {
            if let Some(unknown) = rule.methods.iter().find(|pattern| !is_known(pattern)) {
                return Err(UnknownMethod(unknown.clone()).into());
            }
            let administrative = |pattern: &&String| {
                known.iter().any(|method| required_roles(method).is_some() && names(pattern, method))
            };
            if let Some(pattern) = rule.methods.iter().find(administrative)
                && rule.names.iter().any(|name| name == ANYONE)
            {
                return Err(InvalidRule::OpenToAnyone(pattern.clone()));
            }
        }
        Ok(Self { rules, ..Self::default() })
    }

    /// For a port that others than this machine reach: what tells of other people's sessions is closed unless a rule
    /// opens it.
    #[must_use]
    pub fn reached_from_elsewhere(self) -> Self {
        Self { reached_from_elsewhere: true, ..self }
    }

    /// For the test server, whose callers may do everything: whoever shows nothing may administer. Whoever shows a token or a
    /// key is judged by it, so that what a right is worth can be tried.
    #[cfg(feature = "test-server")]
    #[must_use]
    pub fn waiving_credentials(self) -> Self {
        Self { waives_credentials: true, ..self }
    }

    /// Whether a caller may administer who shows nothing.
    pub(super) const fn waives_credentials(&self) -> bool {
        self.waives_credentials
    }

    /// Whether the method at `path` may be called by one whose certificate has these names, without more; `None` is one
    /// without a certificate.
    pub(super) fn permits(&self, path: &str, names: Option<&[String]>) -> bool {
        self.admission(path, names) == Admission::Open
    }

    /// What one whose certificate has these names must show to call the method at `path`.
    pub(super) fn admission(&self, path: &str, names: Option<&[String]>) -> Admission {
        let method = method_of(path);
        let by_role = required_roles(method).is_some();
        let mut guarding = self.guarding(method, by_role).peekable();
        if guarding.peek().is_none() && !by_role {
            return if self.is_closed(method) { Admission::Closed } else { Admission::Open };
        }
        let mut admission = if by_role { Admission::Token } else { Admission::Closed };
        for rule in guarding {
            if rule.is_for(names) {
                return Admission::Open;
            }
            if !rule.roles.is_empty() {
                admission = Admission::Token;
            }
        }
        admission
    }

    /// Whether one of these roles is enough to call the method at `path`.
    pub(super) fn permits_roles<'r>(&self, path: &str, mut roles: impl Iterator<Item = &'r str>) -> bool {
        let method = method_of(path);
        let built_in = required_roles(method);
        roles.any(|role| {
            built_in.is_some_and(|built_in| built_in.contains(&role))
                || self
                    .guarding(method, built_in.is_some())
                    .any(|rule| rule.roles.iter().any(|allowed| allowed == role))
        })
    }

    /// Whether no rule says who may use the method at `path`, and it is therefore refused to everybody.
    pub(super) fn lacks_a_rule_for(&self, path: &str) -> bool {
        let method = method_of(path);
        self.is_closed(method) && self.guarding(method, false).next().is_none()
    }

    /// The rules that name a method; an administrative one by more than `*`.
    fn guarding<'a>(&'a self, method: &'a str, administrative: bool) -> impl Iterator<Item = &'a Allow> {
        let meant = if administrative { names } else { covers };
        self.rules.iter().filter(move |rule| rule.methods.iter().any(|pattern| meant(pattern, method)))
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

/// The reserved roles each of which is enough to call a method; `None` for one that is not administrative.
fn required_roles(method: &str) -> Option<&'static [&'static str]> {
    ADMINISTRATIVE.iter().find(|(pattern, _)| covers(pattern, method)).map(|(_, roles)| *roles)
}

/// Whether the method at `path` changes users, sessions or service accounts, or tells of them.
pub(super) fn is_administrative(path: &str) -> bool {
    required_roles(method_of(path)).is_some()
}

fn method_of(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

/// As [`covers`], but not by `*` alone.
fn names(pattern: &str, method: &str) -> bool {
    pattern != ANY && covers(pattern, method)
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
    const VERIFY_METHOD: &str = "countersign.v1.AuthService/VerifyAccessToken";

    fn rule(methods: &[&str], names: &[&str]) -> Allow {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Allow { methods: owned(methods), names: owned(names), roles: Vec::new() }
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

    const CREATE: &str = "/countersign.v1.UserService/CreateUser";

    #[test]
    fn what_is_administrative_is_open_to_a_role_and_to_whom_a_rule_names_and_to_nobody_else() {
        let anybody = AllowList::default();
        let every = known_methods();
        let administrative: Vec<_> = every.iter().filter(|method| is_administrative(method)).collect();
        assert_eq!(administrative.len(), 29, "each method of the five services");
        for method in administrative {
            for names in [None, Some(&["spiffe://td/x".to_owned()][..])] {
                assert_eq!(anybody.admission(method, names), Admission::Token, "{method}, on loopback too");
            }
            assert!(anybody.permits_roles(method, [Role::ADMIN].into_iter()), "{method}");
            assert!(!anybody.permits_roles(method, ["admin", "countersign:", "*"].into_iter()), "{method}");
        }
        let backend = Some(&["spiffe://td/backend".to_owned()][..]);
        let star = AllowList::new(vec![rule(&["*"], &["*", "anyone"])]).unwrap();
        assert_eq!(star.admission(CREATE, backend), Admission::Token, "by its name alone");
        let named = AllowList::new(vec![rule(&["countersign.v1.UserService/*"], &["spiffe://td/backend"])]);
        let named = named.unwrap().reached_from_elsewhere();
        assert_eq!(named.admission(CREATE, backend), Admission::Open);
        assert_eq!(named.admission(CREATE, None), Admission::Token);
        assert_eq!(named.admission("/countersign.v1.SessionService/ListSessions", backend), Admission::Token);
    }

    #[test]
    fn nobody_opens_what_is_administrative_to_everybody() {
        for pattern in ["countersign.v1.UserService/*", "countersign.v1.SessionService/ListSessions"] {
            let refused = AllowList::new(vec![rule(&[VERIFY_METHOD, pattern], &["anyone"])]).unwrap_err();
            assert_eq!(refused, InvalidRule::OpenToAnyone(pattern.to_owned()));
        }
    }

    #[test]
    fn a_role_opens_what_its_rule_names_beside_what_certificates_open() {
        let by_role =
            Allow { roles: vec!["ops".to_owned()], ..rule(&[VERIFY_METHOD], &["spiffe://td/orders"]) };
        let list = AllowList::new(vec![by_role]).unwrap();
        let orders = Some(&["spiffe://td/orders".to_owned()][..]);
        assert_eq!(list.admission(VERIFY, orders), Admission::Open);
        assert_eq!(list.admission(VERIFY, None), Admission::Token);
        assert!(list.permits_roles(VERIFY, ["x", "ops"].into_iter()));
        assert!(!list.permits_roles(VERIFY, ["x"].into_iter()));
        assert!(!list.permits_roles(WATCH, ["ops"].into_iter()));
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
            assert_eq!(refused, UnknownMethod(unknown.to_owned()).into());
        }
        let known = ["*", "grpc.health.v1.Health/*", "grpc.reflection.v1.ServerReflection/*", ENVOY];
        AllowList::new(vec![rule(&known, &["*"])]).unwrap();
    }
}
