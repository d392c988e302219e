//! `settle`: how long what takes over requests is given before what served them goes, for an environment or an App.

use super::notation::{duration, path_is_plain};
use schemars::JsonSchema;
use serde::Deserialize;

/// The longest time, in seconds.
pub const MAX_SETTLE: f64 = 3600.0;

/// How long what takes over requests is given before what served them goes: no condition of a route tells when the proxy
/// follows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
#[schemars(with = "Written")]
pub struct Settle {
    /// Seconds, at most an hour; none means the time that is known of the Gateway controllers in use.
    pub seconds: Option<f64>,
    /// A path below the route's own: it is asked through the Gateway, and the wait is over when the new state answers.
    pub probe: Option<String>,
}

/// `settle` as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a duration of at most an hour, such as `5s`, or `{for: 5s, probe: /health}`")]
enum Written {
    /// For how long: `5s`.
    For(String),
    /// For how long, and what is asked meanwhile.
    Asking(Asking),
}

/// For how long, and what is asked meanwhile.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asking {
    /// For how long: `5s`. Default: by the Gateway controllers in use.
    #[serde(rename = "for")]
    time: Option<String>,
    /// A path below that of the route, which the app answers with 2xx: it is asked through the Gateway's own address, and the
    /// wait is over as soon as the new state answers.
    probe: String,
}

impl TryFrom<Written> for Settle {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let (time, probe) = match written {
            Written::For(time) => (Some(time), None),
            Written::Asking(Asking { time, probe }) => (time, Some(probe)),
        };
        let seconds = time.map(|text| {
            let seconds = duration(&text).filter(|seconds| *seconds <= MAX_SETTLE);
            seconds.ok_or_else(|| format!("`{text}` is not a duration of at most an hour, such as `5s`"))
        });
        if let Some(wrong) = probe.as_ref().filter(|path| !path_is_plain(path)) {
            return Err(format!(
                "`{wrong}` is no path of Gateway API: start with `/`, and leave out `//`, `/../`, `?` and `#`"
            ));
        }
        Ok(Self { seconds: seconds.transpose()?, probe })
    }
}
