//! Tables of verdicts: what controllers and kubelets record, and what is said of it.

use super::health::{Health, Verdict, World};
use super::{health, serving};
use crate::object::ObjectRef;
use serde_json::{Value, json};

const NOW: &str = "2026-11-28T12:10:00Z";

/// A cluster at a time.
#[derive(Default)]
struct Seen {
    objects: Vec<Value>,
    read: Vec<&'static str>,
    partial: bool,
}

impl World for Seen {
    fn live(&self, reference: &ObjectRef) -> Option<&Value> {
        self.objects.iter().find(|value| ObjectRef::of(value).as_ref() == Some(reference))
    }

    fn is_unread(&self, _: &ObjectRef) -> bool {
        false
    }

    fn is_desired(&self, _: &ObjectRef) -> bool {
        false
    }

    fn all(&self, group: &str, kind: &str, namespace: &str) -> Vec<&Value> {
        let is = |value: &&Value| ObjectRef::of(value).is_some_and(|r| r.is(group, kind) && r.namespace() == namespace);
        self.objects.iter().filter(is).collect()
    }

    fn has_read(&self, _: &str, kind: &str) -> bool {
        self.read.contains(&kind)
    }

    fn now(&self) -> Option<i64> {
        crate::object::seconds(NOW)
    }

    fn is_partial(&self) -> bool {
        self.partial
    }
}

impl Seen {
    fn with(mut self, value: Value) -> Self {
        self.objects.push(value);
        self
    }

    fn of(&self, group: &str, kind: &str, name: &str) -> Health {
        let reference = ObjectRef::new(group, kind, "ns", name);
        health(&reference, self.live(&reference).unwrap_or(&Value::Null), self, &[])
    }
}

/// A time so many seconds ago.
fn ago(seconds: i64) -> String {
    let now = crate::object::seconds(NOW).unwrap_or_default();
    jiff::Timestamp::from_second(now - seconds).unwrap_or_default().to_string()
}

fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            patch.iter().for_each(|(key, value)| merge(into.entry(key.as_str()).or_insert(Value::Null), value));
        }
        (into, patch) => *into = patch.clone(),
    }
}

fn app(changed: i64, spec: &Value) -> Value {
    let mut app = json!({"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp",
        "metadata": {"name": "cart", "namespace": "ns", "uid": "u", "generation": 2,
                     "managedFields": [{"manager": "spinway", "operation": "Apply", "time": ago(changed)},
                                       {"manager": "spin-operator", "subresource": "status", "time": ago(0)}]},
        "spec": {"image": "i:2", "executor": "shim", "replicas": 2}});
    merge(&mut app["spec"], spec);
    app
}

