//! The local verdict against the API server's own, over random objects, texts and edits by others.

pub mod texts;

use crate::cluster::Cluster;
use serde_json::{Value, json};
use spinway::desired::{self, Desired, Entry, Tree};
use spinway::fields::{Keys, declare, difference, value_at};
use spinway::inventory::{APPLIED, Parent, find};
use spinway::live::{Live, Stored};
use spinway::object::ObjectRef;
use spinway::plan::{Action, Answer, Change, Options, Prepared, Screen, assess, conclude, outgoing};
use std::collections::BTreeMap;
use std::sync::Arc;
use texts::{Random, edit_live, mutate, text};

/// How many triples CI looks at, and the full campaign.
const SAMPLE: usize = 180;
const FULL: usize = 3000;

/// What was counted.
#[derive(Debug, Default)]
struct Tally {
    triples: usize,
    unchanged: usize,
    proven: usize,
    asked_in_vain: Vec<String>,
    fields: usize,
}

#[test]
fn the_local_verdict_is_that_of_the_api_server() {
    let wanted = if std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full") { FULL } else { SAMPLE };
    let mut oracle = Oracle::new();
    let mut random = Random::new(20_261_122);
    let mut tally = Tally::default();
    let mut number = 0;
    while tally.triples < wanted {
        number += 1;
        assert!(number < wanted * 10, "too many texts are refused: {tally:?}");
        oracle.triple(number, &mut random, &mut tally);
    }
    println!(
        "{} triples, {} without a change ({} of them proven from the bytes of a page), {} field changes, asked in vain: {}",
        tally.triples,
        tally.unchanged,
        tally.proven,
        tally.fields,
        tally.asked_in_vain.len()
    );
    for line in &tally.asked_in_vain {
        println!("  {line}");
    }
    assert!(tally.unchanged * 5 > tally.triples, "too few triples without a change to prove anything: {tally:?}");
    assert!(tally.asked_in_vain.len() * 100 < tally.triples.max(100), "asked in vain: {:#?}", tally.asked_in_vain);
}

struct Oracle {
    cluster: Cluster,
    schemas: Live,
}

/// A text as the repository has it, and what spinway would send.
struct Sent {
    desired: Arc<Desired>,
    parents: Vec<Parent>,
    reference: ObjectRef,
    body: Value,
}

impl Oracle {
    fn new() -> Self {
        let cluster = Cluster::take();
        let mut schemas = Live::default();
        let definitions = cluster.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").expect("definitions");
        for definition in definitions["items"].as_array().expect("items") {
            let mut definition = definition.clone();
            definition["apiVersion"] = json!("apiextensions.k8s.io/v1");
            definition["kind"] = json!("CustomResourceDefinition");
            schemas.insert(definition);
        }
        let oracle = Self { cluster, schemas };
        oracle.admit(
            "labels",
            ("*", "*"),
            "object.metadata.labels['team'] == 'b'",
            "Object{metadata: Object.metadata{labels: {\"mutated\": \"yes\"}}}",
        );
        oracle.admit(
            "values",
            ("", "configmaps"),
            "object.metadata.labels['team'] == 'b' && has(object.metadata.annotations) && 'example.com/note' in object.metadata.annotations",
            "Object{data: {\"c\": \"MUT\"}}",
        );
        oracle
    }

