//! The bytes of a repository, already in memory: nothing is ever checked out.

use super::{Amount, Config, FileOwner, Shares};
use crate::object::{distance, nearest};
use globset::{Glob, GlobBuilder, GlobMatcher};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 8 << 20;
/// The largest `.spinwayignore`, in bytes: each of its lines is held against every path below it.
const MAX_IGNORE_BYTES: usize = 64 << 10;
/// The most that all files together may hold, in bytes.
pub const MAX_TREE_BYTES: u64 = 512 << 20;

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file that was read.
    File(Vec<u8>),
    /// A symbolic link, with where it leads: never followed.
    Symlink(String),
    /// A submodule or a nested repository: never read.
    Submodule,
    /// A file beyond the budget, with its size in bytes.
    TooLarge(u64),
    /// A file that could not be read, and why.
    Unreadable(String),
    /// A file of an owner that has more than its share.
    Beyond,
}

/// The files of a directory or of a revision, by path with `/`. Only files that spinway can mean something by are in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The entries.
    pub entries: BTreeMap<String, Entry>,
    /// The owners of which not all files are here, since they have more than their share: a tenant's name, empty for nobody.
    pub exceeded: BTreeMap<String, Amount>,
    /// The folders, also those without a file that is read.
    pub folders: BTreeSet<String>,
}

impl Tree {
    /// A tree of these entries.
    pub fn of(entries: BTreeMap<String, Entry>) -> Self {
        Self { entries, ..Self::default() }
    }

