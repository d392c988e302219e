//! The fields that an app needs of what reaches beyond it: pods, Services, Secrets, routes, policies. What is not among them is refused, so that a field
//! which Kubernetes gets tomorrow opens nothing.
//!
//! Sources: Pod Security Standards (restricted, and the host fields of baseline), PodSpec and ServiceSpec of Kubernetes 1.35.

use super::context::wanted;
use crate::kinds::GATEWAY;
use crate::object::{ObjectRef, escape};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What may stand in a field.
pub(super) enum Field {
    /// Anything.
    Any,
    /// One of these words, or nothing.
    Words(&'static [&'static str]),
    /// A map of these fields, or a list of such maps.
    Of(Shape),
}

/// The fields of a map that may be set.
pub(super) type Shape = &'static [(&'static str, Field)];

/// A field that is none of those, or has another value than they may have.
pub(super) struct Beyond {
    /// Where it stands.
    pub(super) pointer: String,
    /// The field, with its value where that is what is wrong.
    pub(super) what: String,
    /// What may stand there.
    pub(super) allowed: Vec<&'static str>,
}

use Field::{Any, Of, Words};

/// A pod, beside its containers and volumes.
const POD: Shape = &[
    ("activeDeadlineSeconds", Any),
    ("affinity", Any),
    ("automountServiceAccountToken", Any),
    ("containers", Any),
    ("dnsConfig", Any),
    ("dnsPolicy", Any),
    ("enableServiceLinks", Any),
    ("hostAliases", Any),
    ("hostUsers", Any),
    ("hostname", Any),
    ("imagePullSecrets", Any),
    ("initContainers", Any),
    ("nodeSelector", Any),
    ("os", Any),
    ("preemptionPolicy", Any),
    ("priorityClassName", Any),
    ("readinessGates", Any),
    ("resources", Any),
    ("restartPolicy", Any),
    ("runtimeClassName", Any),
    ("schedulerName", Words(&["default-scheduler"])),
    ("securityContext", Any),
    ("serviceAccount", Any),
    ("serviceAccountName", Any),
    ("setHostnameAsFQDN", Any),
    ("shareProcessNamespace", Any),
    ("subdomain", Any),
    ("terminationGracePeriodSeconds", Any),
    ("tolerations", Any),
    ("topologySpreadConstraints", Any),
    ("volumes", Any),
];

const CONTAINER: Shape = &[
    ("args", Any),
    ("command", Any),
    ("env", Any),
    ("envFrom", Any),
    ("image", Any),
    ("imagePullPolicy", Any),
    ("lifecycle", Any),
    ("livenessProbe", Any),
    ("name", Any),
    ("ports", Of(&[("containerPort", Any), ("name", Any), ("protocol", Any)])),
    ("readinessProbe", Any),
    ("resizePolicy", Any),
    ("resources", Any),
    ("restartPolicy", Any),
    ("restartPolicyRules", Any),
    ("securityContext", Any),
    ("startupProbe", Any),
    ("stdin", Any),
    ("stdinOnce", Any),
    ("terminationMessagePath", Any),
    ("terminationMessagePolicy", Any),
    ("tty", Any),
    ("volumeDevices", Any),
    ("volumeMounts", Any),
    ("workingDir", Any),
];

const VOLUME: Shape = &[
    ("configMap", Any),
    ("downwardAPI", Any),
    ("emptyDir", Any),
    ("ephemeral", Any),
    ("image", Any),
    ("name", Any),
    ("persistentVolumeClaim", Any),
    ("projected", Of(&[("defaultMode", Any), ("sources", Of(PROJECTED))])),
    ("secret", Any),
];

const PROJECTED: Shape = &[
    ("clusterTrustBundle", Any),
    ("configMap", Any),
    ("downwardAPI", Any),
    ("secret", Any),
    // With an audience it is an identity towards something that is not this cluster.
    ("serviceAccountToken", Of(&[("expirationSeconds", Any), ("path", Any)])),
];

