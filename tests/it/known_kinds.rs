//! What is known of kinds decides plans without an API server too: fields that cannot be changed in place, lists with keys, pods
//! that an autoscaler takes over, certificates that are still to be issued, defaults that a webhook fills in.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, actions, code, json, row, run};
use serde_json::{Value, json};
use std::path::Path;

/// The report of a plan from one text to another, without a cluster.
fn planned(before: &str, after: &str) -> Value {
    let repo = Repo::empty();
    repo.write("all.yaml", before);
    repo.commit("before");
    repo.write("all.yaml", after);
    let ran = run(&["plan", repo.dir(), "--against", "HEAD", "-o", "json"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    json(&ran)
}

fn deployment(name: &str, spec: &str, pod: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: default}}\nspec: {{{spec}selector: {{matchLabels: {{app: {name}}}}}, \
         template: {{metadata: {{labels: {{app: {name}, tier: web}}}}, spec: {{containers: [{{name: c, image: \"reg.example/c:1\"{pod}}}]}}}}}}\n"
    )
}

/// An object, a text in it, what stands there afterwards, and whether that takes a new object.
struct Case {
    text: String,
    from: &'static str,
    to: &'static str,
    replaces: bool,
}

fn case(text: impl Into<String>, from: &'static str, to: &'static str, replaces: bool) -> Case {
    Case { text: text.into(), from, to, replaces }
}

fn cases() -> Vec<Case> {
    let object = |api_version: &str, kind: &str, namespaced: bool, rest: &str| {
        let namespace = if namespaced { ", namespace: default" } else { "" };
        format!("---\napiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: known-kinds{namespace}}}\n{rest}\n")
    };
    let pod = "template: {metadata: {labels: {app: a, tier: b}}, spec: {containers: [{name: c, image: \"reg.example/c:1\"}]}}";
    let set = format!("spec: {{serviceName: one, selector: {{matchLabels: {{app: a}}}}, {pod}}}");
    let claims = format!(
        "spec: {{serviceName: one, selector: {{matchLabels: {{app: a}}}}, {pod}, volumeClaimTemplates: [{{metadata: {{name: data}}, spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}}}]}}"
    );
    let daemon = format!("spec: {{selector: {{matchLabels: {{app: a}}}}, {pod}}}");
    let job = "spec: {parallelism: 1, template: {spec: {restartPolicy: Never, containers: [{name: c, image: \"reg.example/c:1\"}]}}}";
    let role = "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\nsubjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: one}]";
    let claim = "spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}";
    let class = "provisioner: one.example/p\nparameters: {type: slow}\nallowVolumeExpansion: false";
    let volume = "spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], persistentVolumeReclaimPolicy: Retain, nfs: {server: one.example, path: /a}}";
    vec![
        case(deployment("known-kinds", "", ""), "}}, template", ", tier: web}}, template", true),
        case(deployment("known-kinds", "", ""), "reg.example/c:1", "reg.example/c:2", false),
        case(object("apps/v1", "StatefulSet", true, &set), "serviceName: one", "serviceName: two", true),
        case(
            object("apps/v1", "StatefulSet", true, &set),
            "serviceName: one",
            "podManagementPolicy: OrderedReady, serviceName: one",
            false,
        ),
        // Of its claims the API server keeps more than was declared.
        case(object("apps/v1", "StatefulSet", true, &claims), "reg.example/c:1", "reg.example/c:2", false),
        case(object("apps/v1", "StatefulSet", true, &claims), "storage: 1Gi", "storage: 2Gi", true),
        case(
            object("apps/v1", "DaemonSet", true, &daemon),
            "{app: a}}, template",
            "{app: a, tier: b}}, template",
            true,
        ),
        case(object("batch/v1", "Job", true, job), "reg.example/c:1", "reg.example/c:2", true),
        case(object("batch/v1", "Job", true, job), "parallelism: 1", "parallelism: 2", false),
        case(object("rbac.authorization.k8s.io/v1", "RoleBinding", true, role), "name: view", "name: edit", true),
        case(
            object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", false, role),
            "name: view",
            "name: edit",
            true,
        ),
        case(object("rbac.authorization.k8s.io/v1", "RoleBinding", true, role), "name: one", "name: two", false),
        case(object("v1", "ConfigMap", true, "immutable: true\ndata: {a: one}"), "a: one", "a: two", true),
        case(object("v1", "ConfigMap", true, "data: {a: one}"), "a: one", "a: two", false),
        case(object("v1", "Secret", true, "type: example.com/one\nstringData: {a: one}"), "com/one", "com/two", true),
        case(object("v1", "Secret", true, "immutable: true\nstringData: {a: one}"), "a: one", "a: two", true),
        case(object("v1", "Secret", true, "stringData: {a: one}"), "stringData", "type: Opaque\nstringData", false),
        case(object("v1", "PersistentVolumeClaim", true, claim), "ReadWriteOnce", "ReadWriteMany", true),
        case(object("v1", "PersistentVolume", false, volume), "server: one", "server: two", true),
        case(object("v1", "PersistentVolume", false, volume), "Policy: Retain", "Policy: Delete", false),
        case(object("storage.k8s.io/v1", "StorageClass", false, class), "type: slow", "type: fast", true),
        case(object("storage.k8s.io/v1", "StorageClass", false, class), "Expansion: false", "Expansion: true", false),
        case(
            object("scheduling.k8s.io/v1", "PriorityClass", false, "value: 10\ndescription: one"),
            "value: 10",
            "value: 20",
            true,
        ),
        case(
            object("scheduling.k8s.io/v1", "PriorityClass", false, "value: 10\ndescription: one"),
            "description: one",
            "description: two",
            false,
        ),
        case(
            object("networking.k8s.io/v1", "IngressClass", false, "spec: {controller: one.example/c}"),
            "one.example/c",
            "two.example/c",
            true,
        ),
        case(object("node.k8s.io/v1", "RuntimeClass", false, "handler: one"), "handler: one", "handler: two", true),
        case(
            object("v1", "Service", true, "spec: {clusterIP: None, selector: {a: b}, ports: [{port: 80}]}"),
            "clusterIP: None",
            "clusterIP: 10.96.7.7",
            true,
        ),
        case(
            object("v1", "Service", true, "spec: {clusterIP: None, selector: {a: b}, ports: [{port: 80}]}"),
            "port: 80",
            "port: 81",
            false,
        ),
    ]
}

/// What a plan does to the only object that changes: `true` when it is to be replaced.
fn replaces(report: &Value) -> (bool, Vec<String>) {
    let changed: Vec<&Value> =
        report["changes"].as_array().expect("changes").iter().filter(|row| row["action"] != "unchanged").collect();
    assert!(changed.len() <= 1, "{report:#}");
    (changed.iter().any(|row| row["intended"] == "replace" && row["action"] == "held"), actions(report))
}

#[test]
fn what_cannot_be_changed_in_place_is_replaced_in_plans_against_a_revision() {
    for Case { text, from, to, replaces: expected } in cases() {
        assert!(text.contains(from), "{text}");
        let report = planned(&text, &text.replace(from, to));
        let (replaced, all) = replaces(&report);
        assert_eq!(replaced, expected, "{text}{from} -> {to}: {report:#}");
        // Nothing is in the way of what is changed in place.
        let is_done = all.iter().all(|line| line.starts_with("update ") || line.starts_with("unchanged "));
        assert!(replaced || is_done, "{text}{from} -> {to}: {all:?}");
    }
}

/// An object, a text in it, and an empty value that takes its place: nobody can be asked what the API server makes of it, and it
/// may end what runs or open what is closed.
fn emptied() -> Vec<(String, &'static str, &'static str)> {
    let object = |api_version: &str, kind: &str, rest: &str| {
        format!(
            "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a, namespace: default, labels: {{open: \"true\"}}}}\n{rest}\n"
        )
    };
    let pods = |context: &str| deployment("a", "replicas: 2, ", context);
    let policy =
        "spec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]}";
    let service = "spec: {selector: {app: web}, ports: [{port: 80}]}";
    let cron = "spec: {schedule: \"* * * * *\", suspend: true, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: \"reg.example/c:1\"}]}}}}}";
    vec![
        (pods(""), "replicas: 2", "replicas: 0"),
        (deployment("a", "", ""), "spec: {selector", "spec: {replicas: 0, selector"),
        (pods(", env: [{name: A, value: x}]"), "value: x", "value: \"\""),
        (pods(", securityContext: {runAsUser: 1000}"), "1000", "0"),
        (pods(", securityContext: {runAsNonRoot: true}"), "true", "false"),
        (pods(", securityContext: {readOnlyRootFilesystem: true}"), "true", "false"),
        (pods(", image: x, command: [a]").replace("image: \"reg.example/c:1\", ", ""), "command: [a]", "command: []"),
        (object("v1", "Service", service), "{app: web}", "{}"),
        (object("v1", "Service", service), "app: web", "app: \"\""),
        (object("v1", "ConfigMap", "data: {host: db.example}"), "db.example", "\"\""),
        (object("v1", "ConfigMap", "data: {host: db.example}"), "open: \"true\"", "open: \"\""),
        (object("batch/v1", "CronJob", cron), "suspend: true", "suspend: false"),
        (object("networking.k8s.io/v1", "NetworkPolicy", policy), "[{from: [{podSelector: {}}]}]", "[{}]"),
        (object("networking.k8s.io/v1", "NetworkPolicy", policy), "{matchLabels: {app: a}}", "{}"),
        (
            object("policy/v1", "PodDisruptionBudget", "spec: {minAvailable: 1, selector: {matchLabels: {app: a}}}"),
            "1,",
            "0,",
        ),
    ]
}

#[test]
fn an_empty_value_in_the_place_of_another_is_a_change_where_nobody_can_be_asked() {
    for (text, from, to) in emptied() {
        assert!(text.contains(from), "{text}");
        let report = planned(&text, &text.replacen(from, to, 1));
        let all = actions(&report);
        assert!(
            all.iter().any(|line| line.starts_with("update ") || line.starts_with("held ")),
            "{text}{from} -> {to}: {report:#}"
        );
        let changed = report["changes"].as_array().expect("changes").iter().find(|row| row["action"] != "unchanged");
        let fields = changed.and_then(|row| row["fields"].as_array());
        assert!(fields.is_some_and(|fields| !fields.is_empty()), "{text}{from} -> {to}: {report:#}");
        // And there is no difference where there is none.
        let same = planned(&text, &format!("{text}# a comment\n"));
        assert!(actions(&same).is_empty(), "{text}: {same:#}");
    }
}

/// The API server is the oracle: what it refuses to change in place is what the plan without it replaces.
#[test]
fn what_is_replaced_without_an_api_server_is_what_the_server_refuses_to_change() {
    let cluster = Cluster::take();
    let own = tempfile::tempdir().expect("a folder");
    for (number, Case { text, from, to, replaces: expected }) in cases().into_iter().enumerate() {
        // Each has a name of its own, so that none has to be deleted first.
        let text = text.replace("known-kinds", &format!("known-kinds-{number}"));
        let repo = Repo::empty();
        repo.write("all.yaml", &text);
        let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--no-wait"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        // A snapshot shows of values what the repository has.
        let snapshot = own.path().join("snapshot.json");
        let snapshot = snapshot.to_str().expect("a plain path");
        let ran = cluster.spinway(&["snapshot", repo.dir(), "-o", snapshot]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        repo.write("all.yaml", &text.replace(from, to));
        let ran = cluster.spinway(&["plan", repo.dir(), "-o", "json"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        let live = json(&ran);
        assert_eq!(replaces(&live).0, expected, "{text}{from} -> {to}: {live:#}");
        let ran = run(&["plan", repo.dir(), "--snapshot", snapshot, "-o", "json"]);
        // Which value a Secret has is not in a snapshot.
        let expected = expected && !(text.contains("kind: Secret") && from == "a: one");
        assert_eq!(replaces(&json(&ran)).0, expected, "by a snapshot: {text}{from} -> {to}: {}", Ran(&ran));
    }
}

#[test]
fn an_item_that_is_inserted_is_one_difference() {
    let fields = |before: &str, after: &str| {
        let report = planned(before, after);
        let changed = report["changes"].as_array().expect("changes").iter().find(|row| row["action"] == "update");
        let fields = changed.map(|row| row["fields"].clone()).unwrap_or_default();
        let paths = fields.as_array().into_iter().flatten().map(|field| field["path"].as_str().unwrap_or_default());
        paths.map(str::to_owned).collect::<Vec<_>>()
    };
    let env = |items: &str| deployment("web", "", &format!(", env: [{items}]"));
    let (mode, zone) = ("{name: MODE, value: prod}", "{name: ZONE, value: east}");
    let inserted =
        fields(&env(&format!("{mode}, {zone}")), &env(&format!("{{name: LEVEL, value: info}}, {mode}, {zone}")));
    assert!(inserted.iter().all(|path| path.contains("env[name=LEVEL]")) && !inserted.is_empty(), "{inserted:?}");
    let removed = fields(&env(&format!("{mode}, {zone}")), &env(zone));
    assert!(removed.iter().all(|path| path.contains("env[name=MODE]")) && !removed.is_empty(), "{removed:?}");
    let ports = |items: &str| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: default}}\nspec: {{selector: {{a: b}}, ports: [{items}]}}\n"
        )
    };
    let added = fields(&ports("{name: a, port: 80}"), &ports("{name: b, port: 79}, {name: a, port: 80}"));
    assert!(added.iter().all(|path| path.contains("ports[port=79,protocol=TCP]")) && !added.is_empty(), "{added:?}");
    // The API server takes the variables of a SpinApp as a whole; by name they are told apart all the same.
    let app = |items: &str| {
        format!(
            "---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: a, namespace: default}}\nspec: {{image: \"reg.example/a:1\", executor: e, replicas: 1, variables: [{items}]}}\n"
        )
    };
    let (old, new) = ("{name: mode, value: prod}", "{name: level, value: info}, {name: mode, value: test}");
    let found = fields(&app(old), &app(new));
    assert_eq!(found, ["spec.variables[name=level]", "spec.variables[name=mode].value"]);
}

/// A snapshot of a cluster that holds these objects.
fn snapshot(kinds: &[(&str, &str, &str, &str)], objects: &[Value]) -> String {
    let kind = |(group, version, kind, plural): &(&str, &str, &str, &str)| {
        let namespaced = *kind != "GatewayClass";
        json!({"group": group, "kind": kind, "versions": [version], "plural": plural, "namespaced": namespaced, "listed": "all"})
    };
    let kinds: Vec<Value> = kinds.iter().map(kind).collect();
    let now = utc_now();
    let text = json!({"schema": "spinway.dev/snapshot/v1", "time": now, "cluster": "11111111-2222-4333-8444-555555555555",
        "kinds": kinds, "absent": [], "objects": objects});
    text.to_string()
}

/// The time now, as RFC 3339.
fn utc_now() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().expect("date runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// An object that spinway applied with these fields.
fn live(api_version: &str, kind: &str, name: &str, fields: &Value, rest: &Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "default", "annotations": {"spinway.dev/applied": "0:"}, "uid": format!("uid-{name}"), "generation": 1,
        "managedFields": [{"manager": "spinway", "operation": "Apply", "apiVersion": api_version, "time": "2026-11-20T10:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields}]}});
    object.as_object_mut().expect("a map").extend(rest.as_object().expect("a map").clone());
    object
}

fn with_snapshot(verb: &str, repo: &Repo, text: &str) -> Value {
    repo.write("snapshot.txt", text);
    let file = repo.file("snapshot.txt");
    let ran = run(&[verb, repo.dir(), "--snapshot", file.to_str().expect("a plain path"), "-o", "json"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    json(&ran)
}

const SCALERS: [&str; 2] = [
    "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: s, namespace: default}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 2, maxReplicas: 9}\n",
    "---\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: s, namespace: default}\nspec: {scaleTargetRef: {name: web}, minReplicaCount: 2, maxReplicaCount: 9, triggers: [{type: cron, metadata: {}}]}\n",
];

#[test]
fn pods_keep_their_number_until_the_autoscaler_that_takes_over_writes_it() {
    let kinds = [
        ("apps", "v1", "Deployment", "deployments"),
        ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
    ];
    let held = json!({"f:metadata": {"f:annotations": {"f:spinway.dev/applied": {}}}, "f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {"f:metadata": {"f:labels": {"f:app": {}, "f:tier": {}}},
        "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}});
    let template = json!({"metadata": {"labels": {"app": "web", "tier": "web"}}, "spec": {"containers": [{"name": "c", "image": "reg.example/c:1"}]}});
    let web = live(
        "apps/v1",
        "Deployment",
        "web",
        &held,
        &json!({"spec": {"replicas": 6, "selector": {"matchLabels": {"app": "web"}}, "template": template}}),
    );
    let text = snapshot(&kinds, &[web]);
    for scaler in SCALERS {
        let repo = Repo::empty();
        repo.write("all.yaml", &(deployment("web", "", "") + scaler));
        let report = with_snapshot("plan", &repo, &text);
        let web = row(&report, "Deployment", "web");
        assert_eq!((&web["action"], &web["fields"]), (&json!("unchanged"), &json!([])), "{web:#}");
        assert_eq!(
            (&web["left"][0]["path"], &web["left"][0]["before"]),
            (&json!("spec.replicas"), &json!(6)),
            "{web:#}"
        );
        // A kept number is no drift.
        let drift = with_snapshot("drift", &repo, &text);
        assert_eq!(drift["changes"], json!([]), "{drift:#}");
    }
    // Nobody takes over: the plan says where the number falls to.
    let repo = Repo::empty();
    repo.write("all.yaml", &deployment("web", "", ""));
    let report = with_snapshot("plan", &repo, &text);
    let fields = &row(&report, "Deployment", "web")["fields"];
    assert_eq!(
        (&fields[0]["path"], &fields[0]["before"], &fields[0]["after"]),
        (&json!("spec.replicas"), &json!(6), &json!(1)),
        "{fields:#}"
    );
}

#[test]
fn an_app_that_is_handed_to_an_autoscaler_names_the_fall_of_its_pods() {
    let app = |spec: &str| {
        format!(
            "---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: web, namespace: default}}\nspec: {{image: \"reg.example/a:1\", executor: e, {spec}}}\n"
        )
    };
    let breaks = |before: &str, scaler: &str| {
        let report = planned(&app(before), &(app("enableAutoscaling: true") + scaler));
        let web = row(&report, "SpinApp", "web").clone();
        assert!(web["needs"].to_string().contains("\"s\""), "the autoscaler comes first: {web:#}");
        web["breaks"].as_str().unwrap_or_default().to_owned()
    };
    for scaler in SCALERS {
        assert!(breaks("replicas: 6", scaler).contains("falls from 6 to 1"), "{scaler}");
        // It wants more than there are, so it writes the number first.
        assert_eq!(breaks("replicas: 6", &scaler.replace(": 2,", ": 7,")), "", "{scaler}");
        assert_eq!(breaks("replicas: 1", scaler), "", "{scaler}");
    }
}

#[test]
fn a_gateway_does_not_wait_for_a_certificate_that_is_proved_through_it() {
    let repo = Repo::empty();
    repo.commit("empty");
    repo.copy_from(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/certificates/repo"));
    let needs = |repo: &Repo| {
        let ran = run(&["plan", repo.dir(), "--against", "HEAD", "-o", "json"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        row(&json(&ran), "Gateway", "web")["needs"].to_string()
    };
    assert!(!needs(&repo).contains("Certificate"), "{}", needs(&repo));
    // By DNS it is issued whether the Gateway is there or not, so it comes first.
    repo.edit(
        "edge.yaml",
        "- http01: {gatewayHTTPRoute: {parentRefs: [{name: web, namespace: edge, sectionName: http}]}}",
        "- dns01: {route53: {region: eu}}",
    );
    assert!(needs(&repo).contains("Certificate"), "{}", needs(&repo));
}

#[test]
fn a_listener_whose_certificate_is_being_issued_is_on_its_way() {
    let kinds = [
        ("", "v1", "Secret", "secrets"),
        ("gateway.networking.k8s.io", "v1", "Gateway", "gateways"),
        ("gateway.networking.k8s.io", "v1", "ListenerSet", "listenersets"),
        ("cert-manager.io", "v1", "Certificate", "certificates"),
    ];
    let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "message": "m", "observedGeneration": 1});
    let spec = json!({"gatewayClassName": "c", "listeners": [{"name": "https", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "site"}]}}]});
    let listener = json!([{"name": "https", "conditions": [condition("Accepted", "True", "Accepted"), condition("ResolvedRefs", "False", "InvalidCertificateRef")]}]);
    let status = json!({"conditions": [condition("Accepted", "True", "ListenersNotValid"), condition("Programmed", "False", "Invalid")], "listeners": listener});
    let repo = Repo::empty();
    let text = |kind: &str| {
        format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: g, namespace: default}}\nspec: {spec}\n"
        )
    };
    let certificate = "---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: site, namespace: default}\nspec: {secretName: site, dnsNames: [a.example], issuerRef: {name: i}}\n";
    let issued = |ready: &str| {
        live(
            "cert-manager.io/v1",
            "Certificate",
            "site",
            &json!({}),
            &json!({"spec": {"secretName": "site"}, "status": {"conditions": [condition("Ready", ready, "Any")]}}),
        )
    };
    for kind in ["Gateway", "ListenerSet"] {
        let gateway =
            live("gateway.networking.k8s.io/v1", kind, "g", &json!({}), &json!({"spec": spec, "status": status}));
        let verdict = |certificate: &str, objects: &[Value]| {
            repo.write("all.yaml", &(text(kind) + certificate));
            let report =
                with_snapshot("status", &repo, &snapshot(&kinds, &[std::slice::from_ref(&gateway), objects].concat()));
            let health =
                report["health"].as_array().expect("health").iter().find(|row| row["object"]["name"] == "g").cloned();
            health.expect("the Gateway")["verdict"].as_str().unwrap_or_default().to_owned()
        };
        assert_eq!(verdict(certificate, &[issued("False")]), "progressing", "{kind}");
        assert_eq!(verdict(certificate, &[]), "progressing", "{kind}: it is about to be made");
        assert_eq!(verdict("", &[]), "failed", "{kind}: nothing makes it");
        let secret = live("v1", "Secret", "site", &json!({}), &json!({"type": "kubernetes.io/tls"}));
        assert_eq!(verdict(certificate, &[issued("True"), secret]), "failed", "{kind}: what was issued is not valid");
    }
}

#[test]
fn an_app_without_executor_comes_after_the_one_that_is_filled_in() {
    let executor = "---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {name: shim, namespace: default}\nspec: {createDeployment: true, deploymentConfig: {runtimeClassName: spin}}\n";
    let app = "---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: web, namespace: default}\nspec: {image: \"reg.example/a:1\", replicas: 1}\n";
    let definition =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crds/spinkube.yaml")).expect("a CRD");
    for more in [String::new(), format!("---\n{definition}")] {
        let report = planned("", &(app.to_owned() + executor + &more));
        let web = row(&report, "SpinApp", "web");
        assert_eq!(web["action"], "create", "{web:#}");
        assert!(web["needs"].to_string().contains("SpinAppExecutor"), "{web:#}");
    }
    let elsewhere = executor.replace("namespace: default", "namespace: infra");
    let report = planned("", &(app.to_owned() + &elsewhere));
    assert_eq!(row(&report, "SpinApp", "web")["action"], "blocked", "{report:#}");
}

#[test]
fn repositories_with_certificates_and_with_keda_check_clean() {
    for fixture in ["certificates", "scaled"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{fixture}/repo"));
        let ran = run(&["check", folder.to_str().expect("a plain path"), "-o", "json"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        let report = json(&ran);
        let found = report["diagnostics"].as_array().expect("diagnostics").iter();
        let found: Vec<&Value> = found.filter(|finding| finding["severity"] != "note").collect();
        assert!(found.is_empty(), "{fixture}: {found:#?}");
        let repo = Repo::empty();
        repo.commit("empty");
        repo.copy_from(&folder);
        let ran = run(&["plan", repo.dir(), "--against", "HEAD", "-o", "json"]);
        let report = json(&ran);
        assert!(actions(&report).iter().all(|line| line.starts_with("create ")), "{fixture}: {}", Ran(&ran));
    }
}

#[test]
fn a_credential_in_a_file_is_not_shown_by_any_finding_of_it() {
    let repo = Repo::empty();
    let key = ["sk_", "live_", "4hTq9ZsXw2LmB7vKc81RdYpN"].concat();
    repo.write("app.yaml", &format!("apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: a, namespace: default}}\nspec: {{image: a, executor: e, variables: [{{name: k, value: {key}}}]}}\n"));
    for format in ["text", "json", "markdown", "sarif", "junit", "github"] {
        let ran = run(&["check", repo.dir(), "-o", format]);
        let shown = Ran(&ran).to_string();
        assert!(shown.contains("SPW044") && !shown.contains(&key), "{format}: {shown}");
    }
}
