//! Writing new files into a repository: each whole or not at all, over nothing that is there, and only what passes the
//! checks.

use super::{Error, check};
use crate::desired::{self, CONFIG_FILE, Entry, Tree};
use crate::object::{Diagnostic, Severity};
use crate::scaffold::{CODEOWNERS, Codeowners, Insertion, Known, Made, NewFile, Reviewed, Wrong};
use crate::source;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Component, Path, PathBuf};

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The repository cannot be read.
    #[error(transparent)]
    Read(#[from] Error),
    /// There is no Config at or above a directory.
    #[error("there is no spinway.yaml at or above {}", .0.display())]
    NoRepository(PathBuf),
    /// There is a Config at or above the directory of a new repository.
    #[error("{} is there already", .0.display())]
    Repository(PathBuf),
    /// Something is where a file was to be written.
    #[error("{} is there already", .0.display())]
    There(PathBuf),
    /// A path leads out of the repository, or over a link.
    #[error("{0} is not a path below the repository without links")]
    Outside(String),
    /// The Config changed while it was looked at.
    #[error("{} changed meanwhile", .0.display())]
    Changed(PathBuf),
    /// A `.spinwayignore` leaves a new file out.
    #[error("a .spinwayignore leaves {0} out")]
    Ignored(String),
    /// It cannot be written as it was asked for.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// What would be written does not pass the checks: findings, and the tree that they are about.
    #[error("what would be written does not pass the checks")]
    Rejected(Vec<Diagnostic>, Box<Tree>),
}

/// A repository that files are added to.
pub struct Opened {
    /// Its folder.
    root: PathBuf,
    /// The directory that was given, as a path in the repository.
    pub folder: String,
    tree: Tree,
    /// What it has.
    pub known: Known,
}

/// What was written.
pub struct Created {
    /// New files, by path in the repository.
    pub files: Vec<String>,
    /// What became of the Config.
    pub insertion: Option<Insertion>,
    /// What became of `CODEOWNERS`.
    pub codeowners: Option<Codeowners>,
    /// The names of the environments.
    pub environments: Vec<String>,
    /// What the checks find that they did not find before.
    pub found: Vec<Diagnostic>,
    /// The repository with it.
    pub tree: Tree,
}

impl Opened {
    /// Opens the repository around a directory.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn at(directory: &Path) -> Result<Self, NewError> {
        let given = there(directory)?;
        let root = above(&given).ok_or_else(|| NewError::NoRepository(directory.to_owned()))?;
        let tree = source::read(&root, None).map_err(Error::from)?.tree;
        let known = Known::read(&tree).map_err(Error::from)?;
        let known = known.ok_or_else(|| NewError::NoRepository(directory.to_owned()))?;
        let below = given.strip_prefix(&root).unwrap_or(Path::new(""));
        let parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        Ok(Self { root, folder: parts.join("/"), tree, known })
    }

    /// Writes what was made for it.
    ///
    /// # Errors
    /// Something is in its place, it does not pass the checks, or the system says no; then nothing is written.
    pub fn write(self, made: Made) -> Result<Created, NewError> {
        write(&self.root, &self.tree, made)
    }
}

/// The folder of a new repository, which need not be there.
///
/// # Errors
/// There is a repository at or above it.
pub fn vacant(directory: &Path) -> Result<PathBuf, NewError> {
    let root = directory.canonicalize().or_else(|_| std::path::absolute(directory));
    let root = root.map_err(|error| file_error(directory, error))?;
    above(&root).map_or(Ok(root), |found| Err(NewError::Repository(found.join(CONFIG_FILE))))
}

/// Writes a new repository into a folder that [`vacant`] gave.
///
/// # Errors
/// Something is in its place, or the system says no; then nothing is written.
pub fn new_repository(root: &Path, made: Made) -> Result<Created, NewError> {
    let tree = if root.exists() { source::read(root, None).map_err(Error::from)?.tree } else { Tree::default() };
    write(root, &tree, made)
}

