//! Generated pairs of repositories: a base that an API server accepts, and a head with a few changes of it, good and bad.

use crate::oracle::texts::Random;
use std::collections::BTreeMap;

/// The files of a repository.
pub type Files = BTreeMap<String, String>;

const TENANTS: [&str; 2] = ["one", "two"];

const CONFIG: &str = "\
apiVersion: spinway.dev/v1alpha1
kind: Config
metadata: {name: t}
spec:
  sources: [platform, apps]
  platform: {paths: [platform]}
  environments:
    - {name: test}
  gatewayApi: {release: \"1.6\", channel: standard}
  controllers: [{gatewayClass: c, release: nginx-gateway-fabric@2.7.0}]
  tenants:
    - name: one
      paths: [apps/one]
      namespaces: [one]
      gateways: [infra/public]
      hostnames: [shop.example]
      ownHostnames: [one.example]
      pathPrefixes: [/one]
      images: [\"reg.example/*\"]
    - name: two
      paths: [apps/two]
      namespaces: [two]
      gateways: [infra/public]
      hostnames: [shop.example]
      ownHostnames: [two.example]
      pathPrefixes: [/two]
      images: [\"reg.example/*\"]
      egress: [\"https://pay.example:443\"]
";

const PLATFORM: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: infra}
---
apiVersion: v1
kind: Namespace
metadata: {name: one, labels: {exposed: \"yes\"}}
---
apiVersion: v1
kind: Namespace
metadata: {name: two, labels: {exposed: \"yes\"}}
---
apiVersion: core.spinkube.dev/v1alpha1
kind: SpinAppExecutor
metadata: {name: containerd-shim-spin, namespace: one}
spec: {createDeployment: true, deploymentConfig: {runtimeClassName: wasmtime-spin-v2, installDefaultCACerts: false}}
---
apiVersion: core.spinkube.dev/v1alpha1
kind: SpinAppExecutor
metadata: {name: containerd-shim-spin, namespace: two}
spec: {createDeployment: true, deploymentConfig: {runtimeClassName: wasmtime-spin-v2, installDefaultCACerts: false}}
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: wasmtime-spin-v2}
handler: spin
";

const GATEWAY: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: stand-in.example/controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: infra}
spec:
  gatewayClassName: c
  listeners:
    - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {exposed: \"yes\"}}}}}
    - {name: admin, port: 8080, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {exposed: \"yes\"}}}}}
";

/// A definition of the platform's own, and an object of it.
const OWN_KIND: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.t.example}
spec:
  group: t.example
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  scope: Namespaced
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}, colour: {type: string}}}}}}}
---
apiVersion: t.example/v1
kind: Widget
metadata: {name: w, namespace: infra}
spec: {size: 1, colour: red}
";

fn map(namespace: &str, name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {namespace}\ndata: {{k: {value}}}\n"
    )
}

fn join(parts: &[String]) -> String {
    parts.join("---\n")
}

/// One app of a tenant, in one of the forms that a repository may have.
fn unit(tenant: &str, name: &str, form: usize) -> String {
    let route = |backend: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: {tenant}}}\nspec:\n  parentRefs: [{{namespace: infra, name: public, sectionName: http}}]\n  hostnames: [shop.example]\n  \
             rules:\n    - matches: [{{path: {{type: PathPrefix, value: /{tenant}/{name}}}}}]\n      backendRefs: [{{name: {backend}, port: 80}}]\n"
        )
    };
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {tenant}}}\nspec:\n  selector: {{app: {name}}}\n  ports: [{{name: web, port: 80}}, {{name: more, port: 81}}]\n"
    );
    let labels = format!("{{app: {name}}}");
    match form {
        0 => join(&[service, route(name)]),
        1 => format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}, namespace: {tenant}}}\nspec:\n  image: reg.example/{name}:1.0.0\n  replicas: 1\n  routes:\n    - {{gateway: infra/public, section: http, hosts: [shop.example], path: /{tenant}/{name}}}\n"
        ),
        2 => join(&[
            format!(
                "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: {name}, namespace: {tenant}}}\nspec:\n  image: reg.example/{name}:1.0.0\n  executor: containerd-shim-spin\n  replicas: 1\n  podLabels: {labels}\n"
            ),
            route(name),
            policy(tenant, name),
        ]),
        3 => join(&[
            service,
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {tenant}}}\nspec:\n  replicas: 1\n  selector: {{matchLabels: {labels}}}\n  template:\n    metadata: {{labels: {labels}}}\n    spec: {{containers: [{{name: c, image: \"reg.example/{name}:1.0.0\", ports: [{{containerPort: 80}}]}}]}}\n"
            ),
            policy(tenant, name),
            route(name),
        ]),
        _ => join(&[
            service,
            route(name).replace("hostnames: [shop.example]", &format!("hostnames: [{tenant}.example]")),
        ]),
    }
}

