//! Every combination that cannot work is refused with a sentence.

use super::rendered::Chart;

const SQL: &str = "examples/2-postgres-redis.yaml";
const MTLS: &str = "examples/4-cluster-mtls.yaml";

/// Values, what is set beside them, and what helm must say.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);

const CASES: &[Case] = &[
    ("values.yaml", &[("replicas", "2")], "2 replicas cannot share the embedded database"),
    ("values.yaml", &[("autoscaling.enabled", "true")], "autoscaling cannot work with the embedded database"),
    ("values.yaml", &[("database.embedded.enabled", "false")], "There is no database"),
    ("values.yaml", &[("database.existingSecret.name", "x")], "are both set"),
    ("values.yaml", &[("config.sessions.store", "redis")], "and there is no Redis"),
    ("values.yaml", &[("redis.sentinelPassword.name", "x")], "is for a Redis that"),
    ("values.yaml", &[("redis.tls.clientCertificate", "true")], "needs redis.tls.existingSecret"),
    ("values.yaml", &[("config.captcha.mode", "always")], "captcha.existingSecret.name"),
    ("values.yaml", &[("keys.generate", "false")], "There are no keys"),
    ("values.yaml", &[("keys.existingSigningSecret", "x")], "go together"),
    ("values.yaml", &[("keys.store", "database")], "keys.encryptionKey.name"),
    ("values.yaml", &[("config.keys.algorithm", "RS256")], "The chart makes EdDSA keys only"),
    ("values.yaml", &[("tls.grpc.enabled", "true")], "tls.grpc has no certificate"),
    ("values.yaml", &[("tls.edge.clientCertificates", "optional")], "needs tls.edge.enabled=true"),
    (
        "values.yaml",
        &[("grpc.allow[0].methods", "{*}"), ("grpc.allow[0].sans", "{*}")],
        "grpc.allow goes by clients' certificates",
    ),
    ("values.yaml", &[("tls.certManager.enabled", "true")], "tls.certManager.issuerRef.name"),
    ("values.yaml", &[("config.passwords.threads", "0")], "must be a number where resources.limits.memory"),
    ("values.yaml", &[("config.passwords.threads", "4")], "524 MiB: 4 password hashes of 76 MiB"),
    (
        "values.yaml",
        &[("terminationGracePeriodSeconds", "28")],
        "would kill a replica that is still finishing",
    ),
    ("values.yaml", &[("ingress.enabled", "true")], "ingress needs ingress.host"),
    ("values.yaml", &[("ingress.enabled", "true"), ("edge.enabled", "false")], "ingress passes HTTP on"),
    ("values.yaml", &[("gateway.enabled", "true")], "gateway.parentRefs"),
    (
        SQL,
        &[("gateway.http.hostnames", "{*.auth.example.com}")],
        "A Gateway refuses a GRPCRoute and an HTTPRoute",
    ),
    (SQL, &[("autoscaling.enabled", "true"), ("resources.requests.cpu", "null")], "resources.requests.cpu"),
    ("values.yaml", &[("prometheusRule.enabled", "true")], "prometheusRule.runbookUrl"),
    (SQL, &[("autoscaling.enabled", "true"), ("autoscaling.minReplicas", "11")], "is greater than"),
    (MTLS, &[("probes.readiness", "grpc")], "kubelet's gRPC probe speaks none"),
    (MTLS, &[("tls.operations.clientCertificates", "required")], "kubelet probes that port"),
    (
        MTLS,
        &[
            ("tls.certManager.enabled", "false"),
            ("tls.grpc.existingSecret", "x"),
            ("tls.edge.existingSecret", "x"),
            ("tls.operations.existingSecret", "x"),
        ],
        "test.clientSecret",
    ),
];

#[test]
fn every_guard_refuses_with_its_sentence() {
    let Some(chart) = Chart::find("every_guard_refuses_with_its_sentence") else { return };
    for (values, set, sentence) in CASES {
        match chart.render(values, set) {
            Ok(_) => panic!("{values} with {set:?} is rendered"),
            Err(error) => assert!(error.contains(sentence), "{values} with {set:?}: {error}"),
        }
    }
}

/// What the guard takes for the default is what the service takes for it.
#[test]
fn the_memory_guard_counts_by_the_services_own_defaults() {
    const THREADS: usize = 40;
    let Some(chart) = Chart::find("the_memory_guard_counts_by_the_services_own_defaults") else { return };
    let config = countersign::config::Config::default();
    let (passwords, tokens) = (&config.passwords, &config.tokens);
    let hashes = THREADS * passwords.memory_kib as usize / 1024;
    let cached = 2 * tokens.verified_cache / 1024;
    let callers = config.limits.memory_bytes() / 1024 / 1024;
    let refusal =
        chart.render("values.yaml", &[("config.passwords.threads", &THREADS.to_string())]).unwrap_err();
    let needed = format!("can come to hold, {} MiB", 64 + hashes + cached + callers);
    assert!(refusal.contains(&needed), "{needed}: {refusal}");
    for (value, changed) in [("config.tokens.verified_cache", "0"), ("config.limits.memory_mib", "16")] {
        let set = [("config.passwords.threads", &*THREADS.to_string()), (value, changed)];
        let refusal = chart.render("values.yaml", &set).unwrap_err();
        assert!(!refusal.contains(&needed), "{value} counts: {refusal}");
    }
}

#[test]
fn no_guard_is_without_a_test() {
    let source = super::rendered::read("helm/countersign/templates/_guards.tpl");
    let guards = source.matches("{{- fail ").count();
    assert_eq!(guards, CASES.len(), "guards, and cases");
}

#[test]
fn a_guard_lets_through_what_can_work() {
    let Some(chart) = Chart::find("a_guard_lets_through_what_can_work") else { return };
    for (values, set) in [
        (SQL, &[("redis.existingSecret.name", "")][..]),
        (SQL, &[("config.sessions.store", "redis")]),
        (SQL, &[("replicas", "40")]),
        (SQL, &[("gateway.http.enabled", "false"), ("gateway.grpc.hostnames", "null")]),
        (SQL, &[("gateway.http.hostnames", "{*.example.org}")]),
        ("values.yaml", &[("terminationGracePeriodSeconds", "29")]),
        ("values.yaml", &[("config.passwords.threads", "3")]),
        ("values.yaml", &[("config.passwords.threads", "12"), ("config.limits.memory_mib", "64")]),
        ("values.yaml", &[("config.passwords.threads", "8"), ("resources.limits.memory", "1Gi")]),
    ] {
        chart.render(values, set).unwrap_or_else(|error| panic!("{set:?}: {error}"));
    }
}