/// The Deployment that the operator made of an app without further fields, rolled out.
fn deployment(written: i64, container: &Value, patch: &Value) -> Value {
    let mut made = json!({"name": "cart", "image": "i:2", "command": ["/"], "terminationMessagePath": "/dev/termination-log",
        "env": [{"name": "SPIN_HTTP_LISTEN_ADDR", "value": "0.0.0.0:80"}], "resources": {},
        "ports": [{"name": "http-app", "containerPort": 80, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/up", "port": 80, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}});
    merge(&mut made, container);
    let labels = json!({"core.spinkube.dev/app-name": "cart", "core.spinkube.dev/app.cart.status": "ready"});
    let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "cart", "namespace": "ns", "generation": 5, "ownerReferences": [{"kind": "SpinApp", "name": "cart", "uid": "u"}],
                     "managedFields": [{"manager": "spin-operator", "operation": "Apply", "time": ago(written)}]},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": {"containers": [made]}}},
        "status": {"observedGeneration": 5, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}});
    merge(&mut deployment, patch);
    deployment
}

fn probed() -> Value {
    json!({"checks": {"readiness": {"httpGet": {"path": "/up"}, "timeoutSeconds": 1}}})
}

fn verdict(seen: &Seen) -> (Verdict, String, bool) {
    let health = seen.of(super::SPIN, "SpinApp", "cart");
    (health.verdict, health.reason.raw().to_owned(), health.warning.is_some())
}

#[test]
fn an_app_is_current_only_when_its_deployment_carries_its_spec() {
    use Verdict::{Current, Progressing};
    let env = |name: &str, value: &str| json!({"env": [{"name": name, "value": value}]});
    let variable = |value: &str| json!({"variables": [{"name": "greeting", "value": value}]});
    let rows: Vec<(&str, Value, Value, Value, bool)> = vec![
        ("nothing", json!({}), json!({}), json!({}), true),
        ("variable", variable("b"), env("SPIN_VARIABLE_GREETING", "b"), json!({}), true),
        ("variable of before", variable("b"), env("SPIN_VARIABLE_GREETING", "a"), json!({}), false),
        ("new variable", variable("b"), json!({}), json!({}), false),
        ("removed variable", json!({}), env("SPIN_VARIABLE_GREETING", "a"), json!({}), false),
        ("empty variable", variable(""), json!({"env": [{"name": "SPIN_VARIABLE_GREETING"}]}), json!({}), true),
        (
            "variable from a Secret, with defaults",
            json!({"variables": [{"name": "token", "valueFrom": {"fieldRef": {"fieldPath": "a"}}}]}),
            json!({"env": [{"name": "SPIN_VARIABLE_TOKEN", "valueFrom": {"fieldRef": {"fieldPath": "a", "apiVersion": "v1"}}}]}),
            json!({}),
            true,
        ),
        (
            "variable from another Secret",
            json!({"variables": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "s2", "key": "k"}}}]}),
            json!({"env": [{"name": "SPIN_VARIABLE_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s1", "key": "k"}}}]}),
            json!({}),
            false,
        ),
        ("probe path", json!({"checks": {"readiness": {"httpGet": {"path": "/new"}}}}), json!({}), json!({}), false),
        ("probe delay", json!({"checks": {"readiness": {"initialDelaySeconds": 10}}}), json!({}), json!({}), false),
        (
            "probe zero is default",
            json!({"checks": {"readiness": {"initialDelaySeconds": 0, "periodSeconds": 0}}}),
            json!({}),
            json!({}),
            true,
        ),
        ("liveness added", json!({"checks": {"liveness": {"httpGet": {"path": "/"}}}}), json!({}), json!({}), false),
        ("liveness removed", json!({}), json!({"livenessProbe": {"httpGet": {"path": "/"}}}), json!({}), false),
        (
            "resources respelled",
            json!({"resources": {"limits": {"cpu": "1000m"}}}),
            json!({"resources": {"limits": {"cpu": "1"}}}),
            json!({}),
            true,
        ),
        (
            "resources",
            json!({"resources": {"limits": {"cpu": "2"}}}),
            json!({"resources": {"limits": {"cpu": "1"}}}),
            json!({}),
            false,
        ),
        (
            "pod annotation",
            json!({"podAnnotations": {"a": "2"}}),
            json!({}),
            json!({"spec": {"template": {"metadata": {"annotations": {"a": "1"}}}}}),
            false,
        ),
        (
            "foreign annotation",
            json!({"podAnnotations": {"a": "1"}}),
            json!({}),
            json!({"spec": {"template": {"metadata": {"annotations": {"a": "1", "restartedAt": "x"}}}}}),
            true,
        ),
        ("deployment annotation", json!({"deploymentAnnotations": {"a": "2"}}), json!({}), json!({}), false),
        ("pod label", json!({"podLabels": {"a": "2"}}), json!({}), json!({}), false),
        ("account", json!({"serviceAccountName": "sa"}), json!({}), json!({}), false),
        ("default account", json!({"serviceAccountName": "default"}), json!({}), json!({}), true),
        ("pull secret", json!({"imagePullSecrets": [{"name": "s"}]}), json!({}), json!({}), false),
        (
            "volume with defaults",
            json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}),
            json!({}),
            json!({"spec": {"template": {"spec": {"volumes": [{"name": "spin-ca"}, {"name": "v", "secret": {"secretName": "s", "defaultMode": 420}}]}}}}),
            true,
        ),
        ("volume", json!({"volumes": [{"name": "v", "emptyDir": {}}]}), json!({}), json!({}), false),
        ("components", json!({"components": ["a", "b"]}), json!({}), json!({}), false),
        ("runtime config", json!({"runtimeConfig": {"loadFromSecret": "s"}}), json!({}), json!({}), false),
    ];
    for (name, spec, container, patch, same) in rows {
        let mut wanted = probed();
        merge(&mut wanted, &spec);
        let at = |changed: i64, written: i64| {
            let seen = Seen::default().with(app(changed, &wanted)).with(deployment(written, &container, &patch));
            verdict(&seen)
        };
        let updating = (Progressing, "Updating".to_owned(), false);
        let current = (Current, String::new(), false);
        assert_eq!(at(1, 0), if same { current.clone() } else { updating.clone() }, "{name}");
        // The operator has answered and left it so: another way of writing it.
        assert_eq!(at(31, 30), if same { current.clone() } else { (Current, String::new(), true) }, "{name}, left");
        // It has not answered: it may be restarting.
        assert_eq!(at(60, 500), if same { current.clone() } else { updating }, "{name}, silent");
        assert_eq!(
            at(120, 500),
            if same { current } else { (Current, String::new(), true) },
            "{name}, silent for long"
        );
    }
}

