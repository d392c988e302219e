//! Images of Apps and SpinApps in the texts of a repository: where each stands, and the text with digests in their place.

use super::config::Environment;
use super::yaml::{self, Raw};
use super::{CONFIG_FILE, Desired, GROUP, ReadError, Tree, choose, read_config};
use crate::kinds::SPIN;
use crate::object::{Origin, Position, Severity, escape, split_api_version};
use serde_json::Value;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// The parts of an image: `NAME[:TAG][@DIGEST]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// The registry and the repository.
    pub name: &'a str,
    /// The tag.
    pub tag: Option<&'a str>,
    /// The digest, with its algorithm.
    pub digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// Takes an image apart. A colon before the last `/` is that of a port.
    pub fn of(text: &'a str) -> Self {
        let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
        match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => Self { name, tag: Some(tag), digest },
            _ => Self { name: rest, tag: None, digest },
        }
    }

    /// The image by its tag alone, `latest` where it says none: what a registry is asked for.
    pub fn by_tag(&self) -> String {
        format!("{}:{}", self.name, self.tag.unwrap_or("latest"))
    }

    /// Whether it has a digest and no tag that could move.
    pub fn is_fixed(&self) -> bool {
        self.tag.is_none() && self.digest.is_some()
    }
}

/// Whether a text is a digest as Kubernetes takes it: sha256, 64 lower-case hexadecimal digits.
pub fn is_digest(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(hex))
}

/// Why an image cannot be edited where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is made of values: `${name}`.
    Values,
    /// It goes over lines of its own (`|`, `>`), or is written with escapes.
    Style,
    /// The text that stands for it stands for something else too.
    Shared,
}

/// One image of a file.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where its key stands.
    pub origin: Origin,
    /// The image as it is read.
    pub image: String,
    /// Why it cannot be edited.
    pub obstacle: Option<Obstacle>,
    bytes: Range<usize>,
    /// Every field that this text stands for: the document, and the JSON pointer in it.
    fields: Vec<(usize, String)>,
}

/// A file that may hold images.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path in the repository.
    pub path: Arc<str>,
    /// Its text.
    pub text: String,
    /// Its images, by place.
    pub places: Vec<Place>,
    /// Whether it has errors, for which it is left as it is.
    pub flawed: bool,
    documents: Vec<Value>,
}

/// The files of a repository that hold images: those that an environment reads, or any; `spinway.yaml` is one of them.
///
/// # Errors
/// The Config cannot be used, or the environment is not one of its.
pub fn images(tree: &Tree, environment: Option<&str>) -> Result<Vec<File>, ReadError> {
    let readers = readers(tree, environment)?;
    let wanted = |path: &&str| *path == CONFIG_FILE || readers.iter().any(|reader| reader.reads(tree, path));
    let rules = readers.first().map(|reader| reader.rules().clone()).unwrap_or_default();
    let files = tree.manifests(&rules).into_iter().filter(wanted);
    let read = files.filter_map(|path| Some(read(path, tree.text(path)?, environment)));
    Ok(read.filter(|file| file.flawed || !file.places.is_empty()).collect())
}

/// What each environment that is meant reads.
fn readers(tree: &Tree, asked: Option<&str>) -> Result<Vec<Desired>, ReadError> {
    let Some(config) = read_config(tree)?.map(|written| written.config) else { return Ok(vec![Desired::default()]) };
    let meant: Vec<Environment> = match asked {
        Some(_) => vec![choose(&config, asked)?.clone()],
        None => config.environments.clone(),
    };
    let reader = |environment| Desired { config: Some(config.clone()), environment, ..Desired::default() };
    Ok(meant.into_iter().map(reader).collect())
}

fn read(path: &str, text: &str, environment: Option<&str>) -> File {
    let path: Arc<str> = Arc::from(path);
    let (documents, diagnostics) = yaml::read(&path, text);
    let documents: Vec<Value> = documents.into_iter().map(|document| document.value).collect();
    let raw = yaml::raw(text);
    let wrong = diagnostics.iter().any(|d| d.severity == Severity::Error) || raw.len() != documents.len();
    let mut file =
        File { path, text: text.to_owned(), places: Vec::new(), flawed: wrong && may_hold_images(text), documents };
    if wrong {
        return file;
    }
    for (index, document) in raw.iter().enumerate() {
        let mut search = Search { file: &mut file, document: index, environment };
        search.document(&Field::root(document));
    }
    file.places.sort_by(|a, b| a.origin.cmp(&b.origin));
    file
}

/// Whether a text that cannot be read is worth a word.
fn may_hold_images(text: &str) -> bool {
    text.contains("image") && (text.contains(GROUP) || text.contains(SPIN))
}