/// A policy that lets pods connect to the name servers and to nothing else.
fn policy(tenant: &str, name: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {tenant}}}\nspec:\n  podSelector: {{matchLabels: {{app: {name}}}}}\n  policyTypes: [Egress]\n  egress: []\n"
    )
}

/// A base: what an API server with the kinds of Gateway API and SpinKube accepts.
pub fn base(random: &mut Random) -> Files {
    let mut files = Files::new();
    if !random.chance(6) {
        files.insert("spinway.yaml".to_owned(), CONFIG.to_owned());
    }
    files.insert("platform/all.yaml".to_owned(), PLATFORM.to_owned());
    files.insert("platform/gateway.yaml".to_owned(), GATEWAY.to_owned());
    if random.chance(60) {
        files.insert("platform/kind.yaml".to_owned(), OWN_KIND.to_owned());
    }
    if random.chance(25) {
        let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: infra}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n";
        files.insert("platform/held.yaml".to_owned(), join(&[claim.to_owned(), map("spinway-system", "own", "v")]));
        files
            .get_mut("platform/held.yaml")
            .expect("it is there")
            .push_str("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: spinway-system}\n");
    }
    for tenant in TENANTS {
        files.insert(format!("apps/{tenant}/.spinwayignore"), String::new());
        let count = 2 + random.below(12);
        let maps: Vec<String> = (0..count).map(|n| map(tenant, &format!("m{n}"), "v")).collect();
        files.insert(format!("apps/{tenant}/maps.yaml"), join(&maps));
        for n in 0..1 + random.below(3) {
            let name = format!("app{n}");
            files.insert(format!("apps/{tenant}/{name}.yaml"), unit(tenant, &name, random.below(5)));
        }
        if random.chance(25) {
            let uses = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: user\n  namespace: NS\n  annotations: {config.kubernetes.io/depends-on: /namespaces/NS/ConfigMap/m0}\ndata: {k: v}\n";
            files.insert(format!("apps/{tenant}/user.yaml"), uses.replace("NS", tenant));
        }
    }
    if random.chance(25) {
        let fault = *random.of(&FAULTS.iter().filter(|fault| fault.lives).collect::<Vec<_>>());
        // Without rules its Gateway is what it lacks, and that only a cluster knows.
        if fault.id != "SPW103" || files.contains_key("spinway.yaml") {
            fault.write(&mut files);
        }
    }
    files
}

