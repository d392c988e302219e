//! Repositories as people have them: they check clean and are planned as they are meant.

use crate::repo::Repo;
use crate::run::{Ran, actions, code, json, run};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).join("repo")
}

/// A fixture as the whole of a Git repository whose first commit is empty.
fn copied(name: &str) -> Repo {
    let repo = Repo::empty();
    repo.commit("empty");
    repo.copy_from(&fixture(name));
    repo
}

/// `SEVERITY ID FILE` of what `check` finds.
fn found(repo: &Repo) -> Vec<String> {
    let ran = run(&["check", repo.dir(), "-o", "json"]);
    let report = json(&ran);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let all = report["diagnostics"].as_array().expect("diagnostics").iter();
    all.map(|d| format!("{} {} {}", text(&d["severity"]), text(&d["id"]), text(&d["file"]))).collect()
}

fn planned(repo: &Repo, more: &[&str]) -> Vec<String> {
    let ran = run(&[&["plan", repo.dir(), "-o", "json"], more].concat());
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    actions(&json(&ran))
}

#[test]
fn a_bare_folder_takes_the_namespace_that_kubectl_would() {
    let repo = copied("bare");
    let errors: Vec<String> = found(&repo).into_iter().filter(|found| !found.starts_with("note")).collect();
    assert_eq!(errors, Vec::<String>::new());
    assert!(found(&repo).contains(&"note namespace-default cart.yaml".to_owned()), "{:?}", found(&repo));
    let created = |namespace: &str| {
        let mut all = vec!["create GatewayClass /traefik".to_owned()];
        for (kind, name) in [
            ("Gateway", "public"),
            ("HTTPRoute", "cart"),
            ("HTTPRoute", "search"),
            ("SpinApp", "cart"),
            ("SpinApp", "search"),
            ("SpinAppExecutor", "containerd-shim-spin"),
        ] {
            all.push(format!("create {kind} {namespace}/{name}"));
        }
        all.sort();
        all
    };
    assert_eq!(planned(&repo, &["--against", "HEAD"]), created("default"));
    // A snapshot knows the namespace of its context.
    let kinds = [
        ("gateway.networking.k8s.io", "v1", "GatewayClass", "gatewayclasses", false),
        ("gateway.networking.k8s.io", "v1", "Gateway", "gateways", true),
        ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", true),
        ("core.spinkube.dev", "v1alpha1", "SpinApp", "spinapps", true),
        ("core.spinkube.dev", "v1alpha1", "SpinAppExecutor", "spinappexecutors", true),
        ("", "v1", "Namespace", "namespaces", false),
    ];
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(group, version, kind, plural, namespaced)| {
            serde_json::json!({"group": group, "kind": kind, "versions": [version], "plural": plural, "namespaced": namespaced, "listed": "all"})
        })
        .collect();
    let snapshot = serde_json::json!({"schema": "spinway.dev/snapshot/v1", "cluster": "u", "namespace": "shop", "time": "2026-11-01T08:00:00Z",
        "kinds": kinds, "absent": [], "objects": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "n"}}]});
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shop.json");
    std::fs::write(&file, snapshot.to_string()).expect("a file");
    assert_eq!(planned(&repo, &["--snapshot", file.to_str().expect("a path")]), created("shop"));
}

/// What is wrong in a repository, without notes.
fn wrong(repo: &Repo) -> Vec<String> {
    found(repo).into_iter().filter(|found| !found.starts_with("note")).collect()
}

#[test]
fn routes_of_a_mesh_and_experimental_ones_of_older_releases_are_understood() {
    for fixture in ["mesh", "release-1.4", "release-1.5"] {
        let repo = copied(fixture);
        assert_eq!(wrong(&repo), Vec::<String>::new(), "{fixture}");
        let planned = planned(&repo, &["--against", "HEAD"]);
        assert!(planned.len() >= 8 && planned.iter().all(|line| line.starts_with("create ")), "{fixture}: {planned:?}");
    }
    // The route comes after both apps whose requests it divides, and one that does not exist is an error.
    let repo = copied("mesh");
    let report = json(&run(&["plan", repo.dir(), "--against", "HEAD", "-o", "json"]));
    let needs = crate::run::row(&report, "HTTPRoute", "track")["needs"].to_string();
    assert!(needs.contains("\"track\"") && needs.contains("\"track-next\""), "{needs}");
    repo.edit("parcels.yaml", "name: track-next, port: 80", "name: track-nxt, port: 80");
    assert_eq!(wrong(&repo), ["warning SPW001 parcels.yaml"]);
    // What the declared release and channel do not have is an error.
    let repo = copied("release-1.5");
    repo.edit("spinway.yaml", "channel: experimental", "channel: standard");
    let errors = wrong(&repo);
    assert!(
        errors.len() >= 4
            && errors.iter().all(|found| found.starts_with("error SPW") && found.ends_with("telemetry.yaml")),
        "{errors:?}"
    );
}

