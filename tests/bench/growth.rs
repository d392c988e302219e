//! How `spinway check` and `spinway plan` grow with each thing of which a tenant can write as much as it likes, and with what a
//! Config lists: twice as much may take about twice as long.

use crate::measure::{self, Cost};
use crate::repo::Repo;
use std::path::Path;

/// The most that twice as much may cost.
pub const LIMIT: f64 = 2.2;
/// Below so many seconds of the processor a ratio says nothing.
const LEAST: f64 = 0.05;

/// A row of the table.
pub struct Row {
    /// What there is more of.
    pub name: &'static str,
    /// How many, in the smaller of the two.
    pub count: usize,
    /// What so many cost.
    pub small: Cost,
    /// What twice as many cost.
    pub large: Cost,
}

impl Row {
    /// How many times as much processor time twice as many take.
    pub fn ratio(&self) -> f64 {
        self.large.cpu.max(LEAST) / self.small.cpu.max(LEAST)
    }
}

/// One thing that there may be much of: so many, as a file of the tenant.
type Kind = (&'static str, usize, fn(usize) -> String);

const KINDS: [Kind; 15] = [
    ("comments for spinway", 10_000, |n| {
        format!(
            "{}data:\n{}",
            map("a", ""),
            many(n, |i| format!("  k{i}: \"v\" # spinway:ignore SPW022: it is meant\n"))
        )
    }),
    ("suppressed objects", 2_000, |n| {
        many(n, |i| map(&format!("c{i}"), ", annotations: {spinway.dev/ignore: \"SPW022: it is meant\"}"))
    }),
    ("objects that a pattern of patches fits", 2_000, |n| {
        many(n, |i| map(&format!("c{i}"), "")) + &many(100, |i| patch(i, &format!("c*{i}")))
    }),
    ("Apps under egress", 500, |n| {
        many(n, |i| {
            format!(
                "---\napiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: a{i}, namespace: one}}\nspec: {{image: \"{IMAGE}\", egress: []}}\n"
            )
        })
    }),
    ("autoscaled SpinApps", 500, |n| many(n, scaled)),
    ("references that lead nowhere", 500, |n| many(n, |i| route(i, "one", &format!("gone{i}")))),
    ("references with a grant", 500, |n| many(n, |i| route(i, "two", &format!("there{i}")) + &grant(i))),
    ("links of a circle", 2_000, |n| {
        many(n, |i| {
            let next = (i + 1) % n;
            map(
                &format!("c{i}"),
                &format!(", annotations: {{config.kubernetes.io/depends-on: /namespaces/one/ConfigMap/c{next}}}"),
            )
        })
    }),
    ("links of a chain", 2_000, |n| {
        many(n, |i| {
            let next = i + 1;
            map(
                &format!("c{i}"),
                &format!(", annotations: {{config.kubernetes.io/depends-on: /namespaces/one/ConfigMap/c{next}}}"),
            )
        })
    }),
    // The last one is refused, which blocks all of them.
    ("links of a chain behind an error", 1_000, |n| {
        let last =
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: last, namespace: one}\n";
        let chain = many(n, |i| {
            let next = if i + 1 == n {
                "rbac.authorization.k8s.io/namespaces/one/Role/last".to_owned()
            } else {
                format!("/namespaces/one/ConfigMap/c{}", i + 1)
            };
            map(&format!("c{i}"), &format!(", annotations: {{config.kubernetes.io/depends-on: {next}}}"))
        });
        chain + last
    }),
    ("Deployments and policies for all pods", 300, |n| {
        many(n, |i| {
            format!(
                "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{i}, namespace: one}}\nspec: {{podSelector: {{}}, policyTypes: [Egress]}}\n\
                 ---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d{i}, namespace: one}}\nspec: {{selector: {{matchLabels: {{app: a}}}}, template: {{metadata: {{labels: {{app: a}}}}, spec: {{containers: [{{name: c, image: \"{IMAGE}\"}}]}}}}}}\n"
            )
        })
    }),
    ("objects that no list allows", 1_000, |n| {
        many(n, |i| map(&format!("c{i}"), "").replace("namespace: one", "namespace: other"))
    }),
    ("variables of a container", 5_000, |n| deployment(&many(n, |i| format!("{{name: V{i}, value: x}}, ")))),
    ("keys of a map", 20_000, |n| format!("{}data:\n{}", map("a", ""), many(n, |i| format!("  k{i}: v\n")))),
    ("levels of anchors around 20,000 values", 50, |n| {
        let open = many(n, |i| format!("&a{i} ["));
        format!("{}list: {open}{}{}\n", map("a", ""), "1,".repeat(20_000), "]".repeat(n))
    }),
];

