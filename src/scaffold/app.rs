//! An App, placed in its team's folder.

use super::text::{list, scalar};
use super::{Known, MAX_LABEL, Made, NewFile, Wrong, check_name, check_value};
use crate::desired::MAX_APP_NAME;
use crate::object::did_you_mean;

/// What a new App is to be.
#[derive(Clone, Debug)]
pub struct NewApp {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its image.
    pub image: String,
    /// How it is reached; none for an app that only others in the cluster call.
    pub route: Option<NewRoute>,
    /// The folder of the repository that was meant, where it is one of the team's; empty for the first of them.
    pub folder: String,
}

/// How a new App is reached.
#[derive(Clone, Debug)]
pub struct NewRoute {
    /// The Gateway: `NAMESPACE/NAME`.
    pub gateway: String,
    /// The listener.
    pub section: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The path prefix.
    pub path: String,
}

/// The file of a new App.
///
/// # Errors
/// A name is none, or its team has no folder.
pub fn app(new: &NewApp, known: &Known) -> Result<Made, Wrong> {
    check_name(&new.name, "name for an App", MAX_APP_NAME)?;
    check_name(&new.namespace, "name of a namespace", MAX_LABEL)?;
    let there = known.all_namespaces();
    if !there.is_empty() && !known.may_have_namespace(&new.namespace) {
        let meant = did_you_mean(&new.namespace, there.iter().map(String::as_str));
        let meant = meant.map_or_else(String::new, |meant| format!("{meant} "));
        return Err(Wrong::NoNamespace {
            name: new.namespace.clone(),
            help: format!("{meant}There are: {}.", there.join(", ")),
        });
    }
    let blank = new.image.is_empty() || new.image.contains(char::is_whitespace);
    check_value(!blank, &new.image, "image", "write it like `registry.example/team/app:1.0.0@sha256:...`")?;
    if let Some(route) = &new.route {
        check_value(route.path.starts_with('/'), &route.path, "path", "it starts with `/`")?;
    }
    let path = format!("{}/{}.yaml", known.app_folder(&new.namespace, &new.folder)?, new.name);
    Ok(Made { files: vec![NewFile { path, text: text(new, known.limits_egress(&new.namespace)) }], ..Made::default() })
}

/// The text of an App, with `egress` where its tenant has a limit: without it nothing would limit its pods.
fn text(new: &NewApp, is_limited: bool) -> String {
    let image = scalar(&new.image);
    let pinned = if new.image.contains("@sha256:") {
        "  # The Spin app as an OCI artifact. The digest says what runs; the tag is for people.\n"
    } else {
        "  # The Spin app as an OCI artifact. Add @sha256:... to say what exactly runs; protected environments demand it.\n"
    };
    format!(
        "\
# `spinway render --explain` shows what this becomes. The guide: docs/guides/apps.md of spinway; `spinway schema App` teaches
# an editor every field. Pods and resources are those of `defaults` in spinway.yaml unless they are said here.
apiVersion: spinway.dev/v1alpha1
kind: App
metadata: {{name: {}, namespace: {}}}
spec:
{pinned}  image: {image}
{}{}",
        scalar(&new.name),
        scalar(&new.namespace),
        new.route.as_ref().map_or_else(|| UNROUTED.to_owned(), routed),
        if is_limited { NO_EGRESS } else { "" }
    )
}

const NO_EGRESS: &str = "  # Where it may connect to, within `egress` of its tenant in spinway.yaml: [\"https://api.example\"]. Empty means nowhere.
  egress: []
";

const UNROUTED: &str =
    "  # Without routes only others in the cluster reach it, by the Service of its name. From outside:
  # routes:
  #   - {gateway: NAMESPACE/NAME, hosts: [HOST], path: /PREFIX}
";

fn routed(route: &NewRoute) -> String {
    let mut fields = vec![format!("gateway: {}", scalar(&route.gateway))];
    fields.extend(route.section.iter().map(|section| format!("section: {}", scalar(section))));
    fields.extend(route.host.iter().map(|host| format!("hosts: {}", list(std::slice::from_ref(host)))));
    let why = if route.path == "/" {
        "  # All requests for the host.\n"
    } else {
        fields.push(format!("path: {}", scalar(&route.path)));
        "  # The prefix is taken off before the app sees a request (keepPrefix: true leaves it).\n"
    };
    format!("{why}  routes:\n    - {{{}}}\n", fields.join(", "))
}