    /// Whether there is a folder or a file of this path.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_start_matches("./").trim_matches('/');
        let inside = format!("{path}/");
        let holds = |first: Option<&String>| first.is_some_and(|first| first.starts_with(&inside));
        self.folders.contains(path)
            || self.entries.contains_key(path)
            || holds(self.entries.range(inside.clone()..).next().map(|(first, _)| first))
            || holds(self.folders.range(inside.clone()..).next())
    }

    /// Whether a file of that name belongs into a tree: YAML, JSON, kustomizations and `.spinwayignore`, and what was probably
    /// meant to have such a name.
    pub fn wants(name: &str) -> bool {
        name == IGNORE_FILE || is_manifest(name) || is_kustomization(name) || meant_name(name).is_some()
    }

    /// Adds a file, unless another one of this name cannot be read.
    pub fn add(&mut self, path: String, entry: Entry) {
        let is_large = matches!(&entry, Entry::File(bytes) if bytes.len() > MAX_IGNORE_BYTES);
        let entry = if is_large && is_ignore_file(&path) {
            Entry::Unreadable(format!("it has more than {} KiB", MAX_IGNORE_BYTES >> 10))
        } else {
            entry
        };
        if !matches!(self.entries.get(&path), Some(Entry::Unreadable(_))) {
            self.entries.insert(path, entry);
        }
    }

    /// Notes a file or folder whose name is not UTF-8, by how the name is shown: several may be shown as one, so none of them is
    /// read.
    pub fn nameless(&mut self, path: String) {
        let path = if is_manifest(&path) { path } else { format!("{path}.yaml") };
        self.entries.insert(path, Entry::Unreadable("its name is not UTF-8".to_owned()));
    }

    /// Whether an owner has more than its share.
    pub fn exceeds(&self, owner: Option<&str>) -> bool {
        owner.is_some_and(|owner| self.exceeded.contains_key(owner))
    }

    /// Adds a file of so many bytes, unless its owner has used up its share: then nothing of that owner is kept.
    pub fn share(&mut self, path: String, bytes: u64, shares: &Shares, read: impl FnOnce() -> Entry) {
        let owner = shares.owner(&path);
        if self.exceeds(owner) {
            return self.add(path, Entry::Beyond);
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if shares.take(owner, Amount::Files, 1) && shares.take(owner, Amount::Bytes, bytes) {
            return self.add(path, read());
        }
        self.exceed(owner, shares);
        self.add(path, Entry::Beyond);
    }

    /// Counts a file or folder; false when its owner has used up its share, and nothing of it is looked at any more.
    pub fn counts(&mut self, path: &str, shares: &Shares) -> bool {
        let owner = shares.owner(path);
        if self.exceeds(owner) {
            return false;
        }
        let counts = shares.take(owner, Amount::Entries, 1);
        if !counts {
            self.exceed(owner, shares);
        }
        counts
    }

    /// Keeps nothing of an owner that has more than its share.
    fn exceed(&mut self, owner: Option<&str>, shares: &Shares) {
        self.exceeded = shares.exceeded();
        for (path, entry) in &mut self.entries {
            if shares.owner(path) == owner {
                *entry = Entry::Beyond;
            }
        }
    }

    /// The text of a file, where it is UTF-8.
    pub fn text(&self, path: &str) -> Option<&str> {
        match self.entries.get(path)? {
            Entry::File(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The bytes that a file has here.
    pub fn size(&self, path: &str) -> usize {
        match self.entries.get(path) {
            Some(Entry::File(bytes)) => bytes.len(),
            _ => 0,
        }
    }

    /// The paths of all manifests that no `.spinwayignore` leaves out, in order. One of a tenant leaves out files of this tenant
    /// alone, whatever is below it.
    pub fn manifests(&self, rules: &Config) -> Vec<&str> {
        let ignores = self.ignores();
        let hides = |folder: &str, path: &str| match rules.owner_of(&ignore_file(folder)) {
            FileOwner::Tenant(tenant) => rules.tenant_of(path).is_some_and(|of| of.name == tenant.name),
            FileOwner::Platform | FileOwner::Nobody => true,
        };
        let ignored = |path: &str| {
            folders(path).filter_map(|folder| Some((folder, ignores.get(folder)?))).any(|(folder, patterns)| {
                below(path, folder).is_some_and(|rest| patterns.matched_path_or_any_parents(rest, false).is_ignore())
                    && hides(folder, path)
            })
        };
        let wanted = |entry: &Entry, path: &str| match entry {
            Entry::Symlink(target) => self.hides_manifests(path, target),
            // What a submodule hides cannot be known.
            Entry::Submodule => true,
            // Nor what a list leaves out that cannot be read.
            Entry::Unreadable(_) if is_ignore_file(path) => true,
            _ => is_manifest(path) || is_kustomization(path) || meant_name(path).is_some(),
        };
        self.entries
            .iter()
            .filter(|(path, entry)| wanted(entry, path) && !ignored(path))
            .map(|(path, _)| path.as_str())
            .collect()
    }

    /// The `.spinwayignore` files, each with what it leaves out: its lines without those that say nothing.
    pub fn left_out(&self) -> BTreeMap<&str, Vec<&str>> {
        let files = self.entries.keys().filter(|path| is_ignore_file(path));
        let says_something = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
        let lines = |path: &'_ str| self.text(path).unwrap_or_default().lines().filter(says_something).collect();
        files.map(|path| (path.as_str(), lines(path))).filter(|(_, lines): &(_, Vec<_>)| !lines.is_empty()).collect()
    }

    /// Whether manifests may be behind a link: it is named like one, or leads to a folder, or the tree does not tell where it leads
    /// and no file extension does.
    fn hides_manifests(&self, path: &str, target: &str) -> bool {
        if is_manifest(path) || is_kustomization(path) {
            return true;
        }
        let Some(target) = resolved(path, target) else {
            let name = target.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            return !name.trim_start_matches('.').contains('.');
        };
        let is_link = |path: &str| matches!(self.entries.get(path), Some(Entry::Symlink(_) | Entry::Submodule));
        target.is_empty()
            || self.has_folder(&target)
            || is_link(&target)
            || target.match_indices('/').any(|(at, _)| is_link(&target[..at]))
    }

    /// Whether there is a folder of this path.
    pub(super) fn has_folder(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        let next = self.entries.range(inside.clone()..).next();
        self.folders.contains(path) || next.is_some_and(|(first, _)| first.starts_with(&inside))
    }

    /// Whether something is a file of the tree, which a link or a submodule is not.
    pub(super) fn is_file(&self, path: &str) -> bool {
        !matches!(self.entries.get(path), Some(Entry::Symlink(_) | Entry::Submodule))
    }

    /// The rules of each folder that has any.
    fn ignores(&self) -> BTreeMap<String, Gitignore> {
        let files = self.entries.keys().filter(|path| is_ignore_file(path));
        let read = files.filter_map(|path| {
            let folder = path.strip_suffix(IGNORE_FILE)?.trim_end_matches('/');
            let mut builder = GitignoreBuilder::new("");
            for line in self.text(path)?.lines() {
                // A line that is no pattern matches nothing, as in git.
                let _ = builder.add_line(None, line);
            }
            Some((folder.to_owned(), builder.build().ok()?))
        });
        read.collect()
    }
}

/// The folders that a path is in, from the root.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    std::iter::once("").chain(path.match_indices('/').map(|(at, _)| &path[..at]))
}

/// The name of the files that list what is not read.
const IGNORE_FILE: &str = ".spinwayignore";

/// The path of the file that lists what of a folder is not read.
fn ignore_file(folder: &str) -> String {
    if folder.is_empty() { IGNORE_FILE.to_owned() } else { format!("{folder}/{IGNORE_FILE}") }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn is_ignore_file(path: &str) -> bool {
    file_name(path) == IGNORE_FILE
}

/// The file extensions of manifests.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Whether a path is that of a manifest.
fn is_manifest(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
}

/// Whether a path is that of a kustomization.
pub(super) fn is_kustomization(path: &str) -> bool {
    matches!(file_name(path), "kustomization.yaml" | "kustomization.yml" | "Kustomization")
}

/// Extensions of other formats that are one letter from ours.
const LIKE_OURS: [&str; 10] = ["bson", "ejson", "eyaml", "haml", "hjson", "json5", "jsonc", "jsonl", "saml", "xaml"];

/// The name that a file was probably meant to have, where it is not read under its own: `cart.YAML`, `cart.yam`, `.spinwayignor`.
pub(super) fn meant_name(path: &str) -> Option<String> {
    let name = file_name(path);
    if is_manifest(name) || is_kustomization(name) || name == IGNORE_FILE {
        return None;
    }
    if name.starts_with(".spin") && nearest(name, [IGNORE_FILE]).is_some() {
        return Some(IGNORE_FILE.to_owned());
    }
    let (stem, extension) = name.rsplit_once('.')?;
    let lower = extension.to_lowercase();
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    let lower = lower.trim_end();
    // Editors add other signs to the names of their copies.
    let is_word = lower.chars().all(char::is_alphanumeric) && !LIKE_OURS.contains(&lower);
    let is_near = |known: &&&str| is_word && known.len() > 3 && distance(known, lower) == 1;
    let meant = EXTENSIONS.iter().find(|known| letters(known) == letters(lower));
    let meant = meant.or_else(|| EXTENSIONS.iter().find(is_near))?;
    Some(format!("{stem}.{meant}"))
}

/// Whether a path below a folder leads through a folder whose name begins with a dot; what is no file may itself be one.
pub(super) fn is_hidden(rest: &str, is_file: bool) -> bool {
    let parts: Vec<&str> = rest.split('/').collect();
    let folders = &parts[..parts.len() - usize::from(is_file)];
    folders.iter().any(|part| part.starts_with('.') && !matches!(*part, "." | ".."))
}

/// Where a path that is written in a file or link of the tree leads; none for a place outside of the tree.
pub(super) fn resolved(from: &str, target: &str) -> Option<String> {
    if target.is_empty() || target.starts_with('/') {
        return None;
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The rest of a path below a folder (`""` and `.` are the root), by whole segments.
pub fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let folder = folder.trim_start_matches("./").trim_matches('/');
    if folder.is_empty() || folder == "." {
        return Some(path);
    }
    let rest = path.strip_prefix(folder)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// A glob that is held against many texts: it is made ready once. One that does not parse matches only itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "String")]
pub struct Pattern {
    text: String,
    matcher: Arc<OnceLock<Option<GlobMatcher>>>,
}

impl Pattern {
    /// Whether a text matches.
    pub fn is_match(&self, text: &str) -> bool {
        if is_plain(&self.text) {
            return self.text == text;
        }
        // What most are, without the machine of a regular expression.
        if let Some(start) = self.text.strip_suffix('*').filter(|start| is_plain(start)) {
            return text.starts_with(start);
        }
        let matcher = self.matcher.get_or_init(|| Glob::new(&self.text).ok().map(|glob| glob.compile_matcher()));
        matcher.as_ref().map_or_else(|| self.text == text, |matcher| matcher.is_match(text))
    }

    /// The glob as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self { text, matcher: Arc::default() }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl JsonSchema for Pattern {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// Whether a text matches a glob; a glob that does not parse matches only itself.
pub fn glob(pattern: &str, text: &str) -> bool {
    Pattern::from(pattern.to_owned()).is_match(text)
}

/// Whether a pattern stands for itself alone.
fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', ']', '{', '}', '\\', '!'])
}

/// As [`glob`], but `*` and `?` do not cross `/`.
pub fn glob_within(pattern: &str, text: &str) -> bool {
    if is_plain(pattern) {
        return pattern == text;
    }
    let built = GlobBuilder::new(pattern).literal_separator(true).build();
    built.map_or_else(|_| pattern == text, |g| g.compile_matcher().is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Tenant;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let entries = files.iter().map(|(path, text)| ((*path).to_owned(), Entry::File(text.as_bytes().to_vec())));
        Tree::of(entries.collect())
    }

    #[test]
    fn spinwayignore_has_gitignore_syntax_at_every_level() {
        let tree = tree(&[
            (".spinwayignore", "/drafts/\n*.tmp.yaml\n!keep.tmp.yaml\n"),
            ("a.yaml", ""),
            ("a.tmp.yaml", ""),
            ("keep.tmp.yaml", ""),
            ("drafts/b.yaml", ""),
            ("sub/drafts/c.yaml", ""),
            ("sub/.spinwayignore", "d.yaml"),
            ("sub/d.yaml", ""),
            ("d.yaml", ""),
        ]);
        assert_eq!(tree.manifests(&Config::default()), ["a.yaml", "d.yaml", "keep.tmp.yaml", "sub/drafts/c.yaml"]);
    }

    #[test]
    fn what_a_tenant_leaves_out_is_its_own() {
        let tree = tree(&[
            ("apps/one/.spinwayignore", "*.yaml\n"),
            ("apps/one/a.yaml", ""),
            ("apps/one/base/b.yaml", ""),
            ("apps/one/two/c.yaml", ""),
            ("apps/.spinwayignore", "d.yaml\n"),
            ("apps/one/two/d.yaml", ""),
        ]);
        let tenant = |name: &str, path: &str| Tenant {
            name: name.to_owned(),
            paths: vec![path.to_owned()],
            ..Tenant::default()
        };
        let mut rules =
            Config { tenants: vec![tenant("one", "apps/one"), tenant("two", "apps/one/two")], ..Config::default() };
        rules.platform.paths = Some(vec!["apps/one/base".to_owned()]);
        assert_eq!(tree.manifests(&rules), ["apps/one/base/b.yaml", "apps/one/two/c.yaml"]);
        assert_eq!(tree.manifests(&Config::default()), [""; 0]);
    }

    #[test]
    fn a_spinwayignore_that_is_too_large_is_not_passed_over() {
        let mut tree = Tree::default();
        tree.add("a/.spinwayignore".to_owned(), Entry::File("x\n".repeat(MAX_IGNORE_BYTES).into_bytes()));
        tree.add("a/x.yaml".to_owned(), Entry::File(Vec::new()));
        assert_eq!(tree.manifests(&Config::default()), ["a/.spinwayignore", "a/x.yaml"]);
        assert!(matches!(tree.entries["a/.spinwayignore"], Entry::Unreadable(_)));
    }

    #[test]
    fn a_folder_is_there_with_what_it_holds() {
        let mut tree = tree(&[("apps/cart/a.yaml", ""), ("apps/cart-b.yaml", "")]);
        tree.folders.insert("docs/more".to_owned());
        for path in ["apps", "apps/cart", "./apps/cart/", "apps/cart/a.yaml", "docs", "docs/more"] {
            assert!(tree.has(path), "{path}");
        }
        for path in ["app", "apps/car", "apps/cart/b", "docs/m", "z"] {
            assert!(!tree.has(path), "{path}");
        }
    }

    #[test]
    fn below_goes_by_whole_segments() {
        assert_eq!(below("apps/cart/a.yaml", "apps/cart"), Some("a.yaml"));
        assert_eq!(below("apps/cart2/a.yaml", "apps/cart"), None);
        assert_eq!(below("a.yaml", "."), Some("a.yaml"));
        assert_eq!(below("apps/a.yaml", "./apps/"), Some("a.yaml"));
    }

    #[test]
    fn a_link_is_told_by_what_it_may_hide() {
        let mut tree = tree(&[("apps/cart/a.yaml", ""), ("other/b.yaml", "")]);
        let links = [
            ("apps/CLAUDE.md", "../AGENTS.md", false),
            ("apps/LICENSE", "../../LICENSE.txt", false),
            ("apps/a.json", "../notes.txt", true),
            ("apps/shared", "../other", true),
            ("apps/again", "shared", true),
            ("apps/deep", "shared/x", true),
            ("apps/up", "..", true),
            ("apps/out", "../../elsewhere", true),
            ("apps/etc", "/etc/ssl", true),
            ("apps/readme", "../README", false),
        ];
        for (path, target, _) in links {
            tree.add(path.to_owned(), Entry::Symlink(target.to_owned()));
        }
        let read = tree.manifests(&Config::default());
        for (path, _, hides) in links {
            assert_eq!(read.contains(&path), hides, "{path}");
        }
    }

    #[test]
    fn names_that_are_nearly_those_of_manifests_are_told() {
        for (name, meant) in [
            ("apps/cart.YAML", Some("cart.yaml")),
            ("cart.Yml", Some("cart.yml")),
            ("cart.ymal", Some("cart.yaml")),
            ("a/.spinwayignor", Some(".spinwayignore")),
            (".spinwayIgnore", Some(".spinwayignore")),
            (".gitignore", None),
            ("cart.yaml", None),
            ("cart.yam", Some("cart.yaml")),
            ("cart.y4ml", Some("cart.yaml")),
            ("cart.jsn", Some("cart.json")),
            ("cart.yaml ", Some("cart.yaml")),
            ("cart.json5", None),
            ("cart.yaml~", None),
            ("cart.yaml_", None),
            ("secrets.ejson", None),
            ("page.xml", None),
            ("page.haml", None),
            ("cart.yaml.bak", None),
            ("README", None),
        ] {
            assert_eq!(meant_name(name).as_deref(), meant, "{name}");
        }
    }

    #[test]
    fn folders_with_a_dot_are_hidden() {
        for (rest, is_file, hidden) in [
            (".github/workflows/ci.yml", true, true),
            ("a/.cache/b.yaml", true, true),
            (".gitlab-ci.yml", true, false),
            (".link", false, true),
            ("a/b.yaml", true, false),
        ] {
            assert_eq!(is_hidden(rest, is_file), hidden, "{rest}");
        }
    }
}