/// A node, and where it was found.
struct Field<'a> {
    node: &'a Rc<Raw>,
    pointer: String,
    position: Position,
}

impl<'a> Field<'a> {
    fn root(node: &'a Rc<Raw>) -> Self {
        Self { node, pointer: String::new(), position: Position { line: 1, column: 1 } }
    }

    fn get(&self, key: &str) -> Option<Self> {
        let (position, node) = self.node.get(key)?;
        Some(Self { node, pointer: format!("{}/{}", self.pointer, escape(key)), position })
    }

    fn at(&self, path: &[&str]) -> Option<Self> {
        let (first, rest) = path.split_first()?;
        let next = self.get(first)?;
        if rest.is_empty() { Some(next) } else { next.at(rest) }
    }

    fn text(&self, path: &[&str]) -> Option<&'a str> {
        self.at(path)?.node.text()
    }

    /// The entries of a map.
    fn entries(&self) -> Vec<(&'a str, Self)> {
        let node: &'a Rc<Raw> = self.node;
        node.keys().into_iter().filter_map(|key| Some((key, self.get(key)?))).collect()
    }

    /// The items of a list under a key.
    fn items(&self, key: &str) -> Vec<Self> {
        let Some(list) = self.get(key) else { return Vec::new() };
        let Raw::List(items) = list.node.as_ref() else { return Vec::new() };
        let item = |(index, node)| Self { node, pointer: format!("{}/{index}", list.pointer), position: list.position };
        items.iter().enumerate().map(item).collect()
    }
}

/// The search for images in one document.
struct Search<'a> {
    file: &'a mut File,
    document: usize,
    /// The environment that is meant; none for all.
    environment: Option<&'a str>,
}

impl Search<'_> {
    fn document(&mut self, object: &Field<'_>) {
        let (Some(api_version), Some(kind)) = (object.text(&["apiVersion"]), object.text(&["kind"])) else { return };
        let group = split_api_version(api_version).0;
        let spec = object.get("spec");
        match (group, kind, spec) {
            (GROUP, "App", Some(spec)) => self.app(&spec),
            (SPIN, "SpinApp", Some(spec)) => self.image(spec.get("image")),
            (GROUP, "Patch", Some(spec)) => self.patch(&spec),
            (GROUP, "Config", Some(spec)) if *self.file.path == *CONFIG_FILE => self.config(&spec),
            _ if kind.ends_with("List") => object.items("items").iter().for_each(|item| self.document(item)),
            _ => {}
        }
    }

    fn config(&mut self, spec: &Field<'_>) {
        let tenants = spec.items("tenants");
        let environments = spec.items("environments").into_iter().filter(|e| self.means(e.text(&["name"])));
        let layers: Vec<Field<'_>> = environments.chain(tenants).collect();
        for defaults in layers.iter().chain([spec]).filter_map(|layer| layer.get("defaults")) {
            self.app(&defaults);
        }
    }

    /// The spec of an App, with the layers in it.
    fn app(&mut self, spec: &Field<'_>) {
        self.layer(spec);
        let mut layers = spec.get("environments").map(|layers| layers.entries()).unwrap_or_default();
        layers.retain(|(name, _)| self.means(Some(name)));
        layers.iter().for_each(|(_, layer)| self.layer(layer));
    }

    /// One layer of the spec of an App.
    fn layer(&mut self, spec: &Field<'_>) {
        self.image(spec.get("image"));
        self.image(spec.at(&["canary", "image"]));
        spec.items("patches").iter().for_each(|patch| self.patch(patch));
    }

    fn means(&self, environment: Option<&str>) -> bool {
        self.environment.is_none() || self.environment == environment
    }

    /// A patch of Apps, or of SpinApps.
    fn patch(&mut self, spec: &Field<'_>) {
        let of_apps = match spec.text(&["target", "kind"]) {
            Some("App") => true,
            Some("SpinApp") => false,
            Some(_) => return,
            None if spec.text(&["target", "group"]).is_none_or(|group| group == SPIN) => false,
            None => return,
        };
        if let Some(merged) = spec.at(&["merge", "spec"]) {
            if of_apps { self.app(&merged) } else { self.image(merged.get("image")) }
        }
        for operation in spec.items("json") {
            let path = operation.text(&["path"]).unwrap_or_default();
            let sets = matches!(operation.text(&["op"]), Some("add" | "replace"));
            if sets && self.is_image(path, of_apps) {
                self.image(operation.get("value"));
            }
        }
    }

    /// Whether a JSON pointer leads to an image of an App or a SpinApp.
    fn is_image(&self, pointer: &str, of_apps: bool) -> bool {
        match pointer.split('/').skip(1).collect::<Vec<_>>().as_slice() {
            ["spec", "image"] => true,
            ["spec", "canary", "image"] => of_apps,
            ["spec", "environments", name, "image"] | ["spec", "environments", name, "canary", "image"] => {
                of_apps && self.means(Some(name))
            }
            _ => false,
        }
    }

    /// Notes an image, if the field holds a text.
    fn image(&mut self, field: Option<Field<'_>>) {
        let Some(field) = field else { return };
        let Raw::Scalar(scalar) = field.node.as_ref() else { return };
        let Some(image) = scalar.text.clone() else { return };
        let here = (self.document, field.pointer);
        let known = |place: &&mut Place| scalar.bytes.as_ref() == Some(&place.bytes);
        if let Some(place) = self.file.places.iter_mut().find(known) {
            place.fields.push(here);
            return;
        }
        let written = scalar.bytes.clone().and_then(|bytes| self.file.text.get(bytes));
        let obstacle = match written {
            _ if image.contains("${") => Some(Obstacle::Values),
            Some(written) if written == image => None,
            _ => Some(Obstacle::Style),
        };
        self.file.places.push(Place {
            origin: Origin { file: Arc::clone(&self.file.path), position: field.position },
            image,
            obstacle,
            bytes: scalar.bytes.clone().unwrap_or_default(),
            fields: vec![here],
        });
    }
}

