//! What an App can say wrong, each with its place; and what its layers come to.

use super::*;
use crate::desired::{Desired, Entry, Tree, read};

const CONFIG: &str = "\
apiVersion: spinway.dev/v1alpha1
kind: Config
metadata: {name: t}
spec:
  sources: [apps]
  platform: {paths: [apps]}
  environments: [{name: test, values: {domain: shop.example}}, {name: live, defaults: {replicas: 5}}]
  controllers: [{gatewayClass: nginx, release: nginx-gateway-fabric@2.7.0}]
  tenants: [{name: one, paths: [apps/one], defaults: {variables: {team: one}}}]
  defaults: {replicas: 3, variables: {team: nobody, level: info}}
";

const DIGEST: &str = "3f9c1dabab1212121212121212121212121212121212121212121212121212ab";

fn desired(config: &str, environment: &str, files: &[(&str, &str)]) -> Desired {
    let all = files.iter().copied().chain([("spinway.yaml", config)]);
    let entries = all.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
    match read(&Tree::of(entries.collect()), Some(environment)) {
        Ok(desired) => desired,
        Err(error) => unreachable!("{error:?}"),
    }
}

/// An App in `apps/one/a.yaml` with this spec, one line.
fn app(spec: &str) -> Desired {
    let text = format!(
        "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: cart, namespace: shop}}\nspec: {{{spec}}}\n"
    );
    desired(CONFIG, "test", &[("apps/one/a.yaml", &text)])
}

fn said(desired: &Desired) -> Vec<String> {
    let shown = |d: &Diagnostic| {
        let place = d.origin.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{place} {}", d.message.raw())
    };
    desired.diagnostics.iter().map(shown).collect()
}

fn object(desired: &Desired, kind: &str) -> Value {
    let found = desired.objects.iter().find(|(reference, _)| reference.kind == kind);
    found.map(|(_, member)| member.object.value.clone()).unwrap_or_default()
}

#[test]
fn later_layers_count_for_more_and_each_field_knows_its_own() {
    let text = "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {name: cart, namespace: shop}\nspec:\n  image: a:1\n  variables: {level: warn}\n  environments:\n    live: {variables: {level: error}}\n";
    let test = desired(CONFIG, "test", &[("apps/one/a.yaml", text)]);
    let live = desired(CONFIG, "live", &[("apps/one/a.yaml", text)]);
    let other = desired(CONFIG, "test", &[("apps/a.yaml", text)]);
    let values = |desired: &Desired| {
        let app = object(desired, "SpinApp");
        let variable = |index: usize| app["spec"]["variables"][index]["value"].as_str().unwrap_or_default().to_owned();
        (app["spec"]["replicas"].as_u64(), variable(0), variable(1))
    };
    assert_eq!(values(&test), (Some(3), "warn".to_owned(), "one".to_owned()));
    assert_eq!(values(&live), (Some(5), "error".to_owned(), "one".to_owned()));
    assert_eq!(values(&other), (Some(3), "warn".to_owned(), "nobody".to_owned()));
    let app = live.objects.values().find(|m| m.object.reference.kind == "SpinApp").map(|m| &m.object);
    let place = |pointer| app.map(|app| app.origin_of(pointer).to_string()).unwrap_or_default();
    assert_eq!(place("/spec/replicas"), "spinway.yaml:7:88");
    assert_eq!(place("/spec/variables/0"), "apps/one/a.yaml:8:24");
    assert_eq!(place("/spec/variables/1"), "spinway.yaml:9:67");
    assert_eq!(place("/spec/image"), "apps/one/a.yaml:5:3");
}

