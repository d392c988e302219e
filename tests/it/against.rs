//! Plans of one revision against another, and pull requests: judged as their apply would be (design law 12).

use crate::agent::config_map;
use crate::repo::Repo;
use crate::run::{Ran, actions, code, json, row, run, stderr, stdout};
use serde_json::Value;
use std::process::{Command, Output};

/// A Gateway, a namespace, an executor; an App of tenant `one` and a map of tenant `two`.
fn shop() -> Repo {
    let repo = Repo::empty();
    write_shop(&repo);
    repo.commit("first");
    repo
}

fn write_shop(repo: &Repo) {
    repo.write(
        "spinway.yaml",
        "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec:\n  sources: [platform, apps]\n  platform: {paths: [platform]}\n  environments: [{name: test}]\n  \
         externals: [{kind: Namespace, name: default}]\n  tenants:\n    - name: one\n      paths: [apps/one]\n      namespaces: [one]\n      gateways: [infra/public]\n      hostnames: [shop.example]\n      \
         pathPrefixes: [/one]\n      images: [\"reg.example/*\"]\n    - {name: two, paths: [apps/two], namespaces: [default]}\n",
    );
    repo.write(
        "platform/all.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: infra}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: one, labels: {exposed: \"yes\"}}\n---\n\
         apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: c}\nspec: {controllerName: c.example/c}\n---\n\
         apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: public, namespace: infra}\nspec:\n  gatewayClassName: c\n  listeners:\n    \
         - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {exposed: \"yes\"}}}}}\n---\n\
         apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {name: containerd-shim-spin, namespace: one}\nspec: {createDeployment: false}\n",
    );
    repo.write("apps/one/cart.yaml", &app("cart", "/one/cart"));
    repo.write("apps/two/maps.yaml", &config_map("kept", "v"));
}

fn app(name: &str, path: &str) -> String {
    format!(
        "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}, namespace: one}}\nspec:\n  image: reg.example/{name}:1.0.0\n  routes:\n    - {{gateway: infra/public, section: http, hosts: [shop.example], path: {path}}}\n"
    )
}

fn plan(repo: &Repo, more: &[&str]) -> Output {
    run(&[&["plan", repo.dir(), "--against", "HEAD"], more].concat())
}

