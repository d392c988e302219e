//! From nothing, without a file system: what is made passes the checks, and means what it says.

use super::*;
use crate::check;
use crate::desired::{self, CONFIG_FILE, Desired, Entry, Tree};
use crate::object::Severity;
use proptest::prelude::*;

fn add(tree: &mut Tree, made: Made) {
    for NewFile { path, text } in made.files {
        assert!(tree.entries.insert(path.clone(), Entry::File(text.into_bytes())).is_none(), "{path} was there");
    }
    match made.insertion {
        Some(Insertion::Text(text)) => {
            tree.entries.insert(CONFIG_FILE.to_owned(), Entry::File(text.into_bytes()));
        }
        Some(by_hand @ Insertion::ByHand { .. }) => panic!("{by_hand:?}"),
        None => {}
    }
}

fn known(tree: &Tree) -> Known {
    Known::read(tree).expect("a Config that can be used").expect("a Config")
}

/// What is worse than a note in any environment.
fn wrong(tree: &Tree) -> Vec<String> {
    let environments = desired::environments(tree).expect("a Config that can be used");
    let read = |name: &String| desired::read(tree, Some(name)).expect("the environment");
    let read: Vec<Desired> = environments.iter().map(read).collect();
    let found = check::all(&read, None, None);
    let worse = found.into_iter().filter(|finding| finding.severity < Severity::Note);
    worse.map(|finding| format!("{} {}", finding.id, finding.message.raw())).collect()
}

fn new_repository(class: &str, environments: &[&str]) -> NewRepository {
    NewRepository {
        name: "shop".to_owned(),
        domain: "shop.example".to_owned(),
        environments: environments.iter().map(|&name| name.to_owned()).collect(),
        gateway_class: class.to_owned(),
        owner: "@acme/platform".to_owned(),
    }
}

fn new_tenant(name: &str, known: &Known) -> NewTenant {
    NewTenant {
        name: name.to_owned(),
        namespace: name.to_owned(),
        gateways: known.gateways(),
        hostnames: Vec::from_iter(known.domain()),
        path_prefixes: vec![format!("/{name}")],
        images: vec![format!("ghcr.io/acme/{name}/*")],
        owners: vec![format!("team-{name}")],
        service_account: known.service_account_for(name, name),
        ..NewTenant::default()
    }
}

/// A repository with a Gateway and these tenants.
fn shop(tenants: &[&str]) -> Tree {
    let mut tree = Tree::default();
    add(&mut tree, repository(&new_repository("nginx", &["staging", "production"])).expect("a repository"));
    let new = NewGateway {
        name: "public".to_owned(),
        namespace: "infra".to_owned(),
        class: "nginx".to_owned(),
        certificate: None,
    };
    let made = gateway(&new, &known(&tree)).expect("a Gateway");
    add(&mut tree, made);
    for name in tenants {
        let known = known(&tree);
        let made = tenant(&new_tenant(name, &known), &known, known.config_text()).expect("a tenant");
        add(&mut tree, made);
    }
    tree
}

fn routed(name: &str, namespace: &str, known: &Known) -> NewApp {
    let host = known.host_for(namespace, name);
    let gateway = known.gateways_for(namespace).first().cloned().expect("a Gateway");
    let section = known.section(&gateway, host.as_deref());
    NewApp {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        image: format!("ghcr.io/acme/{namespace}/{name}:1.0.0"),
        route: Some(NewRoute { gateway, section, host, path: known.path_for(namespace, name) }),
        folder: String::new(),
    }
}

#[test]
fn names_of_classes_and_secrets_may_have_dots() {
    let mut tree = Tree::default();
    add(&mut tree, repository(&new_repository("nginx.acme.example", &["production"])).expect("a repository"));
    let new = |class: &str, certificate: &str| NewGateway {
        name: "public".to_owned(),
        namespace: "infra".to_owned(),
        class: class.to_owned(),
        certificate: Some(certificate.to_owned()),
    };
    let longest = "a".repeat(253);
    for secret in ["shop.example.tls", &longest] {
        assert!(gateway(&new("nginx.acme.example", secret), &known(&tree)).is_ok(), "{secret}");
    }
    for wrong in ["", ".a", "a.", "a..b", "a.-b", "A.b", "a_b", &format!("{longest}a")] {
        for new in [new(wrong, "a"), new("a", wrong)] {
            let said = gateway(&new, &known(&tree)).expect_err("refused").to_string();
            assert!(said.contains("is no name of a") && said.contains("at most 253"), "{said}");
        }
    }
    let made = gateway(&new("nginx.acme.example", "shop.example.tls"), &known(&tree)).expect("a Gateway");
    add(&mut tree, made);
    let others: Vec<String> = wrong(&tree).into_iter().filter(|said| !said.contains("shop.example.tls")).collect();
    assert_eq!(others, Vec::<String>::new());
}

