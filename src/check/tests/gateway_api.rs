//! Gateway API by its releases and channels, with and without definitions.

use crate::check::all;
use crate::desired::{Desired, Entry, ReadError, Tree, read};
use crate::object::{Diagnostic, Severity};

const CONFIG: &str = "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec:\n  sources: [a.yaml]\n  environments: [{name: test}]\n";

fn try_read(config: &str, text: &str) -> Result<Desired, ReadError> {
    let files = [("spinway.yaml", format!("{CONFIG}{config}")), ("a.yaml", text.to_owned())];
    read(&Tree::of(files.map(|(path, text)| (path.to_owned(), Entry::File(text.into_bytes()))).into()), None)
}

fn desired(config: &str, text: &str) -> Desired {
    match try_read(config, text) {
        Ok(desired) => desired,
        Err(error) => unreachable!("{error:?}"),
    }
}

/// What one check says: `FILE:LINE severity message | help`.
fn said(id: &str, config: &str, text: &str) -> Vec<String> {
    let found = all(&[desired(config, text)], None, None);
    found.iter().filter(|finding| finding.id == id).map(shown).collect()
}

fn shown(finding: &Diagnostic) -> String {
    let at = finding.origin.as_ref().map(|o| format!("{}:{}", o.file, o.position.line)).unwrap_or_default();
    let help = finding.help.as_ref().map_or("", |help| help.raw());
    format!("{at} {:?} {} | {help}", finding.severity, finding.message.raw())
}

fn installed(release: &str, channel: &str) -> String {
    format!("  gatewayApi: {{release: \"{release}\", channel: {channel}}}\n")
}

fn object(kind: &str, version: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/{version}\nkind: {kind}\nmetadata: {{name: r, namespace: shop}}\nspec: {{{spec}}}\n"
    )
}

fn definition(kind: &str, versions: &str) -> String {
    let plural = format!("{}s", kind.to_lowercase());
    format!(
        "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {plural}.gateway.networking.k8s.io}}\nspec: {{group: gateway.networking.k8s.io, names: {{kind: {kind}, plural: {plural}}}, scope: Namespaced, versions: [{versions}]}}\n"
    )
}

const OPEN: &str = "schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}";

#[test]
fn a_version_is_judged_by_the_release_that_is_installed() {
    for (kind, version, config, expected) in [
        ("UDPRoute", "v1alpha2", installed("1.5", "experimental"), None),
        ("TLSRoute", "v1alpha3", installed("v1.6.1", "experimental"), Some("Note")),
        ("TCPRoute", "v1alpha2", installed("1.7", "standard"), Some("Error")),
        ("TCPRoute", "v1", installed("1.5", "experimental"), Some("Error")),
        ("TCPRoute", "v1", installed("1.6", "standard"), None),
        ("BackendTLSPolicy", "v1alpha3", installed("1.6", "standard"), Some("Error")),
        ("HTTPRoute", "v1beta1", installed("1.6", "standard"), Some("Note")),
        ("HTTPRoute", "v2", installed("1.6", "standard"), Some("Error")),
        ("GRPCRoute", "v1alpha2", String::new(), Some("Error")),
        ("TLSRoute", "v1alpha2", String::new(), Some("Warning")),
        ("TCPRoute", "v1alpha2", "  gatewayApi: {channel: standard}\n".to_owned(), Some("Error")),
        ("TCPRoute", "v1alpha2", "  gatewayApi: {release: \"1.5\"}\n".to_owned(), Some("Warning")),
        ("HTTPRoute", "v3", String::new(), Some("Error")),
        ("ReferenceGrant", "v1beta1", String::new(), None),
        // Of an older release nothing is known but what none had.
        ("TCPRoute", "v1alpha2", installed("1.4", "standard"), None),
        ("HTTPRoute", "v2", installed("1.4", "standard"), Some("Error")),
    ] {
        let found = said("SPW024", &config, &object(kind, version, ""));
        let severity = found.first().and_then(|said| said.split(' ').nth(1));
        assert_eq!(
            (severity, found.len()),
            (expected, usize::from(expected.is_some())),
            "{kind} {version} {config} {found:?}"
        );
    }
}

