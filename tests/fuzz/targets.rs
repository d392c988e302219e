//! What is fuzzed: each function feeds bytes to one reader of spinway and asserts what must hold of any bytes.
//!
//! `cargo fuzz` runs them (`fuzz_targets/`, the script `run`), and `tests/it/fuzz.rs` replays the stored inputs of `corpus/` on
//! the stable toolchain.

pub mod grammar;

use grammar::{commands, in_annotations, in_dot, in_markdown, in_mermaid, in_sarif, in_terminal, in_xml};
use russh::keys::PublicKey;
use serde_json::{Map, Value, json};
use spinway::desired::{
    self, Amount, Entry, MAX_FILE_BYTES, MAX_TREE_BYTES, PLATFORM, ReadError, Tree, pin, with_values, yaml as reader,
};
use spinway::fields::{
    Answer, FieldPath, FieldSet, Keys, Known, Managers, compare, declare, difference, pointer_of, restrict, value_at,
};
use spinway::graph::Graph;
use spinway::inventory::{Destruction, Held};
use spinway::kinds::{Fact, Verdict};
use spinway::live::{Age, Coverage, Live, MASK, Packed, Stored};
use spinway::object::{
    Diagnostic, GroupKind, ObjectRef, Operation, Origin, Position, Revision, Severity, Traced, Untrusted, unobeyed,
};
use spinway::plan::{Action, Cause, StepKind};
use spinway::registry::{Challenge, challenge, token_of, token_server};
use spinway::report::{self, FactRow, FieldRow, Finding, HealthRow, Name, Place, Refused, Report, Row};
use spinway::schema::quantity::{is_quantity, nanos};
use spinway::schema::{Schemas, Validator};
use spinway::source::known_hosts::{Verdict as Trust, judge};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::str::from_utf8;
use std::sync::Arc;

/// A target.
pub type Target = fn(&[u8]);

/// All targets; the inputs of each are in the folder of its name.
pub const TARGETS: [(&str, Target); 11] = [
    ("yaml", yaml),
    ("config", config),
    ("git_tree", git_tree),
    ("snapshot", snapshot),
    ("managed_fields", managed_fields),
    ("patches", patches),
    ("cel", cel),
    ("quantities", quantities),
    ("known_hosts", known_hosts),
    ("registry", registry),
    ("reports", reports),
];

/// How many nodes a value has.
fn nodes(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(nodes).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(nodes).sum::<usize>(),
        _ => 1,
    }
}

fn tree(files: &[(&str, &[u8])]) -> Tree {
    let mut tree = Tree::default();
    files.iter().for_each(|(path, bytes)| tree.add((*path).to_owned(), Entry::File(bytes.to_vec())));
    tree
}

fn has_error(found: &[Diagnostic]) -> bool {
    found.iter().any(|finding| finding.severity == Severity::Error)
}

/// Findings as a terminal shows them.
fn assert_shown(found: &[Diagnostic], tree: &Tree) {
    let text = unobeyed(&report::diagnostics_text(found, tree, false));
    assert_eq!(in_terminal(&text), [""; 0]);
    assert_eq!(commands(&text), [""; 0]);
}