#[test]
fn what_is_made_from_nothing_passes_the_checks_at_every_step() {
    let mut tree = Tree::default();
    add(&mut tree, repository(&new_repository("nginx", &["staging", "production"])).expect("a repository"));
    assert_eq!(wrong(&tree), Vec::<String>::new());
    for tenants in [&[][..], &["checkout"], &["checkout", "catalog"]] {
        tree = shop(tenants);
        assert_eq!(wrong(&tree), Vec::<String>::new(), "{tenants:?}");
    }
    for (name, namespace) in [("checkout", "checkout"), ("pay", "checkout"), ("search", "catalog")] {
        let made = app(&routed(name, namespace, &known(&tree)), &known(&tree)).expect("an App");
        add(&mut tree, made);
        assert_eq!(wrong(&tree), Vec::<String>::new(), "{name}");
    }
    let desired = desired::read(&tree, Some("production")).expect("the environment");
    let routes = desired.of_kind(crate::kinds::GATEWAY, "HTTPRoute", None);
    let served: Vec<String> = routes
        .map(|(_, member)| {
            let spec = &member.object.value["spec"];
            format!("{} {}", spec["hostnames"][0], spec["rules"][0]["matches"][0]["path"]["value"])
        })
        .collect();
    let host = "\"shop.example\"";
    assert_eq!(
        served,
        ["\"/catalog/search\"", "\"/checkout\"", "\"/checkout/pay\""].map(|path| format!("{host} {path}"))
    );
    let partitions: Vec<&str> = ["checkout", "catalog"]
        .iter()
        .map(|name| desired.rules().partition_of(&format!("apps/{name}/a.yaml")))
        .collect();
    assert_eq!(partitions, ["checkout", "catalog"]);
}

#[test]
fn what_is_made_from_nothing_passes_the_checks_of_a_protected_environment() {
    let mut tree = shop(&["checkout"]);
    let text = tree.text(CONFIG_FILE).expect("the Config").to_owned();
    let protected = text.replace("# cluster: {uid: ...}", "cluster: {uid: u}");
    let protected = protected.replace("# protected: true", "protected: true");
    tree.entries.insert(CONFIG_FILE.to_owned(), Entry::File(protected.into_bytes()));
    assert_eq!(wrong(&tree), Vec::<String>::new());
    let known = known(&tree);
    let image = format!("ghcr.io/acme/checkout/pay:1.0.0@sha256:{}", "a".repeat(64));
    let made = app(&NewApp { image, ..routed("pay", "checkout", &known) }, &known).expect("an App");
    add(&mut tree, made);
    assert_eq!(wrong(&tree), Vec::<String>::new());
    let desired = desired::read(&tree, Some("production")).expect("the environment");
    let limits = desired.of_kind("networking.k8s.io", "NetworkPolicy", Some("checkout")).count();
    assert!(desired.environment.protected && limits == 1, "the app may connect nowhere");
}

/// The objects of a kind in the platform's file of tenant `catalog`.
fn of_kind(made: &Made, kind: &str) -> Vec<serde_json::Value> {
    let path = "platform/tenant-catalog.yaml";
    let file = made.files.iter().find(|file| file.path == path).expect("the file");
    let (documents, found) = desired::yaml::read(&path.into(), &file.text);
    assert_eq!(found, Vec::new());
    documents.into_iter().map(|document| document.value).filter(|object| object["kind"] == kind).collect()
}

/// The rules of its Role, each as `GROUP: RESOURCES VERBS`.
fn rules_of(made: &Made) -> Vec<String> {
    let roles = of_kind(made, "Role");
    let rules = roles[0]["rules"].as_array().expect("rules").iter();
    let words = |list: &serde_json::Value| -> String {
        let items = list.as_array().expect("a list").iter().filter_map(serde_json::Value::as_str);
        items.collect::<Vec<_>>().join(",")
    };
    rules.map(|r| format!("{}: {} {}", words(&r["apiGroups"]), words(&r["resources"]), words(&r["verbs"]))).collect()
}

