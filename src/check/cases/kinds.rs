//! What is known of kinds: executors that are filled in, keys that are missing, names that controllers take, images that move,
//! credentials in plain sight.

use super::{app, definition, desired, executor, map, said, service};
use crate::check::all;
use crate::live::{Coverage, Live, Source};
use crate::object::GroupKind;
use serde_json::json;

fn secret(name: &str, data: &str) -> String {
    format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: shop}}\ndata: {data}\n")
}

fn deployment(pod: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: shop}}\nspec: {{selector: {{matchLabels: {{a: b}}}}, \
         template: {{metadata: {{labels: {{a: b}}}}, spec: {{{pod}}}}}}}\n"
    )
}

/// Live state from there.
fn from(source: Source) -> Live {
    let mut live = Live::default();
    live.source = source;
    live
}

/// Holds what a check says of texts against what is expected; an empty text expects nothing.
fn expect(id: &str, cases: &[(String, &str)]) {
    for (text, expected) in cases {
        let said = said(id, text);
        match expected.is_empty() {
            true => assert!(said.is_empty(), "{id}: {text}\n{said:?}"),
            false => assert!(said.iter().any(|said| said.contains(expected)), "{id}: {text}\n{said:?}"),
        }
    }
}

#[test]
fn an_executor_is_filled_in_where_the_first_by_name_is_in_the_namespace() {
    let without = app("cart", "replicas: 1");
    let first = "fills in `shim`, the first of the cluster by name";
    expect(
        "SPW007",
        &[
            (without.clone() + &executor("shop", "shim"), &format!("{first}. [warning]")),
            (without.clone() + &executor("shop", "shim") + &executor("infra", "zulu"), &format!("{first}. [warning]")),
            (without.clone() + &executor("shop", "zulu") + &executor("infra", "shim"), "does not have. [error]"),
        ],
    );
    // A cluster that was looked at and has none fills in nothing; one that has others decides by theirs.
    let severity = |live: &Live| {
        let desired = desired(&without);
        let found = all(std::slice::from_ref(&desired), None, Some(live)).into_iter();
        found
            .filter(|finding| finding.id == "SPW007")
            .map(|finding| format!("{:?}", finding.severity))
            .collect::<Vec<_>>()
    };
    let mut live = from(Source::Cluster);
    assert_eq!(severity(&live), ["Warning"]);
    live.coverage.insert(GroupKind::new("core.spinkube.dev", "SpinAppExecutor"), Coverage::All);
    assert_eq!(severity(&live), ["Error"]);
    for (namespace, expected) in [("infra", "Error"), ("shop", "Warning")] {
        live.insert(json!({"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinAppExecutor", "metadata": {"name": "a", "namespace": namespace}}));
        assert_eq!(severity(&live), [expected], "{namespace}");
    }
}

#[test]
fn a_spin_app_says_how_many_pods_it_has_or_leaves_it_to_an_autoscaler() {
    expect(
        "SPW008",
        &[
            (app("cart", "executor: e"), "has neither `replicas` nor `enableAutoscaling`. [error]"),
            (app("cart", "executor: e, enableAutoscaling: false"), "has neither `replicas`"),
            (app("cart", "executor: e, replicas: 0"), "has `replicas: 0`; the least is 1. [error]"),
            (app("cart", "executor: e, replicas: 1"), ""),
        ],
    );
}