#[test]
fn a_fixed_number_and_autoscaling_replace_each_other_between_layers() {
    let text = |own: &str, live: &str| {
        format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: cart, namespace: shop}}\nspec: {{image: \"a:1\", \
             resources: {{requests: {{cpu: 1}}}}, {own}, environments: {{test: {{{live}}}}}}}\n"
        )
    };
    let scaled =
        desired(CONFIG, "test", &[("apps/one/a.yaml", &text("replicas: 2", "autoscale: {min: 1, max: 2, cpu: 9}"))]);
    assert_eq!((said(&scaled), &object(&scaled, "SpinApp")["spec"]["enableAutoscaling"]), (vec![], &json!(true)));
    let fixed =
        desired(CONFIG, "test", &[("apps/one/a.yaml", &text("autoscale: {min: 1, max: 2, cpu: 9}", "replicas: 7"))]);
    assert_eq!((said(&fixed), &object(&fixed, "SpinApp")["spec"]["replicas"]), (vec![], &json!(7)));
    let both = desired(
        CONFIG,
        "test",
        &[(
            "apps/one/a.yaml",
            &text("level: 1", "replicas: 7, autoscale: {min: 1, max: 2, cpu: 9}").replace("level: 1, ", ""),
        )],
    );
    assert!(said(&both)[0].ends_with("An App has either `replicas` or `autoscale`."), "{:?}", said(&both));
}

#[test]
fn a_patch_replaces_the_one_by_the_other_too() {
    let patched = |own: &str, change: &str| {
        let app = format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: cart, namespace: shop}}\nspec: {{image: a, \
             resources: {{requests: {{cpu: 1}}}}, {own}}}\n"
        );
        let patch = format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: Patch\nmetadata: {{name: p}}\nspec: {{target: {{kind: App}}, merge: {{spec: {{{change}}}}}}}\n"
        );
        let made = desired(CONFIG, "test", &[("apps/one/a.yaml", &app), ("apps/patch.yaml", &patch)]);
        assert_eq!(said(&made), Vec::<String>::new());
        object(&made, "SpinApp")["spec"].clone()
    };
    let scaled = "autoscale: {min: 1, max: 2, cpu: 9}";
    let fixed = patched(scaled, "replicas: 7");
    assert_eq!((fixed.get("enableAutoscaling"), &fixed["replicas"]), (None, &json!(7)));
    let free = patched("replicas: 7", scaled);
    assert_eq!((&free["enableAutoscaling"], free.get("replicas")), (&json!(true), None));
    assert_eq!(patched(scaled, "autoscale: {max: 9}")["enableAutoscaling"], true);
}