#[test]
fn a_tenant_gets_an_account_with_rights_on_its_kinds_alone() {
    let known = known(&shop(&["checkout"]));
    let made = |change: &dyn Fn(&mut NewTenant)| {
        let mut new = new_tenant("catalog", &known);
        change(&mut new);
        tenant(&new, &known, known.config_text())
    };
    let full = made(&|_| {}).expect("a tenant");
    let text = full.files[0].text.split("---\n").collect::<Vec<_>>();
    insta::assert_snapshot!(text[2..].join("---\n"), @r#"
    # All changes of tenant catalog are made as this account (`serviceAccount` in spinway.yaml), so the API server refuses what the Role
    # below does not allow. It needs no token: spinway impersonates it.
    apiVersion: v1
    kind: ServiceAccount
    metadata: {name: deployer, namespace: catalog}
    automountServiceAccountToken: false
    ---
    # One resource for each kind that the tenant may declare. Keep it in the platform's files, like the binding: a tenant must not
    # change its own rights. Whoever applies it first needs these rights too, since Kubernetes lets nobody grant more than they have.
    apiVersion: rbac.authorization.k8s.io/v1
    kind: Role
    metadata: {name: deployer, namespace: catalog}
    rules:
      - apiGroups: [""]
        resources: [configmaps, secrets, serviceaccounts, services]
        verbs: [create, delete, patch]
      - apiGroups: [apps]
        resources: [deployments, statefulsets]
        verbs: [create, delete, patch]
      - apiGroups: [autoscaling]
        resources: [horizontalpodautoscalers]
        verbs: [create, delete, patch]
      - apiGroups: [batch]
        resources: [cronjobs, jobs]
        verbs: [create, delete, patch]
      - apiGroups: [bitnami.com]
        resources: [sealedsecrets]
        verbs: [create, delete, patch]
      - apiGroups: [core.spinkube.dev]
        resources: [spinapps]
        verbs: [create, delete, patch]
      - apiGroups: [external-secrets.io]
        resources: [externalsecrets]
        verbs: [create, delete, patch]
      - apiGroups: [gateway.networking.k8s.io]
        resources: [backendtlspolicies, grpcroutes, httproutes]
        verbs: [create, delete, patch]
      - apiGroups: [gateway.nginx.org]
        resources: [authenticationfilters, clientsettingspolicies, observabilitypolicies, proxysettingspolicies, ratelimitpolicies, upstreamsettingspolicies]
        verbs: [create, delete, patch]
      - apiGroups: [keda.sh]
        resources: [scaledobjects]
        verbs: [create, delete, patch]
      - apiGroups: [monitoring.coreos.com]
        resources: [podmonitors, servicemonitors]
        verbs: [create, delete, patch]
      - apiGroups: [networking.k8s.io]
        resources: [networkpolicies]
        verbs: [create, delete, patch]
      - apiGroups: [policy]
        resources: [poddisruptionbudgets]
        verbs: [create, delete, patch]
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: RoleBinding
    metadata: {name: deployer, namespace: catalog}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer}
    subjects:
      - {kind: ServiceAccount, name: deployer, namespace: catalog}
    "#);
    // What another controller than that of the GatewayClass would bring is left out; all else is there.
    let groups: Vec<String> =
        rules_of(&full).iter().map(|rule| rule.split(':').next().unwrap_or_default().to_owned()).collect();
    let left_out = ["spinway.dev", "gateway.envoyproxy.io", "gateway.kgateway.dev"];
    let own = desired::OWN_KINDS.iter().map(|(group, _)| *group).filter(|group| !left_out.contains(group));
    assert_eq!(groups, own.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>());
    assert!(rules_of(&full).iter().all(|rule| rule.ends_with(" create,delete,patch")), "{full:?}");
    assert_eq!(full.files[1].path, "apps/catalog/.spinwayignore");
    // With kinds, these: an App stands for what it generates.
    let few = made(&|new| new.kinds = ["ConfigMap", "Ingress", "Widget.example.com"].map(str::to_owned).to_vec());
    let few = few.expect("a tenant");
    assert_eq!(
        rules_of(&few),
        [
            ": configmaps create,delete,patch",
            "example.com: widgets create,delete,patch",
            "networking.k8s.io: ingresses create,delete,patch"
        ]
    );
    let Some(Insertion::Text(config)) = &few.insertion else { panic!("{few:?}") };
    assert!(config.contains("kinds: [ConfigMap, Ingress, Widget.example.com]"), "{config}");
    let of_app = rules_of(&made(&|new| new.kinds = vec!["App".to_owned()]).expect("a tenant")).join("\n");
    assert!(of_app.contains("spinapps") && of_app.contains("httproutes") && !of_app.contains("secrets"), "{of_app}");
    // `*` allows all of a list; an app of such a tenant has no limit of its own.
    let all = made(&|new| {
        for list in [&mut new.gateways, &mut new.path_prefixes, &mut new.egress] {
            *list = vec!["*".to_owned()];
        }
    });
    let Some(Insertion::Text(config)) = all.expect("a tenant").insertion else { panic!("by hand") };
    assert!(
        ["gateways", "pathPrefixes", "egress"].iter().all(|list| config.contains(&format!("{list}: [\"*\"]"))),
        "{config}"
    );
    let mut tree = shop(&["checkout"]);
    tree.entries.insert(CONFIG_FILE.to_owned(), Entry::File(config.into_bytes()));
    let wide = self::known(&tree);
    let limited = ["catalog", "checkout"].map(|namespace| {
        let new = routed("a", namespace, &known);
        app(&new, &wide).expect("an App").files[0].text.contains("egress: []")
    });
    assert_eq!(limited, [false, true]);
    // What gives rights, is of the whole cluster, or is not one kind.
    for (kind, why) in [
        ("Role", "it gives rights"),
        ("RoleBinding.rbac.authorization.k8s.io", "it gives rights"),
        ("ClusterRole.rbac.authorization.k8s.io", "it gives rights"),
        ("Namespace", "the whole cluster"),
        ("GatewayClass", "the whole cluster"),
        ("*", "cannot have a pattern"),
        ("*.rbac.authorization.k8s.io", "cannot have a pattern"),
        ("", "cannot have a pattern"),
        ("Widget", "write it with its group, like `Widget.example.com`"),
    ] {
        let said = made(&|new| new.kinds = vec![kind.to_owned()]).expect_err("refused").to_string();
        assert!(said.contains(why), "{kind}: {said}");
    }
    // An account of another namespace, and one that is there already.
    let other = made(&|new| new.service_account = "infra/ci".to_owned()).expect("a tenant");
    assert_eq!(of_kind(&other, "ServiceAccount")[0]["metadata"]["namespace"], "infra");
    assert_eq!(of_kind(&other, "RoleBinding")[0]["metadata"]["namespace"], "catalog");
    assert_eq!(of_kind(&other, "RoleBinding")[0]["subjects"][0]["namespace"], "infra");
    assert_eq!(known.service_account_for("more", "checkout"), "checkout/more-deployer");
    let there = made(&|new| new.service_account = "checkout/deployer".to_owned()).expect("a tenant");
    assert!(of_kind(&there, "ServiceAccount").is_empty());
    for wrong in ["deployer", "a/", "A/b", "a/b/c", ""] {
        let said = made(&|new| new.service_account = wrong.to_owned()).expect_err("refused").to_string();
        assert!(said.contains("write NAMESPACE/NAME"), "{wrong}: {said}");
    }
}

