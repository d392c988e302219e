//! The third check, alone: the attempts of `escapes`, sent to a real API server with no check of spinway in between, under
//! the permissions that `spinway install` prints.
//!
//! Each attempt is sent twice: by the agent as the tenant's service account, as an apply does, and by the agent as itself.

use crate::cluster::Cluster;
use crate::escapes::{
    DEPLOYER, FULL, Intent, KINDS, Kind, LIMITS, NAMESPACES, Rule, SAMPLE, config, desired, intent, meant, path, say,
};
use crate::oracle::texts::Random;
use crate::repo::Repo;
use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use spinway::inventory::parent_name;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What the platform declares: among it objects of a tenant's kinds, in the tenant's namespaces.
const PLATFORM: &str = "\
{apiVersion: v1, kind: Namespace, metadata: {name: checkout}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: checkout-blue}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: catalog}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: infra}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: deployer, namespace: checkout}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: deployer, namespace: catalog}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: of-the-platform, namespace: checkout}
spec: {podSelector: {}, policyTypes: [Egress]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: class}
spec: {controllerName: example.com/controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: infra}
spec: {gatewayClassName: class, listeners: [{name: https, port: 80, protocol: HTTP}]}
";

const CATALOG: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: catalog}}";

/// What the agent may write itself: kinds and namespaces in which no tenant has anything, and single objects where one has.
const AGENT_KINDS: [(&str, &str); 3] = [("Namespace", ""), ("GatewayClass", ""), ("Gateway", "infra")];
const AGENT_OBJECTS: [(&str, &str, &str); 3] = [
    ("ServiceAccount", "checkout", "deployer"),
    ("ServiceAccount", "catalog", "deployer"),
    ("NetworkPolicy", "checkout", "of-the-platform"),
];

fn may_agent(kind: &Kind, namespace: &str, name: &str) -> bool {
    AGENT_KINDS.contains(&(kind.kind, namespace)) || AGENT_OBJECTS.contains(&(kind.kind, namespace, name))
}

fn may_tenant(kind: &Kind, namespace: &str) -> bool {
    kind.own && NAMESPACES.contains(&(namespace, true))
}

/// A repository in which the tenant has each of its kinds in each of its namespaces, beside attempts at what it must not have.
fn repository() -> Repo {
    let repo = Repo::empty();
    repo.write("spinway.yaml", &config());
    repo.write("platform/platform.yaml", PLATFORM);
    repo.write("apps/catalog/settings.yaml", CATALOG);
    repo.write("apps/checkout/limits.yaml", LIMITS);
    let mut random = Random::new(1);
    let mut missing: BTreeSet<&str> = KINDS.iter().filter(|kind| kind.own).map(|kind| kind.kind).collect();
    for number in 0.. {
        if missing.is_empty() && number >= SAMPLE {
            break;
        }
        let attempt = intent(&mut random);
        if attempt.broken.iter().all(|rule| *rule == Rule::Namespace) && missing.remove(attempt.kind.kind) {
            for (namespace, _) in NAMESPACES.iter().filter(|(_, own)| *own) {
                let object = meant(&Intent { namespace, ..attempt.clone() }, "right", true);
                repo.write(&format!("apps/checkout/{}-{namespace}.json", attempt.kind.plural), &object.to_string());
            }
        }
        let files = say(&mut random, &attempt, &format!("attempt-{number}"));
        // A policy that is refused holds back the pods that it would limit.
        if is_forbidden(&attempt) && attempt.kind.kind != "NetworkPolicy" && number < SAMPLE {
            for (file, text) in files {
                repo.write(&file.replace("apps/checkout/", &format!("apps/checkout/n{number}/")), &text);
            }
        }
    }
    repo
}

/// Whether an attempt is the API server's business: RBAC knows kinds and namespaces.
fn is_forbidden(attempt: &Intent) -> bool {
    attempt.broken.contains(&Rule::Kind) || attempt.broken.contains(&Rule::Namespace)
}

