//! What a tenant may without a list, and what is suggested to one that has none.

use super::*;

const HEAD: &str = "apiVersion: spinway.dev/v1alpha1
kind: Config
metadata: {name: t}
spec:
  sources: [platform, apps]
  environments:
    - {name: test, values: {domain: shop.example}}
    - {name: live, values: {domain: live.example}, cluster: {uid: 6f1e2c9a}, protected: true}
  tenants:
";

const FILES: &str = "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: x, namespace: checkout, annotations: {spinway.dev/substitute: enabled}}
spec:
  parentRefs: [{namespace: infra, name: public, sectionName: https}]
  hostnames: [\"cart.${domain}\"]
  rules: [{matches: [{path: {type: PathPrefix, value: /cart}}]}]
---
apiVersion: core.spinkube.dev/v1alpha1
kind: SpinApp
metadata: {name: x, namespace: checkout}
spec: {image: \"ghcr.io/acme/checkout/x:1@sha256:4444444444444444444444444444444444444444444444444444444444444444\", executor: shim, replicas: 1}
";

/// A repository of one tenant, with these lines in its rules, in each environment.
fn repository(rules: &str, text: &str) -> Vec<Desired> {
    let config = format!("{HEAD}    - name: checkout\n      paths: [apps/checkout]\n{rules}");
    let files = [("spinway.yaml", config.as_str()), ("platform/.spinwayignore", ""), ("apps/checkout/a.yaml", text)];
    let entries = files.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
    let tree = Tree::of(entries.into());
    let read = |environment| read(&tree, Some(environment)).unwrap_or_else(|error| unreachable!("{error:?}"));
    vec![read("test"), read("live")]
}

fn ids(desired: &Desired) -> BTreeSet<&'static str> {
    guard(desired).iter().filter(|d| d.severity == Severity::Error).map(|d| d.id).collect()
}

#[test]
fn without_lists_a_tenant_may_use_nothing() {
    let all = repository("", FILES);
    assert_eq!(ids(&all[0]), ["SPW101", "SPW103", "SPW104", "SPW105", "SPW106", "SPW110"].into());
    assert_eq!(
        ids(&all[1]),
        ["SPW101", "SPW103", "SPW104", "SPW105", "SPW106", "SPW107", "SPW110", "SPW112"].into(),
        "a protected environment requires egress and a service account"
    );
    assert!(accepted(repository("", FILES).remove(0)).objects.is_empty());
    let open = "      namespaces: ['*']\n      gateways: ['*']\n      hostnames: ['*']\n      pathPrefixes: ['*']\n      images: ['*']\n";
    assert_eq!(ids(&repository(open, FILES)[0]), [].into());
    // One list that is there opens no other.
    for line in open.lines() {
        let left = open.replace(&format!("{line}\n"), "");
        let found = ids(&repository(&left, FILES)[0]);
        assert_eq!(found.len(), 2, "{line}: {found:?}");
        assert!(found.contains("SPW110"), "{line}: {found:?}");
    }
}

/// What is suggested keeps what the files do, and no more.
#[test]
fn the_lists_that_are_suggested_allow_what_the_files_use() {
    let said = guard(&repository("", FILES)[0]);
    let bounds: Vec<&Diagnostic> = said.iter().filter(|d| d.id == "SPW110").collect();
    assert_eq!(
        bounds[0].message.raw(),
        "Tenant checkout has no `gateways`, `hostnames`, `images`, `namespaces`, `pathPrefixes`: what is not listed is refused."
    );
    let suggested = suggest_rules(&repository("", FILES));
    let expected = "# Merge these lines into the entries of spinway.yaml, after reading whether each tenant should have that. A list that is
# there and empty is replaced. `\"*\"` allows everything: write less where you can.
spec:
  tenants:
    - name: \"checkout\"
      egress: [\"*\"]
      gateways: [\"infra/public/https\"]
      hostnames: [\"cart.${domain}\"]
      images: [\"ghcr.io/acme/checkout/x\"]
      namespaces: [\"checkout\"]
      pathPrefixes: [\"/cart\"]
      # serviceAccount: NAMESPACE/NAME   # after an administrator made it (SPW112)
";
    assert_eq!(suggested, expected);
    let lines: String = expected.lines().skip(5).map(|line| format!("{line}\n")).collect();
    let lines = lines.replace("# serviceAccount: NAMESPACE/NAME", "serviceAccount: checkout/deployer");
    let kept = repository(&lines, FILES);
    assert_eq!((ids(&kept[0]), ids(&kept[1])), ([].into(), [].into()));
    assert_eq!(suggest_rules(&kept), "");
    for wider in
        [("/cart", "/pay"), ("cart.${domain}", "pay.${domain}"), ("checkout/x:1", "checkout/y:1"), ("https", "admin")]
    {
        let text = FILES.replace(wider.0, wider.1);
        assert_eq!(ids(&repository(&lines, &text)[0]).len(), 1, "{wider:?}");
    }
}

/// `kinds` replaces the kinds of an app, so a suggestion names all that are used; kinds that undo other rules are not suggested.
#[test]
fn kinds_beyond_those_of_an_app_are_suggested_with_the_others() {
    let more = "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x, namespace: checkout}\n---\n\
                apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: x, namespace: checkout}\n";
    let suggested = suggest_rules(&repository("", &format!("{FILES}{more}")));
    let kinds = "kinds: [\"HTTPRoute.gateway.networking.k8s.io\", \"Ingress.networking.k8s.io\", \"Role.rbac.authorization.k8s.io\", \"SpinApp.core.spinkube.dev\"]";
    assert!(
        !suggested.contains("Role.") && suggested.contains(&kinds.replace("\"Role.rbac.authorization.k8s.io\", ", "")),
        "{suggested}"
    );
}

#[test]
fn the_namespaces_of_kubernetes_are_no_tenants_by_a_star() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: kube-system}\n";
    for (list, refused) in [("'*'", true), ("'*system'", true), ("kube-system", false), ("'kube-*'", false)] {
        let found = ids(&repository(&format!("      namespaces: [{list}]\n"), map)[0]);
        assert_eq!(found.contains("SPW101"), refused, "{list}: {found:?}");
    }
}

#[test]
fn apps_that_may_connect_anywhere_are_told_where_it_is_not_refused() {
    let open = |rules: &str| {
        let found = all(&repository(rules, FILES), None, None);
        found.iter().filter(|d| d.id == "SPW111").map(|d| d.message.raw().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(open(""), ["Tenant checkout has no `egress`: in environment test its apps may connect anywhere."]);
    assert_eq!(open("      egress: ['*']\n"), [""; 0]);
    assert_eq!(open("      egress: []\n"), [""; 0]);
}

/// What controllers make or read for an object is held like the object.
#[test]
fn what_controllers_do_for_an_object_is_held_too() {
    let object = |api_version: &str, kind: &str, rest: &str| {
        format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x, namespace: checkout}}\nspec: {rest}\n")
    };
    let told = |text: &str| ids(&repository("      namespaces: [checkout]\n", text)[0]);
    let token = "kubernetes.io/service-account-token";
    for (wrong, right) in [
        (
            object("bitnami.com/v1alpha1", "SealedSecret", &format!("{{template: {{type: {token}}}}}")),
            object("bitnami.com/v1alpha1", "SealedSecret", "{template: {type: kubernetes.io/tls}}"),
        ),
        (
            object("external-secrets.io/v1", "ExternalSecret", &format!("{{target: {{template: {{type: {token}}}}}}}")),
            object("external-secrets.io/v1", "ExternalSecret", "{target: {name: x}}"),
        ),
        (
            object("monitoring.coreos.com/v1", "ServiceMonitor", "{namespaceSelector: {any: true}}"),
            object("monitoring.coreos.com/v1", "ServiceMonitor", "{namespaceSelector: {matchNames: [checkout]}}"),
        ),
        (
            object(
                "monitoring.coreos.com/v1",
                "PodMonitor",
                "{podMetricsEndpoints: [{bearerTokenFile: /var/run/secrets/token}]}",
            ),
            object("monitoring.coreos.com/v1", "PodMonitor", "{podMetricsEndpoints: [{port: http}]}"),
        ),
        (
            object(
                "monitoring.coreos.com/v1",
                "ServiceMonitor",
                "{endpoints: [{relabelings: [{targetLabel: __address__, replacement: \"10.0.0.1:443\"}]}]}",
            ),
            object(
                "monitoring.coreos.com/v1",
                "ServiceMonitor",
                "{endpoints: [{relabelings: [{targetLabel: team, replacement: a}]}]}",
            ),
        ),
        (
            object(
                "external-secrets.io/v1",
                "ExternalSecret",
                "{target: {manifest: {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding}}}",
            ),
            object("external-secrets.io/v1", "ExternalSecret", "{target: {template: {type: Opaque}}}"),
        ),
        (
            object("monitoring.coreos.com/v1", "ServiceMonitor", "{endpoints: [{tlsConfig: {keyFile: /etc/key}}]}"),
            object("monitoring.coreos.com/v1", "ServiceMonitor", "{endpoints: [{tlsConfig: {serverName: x}}]}"),
        ),
    ] {
        assert_eq!(told(&wrong), ["SPW109"].into(), "{wrong}");
        assert_eq!(told(&right), [].into(), "{right}");
    }
}

/// The message of a field that is not allowed lists those that are.
#[test]
fn a_field_that_an_app_does_not_need_is_refused_with_those_that_it_may_have() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: checkout}\nspec: {selector: {a: b}, healthCheckNodePort: 1}\n";
    let found = guard(&repository("      namespaces: [checkout]\n", text)[0]);
    assert_eq!(found[0].message.raw(), "Tenant checkout may not set healthCheckNodePort: an app does not need it.");
    let help = found[0].help.as_ref().map_or("", |help| help.raw());
    assert!(help.starts_with("Allowed there: clusterIP, clusterIPs, internalTrafficPolicy,"), "{help}");
}

/// A list that is missing is the Config's fault: it is told there, once, and not at each object.
#[test]
fn what_a_missing_list_refuses_is_told_where_the_list_is_missing() {
    let map = |name: &str, namespace: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\n")
    };
    let text = [map("a", "checkout"), map("b", "checkout"), map("c", "kube-flannel")].join("---\n");
    let desired = repository("", &text).remove(0);
    let mut found: Vec<Diagnostic> = guard(&desired).into_iter().filter(|d| d.id == "SPW101").collect();
    let place = |d: &Diagnostic| d.origin.as_ref().map(ToString::to_string).unwrap_or_default();
    let told: Vec<(String, String)> =
        found.iter().map(|d| (place(d), d.object.as_ref().map(ToString::to_string).unwrap_or_default())).collect();
    let entry = "spinway.yaml:10:7".to_owned();
    assert_eq!(
        told,
        [
            (entry.clone(), "ConfigMap checkout/a".to_owned()),
            (entry, "ConfigMap checkout/b".to_owned()),
            ("apps/checkout/a.yaml:11:21".to_owned(), "ConfigMap kube-flannel/c".to_owned()),
        ]
    );
    found.dedup_by(|a, b| (place(a), &a.message) == (place(b), &b.message));
    assert_eq!(found.len(), 2);
    assert_eq!(without_namespaces(desired.rules()).count(), 1);
    assert_eq!(without_namespaces(repository("      namespaces: [checkout]\n", &text)[0].rules()).count(), 0);
    assert_eq!(without_namespaces(repository("      clusterKinds: [Namespace]\n", &text)[0].rules()).count(), 0);
}
