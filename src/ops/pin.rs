//! Writing the digests of images into the files of a repository.

use super::Error;
use crate::desired::pin::{self, File, Image, Obstacle};
use crate::object::{Origin, Untrusted};
use crate::registry::{self, Registries};
use crate::source;
use futures::stream::{self, StreamExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How many images are asked for at once.
const CONCURRENCY: usize = 4;

/// What is done with what the registries answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Images without digest get one.
    Pin,
    /// Digests that are no longer those of their tags are replaced too.
    Update,
    /// Nothing is written.
    Check,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Pinning {
    /// The directory of the repository.
    pub directory: PathBuf,
    /// The environment whose files are meant; none for all.
    pub environment: Option<String>,
    /// What to do.
    pub mode: Mode,
    /// Authorities that are trusted beside the system's.
    pub authority: Option<PathBuf>,
    /// How long a registry may take for one image.
    pub limit: Duration,
}

/// One image of the repository, and what became of it.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// Where it stands.
    pub origin: Origin,
    /// The image as it was found.
    pub image: Untrusted,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of an image.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It has the digest of its tag, or a digest alone.
    Pinned,
    /// Its digest was written.
    Written(String),
    /// It has no digest; its tag stands for this one.
    Loose(String),
    /// It has another digest than its tag, which stands for this one now.
    Moved(String),
    /// It cannot be edited.
    Left(Obstacle),
    /// It has a digest; whether that is still the one of its tag is not known.
    Unknown(registry::Error),
    /// It has no digest, and its registry does not tell one.
    Failed(registry::Error),
    /// The file could not be written.
    Unwritten(String),
}

/// What was found and done.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The images, by place.
    pub images: Vec<Pinned>,
    /// Files that have errors, in which nothing was looked for.
    pub flawed: Vec<Arc<str>>,
}

/// Finds the images of Apps and SpinApps, asks their registries, and writes the digests where that is wanted. A file is written
/// with what is known: an image that fails holds back no other.
///
/// # Errors
/// The repository or its Config cannot be read, or the authorities cannot.
pub async fn pin(wanted: &Pinning) -> Result<Outcome, Error> {
    let root = source::root(&wanted.directory)?;
    let repository = source::read(&root, None)?;
    let files = pin::images(&repository.tree, wanted.environment.as_deref())?;
    let registries = Registries::new(wanted.authority.as_deref(), wanted.limit)?;
    let digests = digests(Arc::new(registries), &files).await;
    let mut outcome = Outcome::default();
    for file in &files {
        if file.flawed {
            outcome.flawed.push(Arc::clone(&file.path));
        }
        outcome.images.extend(settle(&root, file, wanted.mode, &digests));
    }
    Ok(outcome)
}

type Digests = BTreeMap<String, Result<String, registry::Error>>;

/// Asks for every image, once each.
async fn digests(registries: Arc<Registries>, files: &[File]) -> Digests {
    let images = files.iter().flat_map(|file| &file.places).filter(|place| place.obstacle != Some(Obstacle::Values));
    let images = images.map(|place| Image::of(&place.image)).filter(|image| !image.is_fixed());
    let distinct: BTreeSet<String> = images.map(|image| image.by_tag()).collect();
    let answers = distinct.into_iter().map(|image| {
        let registries = Arc::clone(&registries);
        async move {
            let digest = registries.digest(&image).await;
            (image, digest)
        }
    });
    stream::iter(answers).buffer_unordered(CONCURRENCY).collect().await
}

/// Judges the images of a file, and writes it where that is wanted.
fn settle(root: &Path, file: &File, mode: Mode, digests: &Digests) -> Vec<Pinned> {
    let judged = file.places.iter().map(|place| Pinned {
        origin: place.origin.clone(),
        image: Untrusted::new(&place.image),
        verdict: judge(&place.image, place.obstacle, mode, digests),
    });
    let mut judged: Vec<Pinned> = judged.collect();
    if mode == Mode::Check {
        return judged;
    }
    let mut images = Vec::new();
    for (index, pinned) in judged.iter_mut().enumerate() {
        let digest = match &pinned.verdict {
            Verdict::Loose(digest) => digest,
            Verdict::Moved(digest) if mode == Mode::Update => digest,
            _ => continue,
        };
        if let Some(obstacle) = file.places[index].obstacle {
            pinned.verdict = Verdict::Left(obstacle);
            continue;
        }
        images.push((index, format!("{}@{digest}", Image::of(pinned.image.raw()).by_tag())));
        pinned.verdict = Verdict::Written(digest.clone());
    }
    if images.is_empty() {
        return judged;
    }
    let (text, shared) = file.edited(&images);
    for index in &shared {
        judged[*index].verdict = Verdict::Left(Obstacle::Shared);
    }
    if let Err(error) = write(&root.join(&*file.path), &file.text, &text) {
        for pinned in judged.iter_mut().filter(|pinned| matches!(pinned.verdict, Verdict::Written(_))) {
            pinned.verdict = Verdict::Unwritten(error.to_string());
        }
    }
    judged
}

fn write(path: &Path, before: &str, after: &str) -> std::io::Result<()> {
    if before == after { Ok(()) } else { source::rewrite(path, before, after) }
}

/// What is to be said of an image before anything is written.
fn judge(image: &str, obstacle: Option<Obstacle>, mode: Mode, digests: &Digests) -> Verdict {
    let parts = Image::of(image);
    if obstacle == Some(Obstacle::Values) {
        return Verdict::Left(Obstacle::Values);
    }
    if parts.is_fixed() {
        let known = parts.digest.is_some_and(pin::is_digest);
        let why = || "its digest is not sha256 with 64 hexadecimal digits".to_owned();
        return if known { Verdict::Pinned } else { Verdict::Failed(registry::Error::Reference(why())) };
    }
    match (digests.get(&parts.by_tag()), parts.digest) {
        (Some(Ok(digest)), Some(written)) if digest == written => Verdict::Pinned,
        (Some(Ok(digest)), Some(_)) => Verdict::Moved(digest.clone()),
        (Some(Ok(digest)), None) => Verdict::Loose(digest.clone()),
        // What it stands for is written down, so nothing is missing.
        (Some(Err(error)), Some(_)) if mode == Mode::Pin => Verdict::Unknown(error.clone()),
        (Some(Err(error)), _) => Verdict::Failed(error.clone()),
        (None, _) => Verdict::Failed(registry::Error::Reference("it was not asked for".to_owned())),
    }
}