/// YAML: reading is deterministic, within its limits, and every finding is at a line of the text; what is read is written as
/// YAML that is read as the same value and in which a runner finds no command.
pub fn yaml(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    let file: Arc<str> = Arc::from("a.yaml");
    let (documents, found) = reader::read(&file, text);
    let (again, found_again) = reader::read(&file, text);
    assert_eq!(found, found_again);
    assert!(documents.iter().map(|d| &d.value).eq(again.iter().map(|d| &d.value)));
    let lines = 1 + text.matches(['\n', '\r']).count();
    let at_line = |line: usize| (1..=lines).contains(&line);
    for finding in &found {
        assert!(finding.origin.as_ref().is_none_or(|origin| at_line(origin.position.line)), "{finding:?}");
    }
    assert_shown(&found[..found.len().min(20)], &tree(&[("a.yaml", data)]));
    assert!(documents.iter().map(|document| nodes(&document.value)).sum::<usize>() <= 500_000);
    for document in &documents {
        assert!(at_line(document.start.line));
        assert!(document.asides.iter().all(|aside| at_line(aside.origin.position.line)));
        let origin = Origin { file: Arc::clone(&file), position: document.start };
        let traced = Traced::read(document.value.clone(), &document.positions, &file, &origin);
        assert_eq!(traced.value(), document.value);
        // Larger ones take long and show nothing else.
        if nodes(&document.value) > 10_000 {
            continue;
        }
        let written = report::yaml(&document.value);
        assert_eq!(commands(&written), [""; 0]);
        let (read, found) = reader::read(&file, &written);
        assert!(!has_error(&found), "{found:?}\n{written}");
        let read: Vec<Value> = read.into_iter().map(|document| document.value).collect();
        assert_eq!(read, std::slice::from_ref(&document.value), "{written}");
    }
    if !has_error(&found) {
        assert_eq!(reader::raw(text).len(), documents.len());
    }
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: one}\ndata: {k: \"${domain}\"}\n";

/// Config: it is refused with an error that has its text, or each of its environments is read: twice the same, and each object
/// belongs to a tenant of it or to the platform.
pub fn config(data: &[u8]) {
    let files: [(&str, &[u8]); 3] =
        [("spinway.yaml", data), ("apps/one/a.yaml", MAP.as_bytes()), ("platform/a.yaml", MAP.as_bytes())];
    let tree = tree(&files);
    let refused = |error: ReadError| match error {
        ReadError::Config(found, text) => {
            assert!(has_error(&found));
            assert_eq!(text, from_utf8(data).unwrap_or_default());
            assert_shown(&found[..found.len().min(20)], &tree);
        }
        other => panic!("{other}"),
    };
    let config = match desired::config(&tree) {
        Ok(config) => config.expect("there is a Config"),
        Err(error) => return refused(error),
    };
    let names = desired::environments(&tree).expect("it was read");
    assert!(names.iter().eq(config.environments.iter().map(|environment| &environment.name)));
    for name in names.iter().take(3) {
        let desired = match desired::read(&tree, Some(name)) {
            Ok(desired) => desired,
            Err(error) => {
                refused(error);
                continue;
            }
        };
        let again = desired::read(&tree, Some(name)).expect("it was read");
        let shown = |desired: &desired::Desired| format!("{:?}\n{:?}", desired.objects, desired.diagnostics);
        assert_eq!(shown(&desired), shown(&again));
        assert_eq!(desired.environment.name, *name);
        let tenants: BTreeSet<&str> = desired.rules().tenants.iter().map(|tenant| tenant.name.as_str()).collect();
        for member in desired.objects.values() {
            assert!(member.partition == PLATFORM || tenants.contains(member.partition.as_str()));
        }
        assert_shown(&desired.diagnostics[..desired.diagnostics.len().min(20)], &tree);
        let _ = with_values("${domain} $${x} ${", &desired.environment);
    }
    let _ = pin::images(&tree, None);
}

/// Bytes that say what to make.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    fn take(&mut self, most: usize) -> &'a [u8] {
        self.0.split_off(..most.min(self.0.len())).unwrap_or_default()
    }
}

/// The objects of Git that some bytes say, in a repository of their own.
struct Objects {
    folder: tempfile::TempDir,
    made: Vec<git2::Oid>,
}

