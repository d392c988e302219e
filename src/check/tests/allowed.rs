//! What a tenant may declare, and which files are a tenant's.

use super::*;

/// The API server leaves the namespace of such an object out: what it is comes from its kind.
#[test]
fn an_object_of_the_cluster_that_names_a_namespace_is_refused_all_the_same() {
    for (api_version, kind) in [
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
        ("v1", "Namespace"),
        ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("apiregistration.k8s.io/v1", "APIService"),
        ("scheduling.k8s.io/v1", "PriorityClass"),
    ] {
        let text =
            format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x.example, namespace: checkout}}\n");
        let (desired, found) = refused(&text);
        assert!(found.iter().any(|d| d.id == "SPW102"), "{kind}: {found:?}");
        let erroneous: BTreeSet<ObjectRef> = found.iter().filter_map(|d| d.object.clone()).collect();
        assert!(desired.objects.keys().filter(|o| o.kind == kind).all(|o| erroneous.contains(o)), "{kind}");
    }
}

/// Whose a file is is told by literal folders; what cannot be told is an error, and never the platform's.
#[test]
fn every_file_has_an_owner_or_is_refused() {
    let with = |config: &str, file: &str| {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own, namespace: checkout}\n";
        let entries = [("spinway.yaml", config), ("platform/a.yaml", VICTIM), (file, map)]
            .map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
        read(&Tree::of(entries.into()), Some("test"))
    };
    for path in [
        "apps/checkout/*",
        "apps//checkout",
        "apps/checkout ",
        "apps/../checkout",
        "",
        ".",
        "/apps/checkout",
        "apps/catalog",
    ] {
        let config = CONFIG.replace("paths: [apps/checkout]", &format!("paths: [\"{path}\"]"));
        let Err(ReadError::Config(found, _)) = with(&config, "apps/checkout/a.yaml") else {
            unreachable!("`{path}` is taken")
        };
        assert!(
            found[0].message.raw().contains("tenant `ca") || found[0].message.raw().contains("tenant `checkout`"),
            "{found:?}"
        );
    }
    let owners = |config: &str, file: &str| match with(config, file) {
        Ok(desired) => {
            let unowned = desired.diagnostics.iter().filter(|d| d.id == "file-unowned").count();
            let own = desired.objects.iter().find(|(object, _)| object.name == "own");
            (unowned, desired.unowned.len(), own.map(|(_, member)| member.partition.clone()))
        }
        Err(error) => unreachable!("{error:?}"),
    };
    assert_eq!(owners(CONFIG, "apps/newteam/a.yaml"), (1, 1, None));
    assert_eq!(owners(CONFIG, "apps/a.yaml"), (1, 1, None));
    assert_eq!(owners(CONFIG, "apps/checkout/a.yaml"), (0, 0, Some("checkout".to_owned())));
    assert_eq!(owners(CONFIG, "platform/b.yaml"), (0, 0, Some("platform".to_owned())));
    let named =
        CONFIG.replace("  tenants:", "  platform: {paths: [platform, apps/shared, apps/checkout/base]}\n  tenants:");
    assert_eq!(owners(&named, "apps/shared/a.yaml"), (0, 0, Some("platform".to_owned())));
    assert_eq!(owners(&named, "apps/checkout/base/a.yaml"), (0, 0, Some("platform".to_owned())));
    let other = named.replace("paths: [platform, ", "paths: [");
    assert_eq!(owners(&other, "platform/b.yaml"), (2, 2, None), "it is not named");
}

/// What a controller brings tomorrow is not a tenant's today.
#[test]
fn a_tenant_without_kinds_may_declare_what_an_app_needs() {
    let told = |api_version: &str, kind: &str, rest: &str| {
        let text = object(api_version, kind, rest).replace("namespace: checkout", "namespace: free");
        guard(&desired("apps/free/a.yaml", &text)).iter().map(|d| d.id).collect::<Vec<_>>()
    };
    for (api_version, kind) in [
        ("v1", "ConfigMap"),
        ("policy/v1", "PodDisruptionBudget"),
        ("gateway.nginx.org/v1alpha1", "AuthenticationFilter"),
    ] {
        assert_eq!(told(api_version, kind, "spec: {}"), [""; 0], "{kind}");
    }
    for (api_version, kind) in [
        ("apps/v1", "DaemonSet"),
        ("networking.k8s.io/v1", "Ingress"),
        ("networking.istio.io/v1", "VirtualService"),
        ("traefik.io/v1alpha1", "Middleware"),
        ("gateway.networking.x-k8s.io/v1alpha1", "XListenerSet"),
        ("unheard.example/v1", "Anything"),
        ("v1", "PersistentVolumeClaim"),
    ] {
        assert!(told(api_version, kind, "spec: {}").contains(&"SPW102"), "{kind}");
    }
}

