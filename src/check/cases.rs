//! For each check texts that it finds, at which line and column, and texts that it does not.

use super::*;
use crate::desired::{Entry, Tree, read};
use crate::live::Live;
use crate::object::Diagnostic;
use crate::object::ObjectRef;

mod kinds;

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
    match read(&Tree::of(entries.into()), None) {
        Ok(desired) => desired,
        Err(error) => unreachable!("{error:?}"),
    }
}

/// What a check says of a text: `LINE:COLUMN message [severity] help`.
fn said(id: &str, text: &str) -> Vec<String> {
    let desired = desired(text);
    let wrong: Vec<_> = desired.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    assert!(wrong.is_empty(), "{text}\n{wrong:?}");
    let found = all(std::slice::from_ref(&desired), None, None).into_iter().filter(|finding| finding.id == id);
    found
        .map(|finding| {
            let at = finding
                .origin
                .as_ref()
                .map(|o| format!("{}:{}", o.position.line, o.position.column))
                .unwrap_or_default();
            let help = finding.help.as_ref().map_or("", |help| help.raw());
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

/// A definition of kind Cart.
fn definition(versions: &str) -> String {
    format!(
        "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: carts.shop.example}}\nspec: {{group: shop.example, names: {{kind: Cart, plural: carts}}, scope: Namespaced, versions: [{versions}]}}\n"
    )
}

fn cart(version: &str) -> String {
    format!("---\napiVersion: shop.example/{version}\nkind: Cart\nmetadata: {{name: c, namespace: shop}}\n")
}

/// A definition of a bundle of Gateway API.
fn bundled(group: &str, kind: &str, bundle: &str, channel: &str) -> String {
    let plural = format!("{}s", kind.to_lowercase());
    format!(
        "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: {plural}.{group}\n  annotations:\n    gateway.networking.k8s.io/bundle-version: {bundle}\n    gateway.networking.k8s.io/channel: {channel}\nspec: {{group: {group}, names: {{kind: {kind}, plural: {plural}}}, scope: Namespaced, versions: [{{name: v1, served: true, storage: true}}]}}\n"
    )
}

fn map(name: &str, data: &str) -> String {
    format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{{data}}}\n")
}

fn grpc(matches: &str) -> String {
    http(&format!("parentRefs: [{{namespace: infra, name: g}}], rules: [{{matches: [{{{matches}}}]}}]"))
        .replace("HTTPRoute", "GRPCRoute")
}

/// The same as another route, under another name.
fn second(route: &str) -> String {
    "---\n".to_owned() + &route.replace("name: r,", "name: s,")
}

fn namespace(labels: &str) -> String {
    format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{{labels}}}}}\n")
}