impl Objects {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("spinway-fuzz").tempdir().expect("a folder");
        for path in ["objects", "refs/heads"] {
            std::fs::create_dir_all(folder.path().join(path)).expect("a folder");
        }
        std::fs::write(folder.path().join("HEAD"), "ref: refs/heads/main\n").expect("a file");
        // Without this its parent would be taken for its work tree.
        std::fs::write(folder.path().join("config"), "[core]\n\tbare = true\n").expect("a file");
        Self { folder, made: Vec::new() }
    }

    /// Writes a loose object. `damage` says what is wrong with it: 0 nothing, 1 it is cut off, 2 its header lies.
    fn write(&mut self, kind: git2::ObjectType, content: &[u8], damage: u8) {
        let id = git2::Oid::hash_object(kind, content).expect("an id");
        let name = id.to_string();
        let folder = self.folder.path().join("objects").join(&name[..2]);
        let length = if damage == 2 { content.len() * 7 + 1 } else { content.len() };
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(format!("{kind} {length}\0").as_bytes()).expect("memory");
        packed.write_all(content).expect("memory");
        let mut packed = packed.finish().expect("memory");
        if damage == 1 {
            packed.truncate(packed.len() * 2 / 3);
        }
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(&name[2..]), packed).expect("a file");
        self.made.push(id);
    }

    /// The content of a tree of which each entry is the next byte's object.
    fn entries(&self, bytes: &mut Bytes<'_>) -> Vec<u8> {
        const MODES: [&str; 10] =
            ["100644", "40000", "100755", "120000", "160000", "040000", "100664", "0", "177777777", "40000x"];
        const NAMES: [&str; 8] = ["spinway.yaml", "apps", "one", ".spinwayignore", "a.yaml", "b.json", "..", ".git"];
        let mut content = Vec::new();
        for _ in 0..bytes.byte() % 40 {
            let what = usize::from(bytes.byte());
            content.extend_from_slice(MODES[what % MODES.len()].as_bytes());
            content.push(b' ');
            let length = usize::from(bytes.byte());
            let name = if length < 64 { NAMES[length % NAMES.len()].as_bytes() } else { bytes.take(length % 16) };
            content.extend_from_slice(name);
            // Names that repeat are apart, so that a tree may have many folders.
            if what >= 128 {
                content.extend_from_slice(content.len().to_string().as_bytes());
            }
            content.push(0);
            let target = usize::from(bytes.byte());
            let id = self.made.get(target % self.made.len().max(1)).copied().unwrap_or(git2::Oid::ZERO_SHA1);
            content.extend_from_slice(id.as_bytes());
        }
        content
    }

    /// Writes all objects that the bytes say, the last of them as the tree of the newest commit.
    fn fill(&mut self, mut bytes: Bytes<'_>) {
        use git2::ObjectType::{Blob, Commit, Tree};
        const CONFIG: &str = "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec:\n  \
            environments: [{name: test}]\n  sources: [apps]\n  tenants: [{name: one, paths: [apps/one]}]\n";
        self.write(Blob, CONFIG.as_bytes(), 0);
        self.write(Blob, MAP.as_bytes(), 0);
        while !bytes.0.is_empty() && self.made.len() < 24 {
            let what = bytes.byte();
            let damage = [0, 0, 0, 0, 0, 0, 1, 2][usize::from(what >> 5)];
            let raw = usize::from(bytes.byte());
            match what % 4 {
                0 => self.write(Blob, bytes.take(raw), damage),
                1 => self.write(Tree, bytes.take(raw), damage),
                _ => {
                    let content = self.entries(&mut bytes);
                    self.write(Tree, &content, damage);
                }
            }
        }
        let tree = self.made.last().copied().unwrap_or(git2::Oid::ZERO_SHA1);
        let commit = format!("tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\na commit\n");
        self.write(Commit, commit.as_bytes(), 0);
        let head = self.made.last().map(ToString::to_string).unwrap_or_default();
        std::fs::write(self.folder.path().join("refs/heads/main"), format!("{head}\n")).expect("a file");
    }
}

/// The tree that is read of the objects that some bytes say.
pub fn tree_of(data: &[u8]) -> Option<Tree> {
    let mut objects = Objects::new();
    objects.fill(Bytes(data));
    let directory = objects.folder.path();
    let read = spinway::source::read(directory, Some("HEAD"));
    let _ = spinway::source::file_of_branch(directory, "main", "apps/a.yaml");
    let tree = read.ok()?.tree;
    // Once more, unless that takes long.
    if tree.entries.len() < 1_000 {
        let again = spinway::source::read(directory, Some("main")).expect("it was read");
        assert_eq!(tree, again.tree);
    }
    Some(tree)
}

/// A tree of Git: it is refused, or what is read of it is twice the same, within the limits, and below its root.
pub fn git_tree(data: &[u8]) {
    let Some(tree) = tree_of(data) else { return };
    assert!(tree.entries.len() <= 500_000);
    let mut whole = 0;
    for (path, entry) in &tree.entries {
        assert!(path.matches('/').count() <= 65, "{path}");
        if let Entry::File(bytes) = entry {
            assert!(bytes.len() as u64 <= MAX_FILE_BYTES);
            assert!(path.split('/').all(|name| !matches!(name, "" | "." | "..")), "{path}");
            whole += bytes.len() as u64;
        }
    }
    assert!(whole <= MAX_TREE_BYTES);
    if tree.entries.len() < 1_000 {
        let _ = desired::read(&tree, None);
    }
}

/// The values of a Secret.
fn secrets(value: &Value) -> impl Iterator<Item = &Value> {
    let fields = ["data", "stringData"].into_iter().filter_map(|field| value.get(field)?.as_object());
    fields.flat_map(Map::values)
}

