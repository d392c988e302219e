//! What kustomizations and Helm charts use: it is not read as plain manifests, since part of it are patches and templates, and the
//! rest is meant to be changed before it is applied.

use super::tree::{is_kustomization, resolved};
use super::{Tree, yaml};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Fields of a kustomization that are lists of paths, of files or folders.
const LISTS: [&str; 10] = [
    "resources",
    "bases",
    "components",
    "patchesStrategicMerge",
    "generators",
    "transformers",
    "validators",
    "configurations",
    "crds",
    "replacements",
];

/// Fields whose items name a file by `path`.
const PATHS: [&str; 3] = ["patches", "patchesJson6902", "replacements"];

/// The file that makes a folder a Helm chart.
const CHART: &str = "Chart.yaml";

/// The files that kustomizations use, and the charts.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// Each file with the kustomization that uses it.
    files: BTreeMap<String, String>,
    /// The folders of charts, with a `/` at their end.
    charts: BTreeSet<String>,
}

impl Used {
    /// What the kustomizations among these paths use: what stands beside them and what they list. A kustomization takes nothing
    /// from another owner, whose files stay what they are.
    pub(super) fn by(tree: &Tree, read: &[&str], owner: impl Fn(&str) -> String) -> Self {
        let charts = read.iter().filter_map(|path| path.strip_suffix(CHART));
        let charts = charts.filter(|folder| folder.is_empty() || folder.ends_with('/')).map(str::to_owned).collect();
        let own: Vec<&str> = read.iter().copied().filter(|path| is_kustomization(path)).collect();
        if own.is_empty() {
            return Self { charts, ..Self::default() };
        }
        let mut users: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for path in own {
            users.entry(folder(path).to_owned()).or_default().insert(0, path);
            let documents = tree.text(path).map(|text| yaml::read(&Arc::from(path), text).0).unwrap_or_default();
            let listed = documents.iter().flat_map(|document| listed(&document.value));
            for target in listed.filter_map(|target| resolved(path, target)).filter(|target| !target.is_empty()) {
                users.entry(format!("{target}/")).or_default().push(path);
            }
        }
        let user = |path: &str| {
            // A folder that is listed takes all below it, a folder with a kustomization what stands right in it.
            let listed = path.match_indices('/').map(|(at, _)| path[..=at].to_owned()).chain([format!("{path}/")]);
            let places = std::iter::once(folder(path).to_owned()).chain(listed);
            let all: Vec<&str> = places.filter_map(|place| users.get(&place)).flatten().copied().collect();
            all.into_iter().find(|user| owner(user) == owner(path)).map(str::to_owned)
        };
        let files = read.iter().filter(|path| !is_kustomization(path));
        Self { charts, files: files.filter_map(|path| Some(((*path).to_owned(), user(path)?))).collect() }
    }

    /// Whether a file is used by a kustomization.
    pub(super) fn takes(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The `Chart.yaml` of the charts that a file stands in, the outermost first.
    pub(super) fn charts_of(&self, path: &str) -> impl Iterator<Item = String> {
        let folders = std::iter::once("").chain(path.match_indices('/').map(|(at, _)| &path[..=at]));
        let charts = folders.filter(|folder| self.charts.contains(*folder)).map(|folder| format!("{folder}{CHART}"));
        charts.collect::<Vec<_>>().into_iter()
    }

    /// How many files a kustomization uses.
    pub(super) fn count(&self, kustomization: &str) -> usize {
        self.files.values().filter(|user| *user == kustomization).count()
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The files and folders that a kustomization names.
fn listed(kustomization: &Value) -> Vec<&str> {
    let items = |field: &str| kustomization.get(field).and_then(Value::as_array).into_iter().flatten();
    let mut found: Vec<&str> = LISTS.iter().flat_map(|field| items(field)).filter_map(Value::as_str).collect();
    let by_path = PATHS.iter().flat_map(|field| items(field)).filter_map(|item| item.get("path")?.as_str());
    found.extend(by_path);
    for generator in items("configMapGenerator").chain(items("secretGenerator")) {
        let list = |field: &str| generator.get(field).and_then(Value::as_array).into_iter().flatten();
        let files = list("files").chain(list("envs")).chain(generator.get("env")).filter_map(Value::as_str);
        // `key=path`, or the path alone.
        found.extend(files.map(|file| file.split_once('=').map_or(file, |(_, path)| path)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Config, Entry};

    fn used(files: &[(&str, &str)]) -> (Used, Vec<String>) {
        let entries = files.iter().map(|(path, text)| ((*path).to_owned(), Entry::File(text.as_bytes().to_vec())));
        let tree = Tree::of(entries.collect());
        let owner = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
        let used = Used::by(&tree, &tree.manifests(&Config::default()), owner);
        let taken =
            tree.manifests(&Config::default()).into_iter().filter(|path| used.takes(path)).map(str::to_owned).collect();
        (used, taken)
    }

    #[test]
    fn what_a_kustomization_lists_and_what_stands_beside_it_is_its_own() {
        let (used, taken) = used(&[
            (
                "apps/overlay/kustomization.yaml",
                "resources: [../base, extra/route.yaml]\npatches: [{path: patches/mode.yaml}]\ncomponents: [../debug]\n\
                 configMapGenerator: [{name: a, files: [settings.json=../settings.json, b.json]}]\n",
            ),
            ("apps/overlay/beside.yaml", ""),
            ("apps/overlay/extra/route.yaml", ""),
            ("apps/overlay/extra/plain.yaml", ""),
            ("apps/overlay/patches/mode.yaml", ""),
            ("apps/base/deployment.yaml", ""),
            ("apps/debug/deep/er.yaml", ""),
            ("apps/settings.json", ""),
            ("apps/plain.yaml", ""),
        ]);
        assert_eq!(
            taken,
            [
                "apps/base/deployment.yaml",
                "apps/debug/deep/er.yaml",
                "apps/overlay/beside.yaml",
                "apps/overlay/extra/route.yaml",
                "apps/overlay/patches/mode.yaml",
                "apps/settings.json",
            ]
        );
        assert_eq!(used.count("apps/overlay/kustomization.yaml"), 6);
    }

    #[test]
    fn a_chart_is_known_by_its_file() {
        let (used, _) = used(&[
            ("a/web/Chart.yaml", ""),
            ("a/web/templates/x.yaml", ""),
            ("a/b/MyChart.yaml", ""),
            ("a/b/y.yaml", ""),
        ]);
        let charts = |path: &str| used.charts_of(path).collect::<Vec<_>>();
        assert_eq!(charts("a/web/templates/x.yaml"), ["a/web/Chart.yaml"]);
        assert!(charts("a/b/y.yaml").is_empty() && charts("a/x.yaml").is_empty());
    }

    #[test]
    fn a_tree_without_kustomizations_is_plain() {
        assert_eq!(used(&[("a.yaml", "patches: [{path: b.yaml}]\n"), ("b.yaml", "")]).1, Vec::<String>::new());
        // Nobody takes the files of another team.
        assert_eq!(used(&[("a/kustomization.yaml", "resources: [../b]\n"), ("b/x.yaml", "")]).1, Vec::<String>::new());
        assert_eq!(
            used(&[("Kustomization", "resources: ['https://example.com/x', ..]\n"), ("x/b.yaml", "")]).1,
            Vec::<String>::new()
        );
    }
}