/// A kind whose definition the repository has, with a rule in CEL; what follows is its spec.
const OWN_KIND: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boxes.example.com}
spec:
  group: example.com
  names: {kind: Box, plural: boxes}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              x-kubernetes-validations: [{rule: \"!has(self.size) || self.size <= 3\", message: no more than three}]
              properties: {size: {type: integer}, sizes: {type: array, items: {type: object, properties: {a: {type: integer}}}}}
---
{apiVersion: example.com/v1, kind: Box, metadata: {name: b, namespace: shop},
";

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
        ("SPW004", http("parentRef: []"), "4:8 spec.parentRef: field not declared in schema"),
        ("SPW004", http("parentRef: []"), "`kubectl explain httproute.spec` lists the fields."),
        ("SPW004", http("parentRef: []").replace("namespace: shop}", "namespace: shop, labels: {a: b c}}"), "metadata.labels.a: Invalid value"),
        ("SPW004", rule("matches: [{path: {type: Prefix}}]"), "[error] `kubectl explain httproute.spec.rules.matches.path.type` says what it takes."),
        ("SPW004", rule("matches: [{path: {type: Prefix}}]"), "4:35 spec.rules[0].matches[0].path.type: Unsupported value: \"Prefix\": supported values: \"Exact\", \"PathPrefix\", \"RegularExpression\""),
        ("SPW004", rule("sessionPersistence: {sessionName: a}"), "spec.rules[0].sessionPersistence: of the experimental channel of Gateway API"),
        ("SPW004", rule("matches: [{path: {value: cart}}]"), "4:35 spec.rules[0].matches[0].path.value: Invalid value: \"cart\": must start with `/` when `type` is PathPrefix [error] Write `/cart`."),
        ("SPW004", rule("filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}], backendRefs: [{name: s, port: 80}]"), "spec.rules[0].filters[0]: Invalid value: RequestRedirect must not be used together with backendRefs [error]"),
        ("SPW004", gateway("{name: l, port: 80, protocol: TLS}"), "spec.listeners[0].tls.mode: Required value"),
        ("SPW004", app("cart", "executor: e, replicas: \"2\""), "spec.replicas: expected numeric (int or float), got \"2\""),
        ("SPW004", service("s", "{port: 0}"), "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
        ("SPW004", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: s, namespace: shop}\nspec: {template: {spec: {containers: [{name: a}]}}}\n".to_owned(), "4:39 spec.template.spec.containers[0].image: Required value"),
        ("SPW004", "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: s, namespace: shop}\n".to_owned(), "roleRef: Required value"),
        ("SPW004", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\ndata: {a: [geheim]}\n".to_owned(), "4:8 data.a: wrong type or value"),
        ("SPW004", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: shop, labels: {a: b c}}\n".to_owned(), "metadata.labels.a: Invalid value: \"b c\": a valid label must be"),
        ("SPW004", OWN_KIND.to_owned() + "spec: {size: 7, sizes: [{a: 1}]}}\n", "spec: Invalid value: no more than three"),
        ("SPW004", OWN_KIND.to_owned() + "spec: {sizes: [{b: 1}]}}\n", "22:17 spec.sizes[0].b: field not declared in schema"),
        ("SPW005", rule("backendRefs: [{name: cart, port: 8080}]") + &app("cart", "executor: e"), "4:44 Service shop/cart has no port 8080."),
        ("SPW005", rule("backendRefs: [{name: s, port: 81}]") + &service("s", "{port: 80}, {port: 82}"), "Service shop/s has no port 81."),
        ("SPW006", app("cart.v2", "executor: e"), "4:12 `cart.v2` is no name of a SpinApp."),
        ("SPW006", app(&"x".repeat(53), "executor: e"), "is no name of a SpinApp."),
        ("SPW007", app("cart", "replicas: 1"), "SpinApp shop/cart has no `spec.executor`, and the executors of the cluster are not known here. [warning]"),
        ("SPW007", app("cart", "executor: \"\"") + &executor("infra", "shim"), "fills in `shim`, the first of the cluster by name, which namespace `shop` does not have. [error]"),
        ("SPW008", app("cart", "executor: e, replicas: 2, enableAutoscaling: true"), "has `replicas` beside `enableAutoscaling`"),
        ("SPW008", app("cart", "executor: e, replicas: 2") + "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h, namespace: shop}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: cart}, maxReplicas: 3}\n", "is scaled by HorizontalPodAutoscaler shop/h without"),
        ("SPW008", app("cart", "executor: e, enableAutoscaling: true"), "has no autoscaler in the repository. [warning]"),
        ("SPW009", rule("filters: [{type: CORS, cors: {allowOrigins: [\"*\"], allowCredentials: true}}]"), "4:47 Every site may call this"),
        ("SPW010", rule(&format!("{CART}, backendRefs: [{{name: cart, port: 80}}]")) + &app("cart", "executor: e"), "The Spin app sees requests with /cart in front."),
        ("SPW010", rule(&format!("{CART}, backendRefs: [{{kind: Service, name: cart, port: 80}}]")) + &app("cart", "executor: e"), "The Spin app sees requests with /cart in front."),
        ("SPW011", rule(&format!("matches: [{{path: {{value: /a}}}}, {{path: {{value: /b}}}}], filters: [{STRIP}]")), "ReplacePrefixMatch needs exactly one match"),
        ("SPW011", rule(&format!("matches: [{{path: {{type: Exact, value: /a}}}}], filters: [{STRIP}]")), "ReplacePrefixMatch needs exactly one match"),
        ("SPW011", rule(&format!("matches: [], filters: [{STRIP}]")), "ReplacePrefixMatch needs exactly one match, by PathPrefix. [error]"),
        ("SPW011", rule(&format!("matches: [{{path: {{type: Exact, value: /a}}}}], backendRefs: [{{name: a, port: 80, filters: [{STRIP}]}}, {{name: b, port: 80, filters: [{STRIP}]}}]")), "ReplacePrefixMatch needs exactly one match, by PathPrefix. [warning]"),
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
        ("SPW024", http("").replace("/v1\n", "/v7\n"), "1:1 gateway.networking.k8s.io/v7 of HTTPRoute is not served by any known release of Gateway API. [error] Write gateway.networking.k8s.io/v1."),
        ("SPW024", http("").replace("/v1\n", "/v1alpha2\n").replace("HTTPRoute", "UDPRoute"), "1:1 gateway.networking.k8s.io/v1alpha2 of UDPRoute is served by the experimental channel of Gateway API alone. [warning] Write gateway.networking.k8s.io/v1."),
        ("SPW035", rule("backendRefs: [{group: apps, kind: Deployment, name: cart, port: 80}]"), "4:31 HTTPRoute shop/r sends requests to Deployment shop/cart, which is not a valid kind of backend. [error] Reference the Service"),
        ("SPW035", rule("filters: [{type: RequestMirror, requestMirror: {backendRef: {group: core.spinkube.dev, kind: SpinApp, name: cart, port: 80}}}]"), "[error] Write `{name: cart, port: 80}`: SpinKube makes a Service of that name."),
        ("SPW035", rule("backendRefs: [{kind: Pod, name: cart, port: 80}]"), "to Pod shop/cart, which is not a valid kind of backend."),
        ("SPW035", rule("backendRefs: [{name: s, port: 80}]") + &service("s", "{port: 80}").replace("selector: {a: b}, ports: [{port: 80}]", "type: ExternalName, externalName: a.example"), "is of type ExternalName, which not every Gateway controller supports as a backend. [note]"),
        ("SPW024", "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: s, namespace: shop}\n".to_owned(), "is not served any more"),
        ("SPW025", http("hostnames: [\"*.example\"]"), "4:20 HTTPRoute shop/r serves all of *.example."),
        ("SPW026", rule("backendRefs: [{name: cart, port: 80}]") + &app("cart", "executor: e"), "SpinApp shop/cart is served, and nothing says when it is ready."),
        ("SPW027", http(&format!("{parent}, rules: [{{backendRefs: [{{name: a, port: 80}}]}}]")) + &served("gateway.envoyproxy.io/gatewayclass-controller"), "HTTPRoute shop/r has no time limit."),
        ("SPW028", rule("backendRefs: [{name: a, port: 80, weight: 0}, {name: b, port: 80, weight: 0}]"), "No backend of this rule gets any request."),
        ("SPW029", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: shop, annotations: {helm.sh/hook: pre-install}}\n".to_owned(), "ConfigMap shop/s is a hook of Helm (pre-install)"),
        ("SPW031", http(&format!("{parent}, rules: [{{timeouts: {{request: 5s}}}}]")) + &gateway(&format!("{{name: l, port: 80, protocol: HTTP, {all}}}")), "4:71 nginx-gateway-fabric 2.7.0 accepts this HTTPRoute and ignores `spec.rules[0].timeouts.request` (HTTPRouteRequestTimeout). [warning] Use ProxySettingsPolicy"),
        ("SPW031", http(&format!("{parent}, rules: [{{name: a}}]")) + &gateway(""), "(HTTPRouteNamedRouteRule). [warning] Do without it"),
        ("SPW031", http(&format!("{parent}, rules: [{{retry: {{attempts: 1}}}}]")) + &served("traefik.io/gateway-controller"), "(HTTPRouteRetryCodes). [warning] Use a Middleware"),
        ("SPW031", http(&format!("{parent}, rules: [{{timeouts: {{request: 5s}}}}]")) + &served("traefik.io/gateway-controller"), "(HTTPRouteRequestTimeout). [warning] Do without it"),
        ("SPW031", http(&format!("{parent}, rules: [{{filters: [{STRIP}]}}]")) + &served("gateway.k8s.aws/alb"), "(HTTPRoutePathRewrite). [error] Do without it"),
        ("SPW031", http(&format!("{parent}, rules: [{{retry: {{attempts: 1}}}}]")) + &served("gateway.nginx.org/nginx-gateway-controller"), "ignores `spec.rules[0].retry`"),
        ("SPW031", http("parentRefs: [{namespace: infra, name: elsewhere}], rules: [{name: a}]"), "ignores `spec.rules[0].name`"),
        ("SPW001", rule("backendRefs: [{name: carts, port: 80}]") + &app("cart", "executor: e"), "[warning] There is Service shop/cart. Mend the name"),
        ("SPW003", http(parent).replace("HTTPRoute", "TLSRoute") + &gateway(&format!("{{name: l, port: 80, protocol: HTTP, {all}}}, {{name: m, port: 81, protocol: TLS}}")), "takes TLSRoute shop/r. [error] l: its protocol is HTTP; m: it takes routes of namespace infra alone."),
        ("SPW003", http("parentRefs: [{namespace: infra, name: g, kind: ListenerSet}]") + &gateway("{name: l, port: 80, protocol: TCP}").replace("kind: Gateway", "kind: ListenerSet"), "4:21 No listener of ListenerSet infra/g takes HTTPRoute shop/r. [error] l: its protocol is TCP."),
        ("SPW003", http(parent) + &gateway(""), "[error] It has no listeners."),
        ("SPW011", rule(&format!("matches: [{{path: {{type: Exact, value: /a}}}}], backendRefs: [{{name: a, port: 80, filters: [{STRIP}]}}]")), "ReplacePrefixMatch needs exactly one match"),
        ("SPW013", http(&format!("{parent}, rules: [{{name: a}}]")) + &second(&http(&format!("{parent}, rules: [{{name: b}}]"))), "9:59 HTTPRoute shop/s and HTTPRoute shop/r both match */: the older one gets the requests; of one age shop/r does."),
        ("SPW013", http(&format!("{parent}, rules: [{{name: a}}]")) + &second(&http(&format!("{parent}, rules: [{{matches: [{{path: {{type: PathPrefix, value: /}}}}]}}]"))), "both match */:"),
        ("SPW013", http(&format!("parentRefs: [{{namespace: infra, name: g, sectionName: l}}], rules: [{{{CART}}}]")) + &second(&http(&format!("{parent}, rules: [{{{CART}}}]"))), "both match */cart:"),
        ("SPW013", http(&format!("parentRefs: [{{namespace: infra, name: g, port: 80}}], rules: [{{{CART}}}]")) + &second(&http(&format!("{parent}, rules: [{{{CART}}}]"))), "both match */cart:"),
        ("SPW013", http(&format!("parentRefs: [{{namespace: infra, name: g, sectionName: l, port: 80}}], rules: [{{{CART}}}]")) + &second(&http(&format!("parentRefs: [{{name: h}}, {{namespace: infra, name: g, sectionName: l, port: 80}}], rules: [{{{CART}}}]"))), "both match */cart:"),
        ("SPW013", grpc("method: {service: a.B, method: C}") + &second(&grpc("method: {type: Exact, service: a.B, method: C}")), "GRPCRoute shop/s and GRPCRoute shop/r both match */a.B/C:"),
        ("SPW013", grpc("method: {service: a.B}") + &second(&grpc("method: {service: a.B}")), "both match */a.B/*:"),
        ("SPW016", certificate("infra", "s", "secretName: t, dnsNames: [a.example, \"*.a.example\"]") + &http(&format!("{parent}, hostnames: [x.a.example, b.example]")).replace("apiVersion", "---\napiVersion") + &gateway(&format!("{{name: l, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: t}}]}}, {all}}}")), "10:76 Gateway infra/g has a certificate for a.example, *.a.example, not for b.example. [warning] Add the hostname"),
        ("SPW016", certificate("infra", "s", "secretName: t, dnsNames: [a.example]") + &http(&format!("{parent}, hostnames: [b.example]")).replace("apiVersion", "---\napiVersion") + &gateway(&format!("{{name: k, port: 80, protocol: HTTP, {all}}}, {{name: l, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: t}}]}}, {all}}}")), "Gateway infra/g has a certificate for a.example, not for b.example."),
        ("SPW016", certificate("infra", "s", "secretName: t, dnsNames: [\"*.example\"]") + &http(&format!("{parent}, hostnames: [a.b.example]")).replace("apiVersion", "---\napiVersion") + &gateway(&format!("{{name: l, port: 443, protocol: HTTPS, hostname: \"*.example\", tls: {{certificateRefs: [{{name: t}}]}}, {all}}}")), "Gateway infra/g has a certificate for *.example, not for a.b.example."),
        ("SPW022", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: shop}\ndata:\n  country: no\n".to_owned(), "5:12 Read as true or false here (YAML 1.1)"),
        ("SPW024", definition("{name: v1alpha1, served: false}, {name: v1, served: true, storage: true}") + &cart("v1alpha1"), "7:1 shop.example/v1alpha1 of Cart is not served by its definition in the repository. [error] Write one of: v1."),
        ("SPW024", definition("{name: v1, served: true, storage: true}, {name: v2, served: true}, {name: v3, served: true, deprecated: true}") + &cart("v1alpha1"), "is not served by its definition in the repository. [error] Write one of: v1, v2."),
        ("SPW024", definition("{name: v1alpha1, served: true, deprecated: true}, {name: v1, served: true, storage: true}") + &cart("v1alpha1"), "is deprecated, says its definition in the repository. [warning] Write one of: v1."),
        ("SPW025", http(parent) + &gateway(&format!("{{name: l, port: 80, protocol: HTTP, {all}}}")), "4:21 HTTPRoute shop/r serves every hostname of Gateway infra/g. [warning] Name the hostnames."),
        ("SPW032", bundled("gateway.networking.k8s.io", "Gateway", "v1.6.1", "standard") + &bundled("gateway.networking.x-k8s.io", "XMesh", "v1.5.0", "experimental"), "16:5 xmeshs.gateway.networking.x-k8s.io is of bundle v1.5.0, gateways.gateway.networking.k8s.io of v1.6.1. [warning] Install all"),
        ("SPW032", bundled("gateway.networking.k8s.io", "Gateway", "v1.6.1", "standard") + &bundled("gateway.networking.k8s.io", "HTTPRoute", "v1.6.1", "experimental"), "17:5 httproutes.gateway.networking.k8s.io is of channel experimental, gateways.gateway.networking.k8s.io of standard."),
        ("SPW033", definition("{name: v1, served: true}"), "5:84 Cart.shop.example has no version that is stored. [error]"),
        ("SPW033", definition("{name: v1, served: true, storage: true}, {name: v2, served: true, storage: false}, {name: v3, served: true, storage: true}"), "5:178 Cart.shop.example has 2 versions that are stored. [error]"),
        ("SPW033", definition("{name: v1, served: true}, {name: v2, served: false, storage: true}"), "Cart.shop.example is stored in a version that is not served. [warning]"),
        ("SPW090", map("s", "k: v") + "# spinway:ignore SPW021: no secret\n", "6:1 The suppression of SPW021 fits nothing. [warning] Write the id and a reason"),
        ("SPW090", map("s", "k: no").replace("\ndata:", "\ndata: # spinway:ignore SPW022\n "), "5:7 The suppression of SPW022 has no reason."),
        ("SPW090", map("s", "k: v") + "# spinway:ignore SPW101: mine; SPW022: y\n", "6:1 The suppression of SPW101 is not for those whom the rule binds"),
        ("SPW090", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: shop, annotations: {spinway.dev/ignore: \"SPW021: not needed\"}}\n".to_owned(), "The suppression of SPW021 fits nothing."),
        ("SPW090", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop, annotations: {spinway.dev/ignore: SPW021}}\nstringData: {k: v}\n".to_owned(), "The suppression of SPW021 has no reason."),
        ("SPW090", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: shop, annotations: {spinway.dev/ignore: \"SPW101: mine\"}}\n".to_owned(), "is not for those whom the rule binds"),
        ("SPW090", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: shop, annotations: {spinway.dev/ignore: \"SPW999: what\"}}\n".to_owned(), "names no check"),
    ]
}

/// What looks like it and is not found.
fn passed() -> Vec<(&'static str, String)> {
    let parent = "parentRefs: [{namespace: infra, name: g}]";
    let all = "allowedRoutes: {namespaces: {from: All}}";
    let redirect =
        "{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}";
    vec![
        ("SPW001", rule("backendRefs: [{name: cart, port: 80}]") + &app("cart", "executor: e")),
        ("SPW001", http("parentRefs: [{namespace: infra, name: elsewhere}]")),
        ("SPW001", app("cart", "executor: e, serviceAccountName: default")),
        ("SPW002", rule("backendRefs: [{name: s, namespace: other, port: 80}]") + "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: {name: g, namespace: other}\nspec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: \"\", kind: Service}]}\n"),
        ("SPW002", http(parent)),
        ("SPW002", rule("backendRefs: [{name: s, port: 80}]")),
        ("SPW002", http("parentRefs: [{group: \"\", kind: Service, name: s, namespace: other}]")),
        ("SPW002", "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: c}\nspec: {controllerName: a.example/b, parametersRef: {group: \"\", kind: ConfigMap, name: p, namespace: infra}}\n".to_owned()),
        ("SPW003", http(parent)),
        ("SPW003", http("parentRefs: [{kind: HTTPRoute, name: s}]") + "---\n" + &rule("backendRefs: [{name: s, port: 80}]").replace("name: r,", "name: s,")),
        ("SPW003", http(parent) + &gateway("{name: k, port: 81, protocol: TCP}, {name: l, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}")),
        ("SPW003", http(parent) + &gateway("{name: l, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}}")),
        ("SPW003", http(parent) + &gateway("{name: l, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}}") + &namespace("a: b")),
        ("SPW004", rule(&format!("{CART}, filters: [{STRIP}], timeouts: {{request: 10s}}, backendRefs: [{{name: s, port: 80}}]")) + &gateway("{name: l, port: 80, protocol: HTTP}")),
        ("SPW004", app("cart", "executor: e, replicas: 2, resources: {limits: {cpu: 1, memory: 64Mi}}") + &service("s", "{name: a, port: 80, targetPort: http}, {name: b, port: 81}")),
        // Go takes null for nothing; a definition does not.
        ("SPW004", service("s", "{port: 80, name: null}")),
        ("SPW004", "apiVersion: example.com/v1\nkind: Unknown\nmetadata: {name: s, namespace: shop}\nspec: {anything: [1]}\n".to_owned()),
        ("SPW004", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop, annotations: {Example.com/Note: a b}}\ndata: {a: Yg==}\n".to_owned()),
        ("SPW004", OWN_KIND.to_owned() + "spec: {size: 3, sizes: [{a: 1}]}}\n"),
        ("SPW005", rule("backendRefs: [{name: cart, port: 80}]") + &app("cart", "executor: e")),
        ("SPW005", rule("backendRefs: [{name: s, port: 82}]") + &service("s", "{port: 80}, {port: 82}")),
        ("SPW005", rule("backendRefs: [{name: unknown, port: 82}]")),
        ("SPW005", rule("backendRefs: [{name: s, port: 80}]") + "---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\nspec: {type: ExternalName, externalName: a.example}\n"),
        ("SPW005", rule("backendRefs: [{name: s, port: 80}]") + "---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\nspec: {type: ExternalName, externalName: a.example, ports: [{port: 81}]}\n"),
        ("SPW006", app(&"x".repeat(52), "executor: e")),
        ("SPW006", app("cart-2", "executor: e")),
        ("SPW006", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a.b, namespace: shop}\n".to_owned()),
        ("SPW007", app("cart", "executor: e")),
        ("SPW008", app("cart", "executor: e, replicas: 2")),
        ("SPW008", app("cart", "executor: e, enableAutoscaling: true") + "---\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: h, namespace: shop}\nspec: {scaleTargetRef: {name: cart}}\n"),
        ("SPW008", app("cart", "executor: e, enableAutoscaling: true") + "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h, namespace: shop}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: cart}, maxReplicas: 3}\n"),
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
        ("SPW035", rule("backendRefs: [{name: s, port: 80}, {group: multicluster.x-k8s.io, kind: ServiceImport, name: s, port: 80}, {group: gateway.networking.k8s.io, kind: HTTPRoute, name: s}]")),
        ("SPW035", rule("filters: [{type: ExtensionRef, extensionRef: {group: apps, kind: Deployment, name: s}}], backendRefs: [{name: s, port: 80, filters: [{type: ExtensionRef, extensionRef: {group: \"\", kind: ConfigMap, name: s}}]}]")),
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
        ("SPW003", http("parentRefs: [{namespace: infra, name: g, group: \"\", kind: Service}]") + &gateway("")),
        ("SPW011", rule(&format!("{CART}, backendRefs: [{{name: a, port: 80, filters: [{STRIP}]}}]"))),
        ("SPW013", http(&format!("parentRefs: [{{namespace: infra, name: g, sectionName: l}}], rules: [{{{CART}}}]")) + &second(&http(&format!("parentRefs: [{{namespace: infra, name: g, sectionName: m}}], rules: [{{{CART}}}]")))),
        ("SPW013", http(&format!("parentRefs: [{{namespace: infra, name: g, port: 80}}], rules: [{{{CART}}}]")) + &second(&http(&format!("parentRefs: [{{namespace: infra, name: g, port: 81}}], rules: [{{{CART}}}]")))),
        ("SPW013", http(&format!("{parent}, rules: [{{{CART}}}]")) + &second(&http(&format!("{parent}, rules: [{{matches: [{{path: {{type: Exact, value: /cart}}}}]}}]")))),
        ("SPW013", http(&format!("{parent}, rules: [{{matches: [{{path: {{type: Exact, value: /cart/}}}}]}}]")) + &second(&http(&format!("{parent}, rules: [{{matches: [{{path: {{type: Exact, value: /cart}}}}]}}]")))),
        ("SPW013", grpc("method: {service: a.B, method: C}") + &second(&grpc("method: {service: a.B, method: D}"))),
        ("SPW013", grpc("method: {service: a.B, method: C}") + &second(&grpc("method: {type: RegularExpression, service: a.B, method: C}"))),
        ("SPW013", http(parent).replace("HTTPRoute", "TCPRoute") + &second(&http(&format!("{parent}, rules: [{{name: a}}]")).replace("HTTPRoute", "TCPRoute"))),
        ("SPW016", certificate("infra", "s", "secretName: t, dnsNames: [a.example]") + &http(&format!("{parent}, hostnames: [a.example, b.example]")).replace("apiVersion", "---\napiVersion") + &gateway(&format!("{{name: l, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: t}}]}}, {all}}}, {{name: m, port: 444, protocol: HTTPS, tls: {{certificateRefs: [{{name: u}}]}}, {all}}}"))),
        ("SPW016", certificate("infra", "s", "secretName: t, dnsNames: [a.example]") + &http(&format!("{parent}, hostnames: [b.example]")).replace("apiVersion", "---\napiVersion") + &gateway(&format!("{{name: l, port: 443, protocol: HTTPS, hostname: a.example, tls: {{certificateRefs: [{{name: t}}]}}, {all}}}, {{name: k, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: t}}]}}}}, {{name: m, port: 80, protocol: HTTP, {all}}}"))),
        ("SPW016", certificate("infra", "s", "secretName: t, dnsNames: [a.example]") + &certificate("infra", "u", "secretName: u, dnsNames: [b.example]") + &http(&format!("{parent}, hostnames: [b.example]")).replace("apiVersion", "---\napiVersion") + &gateway(&format!("{{name: l, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: t}}]}}, {all}}}, {{name: m, port: 444, protocol: HTTPS, tls: {{certificateRefs: [{{name: u}}]}}, {all}}}"))),
        ("SPW022", map("s", "k: \"no\"")),
        ("SPW022", map("s", "k: no").replace("\ndata:", "\ndata:\n  # spinway:ignore SPW022: a boolean is meant\n  # and so it is\n ")),
        ("SPW022", map("s", "k: no").replace("{k: no}", "{k: no} # spinway:ignore SPW022: a boolean is meant")),
        ("SPW024", definition("{name: v1, served: true, storage: true}") + &cart("v1")),
        ("SPW024", definition("{name: v1, served: true, storage: true}, {name: v2, served: true, deprecated: true}, {name: v3, served: false}") + &cart("v1")),
        ("SPW025", http(parent)),
        ("SPW025", http(parent).replace("HTTPRoute", "TCPRoute") + &gateway(&format!("{{name: l, port: 80, protocol: TCP, {all}}}"))),
        ("SPW025", http(parent).replace("HTTPRoute", "UDPRoute") + &gateway(&format!("{{name: l, port: 80, protocol: UDP, {all}}}"))),
        ("SPW025", http(parent) + &gateway(&format!("{{name: l, port: 80, protocol: HTTP, hostname: a.example, {all}}}, {{name: m, port: 80, protocol: HTTP}}"))),
        ("SPW025", http(&format!("{parent}, hostnames: [a.example]")) + &gateway(&format!("{{name: l, port: 80, protocol: HTTP, {all}}}"))),
        ("SPW032", bundled("gateway.networking.k8s.io", "Gateway", "v1.6.1", "standard") + &bundled("gateway.networking.x-k8s.io", "XMesh", "v1.6.1", "experimental") + &bundled("gateway.networking.k8s.io", "HTTPRoute", "v1.6.1", "standard") + &definition("{name: v1, served: true, storage: true}")),
        ("SPW033", definition("{name: v1, served: true, storage: true}, {name: v2, served: true, storage: false}")),
        ("SPW090", map("s", "k: no").replace("{k: no}", "{k: no} # spinway:ignore SPW022: a boolean is meant")),
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
    // Those of tenants, of protected environments and of what is known of kinds have tests of their own.
    let elsewhere = |id: &str| {
        id.starts_with("SPW1") || matches!(id, "SPW017" | "SPW020" | "SPW034") || ("SPW041".."SPW045").contains(&id)
    };
    for check in CHECKS.iter().filter(|check| !elsewhere(check.id)) {
        assert!(found().iter().any(|(id, ..)| *id == check.id), "{} has no failing case", check.id);
        assert!(passed().iter().any(|(id, _)| *id == check.id), "{} has no passing case", check.id);
    }
}

#[test]
fn the_config_says_which_channel_is_installed() {
    let text = rule("sessionPersistence: {type: Cookie}");
    let found = |channel: &str| {
        let config = format!("{CONFIG}  gatewayApi: {{channel: {channel}}}\n");
        let files = [("spinway.yaml", config.as_str()), ("a.yaml", &text)];
        let entries = files.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
        let desired = read(&Tree::of(entries.into()), None).unwrap_or_default();
        assert_eq!(desired.objects.len(), 1);
        let found = all(&[desired], None, None);
        found.iter().filter(|finding| finding.message.raw().ends_with("field not declared in schema")).count()
    };
    assert_eq!([found("standard"), found("experimental")], [1, 0]);
}

#[test]
fn what_the_cluster_says_is_surer_than_what_is_known_here() {
    let mut live = Live::default();
    live.insert(serde_json::json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "carts.shop.example"}, "spec": {"group": "shop.example", "names": {"kind": "Cart", "plural": "carts"},
        "scope": "Namespaced", "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
        {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]}}));
    live.insert(serde_json::json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "c"},
        "spec": {"controllerName": "gateway.nginx.org/nginx-gateway-controller"},
        "status": {"supportedFeatures": [{"name": "HTTPRouteQueryParamMatching"}]}}));
    let text = http("parentRefs: [{namespace: infra, name: g}], rules: [{matches: [{method: GET}]}]")
        + &gateway("")
        + &cart("v1")
        + "spec: {colour: red}\n";
    let found = |live: Option<&Live>| {
        let found = all(&[desired(&text)], None, live);
        let told = |text: &str| found.iter().any(|finding| finding.message.raw().contains(text));
        [told("spec.colour: field not declared"), told("HTTPRouteMethodMatching")]
    };
    assert_eq!([found(None), found(Some(&live))], [[false, false], [true, true]]);
}

