//! The manifests that run the agent in a cluster: who it is, what it may do, and how it runs. An administrator applies them;
//! the agent never applies its own permissions.

mod people;
mod roles;
mod workload;

pub use roles::Rule;
pub(crate) use roles::{WRITE, resource};
pub use workload::{FleetSetting, Run, Setting};

use crate::desired::{Desired, Member, PLATFORM};
use crate::inventory::{PART_OF, id, parent_name};
use crate::kinds::{GATEWAY, PROBE};
use crate::object::annotation;
use crate::routing::listeners;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The label of everything that is installed.
const MANAGED: (&str, &str) = ("app.kubernetes.io/name", "spinway");

/// All manifests, in the order in which they can be applied.
pub fn manifests(desired: &Desired, setting: &Setting) -> Vec<Value> {
    let mut made = identity(desired);
    made.extend(workload::manifests(&Names::of(desired), setting, &asked_ports(desired)));
    made
}

/// The ports of Gateways of the repository, when the agent asks them whether they follow a route (`settle` with a probe).
fn asked_ports(desired: &Desired) -> BTreeSet<u16> {
    let probed = |member: &Member| annotation(&member.object.value, PROBE).is_some();
    if !desired.objects.values().any(probed) {
        return BTreeSet::new();
    }
    let gateways = desired.of_kind(GATEWAY, "Gateway", None);
    let ports = gateways.flat_map(|(_, member)| listeners(&member.object.value));
    ports.filter_map(|listener| u16::try_from(listener.get("port")?.as_u64()?).ok()).collect()
}

/// Who the agent is and what it may do, for a cluster that an agent elsewhere turns to.
pub fn identity(desired: &Desired) -> Vec<Value> {
    let names = Names::of(desired);
    let mut made = vec![names.object("v1", "Namespace", "", &names.namespace, json!({}))];
    made.extend(declared_namespaces(desired, &names));
    made.push(names.account(true));
    made.extend(permissions(desired));
    made
}

/// The agent of a fleet, which may do nothing in its own cluster: what it may do in others their kubeconfig files say.
pub fn fleet(desired: &Desired, setting: &Setting) -> Vec<Value> {
    let names =
        Names { agent: format!("spinway.{}.fleet.{}", desired.name, desired.environment.name), ..Names::of(desired) };
    let mut made = vec![names.object("v1", "Namespace", "", &names.namespace, json!({})), names.account(false)];
    made.extend(workload::manifests(&names, setting, &BTreeSet::new()));
    made
}

/// The permissions alone: of the agent, and the roles for people.
pub fn permissions(desired: &Desired) -> Vec<Value> {
    let names = Names::of(desired);
    let mut made = roles::manifests(desired, &names);
    made.extend(people::manifests(desired, &names));
    made
}

/// How everything of an installation is named.
struct Names {
    /// The Config.
    config: String,
    /// The environment.
    environment: String,
    /// The namespace of the inventory, where the agent runs.
    namespace: String,
    /// The agent.
    agent: String,
}

impl Names {
    fn of(desired: &Desired) -> Self {
        Self {
            config: desired.name.clone(),
            environment: desired.environment.name.clone(),
            namespace: desired.rules().inventory.namespace.clone(),
            // The same as its Lease.
            agent: format!("spinway.{}.{}", desired.name, desired.environment.name),
        }
    }

    /// Its ServiceAccount.
    fn account(&self, mounted: bool) -> Value {
        let fields = json!({"automountServiceAccountToken": mounted});
        self.object("v1", "ServiceAccount", &self.namespace, &self.agent, fields)
    }

    /// The inventories of all partitions.
    fn parents(&self, desired: &Desired) -> Vec<String> {
        let partitions = desired.config.as_ref().map(|config| config.partitions()).unwrap_or_default();
        partitions.iter().map(|partition| parent_name(&self.config, &self.environment, partition)).collect()
    }

    /// An object of the installation, with its fields beside the metadata.
    fn object(&self, api_version: &str, kind: &str, namespace: &str, name: &str, fields: Value) -> Value {
        let mut metadata = json!({"name": name, "labels": {MANAGED.0: MANAGED.1}});
        if !namespace.is_empty() {
            metadata["namespace"] = json!(namespace);
        }
        let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
        if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
            object.extend(fields);
        }
        object
    }
}

/// The namespaces that the repository declares, as members of its inventory already: the Roles in them need them first.
fn declared_namespaces(desired: &Desired, names: &Names) -> Vec<Value> {
    let declared = desired.objects.iter().filter(|(reference, _)| reference.is("", "Namespace"));
    let declared = declared.filter(|(reference, _)| reference.name != names.namespace);
    declared
        .map(|(reference, member)| {
            let partition = if member.partition.is_empty() { PLATFORM } else { &member.partition };
            let id = id(&parent_name(&names.config, &names.environment, partition), &names.namespace);
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": reference.name, "labels": {PART_OF: id}}})
        })
        .collect()
}