impl File {
    /// The text with new images at some places (by their index), and the places that could not be edited: reading the new
    /// text must give the same documents, but for these images.
    pub fn edited(&self, images: &[(usize, String)]) -> (String, Vec<usize>) {
        if let Some(text) = self.faithful(images) {
            return (text, Vec::new());
        }
        // One of them is not as it seems: each is tried for itself.
        let (fine, bad): (Vec<_>, Vec<_>) =
            images.iter().cloned().partition(|one| self.faithful(std::slice::from_ref(one)).is_some());
        let bad = bad.into_iter().map(|(index, _)| index);
        match self.faithful(&fine) {
            Some(text) => (text, bad.collect()),
            None => (self.text.clone(), images.iter().map(|(index, _)| *index).collect()),
        }
    }

    /// The text with new images, unless anything else would change with them.
    fn faithful(&self, images: &[(usize, String)]) -> Option<String> {
        let mut chosen: Vec<(&Place, &str)> = Vec::new();
        for (index, image) in images {
            chosen.push((self.places.get(*index)?, image));
        }
        chosen.sort_by_key(|(place, _)| place.bytes.start);
        let mut wanted = self.documents.clone();
        let (mut text, mut end) = (String::with_capacity(self.text.len() + 80 * chosen.len()), 0);
        for (place, image) in chosen {
            text.push_str(self.text.get(end..place.bytes.start)?);
            text.push_str(image);
            end = place.bytes.end;
            for (document, pointer) in &place.fields {
                *wanted.get_mut(*document)?.pointer_mut(pointer)? = Value::from(image);
            }
        }
        text.push_str(self.text.get(end..)?);
        let (documents, diagnostics) = yaml::read(&self.path, &text);
        let same = documents.into_iter().map(|document| document.value).eq(wanted);
        (same && !diagnostics.iter().any(|d| d.severity == Severity::Error)).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Entry;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const APP: &str = "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {name: cart, namespace: shop}\n";

    /// Every image of a text, with its line.
    fn found(text: &str, environment: Option<&str>) -> Vec<String> {
        let places = read("a.yaml", text, environment).places;
        places.iter().map(|place| format!("{} {}", place.origin.position.line, place.image)).collect()
    }

    /// A text with a digest at every image that can be edited, and how many could not be.
    fn pinned(text: &str) -> (String, usize) {
        let file = read("a.yaml", text, None);
        let free = file.places.iter().enumerate().filter(|(_, place)| place.obstacle.is_none());
        let images = free.map(|(index, place)| (index, format!("{}@{DIGEST}", Image::of(&place.image).by_tag())));
        let (text, bad) = file.edited(&images.collect::<Vec<_>>());
        (text.replace(DIGEST, "D"), bad.len())
    }

    #[test]
    fn an_image_has_a_name_a_tag_and_a_digest() {
        let parts = |text| {
            let image = Image::of(text);
            (image.name, image.tag, image.digest)
        };
        assert_eq!(parts("localhost:5000/a/b"), ("localhost:5000/a/b", None, None));
        assert_eq!(parts("[::1]:5000/a:1"), ("[::1]:5000/a", Some("1"), None));
        assert_eq!(parts("a:1@sha256:ff"), ("a", Some("1"), Some("sha256:ff")));
        assert_eq!(parts("r:1/a@sha256:ff"), ("r:1/a", None, Some("sha256:ff")));
        assert!(is_digest(DIGEST) && !is_digest(&DIGEST.to_uppercase()) && !is_digest("sha256:12"));
    }

    #[test]
    fn images_are_found_wherever_they_may_be_set() {
        let app = format!(
            "{APP}spec:\n  image: a:1\n  canary: {{image: a:2}}\n  environments:\n    test: {{image: b:1}}\n    live:\n      \
             canary:\n        image: b:2\n  patches:\n    - target: {{kind: SpinApp}}\n      merge: {{spec: {{image: c:1}}}}\n    \
             - {{target: {{kind: Service}}, merge: {{spec: {{image: no}}}}}}\n"
        );
        let all = ["5 a:1", "6 a:2", "8 b:1", "11 b:2", "14 c:1"];
        assert_eq!(found(&app, None), all);
        assert_eq!(found(&app, Some("live")), ["5 a:1", "6 a:2", "11 b:2", "14 c:1"]);
        let others = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: core.spinkube.dev/v1alpha1\n  kind: SpinApp\n  spec: {image: a}\n\
             - {apiVersion: v1, kind: Pod, spec: {image: no}}\n---\napiVersion: spinway.dev/v1alpha1\nkind: Patch\nspec:\n  \
             target: {kind: App}\n  json:\n  - {op: replace, path: /spec/canary/image, value: b}\n  - {op: test, path: /spec/image, value: no}\n";
        assert_eq!(found(others, None), ["6 a", "14 b"]);
        let config = "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: c}\nspec:\n  defaults: {image: a}\n  environments:\n  \
             - {name: test, defaults: {image: b}}\n  - {name: live, defaults: {image: c}}\n  tenants: [{name: t, defaults: {canary: {image: d}}}]\n";
        let entries = [(CONFIG_FILE.to_owned(), Entry::File(config.as_bytes().to_vec()))];
        let tree = Tree::of(entries.into());
        let images = |environment| {
            let files = images(&tree, environment).expect("a Config");
            files.iter().flat_map(|file| &file.places).map(|place| place.image.clone()).collect::<String>()
        };
        assert_eq!([images(None), images(Some("live"))], ["abcd", "acd"]);
    }

    #[test]
    fn only_the_images_change() {
        for (text, wanted) in [
            ("  image: a:1   # why\r\n  replicas: 2\r\n", "  image: a:1@D   # why\r\n  replicas: 2\r\n"),
            ("  image: 'a:1'\n", "  image: 'a:1@D'\n"),
            ("  {\"image\":\"a\" , canary: {image: a:2}}\n", "  {\"image\":\"a:latest@D\" , canary: {image: a:2@D}}\n"),
            ("  {image: a:1, canary: {image: r:5/a}}\n", "  {image: a:1@D, canary: {image: r:5/a:latest@D}}\n"),
            (
                "  image: &i a:1\n  environments: {x: {image: *i}}\n",
                "  image: &i a:1@D\n  environments: {x: {image: *i}}\n",
            ),
            (
                "  image: b\n  environments: {x: &x {image: a:1}, y: {<<: *x}}\n",
                "  image: b:latest@D\n  environments: {x: &x {image: a:1@D}, y: {<<: *x}}\n",
            ),
        ] {
            let (made, bad) = pinned(&format!("{APP}# before\nspec:\n{text}"));
            assert_eq!((made.as_str(), bad), (format!("{APP}# before\nspec:\n{wanted}").as_str(), 0));
        }
        let json = "{\"apiVersion\": \"core.spinkube.dev/v1alpha1\",\n\t\"kind\": \"SpinApp\", \"spec\": {\"image\": \"a:1\"}}";
        assert_eq!(pinned(json), (json.replace("a:1", "a:1@D"), 0));
    }

    #[test]
    fn what_cannot_be_edited_alone_stays() {
        let obstacle = |spec: &str| {
            let file = read("a.yaml", &format!("{APP}spec:\n{spec}"), None);
            file.places.iter().map(|place| place.obstacle).collect::<Vec<_>>()
        };
        assert_eq!(obstacle("  image: \"a:${v}\"\n"), [Some(Obstacle::Values)]);
        assert_eq!(obstacle("  image: >-\n    a:1\n"), [Some(Obstacle::Style)]);
        assert_eq!(obstacle("  image: \"a\\u003a1\"\n"), [Some(Obstacle::Style)]);
        assert_eq!(obstacle("  image: [a]\n"), []);
        // The anchor stands for a variable too; the other image is edited all the same.
        let shared = format!("{APP}spec:\n  variables: {{v: &i \"a:1\"}}\n  image: *i\n  canary: {{image: b:1}}\n");
        assert_eq!(pinned(&shared), (shared.replace("b:1", "b:1@D"), 1));
        let broken = read("a.yaml", &format!("{APP}spec: {{image: a:1, image: b}}\n"), None);
        assert!(broken.flawed && broken.places.is_empty());
    }
}