#[test]
fn what_is_wrong_is_said_at_its_place_and_nothing_is_made() {
    let route = |fields: &str| format!("image: a, routes: [{{gateway: infra/public, {fields}}}]");
    let long = "x".repeat(44);
    let mut wrong = Vec::new();
    for (spec, expected) in [
        ("image: 1".to_owned(), "4:8 image: invalid type: integer `1`, expected a string."),
        ("replicas: 1".to_owned(), "4:1 missing field `image`."),
        ("image: a, imgae: b".to_owned(), "4:18 Unknown field `imgae`."),
        ("image: a, trigger: smtp".to_owned(), "4:18 `smtp` is not a value of `trigger`."),
        ("image: a, variables: {v: 1.10}".to_owned(), "4:30 variables.v: expected a text, a whole number"),
        ("image: a, variables: {v: {secret: {name: s}}}".to_owned(), "4:30 variables.v: expected a text"),
        ("image: a, egress: [{port: 1}]".to_owned(), "4:27 Pods are named by `app` or by `labels`."),
        ("image: a, egress: [here]".to_owned(), "4:27 `here` is no address: a network has a prefix length"),
        ("image: a, replicas: 0".to_owned(), "4:18 SpinKube runs at least one pod."),
        (
            "image: a, autoscale: {min: 3, max: 2, cpu: 5}, resources: {requests: {cpu: 1}}".to_owned(),
            "4:38 `max` is at least 1",
        ),
        (
            "image: a, autoscale: {min: 0, max: 2, cpu: 5}, resources: {requests: {cpu: 1}}".to_owned(),
            "4:30 A HorizontalPodAutoscaler keeps",
        ),
        ("image: a, autoscale: {min: 1, max: 2}".to_owned(), "4:18 Autoscaling needs a target."),
        ("image: a, autoscale: {min: 1, max: 2, cpu: 5}".to_owned(), "4:46 The target is a part of the requested cpu"),
        ("image: a, autoscale: {min: 1, max: 2, triggers: [{}]}".to_owned(), "4:46 `triggers` are KEDA's."),
        ("image: a, telemetry: true".to_owned(), "4:18 The Config names no executor with telemetry."),
        ("image: a, telemetry: true, executor: e".to_owned(), "4:18 `telemetry` chooses the executor"),
        ("image: a, runtimeConfigSecret: s, llmCompute: {type: x}".to_owned(), "4:18 Stores, databases and llmCompute"),
        ("image: a, rollout: {settle: 2h}".to_owned(), "4:28 rollout.settle: `2h` is not a duration of at most an hour"),
        ("image: a, rollout: {settle: {for: 5s, probe: health}}".to_owned(), "4:28 rollout.settle: `health` is no path"),
        ("image: a, rollout: {settle: {for: 5s}}".to_owned(), "4:28 rollout.settle: expected a duration of at most an hour"),
        ("image: a, trigger: redis, canary: {image: b}".to_owned(), "4:34 `canary` needs the trigger http"),
        ("image: a, trigger: redis, rollout: {type: blueGreen}".to_owned(), "4:44 blueGreen needs the trigger http"),
        (
            "image: a, rollout: {type: inPlace}, canary: {image: b}".to_owned(),
            "4:44 A canary needs the rollout blueGreen.",
        ),
        ("image: a, canary: {image: a}".to_owned(), "4:27 The canary has the image that is served already."),
        ("image: a, canary: {image: b, weight: 101}".to_owned(), "4:37 The weight of a canary"),
        ("image: a, canary: {image: b, replicas: 0}".to_owned(), "4:37 SpinKube runs at least one pod."),
        (route("") + ", canary: {image: b, match: {headers: {}}}", "An empty `match` would send every request to the canary."),
        ("image: a, canary: {image: b}".to_owned(), "No route leads to the canary"),
        (
            format!("image: \"a@sha256:{DIGEST}\", canary: {{image: \"b@sha256:{}\"}}", DIGEST[..6].to_owned() + &"0".repeat(58)),
            "they would have one name.",
        ),
        ("image: \"Not_An@@image::\"".to_owned(), "`Not_An@@image::` is no image."),
        ("image: a/B/c".to_owned(), "`a/B/c` is no image."),
        (
            "image: a, resources: {requests: {memory: 1Gi}, limits: {memory: 64Mi}}".to_owned(),
            "4:41 More memory is requested than the limit allows.",
        ),
        ("image: a, healthChecks: {liveness: {successThreshold: 3}}".to_owned(), "A pod is alive again after one success"),
        ("image: a, healthChecks: {readiness: {path: foo}}".to_owned(), "`foo` is no path."),
        (route("path: /a%zz"), "`/a%zz` is no path of Gateway API."),
        (route("timeout: 1s, backendTimeout: 5s"), "The limit of one try is longer than that of the request."),
        (route("timeout: 0s"), "cannot be told to wait for ever."),
        (route("redirect: {}"), "The route would send clients to itself."),
        (route("redirect: {path: x y}"), "It is no path of Gateway API."),
        (
            "image: a, routes: [{name: a, gateway: g, section: s, hosts: [x.y, z.y], redirectTo: b}, {name: b, gateway: g, section: s, hosts: [x.y]}]".to_owned(),
            "The route would send clients to itself.",
        ),
        ("image: a, environments: {tset: {}}".to_owned(), "4:33 There is no environment `tset`."),
        (
            "image: a, environments: {test: {environments: {}}}".to_owned(),
            "4:33 An environment has no environments of its own.",
        ),
        ("image: a, patches: [{target: {kind: X}, merge: {a: 1}}]".to_owned(), "4:28 The target of the patch matches no object."),
        ("image: a, patches: [{target: {}}]".to_owned(), "4:28 A patch has one of `merge` and `json`."),
        (
            "image: a, patches: [{target: {kind: SpinApp}, merge: {metadata: {name: b}}}]".to_owned(),
            "4:28 SpinApp shop/cart-ca9781 would become",
        ),
        (
            "image: a, patches: [{target: {kind: SpinApp}, json: [{op: remove, path: /spec/x}]}]".to_owned(),
            "4:61 SpinApp shop",
        ),
        (
            "image: a, patches: [{target: {kind: SpinApp}, json: [{op: remove, path: spec}]}]".to_owned(),
            "4:74 `spec` is no path",
        ),
        (route("path: cart"), "4:51 `cart` is no path of Gateway API."),
        (route("path: /a//b"), "4:51 `/a//b` is no path of Gateway API."),
        (route("timeout: 5"), "4:51 routes[0].timeout: invalid type"),
        (route("timeout: 5sec"), "4:51 A duration is written"),
        (route("timeout: 5s, retries: {attempts: 1}"), "4:64 nginx-gateway-fabric 2.7.0 does not have `retries`"),
        (route("backendTimeout: 5s"), "4:51 nginx-gateway-fabric 2.7.0 does not have `backendTimeout`"),
        (route("redirect: {}, redirectTo: a"), "4:51 A route has `redirect` or `redirectTo`."),
        (route("redirect: {status: 200}"), "4:62 A redirect is 301"),
        (route("redirect: {scheme: https}, timeout: 5s"), "A route that sends clients elsewhere has no `timeout`."),
        (route("redirectTo: b"), "4:51 The App has no route `b`."),
        (
            route("policies: [{kind: ProxySettingsPolicy, name: p}]"),
            "4:62 A ProxySettingsPolicy names its routes itself",
        ),
        (route("policies: [{kind: Unheard, name: p}]"), "4:62 The API group of Unheard is not known."),
        (route("name: x/y"), "4:51 The name of a route is a DNS label"),
        ("image: a, routes: [{gateway: a/b/c}]".to_owned(), "4:28 A gateway is `NAMESPACE/NAME` or `NAME`."),
        ("image: a, routes: [{gateway: a}, {gateway: b}]".to_owned(), "One of several routes needs a name."),
        (
            "image: a, routes: [{name: a, gateway: g, redirectTo: b}, {name: b, gateway: g}]".to_owned(),
            "4:49 The route `b` has no host",
        ),
        (
            format!("image: a, routes: [{{gateway: g, methods: [{}]}}]", ["GET"; 17].join(", ")),
            "An HTTPRoute has at most 16 rules",
        ),
        (r#"image: "a b""#.to_owned(), "4:8 `a b` is no image."),
        ("image: a, variables: {logLevel: x}".to_owned(), "4:30 Spin has no variables like `logLevel`."),
        ("image: a, canary: {image: b, variables: {A: x}}".to_owned(), "4:49 Spin has no variables like `A`."),
        ("image: a, resources: {limits: {memory: 64MB}}".to_owned(), "4:39 `64MB` is no quantity of Kubernetes."),
        ("image: a, resources: {requests: {cpu: -1}}".to_owned(), "4:41 `-1` is no quantity"),
        ("image: a, invocationLimits: {memory: much}".to_owned(), "4:37 `much` is no quantity"),
        (
            "image: a, trigger: redis, healthChecks: {readiness: {path: /ready}}".to_owned(),
            "4:49 `readiness` asks by HTTP, which only the trigger http answers.",
        ),
        (
            "image: a, autoscale: {min: 1, max: 2, cpu: 0}, resources: {requests: {cpu: 1}}".to_owned(),
            "4:46 A target is at least 1 percent.",
        ),
        (route("hosts: [\"https://shop.example\"]"), "`https://shop.example` is no host name of Gateway API."),
        (route("hosts: [Shop.example]"), "`Shop.example` is no host name"),
        (route("hosts: [10.0.0.1]"), "`10.0.0.1` is no host name"),
        (route("redirect: {host: \"*.shop.example\"}"), "`*.shop.example` is no host name"),
        (
            route("policies: [{kind: Middleware, name: m}]"),
            "4:62 nginx-gateway-fabric 2.7.0 does not read Middleware of traefik.io.",
        ),
        (
            format!(
                "{}, canary: {{image: b, match: {{headers: {{X-Beta: \"1\"}}}}}}",
                route("headers: {x-beta: \"2\"}")
            ),
            "4:51 The canary is told by `X-Beta`, which the route demands of every request.",
        ),
    ] {
        let desired = app(&spec);
        let said = said(&desired);
        let place =
            if expected.starts_with("4:") { format!("apps/one/a.yaml:{expected}") } else { expected.to_owned() };
        if !said.iter().any(|said| said.contains(&place)) {
            wrong.push(format!("{spec}\n    wanted {place}\n    got {said:?}"));
        }
        assert!(desired.objects.is_empty() && desired.unread.contains("one"), "{spec}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (metadata, expected) in [
        (format!("{{name: {long}, namespace: shop}}"), "The name of an App is a DNS label of at most 43 characters."),
        ("{name: Cart, namespace: shop}".to_owned(), "The name of an App"),
        ("{name: cart}".to_owned(), "App `cart` has no `metadata.namespace`."),
        ("{name: cart, namespace: shop, lables: {}}".to_owned(), "Unknown field `lables`."),
    ] {
        let text = format!("apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {metadata}\nspec: {{image: a}}\n");
        let desired = desired(CONFIG, "test", &[("apps/a.yaml", &text)]);
        assert!(said(&desired)[0].contains(expected), "{:?}", said(&desired));
    }
}

#[test]
fn a_route_whose_gateway_is_asked_carries_the_mark_of_its_state() {
    let routed = |settle: &str, fields: &str| {
        let spec = format!(
            "image: a, rollout: {{{settle}}}, routes: [{{gateway: infra/public, hosts: [x.example], {fields}}}]"
        );
        object(&app(&spec), "HTTPRoute")
    };
    let route = ObjectRef::new(crate::kinds::GATEWAY, "HTTPRoute", "shop", "cart");
    let asked = "settle: {for: 9s, probe: /health}";
    let probe = |value: &Value| crate::routing::probe_of(&route, value);
    let value = routed(asked, "path: /cart");
    let found = probe(&value).unwrap_or_else(|| unreachable!("{value}"));
    assert_eq!((found.hosts.as_slice(), found.path.as_str()), (&["x.example".to_owned()][..], "/cart/health"));
    let own = routed(asked, "path: /cart, responseHeaders: {set: {a: b}}");
    assert_eq!(own["spec"]["rules"][0]["filters"].as_array().map(Vec::len), Some(2), "one filter holds both: {own}");
    assert!(probe(&own).is_some_and(|other| other.mark != found.mark));
    assert_eq!(
        probe(&routed(asked, "path: /cart, methods: [GET, POST]")).map(|p| p.path),
        Some("/cart/health".to_owned())
    );
    for (settle, fields) in [("settle: 9s", "path: /cart"), (asked, "methods: [POST]"), (asked, "headers: {a: b}")] {
        let value = routed(settle, fields);
        assert!(probe(&value).is_none() && !value.to_string().contains("spinway-mark"), "{value}");
    }
}

#[test]
fn defaults_may_differ_by_environment_as_an_app_does() {
    let config =
        CONFIG.replace("{replicas: 3,", "{replicas: 3, environments: {test: {replicas: 5}, live: {replicas: 7}},");
    let app = "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {name: cart, namespace: shop}\nspec: {image: a, environments: {test: }}\n";
    let made = desired(&config, "test", &[("apps/one/a.yaml", app)]);
    assert_eq!((said(&made), &object(&made, "SpinApp")["spec"]["replicas"]), (vec![], &json!(5)));
}

#[test]
fn clients_may_be_sent_to_the_same_host_by_another_door() {
    let made = app(&format!(
        "image: \"a@sha256:{DIGEST}\", routes: [{{name: plain, gateway: infra/public, section: http, hosts: [x.y], redirectTo: tls}}, {{name: tls, gateway: infra/public, section: https, hosts: [x.y]}}]"
    ));
    assert!(!said(&made).iter().any(|said| said.contains("itself")), "{:?}", said(&made));
}

#[test]
fn a_time_limit_that_nginx_does_not_read_becomes_its_policy() {
    let made =
        app(&format!("image: \"a@sha256:{DIGEST}\", routes: [{{name: r, gateway: infra/public, timeout: 1m30s}}]"));
    let policy = object(&made, "ProxySettingsPolicy");
    assert_eq!(policy["spec"]["timeout"], json!({"read": "90s", "send": "90s"}));
    assert_eq!(policy["spec"]["targetRefs"][0]["name"], "cart-r");
    assert_eq!(object(&made, "HTTPRoute")["spec"]["rules"][0].get("timeouts"), None);
    assert!(said(&made)[0].contains("ignores `timeouts` of routes"), "{:?}", said(&made));
    assert_eq!(object(&made, "SpinApp")["metadata"]["name"], "cart-3f9c1d");
}

const CLASS: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: CONTROLLER}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: infra}
spec: {gatewayClassName: c, listeners: []}
";

