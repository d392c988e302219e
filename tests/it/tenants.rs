//! Tenants on the real API server: what is done for one is done as its service account, and as nobody else.

use crate::agent::{config_map, turn};
use crate::cluster::{Audited, Cluster};
use crate::git_server::GitServer;
use crate::repo::{Repo, WIDE};
use crate::run::{Ran, code, json, row};

const PLATFORM: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: one}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: deployer, namespace: one}
";

const RIGHTS: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: deployer, namespace: one}
rules: [{apiGroups: [\"\"], resources: [configmaps], verbs: [create, patch, delete]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: deployer, namespace: one}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer}
subjects: [{kind: ServiceAccount, name: deployer, namespace: one}]
";

const DEPLOYER: &str = "system:serviceaccount:one:deployer";

fn repository() -> Repo {
    let repo = Repo::with_config();
    repo.edit(
        "spinway.yaml",
        &format!("{{name: one, {WIDE}, paths: [apps/one]}}"),
        "{name: one, paths: [apps/one], namespaces: [one], serviceAccount: one/deployer}",
    );
    repo.write("apps/one/a.yaml", &map("a", "v1"));
    repo.write("apps/two/b.yaml", &config_map("b", "v1"));
    repo
}

fn map(name: &str, value: &str) -> String {
    config_map(name, value).replace("namespace: default", "namespace: one")
}

/// The requests of spinway about objects of tenant one that change or ask to change something, with who they are from.
fn about_one(cluster: &Cluster) -> Vec<(String, String)> {
    let of_one =
        |request: &Audited| request.object.starts_with("configmaps one/") || request.object.starts_with("secrets one/");
    let requests = cluster.audit().into_iter().filter(of_one);
    requests.map(|request| (format!("{} {}", request.verb, request.object), request.acting_as)).collect()
}

#[test]
fn everything_of_a_tenant_is_done_as_its_service_account() {
    let mut cluster = Cluster::take();
    let repo = repository();
    repo.write("platform/one.yaml", &format!("{PLATFORM}---\n{RIGHTS}"));
    // At once: the account and its rights come before what is done as it.
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    repo.write("apps/one/a.yaml", &map("a", "v2"));
    repo.write("apps/one/c.yaml", &map("c", "v1"));
    assert_eq!(code(&cluster.spinway(&["apply", repo.dir(), "--yes"])), 0);
    repo.remove("apps/one/c.yaml");
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let requests = about_one(&cluster);
    let verbs: Vec<&str> = requests.iter().filter_map(|(request, _)| request.split(' ').next()).collect();
    assert!(verbs.contains(&"delete") && verbs.iter().filter(|verb| **verb == "patch").count() >= 4, "{requests:#?}");
    assert!(requests.iter().all(|(_, user)| user == DEPLOYER), "{requests:#?}");
    let others = cluster.audit().into_iter().filter(|request| !request.object.contains(" one/"));
    let others: Vec<Audited> = others.filter(|request| !request.acting_as.is_empty()).collect();
    assert!(others.is_empty(), "what is not the tenant's is done as ourselves: {others:#?}");
    // What the account may not, the tenant may not.
    cluster.mark();
    repo.write(
        "apps/one/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: one}\nstringData: {k: v}\n",
    );
    repo.write("apps/two/b.yaml", &config_map("b", "v2"));
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "5", "-o", "json"]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    let report = json(&ran);
    assert!(
        row(&report, "Secret", "s")["result"].as_str().is_some_and(|text| text.contains("403 Forbidden")),
        "{report:#}"
    );
    assert_eq!(row(&report, "ConfigMap", "b")["result"], "done");
    assert!(about_one(&cluster).iter().all(|(_, user)| user == DEPLOYER));
    assert!(cluster.get("/api/v1/namespaces/one/secrets/s").is_none());
}

#[test]
fn an_installed_agent_may_act_as_the_tenant_and_write_nothing_of_it_itself() {
    let cluster = Cluster::take();
    let repo = repository();
    // One object of the platform in the tenant's namespace is there only after the turn: the agent creates it by its name.
    repo.write("platform/one.yaml", &format!("{PLATFORM}---\n{}", map("of-the-platform", "v1")));
    repo.commit("first");
    for object in ["/api/v1/namespaces/one", "/api/v1/namespaces/one/serviceaccounts/deployer"] {
        let (kind, name) = if object.ends_with("one") { ("Namespace", "one") } else { ("ServiceAccount", "deployer") };
        cluster.apply_as(
            object,
            "spinway",
            &serde_json::json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}),
        );
    }
    repo.edit("spinway.yaml", "  approvals:", "  adopt: [{kind: Namespace}, {kind: ServiceAccount}]\n  approvals:");
    repo.commit("adopts");
    let server = GitServer::https(&repo);
    let ran = turn(&cluster, &server, &[]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    assert_eq!(row(&json(&ran), "ConfigMap", "a")["result"], "done", "{}", Ran(&ran));
    let by_agent = |(request, user): &(String, String)| user.is_empty() && request.ends_with("one/of-the-platform");
    let others: Vec<_> = about_one(&cluster).into_iter().filter(|request| !by_agent(request)).collect();
    assert!(others.iter().all(|(_, user)| user == DEPLOYER), "{others:#?}");
    assert!(cluster.get("/api/v1/namespaces/one/configmaps/of-the-platform").is_some());
    let kubeconfig = server.installed.get().expect("the agent is installed");
    let ask = |verb: &str, what: &str| {
        let mut command = std::process::Command::new(cluster.kubectl());
        command.args(["--kubeconfig", kubeconfig.to_str().unwrap(), "auth", "can-i", verb, what, "-n", "one"]);
        String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
    };
    assert_eq!(ask("patch", "configmaps"), "no");
    assert_eq!(ask("impersonate", "serviceaccounts/deployer"), "yes");
    assert_eq!(ask("impersonate", "serviceaccounts/default"), "no");
    assert_eq!(ask("impersonate", "users"), "no");
}

/// Refuses every NetworkPolicy that is created, but not its dry-run.
const REFUSING: &str = r#"{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "no-policies"},
  "spec": {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [{"apiGroups": ["networking.k8s.io"], "apiVersions": ["v1"],
    "operations": ["CREATE"], "resources": ["networkpolicies"]}]}, "validations": [{"expression": "has(request.dryRun) && request.dryRun"}]}}"#;