fn report(repo: &Repo) -> Value {
    let ran = plan(repo, &["-o", "json"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    json(&ran)
}

/// The findings of a severity: id and file.
fn found(report: &Value, severity: &str) -> Vec<String> {
    let all = report["diagnostics"].as_array().expect("findings").iter().filter(|f| f["severity"] == severity);
    all.map(|f| format!("{} {}", f["id"].as_str().unwrap_or_default(), f["file"].as_str().unwrap_or("-"))).collect()
}

/// What a pull request from the last commit to the work tree comes to in the Action.
fn pull_request(repo: &Repo, more: &[&str]) -> (Output, String) {
    let own = tempfile::tempdir().expect("a folder");
    let path = |name: &str| own.path().join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinway"));
    command.args(["action", "plan", "--directory", repo.dir(), "--base", "HEAD", "--reports"]).arg(path("reports"));
    command.args(more).env_remove("KUBECONFIG").env("GITHUB_STEP_SUMMARY", path("summary"));
    let ran = command.env("GITHUB_OUTPUT", path("output")).output().expect("spinway runs");
    (ran, std::fs::read_to_string(path("summary")).unwrap_or_default())
}

#[test]
fn a_revision_against_itself_is_unchanged_and_a_good_change_is_green() {
    let repo = shop();
    assert_eq!(actions(&report(&repo)), [""; 0]);
    repo.edit("apps/one/cart.yaml", "path: /one/cart", "path: /one/basket");
    let planned = report(&repo);
    assert_eq!(actions(&planned), ["update HTTPRoute one/cart"]);
    assert_eq!(found(&planned, "error"), [""; 0]);
    let (ran, summary) = pull_request(&repo, &[]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    assert!(summary.contains("/one/basket"), "{summary}");
}

#[test]
fn a_change_that_takes_routes_off_the_air_is_told_and_is_not_green() {
    for (before, after) in [
        ("{name: one, labels: {exposed: \"yes\"}}", "{name: one, labels: {exposed: \"no\"}}"),
        ("{name: http, port: 80", "{name: web, port: 80"),
        ("protocol: HTTP", "protocol: TCP"),
    ] {
        let repo = shop();
        repo.edit("platform/all.yaml", before, after);
        let planned = report(&repo);
        assert_eq!(found(&planned, "error"), ["SPW003 apps/one/cart.yaml"], "{after}");
        let failing = plan(&repo, &["--fail-on", "findings"]);
        assert_eq!(code(&failing), 1, "{after}: {}", Ran(&failing));
        let (ran, summary) = pull_request(&repo, &[]);
        assert_eq!(code(&ran), 1, "{after}: {}", Ran(&ran));
        assert!(summary.contains("SPW003"), "{summary}");
        // What the base has already is nobody's news.
        repo.commit("merged all the same");
        repo.edit("apps/two/maps.yaml", "k: v", "k: w");
        let planned = report(&repo);
        assert_eq!(found(&planned, "error"), ["SPW003 apps/one/cart.yaml"], "{after}");
        assert_eq!(planned["diagnostics"][0]["known"], true, "{planned:#}");
        assert_eq!(code(&plan(&repo, &["--fail-on", "findings"])), 0, "{after}");
        let (ran, _) = pull_request(&repo, &[]);
        assert_eq!(code(&ran), 0, "{after}: {}", Ran(&ran));
    }
}

#[test]
fn rules_that_cannot_be_used_after_the_merge_are_refused() {
    for (before, after, named) in [
        ("  tenants:", "  tennants:", "tennants"),
        ("kind: Config", "kind: Config\n  bad", "spinway.yaml"),
        ("environments: [{name: test}]", "environments: [{name: test, protected: maybe}]", "protected"),
        ("hostnames: [shop.example]", "hostnames: [\"${nowhere}\"]", "nowhere"),
    ] {
        let repo = shop();
        repo.edit("spinway.yaml", before, after);
        let told = |ran: &Output| {
            assert_eq!(code(ran), 3, "{after}: {}", Ran(ran));
            assert!(stderr(ran).contains(named), "{after}: {}", Ran(ran));
        };
        told(&run(&["check", repo.dir(), "--base", "HEAD", "-o", "json"]));
        told(&plan(&repo, &[]));
        told(&pull_request(&repo, &[]).0);
    }
    let repo = shop();
    repo.remove("spinway.yaml");
    for ran in [run(&["check", repo.dir(), "--base", "HEAD"]), plan(&repo, &[]), pull_request(&repo, &[]).0] {
        assert_eq!(code(&ran), 3, "{}", Ran(&ran));
        assert!(stderr(&ran).contains("spinway.yaml is gone"), "{}", Ran(&ran));
    }
}

#[test]
fn what_the_base_does_not_have_yet_is_created() {
    let repo = Repo::empty();
    repo.write("README", "nothing yet");
    repo.commit("first");
    repo.write("deploy/here/a.yaml", &config_map("a", "v"));
    let folder = repo.file("deploy/here");
    let folder = folder.to_str().expect("a path");
    for arguments in [["plan", folder, "--against", "HEAD"], ["plan", folder, "--against", "main"]] {
        let ran = run(&[&arguments[..], &["-o", "json"]].concat());
        assert_eq!(
            (code(&ran), actions(&json(&ran))),
            (0, vec!["create ConfigMap default/a".to_owned()]),
            "{}",
            Ran(&ran)
        );
    }
    let ran = run(&["check", folder, "--base", "HEAD"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    // Of the revision that is planned itself the folder must be there.
    let ran = run(&["plan", folder, "--ref", "HEAD", "--against", "HEAD"]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    // So is an environment.
    let repo = shop();
    repo.edit("spinway.yaml", "environments: [{name: test}]", "environments: [{name: test}, {name: next}]");
    let ran = plan(&repo, &["--env", "next", "-o", "json"]);
    assert_eq!(row(&json(&ran), "ConfigMap", "kept")["action"], "create", "{}", Ran(&ran));
    // And the first Config of a repository, with its first objects.
    let repo = Repo::empty();
    repo.write("README", "nothing yet");
    repo.commit("first");
    write_shop(&repo);
    assert!(report(&repo)["changes"].as_array().expect("changes").iter().all(|change| change["action"] == "create"));
    assert_eq!(code(&pull_request(&repo, &[]).0), 0);
}

#[test]
fn verbs_that_need_live_state_refuse_a_revision() {
    let repo = shop();
    for verb in ["drift", "status"] {
        let ran = run(&[verb, repo.dir(), "--against", "HEAD", "--exit-code"]);
        assert_eq!(code(&ran), 64, "{}", Ran(&ran));
        assert!(stderr(&ran).contains(verb) && stderr(&ran).contains("spinway plan --against"), "{}", Ran(&ran));
    }
}

#[test]
fn what_is_held_has_no_digest_and_says_how_to_get_one() {
    let repo = shop();
    repo.edit("platform/all.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: infra}\n---\n", "");
    let planned = report(&repo);
    assert_eq!(row(&planned, "Namespace", "infra")["action"], "held");
    assert_eq!(planned["destruction"]["digest"], "");
    for format in ["text", "markdown"] {
        let text = stdout(&plan(&repo, &["-o", format]));
        assert!(text.contains("1 change needs approval (marked ?)"), "{text}");
        assert!(!text.contains("--approve") && !text.contains("newer snapshot"), "{text}");
    }
}

/// Make before break: a route goes when the one that takes its requests over is there, by whatever kind, file or order.
#[test]
fn a_route_that_is_renamed_goes_after_the_one_that_takes_over() {
    let route = |kind: &str, name: &str, host: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: one}}\nspec:\n  parentRefs: [{{name: public, namespace: infra}}]\n  \
             hostnames: [{host}]\n  rules: [{{backendRefs: [{{name: web, port: 80}}]}}]\n"
        )
    };
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: one}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n";
    for (kind, other, takes_over) in
        [("HTTPRoute", "web.example", true), ("GRPCRoute", "web.example", true), ("HTTPRoute", "else.example", false)]
    {
        let repo = shop();
        repo.write("platform/web.yaml", service);
        repo.write("platform/old.yaml", &route(kind, "old", "web.example"));
        repo.commit("with a route");
        repo.remove("platform/old.yaml");
        repo.write("platform/new.yaml", &route(kind, "new", other));
        let planned = report(&repo);
        let (old, new) = (row(&planned, kind, "old"), row(&planned, kind, "new"));
        assert_eq!(new["action"], "create", "{planned:#}");
        assert!(old["action"] == "delete" || old["action"] == "held", "{old:#}");
        let needs_new = old["needs"].as_array().expect("needs").iter().any(|need| need["name"] == "new");
        assert_eq!(needs_new, takes_over, "{kind} {other}: {old:#}");
    }
}

/// Each rule that `check` knows of Gateway API's values is known to plans and to the Action: an apply would be refused.
#[test]
fn what_breaks_a_rule_of_gateway_api_is_blocked() {
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web, namespace: one}\nspec:\n  parentRefs: [{name: public, namespace: infra}]\n  hostnames: [web.example]\n  rules:\n    - matches: [{path: {type: PathPrefix, value: /}}]\n      backendRefs: [{name: web, port: 80}]\n";
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: one}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n";
    for (from, to) in [
        ("value: /}", "value: nope}"),
        ("backendRefs: [{name: web, port: 80}]", "backendRefs: [{name: web}]"),
        (
            "      backendRefs",
            "      filters: [{type: RequestRedirect, requestRedirect: {port: 81}}]\n      backendRefs",
        ),
        ("      backendRefs", "      filters: [{type: URLRewrite}]\n      backendRefs"),
    ] {
        let repo = shop();
        repo.write("platform/web.yaml", &format!("{route}{service}"));
        repo.commit("with a route");
        repo.edit("platform/web.yaml", from, to);
        let planned = report(&repo);
        assert_eq!(row(&planned, "HTTPRoute", "web")["action"], "blocked", "{to}: {planned:#}");
        assert_eq!(found(&planned, "error"), ["SPW004 platform/web.yaml"], "{to}: {planned:#}");
        let ran = plan(&repo, &["--fail-on", "findings"]);
        assert_eq!(code(&ran), 1, "{to}: {}", Ran(&ran));
        let (ran, text) = pull_request(&repo, &[]);
        assert_eq!(code(&ran), 1, "{to}: {} {text}", Ran(&ran));
    }
}