/// An account that the platform gave rights to is not the tenant's to declare.
#[test]
fn pods_do_not_run_as_an_account_that_others_bind() {
    let binding = |subject: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: b, namespace: checkout}}\nroleRef: {{kind: ClusterRole, name: admin}}\nsubjects: [{{kind: ServiceAccount, name: {subject}, namespace: checkout}}]\n"
        )
    };
    let told = |subject: &str, account: &str| {
        let own = object("v1", "ServiceAccount", "").replace("name: x,", "name: own,");
        let text = pod(&format!("serviceAccountName: {account}")) + "---\n" + &own;
        let files = [("spinway.yaml", CONFIG), ("platform/b.yaml", &binding(subject)), ("apps/checkout/a.yaml", &text)];
        let entries = files.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
        let desired = read(&Tree::of(entries.into()), Some("test")).unwrap_or_default();
        guard(&desired).iter().map(|d| d.id).collect::<Vec<_>>()
    };
    assert_eq!(told("other", "own"), [""; 0]);
    assert_eq!(told("own", "own"), ["SPW108"]);
    assert_eq!(told("default", "default"), ["SPW108"]);
}

/// A folder of Approvals below a tenant's path stays the tenant's, so that nobody approves their own deletions.
#[test]
fn approvals_below_a_tenants_path_do_not_count() {
    let config = CONFIG.replace("paths: [platform/approvals]", "paths: [apps/checkout/approvals]");
    let approval = "apiVersion: spinway.dev/v1alpha1\nkind: Approval\nmetadata: {name: a}\nspec: {environment: test, digest: x, expires: y}\n";
    let entries = [("spinway.yaml", config.as_str()), ("apps/checkout/approvals/a.yaml", approval)]
        .map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
    let desired = read(&Tree::of(entries.into()), Some("test")).unwrap_or_default();
    assert!(desired.approvals.is_empty() && desired.diagnostics.iter().any(|d| d.id == "local-kind"), "{desired:?}");
}

/// Who may declare Apps need not list what they generate.
#[test]
fn app_among_the_kinds_stands_for_what_an_app_generates() {
    let told = |kinds: &str, text: &str| {
        let start = CONFIG.find("      kinds: [App").unwrap_or_else(|| unreachable!("the tenant has kinds"));
        let end = start + CONFIG[start..].find('\n').unwrap_or_default();
        let config = CONFIG.replace(&CONFIG[start..end], &format!("      kinds: [{kinds}]"));
        let files = [
            ("spinway.yaml", config.as_str()),
            ("platform/.spinwayignore", ""),
            ("apps/catalog/.spinwayignore", ""),
            ("apps/checkout/a.yaml", text),
        ];
        let entries = files.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
        let desired = read(&Tree::of(entries.into()), Some("test")).unwrap_or_default();
        let found = guard(&desired);
        found
            .iter()
            .filter(|d| d.id == "SPW102")
            .filter_map(|d| d.object.as_ref().map(|o| o.kind.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(told("App", &app("")), [""; 0]);
    assert_eq!(told("App.spinway.dev", &app("")), [""; 0]);
    assert!(told("ConfigMap", &app("")).contains(&"SpinApp".to_owned()));
    assert_eq!(told("App", &object("apps/v1", "Deployment", "spec: {}")), ["Deployment"]);
    // What an allow-list names is allowed, kinds that route without Gateway API among it.
    for (api_version, kind) in [("networking.k8s.io/v1", "Ingress"), ("traefik.io/v1alpha1", "IngressRoute")] {
        let (group, _) = api_version.split_once('/').unwrap_or_default();
        assert_eq!(told(&format!("App, {kind}.{group}"), &object(api_version, kind, "spec: {}")), [""; 0]);
        assert_eq!(told("App", &object(api_version, kind, "spec: {}")), [kind]);
    }
}
