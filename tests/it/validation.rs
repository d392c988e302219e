//! What `check` refuses without the API server, against what the API server refuses: random changes of valid objects.

pub mod mutations;

use crate::cluster::Cluster;
use crate::oracle::texts::Random;
use crate::repo::Repo;
use crate::run::{Ran, code, run, stdout};
use mutations::{Kind, kinds, mutate};
use serde_json::{Value, json};
use spinway::check;
use spinway::desired::{Desired, Entry, Tree, read};
use spinway::object::{Diagnostic, Severity};
use std::collections::{BTreeMap, BTreeSet};

/// How many changes CI looks at, and the full campaign.
const SAMPLE: usize = 330;
const FULL: usize = 2000;

/// What the API server refuses of built-in kinds and `check` does not find: a part of what it says, and why. All of it is
/// verified at apply.
const AT_APPLY: [(&str, &str); 9] = [
    ("failed to allocate IP", "which addresses are free is known to the cluster alone"),
    ("must be a standard resource", "names of resources change from release to release"),
    ("unexpected GroupVersion string", "a kind that is scaled may be of any group"),
    ("apiVersion must specify API group", "as above: `/` alone has a slash"),
    ("must specify one of: `configMapRef`", "a source of variables without anything in it"),
    ("must be greater than minReadySeconds", "a deadline that defaults to 600 seconds"),
    ("operator must be Exists when `key` is empty", "a toleration of everything"),
    ("a valid HTTP header", "names of headers of probes"),
    // `is_empty`: an empty text or null is taken for absent, which it is in most fields.
    ("\"\": ", "an empty text or null in an item of a list, or in a field that tells it from absent"),
];

/// One change of a valid object.
struct Case {
    kind: usize,
    /// What was done, for people.
    done: String,
    object: Value,
}

/// What the API server says.
enum Verdict {
    Accepted,
    Refused { fields: BTreeSet<String>, message: String },
}

/// What was counted for custom resources, or for built-in kinds.
#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    refused: usize,
    found: usize,
    same_field: usize,
    /// What is refused by one of the two alone.
    disagreements: Vec<String>,
    elsewhere: Vec<String>,
}

#[test]
fn what_is_refused_is_what_the_api_server_refuses() {
    let wanted = if std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full") { FULL } else { SAMPLE };
    let cluster = Cluster::take();
    let kinds = kinds();
    let mut random = Random::new(20_261_126);
    for kind in &kinds {
        for _ in 0..6 {
            let valid = kind.valid("valid", &mut random);
            if let Verdict::Refused { message, .. } = ask(&cluster, kind, &valid) {
                panic!("the {} to begin with is not valid: {message}", kind.kind);
            }
        }
    }
    let cases: Vec<Case> = (0..wanted).map(|number| case(number, &kinds, &mut random)).collect();
    let desired = repository(&cluster, &cases);
    let said = said(&desired);
    let (mut custom, mut built_in) = (Tally::default(), Tally::default());
    for (number, case) in cases.iter().enumerate() {
        let kind = &kinds[case.kind];
        // Asked is what spinway would send: the canonical text.
        let file = file(number);
        let sent = desired.objects.values().find(|member| *member.object.origin.file == file);
        let sent = sent.map_or(&case.object, |member| &member.object.value);
        let verdict = ask(&cluster, kind, sent);
        let tally = if kind.custom { &mut custom } else { &mut built_in };
        tally.count(kind, case, &verdict, said.get(&file).map(Vec::as_slice).unwrap_or_default());
    }
    for (of, tally) in [("custom resources", &custom), ("built-in kinds", &built_in)] {
        println!(
            "{of}: {} changes, {} refused by the API server, {} of them found ({} at the same field)",
            tally.cases, tally.refused, tally.found, tally.same_field
        );
        tally.disagreements.iter().chain(&tally.elsewhere).for_each(|line| println!("  {line}"));
    }
    assert!(custom.refused * 3 > custom.cases && built_in.refused * 4 > built_in.cases, "too little is refused");
    assert!(custom.disagreements.is_empty(), "{:#?}", custom.disagreements);
    assert!(custom.same_field * 100 >= custom.refused * 95, "{:#?}", custom.elsewhere);
    let false_refusals: Vec<&String> =
        built_in.disagreements.iter().filter(|line| line.starts_with("refused here")).collect();
    assert!(false_refusals.is_empty(), "{false_refusals:#?}");
    assert!(built_in.found * 100 >= built_in.refused * 90, "{:#?}", built_in.disagreements);
    let explained = |line: &&String| AT_APPLY.iter().any(|(message, _)| line.contains(message));
    let unexplained: Vec<&String> = built_in.disagreements.iter().filter(|line| !explained(line)).collect();
    assert!(unexplained.is_empty(), "not found, and not among what is verified at apply: {unexplained:#?}");
}

