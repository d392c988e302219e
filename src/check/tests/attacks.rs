//! What an attack on the guards found, each with siblings that have the same cause.

use super::*;

/// The rules of team checkout, which may declare any kind.
fn of_any_kind() -> String {
    let start = CONFIG.find("      kinds: [App").unwrap_or_else(|| unreachable!("the tenant has kinds"));
    let end = start + CONFIG[start..].find('\n').unwrap_or_default();
    CONFIG.replace(&CONFIG[start..end], "      kinds: [\"*\"]")
}

/// A repository of these rules, with a file of the platform and one of team checkout.
fn repository(config: &str, platform: &str, text: &str) -> Desired {
    let files = [
        ("spinway.yaml", config),
        ("platform/a.yaml", platform),
        ("apps/catalog/.spinwayignore", ""),
        ("apps/checkout/a.yaml", text),
    ];
    let entries = files.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
    read(&Tree::of(entries.into()), Some("test")).unwrap_or_else(|error| unreachable!("{error:?}"))
}

/// What a file of team checkout breaks, beside a file of the platform.
fn broken(config: &str, platform: &str, text: &str) -> Vec<&'static str> {
    guard(&repository(config, platform, text)).iter().map(|found| found.id).collect()
}

/// Routes are attached to the listeners of a Gateway by a ListenerSet too, whatever that is called.
#[test]
fn a_listener_set_is_judged_by_the_gateway_that_it_belongs_to() {
    let attached = |name: &str, section: &str| {
        let parent = format!("parentRefs: [{{kind: ListenerSet, namespace: infra, name: {name}{section}}}]");
        route(&format!("{parent}, hostnames: [cart.shop.example]"))
    };
    let set = |name: &str, namespace: &str, parent: &str| {
        format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{parentRef: {{{parent}}}, listeners: [{{name: https, port: 443, protocol: HTTPS}}]}}\n"
        )
    };
    let whole = CONFIG.replace("infra/public/https", "infra/public");
    let any = CONFIG.replace("infra/public/https", "\"*\"");
    let other = set("public", "infra", "name: internal");
    let https = ", sectionName: https";
    // Named like the Gateway that is allowed, and of another one.
    assert_eq!(broken(&whole, &other, &attached("public", "")), ["SPW103"]);
    assert_eq!(broken(CONFIG, &other, &attached("public", https)), ["SPW103"]);
    assert_eq!(
        broken(&whole, &set("public", "infra", "kind: ListenerSet, name: public"), &attached("public", "")),
        ["SPW103"]
    );
    // Of the allowed Gateway, under any name.
    let own = set("team", "infra", "name: public");
    assert_eq!(broken(&whole, &own, &attached("team", "")), [""; 0]);
    assert_eq!(broken(&whole, &own, &attached("team", https)), [""; 0]);
    // An entry with a listener is one of the Gateway itself.
    assert_eq!(broken(CONFIG, &own, &attached("team", https)), ["SPW103"]);
    // Unknown ones belong to any Gateway.
    assert_eq!(broken(&whole, "", &attached("public", "")), ["SPW103"]);
    assert_eq!(broken(&any, "", &attached("public", "")), [""; 0]);
    // What the tenant may not declare says nothing of the one that is there.
    let false_set = attached("public", "") + &set("public", "infra", "name: public");
    assert_eq!(broken(&whole, "", &false_set), ["SPW101", "SPW102", "SPW103"]);
}