/// An App with one route, on a Gateway of a class of this controller that the Config says nothing of.
fn served_by(controller: &str, route: &str) -> Desired {
    let config = CONFIG.replace("  controllers: [{gatewayClass: nginx, release: nginx-gateway-fabric@2.7.0}]\n", "");
    let app = format!(
        "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: cart, namespace: shop}}\nspec: {{image: a, routes: [{{gateway: infra/public, {route}}}]}}\n"
    );
    let class = CLASS.replace("CONTROLLER", controller);
    desired(&config, "test", &[("apps/class.yaml", &class), ("apps/one/a.yaml", &app)])
}

#[test]
fn a_controller_is_known_by_the_class_of_the_repository_too() {
    let nginx = served_by("gateway.nginx.org/nginx-gateway-controller", "timeout: 5s");
    assert_eq!(object(&nginx, "ProxySettingsPolicy")["spec"]["timeout"]["read"], "5s");
    assert_eq!(object(&nginx, "HTTPRoute")["spec"]["rules"][0].get("timeouts"), None);
    let retries = served_by("gateway.nginx.org/nginx-gateway-controller", "retries: {attempts: 1}");
    assert!(said(&retries)[0].contains("does not have `retries`"), "{:?}", said(&retries));
    let unknown = served_by("example.com/unheard-of", "timeout: 5s, retries: {attempts: 1}");
    assert_eq!(object(&unknown, "HTTPRoute")["spec"]["rules"][0]["timeouts"]["request"], "5s");
    let expected = "It is not known which controller serves Gateway infra/public, and some ignore `timeout`.";
    assert!(said(&unknown)[0].ends_with(expected), "{:?}", said(&unknown));
    assert_eq!(said(&served_by("example.com/unheard-of", "path: /a")), Vec::<String>::new());
}

