//! How the agent runs: as a CronJob or a Deployment, confined.

use super::Names;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The user that the agent runs as; any that is not root will do.
const USER: u32 = 65532;
/// The port of its metrics, when it runs all the time.
pub(crate) const METRICS_PORT: u16 = 9464;

/// The Secret with the credentials that push snapshots.
const SNAPSHOT_SECRET: &str = "spinway-snapshots";

/// The Secret with the kubeconfig files of a fleet, at `/clusters`.
const CLUSTERS_SECRET: &str = "spinway-clusters";
/// The file that says who the members of a fleet are.
const FLEET_FILE: &str = "fleet.yaml";

/// How it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// One turn at a time, on a schedule as cron(8) writes it.
    CronJob(String),
    /// All the time, asking the Git server every so many seconds.
    Deployment(u64),
}

/// What an administrator decides about the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// How it runs.
    pub run: Run,
    /// Its image.
    pub image: String,
    /// The Secret with its credentials for Git.
    pub git_secret: String,
    /// The branch below which it keeps snapshots for pull requests, if it does.
    pub snapshot_branch: Option<String>,
    /// The members that it turns to instead of one environment of this cluster, if it does.
    pub fleet: Option<FleetSetting>,
    /// Its further arguments: the repository, and what is read of it.
    pub arguments: Vec<String>,
    /// Seconds that one turn of a CronJob may take.
    pub deadline: u64,
}

/// Many environments and clusters for one Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetSetting {
    /// The text of the fleet file.
    pub text: String,
    /// Over how many pods it is shared.
    pub shards: u32,
}

/// The workload and its NetworkPolicy; `asked` are the ports of Gateways that it asks.
pub(super) fn manifests(names: &Names, setting: &Setting, asked: &BTreeSet<u16>) -> Vec<Value> {
    let fleet = setting.fleet.iter().map(|fleet| {
        let data = json!({"data": {FLEET_FILE: fleet.text}});
        names.object("v1", "ConfigMap", &names.namespace, &names.agent, data)
    });
    let mut made: Vec<Value> = fleet.collect();
    let workload = match &setting.run {
        Run::CronJob(schedule) => cron_job(names, setting, schedule),
        Run::Deployment(_) => deployment(names, setting),
    };
    made.extend([network_policy(names, setting, asked), workload]);
    made
}

fn labels(names: &Names) -> Value {
    json!({"app.kubernetes.io/name": "spinway", "app.kubernetes.io/instance": names.agent})
}

fn cron_job(names: &Names, setting: &Setting, schedule: &str) -> Value {
    let mut job = json!({
        "backoffLimit": 0,
        "activeDeadlineSeconds": setting.deadline,
        "ttlSecondsAfterFinished": 86400,
        "template": template(names, setting, "Never"),
    });
    if let (Some(fleet), Some(job)) = (&setting.fleet, job.as_object_mut()) {
        // One pod each; one that fails ends none of the others (KEP-3850), and its members are done by the next Job.
        job.insert("completionMode".to_owned(), json!("Indexed"));
        job.insert("completions".to_owned(), json!(fleet.shards));
        job.insert("parallelism".to_owned(), json!(fleet.shards));
        job.insert("backoffLimitPerIndex".to_owned(), json!(0));
        job.remove("backoffLimit");
    }
    let spec = json!({
        "schedule": schedule,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 300,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {"spec": job},
    });
    names.object("batch/v1", "CronJob", &names.namespace, &names.agent, json!({"spec": spec}))
}

fn deployment(names: &Names, setting: &Setting) -> Value {
    let spec = json!({
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": labels(names)},
        "template": template(names, setting, "Always"),
    });
    names.object("apps/v1", "Deployment", &names.namespace, &names.agent, json!({"spec": spec}))
}