/// A request, and what it is for a reader.
#[derive(Clone)]
struct Request {
    method: &'static str,
    uri: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Request {
    fn new(method: &'static str, uri: impl Into<String>, body: &Value) -> Self {
        let kind = if method == "PATCH" { "application/apply-patch+yaml" } else { "application/json" };
        Self { method, uri: uri.into(), headers: vec![("content-type", kind.to_owned())], body: body.to_string() }
    }

    /// A server-side apply, with the options that spinway sends.
    fn apply(path: &str, body: &Value) -> Self {
        Self::new("PATCH", format!("{path}?fieldManager=spinway&fieldValidation=Strict&force=false"), body)
    }

    fn acting_as(self, user: &str) -> Self {
        self.with("impersonate-user", user)
    }

    fn with(mut self, header: &'static str, value: &str) -> Self {
        self.headers.push((header, value.to_owned()));
        self
    }

    fn dry(mut self) -> Self {
        self.uri += if self.uri.contains('?') { "&dryRun=All" } else { "?dryRun=All" };
        self
    }
}

/// Sends requests to the API server with one credential.
struct Sender<'a> {
    cluster: &'a Cluster,
    client: kube::Client,
    sent: std::cell::Cell<usize>,
}

impl<'a> Sender<'a> {
    fn of(cluster: &'a Cluster, kubeconfig: &Path) -> Self {
        let client = cluster.runtime().block_on(async {
            let config = kube::config::Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
            let options = kube::config::KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(config, &options).await.expect("a usable kubeconfig");
            kube::Client::try_from(config).expect("a client")
        });
        Self { cluster, client, sent: std::cell::Cell::new(0) }
    }

    /// The codes of the answers, and what they say.
    fn all(&self, requests: Vec<Request>) -> Vec<(u16, String)> {
        self.sent.set(self.sent.get() + requests.len());
        let answers = stream::iter(requests.into_iter().map(|request| answer(self.client.clone(), request)));
        self.cluster.runtime().block_on(answers.buffered(16).collect())
    }

    fn one(&self, request: Request) -> (u16, String) {
        self.all(vec![request]).remove(0)
    }
}

async fn answer(client: kube::Client, request: Request) -> (u16, String) {
    use http_body_util::BodyExt as _;
    for _ in 0..20 {
        let mut built = http::Request::builder().method(request.method).uri(&request.uri);
        for (name, value) in &request.headers {
            built = built.header(*name, value);
        }
        let built = built.body(kube::client::Body::from(request.body.clone().into_bytes())).expect("a request");
        let answer = client.send(built).await.expect("the API server answers");
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.expect("a body").to_bytes();
        if code != 429 {
            let text = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
            return (code, text["message"].as_str().unwrap_or_default().to_owned());
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("{} {}: the API server has no time", request.method, request.uri);
}

fn is_success(code: u16) -> bool {
    (200..300).contains(&code)
}

/// Makes the API server serve each kind: those that it does not have get a definition without a schema. Gives what was made.
fn serve_all(cluster: &Cluster) -> Vec<String> {
    let list = |kind: &Kind| path(kind, None, "").trim_end_matches('/').to_owned();
    let missing: Vec<&Kind> = KINDS.iter().filter(|kind| cluster.get(&list(kind)).is_none()).collect();
    let made = missing.iter().map(|kind| {
        let name = format!("{}.{}", kind.plural, kind.group);
        let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
            "spec": {
                "group": kind.group, "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
                "names": {"kind": kind.kind, "plural": kind.plural},
                "versions": [{"name": kind.version, "served": true, "storage": true, "schema": schema}],
            },
        });
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        cluster.apply_as(&path, "tests", &definition);
        path
    });
    let made: Vec<String> = made.collect();
    for kind in missing {
        cluster.wait(kind.kind, || cluster.get(&list(kind)).is_some());
    }
    made
}

/// A namespace, as the administrator.
fn make_namespace(cluster: &Cluster, name: &str) {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    cluster.apply_as(&format!("/api/v1/namespaces/{name}"), "tests", &object);
}