#[test]
fn a_version_is_judged_by_the_definition_of_the_repository_first() {
    let both = definition(
        "TLSRoute",
        &format!(
            "{{name: v1, served: true, storage: true, {OPEN}}}, {{name: v1alpha2, served: true, storage: false, {OPEN}}}"
        ),
    );
    let one = definition(
        "TLSRoute",
        &format!(
            "{{name: v1, served: true, storage: true, {OPEN}}}, {{name: v1alpha2, served: false, storage: false, {OPEN}}}"
        ),
    );
    let config = installed("1.7", "standard");
    let route = object("TLSRoute", "v1alpha2", "");
    assert_eq!(said("SPW024", &config, &(both + &route)), [""; 0]);
    let found = said("SPW024", "", &(one + &route));
    assert!(
        found.len() == 1 && found[0].contains("Error") && found[0].contains("not served by its definition"),
        "{found:?}"
    );
}

#[test]
fn an_older_release_is_said_once_and_no_object_is_blamed() {
    let text = object("HTTPRoute", "v1", "rules: [{name: a, novel: 1}]")
        + &object("Gateway", "v1", "gatewayClassName: c, listeners: []");
    let found = all(&[desired(&installed("v1.3.0", "standard"), &text)], None, None);
    let found: Vec<String> =
        found.iter().filter(|finding| matches!(finding.id, "SPW004" | "SPW024" | "SPW034")).map(shown).collect();
    assert!(
        found.len() == 1
            && found[0].starts_with("spinway.yaml:7 Note The types of Gateway API v1.3.0 are not built in"),
        "{found:?}"
    );
    let at_apply = crate::check::at_apply(&[desired(&installed("1.3", "standard"), &text)], None);
    assert_eq!(at_apply.undefined.len(), 2);
}

#[test]
fn a_release_that_cannot_be_meant_is_an_error_at_its_line() {
    for (config, at, part) in [
        (installed("16", "standard"), "spinway.yaml:7", "Write `release: \"1.7\"`"),
        (installed("1.99", "standard"), "spinway.yaml:7", "newer than"),
        ("  gatewayApi: {release: 1.10}\n".to_owned(), "spinway.yaml:7", "write it in quotes"),
        (
            "  controllers: [{gatewayClass: c, release: \"nginx-gateway-fabrik@2.7.0\"}]\n".to_owned(),
            "spinway.yaml:7",
            "did you mean `nginx-gateway-fabric`?",
        ),
        ("  controllers:\n    - {gatewayClass: c, release: cilium}\n".to_owned(), "spinway.yaml:8", "PROJECT@VERSION"),
    ] {
        let Err(ReadError::Config(found, _)) = try_read(&config, "") else { unreachable!("{config}") };
        let found: Vec<String> = found.iter().map(shown).collect();
        assert!(found.len() == 1 && found[0].starts_with(at) && found[0].contains(part), "{found:?}");
    }
}

#[test]
fn a_newer_controller_is_judged_by_the_newest_known_and_says_so() {
    let gateway = object("Gateway", "v1", "gatewayClassName: c, listeners: [{name: l, port: 80, protocol: HTTP}]");
    let route = gateway + &object("HTTPRoute", "v1", "parentRefs: [{name: r}], rules: [{timeouts: {request: 5s}}]");
    let config = |release: &str| format!("  controllers: [{{gatewayClass: c, release: {release}}}]\n");
    for (release, known, features) in [
        ("traefik@99.1", Some("Warning"), 1),
        ("traefik@3.7.10", None, 1),
        ("traefik@1.7", Some("Note"), 0),
        ("envoy-gateway@7.0.0", Some("Warning"), 0),
    ] {
        let found = said("SPW034", &config(release), &route);
        assert_eq!(found.first().and_then(|said| said.split(' ').nth(1)), known, "{release} {found:?}");
        assert!(found.iter().all(|said| said.starts_with("spinway.yaml:7 ")), "{found:?}");
        assert_eq!(said("SPW031", &config(release), &route).len(), features, "{release}");
    }
    let asked = crate::schema::Release::parse("cilium@98.0").ok();
    let found = all(&[desired("", &route)], asked.as_ref(), None);
    assert_eq!(found.iter().filter(|finding| finding.id == "SPW034").count(), 1);
}