#[test]
fn what_the_controller_does_not_have_is_an_error_whatever_field_asks_for_it() {
    for (controller, route, expected) in [
        (
            "io.cilium/gateway-controller",
            "hosts: [a.b], redirect: {host: c.d}",
            "does not have `redirect` (HTTPRoute308",
        ),
        ("projectcontour.io/gateway-controller", "mirror: {service: x, percent: 5}", "does not have `mirror.percent`"),
        (
            "projectcontour.io/gateway-controller",
            "redirect: {port: 8443, status: 302}",
            "does not have `redirect.port`",
        ),
        (
            "konghq.com/gateway-operator",
            "path: /a, redirect: {scheme: https, status: 301}",
            "does not have `redirect.scheme`",
        ),
        ("traefik.io/gateway-controller", "cors: {allowOrigins: [\"https://a.b\"]}", "does not have `cors`"),
        ("traefik.io/gateway-controller", "timeout: 5s", "does not have `timeout`"),
    ] {
        let made = served_by(controller, route);
        let found = said(&made);
        assert!(found.iter().any(|said| said.contains(expected)), "{controller} {route}: {found:?}");
        assert_eq!(object(&made, "HTTPRoute"), Value::Null);
    }
}

#[test]
fn clients_are_sent_to_the_scheme_of_the_other_listener() {
    let class = CLASS.replace(
        "listeners: []",
        "listeners: [{name: http, port: 80, protocol: HTTP}, {name: https, port: 443, protocol: HTTPS}]",
    );
    let redirect = |from: &str, to: &str| {
        let app = format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: cart, namespace: shop}}\nspec: {{image: a, routes: [\
             {{name: old, gateway: infra/public{from}, hosts: [a.example], redirectTo: new}}, \
             {{name: new, gateway: infra/public{to}, hosts: [b.example]}}]}}\n"
        );
        let made = desired(CONFIG, "test", &[("apps/class.yaml", &class), ("apps/one/a.yaml", &app)]);
        let route = made.objects.values().find(|member| member.object.reference.name == "cart-old");
        let filter =
            route.map(|member| member.object.value["spec"]["rules"][0]["filters"][0]["requestRedirect"].clone());
        filter.unwrap_or_default().get("scheme").cloned()
    };
    assert_eq!(redirect(", section: http", ", section: https"), Some(json!("https")));
    assert_eq!(redirect(", section: https", ", section: http"), Some(json!("http")));
    assert_eq!(redirect(", section: https", ", section: https"), None);
    assert_eq!(redirect("", ", section: https"), None);
}