/// A snapshot: what is read is written, without values of Secrets, as a snapshot that is read as the same and is written the
/// same again.
pub fn snapshot(data: &[u8]) {
    let read = |text: &[u8]| {
        let (mut live, objects) = Live::from_snapshot(text).ok()?;
        for object in &objects {
            let whole = Value::from(object);
            let text = |field: &str| whole.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            let packed = Stored::Packed(Packed::of(object, &text("apiVersion"), &text("kind")));
            assert_eq!(packed.uid(), spinway::object::meta(&whole, "uid"));
            assert_eq!(packed.value().get("spec"), whole.get("spec"));
            live.insert(whole);
        }
        Some(live)
    };
    let Some(live) = read(data) else { return };
    let nothing = desired::Desired::default();
    let text = live.to_snapshot(&nothing);
    let again = read(text.as_bytes()).expect("a snapshot");
    assert!(live.identities().eq(again.identities()));
    assert_eq!((&live.kinds, &live.coverage, &live.time), (&again.kinds, &again.coverage, &again.time));
    assert!(
        live.coverage
            .values()
            .all(|coverage| !matches!(coverage, Coverage::Unknown(why) if why.starts_with("unknown: ")))
    );
    for (reference, value) in again.objects() {
        if reference.is("", "Secret") {
            assert!(secrets(value).all(|value| value == MASK), "{value}");
        }
    }
    assert_eq!(again.to_snapshot(&nothing), text);
    assert_eq!(live.age(1_000_000_000).map(|age| age.hours), again.age(1_000_000_000).map(|age| age.hours));
    let taken = spinway::live::taken(&text);
    assert_eq!(taken, live.time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second));
}

/// `managedFields`: a set of fields survives being written and read, and is the set of its paths; what others hold has a holder;
/// what an object declares is what restricting it to that keeps, and an object does not differ from itself.
pub fn managed_fields(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let set = FieldSet::parse(&value);
    let read = FieldSet::parse(&set.to_json());
    assert_eq!((read.paths(), read.to_json()), (set.paths(), set.to_json()));
    let paths = set.paths();
    let mut rebuilt = FieldSet::default();
    paths.iter().for_each(|path| rebuilt.insert(path));
    assert_eq!(rebuilt.paths(), paths);
    for path in &paths {
        assert!(set.contains(path) && path.is_below(&FieldPath::default()));
        let _ = (path.to_string(), path.fits("spec.ports[].name"));
    }

    let rows = if value.is_array() { value.clone() } else { json!([{"manager": "x", "fieldsV1": value}]) };
    let managers = Managers::of(&json!({"metadata": {"managedFields": rows}}));
    for (path, holder) in managers.foreign() {
        assert!(managers.holders_of(&path).contains(&holder));
        assert!(managers.other_of(&path).is_some());
    }
    assert_eq!(managers.ours().is_some(), managers.our_api_version().is_some());
    assert!(managers.ownership().is_sorted_by(|a, b| (&a.0, a.1, &a.2, &a.3) <= (&b.0, b.1, &b.2, &b.3)));

    let schemas = Schemas::default();
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = spinway::object::split_api_version(text("apiVersion"));
    let schema = schemas.of(&GroupKind::new(group, text("kind")), version);
    let declared = declare(&value, schema);
    assert_eq!(FieldSet::parse(&declared.set.to_json()).paths(), declared.set.paths());
    for leaf in &declared.leaves {
        assert!(declared.set.contains(&leaf.path));
        // Items of lists may stand twice; fields do not.
        if leaf.path.0.iter().all(|element| element.starts_with("f:")) {
            assert_eq!(value_at(&value, &leaf.path), Some(leaf.value));
            assert_eq!(value.pointer(&pointer_of(&value, &leaf.path)), Some(leaf.value));
        }
    }
    if !declared.set.is_empty() {
        let kept = restrict(&value, &[&declared.set]);
        assert_eq!(restrict(&kept, &[&declared.set]), kept);
    }
    for known in [Known { schema, ..Known::default() }, Known { schema: None, custom: true, applied: true }] {
        assert_eq!(compare(&value, Some(&value), known), Answer::Same);
    }
    assert_eq!(difference(&FieldPath::default(), Some(&value), Some(&value), Keys::default()), []);
}

/// A merge patch by the words of RFC 7386.
fn merged(target: &Value, patch: &Value) -> Value {
    let Some(patch) = patch.as_object() else { return patch.clone() };
    let mut made = target.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        if value.is_null() {
            made.shift_remove(name);
        } else {
            let old = made.get(name).cloned().unwrap_or_default();
            made.insert(name.clone(), merged(&old, value));
        }
    }
    Value::Object(made)
}

const TENANTS: &str = "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec:\n  \
    sources: [platform, apps]\n  environments: [{name: test, values: {domain: shop.example}}]\n  \
    tenants:\n    - {name: one, paths: [apps/one]}\n    - {name: two, paths: [apps/two]}\n";
const OWN: &str = "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {name: cart, namespace: one}\nspec: {image: \"a/cart:1\", \
    routes: [{gateway: infra/public, hosts: [shop.example], path: /cart}]}\n---\napiVersion: v1\nkind: ConfigMap\n\
    metadata: {name: m, namespace: one}\ndata: {k: v, l: w}\nlist: [1, {a: 2}, [3]]\n";
const OTHER: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, namespace: two}\ndata: {k: v}\n";

