//! Telling people what a turn came to.

use super::{Agent, Trouble, Turn};
use crate::apply::StepOutcome;
use crate::kinds::Verdict;
use crate::notify::{Measured, Messages, Metrics, News, Status, Statuses, What, gather, of_drift, send_events};
use crate::object::GroupKind;
use crate::ops::{Planned, owed};
use crate::plan::Action;
use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who is told, and how.
#[derive(Default)]
pub struct Tellers {
    /// Whether Events are written.
    pub events: bool,
    /// The metrics; shared with who serves them.
    pub metrics: Arc<Mutex<Metrics>>,
    /// The file of the metrics, if there is one.
    pub metrics_file: Option<PathBuf>,
    /// Messages to owners.
    pub messages: Messages,
    /// Commit statuses, if they are wanted.
    pub statuses: Option<Statuses>,
}

/// Who does not answer is waited for so long once the agent is to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Agent {
    /// Tells what a turn came to that took so many seconds. Nothing of it can fail the turn, and not much of it can delay the
    /// end of the agent, which `interrupt` asks for.
    pub async fn tell(
        &self,
        turn: &mut Turn,
        tellers: &mut Tellers,
        seconds: f64,
        interrupt: impl Future<Output = ()> + Send,
    ) {
        let cut = async {
            interrupt.await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = self.tell_all(turn, tellers, seconds) => {}
            () = cut => tracing::warn!("not everybody was told: the agent is to end"),
        }
    }

    async fn tell_all(&self, turn: &mut Turn, tellers: &mut Tellers, seconds: f64) {
        let now = jiff::Timestamp::now().as_second();
        let environment = self.environment_name(turn);
        let mut news = match (&mut turn.planned, &turn.trouble) {
            (Some(planned), trouble) => {
                let mut news = gather(planned, turn.outcome.as_ref());
                if trouble.as_ref().is_some_and(|trouble| !matches!(trouble, Trouble::Lost)) {
                    // Nothing of it was to be done: only what others changed is news.
                    news.retain(|news| matches!(news.what, What::Drifted | What::Contested | What::Unhealthy));
                }
                news
            }
            (None, _) => turn.owned.as_ref().map(|owned| of_drift(&environment, &owned.drift)).unwrap_or_default(),
        };
        for text in &turn.brought_back {
            news.push(News::of_turn(&environment, text.raw().to_owned()));
        }
        if let Some(text) = self.refusal(turn) {
            news.push(News::of_turn(&environment, text));
        }
        let turn = &*turn;
        let before = self.events(turn, tellers, &news).await;
        let traffic = turn.planned.as_ref().and_then(|planned| planned.cluster.as_ref()).map(|c| c.traffic().requests);
        let mut requests = traffic.unwrap_or_default();
        requests.insert("GIT", turn.pulled.requests);
        {
            let mut metrics = tellers.metrics.lock().unwrap_or_else(PoisonError::into_inner);
            let revision = turn.pulled.revision.as_str();
            let parents = turn.planned.iter().flat_map(|planned| &planned.plan.parents);
            let entries = parents.filter_map(|p| p.state.newest()).filter(|entry| entry.revision == revision);
            let recorded = entries.map(|entry| entry.at).max();
            let measured = Measured { completed: turn.trouble.is_none(), revision, recorded };
            metrics.turn(&measured, &news, requests.iter(), seconds, now);
            if let Some(path) = &tellers.metrics_file
                && let Err(error) = metrics.write(path)
            {
                tracing::warn!(path = %path.display(), %error, "the metrics cannot be written");
            }
        }
        if let (Some(statuses), Some(status)) = (&mut tellers.statuses, status(turn)) {
            let text = summary(turn, &news);
            statuses.say(&turn.pulled.revision, &environment, status, &text).await;
        }
        let desired = turn.planned.as_ref().map(|planned| planned.desired.as_ref());
        tellers.messages.tell(&news, desired, &turn.pulled.revision, &before).await;
        self.log(turn, &news, seconds);
    }

    fn environment_name(&self, turn: &Turn) -> String {
        let planned = turn.planned.as_ref().map(|planned| planned.plan.environment.clone());
        planned.or_else(|| self.environment.clone()).unwrap_or_default()
    }

    /// Why the whole turn was not done.
    fn refusal(&self, turn: &Turn) -> Option<String> {
        let refused = turn.planned.as_ref().and_then(|planned| planned.plan.refused.as_ref());
        match (&turn.trouble, refused) {
            // Someone else does it, or the next turn.
            (Some(Trouble::Lease(_) | Trouble::Overtaken | Trouble::Lost | Trouble::Interrupted), _) => None,
            (Some(trouble), _) => Some(trouble.to_string()),
            (None, Some(refused)) => Some(refused.message.raw().to_owned()),
            (None, None) => None,
        }
    }

    async fn events(&self, turn: &Turn, tellers: &Tellers, news: &[News]) -> BTreeSet<String> {
        let planned = turn.planned.as_ref().and_then(|planned| Some((planned.cluster.as_ref()?, &planned.reading)));
        let owned = turn.owned.as_ref().map(|owned| (&owned.cluster, &owned.reading));
        let Some((cluster, reading)) = planned.or(owned).filter(|_| tellers.events) else { return BTreeSet::new() };
        match reading.live.kinds.get(&GroupKind::new("", "Event")) {
            Some(served) => send_events(cluster, served, news).await,
            None => BTreeSet::new(),
        }
    }

    fn log(&self, turn: &Turn, news: &[News], seconds: f64) {
        let count = |what: What| news.iter().filter(|news| news.what == what).count();
        let revision = turn.pulled.revision.as_str();
        for news in news.iter().filter(|news| news.what.is_trouble()) {
            let object = news.object.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(what = news.what.word(), object, partition = news.partition, text = news.text.raw(), "news");
        }
        tracing::info!(
            revision,
            seconds,
            applied = count(What::Applied),
            drifted = count(What::Drifted),
            blocked = count(What::Blocked),
            held = count(What::Held),
            failed = count(What::Failed),
            completed = turn.trouble.is_none(),
            "turn"
        );
    }
}

