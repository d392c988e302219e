//! `spinway pin` against a real registry, and against answers that no registry should give.

use crate::control_plane::free_ports;
use crate::registry::{Registry, Scripted, answer, digest};
use crate::repo::Repo;
use crate::run::{Ran, code, stderr, stdout};
use base64::Engine as _;
use spinway::desired::pin::{self, Image};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// A repository, and who asks for its images.
struct Place {
    repo: Repo,
    /// Docker's configuration.
    docker: tempfile::TempDir,
}

impl Place {
    /// One with a protected environment.
    fn new() -> Self {
        let repo = Repo::empty();
        repo.write(
            "spinway.yaml",
            "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec:\n  sources: [apps]\n  environments:\n  \
             - {name: test, values: {version: \"1\"}}\n  - {name: live, protected: true, cluster: {uid: u}, values: {version: \"2\"}}\n",
        );
        Self { repo, docker: tempfile::tempdir().expect("a folder") }
    }

    /// With one App of an image.
    fn of(image: &str) -> Self {
        let place = Self::new();
        place.repo.write("apps/cart.yaml", &app("cart", &format!("image: {image}")));
        place
    }

    fn pin(&self, arguments: &[&str]) -> Output {
        self.run("pin", arguments, &[])
    }

    fn run(&self, verb: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spinway"));
        // A proxy of the environment is no way to this machine.
        command
            .args([verb, self.repo.dir()])
            .args(arguments)
            .env("NO_COLOR", "1")
            .env("HTTP_PROXY", "http://127.0.0.1:9");
        command.env("DOCKER_CONFIG", self.docker.path()).envs(variables.iter().copied());
        command.env_remove("KUBECONFIG").env_remove("NO_PROXY").output().expect("spinway runs")
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.repo.file(path)).expect("a file")
    }

    fn log_in(&self, config: &serde_json::Value) {
        fs::write(self.docker.path().join("config.json"), config.to_string()).expect("a file");
    }
}

fn app(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  {spec}\n"
    )
}

fn basic(pair: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(pair)
}