fn case(number: usize, kinds: &[Kind], random: &mut Random) -> Case {
    let kind = number % kinds.len();
    let mut object = kinds[kind].valid(&name(number), random);
    let done = mutate(&mut object, random);
    Case { kind, done, object }
}

fn name(number: usize) -> String {
    format!("m{number}")
}

fn file(number: usize) -> String {
    format!("objects/{}.json", name(number))
}

/// A repository of the definitions of the cluster and of all cases.
fn repository(cluster: &Cluster, cases: &[Case]) -> Desired {
    let answer = cluster.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").expect("definitions");
    let definitions = answer["items"].as_array().expect("items").iter().map(|definition| {
        let mut definition = definition.clone();
        definition["apiVersion"] = json!("apiextensions.k8s.io/v1");
        definition["kind"] = json!("CustomResourceDefinition");
        let metadata = json!({"name": definition["metadata"]["name"]});
        definition["metadata"] = metadata;
        definition
    });
    let definitions: Vec<Value> = definitions.collect();
    let mut entries = BTreeMap::new();
    let mut add = |file: String, value: &Value| entries.insert(file, Entry::File(value.to_string().into_bytes()));
    for (number, definition) in definitions.iter().enumerate() {
        add(format!("definitions/{number}.json"), definition);
    }
    for (number, case) in cases.iter().enumerate() {
        add(file(number), &case.object);
    }
    read(&Tree::of(entries), None).expect("a repository without Config")
}

/// The errors of each file.
fn said(desired: &Desired) -> BTreeMap<String, Vec<Diagnostic>> {
    let found =
        check::all(std::slice::from_ref(desired), None, None).into_iter().filter(|finding| finding.id == "SPW004");
    let mut said: BTreeMap<String, Vec<Diagnostic>> = BTreeMap::new();
    for finding in found.chain(desired.diagnostics.iter().cloned()).filter(|f| f.severity == Severity::Error) {
        let file = finding.origin.as_ref().map(|origin| origin.file.to_string()).unwrap_or_default();
        said.entry(file).or_default().push(finding);
    }
    said
}

/// Sends an object as a strict dry-run.
fn ask(cluster: &Cluster, kind: &Kind, object: &Value) -> Verdict {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let path = format!("{}?fieldManager=t&fieldValidation=Strict&dryRun=All", kind.path(name));
    match cluster.try_send("PATCH", &path, "application/apply-patch+yaml", object) {
        Ok(_) => Verdict::Accepted,
        Err(kube::Error::Api(status)) => {
            let causes = status.details.iter().flat_map(|details| &details.causes).map(|cause| cause.field.clone());
            let mut fields: BTreeSet<String> = causes.filter(|field| field != "<nil>" && !field.is_empty()).collect();
            fields.extend(typed_fields(&status.message, object));
            Verdict::Refused { fields, message: status.message.clone() }
        }
        Err(error) => panic!("{error}"),
    }
}

/// The fields that a failed typed patch names, `.spec.listeners[name="a"].port: expected ...`, with indices for keys.
fn typed_fields(message: &str, object: &Value) -> Vec<String> {
    let Some((_, rest)) = message.split_once("failed to create typed patch object") else { return Vec::new() };
    let Some((_, rest)) = rest.split_once("): ") else { return Vec::new() };
    let lines = rest.trim_start_matches("errors:").lines().map(str::trim).filter(|line| line.starts_with('.'));
    lines.filter_map(|line| indexed(line.split(": ").next().unwrap_or(line), object)).collect()
}