/// An attempt as it is sent: the objects that spinway makes of its text without any check, or what is meant where it makes none.
fn objects(random: &mut Random, attempt: &Intent, name: &str) -> Vec<(String, Value)> {
    let files = say(random, attempt, name);
    let read = desired(files);
    let made = read.objects.iter().filter(|(object, _)| object.name == name).map(|(object, member)| {
        let mut value = member.object.value.clone();
        // What the alias stood for is no field of the kind.
        value.as_object_mut().expect("a map").remove("x-part");
        (path(attempt.kind, object.namespace.as_deref(), name), value)
    });
    let made: Vec<(String, Value)> = made.collect();
    if !made.is_empty() {
        return made;
    }
    let namespace = Some(attempt.namespace).filter(|_| attempt.kind.namespaced);
    vec![(path(attempt.kind, namespace, name), meant(attempt, name, attempt.kind.namespaced))]
}

/// What is wrong, and how many there are of each answer.
#[derive(Default)]
struct Found {
    wrong: Vec<String>,
    codes: BTreeMap<(&'static str, u16), usize>,
}

impl Found {
    /// Notes an answer: what is forbidden is refused for that, all else is not.
    fn note(&mut self, what: &'static str, request: &Request, (code, message): &(u16, String), may: bool) {
        *self.codes.entry((what, *code)).or_default() += 1;
        // So the API server answers to a field that it does not know.
        let is_of_a_field = *code == 500 && message.starts_with("failed to create typed patch object");
        if may == (*code == 403) || *code >= 500 && !is_of_a_field {
            self.wrong.push(format!("{what}: {} {}: {code} {message}: {}", request.method, request.uri, request.body));
        }
    }
}

/// What an identity may do in a namespace beside reading: `VERBS GROUP/RESOURCES [NAMES]`, without what everybody may.
fn rights(sender: &Sender<'_>, namespace: &str) -> BTreeSet<String> {
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}});
    let uri = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let request = http::Request::post(uri).header("content-type", "application/json");
    let request = request.body(review.to_string().into_bytes()).expect("a request");
    let answer: Value = sender.cluster.runtime().block_on(sender.client.request(request)).expect("a review");
    let words = |rule: &Value, field: &str| {
        let mut all: Vec<String> =
            rule[field].as_array().into_iter().flatten().filter_map(|w| Some(w.as_str()?.to_owned())).collect();
        all.sort();
        all.join(",")
    };
    let rules = answer["status"]["resourceRules"].as_array().expect("rules");
    let written = rules.iter().map(|rule| (words(rule, "verbs"), rule)).filter(|(verbs, rule)| {
        !verbs.split(',').all(|verb| ["get", "list", "watch"].contains(&verb))
            && !words(rule, "resources").split(',').all(|resource| resource.starts_with("selfsubject"))
    });
    let shown = written.map(|(verbs, rule)| {
        format!("{verbs} {}/{} [{}]", words(rule, "apiGroups"), words(rule, "resources"), words(rule, "resourceNames"))
    });
    shown.collect()
}

/// Each kind in each namespace and in none, applied and deleted: what the generator may have left out.
fn grid(agent: &Sender<'_>, found: &mut Found) {
    let mut asked = Vec::new();
    for kind in &KINDS {
        for namespace in NAMESPACES.iter().map(|(name, _)| Some(*name)).chain([None]) {
            let path = path(kind, namespace, "any");
            let rest = json!({});
            let meant = meant(
                &Intent { kind, namespace: namespace.unwrap_or("checkout"), rest, broken: BTreeSet::new() },
                "any",
                namespace.is_some(),
            );
            let requests = [
                Request::apply(&path, &meant).dry(),
                Request::new("DELETE", path.as_str(), &json!({})).dry(),
                Request::new("POST", path.trim_end_matches("/any"), &meant).dry(),
                Request::new("DELETE", path.trim_end_matches("/any"), &json!({})).dry(),
            ];
            for (number, request) in requests.into_iter().enumerate() {
                // A kind without a namespace is served in none, and the other way about.
                let is_served = kind.namespaced == namespace.is_some();
                // Nobody deletes collections.
                let may = is_served && number < 3;
                let namespace = namespace.unwrap_or_default();
                let tenant = may && may_tenant(kind, namespace);
                asked.push((request.clone().acting_as(DEPLOYER), is_served, tenant));
                // The Lease of the agent is created by POST, of which RBAC knows no name.
                let is_lease = number == 2 && (kind.kind, namespace) == ("Lease", "spinway");
                asked.push((request, is_served, may && (is_lease || may_agent(kind, namespace, "any"))));
            }
        }
    }
    let answers = agent.all(asked.iter().map(|(request, ..)| request.clone()).collect());
    for ((request, is_served, may), answer) in asked.iter().zip(&answers) {
        match (is_served, may) {
            (true, true) => found.note("each kind, right", request, answer, true),
            (true, false) => found.note("each kind, wrong", request, answer, false),
            (false, _) => {
                *found.codes.entry(("no such place", answer.0)).or_default() += 1;
                if ![400, 403, 404, 405].contains(&answer.0) {
                    found.wrong.push(format!("no such place: {} {}: {answer:?}", request.method, request.uri));
                }
            }
        }
    }
}