#[test]
fn a_monorepo_is_read_where_its_config_says() {
    let repo = copied("monorepo");
    let wrong: Vec<String> = found(&repo).into_iter().filter(|found| !found.starts_with("note")).collect();
    assert_eq!(wrong, Vec::<String>::new());
    let planned = planned(&repo, &["--against", "HEAD"]);
    assert!(planned.iter().any(|line| line.starts_with("create SpinApp shop/cart")), "{planned:?}");
    assert!(planned.contains(&"create ConfigMap shop/settings".to_owned()), "{planned:?}");
    assert!(!planned.iter().any(|line| line.contains("Deployment") || line.contains("HostnameConfig")), "{planned:?}");
    // What a source would read and is no manifest is an error there.
    for (file, id) in [
        ("deploy/apps/talos.yaml", "file-no-object"),
        ("deploy/apps/web/Chart.yaml", "file-helm"),
        ("deploy/apps/charts", "file-symlink"),
    ] {
        match id {
            "file-no-object" => repo.write(file, "version: v1alpha1\nmachine: {type: worker}\n"),
            "file-helm" => repo.write(file, "apiVersion: v2\nname: web\n"),
            _ => std::os::unix::fs::symlink("../../charts", repo.file(file)).expect("a link"),
        }
        assert!(found(&repo).contains(&format!("error {id} {file}")), "{id}: {:?}", found(&repo));
    }
}

#[test]
fn without_a_config_what_is_no_manifest_is_a_note_and_folders_of_tools_are_not_read() {
    let repo = copied("monorepo");
    repo.remove("spinway.yaml");
    repo.remove("deploy/apps/cart.yaml");
    let all = found(&repo);
    let wrong: Vec<&String> = all.iter().filter(|found| !found.starts_with("note")).collect();
    assert_eq!(wrong, Vec::<&String>::new());
    for expected in [
        "note file-helm charts/web/Chart.yaml",
        "note file-no-object services/cart/package.json",
        "note file-no-object talos/controlplane.yaml",
    ] {
        assert!(all.contains(&expected.to_owned()), "{expected}: {all:?}");
    }
    assert!(
        !all.iter().any(|found| found.contains("/.") || found.contains(".github") || found.contains(".devcontainer"))
    );
    // A source that names a folder with a dot reads it.
    let repo = copied("monorepo");
    repo.edit("spinway.yaml", "    - deploy/platform\n", "    - deploy/platform\n    - .github/workflows\n");
    assert!(found(&repo).contains(&"error file-no-object .github/workflows/ci.yml".to_owned()));
}

#[test]
fn objects_take_the_namespace_of_their_source_or_tenant() {
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let repo = Repo::empty();
    repo.commit("empty");
    repo.write(
        "spinway.yaml",
        "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec:\n  sources: [platform, apps, {path: apps/shared, namespace: shared}]\n  \
         environments: [{name: test, values: {ns: late}, sources: [{path: more, namespace: extra}]}]\n  platform: {paths: [platform, more, apps/shared]}\n  tenants:\n    \
         - {name: one, paths: [apps/one], namespaces: [one]}\n    - {name: two, paths: [apps/two], namespaces: [two, three]}\n    \
         - {name: many, paths: [apps/many], namespaces: [\"many-*\"]}\n    - {name: late, paths: [apps/late], namespaces: [\"${ns}\"]}\n  externals: [{kind: Namespace}]\n",
    );
    for folder in ["platform", "apps/one", "apps/two", "apps/many", "apps/late", "apps/shared", "more"] {
        repo.write(&format!("{folder}/a.yaml"), &map(&folder.replace('/', "-")));
    }
    let planned = planned(&repo, &["--against", "HEAD"]);
    let created: Vec<&String> = planned.iter().filter(|line| line.starts_with("create")).collect();
    assert_eq!(
        created,
        [
            "create ConfigMap extra/more",
            "create ConfigMap late/apps-late",
            "create ConfigMap one/apps-one",
            "create ConfigMap shared/apps-shared",
        ]
    );
    let homeless: Vec<String> = found(&repo).into_iter().filter(|found| found.contains("object-namespace")).collect();
    assert_eq!(
        homeless,
        [
            "error object-namespace apps/many/a.yaml",
            "error object-namespace apps/two/a.yaml",
            "error object-namespace platform/a.yaml",
        ]
    );
    let text = crate::run::stdout(&run(&["check", repo.dir()]));
    assert!(text.contains("`metadata.namespace`") && text.contains("{path: PATH, namespace: NAME}"), "{text}");
}

