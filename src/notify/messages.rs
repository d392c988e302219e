//! Messages to the owners of tenants: as JSON, or as Slack and its like take them. Each trouble is told once, and once more
//! when it is over.

use super::{News, client, deliver};
use crate::desired::Desired;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest that telling takes in one turn.
const LONGEST: Duration = Duration::from_secs(15);
/// The most lines of one message.
const LINES: usize = 20;

/// Who is told where; from a file that may be a mounted Secret, since addresses can be secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Routes {
    /// The routes.
    pub routes: Vec<Route>,
}

/// Where some owners are told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// The owners of tenants, as the Config names them; none for everything that is nobody else's.
    #[serde(default)]
    pub owners: Vec<String>,
    /// The address.
    pub url: String,
    /// How the message is made.
    #[serde(default)]
    pub format: Format,
}

/// How a message is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `{"environment", "revision", "news": [{"what", "object", "partition", "text"}], "resolved": [...]}`.
    #[default]
    Json,
    /// `{"text"}`, as Slack, Mattermost and others take it.
    Slack,
}

/// What was told of one trouble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// The line.
    line: String,
    /// The places that took it, by their index among the routes.
    taken: BTreeSet<usize>,
    /// The places that it is for.
    places: BTreeSet<usize>,
}

/// The messages of an agent, with what it told before.
#[derive(Debug, Default)]
pub struct Messages {
    routes: Vec<Route>,
    /// Where it is remembered between processes; none in memory only.
    memory: Option<PathBuf>,
    told: BTreeMap<String, Told>,
}

impl Messages {
    /// Reads what was told before; memory that cannot be read is empty.
    pub fn new(routes: Routes, memory: Option<&Path>) -> Self {
        let read = |path: &Path| serde_json::from_slice(&std::fs::read(path).ok()?).ok();
        let told = memory.and_then(read).unwrap_or_default();
        Self { routes: routes.routes, memory: memory.map(Path::to_owned), told }
    }

    /// Tells what is new, and what is over. What was told within the last hour by a process whose memory is lost is in
    /// `before` and not told again.
    pub async fn tell(&mut self, news: &[News], desired: Option<&Desired>, revision: &str, before: &BTreeSet<String>) {
        if self.routes.is_empty() {
            return;
        }
        let trouble: Vec<&News> = news.iter().filter(|news| news.what.is_trouble()).collect();
        let current: BTreeSet<&str> = trouble.iter().map(|news| news.fingerprint.as_str()).collect();
        let mut resolved = Vec::new();
        // A turn that could not even plan says nothing of what is over.
        if desired.is_some() {
            let (over, kept) =
                std::mem::take(&mut self.told).into_iter().partition(|(id, _)| !current.contains(id.as_str()));
            self.told = kept;
            resolved = BTreeMap::into_values(over).collect();
        }
        for news in &trouble {
            let places = self.places(news, desired);
            let known = before.contains(&news.fingerprint);
            let taken = if known { places.clone() } else { BTreeSet::new() };
            let told = Told { line: news.line(), taken, places };
            self.told.entry(news.fingerprint.clone()).or_insert(told);
        }
        let environment = desired.map(|desired| desired.environment.name.as_str()).unwrap_or_default();
        // All at once and not for long: who does not answer keeps nobody else waiting.
        let sending =
            (0..self.routes.len()).map(|place| self.tell_place(place, &trouble, &resolved, environment, revision));
        let taken: Vec<(usize, Vec<String>)> = join_all(sending).await;
        for (place, fingerprints) in taken {
            for fingerprint in fingerprints {
                if let Some(told) = self.told.get_mut(&fingerprint) {
                    told.taken.insert(place);
                }
            }
        }
        if let Some(path) = &self.memory {
            // It is told once more at worst.
            let _ = std::fs::write(path, serde_json::to_vec(&self.told).unwrap_or_default());
        }
    }

    /// Tells one place; gives what it took.
    async fn tell_place(
        &self,
        place: usize,
        trouble: &[&News],
        resolved: &[Told],
        environment: &str,
        revision: &str,
    ) -> (usize, Vec<String>) {
        let untold = |news: &&&News| {
            self.told.get(&news.fingerprint).is_some_and(|t| t.places.contains(&place) && !t.taken.contains(&place))
        };
        let new: Vec<&News> = trouble.iter().filter(untold).copied().collect();
        let over: Vec<&str> = resolved.iter().filter(|t| t.taken.contains(&place)).map(|t| t.line.as_str()).collect();
        let (Some(client), Some(route)) = (client(), self.routes.get(place)) else { return (place, Vec::new()) };
        if new.is_empty() && over.is_empty() {
            return (place, Vec::new());
        }
        let body = match route.format {
            Format::Json => json_message(&new, &over, environment, revision),
            Format::Slack => json!({"text": slack_message(&new, &over, environment, revision)}),
        };
        let sent = tokio::time::timeout(LONGEST, deliver("message", client.post(&route.url).json(&body))).await;
        let taken =
            if sent.unwrap_or(false) { new.iter().map(|news| news.fingerprint.clone()).collect() } else { Vec::new() };
        (place, taken)
    }

    /// The routes of the owners of what it is about; else those of nobody in particular.
    fn places(&self, news: &News, desired: Option<&Desired>) -> BTreeSet<usize> {
        let config = desired.and_then(|desired| desired.config.as_ref());
        let tenant = config.and_then(|config| config.tenants.iter().find(|tenant| tenant.name == news.partition));
        let owners = tenant.map(|tenant| tenant.owners.as_slice()).unwrap_or_default();
        let routes = self.routes.iter().enumerate();
        let own: BTreeSet<usize> =
            routes.clone().filter(|(_, r)| r.owners.iter().any(|o| owners.contains(o))).map(|(i, _)| i).collect();
        if own.is_empty() { routes.filter(|(_, r)| r.owners.is_empty()).map(|(i, _)| i).collect() } else { own }
    }
}

fn json_message(new: &[&News], over: &[&str], environment: &str, revision: &str) -> Value {
    let news: Vec<Value> = new
        .iter()
        .map(|news| {
            let object = news.object.as_ref().map(ToString::to_string);
            json!({"what": news.what, "object": object, "partition": news.partition, "text": news.text})
        })
        .collect();
    json!({"environment": environment, "revision": revision, "news": news, "resolved": over})
}

/// Text in which nothing of others is markup: Slack reads `<`, `>` and `&` alone outside of code.
fn slack_message(new: &[&News], over: &[&str], environment: &str, revision: &str) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('`', "'");
    let short = revision.get(..10).unwrap_or(revision);
    let mut lines = vec![format!("spinway {} at {short}", escape(environment))];
    lines.extend(new.iter().take(LINES).map(|news| format!("• {}", escape(&news.line()))));
    if new.len() > LINES {
        lines.push(format!("• and {} more", new.len() - LINES));
    }
    lines.extend(over.iter().take(LINES).map(|line| format!("• resolved: {}", escape(line))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_no_markup_in_a_message() {
        let news = News::of_turn("staging", "<!channel> `x` & <https://evil.example|here>\u{1b}[31m".to_owned());
        let text = slack_message(&[&news], &[], "staging", "");
        assert!(text.contains("&lt;!channel&gt; 'x' &amp; &lt;https://evil.example|here&gt;\\u{1b}[31m"), "{text}");
    }
}