/// Whoever may declare a ListenerSet opens listeners at allowed Gateways alone.
#[test]
fn a_tenant_opens_listeners_at_its_gateways_alone() {
    let config = of_any_kind().replace("infra/public/https", "infra/public");
    for (group, kind) in
        [("gateway.networking.k8s.io/v1", "ListenerSet"), ("gateway.networking.x-k8s.io/v1alpha1", "XListenerSet")]
    {
        let set = |parent: &str| object(group, kind, &format!("spec: {{parentRef: {{{parent}}}, listeners: []}}"));
        assert_eq!(broken(&config, "", &set("namespace: infra, name: public")), [""; 0], "{kind}");
        assert_eq!(broken(&config, "", &set("namespace: infra, name: internal")), ["SPW103"], "{kind}");
        assert_eq!(broken(&config, "", &set("name: public")), ["SPW103"], "{kind}");
    }
    // A route on the tenant's own one is judged by where that belongs.
    let both = |gateway: &str| {
        object(
            "gateway.networking.k8s.io/v1",
            "ListenerSet",
            &format!("spec: {{parentRef: {{namespace: infra, name: {gateway}}}, listeners: []}}"),
        ) + "---\n"
            + &route("parentRefs: [{kind: ListenerSet, name: x}], hostnames: [cart.shop.example]")
    };
    assert_eq!(broken(&config, "", &both("public")), [""; 0]);
    assert_eq!(broken(&config, "", &both("internal")), ["SPW103", "SPW103"]);
}

/// Folders that look like a tenant's, or are written otherwise, are nobody's.
#[test]
fn a_folder_that_looks_like_a_tenants_is_not_the_platforms() {
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\n";
    for file in ["apps/checkout2/a.yaml", "apps/\u{441}heckout/a.yaml", "apps/Checkout/a.yaml", "apps/checkout /a.yaml"]
    {
        let desired = desired(file, role);
        let unowned = desired.diagnostics.iter().filter(|d| d.id == "file-unowned" && d.severity == Severity::Error);
        assert_eq!(unowned.count(), 1, "{file}: {:?}", desired.diagnostics);
        assert!(!desired.objects.keys().any(|object| object.kind == "ClusterRole"), "{file}");
    }
    // The path in the Config is what differs.
    for path in ["apps/Checkout", "apps/\u{441}heckout", "./apps/catalog", "apps/catalog/"] {
        let config = CONFIG.replace("paths: [apps/checkout]", &format!("paths: [\"{path}\"]"));
        let entries =
            [("spinway.yaml", config.as_str()), ("platform/.spinwayignore", ""), ("apps/checkout/a.yaml", role)]
                .map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
        let read = read(&Tree::of(entries.into()), Some("test"));
        let is_refused = match &read {
            Err(error) => matches!(error, ReadError::Config(..)) && path.contains("catalog"),
            Ok(desired) => desired.diagnostics.iter().any(|d| d.id == "file-unowned") && desired.objects.is_empty(),
        };
        assert!(is_refused, "{path}: {read:?}");
    }
}

/// Where egress is limited, whatever makes pods needs a policy, and policies of other APIs are not understood.
#[test]
fn egress_is_held_for_whatever_makes_pods_and_for_every_api_of_policies() {
    let config = of_any_kind();
    let spec = "spec: {containers: [{name: c, image: ghcr.io/acme/checkout/x}]}";
    let template = format!("template: {{metadata: {{labels: {{a: b}}}}, {spec}}}");
    let selecting = |label: &str| {
        "---\n".to_owned()
            + &beside(&limiting(&format!("policyTypes: [Egress], podSelector: {{matchLabels: {{{label}}}}}")))
    };
    let labelled =
        |text: String| text.replace("name: x, namespace: checkout}", "name: x, namespace: checkout, labels: {a: b}}");
    for text in [
        object("apps/v1", "Deployment", &format!("spec: {{{template}}}")),
        object("apps/v1", "StatefulSet", &format!("spec: {{{template}}}")),
        object("apps/v1", "DaemonSet", &format!("spec: {{{template}}}")),
        object("apps/v1", "ReplicaSet", &format!("spec: {{{template}}}")),
        object("v1", "ReplicationController", &format!("spec: {{{template}}}")),
        object("batch/v1", "Job", &format!("spec: {{{template}}}")),
        object("batch/v1", "CronJob", &format!("spec: {{jobTemplate: {{spec: {{{template}}}}}}}")),
        labelled(object("v1", "Pod", spec)),
        spin("a: b"),
    ] {
        assert_eq!(broken(&config, "", &text), ["SPW107"], "{text}");
        assert_eq!(broken(&config, "", &(text.clone() + &selecting("a: other"))), ["SPW107"], "{text}");
        assert_eq!(broken(&config, "", &(text.clone() + &selecting("a: b"))), [""; 0], "{text}");
    }
    for (api_version, kind) in [
        ("cilium.io/v2", "CiliumNetworkPolicy"),
        ("projectcalico.org/v3", "NetworkPolicy"),
        ("crd.projectcalico.org/v1", "NetworkPolicy"),
        ("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy"),
    ] {
        assert_eq!(broken(&config, "", &object(api_version, kind, "spec: {egress: [{}]}")), ["SPW107"], "{kind}");
    }
}

