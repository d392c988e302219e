//! What a reader of a plan asks first of an object that is made: what it serves, where, and what it runs.

use super::{GATEWAY, SPIN, each};
use crate::object::ObjectRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fact {
    /// A hostname that is served.
    Host,
    /// A path or gRPC service that is served.
    Path,
    /// A port that is listened on.
    Port,
    /// An image that is run.
    Image,
}

/// Where pods stand in an object.
const PODS: [&str; 4] = ["spec.", "spec.template.spec.", "spec.jobTemplate.spec.template.spec.", "template.spec."];

/// The facts of an object, each once.
pub fn facts(object: &ObjectRef, value: &Value) -> Vec<(Fact, String)> {
    let mut patterns: Vec<(Fact, String)> = Vec::new();
    let mut add = |fact, pattern: &str| patterns.push((fact, pattern.to_owned()));
    if object.group == GATEWAY {
        add(Fact::Host, "spec.hostnames[]");
        add(Fact::Host, "spec.listeners[].hostname");
        add(Fact::Port, "spec.listeners[].port");
        add(Fact::Path, "spec.rules[].matches[].path.value");
        add(Fact::Path, "spec.rules[].matches[].method.service");
    } else if object.group == SPIN {
        add(Fact::Image, "spec.image");
    } else if ["", "apps", "batch"].contains(&object.group.as_str()) {
        for pod in PODS {
            add(Fact::Image, &format!("{pod}initContainers[].image"));
            add(Fact::Image, &format!("{pod}containers[].image"));
        }
    }
    let mut found = Vec::new();
    for (fact, pattern) in patterns {
        for (_, value) in each(value, &pattern) {
            let row = (fact, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            if !found.contains(&row) {
                found.push(row);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn routes_tell_where_they_serve_and_pods_what_they_run() {
        let of = |group: &str, kind: &str, value: Value| facts(&ObjectRef::new(group, kind, "n", "o"), &value);
        let path = |value: &str| json!({"path": {"type": "PathPrefix", "value": value}});
        let route = json!({"spec": {"hostnames": ["a.example"], "rules": [{"matches": [path("/x"), path("/y")]}, {"matches": [path("/x")]}]}});
        let told = |fact: Fact, text: &str| (fact, text.to_owned());
        assert_eq!(
            of(GATEWAY, "HTTPRoute", route),
            [told(Fact::Host, "a.example"), told(Fact::Path, "/x"), told(Fact::Path, "/y")]
        );
        let gateway = json!({"spec": {"listeners": [{"port": 80}, {"port": 443, "hostname": "*.example"}]}});
        assert_eq!(
            of(GATEWAY, "Gateway", gateway),
            [told(Fact::Host, "*.example"), told(Fact::Port, "80"), told(Fact::Port, "443")]
        );
        assert_eq!(of(SPIN, "SpinApp", json!({"spec": {"image": "r/a:1"}})), [told(Fact::Image, "r/a:1")]);
        let pod = |field: &str| json!({"template": {"spec": {field: [{"image": "r/b:2"}]}}});
        assert_eq!(of("batch", "Job", json!({"spec": pod("initContainers")})), [told(Fact::Image, "r/b:2")]);
        let cron = json!({"spec": {"jobTemplate": {"spec": pod("containers")}}});
        assert_eq!(of("batch", "CronJob", cron), [told(Fact::Image, "r/b:2")]);
        assert_eq!(of("", "ConfigMap", json!({"data": {"image": "x"}})), []);
    }
}