/// What is beside objects: tokens, parts of objects, the words of the authorizer, and the platform's objects by name.
fn beside(agent: &Sender<'_>, found: &mut Found) {
    let token = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "right"}, "spec": {"replicas": 9}});
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": "a", "nonResourceAttributes": {"path": "/", "verb": "get"}}});
    let nothing = json!({});
    let core = "/api/v1/namespaces";
    let forbidden = [
        Request::new("POST", format!("{core}/checkout/serviceaccounts/deployer/token"), &token),
        Request::new("POST", format!("{core}/catalog/serviceaccounts/deployer/token"), &token),
        Request::new("POST", format!("{core}/spinway/serviceaccounts/spinway.shop.test/token"), &token),
        Request::new("POST", format!("{core}/checkout/pods/p/exec?command=sh"), &nothing),
        Request::new("POST", format!("{core}/checkout/pods/p/binding"), &nothing),
        Request::apply(&format!("{core}/checkout/status"), &nothing),
        Request::new("PUT", format!("{core}/checkout/finalize"), &nothing),
        Request::apply("/apis/apps/v1/namespaces/checkout/deployments/right/scale", &scale),
        Request::apply("/apis/apps/v1/namespaces/checkout/deployments/right/status", &nothing),
        Request::new("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", &review),
        Request::new("DELETE", format!("{core}/checkout/serviceaccounts?labelSelector=a"), &nothing),
        Request::new("GET", "/metrics", &nothing),
    ];
    for request in forbidden {
        for request in [request.clone().acting_as(DEPLOYER), request] {
            let answer = agent.one(request.clone());
            found.note("beside objects", &request, &answer, false);
        }
    }
    for (kind, namespace, name) in AGENT_OBJECTS {
        let kind = KINDS.iter().find(|known| known.kind == kind).expect("a kind");
        let rest = if kind.kind == "NetworkPolicy" { json!({"spec": {"podSelector": {}}}) } else { json!({}) };
        let object = meant(&Intent { kind, namespace, rest, broken: BTreeSet::new() }, name, true);
        let request = Request::apply(&path(kind, Some(namespace), name), &object).dry();
        let answer = agent.one(request.clone());
        found.note("platform's, by the agent", &request, &answer, true);
        // Another one of that kind is not the agent's.
        let object = meant(&Intent { kind, namespace, rest: json!({}), broken: BTreeSet::new() }, "another", true);
        let request = Request::apply(&path(kind, Some(namespace), "another"), &object).dry();
        let answer = agent.one(request.clone());
        found.note("by the agent", &request, &answer, false);
    }
}