/// Kinds that take traffic, or deploy, by other means than Gateway API.
#[test]
fn other_ways_to_take_traffic_and_to_deploy_are_no_kinds_of_an_app() {
    for (api_version, kind) in [
        ("networking.k8s.io/v1", "Ingress"),
        ("networking.istio.io/v1", "DestinationRule"),
        ("networking.istio.io/v1", "ServiceEntry"),
        ("traefik.io/v1alpha1", "IngressRouteTCP"),
        ("projectcontour.io/v1", "HTTPProxy"),
        ("route.openshift.io/v1", "Route"),
        ("k8s.nginx.org/v1", "VirtualServer"),
        ("gateway.envoyproxy.io/v1alpha1", "Backend"),
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
        ("argoproj.io/v1alpha1", "Application"),
        ("example.com/v1", "HTTPRoute"),
    ] {
        let text = object(api_version, kind, "spec: {}").replace("namespace: checkout", "namespace: free");
        let found = guard(&desired("apps/free/a.yaml", &text));
        assert!(found.iter().any(|d| d.id == "SPW102"), "{api_version} {kind}: {found:?}");
    }
}

/// Only the Config puts a guard aside, and no tenant writes that.
#[test]
fn a_guard_is_not_suppressed_by_whom_it_binds() {
    let set = "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XListenerSet # spinway:ignore SPW102: mine\n\
               metadata: {name: x, namespace: checkout, annotations: {spinway.dev/ignore: \"SPW102: mine; SPW103: mine; SPW024: mine\"}}\n\
               spec: {parentRef: {namespace: infra, name: public}}\n";
    let map = "# spinway:ignore SPW101: mine\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: catalog, annotations: {spinway.dev/ignore: \"SPW101: mine\"}}\n";
    for (text, rule) in [(set, "SPW102"), (map, "SPW101")] {
        let desired = repository(CONFIG, "", text);
        let errors = |found: Vec<Diagnostic>| found.iter().any(|d| d.id == rule && d.severity == Severity::Error);
        assert!(errors(guard(&desired)), "{rule} in a plan");
        assert!(errors(all(&[desired], None, None)), "{rule} in a check");
    }
}

/// However a binding names the account.
#[test]
fn an_account_that_the_platform_binds_is_no_tenants() {
    let own = "---\n".to_owned() + &object("v1", "ServiceAccount", "").replace("name: x,", "name: own,");
    let text = pod("serviceAccountName: own") + &own;
    let binding = |kind: &str, namespace: &str, subject: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: b{namespace}}}\n\
             roleRef: {{kind: ClusterRole, name: admin}}\nsubjects: [{{{subject}}}]\n"
        )
    };
    let account = "kind: ServiceAccount, namespace: checkout, name: own";
    for (platform, found) in [
        (binding("ClusterRoleBinding", "", account), vec!["SPW108"]),
        (binding("RoleBinding", ", namespace: infra", account), vec!["SPW108"]),
        (binding("RoleBinding", ", namespace: checkout", "kind: ServiceAccount, name: own"), vec!["SPW108"]),
        (binding("ClusterRoleBinding", "", "kind: User, name: \"system:serviceaccount:checkout:own\""), vec!["SPW108"]),
        (binding("ClusterRoleBinding", "", "kind: User, name: \"system:serviceaccount:catalog:own\""), vec![]),
        (binding("ClusterRoleBinding", "", "kind: User, name: own"), vec![]),
    ] {
        assert_eq!(broken(CONFIG, &platform, &text), found, "{platform}");
    }
}