/// Patches: those of a tenant change nothing of another one, and no object beyond the limit of the API server; a merge does
/// what RFC 7386 says, and operations of JSON patches keep a value whole.
pub fn patches(data: &[u8]) {
    let files: [(&str, &[u8]); 4] = [
        ("spinway.yaml", TENANTS.as_bytes()),
        ("apps/one/a.yaml", OWN.as_bytes()),
        ("apps/one/patch.yaml", data),
        ("apps/two/a.yaml", OTHER.as_bytes()),
    ];
    let tree = tree(&files);
    let read = || desired::read(&tree, None).expect("the Config is right");
    let desired = read();
    let shown = |desired: &desired::Desired| format!("{:?}\n{:?}", desired.objects, desired.diagnostics);
    assert_eq!(shown(&desired), shown(&read()));
    assert_shown(&desired.diagnostics[..desired.diagnostics.len().min(20)], &tree);
    let sizes = desired.objects.values().map(|member| member.object.value.to_string().len());
    let grown: usize = sizes.sum();
    assert!(grown <= 16 * (data.len() + OWN.len() + 20_000) + Amount::Growth.most(), "{grown}");
    assert!(!desired.unread.contains("two"));
    let other = desired.objects.get(&ObjectRef::new("", "ConfigMap", "two", "other"));
    // An object of its name in a file of `one` is a finding, which names both.
    if !desired.diagnostics.iter().any(|finding| finding.object.as_ref().is_some_and(|object| object.name == "other")) {
        let other = other.expect("the object of tenant two");
        assert_eq!(other.object.value["data"], json!({"k": "v"}));
        assert!(other.by.is_empty());
    }

    let origin = Origin { file: Arc::from("a.yaml"), position: Position { line: 1, column: 1 } };
    let base = json!({"data": {"k": "v", "l": null}, "list": [1, {"a": 2}, [3]], "a/b": {"~": 1}});
    if let Ok(patch) = serde_json::from_slice::<Value>(data) {
        let mut traced = Traced::whole(&origin, base.clone());
        traced.merge(Traced::whole(&origin, patch.clone()));
        assert_eq!(traced.value(), merged(&base, &patch));
    }
    let Ok(operations) = serde_json::from_slice::<Vec<Operation<Value>>>(data) else { return };
    let mut traced = Traced::whole(&origin, base);
    for operation in operations.into_iter().take(100) {
        let before = traced.clone();
        let operation = operation.map(|value| Traced::whole(&origin, value));
        let done = traced.operate(&operation);
        match &operation {
            Operation::Add { path, value } if done.is_ok() && !path.ends_with("/-") => {
                assert_eq!(traced.at(path).map(Traced::value), Some(value.value()));
            }
            Operation::Replace { path, value } if done.is_ok() => {
                assert_eq!(traced.at(path).map(Traced::value), Some(value.value()));
            }
            Operation::Test { path, value } => {
                assert_eq!(traced, before);
                assert_eq!(done.is_ok(), traced.at(path).is_some_and(|found| found.value() == value.value()));
            }
            Operation::Remove { path } => assert_eq!(done.is_ok(), before.at(path).is_some() && !path.is_empty()),
            _ => {}
        }
        // Copies may double it each time; a patch of the repository has a limit on that.
        if traced.bytes(1 << 20) > 1 << 20 {
            break;
        }
    }
}

/// The schema that a value fits.
fn schema_of(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let properties: Map<String, Value> =
                map.iter().map(|(name, value)| (name.clone(), schema_of(value))).collect();
            json!({"type": "object", "properties": properties})
        }
        Value::Array(items) => {
            json!({"type": "array", "items": items.first().map_or(json!({"type": "string"}), schema_of)})
        }
        Value::String(_) => json!({"type": "string"}),
        Value::Bool(_) => json!({"type": "boolean"}),
        Value::Number(number) if number.is_f64() => json!({"type": "number"}),
        Value::Number(_) => json!({"type": "integer"}),
        Value::Null => json!({"type": "string", "nullable": true}),
    }
}

/// CEL: the first line is a rule and the expression of its message, the rest the value of `self` (JSON, else a text). Rules end within
/// their limit of cost (the timeout of the fuzzer, the time of the replay), twice alike, and are about the field.
pub fn cel(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    let (rule, rest) = text.split_once('\n').unwrap_or((text, "{}"));
    let value = serde_json::from_str(rest).unwrap_or_else(|_| Value::String(rest.to_owned()));
    let mut schema = schema_of(&value);
    schema["x-kubernetes-validations"] =
        json!([{"rule": rule}, {"rule": "self == self && false", "messageExpression": rule}]);
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "xs.x.example"},
        "spec": {"group": "x.example", "scope": "Namespaced", "names": {"kind": "X", "plural": "xs"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}}}]}});
    let schemas = Schemas::with_crds([&definition].into_iter());
    let schema = schemas.of(&GroupKind::new("x.example", "X"), "v1").expect("the schema");
    let object = json!({"apiVersion": "x.example/v1", "kind": "X", "metadata": {"name": "x"}, "spec": value});
    let mut validator = Validator::default();
    let found = validator.violations(&object, schema);
    assert_eq!(validator.violations(&object, schema), found);
    for violation in &found {
        assert!(violation.pointer == "/spec" || violation.pointer.starts_with("/spec/"), "{violation:?}");
        assert!(!violation.message.is_empty());
    }
}