#[test]
fn patches_change_apps_first_and_objects_then_and_match_something() {
    let patches = "\
apiVersion: spinway.dev/v1alpha1
kind: Patch
metadata: {name: p}
spec: {target: {kind: App, name: cart}, merge: {spec: {replicas: 9}}}
---
apiVersion: spinway.dev/v1alpha1
kind: Patch
metadata: {name: q}
spec: {target: {kind: SpinApp}, merge: {spec: {podAnnotations: {by: \"${domain}\"}}}}
---
apiVersion: spinway.dev/v1alpha1
kind: Patch
metadata: {name: r}
spec: {target: {kind: Deployment}, merge: {spec: {}}}
";
    let text =
        "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {name: cart, namespace: shop}\nspec: {image: a}\n";
    let made = desired(CONFIG, "test", &[("apps/one/a.yaml", text), ("apps/patches.yaml", patches)]);
    let app = object(&made, "SpinApp");
    assert_eq!((&app["spec"]["replicas"], &app["spec"]["podAnnotations"]["by"]), (&json!(9), &json!("shop.example")));
    assert_eq!(said(&made), ["apps/patches.yaml:14:1 The target of the patch matches no object."]);
    assert!(made.unread.contains("platform"));
    let member = made.objects.values().find(|m| m.object.reference.kind == "SpinApp");
    assert_eq!(member.map(|m| m.by.len()), Some(2));
    assert_eq!(
        member.map(|m| m.object.origin_of("/spec/podAnnotations/by").to_string()).as_deref(),
        Some("apps/patches.yaml:9:65")
    );
}