#[test]
fn what_is_left_to_the_apply_is_what_has_no_definition() {
    let text = rule("") + &cart("v1") + &map("a", "k: v") + "---\n" + OWN_KIND + "spec: {size: 3}}\n";
    let made = at_apply(&[desired(&text)], None);
    let kinds: Vec<&str> = made.built_in.iter().map(|object| object.kind.as_str()).collect();
    assert_eq!(kinds, ["ConfigMap", "CustomResourceDefinition"]);
    assert_eq!(made.undefined.iter().map(ToString::to_string).collect::<Vec<_>>(), ["Cart.shop.example"]);
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
        let all = all(&[desired(&text)], release.as_ref(), None);
        all.into_iter().filter(|finding| finding.id == "SPW031").map(|f| f.message.raw().to_owned()).collect::<Vec<_>>()
    };
    assert!(found(None)[0].starts_with("nginx-gateway-fabric 2.7.0"));
    assert!(found(Some("traefik@3.7.10"))[0].starts_with("traefik 3.7.10"));
    assert_eq!(found(Some("envoy-gateway@1.9")), [""; 0]);
}

#[test]
fn a_cluster_knows_what_a_repository_does_not() {
    let text = http(
        "parentRefs: [{namespace: infra, name: g}], rules: [{timeouts: {request: 5s}, name: a, backendRefs: [{name: s, port: 80}, {name: gone, port: 80}]}]",
    ) + &gateway("");
    let mut live = Live::default();
    let features = serde_json::json!([{"name": "HTTPRouteNamedRouteRule"}]);
    live.insert(serde_json::json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "c"},
        "spec": {"controllerName": "example.com/own"}, "status": {"supportedFeatures": features}}));
    live.insert(
        serde_json::json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "shop"}}),
    );
    live.prove_absent(ObjectRef::new("", "Service", "shop", "gone"));
    let mut desired = desired(&text);
    let found = |desired: &Desired, id: &str| {
        let found =
            all(std::slice::from_ref(desired), None, Some(&live)).into_iter().filter(|finding| finding.id == id);
        found.map(|finding| finding.message.raw().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        found(&desired, "SPW001")[1..],
        ["HTTPRoute shop/r refers to Service shop/gone, which neither the repository nor the cluster has."]
    );
    // The Config names the release of class c, which is said to ignore both; what the cluster says beats what reports say.
    assert_eq!(found(&desired, "SPW031").len(), 2);
    if let Some(config) = &mut desired.config {
        config.controllers.clear();
    }
    assert_eq!(
        found(&desired, "SPW031"),
        ["example.com/own does not have `spec.rules[0].timeouts.request` (HTTPRouteRequestTimeout)."]
    );
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
        assert_eq!([explain(id), explain(&id.to_lowercase()), explain(name)], [(); 3].map(|()| Some(page.clone())));
    }
    assert!(explain("yaml-syntax").is_some() && explain("SPW999").is_none() && index.contains("| `yaml-syntax` |"));
    let severities = ["SPW024", "SPW001", "SPW015"].map(|id| {
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

/// What is said of a repository with another Config, its fields apart: `FILE:LINE:COLUMN ID message`.
fn told(config: &str, files: &[(&str, &str)], environments: &[&str]) -> Vec<String> {
    let texts = [("spinway.yaml", config)];
    let texts = texts.iter().chain(files);
    let entries = texts.map(|(path, text)| ((*path).to_owned(), Entry::File(text.as_bytes().to_vec())));
    let tree = Tree::of(entries.collect());
    let read: Vec<Desired> = environments.iter().filter_map(|name| read(&tree, Some(name)).ok()).collect();
    assert_eq!(read.len(), environments.len(), "{config}");
    let place = |d: &Diagnostic| d.origin.as_ref().map(ToString::to_string).unwrap_or_default();
    let found = all(&read, None, None).into_iter().filter(|d| d.id != "SPW004");
    found.map(|d| format!("{} {} {}", place(&d), d.id, d.message.raw())).collect()
}

#[test]
fn the_config_suppresses_findings_of_every_rule() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData: {k: v}\n";
    let foreign = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: shop}\n";
    let tenants = CONFIG.replace("[a.yaml]", "[a.yaml, b]") + "  tenants: [{name: b, paths: [b], namespaces: [b]}]\n";
    let found = |suppressions: &str| {
        let config = format!("{tenants}  suppressions: [{suppressions}]\n");
        told(&config, &[("a.yaml", secret), ("b/m.yaml", foreign)], &["test"])
    };
    let secret = "a.yaml:1:1 SPW021 Secret shop/s holds its values in Git.";
    let foreign = "b/m.yaml:3:21 SPW101 Tenant b may not use namespace shop.";
    assert_eq!(found(""), [secret, foreign]);
    assert_eq!(found("{check: SPW021, reason: an example}"), [foreign]);
    assert_eq!(found("{check: SPW101, kind: ConfigMap, namespace: shop, reason: agreed}"), [secret]);
    // A finding of no object is meant where none is named.
    let app = "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: x, namespace: shop}\nspec: {image: \"a.example/x:1\", executor: shim, replicas: 2}\n";
    let lists = "namespaces: [shop], images: [a.example/x]";
    let sources = CONFIG.replace("[a.yaml]", "[a.yaml, t]");
    let config = format!("{sources}  tenants: [{{name: t, paths: [t], {lists}}}]\n");
    let told_of_app = |config: &str| told(config, &[("a.yaml", ""), ("t/a.yaml", app)], &["test"]);
    let open = "spinway.yaml:9:13 SPW111 Tenant t has no `egress`: in environment test its apps may connect anywhere.";
    assert!(told_of_app(&config).iter().any(|said| said == open), "{:?}", told_of_app(&config));
    let config = format!("{config}  suppressions: [{{check: SPW111, reason: agreed}}]\n");
    assert!(!told_of_app(&config).iter().any(|said| said.contains("SPW111") || said.contains("SPW090")));
    let unused = "spinway.yaml:10:18 SPW090 The suppression of SPW101 fits nothing.";
    assert_eq!(found("{check: SPW101, namespace: other, reason: agreed}"), [secret, foreign, unused]);
    let without = "spinway.yaml:10:18 SPW090 The suppression of SPW101 has no reason.";
    assert_eq!(found("{check: SPW101, reason: \" \"}"), [secret, foreign, without]);
    // Plans and applies hold it back no longer.
    let config = tenants + "  suppressions: [{check: SPW101, name: m, reason: agreed}]\n";
    let entries = [
        ("spinway.yaml", config.as_str()),
        ("a.yaml", ""),
        (
            "b/m.yaml",
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: m, namespace: shop}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: o, namespace: shop}}\n",
        ),
    ];
    let entries = entries.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
    let desired = read(&Tree::of(entries.into()), None).unwrap_or_default();
    assert_eq!(desired.objects.len(), 2);
    let left: Vec<String> = guard(&desired).iter().filter_map(|d| d.object.as_ref()).map(ToString::to_string).collect();
    assert_eq!(left, ["ConfigMap shop/o"]);
}