#[test]
fn image_and_replicas_are_never_excused() {
    for spec in [json!({"image": "i:3"}), json!({"replicas": 3}), json!({"replicas": 1})] {
        let mut wanted = probed();
        merge(&mut wanted, &spec);
        let seen = Seen::default().with(app(9000, &wanted)).with(deployment(8000, &json!({}), &json!({})));
        assert_eq!(verdict(&seen), (Verdict::Progressing, "Updating".to_owned(), false), "{spec}");
    }
}

#[test]
fn a_change_that_no_deployment_shows_settles() {
    let spec = || {
        let mut spec = probed();
        merge(&mut spec, &json!({"runtimeConfig": {"keyValueStores": [{"name": "x", "type": "redis"}]}}));
        spec
    };
    let at = |changed, written| {
        verdict(&Seen::default().with(app(changed, &spec())).with(deployment(written, &json!({}), &json!({}))))
    };
    assert_eq!(at(4, 500), (Verdict::Progressing, "Settling".to_owned(), false));
    assert_eq!(at(5, 500).0, Verdict::Current);
    assert_eq!(at(1, 0).0, Verdict::Current, "the operator has answered");
}

#[test]
fn what_the_operator_records_comes_first() {
    let mut stale = app(1, &probed());
    stale["status"] = json!({"observedGeneration": 1});
    let seen = Seen::default().with(stale).with(deployment(0, &json!({}), &json!({})));
    assert_eq!(verdict(&seen), (Verdict::Progressing, "Stale".to_owned(), false));
    let mut other = app(1, &json!({"variables": [{"name": "a", "value": "b"}]}));
    other["status"] = json!({"conditions": [{"type": "Available", "status": "True", "observedGeneration": 2}]});
    let seen = Seen::default().with(other).with(deployment(0, &json!({}), &json!({})));
    assert_eq!(
        verdict(&seen),
        (Verdict::Current, String::new(), false),
        "it has seen the variable, however it writes it"
    );
}

#[test]
fn pods_that_nothing_probes_must_run_for_a_moment() {
    let at = |done: i64| {
        let conditions = json!([{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "lastUpdateTime": ago(done)}]);
        let mut made = deployment(1, &json!({}), &json!({"status": {"conditions": conditions}}));
        made["spec"]["template"]["spec"]["containers"][0].as_object_mut().map(|c| c.remove("readinessProbe"));
        verdict(&Seen::default().with(app(2, &json!({}))).with(made))
    };
    assert_eq!(at(1), (Verdict::Progressing, "Steadying".to_owned(), false));
    assert_eq!(at(3).0, Verdict::Current);
}