/// A path of a typed patch with the index of each item in the place of its keys.
fn indexed(path: &str, object: &Value) -> Option<String> {
    let mut made = String::new();
    let mut node = object;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let end = after.find(']')?;
            let index = match after[..end].parse::<usize>() {
                Ok(index) => index,
                Err(_) => node.as_array()?.iter().position(|item| has_keys(item, &after[..end]))?,
            };
            made.push_str(&format!("[{index}]"));
            node = node.get(index)?;
            rest = &after[end + 1..];
        } else {
            let after = rest.strip_prefix('.')?;
            // A key may hold dots.
            let map = node.as_object();
            let known = map
                .and_then(|map| map.keys().filter(|key| after.starts_with(key.as_str())).max_by_key(|key| key.len()));
            let end = known.map_or_else(|| after.find(['.', '[']).unwrap_or(after.len()), String::len);
            let key = &after[..end];
            if !made.is_empty() {
                made.push('.');
            }
            made.push_str(key);
            node = node.get(key).unwrap_or(&Value::Null);
            rest = &after[end..];
        }
    }
    Some(made)
}

fn has_keys(item: &Value, keys: &str) -> bool {
    keys.split(',').filter_map(|pair| pair.split_once('=')).all(|(key, value)| match item.get(key) {
        // What has no such text is named by its key alone.
        Some(known) if known.is_object() || known.is_array() => true,
        Some(known) => serde_json::from_str(value).is_ok_and(|value: Value| value == *known),
        // A default.
        None => true,
    })
}

impl Tally {
    fn count(&mut self, kind: &Kind, case: &Case, verdict: &Verdict, said: &[Diagnostic]) {
        self.cases += 1;
        let here: Vec<String> = said.iter().map(|finding| finding.message.raw().to_owned()).collect();
        match verdict {
            Verdict::Accepted if here.is_empty() => {}
            Verdict::Accepted => {
                self.disagreements.push(format!("refused here alone: {} {}: {here:?}", kind.kind, short(&case.done)));
            }
            Verdict::Refused { message, .. } => {
                self.refused += 1;
                if here.is_empty() {
                    let line = format!("refused there alone: {} {}: {}", kind.kind, short(&case.done), short(message));
                    return self.disagreements.push(line);
                }
                self.found += 1;
                if verdict.names_one_of(&here) {
                    self.same_field += 1;
                } else {
                    let line = format!(
                        "elsewhere: {} {}: {}\n    here {here:?}",
                        kind.kind,
                        short(&case.done),
                        short(message)
                    );
                    self.elsewhere.push(line);
                }
            }
        }
    }
}

impl Verdict {
    /// Whether a field of the API server's is the field of one of the messages.
    fn names_one_of(&self, said: &[String]) -> bool {
        let Self::Refused { fields, .. } = self else { return false };
        said.iter().any(|message| {
            fields.iter().any(|field| message.strip_prefix(field.as_str()).is_some_and(|rest| rest.starts_with(": ")))
        })
    }
}

fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

#[test]
fn the_rules_of_a_clusters_definitions_are_told_before_anything_is_sent() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write(
        "platform/route.yaml",
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: default}\nspec:\n  rules:\n    - \
         matches: [{path: {type: Exact, value: /a}}]\n      filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, \
         replacePrefixMatch: /}}}]\n",
    );
    let message = "exactly one PathPrefix match must be specified";
    let planned = cluster.spinway(&["plan", repo.dir(), "-o", "json"]);
    let report = crate::run::json(&planned);
    let found = report["diagnostics"].as_array().expect("diagnostics").iter();
    let mut found = found.filter(|finding| finding["id"] == "SPW004");
    let rule = found.next().expect("the rule in CEL of the definition that is installed");
    assert!(rule["message"].as_str().is_some_and(|said| said.contains(message)), "{rule:#}");
    assert_eq!(
        (&rule["severity"], &rule["file"], &rule["line"]),
        (&json!("error"), &json!("platform/route.yaml"), &json!(6))
    );
    assert_eq!(
        (&report["summary"]["blocked"], report["requests"].get("dry-run")),
        (&json!(1), None),
        "{}",
        Ran(&planned)
    );
    // A snapshot has the rules too, so a pull request is told of them without the cluster.
    let snapshot = repo.file("snapshot.json");
    let snapshot = snapshot.to_str().expect("a plain path");
    let taken = cluster.spinway(&["snapshot", repo.dir(), "-o", snapshot]);
    assert_eq!(code(&taken), 0, "{}", Ran(&taken));
    let checked = run(&["check", repo.dir(), "--snapshot", snapshot]);
    assert!(code(&checked) == 1 && stdout(&checked).contains(message), "{}", Ran(&checked));
    assert!(!stdout(&run(&["check", repo.dir()])).contains(message), "the tables have no rules in CEL");
}