#[test]
fn resources_are_named_by_definitions_and_groups_of_controllers_by_what_is_known() {
    let mut tree = shop(&[]);
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: oxen.gateway.kgateway.dev}\n\
                      spec: {group: gateway.kgateway.dev, names: {kind: Ox, plural: oxen}, scope: Namespaced, versions: []}\n";
    tree.entries.insert("platform/ox.yaml".to_owned(), Entry::File(definition.as_bytes().to_vec()));
    let defined = known(&tree);
    let ox = rights::kinds(&["Ox".to_owned()], &defined).expect("a kind");
    assert_eq!(ox.iter().map(|kind| defined.resource(kind)).collect::<Vec<_>>(), ["oxen"]);
    let groups = ["gateway.nginx.org", "gateway.envoyproxy.io", "gateway.kgateway.dev", "keda.sh"];
    assert_eq!(groups.map(|group| defined.may_have(group)), [true, false, true, true]);
    // A class whose controller is not known may be served by any.
    let mut tree = Tree::default();
    add(&mut tree, repository(&new_repository("ours", &["live"])).expect("a repository"));
    let unknown = known(&tree);
    assert_eq!(groups.map(|group| unknown.may_have(group)), [true; 4]);
}

#[test]
fn the_rights_of_a_tenant_are_never_in_its_own_folder() {
    let mut tree = shop(&[]);
    let of_shop = known(&tree);
    let new = NewTenant { folder: Some("platform".to_owned()), ..new_tenant("a", &of_shop) };
    let made = tenant(&new, &of_shop, of_shop.config_text());
    assert_eq!(made, Err(Wrong::NoFolder("what no tenant has".to_owned())));
    // A folder that the Config gives to the platform comes before the first of the sources.
    let text =
        of_shop.config_text().replace("  environments:\n", "  platform: {paths: [apps/shared]}\n  environments:\n");
    tree.entries.insert(CONFIG_FILE.to_owned(), Entry::File(text.into_bytes()));
    let named = known(&tree);
    let made = tenant(&new_tenant("a", &named), &named, named.config_text()).expect("a tenant");
    assert_eq!(made.files[0].path, "apps/shared/tenant-a.yaml");
}