/// A head: some changes of a base, with their names. Each fault has its turn.
pub fn head(base: &Files, cluster: &str, turn: u64, random: &mut Random) -> (Files, Vec<&'static str>) {
    let mut files = base.clone();
    let mut done = Vec::new();
    let fault = &FAULTS[turn as usize % FAULTS.len()];
    fault.write(&mut files);
    done.push(fault.id);
    if !files.contains_key("spinway.yaml") {
        // The first Config of the repository.
        let adopting = CONFIG.replace("  tenants:", "  adopt: [{}]\n  tenants:");
        let config = if random.chance(50) { adopting } else { CONFIG.to_owned() };
        files.insert("spinway.yaml".to_owned(), config);
        done.push("first-config");
    }
    let wanted = 2 + random.below(4);
    for _ in 0..40 {
        if done.len() >= wanted {
            break;
        }
        let (name, change) = random.of(&CHANGES);
        // A rule is written once.
        if done.contains(name) {
            continue;
        }
        let before = files.clone();
        change(&mut files, random);
        if files != before {
            done.push(name);
        }
    }
    files.values_mut().for_each(|text| *text = text.replace("THE-CLUSTER", cluster));
    (files, done)
}

/// A change of a repository; it may find nothing to change.
pub type Changing = fn(&mut Files, &mut Random);

/// The path of a file of a tenant's apps.
fn app_file(files: &Files, random: &mut Random) -> Option<String> {
    app_file_with(files, random, |_| true)
}

/// The path of a file of a tenant's apps whose text is such.
fn app_file_with(files: &Files, random: &mut Random, is: impl Fn(&str) -> bool) -> Option<String> {
    let is_app = |(path, text): &(&String, &String)| path.starts_with("apps/") && path.contains("/app") && is(text);
    let apps: Vec<&String> = files.iter().filter(is_app).map(|(path, _)| path).collect();
    (!apps.is_empty()).then(|| (*random.of(&apps)).clone())
}

fn edit(files: &mut Files, path: &str, from: &str, to: &str) {
    if let Some(text) = files.get_mut(path) {
        *text = text.replace(from, to);
    }
}

/// Edits an app of any form: the first of these texts that it has.
fn edit_app(files: &mut Files, random: &mut Random, edits: &[(&str, &str)]) {
    let has = |text: &str| edits.iter().any(|(from, _)| text.contains(from));
    let Some(path) = app_file_with(files, random, has) else { return };
    let found = edits.iter().find(|(from, _)| files[&path].contains(from));
    if let Some((from, to)) = found {
        edit(files, &path, from, to);
    }
}

fn tenant(random: &mut Random) -> &'static str {
    let tenant: &&'static str = random.of(&TENANTS);
    tenant
}

/// Removes some of a tenant's maps.
fn fewer(files: &mut Files, random: &mut Random, most: usize) {
    let path = format!("apps/{}/maps.yaml", tenant(random));
    let Some(text) = files.get_mut(&path) else { return };
    let parts: Vec<String> = text.split("---\n").map(str::to_owned).collect();
    let gone = (1 + random.below(most)).min(parts.len() - 1);
    *text = join(&parts[gone..]);
}

fn moved(files: &mut Files, from: &str, to: &str) {
    if let Some(text) = files.remove(from) {
        files.insert(to.to_owned(), text);
    }
}

/// Takes the part of an app that has a text out of its file.
fn part_gone(files: &mut Files, random: &mut Random, has: &str) {
    let Some(path) = app_file_with(files, random, |text| text.contains(has)) else { return };
    let kept: Vec<String> = files[&path].split("---\n").filter(|part| !part.contains(has)).map(str::to_owned).collect();
    files.insert(path, join(&kept));
}

/// Limits how many objects a turn may delete, once.
fn budget(files: &mut Files, limits: &str) {
    if files.get("spinway.yaml").is_some_and(|text| !text.contains("deletions:")) {
        edit(files, "spinway.yaml", "  tenants:", &format!("  deletions: {limits}\n  tenants:"));
    }
}