/// A directory without links and `..`; it need not be there, but what it is below must be: files make their folders.
fn there(directory: &Path) -> Result<PathBuf, NewError> {
    let failed = |error| source::Error::Directory { path: directory.to_owned(), error };
    let whole = std::path::absolute(directory).map_err(failed).map_err(Error::from)?;
    let mut missing = Vec::new();
    let mut found = whole.as_path();
    loop {
        match found.canonicalize() {
            Ok(known) => return Ok(missing.iter().rev().fold(known, |path: PathBuf, part| path.join(part))),
            Err(error) => match (found.parent(), found.components().next_back()) {
                (Some(parent), Some(Component::Normal(part))) if error.kind() == ErrorKind::NotFound => {
                    missing.push(part.to_owned());
                    found = parent;
                }
                _ => return Err(Error::from(failed(error)).into()),
            },
        }
    }
}

/// The nearest folder at or above a directory that has a Config.
fn above(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().find(|folder| folder.join(CONFIG_FILE).is_file()).map(Path::to_owned)
}

fn write(root: &Path, before: &Tree, made: Made) -> Result<Created, NewError> {
    let Made { mut files, insertion, review } = made;
    let mut places = files.iter().map(|file| place(root, &file.path)).collect::<Result<Vec<_>, _>>()?;
    let mut tree = before.clone();
    for NewFile { path, text } in &files {
        tree.entries.insert(path.clone(), Entry::File(text.clone().into_bytes()));
    }
    if let Some(Insertion::Text(text)) = &insertion {
        tree.entries.insert(CONFIG_FILE.to_owned(), Entry::File(text.clone().into_bytes()));
    }
    let rules = desired::config(&tree).map_err(Error::from)?.unwrap_or_default();
    let read = tree.manifests(&rules);
    let is_left_out = |path: &str| !read.contains(&path) && !path.ends_with(".spinwayignore");
    if let Some(file) = files.iter().find(|file| is_left_out(&file.path)) {
        return Err(NewError::Ignored(file.path.clone()));
    }
    let environments = desired::environments(&tree).map_err(Error::from)?;
    let found = new_findings(before, &tree, &environments)?;
    if found.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(NewError::Rejected(found, Box::new(tree)));
    }
    let reviewed = reviewed(root);
    let codeowners = review.and_then(|review| review.of(&reviewed));
    let mut edits = Vec::new();
    match &codeowners {
        Some(Codeowners::New(text)) => {
            places.push(place(root, CODEOWNERS)?);
            files.push(NewFile { path: CODEOWNERS.to_owned(), text: text.clone() });
        }
        Some(Codeowners::Changed(text)) => {
            let before = reviewed.text.unwrap_or_default().into_bytes();
            edits.push(Edit { name: CODEOWNERS, place: root.join(CODEOWNERS), before, text });
        }
        _ => {}
    }
    if let (Some(Insertion::Text(text)), Some(Entry::File(before))) = (&insertion, before.entries.get(CONFIG_FILE)) {
        edits.push(Edit { name: CONFIG_FILE, place: root.join(CONFIG_FILE), before: before.clone(), text });
    }
    put_all(places.into_iter().zip(&files), &edits)?;
    let files = files.into_iter().map(|file| file.path).collect();
    Ok(Created { files, insertion, codeowners, environments, found, tree })
}

/// What the checks find in a tree and did not find before.
fn new_findings(before: &Tree, tree: &Tree, environments: &[String]) -> Result<Vec<Diagnostic>, Error> {
    let key = |finding: &Diagnostic| {
        (finding.id, finding.origin.as_ref().map(|origin| origin.file.to_string()), finding.message.clone())
    };
    let known: BTreeSet<_> = if before.entries.contains_key(CONFIG_FILE) {
        check::find(&check::read(before, environments)?, None, None).iter().map(key).collect()
    } else {
        BTreeSet::new()
    };
    let found = check::find(&check::read(tree, environments)?, None, None);
    Ok(found.into_iter().filter(|finding| !known.contains(&key(finding))).collect())
}

/// Where a file goes: below the root, over no link, and where nothing is.
fn place(root: &Path, path: &str) -> Result<PathBuf, NewError> {
    let mut place = root.to_owned();
    for part in Path::new(path).components() {
        let Component::Normal(part) = part else { return Err(NewError::Outside(path.to_owned())) };
        place.push(part);
        if place.is_symlink() {
            return Err(NewError::Outside(path.to_owned()));
        }
    }
    if place.exists() { Err(NewError::There(place)) } else { Ok(place) }
}

