//! The rules of a change: those of what it is based on, so that nobody loosens what binds them (design law 11).

use super::{CONFIG_FILE, Config, Entry, Tree, below, config, yaml};
use crate::object::Untrusted;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Puts the rules of the base in the place of a tree's own: its Config and its Approvals. Gives what is to be said of that
/// first.
pub fn under_the_rules_of(base: &Tree, tree: &mut Tree) -> Vec<Untrusted> {
    let mut said = Vec::new();
    let (old, new) = (base.entries.get(CONFIG_FILE), tree.entries.get(CONFIG_FILE));
    match (old, new) {
        (Some(old), new) if new != Some(old) => {
            said.push(Untrusted::new(format!(
                "The rules (spinway.yaml) change with this pull request: {}. It is judged by those of the base; the new ones \
                 hold after the merge, so read that change first.",
                changed(base, tree)
            )));
            tree.entries.insert(CONFIG_FILE.to_owned(), old.clone());
        }
        (None, Some(_)) => said.push(Untrusted::new(
            "The rules (spinway.yaml) come with this pull request: there are none in the base to judge it by.",
        )),
        _ => {}
    }
    let left_out = changed_left_out(base, tree);
    if !left_out.is_empty() {
        said.push(Untrusted::new(format!(
            "Which files are read changes with this pull request: {}. What these files newly leave out is not checked, and after \
             the merge it is deleted where it is live, so read that change first.",
            left_out.join(", ")
        )));
    }
    let approvals = changed_approvals(base, tree);
    if !approvals.is_empty() {
        let files: Vec<&str> = approvals.iter().map(String::as_str).collect();
        said.push(Untrusted::new(format!(
            "Approvals change with this pull request: {}. They count after the merge.",
            files.join(", ")
        )));
    }
    for file in approvals {
        match base.entries.get(&file).cloned() {
            Some(entry) => tree.entries.insert(file, entry),
            None => tree.entries.remove(&file),
        };
    }
    said
}

/// Which rules differ between the Configs of two revisions, in words; none where none do, or where one has none.
pub fn changed_rules(base: Option<&Entry>, head: Option<&Entry>) -> Option<String> {
    let (base, head) = (base?, head?);
    let alone = |entry: &Entry| Tree::of([(CONFIG_FILE.to_owned(), entry.clone())].into());
    let (base, head) = (alone(base), alone(head));
    (spec(&base) != spec(&head)).then(|| changed(&base, &head))
}

/// The `spec` of a tree's Config as it was written.
fn spec(tree: &Tree) -> Option<Value> {
    let text = tree.text(CONFIG_FILE)?;
    let (documents, _) = yaml::read(&Arc::from(CONFIG_FILE), text);
    documents.into_iter().next()?.value.get("spec").cloned()
}

/// The parts of the Config that differ, in words: those that bind people come with their names.
fn changed(base: &Tree, tree: &Tree) -> String {
    let (Some(Value::Object(old)), Some(Value::Object(new))) = (spec(base), spec(tree)) else {
        return "as a whole".to_owned();
    };
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut parts = Vec::new();
    for key in keys.into_iter().filter(|key| old.get(*key) != new.get(*key)) {
        let named = |spec: &serde_json::Map<String, Value>| -> Vec<(String, Value)> {
            let items = spec.get(key).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(|item| Some((item.get("name")?.as_str()?.to_owned(), item.clone()))).collect()
        };
        let (before, after) = (named(&old), named(&new));
        let names: BTreeSet<&String> = before.iter().chain(&after).map(|(name, _)| name).collect();
        let find = |list: &[(String, Value)], name: &str| list.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        for name in &names {
            let (was, is) = (find(&before, name), find(&after, name));
            if was != is {
                parts.push(format!("{key} {name}{}", fields(was.as_ref(), is.as_ref())));
            }
        }
        let unnamed = |spec: &serde_json::Map<String, Value>| -> Vec<Value> {
            let items = spec.get(key).and_then(Value::as_array).into_iter().flatten();
            items.filter(|item| item.get("name").is_none()).cloned().collect()
        };
        if names.is_empty() || unnamed(&old) != unnamed(&new) {
            parts.push(key.clone());
        }
    }
    if parts.is_empty() { "in its text alone".to_owned() } else { parts.join(", ") }
}

/// The fields of a named part that differ.
fn fields(was: Option<&Value>, is: Option<&Value>) -> String {
    let (Some(Value::Object(was)), Some(Value::Object(is))) = (was, is) else {
        return if was.is_some() { " (removed)".to_owned() } else { " (new)".to_owned() };
    };
    let keys: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let differ: Vec<&str> = keys.into_iter().filter(|key| was.get(*key) != is.get(*key)).map(String::as_str).collect();
    format!(" ({})", differ.join(", "))
}

/// The `.spinwayignore` files beyond those of single tenants that leave out something else than in the base, where the base has
/// rules: they hide files from every rule.
fn changed_left_out(base: &Tree, tree: &Tree) -> Vec<String> {
    let Some(config) = spec(base).map(|spec| config::typed::<Config>(&spec, "").ok().unwrap_or_default()) else {
        return Vec::new();
    };
    let (old, new) = (base.left_out(), tree.left_out());
    let files: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let differ = files.into_iter().filter(|file| old.get(file) != new.get(file) && config.tenant_of(file).is_none());
    differ.map(str::to_owned).collect()
}