pub const CHANGES: [(&str, Changing); 48] = [
    ("value", |files, random| edit(files, &format!("apps/{}/maps.yaml", tenant(random)), "{k: v}", "{k: w}")),
    ("image", |files, random| edit_app(files, random, &[(":1.0.0", ":2.0.0")])),
    ("replicas", |files, random| edit_app(files, random, &[("replicas: 1", "replicas: 3")])),
    ("path", |files, random| {
        edit_app(
            files,
            random,
            &[("value: /one/", "value: /one/new-"), ("value: /two/", "value: /two/new-"), ("path: /", "path: /one/")],
        );
    }),
    ("port", |files, random| edit_app(files, random, &[("{name: web, port: 80}", "{name: web, port: 8080}")])),
    ("more-ports", |files, random| edit_app(files, random, &[("port: 81}", "port: 82}")])),
    ("policy", |files, random| edit_app(files, random, &[("egress: []", "egress: [{ports: [{port: 53}]}]")])),
    ("policy-gone", |files, random| part_gone(files, random, "kind: NetworkPolicy")),
    ("backend-gone", |files, random| part_gone(files, random, "kind: Service\n")),
    ("policy-wrong", |files, random| {
        edit_app(files, random, &[("policyTypes: [Egress]", "policyTypes: [Egress]\n  fieldOfTomorrow: 1")]);
    }),
    ("fewer-maps", |files, random| fewer(files, random, 3)),
    ("far-fewer-maps", |files, random| fewer(files, random, 12)),
    ("app-gone", |files, random| {
        if let Some(path) = app_file(files, random) {
            files.remove(&path);
        }
    }),
    ("app-renamed", |files, random| {
        let Some(path) = app_file(files, random) else { return };
        let text = files[&path].replace("app", "new").replace("newVersion", "appVersion");
        let text =
            text.replace("newiVersion", "apiVersion").replace("kind: new", "kind: app").replace("{new:", "{app:");
        files.remove(&path);
        files.insert(path.replace("/app", "/new"), text.replace("news/v1", "apps/v1"));
    }),
    ("route-renamed", |files, random| {
        let Some(path) = app_file(files, random) else { return };
        let parts = files[&path].split("---\n").map(|part| match part.contains("kind: HTTPRoute") {
            true => part.replace("metadata: {name: app", "metadata: {name: other"),
            false => part.to_owned(),
        });
        let text = join(&parts.collect::<Vec<_>>());
        files.insert(path, text);
    }),
    ("app-new", |files, random| {
        let (tenant, name) = (tenant(random), format!("fresh{}", random.below(9)));
        files.insert(format!("apps/{tenant}/{name}.yaml"), unit(tenant, &name, random.below(5)));
    }),
    ("typo-field", |files, random| {
        edit_app(files, random, &[("parentRefs:", "parentRef:"), ("routes:", "route:"), ("executor:", "executer:")]);
    }),
    ("typo-service", |files, random| {
        edit_app(files, random, &[("backendRefs: [{name: app", "backendRefs: [{name: apq")]);
    }),
    ("typo-yaml", |files, random| {
        let path = format!("apps/{}/maps.yaml", tenant(random));
        if let Some(text) = files.get_mut(&path) {
            text.push_str("---\nkind: [\n");
        }
    }),
    ("typo-kind", |files, random| edit_app(files, random, &[("kind: App", "kind: Ap")])),
    ("declared-twice", |files, random| {
        if let Some(path) = app_file(files, random) {
            let text = files[&path].clone();
            files.insert(path.replace("/app", "/twice"), text);
        }
    }),
    ("to-nobody", |files, random| {
        if let Some(path) = app_file(files, random) {
            let to = path.replace("apps/one", "apps/three").replace("apps/two", "apps/three");
            moved(files, &path, &to);
        }
    }),
    ("to-another-tenant", |files, random| {
        if let Some(path) = app_file(files, random) {
            let to =
                if path.contains("/one/") { path.replace("/one/", "/two/") } else { path.replace("/two/", "/one/") };
            moved(files, &path, &to);
        }
    }),
    ("to-the-platform", |files, random| {
        if let Some(path) = app_file(files, random) {
            let to = path.replace("apps/", "platform/");
            moved(files, &path, &to);
        }
    }),
    ("source-gone", |files, _| {
        files.retain(|path, _| !path.starts_with("apps/two/"));
    }),
    ("rule-hosts", |files, _| edit(files, "spinway.yaml", "hostnames: [shop.example]", "hostnames: [other.example]")),
    ("rule-namespaces", |files, _| edit(files, "spinway.yaml", "namespaces: [two]", "namespaces: [three]")),
    ("rule-kinds", |files, _| {
        edit(files, "spinway.yaml", "paths: [apps/one]", "paths: [apps/one]\n      kinds: [ConfigMap]");
    }),
    ("rule-images", |files, _| {
        edit(files, "spinway.yaml", "images: [\"reg.example/*\"]", "images: [\"other.example/*\"]");
    }),
    ("rule-tenant-gone", |files, _| {
        edit(
            files,
            "spinway.yaml",
            "    - name: two\n      paths: [apps/two]",
            "    - name: two\n      paths: [apps/2]",
        );
    }),
    ("rule-budget", |files, _| budget(files, "{count: 1, percent: 1}")),
    ("rule-budget-of-all", |files, _| budget(files, "{count: 10, total: 1}")),
    ("rule-release", |files, _| {
        edit(files, "spinway.yaml", "nginx-gateway-fabric@2.7.0", "nginx-gateway-fabric@2.99.0");
    }),
    ("rule-name", |files, _| edit(files, "spinway.yaml", "metadata: {name: t}", "metadata: {name: u}")),
    ("rule-previous-name", |files, _| {
        edit(
            files,
            "spinway.yaml",
            "metadata: {name: t}\nspec:\n",
            "metadata: {name: u}\nspec:\n  inventory: {previousNames: [t]}\n",
        );
    }),
    ("rule-protected", |files, _| {
        edit(files, "spinway.yaml", "- {name: test}", "- {name: test, protected: true, cluster: {uid: THE-CLUSTER}}");
        edit(
            files,
            "spinway.yaml",
            "      pathPrefixes: [/one]\n",
            "      pathPrefixes: [/one]\n      egress: []\n      serviceAccount: one/deployer\n",
        );
    }),
    ("rule-ignore", |files, _| {
        edit(files, "spinway.yaml", "  tenants:", "  ignore: [{kind: Deployment, path: spec.replicas}]\n  tenants:");
    }),
    ("listener-renamed", |files, _| edit(files, "platform/gateway.yaml", "{name: http,", "{name: web,")),
    ("listener-port", |files, _| edit(files, "platform/gateway.yaml", "port: 8080", "port: 8081")),
    ("gateway-gone", |files, _| {
        edit(files, "platform/gateway.yaml", "{name: public, namespace: infra}", "{name: other, namespace: infra}");
    }),
    ("label-gone", |files, random| {
        let from = format!("{{name: {}, labels: {{exposed: \"yes\"}}}}", tenant(random));
        edit(files, "platform/all.yaml", &from, &from.replace("yes", "no"));
    }),
    ("namespace-gone", |files, _| {
        edit(
            files,
            "platform/all.yaml",
            "kind: Namespace\nmetadata: {name: two, labels: {exposed: \"yes\"}}",
            "kind: Namespace\nmetadata: {name: four}",
        );
    }),
    ("held-gone", |files, _| drop(files.remove("platform/held.yaml"))),
    ("kind-loses-a-field", |files, _| edit(files, "platform/kind.yaml", ", colour: {type: string}", "")),
    ("kind-of-another-version", |files, _| {
        edit(
            files,
            "platform/kind.yaml",
            "{name: v1, served: true, storage: true,",
            "{name: v2, served: true, storage: true,",
        );
    }),
    ("kind-not-served", |files, _| {
        let (from, v2) = (
            "  versions:\n",
            "  versions:\n    - {name: v2, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}\n",
        );
        edit(
            files,
            "platform/kind.yaml",
            "{name: v1, served: true, storage: true,",
            "{name: v1, served: false, storage: false,",
        );
        edit(files, "platform/kind.yaml", from, v2);
    }),
    ("circle", |files, random| {
        let tenant = tenant(random);
        let of = |name: &str, to: &str| {
            map(tenant, name, "v").replace(
                &format!("  namespace: {tenant}\n"),
                &format!("  namespace: {tenant}\n  annotations: {{config.kubernetes.io/depends-on: /namespaces/{tenant}/ConfigMap/{to}}}\n"),
            )
        };
        files.insert(format!("apps/{tenant}/circle.yaml"), join(&[of("c1", "c2"), of("c2", "c1")]));
    }),
    ("fault", |files, random| random.of(&FAULTS).write(files)),
];