/// What a pod or a container runs as; capabilities are told in words of their own.
const SECURITY: Shape = &[
    ("appArmorProfile", Of(PROFILE)),
    ("capabilities", Any),
    ("fsGroup", Any),
    ("fsGroupChangePolicy", Any),
    ("procMount", Words(&["Default"])),
    ("readOnlyRootFilesystem", Any),
    ("runAsGroup", Any),
    ("runAsNonRoot", Any),
    ("runAsUser", Any),
    ("seLinuxChangePolicy", Any),
    ("seLinuxOptions", Of(&[("level", Any), ("type", Words(&["container_t", "container_init_t", "container_kvm_t"]))])),
    ("seccompProfile", Of(PROFILE)),
    ("supplementalGroups", Any),
    ("supplementalGroupsPolicy", Any),
    ("sysctls", Of(&[("name", Words(SYSCTLS)), ("value", Any)])),
    ("windowsOptions", Of(&[("runAsUserName", Any)])),
];

const PROFILE: Shape = &[("localhostProfile", Any), ("type", Words(&["RuntimeDefault", "Localhost"]))];

/// The sysctls that are a pod's own (Pod Security Standards, baseline).
const SYSCTLS: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];

/// A Service; its types are told in words of their own.
const SERVICE: Shape = &[
    ("clusterIP", Any),
    ("clusterIPs", Any),
    ("internalTrafficPolicy", Any),
    ("ipFamilies", Any),
    ("ipFamilyPolicy", Any),
    ("ports", Of(&[("appProtocol", Any), ("name", Any), ("port", Any), ("protocol", Any), ("targetPort", Any)])),
    ("publishNotReadyAddresses", Any),
    ("selector", Any),
    ("sessionAffinity", Any),
    ("sessionAffinityConfig", Any),
    ("trafficDistribution", Any),
    ("type", Any),
];

/// An HTTPRoute or GRPCRoute (Gateway API 1.6); matches only narrow what it serves, which another check reads.
const ROUTE: Shape = &[
    ("hostnames", Any),
    (
        "parentRefs",
        Of(&[("group", Any), ("kind", Any), ("name", Any), ("namespace", Any), ("port", Any), ("sectionName", Any)]),
    ),
    ("rules", Of(ROUTE_RULE)),
    ("useDefaultGateways", Any),
];

const ROUTE_RULE: Shape = &[
    (
        "backendRefs",
        Of(&[
            ("filters", Of(FILTER)),
            ("group", Any),
            ("kind", Any),
            ("name", Any),
            ("namespace", Any),
            ("port", Any),
            ("weight", Any),
        ]),
    ),
    ("filters", Of(FILTER)),
    ("matches", Any),
    ("name", Any),
    ("retry", Any),
    ("sessionPersistence", Any),
    ("timeouts", Any),
];

const FILTER: Shape = &[
    ("cors", Any),
    ("extensionRef", Any),
    ("externalAuth", Any),
    ("requestHeaderModifier", Any),
    ("requestMirror", Any),
    ("requestRedirect", Any),
    ("responseHeaderModifier", Any),
    (
        "type",
        Words(&[
            "CORS",
            "ExtensionRef",
            "ExternalAuth",
            "RequestHeaderModifier",
            "RequestMirror",
            "RequestRedirect",
            "ResponseHeaderModifier",
            "URLRewrite",
        ]),
    ),
    ("urlRewrite", Any),
];

/// A NetworkPolicy; what its rules open is read by another check, which must know all of them.
const POLICY: Shape = &[
    ("egress", Of(&[("ports", Of(POLICY_PORT)), ("to", Of(PEER))])),
    ("ingress", Of(&[("from", Of(PEER)), ("ports", Of(POLICY_PORT))])),
    ("podSelector", Any),
    ("policyTypes", Any),
];

const POLICY_PORT: Shape = &[("endPort", Any), ("port", Any), ("protocol", Any)];
const PEER: Shape =
    &[("ipBlock", Of(&[("cidr", Any), ("except", Any)])), ("namespaceSelector", Any), ("podSelector", Any)];

/// The types of Secrets that hold what an app reads and nothing that acts.
pub(super) const SECRET_TYPES: &[&str] = &[
    "Opaque",
    "kubernetes.io/basic-auth",
    "kubernetes.io/dockercfg",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/ssh-auth",
    "kubernetes.io/tls",
];

