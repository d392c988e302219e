//! What `check` refuses of the kinds of Gateway API without their definitions, against what an API server refuses that has the
//! definitions of three releases in both channels: random and aimed changes of valid objects.

mod changes;
mod seeds;

use crate::cluster::client;
use crate::control_plane::{ControlPlane, Options, module_dir};
use crate::oracle::texts::Random;
use changes::change;
use seeds::{Seed, seeds};
use serde_json::{Value, json};
use spinway::check;
use spinway::desired::{Desired, Entry, Tree, read, yaml};
use spinway::object::Severity;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// How many changes of each release and channel CI looks at, and the full campaign.
const SAMPLE: usize = 40;
const FULL: usize = 1500;

const GATEWAY: &str = "gateway.networking.k8s.io";
const RELEASES: [(&str, &str); 3] = [("1.5", "v1.5.1"), ("1.6", "v1.6.3"), ("1.7", "v1.7.0")];
const CHANNELS: [&str; 2] = ["standard", "experimental"];

/// The checks that say that the API server refuses an object.
const REFUSING: [&str; 3] = ["SPW004", "SPW011", "SPW024"];

/// A release and channel; its definitions are installed in a group of their own, so that one API server has all of them.
struct Edition {
    release: &'static str,
    module: &'static str,
    channel: &'static str,
    group: String,
}

/// What was counted of one edition.
#[derive(Default)]
struct Tally {
    changes: usize,
    refused: usize,
    found: usize,
    by_rule: usize,
    rules_found: usize,
    false_refusals: Vec<String>,
    missed: Vec<String>,
}

struct Server {
    plane: ControlPlane,
    runtime: tokio::runtime::Runtime,
    client: kube::Client,
    _folder: tempfile::TempDir,
}

#[test]
fn what_is_refused_without_definitions_is_what_the_api_server_refuses_with_them() {
    let wanted = if std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full") { FULL } else { SAMPLE };
    let server = Server::start();
    let editions: Vec<Edition> = RELEASES
        .iter()
        .flat_map(|(release, module)| CHANNELS.map(|channel| Edition::new(release, module, channel)))
        .collect();
    editions.iter().for_each(|edition| server.install(edition));
    let mut total = Tally::default();
    for (number, edition) in editions.iter().enumerate() {
        let tally = campaign(&server, edition, wanted, &mut Random::new(20_261_130 + number as u64));
        println!("Gateway API {} {}: {}", edition.release, edition.channel, tally.figures());
        tally.false_refusals.iter().chain(&tally.missed).for_each(|line| println!("  {line}"));
        total.add(tally);
    }
    println!("all: {}", total.figures());
    assert!(total.refused * 3 > total.changes && total.by_rule * 10 > total.refused, "too little is refused");
    assert!(total.false_refusals.is_empty(), "{:#?}", total.false_refusals);
    assert!(total.found * 100 >= total.refused * 95, "{:#?}", total.missed);
    assert!(total.rules_found * 100 >= total.by_rule * 95, "{:#?}", total.missed);
}

/// Changes valid objects, asks both, and compares.
fn campaign(server: &Server, edition: &Edition, wanted: usize, random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    let seeds: Vec<Seed> =
        seeds().into_iter().filter(|seed| server.refusal(edition, &seed.named("valid")).is_none()).collect();
    let kinds: BTreeSet<(&str, &str)> = seeds.iter().map(|seed| (seed.kind, seed.version)).collect();
    assert_eq!(kinds.len(), edition.served(), "a kind or version without a valid object: {kinds:?}");
    let mut cases: Vec<(String, Value)> =
        seeds.iter().enumerate().map(|(n, seed)| ("nothing".to_owned(), seed.named(&format!("m{n}")))).collect();
    let valid = cases.len();
    for number in 0..wanted {
        let mut object = random.of(&seeds).named(&format!("m{}", valid + number));
        let done = change(&mut object, random);
        cases.push((done, object));
    }
    let desired = edition.repository(&cases);
    let said = said(&desired);
    for (number, (done, object)) in cases.iter().enumerate() {
        let file = file(number);
        // Asked is what spinway would send: the canonical text.
        let sent = desired.objects.values().find(|member| *member.object.origin.file == file);
        let refusal = server.refusal(edition, sent.map_or(object, |member| &member.object.value));
        let here = said.get(&file).map(Vec::as_slice).unwrap_or_default();
        tally.count(&format!("{} {} {done}", object["apiVersion"], object["kind"]), refusal.as_deref(), here);
    }
    tally
}