#[test]
fn a_comment_of_one_file_is_not_about_the_same_line_of_another() {
    let config = CONFIG.replace("[a.yaml]", "[a.yaml, b.yaml]");
    let secret = "apiVersion: v1 # spinway:ignore SPW021: an example\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData: {k: v}\n";
    let other = secret.replace(" # spinway:ignore SPW021: an example", "").replace("name: s", "name: t");
    let found = told(&config, &[("a.yaml", secret), ("b.yaml", &other)], &["test"]);
    assert_eq!(found, ["b.yaml:1:1 SPW021 Secret shop/t holds its values in Git."]);
}

#[test]
fn a_suppression_that_one_environment_needs_is_needed() {
    let environments = "[{name: a, values: {data: {k: v}}}, {name: b, values: {data: {}}}]";
    let config = CONFIG.replace("[{name: test}]", environments);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: shop\n  annotations:\n    \
                  spinway.dev/substitute: enabled\n    spinway.dev/ignore: \"SPW021: agreed\"\nstringData: \"${data}\"\n";
    let found = |environments: &[&str]| told(&config, &[("a.yaml", secret)], environments);
    assert_eq!(found(&["a"]), [""; 0]);
    assert_eq!(found(&["a", "b"]), [""; 0]);
    assert_eq!(found(&["b"]), ["a.yaml:8:5 SPW090 The suppression of SPW021 fits nothing."]);
}