fn template(names: &Names, setting: &Setting, restart: &str) -> Value {
    let secret = |name: &str, secret: &str| json!({"name": name, "secret": {"secretName": secret, "defaultMode": 0o400, "optional": true}});
    let mut volumes = vec![
        secret("git", &setting.git_secret),
        json!({"name": "cache", "emptyDir": {"sizeLimit": "2Gi"}}),
        json!({"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}),
    ];
    if setting.fleet.is_some() {
        volumes.push(secret("clusters", CLUSTERS_SECRET));
        volumes.push(json!({"name": "fleet", "configMap": {"name": names.agent}}));
    }
    if setting.snapshot_branch.is_some() {
        volumes.push(secret("snapshots", SNAPSHOT_SECRET));
    }
    json!({
        "metadata": {"labels": labels(names)},
        "spec": {
            "serviceAccountName": names.agent,
            "restartPolicy": restart,
            "terminationGracePeriodSeconds": 30,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container(names, setting)],
            "volumes": volumes,
        },
    })
}

fn container(names: &Names, setting: &Setting) -> Value {
    let mut arguments = vec!["agent".to_owned()];
    match &setting.run {
        Run::CronJob(_) => arguments.push("--once".to_owned()),
        Run::Deployment(seconds) => {
            arguments.extend([format!("--interval={seconds}s"), format!("--metrics=0.0.0.0:{METRICS_PORT}")]);
        }
    }
    arguments.extend(match &setting.fleet {
        None => vec![format!("--env={}", names.environment)],
        // The kubelet puts in the index of the pod.
        Some(fleet) => {
            vec![format!("--fleet=/fleet/{FLEET_FILE}"), format!("--shard=$(JOB_COMPLETION_INDEX)/{}", fleet.shards)]
        }
    });
    arguments.extend([format!("--inventory-namespace={}", names.namespace), "--git-secret=/git".to_owned()]);
    let mut mounts = vec![
        json!({"name": "git", "mountPath": "/git", "readOnly": true}),
        json!({"name": "cache", "mountPath": "/cache"}),
        json!({"name": "tmp", "mountPath": "/tmp"}),
    ];
    if setting.fleet.is_some() {
        mounts.push(json!({"name": "clusters", "mountPath": "/clusters", "readOnly": true}));
        mounts.push(json!({"name": "fleet", "mountPath": "/fleet", "readOnly": true}));
    }
    if let Some(branch) = &setting.snapshot_branch {
        arguments.extend([format!("--snapshot-branch={branch}"), "--snapshot-secret=/snapshots".to_owned()]);
        mounts.push(json!({"name": "snapshots", "mountPath": "/snapshots", "readOnly": true}));
    }
    arguments.extend(setting.arguments.iter().cloned());
    let mut container = json!({
        "name": "spinway",
        "image": setting.image,
        "args": arguments,
        "env": [
            {"name": "SPINWAY_CACHE", "value": "/cache"},
            {"name": "HOSTNAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": mounts,
    });
    if matches!(setting.run, Run::Deployment(_)) {
        container["ports"] = json!([{"name": "metrics", "containerPort": METRICS_PORT}]);
    }
    container
}

/// It calls DNS, the API server, Git, those who are told and Gateways; nobody calls it but who reads its metrics.
fn network_policy(names: &Names, setting: &Setting, asked: &BTreeSet<u16>) -> Value {
    let port = |protocol: &str, port: u16| json!({"protocol": protocol, "port": port});
    let known = [53, 443, 6443, 22];
    let others = asked.iter().copied().filter(|port| !known.contains(port));
    let tcp = known.into_iter().chain(others).map(|number| port("TCP", number));
    let egress = json!([{"ports": std::iter::once(port("UDP", 53)).chain(tcp).collect::<Vec<_>>()}]);
    let ingress = match setting.run {
        Run::CronJob(_) => json!([]),
        Run::Deployment(_) => json!([{"ports": [port("TCP", METRICS_PORT)]}]),
    };
    let spec = json!({
        "podSelector": {"matchLabels": labels(names)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    });
    names.object("networking.k8s.io/v1", "NetworkPolicy", &names.namespace, &names.agent, json!({"spec": spec}))
}