/// A pod of a Deployment's template whose container is in that state since then.
fn pod(made: &Value, name: &str, state: &Value, since: i64) -> Value {
    let template = &made["spec"]["template"];
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "ns", "labels": template["metadata"]["labels"], "creationTimestamp": ago(since)},
        "spec": template["spec"], "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": ago(since)}],
        "containerStatuses": [{"name": "cart", "state": state}]}});
    pod["metadata"]["labels"]["pod-template-hash"] = json!("h1");
    pod
}

fn waiting(reason: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": "m"}})
}

#[test]
fn loops_are_failures_after_two_minutes_and_crashes_at_once() {
    use Verdict::{Failed, Progressing};
    let rows = [
        ("ErrImagePull", 5, Progressing),
        ("ErrImagePull", 119, Progressing),
        ("ErrImagePull", 120, Failed),
        ("ImagePullBackOff", 60, Progressing),
        ("ImagePullBackOff", 121, Failed),
        ("CreateContainerConfigError", 60, Progressing),
        ("CreateContainerConfigError", 500, Failed),
        ("InvalidImageName", 0, Failed),
        ("CrashLoopBackOff", 0, Failed),
    ];
    let short = json!({"status": {"updatedReplicas": 1, "replicas": 3}});
    for (reason, since, expected) in rows {
        let made = deployment(since, &json!({}), &short);
        let pod = pod(&made, "p", &waiting(reason), since);
        let seen = Seen::default().with(app(since, &probed())).with(made.clone()).with(pod.clone());
        assert_eq!(verdict(&seen), (expected, reason.to_owned(), false), "SpinApp {since}");
        let health = seen.of("apps", "Deployment", "cart");
        assert_eq!((health.verdict, health.reason.raw()), (expected, reason), "Deployment {since}");
        let health = seen.of("", "Pod", "p");
        assert_eq!((health.verdict, health.reason.raw()), (expected, reason), "Pod {since}");
    }
    // A running pod that never gets ready is on its way: the deadline decides.
    let made = deployment(900, &json!({}), &short);
    let pod = pod(&made, "p", &json!({"running": {}}), 900);
    let seen = Seen::default().with(app(900, &probed())).with(made).with(pod);
    assert_eq!(verdict(&seen), (Progressing, "Updating".to_owned(), false));
}

#[test]
fn an_image_that_fails_after_a_restart_begins_a_new_loop() {
    let made = deployment(900, &json!({}), &json!({"status": {"availableReplicas": 1}}));
    let mut pod = pod(&made, "p", &waiting("ErrImagePull"), 900);
    pod["status"]["containerStatuses"][0]["lastState"] = json!({"terminated": {"exitCode": 1, "finishedAt": ago(10)}});
    let seen = Seen::default().with(app(900, &probed())).with(made).with(pod);
    assert_eq!(verdict(&seen).0, Verdict::Progressing);
}

#[test]
fn pods_of_an_older_template_never_count() {
    let short = json!({"status": {"updatedReplicas": 1, "replicas": 3}});
    let env = |value: &str| json!({"env": [{"name": "SPIN_VARIABLE_A", "value": value}]});
    let wanted = |value: &str| {
        let mut spec = probed();
        merge(&mut spec, &json!({"variables": [{"name": "a", "value": value}]}));
        spec
    };
    let old = deployment(500, &env("crash"), &short);
    let new = deployment(1, &env("good"), &short);
    let crashed = pod(&old, "old", &waiting("CrashLoopBackOff"), 400);
    let seen = Seen::default().with(app(2, &wanted("good"))).with(new.clone()).with(crashed.clone());
    assert_eq!(verdict(&seen), (Verdict::Progressing, "Updating".to_owned(), false));
    // Nor does the pod of before count while the Deployment is not written yet, whatever it will be.
    let seen = Seen::default().with(app(0, &wanted("good"))).with(old).with(crashed);
    assert_eq!(verdict(&seen), (Verdict::Progressing, "Updating".to_owned(), false));
    let stateful = |revision: &str| {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "s-0", "namespace": "ns", "labels": {"app": "s", "controller-revision-hash": revision}},
            "status": {"containerStatuses": [{"state": waiting("CrashLoopBackOff")}]}});
        let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s", "namespace": "ns"}, "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "s"}}},
            "status": {"updateRevision": "r2", "replicas": 1}});
        Seen::default().with(set).with(pod).of("apps", "StatefulSet", "s").verdict
    };
    assert_eq!((stateful("r1"), stateful("r2")), (Verdict::Progressing, Verdict::Failed));
    let daemon = |generation: &str| {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "d", "namespace": "ns", "labels": {"app": "d", "pod-template-generation": generation}},
            "status": {"containerStatuses": [{"state": waiting("CrashLoopBackOff")}]}});
        let set = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d", "namespace": "ns", "annotations": {"deprecated.daemonset.template.generation": "2"}}, "spec": {"selector": {"matchLabels": {"app": "d"}}},
            "status": {"desiredNumberScheduled": 1}});
        Seen::default().with(set).with(pod).of("apps", "DaemonSet", "d").verdict
    };
    assert_eq!((daemon("1"), daemon("2")), (Verdict::Progressing, Verdict::Failed));
}