#[test]
fn the_controller_of_a_gateway_says_nothing_of_a_mesh() {
    let config = "  controllers: [{gatewayClass: c, release: traefik@3.7.10}]\n";
    let gateway = object("Gateway", "v1", "gatewayClassName: c, listeners: [{name: l, port: 80, protocol: HTTP}]");
    let set = object("ListenerSet", "v1", "parentRef: {name: r}, listeners: [{name: l, port: 81, protocol: HTTP}]");
    let of = |parent: &str| {
        let route =
            object("HTTPRoute", "v1", &format!("parentRefs: [{parent}], rules: [{{timeouts: {{request: 5s}}}}]"));
        let found = said("SPW031", config, &(gateway.clone() + &set.replace("name: r,", "name: set,") + &route));
        found.iter().filter(|said| said.contains("timeouts")).count()
    };
    assert_eq!(of("{name: r}"), 1);
    assert_eq!(of("{kind: ListenerSet, name: set}"), 1);
    assert_eq!(of("{group: \"\", kind: Service, name: r}"), 0);
}

#[test]
fn a_feature_that_came_later_than_the_release_is_noted() {
    let gateway = object("Gateway", "v1", "gatewayClassName: c, listeners: [{name: l, port: 80, protocol: HTTP}]");
    let route = gateway
        + &object(
            "HTTPRoute",
            "v1",
            "parentRefs: [{name: r}], rules: [{filters: [{type: CORS, cors: {allowOrigins: [\"https://a.example\"]}}]}]",
        );
    let found =
        |release: &str| said("SPW031", &format!("  controllers: [{{gatewayClass: c, release: {release}}}]\n"), &route);
    let old = found("istio@1.24");
    assert!(old.len() == 1 && old[0].contains(" Note It is not known whether istio 1.24 has"), "{old:?}");
    assert_eq!(found("istio@1.31"), [""; 0]);
}

#[test]
fn what_another_release_accepts_is_only_warned_of_where_none_is_named() {
    let session = object("HTTPRoute", "v1", "rules: [{sessionPersistence: {sessionName: a, cookieConfig: {}}}]");
    let twice = object("HTTPRoute", "v1", "rules: [{name: a}, {name: a}]");
    let wrong = object("HTTPRoute", "v1", "rules: [{matches: [{path: {value: a}}]}]");
    let severities = |config: &str, text: &str| -> Vec<Severity> {
        let found = all(&[desired(config, text)], None, None);
        let mut found: Vec<_> =
            found.iter().filter(|finding| finding.id == "SPW004").map(|finding| finding.severity).collect();
        found.dedup();
        found
    };
    let (none, old, new) = (String::new(), installed("1.6", "experimental"), installed("1.7", "experimental"));
    for (config, expected) in [(&none, vec![Severity::Warning]), (&old, vec![]), (&new, vec![Severity::Error])] {
        assert_eq!(severities(config, &session), expected, "{config}");
    }
    let standard = installed("1.6", "standard");
    for (config, expected) in [(&none, vec![Severity::Warning]), (&standard, vec![]), (&old, vec![Severity::Error])] {
        assert_eq!(severities(config, &twice), expected, "{config}");
    }
    for config in [&none, &old, &new, &standard] {
        assert_eq!(severities(config, &wrong), [Severity::Error], "{config}");
    }
}

