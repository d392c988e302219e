//! For each check texts that it finds, at which line and column, and texts that it does not.

use super::*;
use crate::desired::{Entry, Tree, read};

const CONFIG: &str = "\
apiVersion: spinway.dev/v1alpha1
kind: Config
metadata: {name: t}
spec:
  sources: [a.yaml]
  environments: [{name: test}]
  controllers: [{gatewayClass: c, release: nginx-gateway-fabric@2.7.0}]
  externals: [{kind: Gateway, namespace: infra, name: elsewhere}, {kind: Namespace, name: shop}, {kind: SpinAppExecutor, name: e}]
";

fn desired(text: &str) -> Desired {
    let files = [("spinway.yaml", CONFIG), ("a.yaml", text)];
    let entries = files.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
    match read(&Tree { entries: entries.into() }, None) {
        Ok(desired) => desired,
        Err(error) => unreachable!("{error:?}"),
    }
}

/// What a check says of a text: `LINE:COLUMN message [severity] help`.
fn said(id: &str, text: &str) -> Vec<String> {
    let desired = desired(text);
    let wrong: Vec<_> = desired.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    assert!(wrong.is_empty(), "{text}\n{wrong:?}");
    let found = all(&desired, None).into_iter().filter(|finding| finding.id == id);
    found
        .map(|finding| {
            let at = finding
                .origin
                .as_ref()
                .map(|o| format!("{}:{}", o.position.line, o.position.column))
                .unwrap_or_default();
            let help = finding.help.as_ref().map(|help| help.raw()).unwrap_or_default();
            assert!(!help.is_empty(), "{id} says nothing of what to do");
            format!("{at} {} [{}] {help}", finding.message.raw(), severity(finding.severity))
        })
        .collect()
}

fn http(spec: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, namespace: shop}}\nspec: {{{spec}}}\n"
    )
}

fn rule(fields: &str) -> String {
    http(&format!("rules: [{{{fields}}}]"))
}

fn app(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{image: a, {spec}}}\n"
    )
}

fn service(name: &str, ports: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{selector: {{a: b}}, ports: [{ports}]}}\n"
    )
}

fn gateway(listeners: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: g, namespace: infra}}\nspec: {{gatewayClassName: c, listeners: [{listeners}]}}\n"
    )
}

/// A Gateway whose class is of this controller.
fn served(controller: &str) -> String {
    let class = format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {{name: d}}\nspec: {{controllerName: {controller}}}\n"
    );
    gateway("").replace("ClassName: c", "ClassName: d") + &class
}

fn executor(namespace: &str, name: &str) -> String {
    format!(
        "---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{createDeployment: true}}\n"
    )
}

fn certificate(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}}}\n"
    )
}

fn namespace(labels: &str) -> String {
    format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{{labels}}}}}\n")
}

const STRIP: &str = "{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}";
const CART: &str = "matches: [{path: {type: PathPrefix, value: /cart}}]";