/// The agent acts as the service accounts of tenants, and as nobody else.
fn impersonation(agent: &Sender<'_>, found: &mut Found) {
    let object = |namespace: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "first", "namespace": namespace}});
    let request = |namespace: &str, user: &str| {
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/first");
        Request::apply(&path, &object(namespace)).acting_as(user).dry()
    };
    let account = |namespace: &str, name: &str| format!("system:serviceaccount:{namespace}:{name}");
    for namespace in ["checkout", "catalog"] {
        let request = request(namespace, &account(namespace, "deployer"));
        let answer = agent.one(request.clone());
        found.note("impersonation, right", &request, &answer, true);
    }
    let mut wrong: Vec<String> =
        ["administrator", "system:admin", "system:anonymous", "system:kube-controller-manager", "deployer"]
            .map(str::to_owned)
            .to_vec();
    for (namespace, _) in NAMESPACES {
        wrong.extend(["default", "spinway.shop.test", "deployer"].map(|name| account(namespace, name)));
    }
    wrong.retain(|user| user != DEPLOYER && *user != account("catalog", "deployer"));
    for user in wrong {
        let request = request("checkout", &user);
        let answer = agent.one(request.clone());
        found.note("impersonation, wrong", &request, &answer, false);
    }
    for (header, value) in [
        ("impersonate-group", "system:masters"),
        ("impersonate-group", "system:serviceaccounts:kube-system"),
        ("impersonate-uid", "1"),
        ("impersonate-extra-scopes", "all"),
    ] {
        let request = request("checkout", DEPLOYER).with(header, value);
        let answer = agent.one(request.clone());
        found.note("impersonation, wrong", &request, &answer, false);
    }
    // The account of one tenant is nobody in the namespace of the other.
    for (namespace, of) in [("catalog", "checkout"), ("checkout", "catalog")] {
        let request = request(namespace, &account(of, "deployer"));
        let answer = agent.one(request.clone());
        found.note("impersonation, wrong", &request, &answer, false);
    }
}

/// All that the agent may beside reading, in the namespaces of tenants and in one of nobody.
fn installed_rights(agent: &Sender<'_>) {
    let everywhere =
        ["create,delete,patch /namespaces []", "create,delete,patch gateway.networking.k8s.io/gatewayclasses []"];
    let expect = |namespace: &str, more: &[&str]| {
        let expected: BTreeSet<String> = everywhere.iter().chain(more).map(|text| (*text).to_owned()).collect();
        assert_eq!(rights(agent, namespace), expected, "in namespace {namespace}");
    };
    expect(
        "checkout",
        &[
            "create /events []",
            "impersonate /serviceaccounts [deployer]",
            "create,delete,patch /serviceaccounts [deployer]",
            "create,delete,patch networking.k8s.io/networkpolicies [of-the-platform]",
        ],
    );
    expect("checkout-blue", &["create /events []"]);
    expect(
        "catalog",
        &[
            "create /events []",
            "impersonate /serviceaccounts [deployer]",
            "create,delete,patch /serviceaccounts [deployer]",
        ],
    );
    let inventories = ["catalog", "checkout", "platform"].map(|name| parent_name("shop", "test", name)).join(",");
    expect(
        "spinway",
        &[
            "create /events []",
            &format!("create,get,patch /configmaps [{inventories}]"),
            &format!("update spinway.dev/inventories [{inventories}]"),
            "create coordination.k8s.io/leases []",
            "get,update coordination.k8s.io/leases [spinway.shop.test]",
        ],
    );
    expect("infra", &["create /events []", "create,delete,patch gateway.networking.k8s.io/gateways []"]);
    expect("kube-system", &[]);
    expect("check", &[]);
    expect("default", &["create /events []"]);
}

/// With the rights of an administrator for both, the same requests are not refused: it is the Roles that refuse them.
fn without_the_roles(cluster: &Cluster, agent: &Sender<'_>, forbidden: &[Request]) {
    let subject = |namespace: &str, name: &str| json!({"kind": "ServiceAccount", "namespace": namespace, "name": name});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "too-much"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [subject("checkout", "deployer"), subject("spinway", "spinway.shop.test")],
    });
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/too-much";
    cluster.apply_as(path, "tests", &binding);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "first", "namespace": "catalog"}});
    let probe = Request::apply("/api/v1/namespaces/catalog/configmaps/first", &map).dry();
    for probe in [probe.clone().acting_as(DEPLOYER), probe] {
        cluster.wait("the API server to know the binding", || is_success(agent.one(probe.clone()).0));
    }
    for user in [Some(DEPLOYER), None] {
        let requests = forbidden.iter().map(|request| {
            let request = request.clone().dry();
            match user {
                Some(user) => request.acting_as(user),
                None => request,
            }
        });
        let answers = agent.all(requests.collect());
        let accepted = answers.iter().filter(|(code, _)| is_success(*code)).count();
        let refused: Vec<_> = answers.iter().filter(|(code, _)| *code == 403).collect();
        println!("without the Roles, as {user:?}: {accepted} of {} accepted, {} refused", answers.len(), refused.len());
        assert!(accepted > answers.len() / 4, "{accepted} of {}", answers.len());
        assert!(refused.len() < answers.len() / 20, "{refused:?}");
    }
    cluster.send("DELETE", path, "application/json", &json!({}));
}