#[test]
fn a_quota_is_told_by_the_deployment_alone() {
    let at = |since: i64| {
        let failure = json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota", "lastTransitionTime": ago(since)}]);
        let status = json!({"status": {"updatedReplicas": 0, "replicas": 2, "conditions": failure}});
        verdict(&Seen::default().with(app(900, &probed())).with(deployment(900, &json!({}), &status)))
    };
    assert_eq!(at(10), (Verdict::Progressing, "FailedCreate".to_owned(), false));
    assert_eq!(at(120), (Verdict::Failed, "FailedCreate".to_owned(), false));
}

#[test]
fn a_job_restarts_what_crashed_until_it_gives_up() {
    let job = |state: &str| {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "j", "namespace": "ns", "labels": {"job": "j"}, "creationTimestamp": ago(500)},
            "status": {"containerStatuses": [{"state": waiting(state)}]}});
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "ns"}, "spec": {"selector": {"matchLabels": {"job": "j"}}}, "status": {"active": 1}});
        Seen::default().with(job).with(pod).of("batch", "Job", "j").verdict
    };
    assert_eq!((job("CrashLoopBackOff"), job("ImagePullBackOff")), (Verdict::Progressing, Verdict::Failed));
}

fn service(spec: &Value) -> Value {
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "ns"}, "spec": {"ports": [{"port": 80}]}});
    merge(&mut service["spec"], spec);
    service
}

fn slice(endpoints: &Value) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "cart-x", "namespace": "ns", "labels": {"kubernetes.io/service-name": "cart"}}, "ports": [{"port": 80}], "endpoints": endpoints})
}

fn served(seen: &Seen) -> (Verdict, String) {
    let health = serving(&ObjectRef::new("", "Service", "ns", "cart"), seen);
    (health.verdict, health.reason.raw().to_owned())
}

