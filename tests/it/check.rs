//! `spinway check` as people and pull requests run it: no cluster, no network.

use crate::repo::Repo;
use crate::run::{Ran, code, json, run, stderr, stdout};
use std::process::Output;

const RULES: &str = "\
apiVersion: spinway.dev/v1alpha1
kind: Config
metadata: {name: shop}
spec:
  sources: [apps]
  environments: [{name: live, cluster: {uid: u}, protected: true}]
  tenants: [{name: checkout, paths: [apps/checkout], namespaces: [checkout], images: [\"ghcr.io/acme/*\"], kinds: [ConfigMap, SpinApp], egress: [\"*\"], serviceAccount: checkout/deployer}]
  externals: [{kind: Namespace}, {kind: SpinAppExecutor}]
  approvals: {paths: [approvals]}
";

fn map(name: &str, namespace: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\n")
}

/// A repository whose rules are committed.
fn shop() -> Repo {
    let repo = Repo::empty();
    repo.write("spinway.yaml", RULES);
    repo.write("apps/checkout/map.yaml", &map("prices", "checkout"));
    repo.git(&["init", "-q"]);
    repo.commit("the rules");
    repo
}

fn check(repo: &Repo, more: &[&str]) -> Output {
    run(&[&["check", repo.dir()], more].concat())
}

/// The ids of the errors of a check.
fn errors(ran: &Output) -> Vec<String> {
    let report = json(ran);
    let found = report["diagnostics"].as_array().expect("diagnostics").iter();
    let mut ids: Vec<String> =
        found.filter(|d| d["severity"] == "error").map(|d| d["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn a_change_of_what_binds_is_judged_by_what_bound_before_and_said_first() {
    let app = "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: checkout}\n\
               spec: {image: \"ghcr.io/acme/cart:1\", executor: e, replicas: 1}\n";
    // What the pull request changes beside the rule, the rule as it was and as it makes it, what it is refused by and called.
    let changes = [
        (
            "apps/checkout/system.yaml",
            map("x", "kube-system"),
            "[checkout], images",
            "[checkout, kube-system], images",
            "SPW101",
            "tenants checkout (namespaces)",
        ),
        (
            "apps/checkout/cart.yaml",
            app.to_owned(),
            "protected: true",
            "protected: false",
            "SPW020",
            "environments live (protected)",
        ),
        (
            "apps/checkout/other.yaml",
            map("other", "catalog"),
            "  externals:",
            "  suppressions: [{check: SPW101, namespace: catalog, name: other, reason: I may}]\n  externals:",
            "SPW101",
            "suppressions other (new)",
        ),
    ];
    for (file, text, before, after, rule, said) in changes {
        let repo = shop();
        repo.write(file, &text);
        repo.edit("spinway.yaml", before, after);
        let alone = check(&repo, &["-o", "json"]);
        assert_eq!((code(&alone), errors(&alone)), (0, vec![]), "{}", Ran(&alone));
        let judged = check(&repo, &["--base", "HEAD", "-o", "json"]);
        assert_eq!((code(&judged), errors(&judged)), (1, vec![rule.to_owned()]), "{}", Ran(&judged));
        assert!(json(&judged)["notices"][0].as_str().is_some_and(|notice| notice.contains(said)), "{}", Ran(&judged));
        let text = stdout(&check(&repo, &["--base", "HEAD"]));
        assert!(text.starts_with("The rules (spinway.yaml) change with this pull request"), "{text}");
        let markdown = stdout(&check(&repo, &["--base", "HEAD", "-o", "markdown"]));
        let (first, then) = (markdown.find("The rules"), markdown.find(rule));
        assert!(first.is_some() && first < then, "{markdown}");
    }
    // An Approval of the pull request itself counts after the merge.
    let repo = shop();
    repo.write("approvals/a.yaml", "apiVersion: spinway.dev/v1alpha1\nkind: Approval\nmetadata: {name: a}\nspec: {environment: live, digest: \"sha256:0\", expires: 2027-01-01T00:00:00Z}\n");
    let judged = stdout(&check(&repo, &["--base", "HEAD"]));
    assert!(judged.starts_with("Approvals change with this pull request: approvals/a.yaml."), "{judged}");
}

#[test]
fn old_findings_stay_silent_until_they_are_mended() {
    let repo = shop();
    let secret = |name: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: checkout}}\nstringData: {{a: b}}\n")
    };
    repo.edit("spinway.yaml", "kinds: [ConfigMap, ", "kinds: [ConfigMap, Secret, ");
    repo.write("apps/checkout/secrets.yaml", &secret("one"));
    // What guards cannot be put aside.
    repo.write("apps/checkout/bad.yaml", &map("x", "catalog"));
    let baseline = repo.file("known.txt");
    let baseline = baseline.to_str().expect("a plain path");
    assert_eq!(code(&check(&repo, &["--write-baseline", baseline])), 0);
    let found = |more: &[&str]| {
        let ran = check(&repo, &[&["-o", "json"], more].concat());
        let report = json(&ran);
        let found = report["diagnostics"].as_array().expect("diagnostics").iter();
        found.map(|d| d["message"].as_str().expect("a message").to_owned()).collect::<Vec<_>>()
    };
    let guarded = "Tenant checkout may not use namespace catalog.";
    assert_eq!(found(&["--baseline", baseline]), [guarded]);
    // A new one of the same kind is said, also when lines moved; one that is mended is named.
    repo.write("apps/checkout/secrets.yaml", &format!("# a comment\n{}---\n{}", secret("one"), secret("other")));
    assert_eq!(found(&["--baseline", baseline]), [guarded, "Secret checkout/other holds its values in Git."]);
    repo.remove("apps/checkout/secrets.yaml");
    let mended = stdout(&check(&repo, &["--baseline", baseline]));
    assert!(mended.contains("is mended and still has the line"), "{mended}");
}

#[test]
fn what_cannot_be_checked_says_what_to_do() {
    let repo = shop();
    for (arguments, exit, said) in [
        (&["--env", "nowhere"][..], 64, "there is no environment `nowhere`"),
        (&["--base", "nowhere"], 1, "nowhere"),
        (&["--snapshot", "nowhere.json"], 1, "nowhere.json"),
        (&["--baseline", "nowhere.txt"], 1, "--write-baseline"),
        (&["--controller", "nginx"], 64, "nginx-gateway-fabric@2.7.0"),
        (&["--explain", "SPW999"], 64, "there is no check"),
        (&["-o", "html"], 64, "there are text, json"),
        (&["-o", "yaml"], 64, "text, json, markdown, sarif, junit and github"),
    ] {
        let ran = check(&repo, arguments);
        assert_eq!(code(&ran), exit, "{arguments:?} {}", Ran(&ran));
        assert!(stderr(&ran).contains(said), "{arguments:?} {}", Ran(&ran));
    }
    repo.edit("spinway.yaml", "protected: true}]", "protected: true}, {name: test}]");
    repo.write("snapshot.json", "{}");
    let ran = check(&repo, &["--snapshot", "snapshot.json"]);
    assert!(code(&ran) == 64 && stderr(&ran).contains("--env"), "a snapshot is of one environment: {}", Ran(&ran));
    let page = run(&["check", "--explain", "spw004"]);
    assert!(code(&page) == 0 && stdout(&page).starts_with("# SPW004: fields"), "{}", Ran(&page));
}

#[test]
fn the_rules_of_definitions_and_of_kubernetes_are_told_without_a_cluster() {
    let repo = Repo::empty();
    repo.add_crds();
    let route = |rule: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, namespace: default}}\nspec: {{rules: [{{{rule}}}]}}\n"
        )
    };
    let rewrite =
        "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]";
    repo.write("route.yaml", &route(&format!("matches: [{{path: {{type: Exact, value: /a}}}}], {rewrite}")));
    let said = stdout(&check(&repo, &[]));
    assert!(said.contains("exactly one PathPrefix match must be specified"), "the rule in CEL: {said}");
    // Without the definition there are tables; this rule is a check of its own.
    std::fs::remove_dir_all(repo.file("platform")).expect("the definitions");
    let said = stdout(&check(&repo, &[]));
    assert!(!said.contains("exactly one PathPrefix match must be specified"), "{said}");
    assert!(said.contains("error[SPW011]"), "{said}");
    repo.write("route.yaml", &route("matches: [{path: {type: Prefix}}]"));
    repo.write("other.yaml", "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a, namespace: default}\n");
    repo.write("map.yaml", &map("m", "default"));
    let said = stdout(&check(&repo, &[]));
    assert!(
        said.contains("error[SPW004]: spec.rules[0].matches[0].path.type: Unsupported value: \"Prefix\""),
        "{said}"
    );
    let last = "Verified at apply: what Kubernetes demands of 1 object of its own kinds beyond its schema; kinds without a \
                definition here (Thing.example.com).\nChecked by built-in tables of Gateway API: HTTPRoute. Keep its definitions in the \
                repository, or use `--snapshot`, to check all of their rules.\n";
    assert!(said.ends_with(last), "{said}");
}