impl Edition {
    fn new(release: &'static str, module: &'static str, channel: &'static str) -> Self {
        let group = format!("{channel}-{}.rules.example", release.replace('.', "-"));
        Self { release, module, channel, group }
    }

    /// The definitions, in the group of the edition.
    fn definitions(&self) -> Vec<Value> {
        let folder = module_dir("sigs.k8s.io/gateway-api", self.module).join("config/crd").join(self.channel);
        let files = std::fs::read_dir(folder).expect("the definitions").flatten().map(|entry| entry.path());
        let files = files.filter(|path| path.to_string_lossy().contains("gateway.networking.k8s.io_"));
        files.flat_map(|file| self.moved(&file)).collect()
    }

    fn moved(&self, file: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(file).expect("a definition");
        let documents = yaml::read(&Arc::from("crd"), &text).0.into_iter().map(|document| document.value);
        let definitions = documents.filter(|value| value["kind"] == "CustomResourceDefinition");
        let moved = definitions.map(|mut definition| {
            let plural = definition["spec"]["names"]["plural"].as_str().expect("a name").to_owned();
            definition["metadata"] = json!({"name": format!("{plural}.{}", self.group)});
            definition["spec"]["group"] = json!(self.group);
            definition.as_object_mut().expect("an object").shift_remove("status");
            definition
        });
        moved.collect()
    }

    /// How many kinds and versions it serves.
    fn served(&self) -> usize {
        let versions = |definition: &Value| definition["spec"]["versions"].as_array().cloned().unwrap_or_default();
        self.definitions().iter().flat_map(versions).filter(|version| version["served"] == true).count()
    }

    /// A repository of all cases, which says what is installed and has no definition.
    fn repository(&self, cases: &[(String, Value)]) -> Desired {
        let config = format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {{name: t}}\nspec:\n  sources: [objects]\n  \
             environments: [{{name: test}}]\n  gatewayApi: {{release: \"{}\", channel: {}}}\n",
            self.release, self.channel
        );
        let mut entries = BTreeMap::from([("spinway.yaml".to_owned(), Entry::File(config.into_bytes()))]);
        for (number, (_, object)) in cases.iter().enumerate() {
            entries.insert(file(number), Entry::File(object.to_string().into_bytes()));
        }
        read(&Tree::of(entries), None).expect("a repository")
    }
}

fn file(number: usize) -> String {
    format!("objects/m{number}.json")
}

/// The errors of each file that say that the API server refuses it.
fn said(desired: &Desired) -> BTreeMap<String, Vec<String>> {
    let found = check::all(std::slice::from_ref(desired), None, None).into_iter();
    let refusing = |id: &str| REFUSING.contains(&id) || !id.starts_with("SPW");
    let found = found.filter(|finding| finding.severity == Severity::Error && refusing(finding.id));
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in found {
        let file = finding.origin.as_ref().map(|origin| origin.file.to_string()).unwrap_or_default();
        said.entry(file).or_default().push(finding.message.raw().to_owned());
    }
    said
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let plane =
            ControlPlane::start_with(Options { dir: folder.path().join("plane"), advertise: None, controllers: None });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        plane.wait("the API server's certificate", || plane.dir.join("certs/apiserver.crt").exists());
        let client = runtime.block_on(client(&plane));
        let server = Self { plane, runtime, client, _folder: folder };
        server.plane.wait("the API server to be ready", || server.get("/readyz").is_ok());
        server.plane.wait("the namespace default", || server.get("/api/v1/namespaces/default").is_ok());
        server
    }