#[test]
fn keys_are_looked_up_wherever_a_kind_reads_them() {
    let prices = map("prices", "currency: EUR");
    let keys = secret("keys", "{token: YQ==}");
    let lacks = "reads key `curency` of ConfigMap shop/prices, which does not have it: it has `currency`. [error] Did you mean `currency`?";
    let variable = |key: &str| {
        format!("executor: e, variables: [{{name: x, valueFrom: {{configMapKeyRef: {{name: prices, key: {key}}}}}}}]")
    };
    let env = |key: &str, more: &str| {
        deployment(&format!(
            "containers: [{{name: c, image: a, env: [{{name: X, valueFrom: {{secretKeyRef: {{name: keys, key: {key}{more}}}}}}}]}}]"
        ))
    };
    let volume = |volume: &str| deployment(&format!("containers: [], volumes: [{{name: v, {volume}}}]"));
    let store = |key: &str| {
        format!(
            "executor: e, runtimeConfig: {{keyValueStores: [{{name: s, type: redis, options: [{{name: url, valueFrom: {{secretKeyRef: {{name: keys, key: {key}}}}}}}]}}]}}"
        )
    };
    expect(
        "SPW041",
        &[
            (app("cart", &variable("curency")) + &prices, lacks),
            (app("cart", &variable("currency")) + &prices, ""),
            (app("cart", &variable("curency")), ""),
            (app("cart", &store("tokn")) + &keys, "reads key `tokn` of Secret shop/keys"),
            (app("cart", &store("token")) + &keys, ""),
            (app("cart", "executor: e, runtimeConfig: {loadFromSecret: keys}") + &keys, "reads key `runtime-config.toml` of Secret shop/keys"),
            (env("other", "") + &keys, "Deployment shop/web reads key `other` of Secret shop/keys"),
            (env("other", ", optional: true") + &keys, ""),
            (env("token", "") + &keys, ""),
            (volume("secret: {secretName: keys, items: [{key: cert, path: c}]}") + &keys, "reads key `cert` of Secret shop/keys"),
            (volume("secret: {secretName: keys, items: [{key: cert, path: c}], optional: true}") + &keys, ""),
            (volume("configMap: {name: prices, items: [{key: currency, path: c}]}") + &prices, ""),
            (volume("projected: {sources: [{configMap: {name: prices, items: [{key: rate, path: r}]}}]}") + &prices, "reads key `rate` of ConfigMap shop/prices"),
            (
                "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: t, namespace: shop}\nspec: {secretTargetRef: [{parameter: p, name: keys, key: host}]}\n".to_owned() + &keys,
                "TriggerAuthentication shop/t reads key `host` of Secret shop/keys",
            ),
        ],
    );
}

#[test]
fn a_key_that_others_added_in_the_cluster_counts() {
    let text =
        app("cart", "executor: e, variables: [{name: x, valueFrom: {configMapKeyRef: {name: prices, key: rate}}}]")
            + "---\n"
            + &map("prices", "currency: EUR");
    let count = |holder: &str| {
        let mut live = from(Source::Cluster);
        live.insert(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"currency": "EUR", "rate": "2"}, "metadata": {"name": "prices", "namespace": "shop",
            "managedFields": [{"manager": holder, "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:rate": {}}}}]}}));
        let desired = desired(&text);
        all(std::slice::from_ref(&desired), None, Some(&live)).iter().filter(|finding| finding.id == "SPW041").count()
    };
    assert_eq!(count("rates"), 0);
    assert_eq!(count("spinway"), 1, "what is ours and no longer declared goes");
}

#[test]
fn names_that_controllers_take_are_found() {
    let cart = app("cart", "executor: e, replicas: 1");
    let other = "is also created for SpinApp shop/cart";
    let sealed = "---\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: keys, namespace: shop}\nspec: {encryptedData: {a: b}}\n";
    let external = |more: &str| {
        format!(
            "---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: keys, namespace: shop}}\nspec: {{target: {{{more}}}}}\n"
        )
    };
    let certificate = |name: &str| {
        format!(
            "---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{secretName: tls, dnsNames: [a.example], issuerRef: {{name: i}}}}\n"
        )
    };
    let web = deployment("containers: []").replace("name: web", "name: cart");
    let no_deployment = executor("shop", "e").replace("createDeployment: true", "createDeployment: false");
    expect(
        "SPW042",
        &[
            (cart.clone() + &service("cart", "{port: 80}"), &format!("Service shop/cart {other}")),
            (cart.clone() + &service("carts", "{port: 80}"), ""),
            (cart.clone() + &web, &format!("Deployment shop/cart {other}")),
            (cart.clone() + &web + &no_deployment, ""),
            (cart + &service("cart", "{port: 80}") + &no_deployment, other),
            (secret("keys", "{a: YQ==}") + sealed, "Secret shop/keys is also created for SealedSecret shop/keys"),
            (
                secret("keys", "{a: YQ==}").replace(
                    "namespace: shop}",
                    "namespace: shop, annotations: {sealedsecrets.bitnami.com/patch: \"true\"}}",
                ) + sealed,
                "",
            ),
            (secret("keys", "{}") + sealed, ""),
            (secret("keys", "{a: YQ==}") + &external(""), "is also created for ExternalSecret shop/keys"),
            (secret("keys", "{a: YQ==}") + &external("creationPolicy: Merge"), ""),
            (
                certificate("a") + &certificate("b"),
                "Certificate shop/b and Certificate shop/a both create Secret shop/tls",
            ),
            (certificate("a"), ""),
        ],
    );
}