/// The files below the base's `approvals.paths` that differ, with the values of whichever environment in the paths.
fn changed_approvals(base: &Tree, tree: &Tree) -> BTreeSet<String> {
    let config = spec(base).and_then(|spec| config::typed::<Config>(&spec, "").ok()).unwrap_or_default();
    let written = &config.approvals.paths;
    let replaced = |environment| written.iter().map(move |path| super::with_values(path, environment));
    let folders: BTreeSet<String> =
        config.environments.iter().flat_map(replaced).chain(written.iter().cloned()).collect();
    let held = |path: &&String| folders.iter().any(|approvals| below(path, approvals).is_some());
    let paths: BTreeSet<&String> = base.entries.keys().chain(tree.entries.keys()).filter(held).collect();
    paths.into_iter().filter(|path| base.entries.get(*path) != tree.entries.get(*path)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Entry;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let entries = files.iter().map(|(path, text)| ((*path).to_owned(), Entry::File(text.as_bytes().to_vec())));
        Tree::of(entries.collect())
    }

    const CONFIG: &str = "kind: Config\nspec:\n  environments: [{name: live, protected: true}]\n  tenants: [{name: a, namespaces: [a]}, {name: b}]\n  approvals: {paths: [ok]}\n";

    #[test]
    fn what_binds_comes_from_the_base_and_its_change_is_said_first() {
        let base = tree(&[("spinway.yaml", CONFIG), ("ok/old.yaml", "1"), ("apps/a.yaml", "1")]);
        let edited = CONFIG
            .replace("protected: true", "protected: false")
            .replace("[a]}", "[a, kube-system]}")
            .replace(", {name: b}", ", {name: c}");
        let mut change = tree(&[("spinway.yaml", &edited), ("ok/new.yaml", "2"), ("apps/a.yaml", "2")]);
        let said = under_the_rules_of(&base, &mut change);
        assert!(
            said[0].raw().contains(
                "environments live (protected), tenants a (namespaces), tenants b (removed), tenants c (new)."
            ),
            "{said:?}"
        );
        assert_eq!(
            said[1].raw(),
            "Approvals change with this pull request: ok/new.yaml, ok/old.yaml. They count after the merge."
        );
        assert_eq!(
            (change.text("spinway.yaml"), change.text("ok/old.yaml"), change.text("ok/new.yaml")),
            (Some(CONFIG), Some("1"), None)
        );
        assert_eq!(change.text("apps/a.yaml"), Some("2"));
        assert_eq!(under_the_rules_of(&base, &mut base.clone()), []);
        let suppressing = |more: &str| {
            let text = format!("{CONFIG}  suppressions: [{{check: SPW103, name: pay, reason: r}}{more}]\n");
            tree(&[("spinway.yaml", &text)])
        };
        let said = under_the_rules_of(&suppressing(""), &mut suppressing(", {check: SPW101, reason: r}"));
        assert!(said[0].raw().contains("with this pull request: suppressions."), "{said:?}");
        // The folder may be named by a value of an environment.
        let valued = CONFIG
            .replace("protected: true", "protected: true, values: {zone: west}")
            .replace("[ok]", "[\"ok/${zone}\"]");
        let mut change = tree(&[("spinway.yaml", &valued), ("ok/west/new.yaml", "2")]);
        let said = under_the_rules_of(&tree(&[("spinway.yaml", &valued)]), &mut change);
        assert!(said[0].raw().contains("ok/west/new.yaml") && change.text("ok/west/new.yaml").is_none(), "{said:?}");
        // What is read, unless it is of one tenant alone.
        let bounded = CONFIG.replace("{name: a, ", "{name: a, paths: [apps/a], ");
        let ignoring = |files: &[(&str, &str)]| tree(&[&[("spinway.yaml", bounded.as_str())], files].concat());
        let said = |before: &[(&str, &str)], after: &[(&str, &str)]| {
            let said = under_the_rules_of(&ignoring(before), &mut ignoring(after));
            said.iter().map(|said| said.raw().split(". ").next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        let root = ".spinwayignore";
        let changes = "Which files are read changes with this pull request: .spinwayignore";
        assert_eq!(said(&[], &[(root, "apps/a/*.yaml\n")]), [changes]);
        assert_eq!(said(&[(root, "docs\n")], &[]), [changes]);
        assert_eq!(
            said(&[(root, "docs\n")], &[(root, "docs\napps\n"), ("apps/.spinwayignore", "b")]),
            [format!("{changes}, apps/.spinwayignore")]
        );
        assert_eq!(said(&[(root, "docs\n")], &[(root, "# our notes\n\ndocs\n")]), [""; 0]);
        assert_eq!(said(&[], &[("apps/a/.spinwayignore", "b.yaml\n")]), [""; 0]);
        let removed = under_the_rules_of(&base, &mut tree(&[]));
        assert!(removed[0].raw().contains("as a whole"), "{removed:?}");
        let first = under_the_rules_of(&tree(&[]), &mut base.clone());
        assert!(first[0].raw().contains("there are none in the base"), "{first:?}");
    }
}