#[test]
fn a_path_of_a_tenant_that_no_file_can_be_in_is_told_where_it_is_written() {
    let repo = Repo::empty();
    repo.write(
        "spinway.yaml",
        r#"apiVersion: spinway.dev/v1alpha1
kind: Config
metadata: {name: shop}
spec:
  sources: [platform, apps]
  environments:
    - {name: blue, values: {zone: west}}
    - {name: green, values: {zone: east}, sources: [green]}
  tenants:
    - {name: cart, paths: [apps/cart, apps/crat]}
    - {name: pay, paths: [apps/pay, "apps/${zone}", green/pay]}
    - {name: stars, paths: [teams/stars]}
"#,
    );
    // A file that spinway does not read, or an empty folder, is enough.
    repo.write("platform/.spinwayignore", "");
    repo.write("apps/cart/README.md", "");
    repo.write("apps/west/.spinwayignore", "");
    repo.write("green/pay/.spinwayignore", "");
    repo.write("teams/stars/.spinwayignore", "");
    std::fs::create_dir_all(repo.file("apps/pay")).expect("a folder");
    let found = |more: &[&str]| -> Vec<String> {
        let report = json(&check(&repo, &[&["-o", "json"], more].concat()));
        let all = report["diagnostics"].as_array().expect("diagnostics").clone();
        let missing = all.iter().filter(|found| found["id"] == "tenant-path-missing");
        let text = |found: &serde_json::Value, field: &str| found[field].to_string().replace('"', "");
        let words = |found| {
            let place = ["file", "line", "column"].map(|field| text(found, field)).join(":");
            format!("{} {place} {}", text(found, "severity"), text(found, "message"))
        };
        missing.map(words).collect()
    };
    let absent = |line: u32, column: u32, path: &str, tenant: &str| {
        format!(
            "warning spinway.yaml:{line}:{column} The path `{path}` of tenant `{tenant}` does not exist in the repository."
        )
    };
    let unread = "warning spinway.yaml:12:29 No entry of `sources` covers the path `teams/stars` of tenant `stars`, so its files are not read.";
    let crat = absent(10, 39, "apps/crat", "cart");
    assert_eq!(found(&["--env", "blue"]), [crat.as_str(), unread]);
    let east = absent(11, 37, "apps/east", "pay");
    assert_eq!(found(&["--env", "green"]), [crat.as_str(), &east, unread]);
    // A revision has no empty folders.
    repo.git(&["init", "-q"]);
    repo.commit("all");
    let pay = absent(11, 27, "apps/pay", "pay");
    assert_eq!(found(&["--env", "blue", "--ref", "HEAD"]), [crat.as_str(), &pay, unread]);
    let explained = run(&["check", "--explain", "tenant-path-missing"]);
    assert!(stdout(&explained).contains("# tenant-path-missing"), "{}", Ran(&explained));
}