/// Quantities: each line is one. What can be counted is a quantity; the amount in nanos is the same quantity; signs and suffixes do
/// what they say; equal is what has one amount, and comparing two is the same both ways.
pub fn quantities(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    let all: Vec<&str> = text.lines().take(8).collect();
    for text in &all {
        let Some(amount) = nanos(text) else { continue };
        assert!(is_quantity(text), "{text}");
        assert_eq!(nanos(&format!("{amount}n")), Some(amount));
        let unsigned = text.trim_start_matches(['+', '-']);
        assert_eq!(nanos(&format!("-{unsigned}")).map(i128::abs), Some(amount.abs()));
        assert_eq!(nanos(&format!("+{unsigned}")), Some(amount.abs()));
        if text.ends_with(|c: char| c.is_ascii_digit()) && !text.contains(['e', 'E']) {
            for (suffix, factor) in [("k", 1_000), ("M", 1_000_000), ("Ki", 1 << 10), ("Mi", 1 << 20)] {
                if let Some(larger) = nanos(&format!("{text}{suffix}")) {
                    assert_eq!(amount.checked_mul(factor), Some(larger), "{text}{suffix}");
                }
            }
            assert_eq!(nanos(&format!("{text}e0")), Some(amount));
        }
    }
    let schemas = Schemas::default();
    let schema = schemas.of(&GroupKind::new("apps", "Deployment"), "v1");
    let limits =
        |cpu: &str| json!({"spec": {"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": cpu}}}]}}}});
    let known = Known { schema, ..Known::default() };
    for one in &all {
        for other in &all {
            let (a, b) = (limits(one), limits(other));
            let answer = compare(&a, Some(&b), known);
            assert_eq!(answer == Answer::Same, compare(&b, Some(&a), known) == Answer::Same, "{one} {other}");
            match (nanos(one), nanos(other)) {
                (Some(one), Some(other)) if answer == Answer::Same => assert_eq!(one, other),
                (Some(a), Some(b)) if a == b => assert_ne!(answer, Answer::Differs, "{one} {other}"),
                _ => {}
            }
        }
    }
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

/// `known_hosts`: the first line is the name of a host. A key is believed only where the file has it, and never when it is revoked;
/// comments change nothing.
pub fn known_hosts(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    let (name, lines) = text.split_once('\n').unwrap_or((text, ""));
    let key = PublicKey::from_openssh(KEY).expect("a key");
    let verdict = judge(lines, name, &key);
    assert_eq!(judge(lines, name, &key), verdict);
    let blob = KEY.split_once(' ').map_or("", |(_, blob)| blob);
    match &verdict {
        Trust::Known => assert!(lines.contains(blob)),
        Trust::Unknown(print) => assert!(print.starts_with("SHA256:")),
        Trust::Changed { shown, known } => {
            assert!(shown.starts_with("SHA256:"));
            assert_eq!(in_terminal(known), [""; 0]);
        }
    }
    assert_eq!(judge(&format!("# a comment\n\n{lines}"), name, &key), verdict);
    let ends = if lines.is_empty() || lines.ends_with('\n') { "" } else { "\n" };
    let revoked = judge(&format!("{lines}{ends}@revoked * {KEY}\n"), name, &key);
    assert!(matches!(revoked, Trust::Changed { .. }));
    let is_plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    if is_plain && !matches!(&verdict, Trust::Changed { known, .. } if known == "it revoked") {
        assert_eq!(judge(&format!("{lines}{ends}{name} {KEY}\n"), name, &key), Trust::Known);
    }
}