#[test]
fn images_that_move_are_found_wherever_they_run() {
    let named =
        |image: &str| app("cart", "executor: e, replicas: 1").replace("image: a,", &format!("image: \"{image}\","));
    let digest = format!("reg.example:5000/a@sha256:{}", "0".repeat(64));
    let moves = "which moves: it means tag `latest`. [warning]";
    expect(
        "SPW043",
        &[
            (named("ghcr.io/a/b"), moves),
            (named("ghcr.io/a/b:latest"), moves),
            (named("reg.example:5000/a"), moves),
            (named("ghcr.io/a/b:1.0"), ""),
            (named(&digest), ""),
            (deployment("containers: [{name: c, image: \"a:1\"}], initContainers: [{name: i, image: b}]"), "Deployment shop/web runs image `b`"),
            (deployment("containers: [{name: c, image: \"a:1\"}]"), ""),
            (executor("shop", "s").replace("createDeployment: true", "createDeployment: true, deploymentConfig: {spinImage: spin}"), "runs image `spin`"),
            // Of other kinds an image may have its tag elsewhere.
            ("apiVersion: shop.example/v1\nkind: Cart\nmetadata: {name: c, namespace: shop}\nspec: {image: a, tag: \"1\"}\n".to_owned(), ""),
        ],
    );
}

#[test]
fn credentials_are_found_and_never_repeated() {
    let key = format!("sk_live_{}", "a1B2c3D4e5f6G7h8I9j0");
    let variable = |name: &str, value: &str| {
        app("cart", &format!("executor: e, replicas: 1, variables: [{{name: {name}, value: \"{value}\"}}]"))
    };
    let env = |field: &str| deployment(&format!("containers: [{{name: c, image: \"a:1\", {field}}}]"));
    let url = "postgres://shop:hunter2@db/shop";
    let cases = [
        (
            variable("payments", &key),
            "SpinApp shop/cart: `payments` holds what looks like a live key of Stripe. [warning]",
        ),
        (variable("db_password", "hunter2"), "`db_password` holds what looks like a password"),
        (variable("log_level", "info"), ""),
        (variable("db_password", "{{ secret }}"), ""),
        (env(&format!("env: [{{name: DB, value: \"{url}\"}}]")), "`DB` holds what looks like a password in a URL"),
        (env(&format!("args: [\"--key={key}\"]")), "`args` holds what looks like a live key of Stripe"),
        (map("settings", &format!("url: \"{url}\"")), "`url` holds what looks like a password in a URL"),
        (map("settings", "url: https://db.example/shop"), ""),
        // Of Secrets another check speaks.
        (secret("keys", "{password: aHVudGVyMg==}"), ""),
    ];
    expect("SPW044", &cases);
    for (text, _) in &cases {
        let said = said("SPW044", text).join("\n");
        assert!(!said.contains(&key) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_version_in_which_the_cluster_stores_objects_stays() {
    let count = |stored: &[&str]| {
        let desired = desired(&definition("{name: v1, served: true, storage: true}"));
        let mut live = from(Source::Snapshot);
        live.insert(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "carts.shop.example"},
            "spec": {"group": "shop.example", "names": {"kind": "Cart", "plural": "carts"}, "scope": "Namespaced", "versions": []}, "status": {"storedVersions": stored}}));
        let found = all(std::slice::from_ref(&desired), None, Some(&live));
        let found =
            found.iter().filter(|finding| finding.id == "SPW033").map(|finding| finding.message.raw().to_owned());
        found.collect::<Vec<_>>()
    };
    assert_eq!(count(&["v1"]), [""; 0]);
    let message = "CustomResourceDefinition carts.shop.example has no version v1beta1, in which the cluster may have stored objects (`status.storedVersions`).";
    assert_eq!(count(&["v1beta1", "v1"]), [message]);
}