/// Something that a check finds, or that is refused.
pub struct Fault {
    /// The check.
    pub id: &'static str,
    /// Whether an API server accepts it and nothing blocks it, so that it may be in a base.
    lives: bool,
    /// Where it stands: a tenant's folder or the platform's.
    folder: &'static str,
    text: &'static str,
}

const fn fault(id: &'static str, lives: bool, folder: &'static str, text: &'static str) -> Fault {
    Fault { id, lives, folder, text }
}

impl Fault {
    fn write(&self, files: &mut Files) {
        let text = self
            .text
            .replace("ROUTE", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: fault, namespace: one}\nspec:")
            .replace("PUBLIC", "parentRefs: [{namespace: infra, name: public, sectionName: http}], hostnames: [shop.example]")
            .replace("SPINAPP", "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: fault, namespace: one}\nspec:")
            .replace("MAP", "apiVersion: v1\nkind: ConfigMap\nmetadata:");
        files.insert(format!("{}/{}.yaml", self.folder, self.id.to_lowercase()), text);
    }
}

const ONE: &str = "apps/one";
const OURS: &str = "platform";

pub const FAULTS: [Fault; 39] = [
    fault(
        "SPW002",
        false,
        ONE,
        "ROUTE {PUBLIC, rules: [{matches: [{path: {value: /one/fault}}], backendRefs: [{namespace: infra, name: s, port: 80}]}]}\n",
    ),
    fault(
        "SPW003",
        false,
        ONE,
        "ROUTE {parentRefs: [{namespace: infra, name: public, sectionName: nowhere}], hostnames: [shop.example], rules: [{matches: [{path: {value: /one/fault}}]}]}\n",
    ),
    fault("SPW004", false, ONE, "ROUTE {PUBLIC, rule: [{matches: [{path: {value: /one/fault}}]}]}\n"),
    fault(
        "SPW005",
        false,
        ONE,
        "SPINAPP {image: \"reg.example/f:1\", executor: containerd-shim-spin, replicas: 1}\n---\nROUTE {PUBLIC, rules: [{matches: [{path: {value: /one/fault}}], backendRefs: [{name: fault, port: 8080}]}]}\n",
    ),
    fault(
        "SPW006",
        false,
        ONE,
        "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: fault.v2, namespace: one}\nspec: {image: \"reg.example/f:1\", executor: containerd-shim-spin, replicas: 1}\n",
    ),
    fault("SPW007", false, ONE, "SPINAPP {image: \"reg.example/f:1\", replicas: 1}\n"),
    fault(
        "SPW008",
        false,
        ONE,
        "SPINAPP {image: \"reg.example/f:1\", executor: containerd-shim-spin, replicas: 2, enableAutoscaling: true}\n",
    ),
    fault(
        "SPW009",
        false,
        ONE,
        "ROUTE {PUBLIC, rules: [{matches: [{path: {value: /one/fault}}], filters: [{type: CORS, cors: {allowOrigins: [\"*\"], allowCredentials: true}}]}]}\n",
    ),
    fault(
        "SPW010",
        true,
        ONE,
        "SPINAPP {image: \"reg.example/f:1\", executor: containerd-shim-spin, replicas: 1}\n---\nROUTE {PUBLIC, rules: [{matches: [{path: {type: PathPrefix, value: /one/fault}}], backendRefs: [{name: fault, port: 80}]}]}\n",
    ),
    fault(
        "SPW011",
        false,
        ONE,
        "ROUTE {PUBLIC, rules: [{matches: [{path: {type: PathPrefix, value: /one/a}}, {path: {type: PathPrefix, value: /one/b}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]}]}\n",
    ),
    fault(
        "SPW012",
        true,
        ONE,
        "ROUTE {PUBLIC, rules: [{matches: [{path: {type: PathPrefix, value: /one/fault}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}, {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: set-cookie, value: \"a=b; Path=/\"}]}}]}]}\n",
    ),
    fault(
        "SPW013",
        true,
        ONE,
        "ROUTE {PUBLIC, rules: [{matches: [{path: {value: /one/same}}]}]}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: fault2, namespace: one}\nspec: {PUBLIC, rules: [{matches: [{path: {value: /one/same}}]}]}\n",
    ),
    fault(
        "SPW014",
        false,
        OURS,
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web, namespace: infra}\nspec: {parentRefs: [{name: public, sectionName: admin}], hostnames: [api.example]}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: rpc, namespace: infra}\nspec: {parentRefs: [{name: public, sectionName: admin}], hostnames: [api.example]}\n",
    ),
    fault(
        "SPW016",
        false,
        OURS,
        "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: shop, namespace: infra}\nspec: {secretName: shop-tls, dnsNames: [shop.example]}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: tls, namespace: infra}\nspec:\n  gatewayClassName: c\n  listeners:\n    - {name: https, port: 443, protocol: HTTPS, hostname: www.shop.example, tls: {certificateRefs: [{name: shop-tls}]}}\n",
    ),
    fault(
        "SPW021",
        false,
        ONE,
        "apiVersion: v1\nkind: Secret\nmetadata: {name: fault, namespace: one}\nstringData: {key: sk_live_1}\n",
    ),
    fault("SPW022", false, ONE, "MAP {name: fault, namespace: one}\ndata: {country: no}\n"),
    fault(
        "SPW024",
        false,
        OURS,
        "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TCPRoute\nmetadata: {name: fault, namespace: infra}\nspec: {parentRefs: [{name: public}], rules: [{backendRefs: [{name: s, port: 80}]}]}\n",
    ),
    fault(
        "SPW025",
        true,
        OURS,
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: all, namespace: infra}\nspec: {parentRefs: [{name: public, sectionName: admin}], hostnames: [\"*.wide.example\"]}\n",
    ),
    fault(
        "SPW026",
        true,
        ONE,
        "SPINAPP {image: \"reg.example/f:1\", executor: containerd-shim-spin, replicas: 2}\n---\nROUTE {PUBLIC, rules: [{matches: [{path: {value: /one/fault}}], backendRefs: [{name: fault, port: 80}]}]}\n",
    ),
    fault(
        "SPW028",
        false,
        ONE,
        "ROUTE {PUBLIC, rules: [{matches: [{path: {value: /one/fault}}], backendRefs: [{name: app0, port: 80, weight: 0}]}]}\n",
    ),
    fault(
        "SPW029",
        true,
        OURS,
        "MAP {name: hook, namespace: infra, annotations: {helm.sh/hook: pre-upgrade}}\ndata: {k: v}\n",
    ),
    fault(
        "SPW031",
        true,
        ONE,
        "ROUTE {PUBLIC, rules: [{matches: [{path: {value: /one/fault}}], timeouts: {request: 5s}}]}\n",
    ),
    fault(
        "SPW032",
        false,
        OURS,
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: as.t.example\n  annotations: {gateway.networking.k8s.io/bundle-version: v1.6.1, gateway.networking.k8s.io/channel: standard}\nspec: {group: t.example, names: {kind: A, plural: as}, scope: Namespaced, versions: [{name: v1, served: true, storage: true}]}\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: bs.t.example\n  annotations: {gateway.networking.k8s.io/bundle-version: v1.5.0, gateway.networking.k8s.io/channel: standard}\nspec: {group: t.example, names: {kind: B, plural: bs}, scope: Namespaced, versions: [{name: v1, served: true, storage: true}]}\n",
    ),
    fault(
        "SPW033",
        false,
        OURS,
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: carts.t.example}\nspec:\n  group: t.example\n  names: {kind: Cart, plural: carts}\n  scope: Namespaced\n  versions:\n    - {name: v1alpha1, served: true, storage: true}\n    - {name: v1, served: true, storage: true}\n",
    ),
    fault(
        "SPW035",
        false,
        ONE,
        "ROUTE {PUBLIC, rules: [{matches: [{path: {value: /one/fault}}], backendRefs: [{group: apps, kind: Deployment, name: app0, port: 80}]}]}\n",
    ),
    fault(
        "SPW041",
        false,
        ONE,
        "MAP {name: keys, namespace: one}\ndata: {there: v}\n---\nSPINAPP {image: \"reg.example/f:1\", executor: containerd-shim-spin, replicas: 1, variables: [{name: v, valueFrom: {configMapKeyRef: {name: keys, key: gone}}}]}\n",
    ),
    fault(
        "SPW042",
        false,
        ONE,
        "SPINAPP {image: \"reg.example/f:1\", executor: containerd-shim-spin, replicas: 1}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: fault, namespace: one}\nspec: {selector: {app: fault}, ports: [{port: 80}]}\n",
    ),
    fault("SPW043", true, ONE, "SPINAPP {image: \"reg.example/f\", executor: containerd-shim-spin, replicas: 1}\n"),
    fault(
        "SPW044",
        true,
        ONE,
        "MAP {name: fault, namespace: one}\ndata: {password: \"sk_live_4eC39HqLyjWDarjtT1zdp7dc\"}\n",
    ),
    fault("SPW101", true, ONE, "MAP {name: fault, namespace: two}\ndata: {k: v}\n"),
    fault(
        "SPW102",
        true,
        ONE,
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: fault, namespace: one}\nrules: []\n",
    ),
    fault(
        "SPW103",
        true,
        ONE,
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: fault, namespace: one}\nspec: {parentRefs: [{namespace: one, name: own}], hostnames: [shop.example], rules: [{matches: [{path: {value: /one/fault}}]}]}\n",
    ),
    fault(
        "SPW104",
        true,
        ONE,
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: fault, namespace: one}\nspec: {parentRefs: [{namespace: infra, name: public, sectionName: http}], hostnames: [login.example], rules: [{matches: [{path: {value: /one/fault}}]}]}\n",
    ),
    fault("SPW105", true, ONE, "ROUTE {PUBLIC, rules: [{matches: [{path: {value: /login}}]}]}\n"),
    fault(
        "SPW106",
        true,
        ONE,
        "SPINAPP {image: \"docker.io/someone/f:1\", executor: containerd-shim-spin, replicas: 1}\n",
    ),
    fault(
        "SPW107",
        true,
        "apps/two",
        "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {name: fault, namespace: two}\nspec: {image: \"reg.example/f:1\", replicas: 1, egress: [\"https://elsewhere.example\"]}\n",
    ),
    fault(
        "SPW108",
        true,
        ONE,
        "SPINAPP {image: \"reg.example/f:1\", executor: containerd-shim-spin, replicas: 1, serviceAccountName: root}\n",
    ),
    fault(
        "SPW109",
        true,
        ONE,
        "apiVersion: v1\nkind: Service\nmetadata: {name: fault, namespace: one}\nspec: {type: LoadBalancer, selector: {app: fault}, ports: [{port: 80}]}\n",
    ),
    fault(
        "SPW111",
        true,
        ONE,
        "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {name: fault, namespace: one}\nspec: {image: \"reg.example/f:1\", replicas: 1}\n",
    ),
];
