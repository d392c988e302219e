//! Asks through the Gateway's own address whether it follows the routes that took over, while what served before them rests.

use super::Planned;
use crate::apply::Answer;
use crate::object::Untrusted;
use crate::routing::{Door, MARK, Probe, doors};
use futures::stream::{self, StreamExt as _};
use reqwest::redirect::Policy;
use std::net::SocketAddr;
use std::time::Duration;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks all probes of a step once, each at every door of its Gateways.
pub(super) async fn ask(planned: &Planned, probes: &[Probe]) -> Answer {
    let (mut asked, mut unknown) = (Vec::new(), false);
    for probe in probes {
        let route = planned.desired.objects.get(&probe.route).map(|member| &member.object.value);
        let doors = route.map(|route| doors(probe, route, |gateway| planned.reading.live.get(gateway)));
        let doors = doors.unwrap_or_default();
        unknown |= doors.is_empty();
        asked.extend(doors.into_iter().map(|door| (probe, door)));
    }
    let answers = asked.into_iter().map(|(probe, door)| async move { through(probe, &door).await });
    let answers: Vec<Answer> = stream::iter(answers).buffer_unordered(8).collect().await;
    // One that does not follow counts for more than one that cannot be asked.
    let other = answers.iter().find(|answer| matches!(answer, Answer::Other(_))).cloned();
    let all_new = !unknown && answers.iter().all(|answer| *answer == Answer::New);
    other.unwrap_or(if all_new { Answer::New } else { Answer::Unknown })
}

/// Asks one probe at one door, on a new connection.
async fn through(probe: &Probe, door: &Door) -> Answer {
    let Some(request) = request(probe, door).await else { return Answer::Unknown };
    let Ok(answer) = request.send().await else { return Answer::Unknown };
    let mark = answer.headers().get(MARK).map(http::HeaderValue::as_bytes);
    let (follows, code) = (mark == Some(probe.mark.as_bytes()), answer.status());
    if follows && code.is_success() {
        return Answer::New;
    }
    let version = if follows { "the new version" } else { "another version" };
    let (host, path, code) = (door.host.as_deref().unwrap_or(&door.address), &probe.path, code.as_u16());
    Answer::Other(Untrusted::new(format!("GET {host}{path} was answered by {version} of the route with status {code}")))
}

/// The request for a probe: to the address of the Gateway, by the name that the route has.
async fn request(probe: &Probe, door: &Door) -> Option<reqwest::RequestBuilder> {
    let looking = tokio::net::lookup_host((door.address.as_str(), door.port));
    let addresses: Vec<SocketAddr> = tokio::time::timeout(PATIENCE, looking).await.ok()?.ok()?.collect();
    let first = addresses.first()?;
    // Only a mark is read, which opens nothing: a certificate of the organization's own is as good as any.
    let client = reqwest::Client::builder()
        .user_agent(concat!("spinway/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .tls_danger_accept_invalid_certs(true)
        .timeout(PATIENCE);
    let (client, host) = match &door.host {
        Some(host) => (client.resolve_to_addrs(host, &addresses), format!("{host}:{}", door.port)),
        None => (client, first.to_string()),
    };
    let scheme = if door.secure { "https" } else { "http" };
    Some(client.build().ok()?.get(format!("{scheme}://{host}{}", probe.path)))
}
