//! Nothing that guards is switched off by a misspelling: each is refused by `check`, by an offline `plan` and by the Action, with
//! the name that was meant.

use crate::repo::Repo;
use crate::run::{Ran, code, run, stderr, stdout};
use serde_json::Value;
use std::process::{Command, Output};

const CONFIG: &str = "\
apiVersion: spinway.dev/v1alpha1
kind: Config
metadata:
  name: shop
spec:
  sources: [platform, {path: apps, namespace: shop}]
  inventory: {namespace: spinway-system}
  environments:
    - name: staging
      protected: false
      values: {domain: staging.shop.example}
      cluster: {context: kind-staging}
      drift: correct
      deletions: {count: 2}
    - name: production
      values: {domain: shop.example}
  platform: {paths: [platform]}
  tenants:
    - name: checkout
      paths: [apps/checkout]
      namespaces: [shop]
      kinds: [App, ConfigMap, HTTPRoute, NetworkPolicy, SpinApp]
      gateways: [infra/public]
      hostnames: [\"*.${domain}\"]
      pathPrefixes: [/cart]
      images: [\"ghcr.io/acme/*\"]
      egress: []
      serviceAccount: shop/deployer
      defaults: {telemetry: false}
  approvals: {paths: [platform/approvals]}
  conflicts: {default: fail, rules: [{kind: Deployment, path: spec.replicas, action: yield}]}
  ignore: [{kind: HorizontalPodAutoscaler, path: spec.maxReplicas}]
  externals: [{kind: Gateway, namespace: infra, name: public}, {kind: SpinAppExecutor}, {kind: Namespace}, {kind: ServiceAccount}]
  controllers: [{gatewayClass: nginx, release: nginx-gateway-fabric@2.7.0}]
  gatewayApi: {release: \"1.6\", channel: standard}
  executors: {default: containerd-shim-spin}
  health: []
  suppressions: [{check: SPW023, kind: HTTPRoute, reason: no certificates here}]
  defaults: {replicas: 2}
";

const APP: &str = "\
apiVersion: spinway.dev/v1alpha1
kind: App
metadata: {name: cart, namespace: shop}
spec:
  image: ghcr.io/acme/cart:1.0.0
  egress: []
  routes: [{gateway: infra/public, hosts: [\"www.${domain}\"], path: /cart, keepPrefix: true}]
  environments: {production: {replicas: 3}}
";

const PATCH: &str = "\
apiVersion: spinway.dev/v1alpha1
kind: Patch
metadata: {name: more}
spec:
  target: {kind: App, name: cart}
  merge: {spec: {replicas: 4}}
";

const APPROVAL: &str = "\
apiVersion: spinway.dev/v1alpha1
kind: Approval
metadata: {name: drop}
spec: {environment: staging, digest: \"sha256:00ff\", expires: 2026-12-01T00:00:00Z, reason: gone}
";

const PLAIN: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop, annotations: {spinway.dev/substitute: enabled}}
data: {url: \"https://${domain}/cart\"}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: help, namespace: shop}
spec:
  parentRefs: [{name: public, namespace: infra}]
  hostnames: [help.staging.shop.example]
  rules: [{matches: [{path: {type: PathPrefix, value: /cart}}], backendRefs: [{name: cart, port: 80}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: core.spinkube.dev/v1alpha1
kind: SpinApp
metadata: {name: old, namespace: shop}
spec: {image: \"ghcr.io/acme/old:1.0.0\", executor: containerd-shim-spin, replicas: 1}
";

const FILES: [(&str, &str); 5] = [
    ("spinway.yaml", CONFIG),
    ("apps/checkout/cart.yaml", APP),
    ("platform/patch.yaml", PATCH),
    ("platform/approvals/drop.yaml", APPROVAL),
    ("apps/checkout/plain.yaml", PLAIN),
];

/// What is misspelt.
enum Slip {
    /// A text of a file: file, right, wrong.
    Text(&'static str, &'static str, &'static str),
    /// The name of a file: right, wrong.
    Name(&'static str, &'static str),
    /// The environment that is asked for.
    Environment(&'static str),
}
use Slip::{Environment, Name, Text};

const RULES: &str = "spinway.yaml";
const CART: &str = "apps/checkout/cart.yaml";
const MORE: &str = "platform/patch.yaml";
const DROP: &str = "platform/approvals/drop.yaml";
const OTHERS: &str = "apps/checkout/plain.yaml";

/// Each slip with the right spelling, which the refusal must name.
const SLIPS: &[(Slip, &str)] = &[
    // The Config: its frame, and fields and values at every depth.
    (Text(RULES, "apiVersion: spinway.dev/v1alpha1", "apiVersion: spinway.dev/v1"), "spinway.dev/v1alpha1"),
    (Text(RULES, "apiVersion: spinway.dev/v1alpha1", "apiVersion: spinway.io/v1alpha1"), "spinway.dev/v1alpha1"),
    (Text(RULES, "apiVersion: spinway", "apiversion: spinway"), "apiVersion"),
    (Text(RULES, "kind: Config\n", "kind: config\n"), "Config"),
    (Text(RULES, "metadata:", "metdata:"), "metadata"),
    (Text(RULES, "spec:", "sepc:"), "spec"),
    (Text(RULES, "  tenants:", "  tenant:"), "tenants"),
    (Text(RULES, "spec:\n", "tenants: []\nspec:\n"), "spec"),
    (Text(RULES, "sources: [platform", "source: [platform"), "sources"),
    (Text(RULES, "namespace: shop}]", "namespce: shop}]"), "namespace"),
    (Text(RULES, "inventory: {namespace", "inventory: {namespaces"), "namespace"),
    (Text(RULES, "protected: false", "protcted: false"), "protected"),
    (Text(RULES, "values: {domain: shop", "vales: {domain: shop"), "values"),
    (Text(RULES, "{context: kind", "{contxt: kind"), "context"),
    (Text(RULES, "drift: correct", "drift: corect"), "correct"),
    (Text(RULES, "{count: 2}", "{counts: 2}"), "count"),
    (Text(RULES, "platform: {paths", "platform: {path"), "paths"),
    (Text(RULES, "      paths: [apps", "      path: [apps"), "paths"),
    (Text(RULES, "namespaces: [shop]", "namespace: [shop]"), "namespaces"),
    (Text(RULES, "kinds: [App", "kind: [App"), "kinds"),
    (Text(RULES, "gateways: [", "gateway: ["), "gateways"),
    (Text(RULES, "hostnames: [", "hostname: ["), "hostnames"),
    (Text(RULES, "pathPrefixes", "pathPrefix"), "pathPrefixes"),
    (Text(RULES, "images: [", "image: ["), "images"),
    (Text(RULES, "egress: []", "egres: []"), "egress"),
    (Text(RULES, "serviceAccount:", "servicAccount:"), "serviceAccount"),
    (Text(RULES, "defaults: {telemetry", "defaults: {telemtry"), "telemetry"),
    (Text(RULES, "  defaults: {replicas", "  defaults: {replcias"), "replicas"),
    (Text(RULES, "approvals: {paths", "approvals: {pahts"), "paths"),
    (Text(RULES, "{default: fail", "{defualt: fail"), "default"),
    (Text(RULES, "default: fail", "default: fial"), "fail"),
    (Text(RULES, "{kind: Deployment", "{kind: Deploymnt"), "Deployment"),
    (Text(RULES, "{kind: HorizontalPod", "{kind: horizontalPod"), "HorizontalPodAutoscaler"),
    (Text(RULES, "{kind: Gateway,", "{kind: Gatway,"), "Gateway"),
    (Text(RULES, "action: yield", "acton: yield"), "action"),
    (Text(RULES, "gatewayClass: nginx", "gatewayclass: nginx"), "gatewayClass"),
    (Text(RULES, "nginx-gateway-fabric@", "nginx-gatway-fabric@"), "nginx-gateway-fabric"),
    (Text(RULES, "gatewayApi:", "gatewayAPI:"), "gatewayApi"),
    (Text(RULES, "channel: standard", "channel: standrad"), "standard"),
    (Text(RULES, "executors: {default", "executors: {defaults"), "default"),
    (Text(RULES, "[{check: SPW023", "[{chek: SPW023"), "check"),
    (Text(RULES, "[\"*.${domain}\"]", "[\"*.${domian}\"]"), "domain"),
    // Its file.
    (Name(RULES, "spinway.yml"), "spinway.yaml"),
    (Name(RULES, "Spinway.yaml"), "spinway.yaml"),
    (Name(RULES, "spinwy.yaml"), "spinway.yaml"),
    (Name(RULES, ".spinway.yaml"), "spinway.yaml"),
    (Name(RULES, "config/spinway.yaml"), "spinway.yaml"),
    // Apps, Patches and Approvals.
    (Text(CART, "kind: App", "kind: app"), "App"),
    (Text(CART, "kind: App", "kind: Apps"), "App"),
    (Text(CART, "spinway.dev/", "spinway.io/"), "spinway.dev/v1alpha1"),
    (Text(CART, "spinway.dev/", "spinwy.dev/"), "spinway.dev/v1alpha1"),
    (Text(CART, "spinway.dev/v1alpha1", "spinway.dev/v1beta1"), "spinway.dev/v1alpha1"),
    (Text(CART, "spinway.dev/v1alpha1", "v1alpha1"), "spinway.dev/v1alpha1"),
    (Text(CART, "namespace: shop", "namspace: shop"), "namespace"),
    (Text(CART, "egress: []", "egres: []"), "egress"),
    (Text(CART, "keepPrefix: true", "keepprefix: true"), "keepPrefix"),
    (Text(CART, "{production:", "{prodution:"), "production"),
    (Text(CART, "{replicas: 3}", "{replica: 3}"), "replicas"),
    (Text(CART, "www.${domain}", "www.${domian}"), "domain"),
    (Text(MORE, "kind: Patch", "kind: patch"), "Patch"),
    (Text(MORE, "target:", "taget:"), "target"),
    (Text(MORE, "{kind: App,", "{kind: Ap,"), "App"),
    (Text(MORE, "name: cart", "name: crat"), "cart"),
    (Text(MORE, "merge:", "merg:"), "merge"),
    (Text(MORE, "merge: {spec", "merge: {sepc"), "spec"),
    (Text(DROP, "kind: Approval", "kind: Aproval"), "Approval"),
    (Text(DROP, "environment: staging", "environment: stagign"), "staging"),
    (Text(DROP, "digest:", "digset:"), "digest"),
    (Text(DROP, "\"sha256:00ff\"", "\"sha265:00ff\""), "sha256"),
    (Text(DROP, "expires:", "expire:"), "expires"),
    // Objects, their annotations, and names of files.
    (Text(OTHERS, "spinway.dev/substitute", "spinway.dev/substitue"), "spinway.dev/substitute"),
    (Text(OTHERS, "spinway.dev/substitute", "spinway.io/substitute"), "spinway.dev/substitute"),
    (Text(OTHERS, "substitute: enabled", "substitute: enable"), "enabled"),
    (Text(OTHERS, "kind: HTTPRoute", "kind: HttpRoute"), "HTTPRoute"),
    (Text(OTHERS, "gateway.networking.k8s.io/v1", "gateway.networking.k8s.oi/v1"), "gateway.networking.k8s.io"),
    (Text(OTHERS, "gateway.networking.k8s.io/v1", "networking.k8s.io/v1"), "gateway.networking.k8s.io"),
    (Text(OTHERS, "kind: NetworkPolicy", "kind: NetworkPolcy"), "NetworkPolicy"),
    (Text(OTHERS, "kind: SpinApp", "kind: Spinapp"), "SpinApp"),
    (Text(OTHERS, "core.spinkube.dev", "core.spinkube.io"), "core.spinkube.dev"),
    (Name(OTHERS, "apps/checkout/plain.YAML"), "plain.yaml"),
    (Name(OTHERS, "apps/checkout/plain.ymal"), "plain.yaml"),
    (Name(OTHERS, "apps/checkout/.spinwayignor"), ".spinwayignore"),
    // What the command line names.
    (Environment("stagign"), "staging"),
];

fn repository() -> Repo {
    let repo = Repo::empty();
    FILES.iter().for_each(|(file, text)| repo.write(file, text));
    repo.commit("as it should be");
    repo
}

/// The Action's own step.
fn action(repo: &Repo, base: &str, environment: &str) -> (Output, Value) {
    let temp = tempfile::tempdir().expect("a folder");
    let file = |name: &str| temp.path().join(name);
    for name in ["output", "summary", "event"] {
        std::fs::write(file(name), "{}").expect("a file");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinway"));
    command.args(["action", "plan", "--directory", repo.dir(), "--base", base, "--environments", environment]);
    command.arg("--reports").arg(temp.path());
    command.env("NO_COLOR", "1").env_remove("KUBECONFIG").env("GITHUB_EVENT_NAME", "pull_request");
    command.env("GITHUB_EVENT_PATH", file("event")).env("GITHUB_OUTPUT", file("output"));
    command.env("GITHUB_STEP_SUMMARY", file("summary")).env("GITHUB_REPOSITORY", "acme/shop");
    let ran = command.output().expect("spinway runs");
    let report = std::fs::read(file(&format!("{environment}.json"))).unwrap_or_default();
    (ran, serde_json::from_slice(&report).unwrap_or_default())
}

/// The errors of a report, as they are read.
fn errors(report: &Value) -> String {
    let all = report["diagnostics"].as_array().into_iter().flatten().filter(|found| found["severity"] == "error");
    all.map(|found| format!("{} {}\n", found["message"], found["help"])).collect()
}

/// Whether a run refused, with the right spelling: as a whole, or by an error in its report.
fn refuses(ran: &Output, report: &Value, right: &str) -> bool {
    let as_a_whole = matches!(code(ran), 1 | 3 | 64) && (stderr(ran) + &stdout(ran)).contains(right);
    errors(report).contains(right) || as_a_whole
}

#[test]
fn nothing_passes_by_misspelling() {
    let repo = repository();
    let report = |ran: &Output| serde_json::from_slice(&ran.stdout).unwrap_or_default();
    let plan = |environment: &str| run(&["plan", repo.dir(), "--env", environment, "--against", "HEAD", "-o", "json"]);
    let (checked, planned) = (run(&["check", repo.dir(), "-o", "json"]), plan("staging"));
    assert_eq!((code(&checked), errors(&report(&checked)).as_str()), (0, ""), "{}", Ran(&checked));
    assert_eq!((code(&planned), errors(&report(&planned)).as_str()), (0, ""), "{}", Ran(&planned));
    let (acted, made) = action(&repo, "HEAD", "staging");
    assert_eq!((code(&acted), errors(&made).as_str()), (0, ""), "{}", Ran(&acted));
    let mut passed = Vec::new();
    for (slip, right) in SLIPS {
        let mut environment = "staging";
        let mut base = "HEAD".to_owned();
        let shown = match slip {
            Text(file, from, to) => {
                let text = std::fs::read_to_string(repo.file(file)).expect("the file");
                assert!(text.contains(from), "{file} holds no {from:?}");
                repo.write(file, &text.replacen(from, to, 1));
                format!("{file}: {to}")
            }
            Name(from, to) => {
                repo.write(to, &std::fs::read_to_string(repo.file(from)).expect("the file"));
                repo.remove(from);
                format!("{from} as {to}")
            }
            Environment(asked) => {
                environment = asked;
                format!("--env {asked}")
            }
        };
        // The rules and approvals of a pull request are those of its base: there, too, nothing passes.
        if matches!(slip, Text(RULES | DROP, ..) | Name(RULES, _)) {
            base = repo.commit("misspelt");
        }
        let by_environment = ["--env", environment];
        let more: &[&str] = if matches!(slip, Environment(_)) { &by_environment } else { &[] };
        let checked = run(&[&["check", repo.dir(), "-o", "json"], more].concat());
        if code(&checked) == 0 || !refuses(&checked, &report(&checked), right) {
            passed.push(format!("check: {shown}\n{}", Ran(&checked)));
        }
        let planned = plan(environment);
        if !refuses(&planned, &report(&planned), right) {
            passed.push(format!("plan: {shown}\n{}", Ran(&planned)));
        }
        let (acted, made) = action(&repo, &base, environment);
        if !refuses(&acted, &made, right) {
            passed.push(format!("action: {shown}\n{}\n{made:#}", Ran(&acted)));
        }
        if base != "HEAD" {
            repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
        }
        repo.git(&["checkout", "-q", "--", "."]);
        repo.git(&["clean", "-qfd"]);
    }
    assert!(SLIPS.len() >= 40, "{}", SLIPS.len());
    assert!(passed.is_empty(), "{} of {}:\n{}", passed.len(), SLIPS.len() * 3, passed.join("\n---\n"));
}

#[test]
fn a_tenant_that_is_not_there_is_not_selected() {
    let repo = repository();
    for asked in ["chekout", "checkout,catlog"] {
        let ran = run(&["plan", repo.dir(), "--env", "staging", "--against", "HEAD", "--tenant", asked]);
        assert_eq!(code(&ran), 64, "{}", Ran(&ran));
        assert!(stderr(&ran).contains("checkout"), "{}", Ran(&ran));
    }
}