/// kubectl reads a document up to `...` and nothing behind it, so nothing behind it may seem to be gone.
#[test]
fn text_behind_the_end_of_a_document_is_an_error() {
    for rest in ["...\nMAP", "...\n# b\nMAP", "...\ngarbage: 1\n"] {
        let repo = shop();
        repo.write("apps/two/maps.yaml", &(config_map("kept", "v") + "---\n" + &config_map("b", "v")));
        repo.commit("two maps");
        repo.write("apps/two/maps.yaml", &(config_map("kept", "v") + &rest.replace("MAP", &config_map("b", "v"))));
        let planned = report(&repo);
        assert!(found(&planned, "error").contains(&"yaml-syntax apps/two/maps.yaml".to_owned()), "{planned:#}");
        assert!(!actions(&planned).iter().any(|line| line.starts_with("delete")), "{planned:#}");
    }
    let repo = shop();
    repo.write("apps/two/maps.yaml", &(config_map("kept", "w") + "...\n# the end\n"));
    assert_eq!(found(&report(&repo), "error"), Vec::<String>::new());
}

/// Whoever loosens a rule and uses that in one step is seen, where the new rules judge.
#[test]
fn a_plan_by_other_rules_says_which() {
    let repo = shop();
    repo.edit("spinway.yaml", "images: [\"reg.example/*\"]", "images: [\"*\"]");
    repo.edit("apps/one/cart.yaml", "reg.example/cart:1.0.0", "other.example/cart:1.0.0");
    let planned = report(&repo);
    assert!(found(&planned, "warning").contains(&"rules-change spinway.yaml".to_owned()), "{planned:#}");
    let text = planned["diagnostics"].to_string();
    assert!(text.contains("tenants one (images)"), "{text}");
    repo.edit("spinway.yaml", "images: [\"*\"]", "images:  [\"reg.example/*\"]");
    let same = found(&report(&repo), "warning");
    assert!(!same.contains(&"rules-change spinway.yaml".to_owned()), "the same rules in another text: {same:?}");
}