/// What each check finds: its id, the text, and what it says.
fn found() -> Vec<(&'static str, String, &'static str)> {
    let parent = "parentRefs: [{namespace: infra, name: g}]";
    let all = "allowedRoutes: {namespaces: {from: All}}";
    vec![
        ("SPW001", rule("backendRefs: [{name: crat, port: 80}]") + &app("cart", "executor: e"), "4:31 HTTPRoute shop/r refers to Service shop/crat"),
        ("SPW001", app("cart", "executor: shimm") + "---\napiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {name: shim, namespace: other}\nspec: {createDeployment: true}\n", "5:18 SpinApp shop/cart refers to SpinAppExecutor shop/shimm"),
        ("SPW001", app("cart", "executor: shimm") + &executor("shop", "shim") + &executor("other", "shimm"), "[warning] There is SpinAppExecutor shop/shim. Mend the name"),
        ("SPW001", app("cart", "executor: shimm") + &executor("shop", "elsewhere"), "[note] Declare it"),
        ("SPW002", rule("backendRefs: [{name: s, namespace: other, port: 80}]"), "4:31 HTTPRoute shop/r refers to Service other/s, and no ReferenceGrant of namespace other"),
        ("SPW002", gateway("{name: l, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c, namespace: certs}]}}"), "Gateway infra/g refers to Secret certs/c"),
        ("SPW003", http(parent) + &gateway("{name: l, port: 80, protocol: HTTP}"), "4:21 No listener of Gateway infra/g takes HTTPRoute shop/r."),
        ("SPW003", http(parent) + &gateway("{name: l, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}}") + &namespace("a: c"), "No listener of Gateway infra/g takes"),
        ("SPW003", http("parentRefs: [{namespace: infra, name: g, sectionName: m}]") + &gateway(&format!("{{name: l, port: 80, protocol: HTTP, {all}}}")), "No listener of"),
        ("SPW003", http(parent) + &gateway(""), "No listener of"),
        ("SPW005", rule("backendRefs: [{name: cart, port: 8080}]") + &app("cart", "executor: e"), "4:44 Service shop/cart has no port 8080."),
        ("SPW005", rule("backendRefs: [{name: s, port: 81}]") + &service("s", "{port: 80}, {port: 82}"), "Service shop/s has no port 81."),
        ("SPW006", app("cart.v2", "executor: e"), "4:12 `cart.v2` is no name of a SpinApp."),
        ("SPW006", app("cart-", "executor: e"), "is no name of a SpinApp."),
        ("SPW006", app("-cart", "executor: e"), "is no name of a SpinApp."),
        ("SPW006", app(&"x".repeat(53), "executor: e"), "is no name of a SpinApp."),
        ("SPW007", app("cart", "replicas: 1"), "SpinApp shop/cart names no executor."),
        ("SPW007", app("cart", "executor: \"\""), "SpinApp shop/cart names no executor."),
        ("SPW008", app("cart", "executor: e, replicas: 2, enableAutoscaling: true"), "has `replicas` beside `enableAutoscaling`"),
        ("SPW008", app("cart", "executor: e, replicas: 2") + "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h, namespace: shop}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: cart}, maxReplicas: 3}\n", "is scaled by HorizontalPodAutoscaler shop/h without"),
        ("SPW008", app("cart", "executor: e, enableAutoscaling: true"), "has no autoscaler in the repository. [warning]"),
        ("SPW009", rule("filters: [{type: CORS, cors: {allowOrigins: [\"*\"], allowCredentials: true}}]"), "4:47 Every site may call this"),
        ("SPW010", rule(&format!("{CART}, backendRefs: [{{name: cart, port: 80}}]")) + &app("cart", "executor: e"), "The Spin app sees requests with /cart in front."),
        ("SPW010", rule(&format!("{CART}, backendRefs: [{{kind: Service, name: cart, port: 80}}]")) + &app("cart", "executor: e"), "The Spin app sees requests with /cart in front."),
        ("SPW011", rule(&format!("matches: [{{path: {{value: /a}}}}, {{path: {{value: /b}}}}], filters: [{STRIP}]")), "ReplacePrefixMatch needs exactly one match"),
        ("SPW011", rule(&format!("matches: [{{path: {{type: Exact, value: /a}}}}], filters: [{STRIP}]")), "ReplacePrefixMatch needs exactly one match"),
        ("SPW011", rule("matches: [{path: {type: Exact, value: /a}}], filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]"), "ReplacePrefixMatch needs exactly one match"),
        ("SPW012", rule(&format!("{CART}, filters: [{STRIP}, {{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: Set-Cookie, value: \"a=b; path=/\"}}]}}}}]")), "The answer leads to /, outside of /cart."),
        ("SPW012", rule(&format!("{CART}, filters: [{STRIP}, {{type: ResponseHeaderModifier, responseHeaderModifier: {{add: [{{name: location, value: /carts}}]}}}}]")), "The answer leads to /carts, outside of /cart."),
        ("SPW013", http(&format!("{parent}, hostnames: [A.example], rules: [{{{CART}}}]")) + "---\n" + &http(&format!("{parent}, hostnames: [a.example, b.example], rules: [{{matches: [{{path: {{value: /cart/}}}}]}}]")).replace("name: r,", "name: s,"), "HTTPRoute shop/s and HTTPRoute shop/r both match a.example/cart/"),
        ("SPW013", http(&format!("{parent}, rules: [{{{CART}}}]")) + "---\n" + &http(&format!("{parent}, rules: [{{{CART}}}]")).replace("name: r,", "name: s,"), "both match */cart"),
        ("SPW014", http(&format!("{parent}, hostnames: [a.example]")) + "---\n" + &http(&format!("{parent}, hostnames: [\"*.example\"]")).replace("HTTPRoute", "GRPCRoute"), "GRPCRoute shop/r and HTTPRoute shop/r share a hostname."),
        ("SPW014", http(parent) + "---\n" + &http(&format!("{parent}, hostnames: [a.example]")).replace("HTTPRoute", "GRPCRoute"), "share a hostname."),
        ("SPW015", rule(&format!("{CART}, filters: [{STRIP}], backendRefs: [{{name: cart, port: 80}}]")) + &app("cart", "executor: e"), "Anyone may read /cart/.well-known/spin/info."),
        ("SPW015", rule("backendRefs: [{name: cart, port: 80}]") + &app("cart", "executor: e"), "Anyone may read /.well-known/spin/info."),
        ("SPW016", CHECKS.iter().find(|check| check.id == "SPW016").map(|check| check.example.to_owned()).unwrap_or_default(), "12:49 The certificate of this listener is for shop.example, not for www.shop.example."),
        ("SPW016", "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: s, namespace: infra}\nspec: {secretName: t, dnsNames: [\"*.example\"]}\n".to_owned() + &gateway("{name: l, port: 443, protocol: HTTPS, hostname: a.b.example, tls: {certificateRefs: [{name: t}]}}"), "is for *.example, not for a.b.example."),
        ("SPW021", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData: {k: v}\n".to_owned(), "1:1 Secret shop/s holds its values in Git."),
        ("SPW024", "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: s, namespace: shop}\n".to_owned(), "1:1 policy/v1beta1 of PodDisruptionBudget is not served any more, since Kubernetes 1.25."),
        ("SPW024", http("").replace("/v1\n", "/v1beta1\n"), "is served for the sake of older manifests alone. [note] Write gateway.networking.k8s.io/v1."),
        ("SPW024", http("").replace("/v1\n", "/v1alpha2\n"), "is not served any more, since Gateway API 1.7"),
        ("SPW024", "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: s, namespace: shop}\n".to_owned(), "is not served any more"),
        ("SPW025", http("hostnames: [\"*.example\"]"), "4:20 HTTPRoute shop/r serves all of *.example."),
        ("SPW026", rule("backendRefs: [{name: cart, port: 80}]") + &app("cart", "executor: e"), "SpinApp shop/cart is served, and nothing says when it is ready."),
        ("SPW027", http(&format!("{parent}, rules: [{{backendRefs: [{{name: a, port: 80}}]}}]")) + &served("gateway.envoyproxy.io/gatewayclass-controller"), "HTTPRoute shop/r has no time limit."),
        ("SPW028", rule("backendRefs: [{name: a, port: 80, weight: 0}, {name: b, port: 80, weight: 0}]"), "No backend of this rule gets any request."),
        ("SPW029", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: shop, annotations: {helm.sh/hook: pre-install}}\n".to_owned(), "ConfigMap shop/s is a hook of Helm (pre-install)"),
        ("SPW031", http(&format!("{parent}, rules: [{{timeouts: {{request: 5s}}}}]")) + &gateway(&format!("{{name: l, port: 80, protocol: HTTP, {all}}}")), "4:71 nginx-gateway-fabric 2.7.0 does not have `spec.rules[0].timeouts.request` (HTTPRouteRequestTimeout). [warning] Use ProxySettingsPolicy"),
        ("SPW031", http(&format!("{parent}, rules: [{{name: a}}]")) + &gateway(""), "(HTTPRouteNamedRouteRule). [warning] Do without it"),
        ("SPW031", http(&format!("{parent}, rules: [{{retry: {{attempts: 1}}}}]")) + &served("traefik.io/gateway-controller"), "(HTTPRouteRetryCodes). [warning] Use a Middleware"),
        ("SPW031", http(&format!("{parent}, rules: [{{timeouts: {{request: 5s}}}}]")) + &served("traefik.io/gateway-controller"), "(HTTPRouteRequestTimeout). [warning] Do without it"),
        ("SPW031", http(&format!("{parent}, rules: [{{filters: [{STRIP}]}}]")) + &served("gateway.k8s.aws/alb"), "(HTTPRoutePathRewrite). [error] Do without it"),
        ("SPW031", http(&format!("{parent}, rules: [{{retry: {{attempts: 1}}}}]")) + &served("gateway.nginx.org/nginx-gateway-controller"), "does not have `spec.rules[0].retry`"),
        ("SPW031", http("parentRefs: [{namespace: infra, name: elsewhere}], rules: [{name: a}]"), "does not have `spec.rules[0].name`"),
        ("SPW090", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: shop, annotations: {spinway.dev/ignore: \"SPW021: not needed\"}}\n".to_owned(), "The suppression of SPW021 fits nothing."),
        ("SPW090", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop, annotations: {spinway.dev/ignore: SPW021}}\nstringData: {k: v}\n".to_owned(), "The suppression of SPW021 has no reason."),
        ("SPW090", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: shop, annotations: {spinway.dev/ignore: \"SPW101: mine\"}}\n".to_owned(), "is not for those whom the rule binds"),
        ("SPW090", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: shop, annotations: {spinway.dev/ignore: \"SPW999: what\"}}\n".to_owned(), "names no check"),
    ]
}

/// What looks like it and is not found.
fn passed() -> Vec<(&'static str, String)> {
    let parent = "parentRefs: [{namespace: infra, name: g}]";
    let redirect =
        "{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}";
    vec![
        ("SPW001", rule("backendRefs: [{name: cart, port: 80}]") + &app("cart", "executor: e")),
        ("SPW001", http("parentRefs: [{namespace: infra, name: elsewhere}]")),
        ("SPW001", app("cart", "executor: e, serviceAccountName: default")),
        ("SPW002", rule("backendRefs: [{name: s, namespace: other, port: 80}]") + "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: {name: g, namespace: other}\nspec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: \"\", kind: Service}]}\n"),
        ("SPW002", http(parent)),
        ("SPW002", rule("backendRefs: [{name: s, port: 80}]")),
        ("SPW003", http(parent)),
        ("SPW003", http(parent) + &gateway("{name: k, port: 81, protocol: TCP}, {name: l, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}")),
        ("SPW003", http(parent) + &gateway("{name: l, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}}")),
        ("SPW003", http(parent) + &gateway("{name: l, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}}") + &namespace("a: b")),
        ("SPW005", rule("backendRefs: [{name: cart, port: 80}]") + &app("cart", "executor: e")),
        ("SPW005", rule("backendRefs: [{name: s, port: 82}]") + &service("s", "{port: 80}, {port: 82}")),
        ("SPW005", rule("backendRefs: [{name: unknown, port: 82}]")),
        ("SPW006", app(&"x".repeat(52), "executor: e")),
        ("SPW006", app("cart-2", "executor: e")),
        ("SPW006", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a.b, namespace: shop}\n".to_owned()),
        ("SPW007", app("cart", "executor: e")),
        ("SPW008", app("cart", "executor: e, replicas: 2")),
        ("SPW008", app("cart", "executor: e, enableAutoscaling: true") + "---\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: h, namespace: shop}\nspec: {scaleTargetRef: {name: cart}}\n"),
        ("SPW009", rule("filters: [{type: CORS, cors: {allowOrigins: [\"*\"]}}]")),
        ("SPW009", rule("filters: [{type: CORS, cors: {allowOrigins: [\"https://a.example\"], allowCredentials: true}}]")),
        ("SPW010", rule(&format!("{CART}, filters: [{STRIP}], backendRefs: [{{name: cart, port: 80}}]")) + &app("cart", "executor: e")),
        ("SPW010", rule("matches: [{path: {type: PathPrefix, value: /}}], backendRefs: [{name: cart, port: 80}]") + &app("cart", "executor: e")),
        ("SPW010", rule(&format!("{CART}, backendRefs: [{{name: s, port: 80}}]")) + &service("s", "{port: 80}")),
        ("SPW010", rule(&format!("{CART}, backendRefs: [{{kind: ServiceImport, name: cart, port: 80}}]")) + &app("cart", "executor: e")),
        ("SPW011", rule(&format!("{CART}, filters: [{STRIP}]"))),
        ("SPW011", rule(&format!("filters: [{redirect}]"))),
        ("SPW011", rule("matches: [{path: {type: Exact, value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /}}}]")),
        ("SPW012", rule(&format!("{CART}, filters: [{STRIP}, {{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: set-cookie, value: \"a=b; Path=/cart\"}}]}}}}]"))),
        ("SPW012", rule(&format!("{CART}, filters: [{STRIP}, {{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: location, value: //other.example/}}, {{name: x, value: /}}]}}}}]"))),
        ("SPW012", rule(&format!("{CART}, filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: location, value: /}}]}}}}]"))),
        ("SPW013", http(&format!("{parent}, rules: [{{matches: [{{path: {{value: /a}}}}, {{path: {{value: /a}}}}]}}]"))),
        ("SPW013", http(&format!("{parent}, rules: [{{{CART}}}]")) + "---\n" + &http(&format!("{parent}, rules: [{{matches: [{{path: {{value: /cart}}, method: GET}}]}}]")).replace("name: r,", "name: s,")),
        ("SPW013", http(&format!("{parent}, rules: [{{{CART}}}]")) + "---\n" + &http(&format!("parentRefs: [{{namespace: infra, name: h}}], rules: [{{{CART}}}]")).replace("name: r,", "name: s,")),
        ("SPW014", http(&format!("{parent}, hostnames: [a.example]")) + "---\n" + &http(&format!("{parent}, hostnames: [b.example]")).replace("HTTPRoute", "GRPCRoute")),
        ("SPW014", http(parent) + "---\n" + &http("parentRefs: [{name: g}]").replace("HTTPRoute", "GRPCRoute")),
        ("SPW015", rule(&format!("matches: [{{path: {{value: /cart/.well-known/spin}}}}]}}, {{{CART}, filters: [{STRIP}], backendRefs: [{{name: cart, port: 80}}]")) + &app("cart", "executor: e")),
        ("SPW015", rule(&format!("{CART}, backendRefs: [{{name: cart, port: 80}}]")) + &app("cart", "executor: e")),
        ("SPW015", rule("backendRefs: [{name: s, port: 80}]") + &service("s", "{port: 80}")),
        ("SPW016", "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: s, namespace: infra}\nspec: {secretName: t, dnsNames: [b.example, \"*.example\"]}\n".to_owned() + &gateway("{name: l, port: 443, protocol: HTTPS, hostname: A.example, tls: {certificateRefs: [{name: t}]}}, {name: m, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: t}]}}")),
        ("SPW016", gateway("{name: l, port: 443, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: t}]}}")),
        ("SPW016", gateway("{name: l, port: 80, protocol: HTTP, hostname: a.example}")),
        ("SPW016", certificate("infra", "s", "secretName: t, dnsNames: [b.example]") + &gateway("{name: l, port: 443, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: t}, {name: u}]}}")),
        ("SPW016", certificate("certs", "a", "secretName: t, dnsNames: [b.example]") + &certificate("infra", "a", "secretName: u, dnsNames: [b.example]") + &certificate("infra", "b", "secretName: t, dnsNames: [a.example]") + &gateway("{name: l, port: 443, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: t}]}}")),
        ("SPW027", http(&format!("{parent}, rules: [{{backendRefs: [{{name: a, port: 80}}]}}]")) + &gateway("")),
        ("SPW027", http("rules: [{backendRefs: [{name: a, port: 80}]}]")),
        ("SPW027", http(&format!("{parent}, rules: [{{backendRefs: [{{name: a, port: 80}}], timeouts: {{request: 5s}}}}, {{filters: [{redirect}]}}]")) + &served("gateway.envoyproxy.io/gatewayclass-controller")),
        ("SPW021", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\ndata: {}\n".to_owned()),
        ("SPW021", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop, annotations: {spinway.dev/ignore: \"SPW021: an example\"}}\nstringData: {k: v}\n".to_owned()),
        ("SPW024", http("")),
        ("SPW024", "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: g, namespace: shop}\n".to_owned()),
        ("SPW024", "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: s, namespace: shop}\n".to_owned()),
        ("SPW025", http("hostnames: [a.example]")),
        ("SPW026", rule("backendRefs: [{name: cart, port: 80}]") + &app("cart", "executor: e, checks: {readiness: {httpGet: {path: /}}}")),
        ("SPW026", app("cart", "executor: e")),
        ("SPW028", rule("backendRefs: [{name: a, port: 80, weight: 0}, {name: b, port: 80}]")),
        ("SPW028", rule(CART)),
        ("SPW029", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: shop}\n".to_owned()),
        ("SPW031", http(&format!("{parent}, rules: [{{filters: [{STRIP}]}}]")) + &gateway("{name: l, port: 80, protocol: HTTP}")),
        ("SPW031", http("rules: [{timeouts: {request: 5s}}]")),
        ("SPW090", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop, annotations: {spinway.dev/ignore: \"SPW021: an example\"}}\nstringData: {k: v}\n".to_owned()),
    ]
}

#[test]
fn each_check_finds_what_it_is_for_and_nothing_else() {
    let mut wrong = Vec::new();
    for (id, text, expected) in found() {
        let said = said(id, &text);
        if !said.iter().any(|said| said.contains(expected)) {
            wrong.push(format!("{text}\n  {id}: wanted {expected}, got {said:?}"));
        }
    }
    for (id, text) in passed() {
        let said = said(id, &text);
        if !said.is_empty() {
            wrong.push(format!("{text}\n  {id}: wanted nothing, got {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Those of tenants and of protected environments have tests of their own.
    let elsewhere = |id: &str| id.starts_with("SPW1") || id == "SPW020" || id == "SPW017";
    for check in CHECKS.iter().filter(|check| !elsewhere(check.id)) {
        assert!(found().iter().any(|(id, ..)| *id == check.id), "{} has no failing case", check.id);
        assert!(passed().iter().any(|(id, _)| *id == check.id), "{} has no passing case", check.id);
    }
}

#[test]
fn a_missing_namespace_is_said_once_and_other_objects_each_time() {
    let map =
        |name: &str| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: other}}\n");
    assert_eq!(said("SPW001", &(map("a") + &map("b"))).len(), 1);
    assert_eq!(said("SPW001", &(app("a", "executor: none") + &app("b", "executor: none"))).len(), 2);
}

#[test]
fn another_controller_may_be_asked_for() {
    let text = http("parentRefs: [{namespace: infra, name: g}], rules: [{timeouts: {request: 5s}}]") + &gateway("");
    let found = |release: Option<&str>| {
        let release = release.and_then(|release| Release::parse(release).ok());
        let all = all(&desired(&text), release.as_ref());
        all.into_iter().filter(|finding| finding.id == "SPW031").map(|f| f.message.raw().to_owned()).collect::<Vec<_>>()
    };
    assert!(found(None)[0].starts_with("nginx-gateway-fabric 2.7.0"));
    assert!(found(Some("traefik@3.7.10"))[0].starts_with("traefik 3.7.10"));
    assert_eq!(found(Some("envoy-gateway@1.9")), [""; 0]);
}

#[test]
fn a_page_says_everything_and_the_index_names_it() {
    let index = index();
    for check in CHECKS {
        let page = check.page();
        let Check { id, name, what, why, example, remedy, .. } = check;
        assert!(page.starts_with(&format!("# {id}: {name}\n")), "{page}");
        for part in [what, why, remedy, &example.trim()] {
            assert!(page.contains(part), "{page}");
        }
        assert_eq!(page.contains("It is part of every plan"), check.guards, "{page}");
        assert!(index.contains(&format!("| [{id}]({id}.md) | {name} | ")), "{index}");
    }
    let severities = ["SPW003", "SPW001", "SPW015"].map(|id| {
        let page = CHECKS.iter().find(|check| check.id == id).map(|check| check.page()).unwrap_or_default();
        page.lines().find_map(|line| line.strip_prefix("Severity: ")).unwrap_or_default().to_owned()
    });
    assert_eq!(severities, ["error.", "warning.", "note."]);
}

#[test]
fn the_example_of_a_page_is_found() {
    for check in CHECKS.iter().filter(|check| !check.example.starts_with('#')) {
        assert!(!said(check.id, check.example).is_empty(), "{}: {}", check.id, check.example);
    }
}

#[test]
fn a_tenant_without_namespaces_is_told() {
    let config = CONFIG.to_owned() + "  tenants: [{name: a, paths: [a]}, {name: b, paths: [b], namespaces: [b]}]\n";
    let entries = [("spinway.yaml".to_owned(), Entry::File(config.into_bytes()))].into();
    let desired = read(&Tree { entries }, None).unwrap_or_default();
    let found: Vec<String> = all(&desired, None)
        .iter()
        .map(|d| format!("{} {}", d.origin.as_ref().map(ToString::to_string).unwrap_or_default(), d.message.raw()))
        .collect();
    assert_eq!(found, ["spinway.yaml:9:13 Tenant a may use every namespace."]);
}

#[test]
fn environments_of_one_cluster_share_no_object() {
    let of = |environments: &str| {
        let config = CONFIG.replace("[{name: test}]", environments);
        let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n";
        let files = [("spinway.yaml", config.as_str()), ("a.yaml", object)];
        let entries: std::collections::BTreeMap<_, _> =
            files.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec()))).into();
        let tree = Tree { entries };
        let read: Vec<Desired> = ["a", "b"].into_iter().filter_map(|name| read(&tree, Some(name)).ok()).collect();
        assert_eq!(read.len(), 2, "{environments}");
        across(&read).iter().map(|d| d.message.raw().to_owned()).collect::<Vec<_>>()
    };
    let said = ["ConfigMap shop/a is of a and of b, which are one cluster."];
    assert_eq!(of("[{name: a, cluster: {uid: u}}, {name: b, cluster: {uid: u}}]"), said);
    assert_eq!(of("[{name: a, cluster: {context: c}}, {name: b, cluster: {context: c}}]"), said);
    for fine in [
        "[{name: a}, {name: b}]",
        "[{name: a, cluster: {uid: u}}, {name: b, cluster: {uid: v}}]",
        "[{name: a, cluster: {context: \"c*\"}}, {name: b, cluster: {context: \"c*\"}}]",
        "[{name: a, cluster: {uid: u, context: c}}, {name: b, cluster: {uid: v, context: c}}]",
    ] {
        assert_eq!(of(fine), Vec::<String>::new(), "{fine}");
    }
}

#[test]
fn ids_are_given_once_and_in_order() {
    let ids: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(ids, sorted);
}
