//! What one tenant writes, refused or not, neither stops others nor opens what limits it: plans against a revision, without a cluster.

use crate::repo::Repo;
use crate::run::{Ran, actions, code, json, run};

const CONFIG: &str = "\
apiVersion: spinway.dev/v1alpha1
kind: Config
metadata: {name: t}
spec:
  sources: [platform, apps]
  environments: [{name: test}]
  externals: [{kind: Gateway}]
  tenants:
    - {name: one, paths: [apps/one], namespaces: [one], gateways: ['*'], hostnames: ['*'], pathPrefixes: ['*'], images: ['*'], egress: []}
    - {name: two, paths: [apps/two], namespaces: [two], gateways: ['*'], hostnames: ['*'], pathPrefixes: ['*'], images: ['*'], egress: []}
";

fn map(name: &str, namespace: &str, value: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{k: {value}}}\n"
    )
}

fn policy(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}}}\n"
    )
}

fn deployment(namespace: &str, labels: &str, rest: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app, namespace: {namespace}}}\nspec: {{{rest}selector: {{matchLabels: {{app: m}}}}, template: {{metadata: {{labels: {{{labels}}}}}, spec: {{containers: [{{name: c, image: a.example/c}}]}}}}}}\n"
    )
}

/// A repository whose first commit is what is live.
fn repository() -> Repo {
    let repo = Repo::empty();
    repo.write("spinway.yaml", CONFIG);
    repo.write("platform/a.yaml", &(map("own", "infra", "a") + &deployment("infra", "app: m", "")));
    repo.write("apps/two/a.yaml", &map("own", "two", "a"));
    repo.write(
        "apps/one/a.yaml",
        &(policy("none", "one", "podSelector: {matchLabels: {app: m}}, policyTypes: [Egress]")
            + &deployment("one", "app: m", "")),
    );
    repo.commit("first");
    repo
}