/// What a slip leaves out is not known to be gone.
#[test]
fn a_slip_in_a_file_deletes_nothing_of_its_partition() {
    for (from, to) in
        [("routes:", "rotues:"), ("image:", "imgae:"), ("kind: App", "kind: Ap"), ("spec:\n", "spec: [\n")]
    {
        let repo = shop();
        repo.edit("apps/one/cart.yaml", from, to);
        let planned = report(&repo);
        let gone: Vec<String> = actions(&planned)
            .into_iter()
            .filter(|line| line.starts_with("delete ") || line.starts_with("held ") || line.starts_with("replace "))
            .collect();
        assert!(gone.is_empty(), "{to}: {gone:?}");
        assert!(!found(&planned, "error").is_empty(), "{to}: {planned:#}");
    }
}

#[test]
fn a_plan_of_which_all_is_blocked_says_so_first() {
    let repo = shop();
    repo.write("apps/two/new.yaml", &config_map("new", "w").replace("default", "one"));
    for (format, head) in [("text", "plan of test: every change is blocked"), ("markdown", "## spinway plan of")] {
        let text = stdout(&plan(&repo, &["-o", format]));
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with(head) && first.contains("every change is blocked"), "{text}");
    }
    repo.write("apps/one/other.yaml", &app("other", "/one/other"));
    let text = stdout(&plan(&repo, &[]));
    assert!(!text.contains("every change is blocked"), "{text}");
}

#[test]
fn what_is_made_tells_what_it_serves_and_runs() {
    let repo = shop();
    repo.write("apps/one/other.yaml", &app("other", "/one/other"));
    for more in [&["-v"][..], &[], &["-o", "markdown"]] {
        let text = stdout(&plan(&repo, more)).replace("&#58;", ":").replace("&#47;", "/").replace("&#46;", ".");
        for part in ["shop.example", "/one/other", "reg.example/other:1.0.0"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert_eq!(
        row(&report(&repo), "HTTPRoute", "other")["facts"][0],
        serde_json::json!({"what": "host", "values": ["shop.example"]})
    );
    // A version beside the other is made under a new name: its image is what changes.
    let repo = shop();
    repo.edit(
        "apps/one/cart.yaml",
        "  image: reg.example/cart:1.0.0",
        "  rollout: {type: blueGreen}\n  image: reg.example/cart:1.0.0",
    );
    repo.commit("versions");
    repo.edit("apps/one/cart.yaml", "cart:1.0.0", "cart:1.7.3");
    for format in ["text", "markdown"] {
        let text = stdout(&plan(&repo, &["-o", format]));
        assert!(text.contains("1.7.3") || text.contains("1&#46;7&#46;3"), "{text}");
    }
}

#[test]
fn long_values_are_whole_with_v_and_show_their_difference_without() {
    let repo = shop();
    let long = |end: &str| config_map("kept", &format!("{}{end}", "value-".repeat(20)));
    repo.write("apps/two/maps.yaml", &long("old-end"));
    repo.commit("long");
    repo.write("apps/two/maps.yaml", &long("new-end"));
    let whole = stdout(&plan(&repo, &["-v"]));
    assert!(whole.contains(&format!("{}old-end", "value-".repeat(20))), "{whole}");
    let short = stdout(&plan(&repo, &[]));
    assert!(short.contains("old-end") && short.contains("new-end") && !short.contains(&"value-".repeat(20)), "{short}");
}