/// What is said of the revision; nothing while there is nothing new to say of it.
fn status(turn: &Turn) -> Option<Status> {
    let has = |planned: &Planned, action: Action| planned.plan.changes.iter().any(|change| change.action == action);
    let planned = match (&turn.trouble, &turn.planned) {
        (Some(Trouble::Pull(_) | Trouble::Read(_)), _) => return Some(Status::Error),
        (None, Some(planned)) if planned.plan.refused.is_some() => return Some(Status::Error),
        (None | Some(Trouble::Lost), Some(planned)) if turn.is_new || turn.outcome.is_some() => planned,
        _ => return None,
    };
    let outcome = turn.outcome.as_ref();
    // A turn that had nothing to do is not done while what an earlier one wrote is not healthy.
    let owed = if outcome.is_some() { Vec::new() } else { owed(planned) };
    let failed = outcome.is_some_and(|o| o.results.values().any(|result| matches!(result, StepOutcome::Failed(_))))
        || owed.iter().any(|owed| owed.health.verdict == Verdict::Failed);
    if failed || outcome.is_some_and(|o| o.inventory.is_some()) || has(planned, Action::Blocked) {
        Some(Status::Failure)
    } else if outcome.is_some_and(|o| !o.complete) || has(planned, Action::Held) || !owed.is_empty() {
        Some(Status::Pending)
    } else {
        Some(Status::Success)
    }
}

fn summary(turn: &Turn, news: &[News]) -> String {
    if let Some(text) = news.iter().find(|news| news.what == What::Refused) {
        return text.text.terminal();
    }
    let counts = turn.planned.iter().flat_map(|planned| planned.plan.summary());
    let counts = counts.filter(|(action, count)| *count > 0 && *action != Action::Unchanged);
    let words: Vec<String> = counts.map(|(action, count)| format!("{count} {action:?}").to_lowercase()).collect();
    if words.is_empty() { "nothing to do".to_owned() } else { words.join(", ") }
}