    /// An admission policy that changes what is applied.
    fn admit(&self, name: &str, (group, resource): (&str, &str), condition: &str, change: &str) {
        let condition = format!("has(object.metadata.labels) && 'team' in object.metadata.labels && {condition}");
        let root = "/apis/admissionregistration.k8s.io/v1";
        let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}]},
            "matchConditions": [{"name": "wanted", "expression": condition}],
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": change}}]}});
        let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": {"policyName": name}});
        self.cluster.apply_as(&format!("{root}/mutatingadmissionpolicies/{name}"), "tests", &policy);
        self.cluster.apply_as(&format!("{root}/mutatingadmissionpolicybindings/{name}"), "tests", &binding);
        let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe", "namespace": "default",
            "labels": {"team": "b"}, "annotations": {"example.com/note": "x"}}, "data": {"c": "1"}});
        let path = "/api/v1/namespaces/default/configmaps/probe?fieldManager=tests&force=true&dryRun=All";
        self.cluster.wait("the admission policy to work", || {
            let made = self.cluster.send("PATCH", path, "application/apply-patch+yaml", &probe);
            made["metadata"]["labels"]["mutated"] == "yes" && (name == "labels" || made["data"]["c"] == "MUT")
        });
    }

    /// One triple: a text that was applied, edits by others, a text that is wanted now.
    fn triple(&mut self, number: usize, random: &mut Random, tally: &mut Tally) {
        let (path, first) = text(number, random);
        let Some(first_sent) = self.sent(&first) else { return };
        let apply = format!("{path}?fieldManager=spinway&fieldValidation=Strict&force=true");
        let patch = "application/apply-patch+yaml";
        if self.cluster.try_send("PATCH", &apply, patch, &first_sent.body).is_err() {
            return;
        }
        for _ in 0..random.below(3) {
            let live = self.cluster.get(&path).expect("it was applied");
            edit_live(&self.cluster, &path, &live, random);
        }
        let second = if random.below(2) == 0 { first } else { mutate(&first, random) };
        let Some(mut sent) = self.sent(&second) else { return };
        let Some(live) = self.cluster.get(&path) else { return };
        // The annotation of the live object, so that its change alone is no difference.
        match live.pointer(&format!("/metadata/annotations/{}", APPLIED.replace('/', "~1"))) {
            Some(value) => sent.body["metadata"]["annotations"][APPLIED] = value.clone(),
            None => return,
        }
        let Ok(after) = self.cluster.try_send("PATCH", &format!("{apply}&dryRun=All"), patch, &sent.body) else {
            return;
        };
        tally.triples += 1;
        self.judge(&sent, &live, &after, tally);
    }

    /// Reads a text as a repository of one file.
    fn sent(&self, text: &Value) -> Option<Sent> {
        let config = "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: oracle}\nspec: {sources: [a], environments: [{name: test}]}\n";
        let file = |text: String| Entry::File(text.into_bytes());
        let entries = [
            ("spinway.yaml".to_owned(), file(config.to_owned())),
            ("a/object.yaml".to_owned(), file(text.to_string())),
        ];
        let desired = desired::read(&Tree::of(entries.into()), None).expect("the Config is right");
        let (parents, _) = find(&desired, std::iter::empty());
        let (reference, member) = desired.objects.iter().next()?;
        let reference = reference.clone();
        let schema = self.schemas.schemas.of(&reference.group_kind(), &member.object.version);
        let parent = parents.iter().find(|p| p.partition == member.partition)?;
        let (mut body, applied) = outgoing(member, Some(&parent.id), schema);
        if !body["metadata"]["annotations"].is_object() {
            body["metadata"]["annotations"] = json!({});
        }
        body["metadata"]["annotations"][APPLIED] = json!(applied.text());
        Some(Sent { desired: Arc::new(desired), parents, reference, body })
    }

    fn judge(&self, sent: &Sent, live: &Value, after: &Value, tally: &mut Tally) {
        let nothing = bare(live) == bare(after);
        let story = || {
            format!(
                "{}\ntext {}\nlive {live}\nafter {after}",
                sent.reference, sent.desired.objects[&sent.reference].object.value
            )
        };
        let proven = self.is_proven(sent, live);
        let mut state = self.schemas.clone();
        state.source = spinway::live::Source::Cluster;
        state.insert(live.clone());
        let options = Options::default();
        let assessed = assess(&sent.desired, &state, &sent.parents, &options);
        let asks = assessed[0].probe || assessed[0].change.action != Action::Unchanged;
        assert!(nothing || !proven, "proven wrongly: {}", story());
        assert!(nothing || asks, "wrong no-op: {}", story());
        assert!(!proven || !asks, "the proof and the closer look differ: {}", story());
        tally.unchanged += usize::from(nothing);
        tally.proven += usize::from(proven);
        if nothing && asks {
            let change = &assessed[0].change;
            let paths: Vec<String> = change.fields.iter().map(|f| f.path.to_string()).collect();
            tally.asked_in_vain.push(format!("{}: {:?} {paths:?} {:?}", sent.reference, change.action, change.because));
            if std::env::var_os("SPINWAY_STORIES").is_some() {
                tally.asked_in_vain.push(story());
            }
        }
        if assessed[0].probe && assessed[0].change.action != Action::Blocked {
            let answers = BTreeMap::from([(sent.reference.clone(), Answer::Accepted(after.clone()))]);
            let broken = BTreeMap::new();
            let prepared = Prepared::of(&sent.desired);
            let plan =
                conclude(&sent.desired, &state, prepared, assessed, &answers, sent.parents.clone(), &broken, &options);
            let change = plan.change(&sent.reference).expect("the object");
            assert_eq!(nothing, change.action == Action::Unchanged, "the plan says {:?}: {}", change.action, story());
            self.fields_are_true(change, sent, (live, after), &story);
            tally.fields += change.fields.len();
        }
    }

    /// Every field that is reported is as the server has it, before and after; and what we declare that changes is reported.
    fn fields_are_true(
        &self,
        change: &Change,
        sent: &Sent,
        (live, after): (&Value, &Value),
        story: &dyn Fn() -> String,
    ) {
        for field in &change.fields {
            assert_eq!(field.before.as_ref(), value_at(live, &field.path), "{} before: {}", field.path, story());
            assert_eq!(field.after.as_ref(), value_at(after, &field.path), "{} after: {}", field.path, story());
        }
        let member = &sent.desired.objects[&sent.reference];
        let schema = self.schemas.schemas.of(&sent.reference.group_kind(), &member.object.version);
        for leaf in declare(&sent.body, schema).leaves {
            for (path, _, _) in
                difference(&leaf.path, value_at(live, &leaf.path), value_at(after, &leaf.path), Keys::default())
            {
                let shown = change
                    .fields
                    .iter()
                    .any(|f| path.is_below(&f.path) || f.path.is_below(&path) || near(&f.path, &path));
                assert!(shown, "{path} changes and is not reported: {}", story());
            }
        }
    }

    /// Whether the object is found unchanged as it comes off the wire.
    fn is_proven(&self, sent: &Sent, live: &Value) -> bool {
        let screen = Screen::new(&sent.desired, &sent.parents, &self.schemas.schemas, false);
        let listing =
            screen.listing(&sent.reference.group_kind(), sent.body["apiVersion"].as_str().expect("a version"));
        let text = live.to_string();
        let item = serde_json::from_str(&text).expect("JSON");
        matches!(screen.keep(&listing, &item), Some((_, Stored::Unchanged(_))))
    }
}

/// Whether two paths go into the same list: one names its items by key, the other by place.
fn near(a: &spinway::fields::FieldPath, b: &spinway::fields::FieldPath) -> bool {
    let list = |path: &spinway::fields::FieldPath| {
        path.0.iter().take_while(|e| e.name().is_some()).cloned().collect::<Vec<_>>()
    };
    list(a) == list(b) || list(a).starts_with(&list(b)) || list(b).starts_with(&list(a))
}

/// An object without what moves by itself.
fn bare(value: &Value) -> Value {
    let mut value = value.clone();
    let map = value.as_object_mut().expect("an object");
    map.remove("status");
    let metadata = map["metadata"].as_object_mut().expect("metadata");
    for field in ["resourceVersion", "generation"] {
        metadata.remove(field);
    }
    let mut rows = metadata["managedFields"].as_array().cloned().unwrap_or_default();
    rows.retain(|row| row["subresource"] != "status");
    for row in &mut rows {
        row.as_object_mut().expect("an entry").remove("time");
    }
    rows.sort_by_key(ToString::to_string);
    metadata.insert("managedFields".to_owned(), Value::Array(rows));
    value.sort_all_objects();
    value
}