/// What the plan does beyond what the first commit has.
fn planned(repo: &Repo) -> Vec<String> {
    let ran = run(&["plan", repo.dir(), "--against", "HEAD", "-o", "json"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    actions(&json(&ran))
}

#[test]
fn what_is_refused_of_one_tenant_stops_nobody_else() {
    let definition = |group: &str, kind: &str| {
        format!(
            "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: x.x}}\nspec: {{group: \"{group}\", scope: Namespaced, names: {{kind: {kind}, plural: x}}, versions: [{{name: v1, served: true, storage: true}}]}}\n"
        )
    };
    for (name, refused) in [
        ("a definition of ConfigMaps", definition("", "ConfigMap")),
        ("a definition of Deployments", definition("apps", "Deployment")),
        ("a Namespace of others", "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: two}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: infra}\n".to_owned()),
        ("a policy in the platform's namespace", policy("all", "infra", "podSelector: {}, policyTypes: [Egress]")),
        ("what a Deployment of the platform reads", map("settings", "infra", "x")),
    ] {
        let repo = repository();
        repo.write("apps/one/refused.yaml", &refused);
        let app = deployment("infra", "app: m", "").replace("image: a.example/c", "image: a.example/d, envFrom: [{configMapRef: {name: settings}}]");
        repo.write("platform/a.yaml", &(map("own", "infra", "b") + &app));
        repo.write("apps/two/a.yaml", &(map("own", "two", "b") + &map("more", "two", "b")));
        let found = planned(&repo);
        for wanted in
            ["update ConfigMap infra/own", "update ConfigMap two/own", "create ConfigMap two/more", "update Deployment infra/app"]
        {
            assert!(found.iter().any(|line| line == wanted), "{name}: {wanted}: {found:#?}");
        }
    }
}

#[test]
fn the_last_policy_of_running_pods_stays() {
    let limiting = "podSelector: {matchLabels: {app: m}}, policyTypes: [Egress]";
    let change = |text: String| {
        let repo = repository();
        repo.write("apps/one/a.yaml", &text);
        planned(&repo)
    };
    // Moved with the pods, which may go on running while the new ones do not start.
    let moved = policy("none", "one", "podSelector: {matchLabels: {v: mm}}, policyTypes: [Egress]");
    let found = change(moved.clone() + &deployment("one", "app: m, v: mm", "paused: true, "));
    assert!(found.contains(&"blocked NetworkPolicy one/none".to_owned()), "{found:#?}");
    // Beside pods that are refused.
    for policy in [
        moved,
        policy("none", "one", "podSelector: {matchLabels: {app: m}}, policyTypes: [Ingress]"),
        policy("wide", "one", "podSelector: {matchLabels: {app: m}}, policyTypes: [Egress], egress: [{}]"),
        String::new(),
    ] {
        let found = change(policy.clone() + &deployment("one", "app: m", ""));
        let blocked = found.iter().any(|line| line == "blocked NetworkPolicy one/none");
        let untouched = !found.iter().any(|line| line.ends_with("NetworkPolicy one/none"));
        assert!(blocked || untouched, "{policy}: {found:#?}");
    }
    // Another one that limits them, or their end, lets it go.
    let found = change(policy("other", "one", limiting) + &deployment("one", "app: m", ""));
    assert_eq!(found, ["create NetworkPolicy one/other", "delete NetworkPolicy one/none"]);
    let found = change(map("left", "one", "x"));
    assert_eq!(found, ["create ConfigMap one/left", "delete Deployment one/app", "delete NetworkPolicy one/none"]);
    let repo = repository();
    repo.write("apps/one/a.yaml", &map("left", "one", "x"));
    let ran = run(&["plan", repo.dir(), "--against", "HEAD", "-o", "json"]);
    let report = json(&ran);
    let policy = crate::run::row(&report, "NetworkPolicy", "none");
    assert!(policy["needs"].to_string().contains("Deployment"), "the pods end first: {policy:#}");
}

/// The workload goes on running though its deletion was asked for, or nobody can tell what became of it.
#[test]
fn a_policy_stays_while_its_pods_do_whatever_keeps_them() {
    let scaler = "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h, namespace: one}\nspec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}}\n";
    let limiting = policy("none", "one", "podSelector: {matchLabels: {app: m}}, policyTypes: [Egress]");
    let narrowed = policy("none", "one", "podSelector: {matchLabels: {app: zz}}, policyTypes: [Egress]");
    // It is still used, so it stays.
    let repo = repository();
    repo.write("apps/one/scaler.yaml", scaler);
    repo.commit("scaled");
    repo.write("apps/one/a.yaml", "");
    let found = planned(&repo);
    assert!(found.contains(&"blocked Deployment one/app".to_owned()), "{found:#?}");
    assert!(!found.contains(&"delete NetworkPolicy one/none".to_owned()), "{found:#?}");
    // Its file cannot be read.
    let repo = repository();
    repo.write("apps/one/a.yaml", &deployment("one", "app: m", ""));
    repo.write("apps/one/p.yaml", &limiting);
    repo.commit("two files");
    repo.write("apps/one/a.yaml", "kind: [");
    repo.write("apps/one/p.yaml", &narrowed);
    let found = planned(&repo);
    assert_eq!(found, ["blocked NetworkPolicy one/none"]);
    // It is not selected.
    let repo = repository();
    let labelled = |text: &str| text.replace("name: none,", "name: none, labels: {only: this},");
    repo.write("apps/one/a.yaml", &(labelled(&limiting) + &deployment("one", "app: m", "")));
    repo.commit("labelled");
    repo.write("apps/one/a.yaml", &(labelled(&narrowed) + &deployment("one", "app: m", "")));
    let ran = run(&["plan", repo.dir(), "--against", "HEAD", "-o", "json", "-l", "only=this"]);
    assert_eq!(actions(&json(&ran)), ["blocked NetworkPolicy one/none"], "{}", Ran(&ran));
}

/// Pods of the template before the last one may still run.
#[test]
fn a_policy_stays_while_a_rollout_is_not_over() {
    let limits = |name: &str, label: &str| {
        policy(name, "one", &format!("podSelector: {{matchLabels: {{app: m, t: {label}}}}}, policyTypes: [Egress]"))
    };
    for (rest, expected) in [("paused: true, ", "blocked"), ("", "delete")] {
        let repo = repository();
        let app = deployment("one", "app: m, t: b", rest);
        repo.write("apps/one/a.yaml", &(limits("a", "a") + &limits("b", "b") + &app));
        repo.commit("half a rollout");
        repo.write("apps/one/a.yaml", &(limits("b", "b") + &app));
        assert_eq!(planned(&repo), [format!("{expected} NetworkPolicy one/a")], "{rest}");
    }
}

/// A policy that selected other pods before limits the new ones only after it is applied.
#[test]
fn new_pods_wait_for_a_policy_that_comes_to_limit_them() {
    for before in
        ["podSelector: {matchLabels: {app: zz}}, policyTypes: [Egress]", "podSelector: {}, policyTypes: [Ingress]"]
    {
        let repo = repository();
        repo.write("apps/one/a.yaml", &policy("none", "one", before));
        repo.commit("no pods");
        let after = policy("none", "one", "podSelector: {matchLabels: {app: m}}, policyTypes: [Egress]");
        repo.write("apps/one/a.yaml", &(after + &deployment("one", "app: m", "")));
        let ran = run(&["plan", repo.dir(), "--against", "HEAD", "-o", "json"]);
        let report = json(&ran);
        let mut rows = report["changes"].as_array().expect("changes").iter();
        let app = rows.find(|row| row["object"]["kind"] == "Deployment" && row["object"]["namespace"] == "one");
        let app = app.expect("the Deployment");
        assert!(app["needs"].to_string().contains("NetworkPolicy"), "{before}: {app:#}");
    }
}
