//! A path of `sources`.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use std::borrow::Cow;

/// A path that is read: `apps`, or `{path: apps, namespace: shop}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "WrittenSource")]
pub struct Source {
    /// The folder or file.
    pub path: String,
    /// The namespace of the objects below it that declare none.
    pub namespace: Option<String>,
}

/// A source as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a path, or `{path: PATH, namespace: NAME}`")]
enum WrittenSource {
    /// Its path alone.
    Path(String),
    /// With more.
    Entry(SourceEntry),
}

/// A path that is read, and the namespace of what declares none.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SourceEntry {
    /// The folder or file.
    path: String,
    /// The namespace of the objects below it that declare none.
    #[serde(default)]
    namespace: Option<String>,
}

impl From<WrittenSource> for Source {
    fn from(written: WrittenSource) -> Self {
        match written {
            WrittenSource::Path(path) => Self { path, namespace: None },
            WrittenSource::Entry(SourceEntry { path, namespace }) => Self { path, namespace },
        }
    }
}

impl JsonSchema for Source {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        WrittenSource::json_schema(generator)
    }
}