/// Answers of registries: the first line is the name of one, the next lines are its `WWW-Authenticate`, and what follows an empty line is the
/// answer of its token server. What is understood is the same when it is written again; credentials go over TLS or stay on this
/// machine; a token fits in a header.
pub fn registry(data: &[u8]) {
    let head = data.windows(2).position(|pair| pair == b"\n\n").map_or(data, |at| &data[..at]);
    let body = data.get(head.len() + 2..).unwrap_or_default();
    if let Some(token) = token_of(body) {
        assert!(!token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()));
    }
    // What `HeaderValue::to_str` lets through.
    let Some(head) = from_utf8(head).ok().filter(|head| head.bytes().all(|b| matches!(b, b'\n' | b'\t' | 32..127)))
    else {
        return;
    };
    let (name, headers) = head.split_once('\n').unwrap_or((head, ""));
    let image = pin::Image::of(name);
    assert_eq!(image.is_fixed(), pin::Image::of(name).is_fixed());
    assert!(!pin::Image::of(&image.by_tag()).is_fixed() || !image.is_fixed());
    let read = challenge(headers.lines());
    assert_eq!(challenge(headers.lines()), read);
    assert_eq!(challenge(headers.lines().chain(["Basic"])).is_some(), read.is_some());
    let Some(Challenge::Bearer { realm, service }) = read else { return };
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let service_text = service.as_ref().map(|service| format!(", service=\"{}\"", quoted(service))).unwrap_or_default();
    let written = format!("Bearer realm=\"{}\"{service_text}", quoted(&realm));
    assert_eq!(challenge([written.as_str()].into_iter()), Some(Challenge::Bearer { realm: realm.clone(), service }));
    let Ok(url) = token_server(name, &realm) else { return };
    assert!(url.username().is_empty() && url.password().is_none());
    let host = url.host_str().unwrap_or_default();
    let here = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    assert!(url.scheme() == "https" || (url.scheme() == "http" && here), "{name} {url}");
}

/// A report with foreign texts wherever there may be some.
fn hostile(texts: &[&str]) -> Report {
    let mut at = 0;
    let mut next = || {
        at += 1;
        format!("zq{}", texts[at % texts.len()])
    };
    let name = |next: &mut dyn FnMut() -> String| Name {
        group: next(),
        version: next(),
        kind: next(),
        namespace: Some(next()),
        name: next().into(),
    };
    let place = |text: String| Place { file: text.into(), line: 3, column: 7 };
    let actions = [
        (Action::Update, Verdict::Current),
        (Action::Unchanged, Verdict::Progressing),
        (Action::Held, Verdict::Missing),
    ];
    let mut made = Report {
        schema: report::SCHEMA.into(),
        verb: "plan".into(),
        environment: next(),
        notices: vec![next().into()],
        revision: Some(Revision { id: next(), subject: next().into(), author: next().into() }),
        digest: next(),
        snapshot: Some(Age { time: next().into(), hours: Some(3), stale: false }),
        refused: Some(Refused { message: next().into(), help: "Help.".into() }),
        destruction: Destruction {
            digest: next(),
            objects: vec![Held {
                action: next(),
                object: ObjectRef::new(&next(), &next(), &next(), &next()),
                uid: next(),
                new: next(),
            }],
        },
        summary: Action::ALL.into_iter().map(|action| (action, 2)).collect(),
        requests: BTreeMap::from([("LIST".into(), 3)]),
        ..Report::default()
    };
    for (action, verdict) in actions {
        let field = FieldRow {
            path: next().into(),
            before: Some(json!(next())),
            after: Some(json!({ next(): [next(), 1] })),
            cause: if action == Action::Held { Cause::Missing } else { Cause::Drift },
            manager: Some(next().into()),
            operation: None,
            time: Some(next()),
        };
        let lines = FieldRow {
            before: Some(json!(format!("{}\n{}", next(), next()))),
            after: Some(json!(format!("{}\n{}", next(), next()))),
            ..field.clone()
        };
        made.changes.push(Row {
            object: name(&mut next),
            partition: next(),
            action,
            intended: action,
            origin: Some(place(next())),
            steps: vec![StepKind::Expand, StepKind::Contract],
            fields: vec![field.clone(), lines],
            facts: vec![FactRow { what: Fact::Path, values: vec![next().into(), next().into()] }],
            left: vec![field],
            because: vec![next().into()],
            breaks: Some(next().into()),
            irreversible: Some(next().into()),
            needs: vec![name(&mut next)],
            result: Some(next().into()),
        });
        made.health.push(HealthRow {
            object: name(&mut next),
            verdict,
            reason: next().into(),
            message: next().into(),
            warning: Some(next().into()),
        });
    }
    for severity in [Severity::Error, Severity::Warning, Severity::Note] {
        made.diagnostics.push(Finding {
            id: "SPW001".into(),
            severity,
            place: Some(place(next())),
            message: next().into(),
            help: Some(next().into()),
            related: Some(place(next())),
            known: false,
        });
    }
    made
}