/// A repository of which there is much of something.
#[derive(Default)]
struct Input {
    /// The file of the tenant.
    tenant: String,
    /// The same in the revision that it is planned against; by a snapshot where there is none.
    before: Option<String>,
    /// The environments of the Config beside `test`, and more of it.
    environments: String,
    rules: String,
}

/// Makes an input of a size.
type Make = fn(usize) -> Input;

/// What stands elsewhere, or is compared with what was before.
const OTHERS: [(&str, usize, Make); 10] = [
    ("patches by pattern", 400, |n| Input {
        tenant: many(1_000, |i| map(&format!("c{i}"), "")) + &many(n, |i| patch(i, &format!("d*{i}"))),
        ..Input::default()
    }),
    ("suppressions of the Config, each of a finding", 500, |n| Input {
        tenant: many(n, |i| map(&format!("c{i}"), "").replace("namespace: one", "namespace: other")),
        rules: many(n, |i| format!("{}{{check: SPW101, name: c{i}, reason: r}}", separator(i, "  suppressions: [")))
            + "]\n",
        ..Input::default()
    }),
    ("externals, each referred to", 500, |n| Input {
        tenant: many(n, |i| route(i, "one", &format!("gone{i}"))),
        rules: many(n, |i| format!("{}{{kind: Service, name: gone{i}}}", separator(i, "  externals: ["))) + "]\n",
        ..Input::default()
    }),
    ("environments", 20, |n| Input {
        tenant: many(200, |i| map(&format!("c{i}"), "")),
        environments: many(n, |i| format!(", {{name: e{i}}}")),
        ..Input::default()
    }),
    ("environments with values of their own", 20, |n| Input {
        tenant: many(200, |i| {
            map(&format!("c{i}"), ", annotations: {spinway.dev/substitute: enabled}") + "data: {k: \"${host}\"}\n"
        }),
        environments: many(n, |i| format!(", {{name: e{i}, values: {{host: h{i}.example}}}}")),
        ..Input::default()
    }),
    ("renamed listeners", 500, |n| renamed(&|name| listeners(n, name))),
    ("renamed variables of a container", 2_000, |n| {
        renamed(&|name| deployment(&many(n, |i| format!("{{name: {name}{i}, value: x}}, "))))
    }),
    ("renamed ports of a Service", 1_000, |n| {
        renamed(&|name| {
            let ports = many(n, |i| format!("{{name: {name}{i}, port: {}}}, ", i + 1));
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: one}}\nspec: {{selector: {{a: b}}, ports: [{ports}]}}\n"
            )
        })
    }),
    ("renamed objects, each of its own text", 1_000, |n| {
        renamed(&|name| many(n, |i| map(&format!("{name}{i}"), "") + &format!("data: {{k: \"{i}\"}}\n")))
    }),
    ("renamed routes", 500, |n| {
        let named = |i: usize, name: &str| {
            route(i, "one", "there").replace(&format!("name: r{i},"), &format!("name: {name}{i},"))
        };
        renamed(&|name| many(n, |i| named(i, name)))
    }),
];

/// What begins a list, or goes on with it.
fn separator(item: usize, begin: &str) -> &str {
    if item == 0 { begin } else { ", " }
}

/// The same with one name before and another one after.
fn renamed(text: &dyn Fn(&str) -> String) -> Input {
    Input { tenant: text("b"), before: Some(text("a")), ..Input::default() }
}

/// Gateways with so many listeners in all.
fn listeners(count: usize, name: &str) -> String {
    const OF_ONE: usize = 50;
    many(count / OF_ONE, |gateway| {
        let listeners =
            many(OF_ONE, |i| format!("{{name: {name}{i}, port: 80, protocol: HTTP, hostname: h{i}.example}}, "));
        format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: g{gateway}, namespace: one}}\nspec: {{gatewayClassName: c, listeners: [{listeners}]}}\n"
        )
    })
}