/// What a Service, a route or a NetworkPolicy sets beyond what an app needs.
pub(super) fn of_spec(object: &ObjectRef, value: &Value) -> Vec<Beyond> {
    let shape = match (object.group.as_str(), object.kind.as_str()) {
        ("", "Service") => SERVICE,
        (GATEWAY, "HTTPRoute" | "GRPCRoute") => ROUTE,
        ("networking.k8s.io", "NetworkPolicy") => POLICY,
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    if let Some(spec) = value.pointer("/spec") {
        hold(spec, shape, "/spec", &mut found);
    }
    found
}

/// What the pods of an object set beyond what an app needs, in whatever kind they stand: `is_pod` says that the object is one
/// itself.
pub(super) fn of_pods(value: &Value, is_pod: bool) -> Vec<Beyond> {
    let mut found = Vec::new();
    for (keys, shape) in [
        (&["containers", "initContainers", "ephemeralContainers"][..], CONTAINER),
        (&["volumes"], VOLUME),
        (&["securityContext"], SECURITY),
    ] {
        for (pointer, part) in wanted(value, keys) {
            hold(part, shape, &pointer, &mut found);
        }
    }
    let mut pods: BTreeSet<String> = wanted(value, &["containers", "initContainers"])
        .into_iter()
        .filter(|(_, list)| list.is_array())
        .map(|(pointer, _)| parent(&pointer))
        .collect();
    // Many kinds have a list of containers among fields of their own.
    if !is_pod {
        pods.remove("/spec");
    }
    for pointer in pods {
        if let Some(spec) = value.pointer(&pointer) {
            hold(spec, POD, &pointer, &mut found);
        }
    }
    found
}

fn parent(pointer: &str) -> String {
    pointer.rsplit_once('/').map_or_else(String::new, |(parent, _)| parent.to_owned())
}

/// Fields that may not be set whose default is what is empty: there they are as if they were left out.
const OFF: [&str; 21] = [
    "allocateLoadBalancerNodePorts",
    "allowPrivilegeEscalation",
    "ephemeralContainers",
    "externalIPs",
    "externalName",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "hostIP",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPort",
    "hostProcess",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
    "nodeName",
    "nodePort",
    "privileged",
    "resourceClaims",
    "schedulingGates",
];

/// Whether a field says nothing. Of one that is not known nobody knows its default.
pub(super) fn is_off(key: &str, value: &Value) -> bool {
    let is_empty = match value {
        Value::Null => return true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    };
    is_empty && OFF.contains(&key)
}

fn hold(value: &Value, shape: Shape, pointer: &str, found: &mut Vec<Beyond>) {
    match value {
        Value::Object(map) => hold_map(map, shape, pointer, found),
        Value::Array(items) => {
            let items = items.iter().enumerate().filter_map(|(index, item)| Some((index, item.as_object()?)));
            items.for_each(|(index, item)| hold_map(item, shape, &format!("{pointer}/{index}"), found));
        }
        _ => {}
    }
}

fn hold_map(map: &Map<String, Value>, shape: Shape, pointer: &str, found: &mut Vec<Beyond>) {
    for (key, value) in map.iter().filter(|(key, value)| !is_off(key, value)) {
        let pointer = format!("{pointer}/{}", escape(key));
        match shape.iter().find(|(name, _)| name == key).map(|(_, field)| field) {
            Some(Any) => {}
            Some(Of(shape)) => hold(value, shape, &pointer, found),
            Some(Words(words)) => {
                let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                if !written.is_empty() && !words.contains(&written.as_str()) {
                    found.push(Beyond { pointer, what: format!("{key} to {written}"), allowed: words.to_vec() });
                }
            }
            None => {
                let allowed = shape.iter().map(|(name, _)| *name).collect();
                found.push(Beyond { pointer, what: key.clone(), allowed });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(found: Vec<Beyond>) -> Vec<String> {
        found.into_iter().map(|beyond| beyond.pointer).collect()
    }

    #[test]
    fn what_is_not_among_the_fields_is_found_wherever_a_pod_stands() {
        let pod = json!({"containers": [{"name": "c", "newField": 1, "ports": [{"containerPort": 80, "hostIP": "0.0.0.0"}]}], "novel": {"a": 1}, "hostPID": false});
        let expected = |root: &str| {
            vec![
                format!("{root}/containers/0/newField"),
                format!("{root}/containers/0/ports/0/hostIP"),
                format!("{root}/novel"),
            ]
        };
        for (object, root, is_pod) in [
            (json!({"spec": pod}), "/spec", true),
            (json!({"template": {"spec": pod}}), "/template/spec", false),
            (json!({"spec": {"template": {"spec": pod}}}), "/spec/template/spec", false),
            (
                json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}}),
                "/spec/jobTemplate/spec/template/spec",
                false,
            ),
            (json!({"spec": {"workers": [{"podTemplate": {"spec": pod}}]}}), "/spec/workers/0/podTemplate/spec", false),
            (json!({"spec": {"templates": [{"spec": pod}], "podSpec": {}}}), "/spec/templates/0/spec", false),
            (json!({"podTemplate": {"spec": pod}}), "/podTemplate/spec", false),
        ] {
            assert_eq!(pointers(of_pods(&object, is_pod)), expected(root), "{object}");
        }
        // Containers outside of a template are held, what stands beside them is not a pod.
        let other = json!({"spec": pod});
        assert_eq!(pointers(of_pods(&other, false)), expected("/spec")[..2]);
    }

    #[test]
    fn values_are_held_where_a_field_has_safe_ones() {
        let security = json!({"seccompProfile": {"type": "Unconfined"}, "sysctls": [{"name": "kernel.msgmax", "value": "1"}], "runAsUser": 1000,
            "seLinuxOptions": {"level": "s0", "type": "spc_t", "user": "system_u"}});
        let volumes = json!([{"name": "a", "csi": {"driver": "x"}}, {"name": "b", "emptyDir": {}},
            {"name": "c", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "vault"}}, {"secret": {"name": "s"}}]}}]);
        let object = json!({"spec": {"template": {"spec": {"containers": [], "securityContext": security, "volumes": volumes}}}});
        let root = "/spec/template/spec";
        let expected = [
            "volumes/0/csi",
            "volumes/2/projected/sources/0/serviceAccountToken/audience",
            "securityContext/seLinuxOptions/type",
            "securityContext/seLinuxOptions/user",
            "securityContext/seccompProfile/type",
            "securityContext/sysctls/0/name",
        ];
        let mut found = pointers(of_pods(&object, false));
        let mut expected: Vec<String> = expected.iter().map(|below| format!("{root}/{below}")).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn services_routes_and_policies_have_what_an_app_needs() {
        let service = json!({"spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "nodePort": 30000}], "loadBalancerClass": "x", "externalIPs": [], "clusterIP": "None"}});
        let of =
            |group: &str, kind: &str, value: &Value| pointers(of_spec(&ObjectRef::new(group, kind, "a", "x"), value));
        assert_eq!(of("", "Service", &service), ["/spec/ports/0/nodePort", "/spec/loadBalancerClass"]);
        let off = json!({"spec": {"selector": {"a": "b"}, "allocateLoadBalancerNodePorts": false, "tomorrow": false, "gone": null}});
        assert_eq!(of("", "Service", &off), ["/spec/tomorrow"]);
        let route = json!({"spec": {"parentRefs": [{"name": "public", "tomorrow": 1}], "rules": [{"filters": [{"type": "Tomorrow"}], "novel": {"a": 1},
            "backendRefs": [{"name": "a", "port": 80, "filters": [{"type": "URLRewrite", "urlRewrite": {}}]}]}]}});
        let expected = ["/spec/parentRefs/0/tomorrow", "/spec/rules/0/filters/0/type", "/spec/rules/0/novel"];
        assert_eq!(of(GATEWAY, "HTTPRoute", &route), expected);
        let policy =
            json!({"spec": {"podSelector": {}, "egress": [{"to": [{"fqdn": "a.example"}]}], "egressAllow": [{}]}});
        assert_eq!(
            of("networking.k8s.io", "NetworkPolicy", &policy),
            ["/spec/egress/0/to/0/fqdn", "/spec/egressAllow"]
        );
    }
}