/// A Config of the time when a list that was not written allowed everything: refused as a whole, with what would keep it as it is.
#[test]
fn a_tenant_without_lists_is_refused_and_told_those_that_its_files_need() {
    let repo = Repo::empty();
    repo.write("spinway.yaml", "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec:\n  sources: [apps]\n  environments: [{name: test}]\n  externals: [{kind: Namespace}]\n  tenants:\n    - name: cart\n      paths: [apps]\n");
    repo.commit("nothing yet");
    repo.write("apps/own.yaml", &map("own", "cart"));
    repo.write("apps/system.yaml", &map("x", "kube-flannel"));
    let found = json(&check(&repo, &["-o", "json"]));
    let told: Vec<String> = found["diagnostics"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|d| d["severity"] == "error" && d["id"] != "SPW001")
        .map(|d| format!("{} {}", d["id"].as_str().expect("an id"), d["file"].as_str().expect("a file")))
        .collect();
    assert_eq!(told, ["SPW101 apps/system.yaml", "SPW101 spinway.yaml", "SPW110 spinway.yaml"]);
    let planned = run(&["plan", repo.dir(), "--against", "HEAD"]);
    assert_eq!(code(&planned), 3, "{}", Ran(&planned));
    assert!(
        (stdout(&planned) + &stderr(&planned)).contains("The tenant cart has no `namespaces`"),
        "{}",
        Ran(&planned)
    );
    repo.remove("apps/system.yaml");
    let suggested = stdout(&check(&repo, &["--suggest-rules"]));
    assert!(
        suggested.ends_with("\nspec:\n  tenants:\n    - name: \"cart\"\n      namespaces: [\"cart\"]\n"),
        "{suggested}"
    );
    repo.edit("spinway.yaml", "      paths: [apps]\n", "      paths: [apps]\n      namespaces: [\"cart\"]\n");
    let kept = check(&repo, &["--suggest-rules"]);
    assert_eq!(stdout(&kept), "# Every tenant has the lists that its files need.\n");
    assert_eq!(code(&check(&repo, &[])), 0);
    repo.commit("lists");
    let planned = run(&["plan", repo.dir(), "--against", "HEAD~1"]);
    assert_eq!(code(&planned), 0, "{}", Ran(&planned));
}