#[test]
fn definitions_do_not_go_back_on_the_way_to_production() {
    let config = CONFIG
        .replace("[{name: test}]", "[{name: a, sources: [a]}, {name: b, sources: [b]}]")
        .replace("[a.yaml]", "[]");
    let found = |before: (&str, &str), after: (&str, &str)| {
        let of = |(bundle, channel): (&str, &str)| bundled("gateway.networking.k8s.io", "Gateway", bundle, channel);
        let (before, after) =
            (of(before), of(after) + &bundled("gateway.networking.k8s.io", "HTTPRoute", after.0, after.1));
        told(&config, &[("a/crd.yaml", &before), ("b/crd.yaml", &after)], &["a", "b"])
    };
    let name = "gateways.gateway.networking.k8s.io";
    assert_eq!(found(("v1.6.1", "standard"), ("v1.6.1", "standard")), [""; 0]);
    assert_eq!(found(("v1.6.1", "standard"), ("v1.6.1", "experimental")), [""; 0]);
    assert_eq!(
        found(("v1.6.1", "experimental"), ("v1.6.1", "standard")),
        [format!("b/crd.yaml:8:5 SPW032 {name} is of the experimental channel in a and of the standard one in b.")]
    );
    assert_eq!(
        found(("v1.6.1", "standard"), ("v1.5.0", "standard")),
        [format!("b/crd.yaml:7:5 SPW032 {name} is of bundle v1.6.1 in a and of v1.5.0, an older one, in b.")]
    );
    assert_eq!(
        found(("v1.5.0", "standard"), ("v1.6.1", "standard")),
        [format!("b/crd.yaml:7:5 SPW032 {name} is of bundle v1.6.1 in b and of v1.5.0, an older one, in a before it.")]
    );
}