#[test]
fn an_app_says_why_it_is_as_it_is() {
    let known = known(&shop(&["checkout"]));
    let made = app(&routed("pay", "checkout", &known), &known).expect("an App");
    assert_eq!(made.files[0].path, "apps/checkout/pay.yaml");
    insta::assert_snapshot!(made.files[0].text, @r#"
    # `spinway render --explain` shows what this becomes. The guide: docs/guides/apps.md of spinway; `spinway schema App` teaches
    # an editor every field. Pods and resources are those of `defaults` in spinway.yaml unless they are said here.
    apiVersion: spinway.dev/v1alpha1
    kind: App
    metadata: {name: pay, namespace: checkout}
    spec:
      # The Spin app as an OCI artifact. Add @sha256:... to say what exactly runs; protected environments demand it.
      image: ghcr.io/acme/checkout/pay:1.0.0
      # The prefix is taken off before the app sees a request (keepPrefix: true leaves it).
      routes:
        - {gateway: infra/public, section: http, hosts: ["${domain}"], path: /checkout/pay}
      # Where it may connect to, within `egress` of its tenant in spinway.yaml: ["https://api.example"]. Empty means nowhere.
      egress: []
    "#);
}

#[test]
fn an_app_is_put_where_its_team_writes() {
    let known = known(&shop(&["checkout", "catalog"]));
    let folder = |namespace: &str, meant: &str| known.app_folder(namespace, meant);
    assert_eq!(folder("checkout", ""), Ok("apps/checkout".to_owned()));
    assert_eq!(folder("checkout", "apps/checkout/more"), Ok("apps/checkout/more".to_owned()));
    assert_eq!(folder("checkout", "apps/catalog"), Ok("apps/checkout".to_owned()), "not where another team writes");
    assert_eq!(folder("infra", ""), Ok("apps".to_owned()));
    assert_eq!(folder("infra", "platform/tools"), Ok("platform/tools".to_owned()));
    assert_eq!(known.namespaces("apps/catalog"), ["catalog"]);
    assert_eq!(known.namespaces(""), ["checkout", "catalog"]);
}

#[test]
fn the_listener_of_an_app_is_the_encrypted_one_that_takes_its_host() {
    let mut tree = shop(&[]);
    let listeners = "listeners: [{name: http, port: 80, protocol: HTTP}, {name: other, port: 443, protocol: HTTPS, hostname: other.example}, \
                     {name: https, port: 443, protocol: HTTPS, hostname: \"*.shop.example\"}]";
    let text = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: g, namespace: infra}}\nspec: {{gatewayClassName: nginx, {listeners}}}\n"
    );
    tree.entries.insert("platform/g.yaml".to_owned(), Entry::File(text.into_bytes()));
    let known = known(&tree);
    let section = |host: &str| known.section("infra/g", Some(host));
    // The first environment is staging: ${domain} is staging.shop.example there.
    assert_eq!(section("${domain}").as_deref(), Some("https"));
    assert_eq!(section("other.example").as_deref(), Some("other"));
    assert_eq!(section("more.example").as_deref(), Some("http"));
    assert_eq!(known.section("infra/none", None), None);
    assert_eq!(known.gateways(), ["infra/g", "infra/public"]);
}