const REFUSED: &str = r#"{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "no-policies"},
  "spec": {"policyName": "no-policies", "validationActions": ["Deny"]}}"#;

#[test]
fn pods_are_not_created_when_the_policy_that_limits_them_is_refused_while_it_is_applied() {
    let cluster = Cluster::take();
    let root = "/apis/admissionregistration.k8s.io/v1";
    let binding = format!("{root}/validatingadmissionpolicybindings/no-policies");
    for (path, text) in
        [(format!("{root}/validatingadmissionpolicies/no-policies"), REFUSING), (binding.clone(), REFUSED)]
    {
        cluster.apply_as(&path, "test", &serde_json::from_str(text).expect("JSON"));
    }
    let policies = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
    // The API server takes a moment to learn of it.
    let is_refused = |number: usize| {
        let probe = serde_json::json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": format!("probe-{number}")}, "spec": {"podSelector": {}}});
        cluster.try_send("POST", policies, "application/json", &probe).is_err()
    };
    let learned = (0..100).any(|number| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        is_refused(number)
    });
    assert!(learned, "the policy is enforced");
    let repo = Repo::with_config();
    repo.edit("spinway.yaml", "paths: [apps/one]", "egress: [], paths: [apps/one]");
    repo.write(
        "apps/one/app.yaml",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: limit, namespace: default}\nspec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Egress]}\n\
         ---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app, namespace: default}\nspec:\n  selector: {matchLabels: {app: a}}\n  template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, image: a.example/c}]}}\n",
    );
    repo.write("apps/two/b.yaml", &config_map("b", "v1"));
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "10"]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    let app = "/apis/apps/v1/namespaces/default/deployments/app";
    assert!(cluster.get(app).is_none() && cluster.get(&format!("{policies}/limit")).is_none(), "{}", Ran(&ran));
    assert!(cluster.get("/api/v1/namespaces/default/configmaps/b").is_some(), "{}", Ran(&ran));
    // A rerun completes what failed.
    cluster.send("DELETE", &binding, "application/json", &serde_json::json!({}));
    for _ in 0..100 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        cluster.spinway(&["apply", repo.dir(), "--yes", "--no-wait"]);
        if cluster.get(app).is_some() {
            break;
        }
    }
    assert!(cluster.get(app).is_some() && cluster.get(&format!("{policies}/limit")).is_some());
}

#[test]
fn what_a_tenant_has_of_the_whole_cluster_is_written_by_its_account_alone() {
    let cluster = Cluster::take();
    let repo = repository();
    repo.edit(
        "spinway.yaml",
        "namespaces: [one],",
        "namespaces: [one], kinds: [ConfigMap, PriorityClass], clusterKinds: [PriorityClass],",
    );
    let class = |name: &str, value: u32| {
        format!("apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {{name: {name}}}\nvalue: {value}\n")
    };
    repo.write("platform/one.yaml", &format!("{PLATFORM}---\n{}", class("low", 1)));
    repo.write("apps/one/class.yaml", &class("high", 2));
    repo.commit("first");
    let server = GitServer::https(&repo);
    let ran = turn(&cluster, &server, &[]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let written: Vec<(String, String)> = cluster
        .writes()
        .into_iter()
        .filter(|request| request.object.starts_with("priorityclasses "))
        .map(|request| (request.object, request.acting_as))
        .collect();
    assert!(written.contains(&("priorityclasses /high".to_owned(), DEPLOYER.to_owned())), "{written:#?}");
    assert!(written.contains(&("priorityclasses /low".to_owned(), String::new())), "{written:#?}");
    assert_eq!(written.len(), 2, "{written:#?}");
    // Neither has what is the other's.
    let kubeconfig = server.installed.get().expect("the agent is installed");
    let ask = |name: &str, user: Option<&str>| {
        let mut command = std::process::Command::new(cluster.kubectl());
        command.args([
            "--kubeconfig",
            kubeconfig.to_str().unwrap(),
            "auth",
            "can-i",
            "patch",
            &format!("priorityclasses/{name}"),
        ]);
        command.args(user.map(|user| format!("--as={user}")));
        String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
    };
    assert_eq!([ask("low", None), ask("high", None), ask("other", None)], ["yes", "no", "no"]);
    let as_one = |name| ask(name, Some(DEPLOYER));
    assert_eq!([as_one("low"), as_one("high"), as_one("other")], ["no", "yes", "no"]);
}