#[test]
fn the_api_server_alone_stops_what_concerns_kinds_namespaces_and_rights() {
    let wanted = if std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full") { FULL } else { SAMPLE };
    let cluster = Cluster::take();
    let definitions = serve_all(&cluster);
    let repo = repository();
    let kubeconfig = cluster.install(repo.path(), &[]);
    for (namespace, _) in NAMESPACES {
        make_namespace(&cluster, namespace);
    }
    for namespace in ["checkout", "catalog"] {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "deployer", "namespace": namespace}});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/deployer");
        cluster.apply_as(&path, "tests", &account);
    }
    let agent = Sender::of(&cluster, &kubeconfig);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "first", "namespace": "checkout"}});
    let first = Request::apply("/api/v1/namespaces/checkout/configmaps/first", &map).acting_as(DEPLOYER).dry();
    cluster.wait("the API server to know the permissions", || is_success(agent.one(first.clone()).0));
    let mut found = Found::default();

    // The generated attempts, of which those that are wrong are kept.
    let mut random = Random::new(20_261_130);
    let mut forbidden = Vec::new();
    for start in (0..wanted).step_by(SAMPLE) {
        let mut batch = Vec::new();
        for number in start..wanted.min(start + SAMPLE) {
            let attempt = intent(&mut random);
            let name = format!("attempt-{number}");
            for (path, object) in objects(&mut random, &attempt, &name) {
                batch.push((Request::apply(&path, &object), !is_forbidden(&attempt), attempt.clone(), name.clone()));
            }
        }
        let as_tenant: Vec<Request> = batch.iter().map(|(request, ..)| request.clone().acting_as(DEPLOYER)).collect();
        let answers = agent.all(as_tenant.clone());
        for ((request, answer), (_, may, ..)) in as_tenant.iter().zip(&answers).zip(&batch) {
            found.note(if *may { "right" } else { "wrong" }, request, answer, *may);
        }
        let as_agent: Vec<Request> = batch.iter().map(|(request, ..)| request.clone().dry()).collect();
        let answers = agent.all(as_agent.clone());
        for ((request, answer), (_, _, attempt, name)) in as_agent.iter().zip(&answers).zip(&batch) {
            let namespace = if attempt.kind.namespaced { attempt.namespace } else { "" };
            let may = may_agent(attempt.kind, namespace, name);
            found.note(if may { "platform's, by the agent" } else { "by the agent" }, request, answer, may);
        }
        forbidden.extend(batch.into_iter().filter(|(_, may, ..)| !may).map(|(request, ..)| request));
        forbidden.truncate(SAMPLE);
    }
    grid(&agent, &mut found);
    beside(&agent, &mut found);
    impersonation(&agent, &mut found);
    let sent = agent.sent.get();
    println!("third check: {wanted} attempts, {sent} requests: {:#?}", found.codes);
    assert!(
        found.wrong.is_empty(),
        "{}, such as\n{}",
        found.wrong.len(),
        found.wrong[..found.wrong.len().min(9)].join("\n")
    );
    let count = |what: &str, code: u16| {
        found.codes.iter().filter(|((w, c), _)| *w == what && *c == code).map(|(_, n)| n).sum::<usize>()
    };
    assert!(count("right", 200) + count("right", 201) > wanted / 10, "{:?}", found.codes);
    assert!(count("wrong", 403) > wanted / 4, "{:?}", found.codes);
    installed_rights(&agent);
    without_the_roles(&cluster, &agent, &forbidden);

    for definition in &definitions {
        cluster.send("DELETE", definition, "application/json", &json!({}));
    }
    cluster.wait("the definitions to go", || definitions.iter().all(|path| cluster.get(path).is_none()));
}