/// The largest `CODEOWNERS` that is read, in bytes; GitHub reads none beyond 3 MB.
const MAX_CODEOWNERS: u64 = 3 << 20;

/// The `CODEOWNERS` around a folder, where GitHub looks for it: the first of three places in the root of the Git repository.
fn reviewed(root: &Path) -> Reviewed {
    let top = root.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(root);
    let prefix: Vec<String> = root
        .strip_prefix(top)
        .unwrap_or(Path::new(""))
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let is_link = |place: &Path| place.is_symlink() || place.parent().is_some_and(Path::is_symlink);
    let is_there = |file: &&str| is_link(&top.join(file)) || top.join(file).exists();
    let file = [CODEOWNERS, "CODEOWNERS", "docs/CODEOWNERS"].into_iter().find(is_there);
    let text = file.map(|file| top.join(file)).filter(|place| !is_link(place)).and_then(|place| {
        let is_small =
            fs::metadata(&place).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_CODEOWNERS);
        fs::read_to_string(place).ok().filter(|_| is_small)
    });
    Reviewed { prefix: prefix.join("/"), file: file.map(str::to_owned), text }
}

/// A file of the repository that gets another text.
struct Edit<'a> {
    /// Its path in the repository.
    name: &'static str,
    place: PathBuf,
    /// What was read of it.
    before: Vec<u8>,
    text: &'a str,
}

/// Writes the new files, then the others; what was written is taken back when the rest cannot be.
fn put_all<'a>(files: impl Iterator<Item = (PathBuf, &'a NewFile)>, edits: &[Edit<'_>]) -> Result<(), NewError> {
    let (mut done, mut edited) = (Vec::new(), Vec::new());
    let put = || {
        for (place, file) in files {
            put_new(&place, &file.text)?;
            done.push(place);
        }
        for edit in edits {
            edit.put()?;
            edited.push(edit);
        }
        Ok(())
    };
    let result = put();
    if result.is_err() {
        for place in done {
            let _ = fs::remove_file(place);
        }
        for edit in edited {
            let _ = edit.replace(&edit.before);
        }
    }
    result
}

/// Writes a file beside its place and links it there, which fails when something is there by now.
fn put_new(place: &Path, text: &str) -> Result<(), NewError> {
    let failed = |error| file_error(place, error);
    fs::create_dir_all(place.parent().unwrap_or(place)).map_err(failed)?;
    let draft = draft(place, text.as_bytes()).map_err(failed)?;
    let linked = fs::hard_link(&draft, place);
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(NewError::There(place.to_owned())),
        // Not every file system has links.
        Err(_) => create(place, text.as_bytes()).map_err(failed),
        Ok(()) => Ok(()),
    }
}

impl Edit<'_> {
    /// Puts the new text in the place of what was read.
    fn put(&self) -> Result<(), NewError> {
        let failed = |error| file_error(&self.place, error);
        if self.place.is_symlink() {
            return Err(NewError::Outside(self.name.to_owned()));
        }
        if self.before != fs::read(&self.place).map_err(failed)? {
            return Err(NewError::Changed(self.place.clone()));
        }
        self.replace(self.text.as_bytes()).map_err(failed)
    }

    /// Replaces the file as a whole; its permissions stay.
    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let draft = draft(&self.place, bytes)?;
        let put = fs::metadata(&self.place)
            .and_then(|metadata| fs::set_permissions(&draft, metadata.permissions()))
            .and_then(|()| fs::rename(&draft, &self.place));
        if put.is_err() {
            let _ = fs::remove_file(&draft);
        }
        put
    }
}

/// A file beside its place, which no repository reads.
fn draft(place: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let draft = place.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    create(&draft, bytes).map(|()| draft)
}

/// Writes a file that is not there.
fn create(place: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(place)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(place);
    }
    written
}

fn file_error(path: &Path, error: io::Error) -> NewError {
    NewError::Read(Error::File { path: path.to_owned(), error })
}