#[test]
fn a_listener_for_https_is_made_where_there_is_a_certificate() {
    let mut tree = shop(&[]);
    let new = NewGateway {
        name: "inner".to_owned(),
        namespace: "infra".to_owned(),
        class: "nginx".to_owned(),
        certificate: Some("tls".to_owned()),
    };
    let made = gateway(&new, &known(&tree)).expect("a Gateway");
    assert!(!made.files[0].text.contains("kind: Namespace"), "its namespace is declared already");
    add(&mut tree, made);
    assert_eq!(known(&tree).section("infra/inner", None).as_deref(), Some("https"));
    assert_eq!(wrong(&tree), Vec::<String>::new());
}

#[test]
fn names_and_values_that_no_field_takes_are_refused() {
    let tree = shop(&["checkout"]);
    let known = known(&tree);
    let words = |result: Result<Made, Wrong>| result.expect_err("refused").to_string();
    let named = |name: &str| words(app(&NewApp { name: name.to_owned(), ..routed("a", "checkout", &known) }, &known));
    for name in ["", "Cart", "-a", "a_b", "a.b", &"a".repeat(44)] {
        assert!(named(name).contains("use at most 43"), "{}", named(name));
    }
    assert!(app(&routed(&"a".repeat(43), "checkout", &known), &known).is_ok());
    let of = |change: &dyn Fn(&mut NewTenant)| {
        let mut new = new_tenant("b", &known);
        change(&mut new);
        words(tenant(&new, &known, known.config_text()))
    };
    assert_eq!(
        of(&|new| new.name = "platform".to_owned()),
        "`platform` is no name for a tenant: it stands for what no tenant has"
    );
    let there = of(&|new| new.name = "checkout".to_owned());
    assert!(there.starts_with("there is a tenant `checkout` already: spinway.yaml:"), "{there}");
    assert!(of(&|new| new.path_prefixes = vec!["cart".to_owned()]).contains("starts with `/`"));
    assert!(of(&|new| new.gateways = vec!["public".to_owned()]).contains("NAMESPACE/NAME"));
    assert!(of(&|new| new.folder = Some("apps/../x".to_owned())).contains("no folder"));
    assert_eq!(
        of(&|new| new.folder = Some("elsewhere".to_owned())),
        "no `sources` of spinway.yaml cover the folder elsewhere"
    );
    let mut new = new_repository("nginx.b.", &["a"]);
    assert!(words(repository(&new)).contains("no name of a GatewayClass"));
    new = new_repository("nginx", &["a", "a"]);
    assert!(words(repository(&new)).contains("given twice"));
    new = NewRepository { owner: "platform".to_owned(), ..new_repository("nginx", &["a"]) };
    assert!(words(repository(&new)).contains("write @ORG/TEAM"));
    new = NewRepository { domain: "localhost".to_owned(), ..new_repository("nginx", &["a"]) };
    assert!(words(repository(&new)).contains("`shop.example`"));
}

#[test]
fn an_unknown_class_says_where_its_release_goes() {
    let mut tree = Tree::default();
    add(&mut tree, repository(&new_repository("ours", &["no"])).expect("a repository"));
    assert!(
        tree.text(CONFIG_FILE)
            .is_some_and(|text| text.contains("# controllers: [{gatewayClass: ours, release: PROJECT@VERSION}]"))
    );
    assert_eq!(wrong(&tree), Vec::<String>::new());
    assert_eq!(known(&tree).environments(), ["no"], "a name that YAML 1.1 reads as something else is in quotes");
}

proptest! {
    /// However a value looks, the Config stays one, and gains the tenant with that value.
    #[test]
    fn any_value_is_written_as_itself(image in "\\PC{1,20}", owner in ".{1,12}") {
        let mut tree = shop(&["checkout"]);
        let before = known(&tree);
        let new = NewTenant { images: vec![image.clone()], owners: vec![owner.clone()], ..new_tenant("other", &before) };
        let made = tenant(&new, &before, before.config_text()).expect("a tenant");
        add(&mut tree, made);
        let config = desired::config(&tree).expect("a Config that can be used").expect("a Config");
        let added = config.tenants.last().expect("a tenant");
        prop_assert_eq!(&added.images[..], &[image][..]);
        prop_assert_eq!(&added.owners, &[owner]);
    }
}
