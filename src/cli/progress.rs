//! What is seen of a running apply: on a terminal a line that moves (what runs, what waits for what, the time), elsewhere
//! one line for each thing that happens.

use super::ui;
use crate::object::Untrusted;
use crate::ops::Event;
use crate::plan::StepKind;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::time::Duration;

/// The progress of one apply.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    /// What runs or waits, with why.
    open: BTreeMap<String, String>,
}

impl Progress {
    /// Begins; `steps` are to be done.
    pub(super) fn new(steps: usize, terminal: bool) -> Self {
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(u64::try_from(steps).ok(), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {pos}/{len} {elapsed} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, open: BTreeMap::new() }
    }

    /// Shows an event.
    pub(super) fn tell(&mut self, event: &Event) {
        let Some(bar) = &self.bar else { return ui::progress(&line(event)) };
        match event {
            Event::Started { object, step, .. } => {
                self.open.insert(object.clone(), verb(*step, false).to_owned());
            }
            Event::Waiting { object, reason, holds, .. } => {
                let holds = if holds.is_empty() { String::new() } else { format!(", holds {}", holds.len()) };
                self.open.insert(object.clone(), format!("{}{holds}", reason.raw()));
            }
            Event::Done { object, .. } | Event::Failed { object, .. } => {
                self.open.remove(object);
                bar.inc(1);
                bar.println(line(event));
            }
        }
        let open: Vec<String> = self.open.iter().map(|(object, why)| format!("{object} ({why})")).collect();
        bar.set_message(Untrusted::new(open.join("; ")).terminal());
    }

    /// Ends; the moving line goes.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn verb(step: StepKind, done: bool) -> &'static str {
    match (step, done) {
        (StepKind::Expand, false) => "expanding",
        (StepKind::Expand, true) => "expanded",
        (StepKind::Set, false) => "applying",
        (StepKind::Set, true) => "healthy",
        (StepKind::Contract, false) => "contracting",
        (StepKind::Contract, true) => "contracted",
        (StepKind::Delete, false) => "deleting",
        (StepKind::Delete, true) => "deleted",
        (StepKind::Replace, false) => "replacing",
        (StepKind::Replace, true) => "replaced",
    }
}

fn line(event: &Event) -> String {
    let shown = |object: &str| Untrusted::new(object).terminal();
    let (seconds, word, object, rest) = match event {
        Event::Started { object, step, seconds } => (seconds, verb(*step, false), object, String::new()),
        Event::Done { object, step, seconds } => (seconds, verb(*step, true), object, String::new()),
        Event::Waiting { object, reason, holds, seconds } => {
            let holds = if holds.is_empty() { String::new() } else { format!("; holds {}", shown(&holds.join(", "))) };
            (seconds, "waiting", object, format!(": {}{holds}", reason.terminal()))
        }
        Event::Failed { object, reason, seconds, .. } => {
            (seconds, "failed", object, format!(": {}", reason.terminal()))
        }
    };
    format!("{seconds:7.1}s  {word:<11} {}{rest}", shown(object))
}