/// Holds every encoding of a report against the grammar of its reader, as the command line writes it.
fn assert_encoded(report: &Report) {
    let json = report.json();
    let again = Report::read(json.as_bytes()).expect("a report");
    assert_eq!(again.json(), json);
    assert_eq!(commands(&json.replace("##[", "\\u0023#[")), [""; 0]);
    let yaml = report.yaml();
    assert_eq!(commands(&yaml), [""; 0]);
    assert_eq!(in_terminal(&yaml.replace('\t', " ")), [""; 0]);
    let junit = report::junit(report);
    assert_eq!(in_xml(&junit), [""; 0], "{junit}");
    assert_eq!(commands(&junit.replace("##[", "&#35;#[")), [""; 0]);
    let sarif = report::sarif(report).to_string();
    assert_eq!(in_sarif(&sarif), [""; 0]);
    assert_eq!(in_annotations(&report::github(report)), [""; 0]);
    // What was made plain is said outside of `<code>`.
    let plain = [report.verb.as_ref(), report.refused.as_ref().map_or("", |refused| refused.help.as_ref())];
    let said = plain.into_iter().chain(report.diagnostics.iter().map(|finding| finding.id.as_ref()));
    let said = said.chain(report.requests.keys().map(AsRef::as_ref)).any(|text| text.contains("zq"));
    let mark = if said { "\0" } else { "zq" };
    for verb in ["plan", "status", "drift", "check"] {
        let report = Report { verb: verb.into(), ..report.clone() };
        let text = unobeyed(&report::text(&report, false, true));
        assert_eq!(in_terminal(&text), [""; 0], "{text:?}");
        assert_eq!(commands(&text), [""; 0]);
        let text = report::markdown(&report).replace("##[", "&#35;#[");
        assert_eq!(in_markdown(&text, mark), [""; 0], "{text}");
        assert_eq!(commands(&text), [""; 0]);
        assert_eq!(in_terminal(&text), [""; 0]);
    }
    let short = report::markdown_within(report, 2_000).replace("##[", "&#35;#[");
    assert_eq!(in_markdown(&short, mark), [""; 0], "{short}");
}

/// Encoders of reports: texts between zero bytes stand wherever a report may have foreign text, and JSON is read as a report that
/// someone else wrote. In no encoding its reader finds more than text.
pub fn reports(data: &[u8]) {
    if let Ok(read) = Report::read(data) {
        return assert_encoded(&read);
    }
    let text = String::from_utf8_lossy(data);
    let texts: Vec<&str> = text.split('\0').collect();
    assert_encoded(&Report::read(hostile(&texts).json().as_bytes()).expect("a report"));
    // Findings with their lines, and the graph of objects of these names.
    let one = |index: usize| texts[index % texts.len()];
    let tree = tree(&[("a.yaml", data)]);
    let at = |line: usize| Origin { file: Arc::from("a.yaml"), position: Position { line, column: 1 + line } };
    let finding = Diagnostic::error("x", one(0)).at(at(1)).and(at(2), "here").help(one(1));
    let elsewhere = Origin { file: Arc::from(one(2)), position: Position { line: 1, column: 1 } };
    assert_shown(&[finding, Diagnostic::note("y", one(2)).at(elsewhere)], &tree);
    let map = |index: usize| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": one(index), "namespace": "one", "annotations": {
            "config.kubernetes.io/depends-on": format!("/namespaces/one/ConfigMap/{}", one(index + 1))}},
            "data": {one(index): one(index + 1)}})
    };
    let texts = [map(0).to_string(), map(1).to_string()];
    let tree = self::tree(&[("a.yaml", texts[0].as_bytes()), ("b.yaml", texts[1].as_bytes())]);
    let desired = desired::read(&tree, None).expect("no Config");
    let graph = Graph::of(&desired);
    let (dot, mermaid) = (unobeyed(&report::dot(&graph)), unobeyed(&report::mermaid(&graph)));
    assert_eq!(in_dot(&dot), [""; 0]);
    assert_eq!(in_mermaid(&mermaid), [""; 0]);
    let text = unobeyed(&report::graph_text(&graph));
    assert_eq!((in_terminal(&text), commands(&text)), (vec![], vec![]));
    for member in desired.objects.values() {
        let object = &member.object;
        let explained = report::explained(object, &object.value);
        assert_eq!((in_terminal(&explained), commands(&explained)), (vec![], vec![]));
        let written = report::yaml(&object.value);
        assert_eq!(commands(&written), [""; 0]);
        let (read, found) = reader::read(&Arc::from("a.yaml"), &written);
        assert!(!has_error(&found), "{found:?}\n{written}");
        assert_eq!(read[0].value, object.value, "{written}");
    }
    let _ = Untrusted::new(one(0));
}
