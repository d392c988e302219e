//! `spinway pin`.

use super::failure::{FAILED, Failure, hint_of};
use super::ui;
use crate::desired::pin::Obstacle;
use crate::object::Untrusted;
use crate::ops::{self, Mode, PinOutcome, Pinned, Pinning, Verdict};
use clap::Args;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Write the digests of images beside their tags, as the registries have them today
///
/// Takes every image of an App or SpinApp, in layers, patches and defaults too, in the files of every environment unless one is
/// named: `name:tag` becomes `name:tag@sha256:...`, and nothing else of the file changes. A digest that is there stays, also
/// when its tag has moved, unless --update is given. Credentials are docker's: DOCKER_CONFIG or ~/.docker/config.json, and the
/// helpers that it names. Registries on this machine may be without TLS. Exit code 1 when an image could not be resolved or
/// written, after all others were.
#[derive(Args)]
pub(super) struct Arguments {
    /// The directory of the repository; the nearest spinway.yaml at or above it is used
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Only what this environment reads
    #[arg(long, env = "SPINWAY_ENV", value_name = "NAME")]
    env: Option<String>,
    /// Write nothing; exit with 1 when an image has no digest, or another than its tag; those made of `${...}` are not looked at
    #[arg(long, env = "SPINWAY_CHECK", conflicts_with = "update")]
    check: bool,
    /// Replace digests whose tags have moved, too
    #[arg(long, env = "SPINWAY_UPDATE")]
    update: bool,
    /// Certificates (PEM) of authorities that registries are trusted by, beside the system's (SSL_CERT_FILE)
    #[arg(long, env = "SPINWAY_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Seconds that a registry may take for one image
    #[arg(long, env = "SPINWAY_TIMEOUT", value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    timeout: f64,
}

/// A time that is worth waiting.
fn seconds(text: &str) -> Result<f64, String> {
    let fits = |seconds: &f64| *seconds > 0.0 && *seconds <= 86_400.0;
    text.parse().ok().filter(fits).ok_or_else(|| "a number of seconds above 0, at most a day".to_owned())
}

impl Arguments {
    fn mode(&self) -> Mode {
        match (self.check, self.update) {
            (true, _) => Mode::Check,
            (false, true) => Mode::Update,
            (false, false) => Mode::Pin,
        }
    }
}

/// Pins.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let wanted = Pinning {
        mode: arguments.mode(),
        directory: arguments.directory,
        environment: arguments.env,
        authority: arguments.ca_file,
        limit: Duration::from_secs_f64(arguments.timeout),
    };
    let outcome = ops::pin(&wanted).await?;
    let mut told = Told::default();
    for path in &outcome.flawed {
        let path = Untrusted::new(&**path).terminal();
        told.aside("warning", &format!("{path} has errors, so nothing was looked for in it"));
        told.hints.insert("`spinway check` says what is wrong with a file.");
        // What was not looked at has not passed.
        told.failed |= wanted.mode == Mode::Check;
    }
    outcome.images.iter().for_each(|image| told.image(image, wanted.mode));
    told.out.push_str(&summary(&outcome, wanted.mode));
    ui::write(None, &told.out).map_err(|error| Failure::failed(format!("standard output: {error}"), ""))?;
    for hint in &told.hints {
        ui::progress(&format!("hint: {hint}"));
    }
    Ok(if told.failed { FAILED } else { 0 })
}

/// What is said: results as data, everything else aside.
#[derive(Default)]
struct Told {
    out: String,
    hints: BTreeSet<&'static str>,
    failed: bool,
}

impl Told {
    fn image(&mut self, pinned: &Pinned, mode: Mode) {
        let checks = mode == Mode::Check;
        match &pinned.verdict {
            Verdict::Pinned => {}
            Verdict::Written(digest) => self.result(pinned, &format!("pinned to {digest}")),
            Verdict::Loose(digest) => {
                self.finding(pinned, &format!("not pinned; the tag is {digest}"), "`spinway pin` writes the digests.");
            }
            Verdict::Moved(digest) => {
                let what = format!("the tag has moved to {digest}");
                let hint = "`spinway pin --update` takes what the tags stand for now; or give the image a tag that does not move.";
                if checks { self.finding(pinned, &what, hint) } else { self.note(pinned, &what, hint) }
            }
            Verdict::Left(Obstacle::Values) => self.note(
                pinned,
                "left as it is: it is made of values",
                "Where an image is made of `${...}`, write its digest into the `values` of each environment in spinway.yaml.",
            ),
            Verdict::Left(Obstacle::Style) => self.error(
                pinned,
                "cannot be edited as it is written",
                "Write such an image on one line, plain or in quotes, without escapes.",
            ),
            Verdict::Left(Obstacle::Shared) => self.error(
                pinned,
                "cannot be edited: its anchor stands for something else too",
                "Write such an image out instead of an alias.",
            ),
            Verdict::Unknown(error) => {
                self.note(pinned, &format!("has a digest, which cannot be compared: {error}"), hint_of(error));
            }
            Verdict::Failed(error) => self.error(pinned, &error.to_string(), hint_of(error)),
            Verdict::Unwritten(why) => {
                self.error(pinned, &format!("the file cannot be written: {why}"), "Mend that and run it again.");
            }
        }
    }

    /// Something that was done.
    fn result(&mut self, pinned: &Pinned, what: &str) {
        self.out.push_str(&line(pinned, what));
        self.out.push('\n');
    }

    /// Something that was looked for, and is wrong.
    fn finding(&mut self, pinned: &Pinned, what: &str, hint: &'static str) {
        self.result(pinned, what);
        self.hints.insert(hint);
        self.failed = true;
    }

    fn note(&mut self, pinned: &Pinned, what: &str, hint: &'static str) {
        self.aside("note", &line(pinned, what));
        self.hints.insert(hint);
    }

    fn error(&mut self, pinned: &Pinned, what: &str, hint: &'static str) {
        self.aside("error", &line(pinned, what));
        self.hints.insert(hint);
        self.failed = true;
    }

    fn aside(&self, kind: &str, text: &str) {
        ui::progress(&format!("{kind}: {text}"));
    }
}

/// `FILE:LINE:COLUMN IMAGE: WHAT`.
fn line(pinned: &Pinned, what: &str) -> String {
    let place = Untrusted::new(pinned.origin.to_string()).terminal();
    format!("{place} {}: {}", pinned.image.terminal(), Untrusted::new(what).terminal())
}

fn summary(outcome: &PinOutcome, mode: Mode) -> String {
    let count = |is: &dyn Fn(&Verdict) -> bool| outcome.images.iter().filter(|image| is(&image.verdict)).count();
    let files: BTreeSet<_> = outcome.images.iter().map(|image| &image.origin.file).collect();
    let written = count(&|verdict| matches!(verdict, Verdict::Written(_)));
    let pinned = count(&|verdict| matches!(verdict, Verdict::Pinned | Verdict::Unknown(_)));
    let moved = count(&|verdict| matches!(verdict, Verdict::Moved(_)));
    let loose = count(&|verdict| matches!(verdict, Verdict::Loose(_) | Verdict::Left(_)));
    let failed = count(&|verdict| matches!(verdict, Verdict::Failed(_) | Verdict::Unwritten(_)));
    let (images, files) = (number(outcome.images.len(), "image"), number(files.len(), "file"));
    let done = if mode == Mode::Check { String::new() } else { format!("{written} written, ") };
    format!("{images} in {files}: {done}{pinned} pinned before, {moved} moved, {loose} not pinned, {failed} failed.\n")
}

fn number(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}