#[test]
fn a_version_goes_when_no_environment_stores_it() {
    let config = CONFIG
        .replace("[{name: test}]", "[{name: a, sources: [a]}, {name: b, sources: [b]}]")
        .replace("[a.yaml]", "[]");
    let found = |before: &str, after: &str| {
        let (before, after) = (definition(before), definition(after));
        told(&config, &[("a/crd.yaml", &before), ("b/crd.yaml", &after)], &["a", "b"])
    };
    let (old, new) = ("{name: v1alpha1, served: true, storage: true}", "{name: v1, served: true, storage: true}");
    let both = "{name: v1, served: true, storage: true}, {name: v1alpha1, served: true}";
    let said = "a/crd.yaml:5:84 SPW033 Cart.shop.example is stored as v1alpha1 in b, and has no such version in a.";
    assert_eq!(found(new, old), [said]);
    assert_eq!(found(both, old), [""; 0]);
    assert_eq!(found(new, both), [""; 0]);
}

#[test]
fn environments_of_one_cluster_share_no_object() {
    let of = |environments: &str| {
        let config = CONFIG.replace("[{name: test}]", environments);
        let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n";
        let files = [("spinway.yaml", config.as_str()), ("a.yaml", object)];
        let entries: std::collections::BTreeMap<_, _> =
            files.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec()))).into();
        let tree = Tree::of(entries);
        let read: Vec<Desired> = ["a", "b"].into_iter().filter_map(|name| read(&tree, Some(name)).ok()).collect();
        assert_eq!(read.len(), 2, "{environments}");
        environments::across(&read).iter().map(|d| d.message.raw().to_owned()).collect::<Vec<_>>()
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