/// Wherever an image stands: a volume of one is code of the pod too.
#[test]
fn protected_environments_take_image_volumes_by_digest_alone() {
    let config = of_any_kind().replace("{name: test,", "{name: test, protected: true, cluster: {uid: u},");
    let digest = format!("ghcr.io/acme/checkout/x@sha256:{}", "0".repeat(64));
    for (text, found) in [
        (pod("volumes: [{name: v, image: {reference: \"ghcr.io/acme/checkout/x:1\"}}]"), vec!["SPW020"]),
        (pod(&format!("volumes: [{{name: v, image: {{reference: \"{digest}\"}}}}]")), vec![]),
        (pod("initContainers: [{name: c, image: \"ghcr.io/acme/checkout/x:1\"}]"), vec!["SPW020"]),
        (
            object(
                "argoproj.io/v1alpha1",
                "Rollout",
                "podTemplate: {spec: {containers: [{image: \"ghcr.io/acme/checkout/x:1\"}]}}",
            ) + "---\n"
                + &beside(&policy("")),
            vec!["SPW020"],
        ),
    ] {
        assert_eq!(broken(&config, "", &text), found, "{text}");
    }
}

/// All namespaces that begin as those of Kubernetes do.
#[test]
fn namespaces_of_kubernetes_are_known_by_how_they_begin() {
    for (namespace, found) in
        [("kube-flannel", vec!["SPW101"]), ("kube-dns-cache", vec!["SPW101"]), ("kubernetes", vec![])]
    {
        let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x, namespace: {namespace}}}\n");
        let told: Vec<_> = guard(&desired("apps/free/a.yaml", &text)).iter().map(|d| d.id).collect();
        assert_eq!(told, found, "{namespace}");
    }
}

/// A policy is for objects of the tenant's own namespaces.
#[test]
fn a_policy_does_not_aim_at_another_namespace() {
    let policy =
        |target: &str| object("gateway.nginx.org/v1alpha1", "ClientSettingsPolicy", &format!("spec: {{{target}}}"));
    let aim = "group: gateway.networking.k8s.io, kind: HTTPRoute, name: pay";
    for (text, found) in [
        (policy(&format!("targetRef: {{{aim}, namespace: catalog}}")), vec!["SPW103"]),
        (policy(&format!("targetRefs: [{{{aim}}}, {{{aim}, namespace: catalog}}]")), vec!["SPW103"]),
        (policy(&format!("targetRef: {{{aim}, namespace: checkout}}")), vec![]),
        (policy(&format!("targetRef: {{{aim}}}")), vec![]),
    ] {
        assert_eq!(broken(CONFIG, "", &text), found, "{text}");
    }
}

/// What a proxy may read as another path.
#[test]
fn the_service_of_a_grpc_route_is_a_name() {
    let config = of_any_kind();
    let served = |method: &str| {
        object(
            "gateway.networking.k8s.io/v1",
            "GRPCRoute",
            &format!("spec: {{{PARENT}, hostnames: [shop.example], rules: [{{matches: [{{method: {{{method}}}}}]}}]}}"),
        )
    };
    assert_eq!(broken(&config, "", &served("service: cart, method: Add")), [""; 0]);
    for wrong in
        ["service: cart/../pay", "service: cart%2f..%2fpay", "service: cart, method: ../pay/Add", "service: catalog"]
    {
        assert_eq!(broken(&config, "", &served(wrong)), ["SPW105"], "{wrong}");
    }
}