#[test]
fn a_service_serves_when_an_endpoint_is_ready() {
    use Verdict::{Current, Missing, Progressing, Unknown};
    let of_app = || service(&json!({"selector": {"core.spinkube.dev/app.cart.status": "ready"}}));
    let read = || Seen { read: vec!["EndpointSlice"], ..Seen::default() };
    let is = |verdict: Verdict, reason: &str| (verdict, reason.to_owned());
    assert_eq!(served(&Seen::default()), is(Missing, "Missing"));
    assert_eq!(served(&Seen::default().with(of_app())), is(Unknown, "EndpointsNotRead"));
    assert_eq!(served(&read().with(of_app())), is(Progressing, "NoEndpoints"));
    let rows = [
        (json!([]), Progressing),
        (json!([{"addresses": ["1"]}]), Current),
        (json!([{"addresses": ["1"], "conditions": {"ready": true, "serving": true, "terminating": false}}]), Current),
        (json!([{"addresses": ["1"], "conditions": {"ready": false}}]), Progressing),
        (
            json!([{"addresses": ["1"], "conditions": {"ready": false, "serving": true, "terminating": true}}]),
            Progressing,
        ),
        (
            json!([{"addresses": ["1"], "conditions": {"ready": true, "serving": true, "terminating": true}}]),
            Progressing,
        ),
        (json!([{"conditions": {"ready": false}}, {"conditions": {"ready": true}}]), Current),
    ];
    for (endpoints, verdict) in rows {
        assert_eq!(served(&Seen::default().with(of_app()).with(slice(&endpoints))).0, verdict, "{endpoints}");
        // Without selector someone else makes the slices; they decide.
        assert_eq!(
            served(&Seen::default().with(service(&json!({}))).with(slice(&endpoints))).0,
            verdict,
            "{endpoints}"
        );
    }
    let mut portless = slice(&json!([{"addresses": ["1"]}]));
    portless["ports"] = json!([]);
    assert_eq!(served(&read().with(of_app()).with(portless)), is(Progressing, "NoEndpoints"));
    let external = service(&json!({"type": "ExternalName", "externalName": "a.example"}));
    let health = serving(&ObjectRef::new("", "Service", "ns", "cart"), &Seen::default().with(external));
    assert!(health.verdict == Current && health.warning.is_some());
}

#[test]
fn zero_replicas_serve_only_when_a_request_wakes_them() {
    use Verdict::{Current, Failed, Progressing};
    let scaler = |group: &str, kind: &str, target: Value| json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": "s", "namespace": "ns"}, "spec": {"scaleTargetRef": target, "minReplicaCount": 0}});
    let ready = || slice(&json!([{"addresses": ["1"]}]));
    let seen = |spec: Value, replicas: i64, more: Option<Value>| {
        let of_app = service(&json!({"selector": {"core.spinkube.dev/app.cart.status": "ready"}}));
        let made = deployment(1, &json!({}), &json!({"spec": {"replicas": replicas}}));
        // An endpoint of before may still be there.
        let seen = Seen::default().with(of_app).with(app(1, &spec)).with(made).with(ready());
        served(&more.into_iter().fold(seen, Seen::with))
    };
    let zero = json!({"replicas": 0});
    let auto = json!({"replicas": null, "enableAutoscaling": true});
    let is = |verdict: Verdict, reason: &str| (verdict, reason.to_owned());
    assert_eq!(seen(zero.clone(), 0, None), is(Failed, "ZeroReplicas"));
    assert_eq!(seen(zero, 2, None), is(Failed, "ZeroReplicas"), "the operator has not seen it yet");
    assert_eq!(seen(auto.clone(), 2, None), is(Current, ""));
    let keda = scaler("keda.sh", "ScaledObject", json!({"name": "cart"}));
    assert_eq!(seen(auto.clone(), 0, Some(keda)), is(Progressing, "ScaledToZero"));
    let http = scaler("http.keda.sh", "HTTPScaledObject", json!({"name": "cart", "kind": "Deployment"}));
    assert_eq!(seen(auto.clone(), 0, Some(http)), is(Current, "WokenByRequests"));
    let http = scaler("http.keda.sh", "HTTPScaledObject", json!({"name": "other", "service": "cart"}));
    assert_eq!(seen(auto.clone(), 0, Some(http)), is(Current, "WokenByRequests"));
    let other = scaler("http.keda.sh", "HTTPScaledObject", json!({"name": "other"}));
    assert_eq!(seen(auto, 0, Some(other)), is(Failed, "ZeroReplicas"));
}

#[test]
fn a_service_without_endpoints_says_why() {
    let made = deployment(1, &json!({}), &json!({"status": {"availableReplicas": 0}}));
    let crashed = pod(&made, "p", &waiting("CrashLoopBackOff"), 0);
    let of_app = service(&json!({"selector": {"core.spinkube.dev/app.cart.status": "ready"}}));
    let seen = Seen::default().with(of_app).with(app(2, &probed())).with(made).with(crashed).with(slice(&json!([])));
    assert_eq!(served(&seen), (Verdict::Failed, "CrashLoopBackOff".to_owned()));
}