fn deployment(variables: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d, namespace: one}}\nspec: {{selector: {{matchLabels: {{app: a}}}}, template: {{metadata: {{labels: {{app: a}}}}, spec: {{containers: [{{name: c, image: \"{IMAGE}\", env: [{variables}]}}]}}}}}}\n"
    )
}

/// Measures every kind, so many and twice as many.
pub fn run(runs: usize) -> Vec<Row> {
    let of_tenant = KINDS.iter().map(|&(name, count, text)| {
        let input = move |count| Input { tenant: text(count), ..Input::default() };
        row(runs, name, count, &input)
    });
    of_tenant.chain(OTHERS.iter().map(|&(name, count, input)| row(runs, name, count, &input))).collect()
}

fn row(runs: usize, name: &'static str, count: usize, input: &dyn Fn(usize) -> Input) -> Row {
    let least = |count: usize| {
        let costs = (0..runs.clamp(1, 3)).map(|_| check(&input(count)));
        costs.min_by(|a, b| a.cpu.total_cmp(&b.cpu)).expect("there are runs")
    };
    let row = Row { name, count, small: least(count), large: least(2 * count) };
    eprintln!("  twice as many {name}: {:.2} times as long", row.ratio());
    row
}

fn check(input: &Input) -> Cost {
    let repo = Repo::empty();
    let config = CONFIG.replace(", MORE", &input.environments) + &input.rules;
    repo.write("spinway.yaml", &config);
    repo.write("platform/namespaces.yaml", NAMESPACES);
    if let Some(before) = &input.before {
        repo.write("teams/one/many.yaml", before);
        repo.commit("before");
    }
    repo.write("teams/one/many.yaml", &input.tenant);
    let program = Path::new(env!("CARGO_BIN_EXE_spinway"));
    let check = measure::run(repo.path(), program, &["check", repo.dir(), "-o", "json"], &[]);
    assert!(matches!(check.code, 0 | 1), "it is checked: {}", check.errors);
    // A cluster that serves these kinds.
    let snapshot = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/shop/snapshot.json");
    let live = if input.before.is_some() { ["--against", "HEAD"] } else { ["--snapshot", snapshot] };
    let arguments = [&["plan", repo.dir(), "--env", "test", "-o", "json"][..], &live].concat();
    let plan = measure::run(repo.path(), program, &arguments, &[]);
    assert!(matches!(plan.code, 0 | 1), "it is planned: {}", plan.errors);
    Cost { cpu: check.cpu + plan.cpu, wall: check.wall + plan.wall, peak: check.peak.max(plan.peak), ..check }
}

const CONFIG: &str = "apiVersion: spinway.dev/v1alpha1
kind: Config
metadata: {name: growth}
spec:
  sources: [platform, teams]
  environments: [{name: test, values: {host: test.example}}, MORE]
  tenants:
    - {name: one, paths: [teams/one], namespaces: [one, two], kinds: [ReferenceGrant.gateway.networking.k8s.io, Gateway.gateway.networking.k8s.io, Service, Deployment.apps, App, ConfigMap, HTTPRoute.gateway.networking.k8s.io, SpinApp.core.spinkube.dev, HorizontalPodAutoscaler.autoscaling, NetworkPolicy.networking.k8s.io], gateways: ['*'], hostnames: ['*'], pathPrefixes: ['*'], images: ['*'], egress: []}
";
const NAMESPACES: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: one}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: two}\n";
const IMAGE: &str = "ghcr.io/example/web@sha256:5555555555555555555555555555555555555555555555555555555555555555";

fn many(count: usize, of: impl Fn(usize) -> String) -> String {
    (0..count).map(of).collect()
}

fn map(name: &str, metadata: &str) -> String {
    format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: one{metadata}}}\n")
}

fn patch(number: usize, name: &str) -> String {
    format!(
        "---\napiVersion: spinway.dev/v1alpha1\nkind: Patch\nmetadata: {{name: p{number}}}\nspec: {{target: {{kind: ConfigMap, namespace: \"o*\", name: \"{name}\"}}, merge: {{data: {{k: v}}}}}}\n"
    )
}

fn scaled(number: usize) -> String {
    format!(
        "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: h{number}, namespace: one}}\nspec: {{minReplicas: 1, maxReplicas: 2, scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: s{number}}}}}\n\
         ---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: s{number}, namespace: one}}\nspec: {{image: \"{IMAGE}\", executor: containerd-shim-spin, enableAutoscaling: true}}\n"
    )
}

fn route(number: usize, namespace: &str, backend: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r{number}, namespace: one}}\nspec: {{parentRefs: [{{name: g, namespace: infra}}], hostnames: [h{number}.example.com], rules: [{{backendRefs: [{{name: {backend}, namespace: {namespace}, port: 80}}]}}]}}\n"
    )
}

fn grant(number: usize) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: {{name: g{number}, namespace: two}}\nspec: {{from: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: one}}], to: [{{group: \"\", kind: Service, name: there{number}}}]}}\n"
    )
}