#[test]
fn a_rule_says_what_is_wrong_and_what_to_write() {
    let text = object(
        "HTTPRoute",
        "v1",
        "rules: [{matches: [{path: {value: cart}}], timeouts: {request: 1s, backendRequest: 2s}}]",
    );
    assert_eq!(
        said("SPW004", "", &text),
        [
            "a.yaml:5 Error spec.rules[0].matches[0].path.value: Invalid value: \"cart\": must start with `/` when `type` is PathPrefix | Write `/cart`.",
            "a.yaml:5 Error spec.rules[0].timeouts.backendRequest: Invalid value: \"2s\": must not be longer than `request`, 1s | `request` limits all attempts together, `backendRequest` each one.",
        ]
    );
}

#[test]
fn parents_without_listeners_are_nobodys_mistake() {
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: mesh, namespace: shop}\nspec: {selector: {a: b}, ports: [{port: 80}]}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    let rules = "rules: [{backendRefs: [{name: mesh, port: 80}]}]";
    for parent in [
        "{group: \"\", kind: Service, name: mesh}",
        "{group: \"\", kind: Service, name: mesh, port: 80}",
        "{group: gateway.networking.x-k8s.io, kind: XMesh, name: all}",
        "{group: gateway.networking.k8s.io, kind: HTTPRoute, name: root}",
        "{group: example.com, kind: Ingress, name: own}",
    ] {
        let root = object("HTTPRoute", "v1", "").replace("name: r,", "name: root,");
        let text = service.to_owned()
            + &root
            + &object("HTTPRoute", "v1", &format!("parentRefs: [{parent}], hostnames: [\"*.a.example\"], {rules}"));
        let found = all(&[desired("", &text)], None, None);
        let bad: Vec<String> = found.iter().filter(|finding| finding.severity == Severity::Error).map(shown).collect();
        assert_eq!(bad, [""; 0], "{parent}");
    }
}

#[test]
fn a_route_that_delegates_needs_its_children_and_not_the_reverse() {
    let parent =
        "parentRefs: [{name: root}]".replace("name", "group: gateway.networking.k8s.io, kind: HTTPRoute, name");
    let backend = "rules: [{backendRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: CHILD}]}]";
    let named = |name: &str, spec: &str| object("HTTPRoute", "v1", spec).replace("name: r,", &format!("name: {name},"));
    let text = named("root", &backend.replace("CHILD", "middle"))
        + &named("middle", &format!("{parent}, {}", backend.replace("CHILD", "leaf")))
        + &named("leaf", &parent.replace("root", "middle"));
    let desired = desired("", &text);
    let graph = crate::graph::Graph::of(&desired);
    assert!(graph.circles(&desired).is_empty());
    let route = |name: &str| crate::object::ObjectRef::new("gateway.networking.k8s.io", "HTTPRoute", "shop", name);
    assert!(graph.why(&route("root"), &route("leaf")).is_some() && graph.why(&route("leaf"), &route("root")).is_none());
}

#[test]
fn cluster_scoped_objects_are_found_whatever_namespace_they_carry() {
    for (text, kind) in [
        (
            "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: c, namespace: shop}\nspec: {secretName: s, issuerRef: {kind: ClusterIssuer, name: a}}\n---\napiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: a, namespace: shop}\nspec: {}\n",
            "ClusterIssuer",
        ),
        (
            "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: c, namespace: shop}\nspec: {secretStoreRef: {kind: ClusterSecretStore, name: a}}\n---\napiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: a, namespace: shop}\nspec: {}\n",
            "ClusterSecretStore",
        ),
    ] {
        let dangling: Vec<String> = said("SPW001", "", text).into_iter().filter(|said| said.contains(kind)).collect();
        assert_eq!(dangling, [""; 0]);
        let reading = desired("", text).diagnostics;
        assert!(
            reading.iter().any(|finding| finding.id == "object-namespace" && finding.severity == Severity::Warning)
        );
    }
}