    fn get(&self, path: &str) -> Result<String, kube::Error> {
        let request = http::Request::get(path).body(Vec::new()).expect("a request");
        self.runtime.block_on(self.client.request_text(request))
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &Value) -> Result<Value, kube::Error> {
        let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
        let request = request.body(body.to_string().into_bytes()).expect("a request");
        self.runtime.block_on(self.client.request(request))
    }

    fn install(&self, edition: &Edition) {
        let definitions = edition.definitions();
        for definition in &definitions {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            if let Err(error) = self.send("POST", path, "application/json", definition) {
                panic!("{}: {error}", definition["metadata"]["name"]);
            }
        }
        for definition in &definitions {
            let plural = definition["spec"]["names"]["plural"].as_str().unwrap_or_default();
            let version =
                definition["spec"]["versions"].as_array().expect("versions").iter().find(|v| v["served"] == true);
            let version = version.and_then(|version| version["name"].as_str()).unwrap_or_default();
            let path = format!("/apis/{}/{version}/{plural}", edition.group);
            self.plane.wait(&path, || self.get(&path).is_ok());
        }
    }

    /// What the API server says when it refuses an object, asked by a strict dry-run.
    fn refusal(&self, edition: &Edition, object: &Value) -> Option<String> {
        let (_, version) = object["apiVersion"].as_str()?.rsplit_once('/')?;
        let kind = object["kind"].as_str()?.to_lowercase();
        let plural = match kind.as_str() {
            "gatewayclass" => "gatewayclasses".to_owned(),
            "backendtlspolicy" => "backendtlspolicies".to_owned(),
            other => format!("{other}s"),
        };
        let mut sent = object.clone();
        sent["apiVersion"] = json!(format!("{}/{version}", edition.group));
        let namespace = if kind == "gatewayclass" { "" } else { "namespaces/default/" };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!(
            "/apis/{}/{version}/{namespace}{plural}/{name}?fieldManager=t&fieldValidation=Strict&dryRun=All",
            edition.group
        );
        match self.send("PATCH", &path, "application/apply-patch+yaml", &sent) {
            Ok(_) => None,
            Err(kube::Error::Api(status)) => Some(status.message.clone()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Whether a refusal is by a rule alone, and not by the schema.
fn is_by_rule(message: &str) -> bool {
    const OF_SCHEMAS: [&str; 8] = [
        "failed to create typed patch",
        "should match",
        "Unsupported value",
        "Required value",
        "Too many",
        "Too long",
        "should be",
        "must be of type",
    ];
    !OF_SCHEMAS.iter().any(|part| message.contains(part)) && message.contains("Invalid value")
}

impl Tally {
    fn count(&mut self, case: &str, refusal: Option<&str>, here: &[String]) {
        self.changes += 1;
        let Some(message) = refusal else {
            if !here.is_empty() {
                self.false_refusals.push(format!("refused here alone: {}: {here:?}", short(case)));
            }
            return;
        };
        let (rule, found) = (usize::from(is_by_rule(message)), usize::from(!here.is_empty()));
        self.refused += 1;
        self.found += found;
        self.by_rule += rule;
        self.rules_found += rule * found;
        if found == 0 {
            self.missed.push(format!("refused there alone: {}: {}", short(case), short(message)));
        }
    }

    fn add(&mut self, other: Self) {
        self.changes += other.changes;
        self.refused += other.refused;
        self.found += other.found;
        self.by_rule += other.by_rule;
        self.rules_found += other.rules_found;
        self.false_refusals.extend(other.false_refusals);
        self.missed.extend(other.missed);
    }

    fn figures(&self) -> String {
        format!(
            "{} objects, {} refused by the API server, {} of them found; {} refused by rules alone, {} of them found; {} refused here alone",
            self.changes,
            self.refused,
            self.found,
            self.by_rule,
            self.rules_found,
            self.false_refusals.len()
        )
    }
}

fn short(text: &str) -> String {
    text.chars().take(400).collect()
}
