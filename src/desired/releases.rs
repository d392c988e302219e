//! The releases that a Config names: of Gateway API, and of the controllers that serve it.

use super::config::{Channel, Config, GatewayApi};
use crate::schema::{Installed, Numbers, Release, release_numbers, releases};
use serde::de::{Deserialize as _, Deserializer, Error as _};
use serde_json::Value;

/// Reads a release. A number is refused, since YAML reads `1.10` as 1.1.
pub(super) fn quoted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Err(D::Error::custom(format!(
            "`release` is a number, and YAML reads 1.10 as 1.1; write it in quotes: `release: \"{number}\"`"
        ))),
        _ => Err(D::Error::custom("`release` must be a text: `release: \"1.6\"`")),
    }
}

impl GatewayApi {
    /// Where the types of Gateway API are looked for.
    pub fn installed(&self) -> Installed {
        Installed {
            release: self.release.as_deref().and_then(release_numbers),
            experimental: self.channel.map(|channel| channel == Channel::Experimental),
        }
    }
}

impl Config {
    /// What is wrong with the releases that it names, each with the JSON pointer of the text. A release that cannot be meant would
    /// switch checks off without a word.
    pub(super) fn wrong_releases(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if let Some(wrong) = self.gateway_api.release.as_deref().and_then(wrong_release) {
            found.push(("/spec/gatewayApi/release".to_owned(), wrong));
        }
        for (index, controller) in self.controllers.iter().enumerate() {
            // What is named by a value is looked at with the values of each environment.
            if let (false, Err(why)) = (controller.release.contains("${"), Release::parse(&controller.release)) {
                found.push((format!("/spec/controllers/{index}/release"), format!("In `controllers`: {why}.")));
            }
        }
        found
    }
}

/// Why a text is not a release of Gateway API that objects can be judged by; of older ones than are known nothing is judged.
fn wrong_release(text: &str) -> Option<String> {
    if text.contains("${") {
        return None;
    }
    let known = releases();
    let newest = known.last().copied().unwrap_or_default();
    let names: Vec<String> = known.iter().map(|numbers| shown(*numbers)).collect();
    let names = names.join(", ");
    match release_numbers(text) {
        Some(numbers) if numbers <= newest => None,
        Some(_) => Some(format!(
            "Gateway API `{text}` is newer than this version of spinway knows; known: {names}. Write `release: \"{}\"` to be checked \
             by the newest one.",
            shown(newest)
        )),
        None => Some(format!(
            "`{text}` is not a release of Gateway API; known: {names}. Write `release: \"{}\"`.",
            shown(newest)
        )),
    }
}

/// A release as people write it.
fn shown((major, minor): Numbers) -> String {
    format!("{major}.{minor}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_known_older_or_wrong() {
        for fine in ["1.6", "v1.6", "1.7.2", "v1.5.0-rc.1", "1.4", "0.8.1", "${release}"] {
            assert_eq!(wrong_release(fine), None, "{fine}");
        }
        for (wrong, part) in
            [("1.66", "newer than"), ("2.0", "newer than"), ("16", "not a release"), ("newest", "known: 1.5, 1.6, 1.7")]
        {
            assert!(wrong_release(wrong).is_some_and(|said| said.contains(part)), "{wrong}");
        }
    }
}