#[test]
fn files_of_other_tools_are_not_applied_as_they_are() {
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\n");
    let repo = Repo::empty();
    repo.commit("empty");
    repo.write("plain/a.yaml", &map("plain"));
    repo.write("overlay/kustomization.yml", "resources: [../base]\npatchesStrategicMerge: [late/patch.yaml]\nconfigMapGenerator: [{name: g, files: [g.json=late/g.json]}]\n");
    repo.write("overlay/beside.yaml", &map("beside"));
    repo.write("overlay/late/patch.yaml", &map("patch"));
    repo.write(
        "overlay/late/g.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"g\", \"namespace\": \"shop\"}}",
    );
    repo.write("base/base.yaml", &map("base"));
    repo.write("stray.yaml", &format!("$patch: replace\n{}", map("stray")));
    let sops = "sops:\n  age: [{recipient: age1x, enc: y}]\n  mac: ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]\n  version: 3.9.0\n";
    let secret = |name: &str, value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: shop}}\nstringData: {{a: \"{value}\"}}\n"
        )
    };
    repo.write("secret.yaml", &format!("{}{sops}", secret("whole", "ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]")));
    repo.write("copied.yaml", &secret("copied", "ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]"));
    repo.write("map.yaml", &format!("{}data: {{a: plain}}\n{sops}", map("partly")));
    let planned: Vec<String> =
        planned(&repo, &["--against", "HEAD"]).into_iter().filter(|line| !line.starts_with("blocked")).collect();
    assert_eq!(planned, ["create ConfigMap shop/plain"]);
    let found = found(&repo);
    for expected in [
        "error file-kustomization overlay/kustomization.yml",
        "error object-patch stray.yaml",
        "error object-encrypted secret.yaml",
        "error object-encrypted copied.yaml",
        "error object-encrypted map.yaml",
    ] {
        assert!(found.contains(&expected.to_owned()), "{expected}: {found:?}");
    }
    // Whoever wants the files as they are says so.
    repo.write(".spinwayignore", "kustomization.yml\n");
    let text = crate::run::stdout(&run(&["plan", repo.dir(), "--against", "HEAD", "-o", "json"]));
    assert!(text.contains("\"beside\""), "{text}");
}

#[test]
fn values_that_nobody_replaces_are_told() {
    let repo = Repo::empty();
    repo.write(
        "spinway.yaml",
        "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec: {sources: [a], environments: [{name: test, values: {domain: x.example}}]}\n",
    );
    let map = |name: &str, data: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\ndata: {data}\n")
    };
    repo.write("a/own.yaml", &map("own", "{url: \"https://${domain}/\"}"));
    repo.write("a/case.yaml", &map("case", "{url: \"https://${DOMAIN}/\"}"));
    repo.write("a/other.yaml", &map("other", "{url: \"https://${HOST}/\", again: \"${PORT}\"}"));
    repo.write("a/script.yaml", &map("script", "{run: \"exec server ${HOME}\"}"));
    repo.write(
        "a/right.yaml",
        &map("right", "{url: \"https://${domain}/\"}")
            .replace("namespace: default", "namespace: default, annotations: {spinway.dev/substitute: enabled}"),
    );
    let found: Vec<String> = found(&repo).into_iter().filter(|found| found.contains("value-")).collect();
    assert_eq!(
        found,
        ["warning value-literal a/case.yaml", "note value-literal a/other.yaml", "warning value-literal a/own.yaml"]
    );
    // Without a Config nothing is replaced at all.
    repo.remove("spinway.yaml");
    repo.write(
        "a/route.yaml",
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: r\n  namespace: default\n  annotations:\n    dns.example/target: edge.${DOMAIN}\nspec: {}\n",
    );
    let report = json(&run(&["check", repo.dir(), "-o", "json"]));
    let all = report["diagnostics"].as_array().expect("diagnostics").iter();
    let mut told = all.filter(|finding| finding["id"] == "value-literal" && finding["file"] == "a/route.yaml");
    assert_eq!(told.next().map(|finding| &finding["line"]), Some(&serde_json::json!(7)), "{report:#}");
}

#[test]
fn findings_name_files_from_the_root_of_the_git_repository_for_github() {
    let repo = Repo::empty();
    repo.write("deploy/shop/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A}\n");
    repo.commit("all");
    let folder = repo.file("deploy/shop");
    let folder = folder.to_str().expect("a path");
    let said = |format: &str| crate::run::stdout(&run(&["check", folder, "-o", format]));
    assert!(said("github").contains("file=deploy/shop/a.yaml"), "{}", said("github"));
    assert!(said("sarif").contains("\"deploy/shop/a.yaml\""), "{}", said("sarif"));
    assert!(said("text").contains(" a.yaml:"), "{}", said("text"));
}