#[test]
fn digests_are_written_and_nothing_else() {
    let registry = Registry::open();
    let (one, two) = (registry.push("shop/cart", "1.8.0", "one"), registry.push("shop/cart", "1.9.0-rc.1", "two"));
    let (latest, index) = (registry.push("pay", "latest", "three"), registry.push_index("shop/cart", "all", &one));
    let place = Place::new();
    let before = "# The cart.\r\napiVersion: spinway.dev/v1alpha1\r\nkind: App   # one file\r\nmetadata: {name: cart, namespace: shop}\r\nspec:\r\n  \
                  image:   \"R/shop/cart:1.8.0\"   # reviewed\r\n  canary: {image: R/shop/cart:1.9.0-rc.1, weight: 10}\r\n  environments:\r\n    \
                  test:\r\n      image: &all 'R/shop/cart:all'\r\n    live: {image: *all}\r\n";
    let json = "{\n\t\"apiVersion\": \"core.spinkube.dev/v1alpha1\", \"kind\": \"SpinApp\",\n\t\"metadata\": {\"name\": \"pay\", \"namespace\": \"shop\"},\n\t\
                \"spec\": {\"image\": \"R/pay\", \"executor\": \"e\", \"replicas\": 1}\n}";
    let patch = "# nothing\n---\napiVersion: spinway.dev/v1alpha1\nkind: Patch\nmetadata: {name: p}\nspec:\n  target: {kind: App, name: cart}\n  \
                 json:\n    - {op: add, path: /spec/canary/image, value: R/shop/cart:1.9.0-rc.1}\n";
    let named = |text: &str| text.replace("R/", &format!("{}/", registry.name));
    for (path, text) in [("apps/cart.yaml", before), ("apps/pay.json", json), ("apps/patch.yml", patch)] {
        place.repo.write(path, &named(text));
    }
    // What no environment reads is left alone.
    place.repo.write("other/cart.yaml", &named(before));
    fs::set_permissions(place.repo.file("apps/cart.yaml"), fs::Permissions::from_mode(0o640)).expect("a mode");

    let ran = place.run("check", &["--env", "live"], &[]);
    assert!(code(&ran) == 1 && stdout(&ran).contains("SPW020"), "{}", Ran(&ran));
    let ran = place.pin(&[]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let after = before
        .replace("1.8.0\"", &format!("1.8.0@{one}\""))
        .replace("1.9.0-rc.1", &format!("1.9.0-rc.1@{two}"))
        .replace("cart:all", &format!("cart:all@{index}"));
    assert_eq!(place.text("apps/cart.yaml"), named(&after));
    assert_eq!(place.text("apps/pay.json"), named(&json.replace("R/pay", &format!("R/pay:latest@{latest}"))));
    assert_eq!(place.text("apps/patch.yml"), named(&patch.replace("rc.1}", &format!("rc.1@{two}}}"))));
    assert_eq!(place.text("other/cart.yaml"), named(before));
    let mode = fs::metadata(place.repo.file("apps/cart.yaml")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let said = stdout(&ran);
    let first = format!("apps/cart.yaml:6:3 {}/shop/cart:1.8.0: pinned to {one}\n", registry.name);
    assert!(said.starts_with(&first), "{said}");
    assert!(
        said.ends_with("5 images in 3 files: 5 written, 0 pinned before, 0 moved, 0 not pinned, 0 failed.\n"),
        "{said}"
    );

    let time = |path: &str| fs::metadata(place.repo.file(path)).and_then(|file| file.modified()).expect("a time");
    let (files, before) = (["apps/cart.yaml", "apps/pay.json", "apps/patch.yml"], named(&after));
    let times = files.map(time);
    let ran = place.pin(&[]);
    assert_eq!((code(&ran), place.text("apps/cart.yaml")), (0, before), "{}", Ran(&ran));
    assert_eq!((files.map(time), stderr(&ran).as_str()), (times, ""));
    let ran = place.pin(&["--check"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let ran = place.run("check", &["--env", "live"], &[]);
    assert!(!stdout(&ran).contains("SPW020"), "{}", Ran(&ran));
    assert_eq!(fs::read_dir(place.repo.file("apps")).expect("the folder").count(), 3);
}

#[test]
fn a_tag_that_moved_is_told_and_taken_when_asked_for() {
    let registry = Registry::open();
    let old = registry.push("cart", "1", "old");
    let place = Place::of(&format!("{}/cart:1", registry.name));
    let text = place.text("apps/cart.yaml");
    let ran = place.pin(&["--check"]);
    let wanted = format!("apps/cart.yaml:5:3 {}/cart:1: not pinned; the tag is {old}\n", registry.name);
    assert!(code(&ran) == 1 && stdout(&ran).starts_with(&wanted), "{}", Ran(&ran));
    assert!(stderr(&ran).contains("hint: `spinway pin` writes the digests."), "{}", Ran(&ran));
    assert_eq!(place.text("apps/cart.yaml"), text);
    assert_eq!(code(&place.pin(&[])), 0);
    assert_eq!(code(&place.pin(&["--check"])), 0);

    let new = registry.push("cart", "1", "new");
    let pinned = place.text("apps/cart.yaml");
    let ran = place.pin(&["--check"]);
    assert!(code(&ran) == 1 && stdout(&ran).contains(&format!("the tag has moved to {new}\n")), "{}", Ran(&ran));
    assert!(stderr(&ran).contains("--update"), "{}", Ran(&ran));
    let ran = place.pin(&[]);
    assert!(code(&ran) == 0 && stderr(&ran).contains("note: apps/cart.yaml:5:3"), "{}", Ran(&ran));
    assert_eq!(place.text("apps/cart.yaml"), pinned);
    let ran = place.pin(&["--update"]);
    assert_eq!((code(&ran), place.text("apps/cart.yaml")), (0, pinned.replace(&old, &new)), "{}", Ran(&ran));
    assert_eq!(code(&place.pin(&["--check"])), 0);
    // A digest without a tag cannot move, and nobody is asked for it.
    place.repo.write("apps/cart.yaml", &app("cart", &format!("image: 127.0.0.1:1/cart@{old}")));
    assert_eq!(code(&place.pin(&["--check"])), 0);
}

#[test]
fn credentials_are_those_of_docker() {
    let registry = Registry::closed();
    let wanted = registry.push("cart", "1", "one");
    let place = Place::of(&format!("{}/cart:1", registry.name));
    let refused = |ran: &Output, what: &str| {
        assert!(code(ran) == 1 && stderr(ran).contains(what), "{what}: {}", Ran(ran));
        assert!(stderr(ran).contains("(401 Unauthorized)") && stderr(ran).contains("docker login"), "{}", Ran(ran));
        assert!(!stderr(ran).contains("secret") && !stderr(ran).contains("wrong"), "{}", Ran(ran));
    };
    refused(&place.pin(&[]), "without credentials: ");
    place.log_in(&serde_json::json!({"auths": {}}));
    refused(&place.pin(&[]), "config.json has none for it");
    place.log_in(&serde_json::json!({"auths": {registry.name.as_str(): {"auth": basic("reader:wrong")}}}));
    refused(&place.pin(&[]), "to `reader`, the credentials of ");
    place.log_in(&serde_json::json!({"auths": {registry.name.as_str(): {"auth": "?"}}}));
    let ran = place.pin(&[]);
    assert!(code(&ran) == 1 && stderr(&ran).contains("`auth` is not `NAME:PASSWORD` in base64"), "{}", Ran(&ran));
    assert!(!place.text("apps/cart.yaml").contains('@'));

    place.log_in(&serde_json::json!({"auths": {registry.name.as_str(): {"auth": basic("reader:secret")}}}));
    let ran = place.pin(&[]);
    assert!(code(&ran) == 0 && place.text("apps/cart.yaml").contains(&wanted), "{}", Ran(&ran));
}

#[test]
fn credentials_come_from_helpers_too() {
    let registry = Registry::closed();
    let wanted = registry.push("cart", "1", "one");
    let place = Place::of(&format!("{}/cart:1", registry.name));
    let helper = place.docker.path().join("docker-credential-tests");
    let path = format!("{}:{}", place.docker.path().display(), std::env::var("PATH").unwrap_or_default());
    let write = |answer: &str| {
        fs::write(&helper, format!("#!/bin/sh\nread -r server\n{answer}\n")).expect("a file");
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("a mode");
    };
    let pin = |variables: &[(&str, &str)]| place.run("pin", &[], variables);
    place.log_in(&serde_json::json!({"credHelpers": {registry.name.as_str(): "tests"}}));
    let ran = pin(&[]);
    assert!(code(&ran) == 1 && stderr(&ran).contains("docker-credential-NAME on PATH"), "{}", Ran(&ran));
    write("echo a secret >&2; exit 1");
    let ran = pin(&[("PATH", &path)]);
    assert!(code(&ran) == 1 && stderr(&ran).contains("`docker-credential-tests get` failed"), "{}", Ran(&ran));
    assert!(!stderr(&ran).contains("a secret"), "{}", Ran(&ran));
    write("echo 'credentials not found in native keychain'; exit 1");
    let ran = pin(&[("PATH", &path)]);
    assert!(code(&ran) == 1 && stderr(&ran).contains("without credentials"), "{}", Ran(&ran));
    write("echo '{\"Username\": \"<token>\", \"Secret\": \"secret\"}'");
    let ran = pin(&[("PATH", &path)]);
    assert!(code(&ran) == 1 && stderr(&ran).contains("an identity token"), "{}", Ran(&ran));
    write("sleep 5");
    let ran = place.run("pin", &["--timeout", "1"], &[("PATH", &path)]);
    assert!(code(&ran) == 1 && stderr(&ran).contains("a credential helper did not answer within 1 s"), "{}", Ran(&ran));
    write(&format!(
        "[ \"$server\" = {} ] && echo '{{\"Username\": \"reader\", \"Secret\": \"secret\"}}'",
        registry.name
    ));
    let ran = pin(&[("PATH", &path)]);
    assert!(code(&ran) == 0 && place.text("apps/cart.yaml").contains(&wanted), "{}", Ran(&ran));
}

#[test]
fn an_image_that_fails_holds_back_no_other() {
    let registry = Registry::open();
    let wanted = registry.push("cart", "1", "one");
    let [dead] = free_ports();
    let place = Place::of(&format!("{}/cart:1", registry.name));
    place.repo.write("apps/gone.yaml", &app("gone", &format!("image: {}/cart:2", registry.name)));
    place.repo.write("apps/dead.yaml", &app("dead", &format!("image: 127.0.0.1:{dead}/cart:1")));
    place.repo.write("apps/wrong.yaml", &app("wrong", "image: Not/An:image"));
    place.repo.write("apps/broken.yaml", "kind: App\napiVersion: spinway.dev/v1alpha1\nspec: {image: a, image: b}\n");
    let ran = place.pin(&[]);
    assert!(code(&ran) == 1 && place.text("apps/cart.yaml").contains(&wanted), "{}", Ran(&ran));
    for said in [
        format!("error: apps/gone.yaml:5:3 {0}/cart:2: {0} has no tag `2` of `cart`", registry.name),
        "hint: Mend the name or the tag, or push the image first.".to_owned(),
        format!("error: apps/dead.yaml:5:3 127.0.0.1:{dead}/cart:1: 127.0.0.1:{dead} cannot be used: "),
        "Connection refused".to_owned(),
        "error: apps/wrong.yaml:5:3 Not/An:image: this is no image: ".to_owned(),
        "warning: apps/broken.yaml has errors, so nothing was looked for in it".to_owned(),
    ] {
        assert!(stderr(&ran).contains(&said), "{said}\n{}", Ran(&ran));
    }
    assert!(stdout(&ran).ends_with("1 written, 0 pinned before, 0 moved, 0 not pinned, 3 failed.\n"), "{}", Ran(&ran));
    let wanted = registry.push("cart", "2", "two");
    place.repo.remove("apps/dead.yaml");
    place.repo.remove("apps/wrong.yaml");
    let ran = place.pin(&[]);
    assert!(code(&ran) == 0 && place.text("apps/gone.yaml").contains(&wanted), "{}", Ran(&ran));
    // What was not looked at has not passed.
    assert_eq!(code(&place.pin(&["--check"])), 1);
    place.repo.remove("apps/broken.yaml");
    assert_eq!(code(&place.pin(&["--check"])), 0);
    // What is pinned needs no registry, but to be compared.
    place.repo.write("apps/gone.yaml", &app("gone", &format!("image: 127.0.0.1:{dead}/cart:1@{wanted}")));
    let ran = place.pin(&[]);
    assert!(code(&ran) == 0 && stderr(&ran).contains("has a digest, which cannot be compared"), "{}", Ran(&ran));
    assert_eq!(code(&place.pin(&["--check"])), 1);
}

#[test]
fn what_cannot_be_edited_is_named_and_stays() {
    let registry = Registry::open();
    registry.push("cart", "1", "one");
    let name = &registry.name;
    let place = Place::of(&format!("\"{name}/cart:${{version}}\""));
    place.repo.write("apps/folded.yaml", &app("folded", &format!("image: >-\n    {name}/cart:1")));
    let shared = format!("variables: {{self: &i \"{name}/cart:1\"}}\n  image: *i");
    place.repo.write("apps/shared.yaml", &app("shared", &shared));
    let texts = ["apps/cart.yaml", "apps/folded.yaml", "apps/shared.yaml"].map(|path| place.text(path));
    let ran = place.pin(&[]);
    assert_eq!(code(&ran), 1, "{}", Ran(&ran));
    for said in [
        format!("note: apps/cart.yaml:5:3 {name}/cart:${{version}}: left as it is: it is made of values"),
        format!("error: apps/folded.yaml:5:3 {name}/cart:1: cannot be edited as it is written"),
        format!("error: apps/shared.yaml:6:3 {name}/cart:1: cannot be edited: its anchor stands for something else"),
    ] {
        assert!(stderr(&ran).contains(&said), "{said}\n{}", Ran(&ran));
    }
    assert_eq!(texts, ["apps/cart.yaml", "apps/folded.yaml", "apps/shared.yaml"].map(|path| place.text(path)));
    let ran = place.pin(&["--check"]);
    assert!(code(&ran) == 1 && stdout(&ran).contains("0 moved"), "{}", Ran(&ran));
    assert!(stdout(&ran).contains("apps/folded.yaml:5:3") && !stdout(&ran).contains("apps/cart.yaml"), "{}", Ran(&ran));
    // What is made of values is named, and fails nothing.
    place.repo.remove("apps/folded.yaml");
    place.repo.remove("apps/shared.yaml");
    for arguments in [&[][..], &["--check"]] {
        let ran = place.pin(arguments);
        assert!(code(&ran) == 0 && stderr(&ran).contains("it is made of values"), "{}", Ran(&ran));
    }
}

#[test]
fn registries_with_tls_need_an_authority_that_is_known() {
    let open = Registry::open();
    let wanted = open.push("cart", "1", "one");
    let registry = Registry::with_tls(&open);
    let place = Place::of(&format!("{}/cart:1", registry.name));
    let authority = registry.authority.to_str().expect("a plain path");
    let ran = place.pin(&[]);
    assert!(code(&ran) == 1 && stderr(&ran).contains("certificate"), "{}", Ran(&ran));
    assert!(stderr(&ran).contains("--ca-file"), "{}", Ran(&ran));
    let text = place.text("apps/cart.yaml");
    for (arguments, variables) in [(vec!["--ca-file", authority], vec![]), (vec![], vec![("SSL_CERT_FILE", authority)])]
    {
        place.repo.write("apps/cart.yaml", &text);
        let ran = place.run("pin", &arguments, &variables);
        assert!(code(&ran) == 0 && place.text("apps/cart.yaml").contains(&wanted), "{}", Ran(&ran));
    }
    let ran = place.pin(&["--ca-file", place.repo.file("apps/cart.yaml").to_str().expect("a plain path")]);
    assert!(code(&ran) == 64 && stderr(&ran).contains("no certificate in PEM form"), "{}", Ran(&ran));
}

#[test]
fn usage_errors_write_nothing() {
    let place = Place::of("127.0.0.1:1/cart:1");
    for arguments in [
        vec!["--check", "--update"],
        vec!["--env", "nowhere"],
        vec!["--timeout", "0"],
        vec!["--timeout", "NaN"],
        vec!["--ca-file", "/nowhere/ca.crt"],
    ] {
        let ran = place.pin(&arguments);
        assert_eq!(code(&ran), 64, "{arguments:?}: {}", Ran(&ran));
    }
}

/// Pins one image of a server that answers so. The error, or nothing; and the text then.
fn pin_at(server: &Scripted, config: Option<serde_json::Value>) -> (String, String) {
    let place = Place::of(&format!("{}/cart:1", server.name));
    if let Some(config) = config {
        place.log_in(&config);
    }
    let ran = place.pin(&["--timeout", "5"]);
    assert_eq!(code(&ran) == 0, stderr(&ran).is_empty(), "{}", Ran(&ran));
    assert!(!stderr(&ran).contains(['\u{1b}', '\u{202e}']), "{}", Ran(&ran));
    (stderr(&ran), place.text("apps/cart.yaml"))
}

#[test]
fn tokens_are_fetched_where_a_registry_says() {
    let manifest = digest("{}");
    let server = Scripted::start(|name| {
        let (challenge, manifest) = (format!("Bearer realm=\"http://{name}/token\",service=\"tests\""), digest("{}"));
        move |request, authorization| match (request, authorization) {
            ("GET /token?scope=repository%3Acart%3Apull&service=tests", of)
                if of == format!("Basic {}", basic("a:b")) =>
            {
                answer("200 OK", &[], "{\"token\": \"t0ken\"}")
            }
            ("GET /v2/", _) => answer("401 Unauthorized", &[("www-authenticate", &challenge)], ""),
            ("HEAD /v2/cart/manifests/1", "Bearer t0ken") => {
                answer("200 OK", &[("docker-content-digest", &manifest)], "")
            }
            _ => answer("401 Unauthorized", &[], "{\"errors\": []}"),
        }
    });
    let credentials = |pair: &str| serde_json::json!({"auths": {server.name.as_str(): {"auth": basic(pair)}}});
    let (said, text) = pin_at(&server, Some(credentials("a:b")));
    assert!(said.is_empty() && text.contains(&manifest), "{said}\n{text}\n{:#?}", server.asked());
    let (said, text) = pin_at(&server, Some(credentials("a:wrong")));
    assert!(said.contains("(it gives no token) to `a`") && !said.contains("wrong"), "{said}");
    assert!(!text.contains('@'));
    // Nothing of who asks went to the registry itself.
    assert!(
        !server.asked().iter().any(|asked| asked.contains("/v2/") && asked.contains("Basic")),
        "{:#?}",
        server.asked()
    );

    let greedy = Scripted::start(|_| {
        |_: &str, _: &str| {
            answer("401 Unauthorized", &[("www-authenticate", "Bearer realm=\"http://192.0.2.1/token\"")], "")
        }
    });
    let config = serde_json::json!({"auths": {greedy.name.as_str(): {"auth": basic("a:b")}}});
    let (said, _) = pin_at(&greedy, Some(config));
    assert!(said.contains("http://192.0.2.1/token") && said.contains("nothing was sent"), "{said}");
}

/// A registry whose tokens come from a server of this answer to `/token`, and what was said when `a:b` asked it.
fn token_answer(reply: fn(&str) -> String) -> (Scripted, String) {
    let server = Scripted::start(|name| {
        let (name, challenge) = (name.to_owned(), format!("Bearer realm=\"http://{name}/token\""));
        move |request: &str, _: &str| {
            if request.starts_with("GET /token") {
                return reply(&name);
            }
            answer("401 Unauthorized", &[("www-authenticate", &challenge)], "")
        }
    });
    let config = serde_json::json!({"auths": {server.name.as_str(): {"auth": basic("a:b")}}});
    let (said, text) = pin_at(&server, Some(config));
    assert!(!said.is_empty() && !text.contains('@'), "{said}");
    (server, said)
}

#[test]
fn credentials_go_to_no_other_place_than_the_one_that_was_checked() {
    let thief = Scripted::start(|_| |_: &str, _: &str| answer("200 OK", &[], "{\"token\": \"t\"}"));
    let steals = |challenge: &dyn Fn(&str) -> String| {
        let server = Scripted::start(|name| {
            let challenge = challenge(name);
            move |_: &str, _: &str| answer("401 Unauthorized", &[("www-authenticate", &challenge)], "")
        });
        let config = serde_json::json!({"auths": {server.name.as_str(): {"auth": basic("a:b")}}});
        let (said, _) = pin_at(&server, Some(config));
        assert!(said.contains("nothing was sent"), "{said}");
        assert_eq!((server.asked(), thief.asked()), (vec!["GET /v2/".to_owned()], Vec::new()));
    };
    for join in [",", ", ", " ", ",service=\"s\","] {
        steals(&|name| format!("Bearer realm=\"http://{name}/token\"{join}realm=\"http://{}/token\"", thief.name));
        steals(&|name| format!("Bearer realm=\"http://{name}/token\"{join}Realm=http://{}/token", thief.name));
    }

    // The registry is asked once where tokens are, and a redirect leads nowhere else.
    let (server, said) = token_answer(|_| answer("302 Found", &[("location", "http://192.0.2.1/token")], ""));
    assert!(said.contains("its token server answers 302 Found"), "{said}");
    assert_eq!(server.asked().iter().filter(|asked| asked.starts_with("GET /v2/")).count(), 1, "{:#?}", server.asked());
}

#[test]
fn tokens_that_no_server_should_give_are_refused() {
    for (wanted, reply) in [
        ("its token is larger than 64 KiB", (|_| answer("200 OK", &[], &" ".repeat(1 << 20))) as fn(&str) -> String),
        ("it gives no token", |_| answer("200 OK", &[], "{}")),
        ("it gives no token", |_| answer("200 OK", &[], "{\"token\": \"a\\r\\nb\"}")),
        ("is asked too often (429)", |_| answer("429 Too Many Requests", &[], "")),
        ("its token server answers 500", |_| answer("500 Internal Server Error", &[], "")),
    ] {
        let (server, said) = token_answer(reply);
        assert!(said.contains(wanted), "{wanted}: {said}");
        assert!(!server.asked().iter().any(|asked| asked.contains("manifests")), "{:#?}", server.asked());
    }
}

#[test]
fn a_manifest_without_digest_is_read_and_counted_itself() {
    let server = Scripted::start(|_| {
        |request: &str, _: &str| match request {
            "GET /v2/" => answer("200 OK", &[], "{}"),
            "HEAD /v2/cart/manifests/1" => answer("405 Method Not Allowed", &[], ""),
            _ => answer("200 OK", &[], "{\"schemaVersion\": 2}"),
        }
    });
    let (said, text) = pin_at(&server, None);
    assert!(said.is_empty() && text.contains(&digest("{\"schemaVersion\": 2}")), "{said}");
    assert_eq!(server.asked(), ["GET /v2/", "HEAD /v2/cart/manifests/1", "GET /v2/cart/manifests/1"]);
}

#[test]
fn answers_that_no_registry_should_give_change_nothing() {
    let wrong = |wanted: &str, reply: fn(&str) -> String| {
        let server = Scripted::start(|_| {
            move |request: &str, _: &str| {
                if request == "GET /v2/" { answer("200 OK", &[], "{}") } else { reply(request) }
            }
        });
        let (said, text) = pin_at(&server, None);
        assert!(said.contains(wanted) && !text.contains('@'), "{wanted}: {said}\n{text}");
    };
    wrong("is not sha256 with 64 hexadecimal digits: sha256:beef", |_| {
        answer("200 OK", &[("docker-content-digest", "sha256:beef")], "")
    });
    wrong("is not sha256", |_| answer("200 OK", &[("docker-content-digest", "sha512:ab\"} x: y")], ""));
    wrong("its manifest is larger than 4096 KiB", |request| match request {
        "HEAD /v2/cart/manifests/1" => answer("200 OK", &[], ""),
        _ => answer("200 OK", &[], &" ".repeat(5 << 20)),
    });
    wrong("of a manifest that has sha256:", |request| match request {
        "HEAD /v2/cart/manifests/1" => answer("200 OK", &[], ""),
        _ => answer("200 OK", &[("docker-content-digest", "sha256:beef")], "{}"),
    });
    wrong("it answers 302 Found", |_| answer("302 Found", &[("location", "http://192.0.2.1/")], ""));
    wrong("it answers 500", |_| answer("500 Internal Server Error", &[], "no"));
    wrong("is asked too often (429)", |_| answer("429 Too Many Requests", &[], ""));
    wrong("did not answer within 5 s", |_| {
        std::thread::sleep(std::time::Duration::from_secs(7));
        String::new()
    });
    let mute = Scripted::start(|_| |_: &str, _: &str| answer("503 Service Unavailable", &[], ""));
    assert!(pin_at(&mute, None).0.contains("it answers 503 Service Unavailable at /v2/"));
}

#[test]
fn every_image_of_the_fixtures_can_be_edited() {
    for fixture in ["shop", "covering"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{fixture}/repo"));
        let tree = spinway::source::read(&folder, None).expect("a repository").tree;
        let files = pin::images(&tree, None).expect("a Config");
        assert!(!files.is_empty(), "{fixture}");
        for file in files {
            assert!(!file.flawed, "{}", file.path);
            let images =
                file.places.iter().map(|place| format!("{}@{}", Image::of(&place.image).by_tag(), digest("new")));
            let (text, bad) = file.edited(&images.enumerate().collect::<Vec<_>>());
            assert_eq!((bad, text.matches(&digest("new")).count()), (Vec::new(), file.places.len()), "{}", file.path);
            let images = file.places.iter().map(|place| place.image.clone());
            let back = images.fold(text, |text, image| {
                text.replace(&format!("{}@{}", Image::of(&image).by_tag(), digest("new")), &image)
            });
            assert_eq!(back, file.text);
        }
    }
}
