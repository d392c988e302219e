//! A repository from nothing.

use super::codeowners::is_owner;
use super::text::scalar;
use super::{KEPT, MAX_LABEL, Made, NewFile, RUNTIME_CLASS, Review, Wrong, check_name, check_subdomain, check_value};
use crate::desired::{CONFIG_FILE, is_dns_label};
use crate::schema::Release;

/// What a new repository is to be.
#[derive(Clone, Debug)]
pub struct NewRepository {
    /// Its name.
    pub name: String,
    /// The domain of its apps in the last environment.
    pub domain: String,
    /// The environments, in the order of promotion.
    pub environments: Vec<String>,
    /// The GatewayClass that its Gateways are of.
    pub gateway_class: String,
    /// The platform team, as GitHub names it.
    pub owner: String,
}

/// The projects of GatewayClasses by the names that their own installations give them.
const CLASSES: [(&str, &str); 9] = [
    ("nginx", "nginx-gateway-fabric"),
    ("eg", "envoy-gateway"),
    ("envoy-gateway", "envoy-gateway"),
    ("istio", "istio"),
    ("cilium", "cilium"),
    ("traefik", "traefik"),
    ("kgateway", "kgateway"),
    ("kong", "kong-operator"),
    ("contour", "contour"),
];

/// The files of a new repository.
///
/// # Errors
/// A name or the domain is none.
pub fn repository(new: &NewRepository) -> Result<Made, Wrong> {
    check_name(&new.name, "name for a repository", MAX_LABEL)?;
    check_value(is_domain(&new.domain), &new.domain, "domain", "write it like `shop.example`")?;
    check_subdomain(&new.gateway_class, "name of a GatewayClass")?;
    check_value(
        is_owner(&new.owner),
        &new.owner,
        "owner for CODEOWNERS",
        "write @ORG/TEAM, @USER or an email address",
    )?;
    for (index, environment) in new.environments.iter().enumerate() {
        check_name(environment, "name for an environment", MAX_LABEL)?;
        let once = !new.environments[..index].contains(environment);
        check_value(once, environment, "name for another environment", "it is given twice")?;
    }
    let kept = ["platform", "apps"].map(|folder| file(&format!("{folder}/.spinwayignore"), KEPT.to_owned()));
    let files = [file(CONFIG_FILE, config(new))].into_iter().chain(kept).collect();
    let review = Some(Review::Repository { platform: new.owner.clone() });
    Ok(Made { files, insertion: None, review })
}

fn file(path: &str, text: String) -> NewFile {
    NewFile { path: path.to_owned(), text }
}

/// Whether a text is a host name of at least two labels.
fn is_domain(text: &str) -> bool {
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_dns_label)
}

fn config(new: &NewRepository) -> String {
    let parts = [HEAD.replace("NAME", &scalar(&new.name)), environments(new), externals(&new.gateway_class)];
    parts.concat() + &controllers(&new.gateway_class) + TAIL
}

const HEAD: &str = "# What spinway reads, which clusters it may touch, and who may do what. The guide: docs/guides/repository.md of spinway;
# `spinway schema Config` teaches an editor every field.
apiVersion: spinway.dev/v1alpha1
kind: Config
# The name is part of the identity of all that is applied: choose it once.
metadata: {name: NAME}
spec:
  # Folders that every environment reads: `platform` is the platform team's, `apps` has one for each team.
  sources: [platform, apps]
  # In the order of promotion. Apps write ${domain}, and each environment says what that is.
  environments:
";

const TAIL: &str = "  # What every App has unless it says otherwise: two pods, so that one may go, and bounds for each.
  defaults:
    replicas: 2
    resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 128Mi}}
  # `spinway new tenant` adds a team to `tenants`, with what it may do.
";

fn externals(class: &str) -> String {
    let class = scalar(class);
    format!(
        "  # What is in the cluster already: the class comes with the Gateway's controller, the other with SpinKube.
  externals:
    - {{kind: GatewayClass, name: {class}}}
    - {{kind: RuntimeClass, name: {RUNTIME_CLASS}}}
"
    )
}

/// The environments: the last has the domain itself, the others their names before it.
fn environments(new: &NewRepository) -> String {
    let last = new.environments.len().saturating_sub(1);
    let one = |(index, name): (usize, &String)| {
        let domain = if index == last { new.domain.clone() } else { format!("{name}.{}", new.domain) };
        let mut text = format!("    - name: {}\n      values: {{domain: {}}}\n", scalar(name), scalar(&domain));
        if index == last {
            text.push_str(PROTECTED);
        }
        text
    };
    new.environments.iter().enumerate().map(one).collect()
}

/// What the last environment should have, and cannot before its cluster is known.
const PROTECTED: &str = "      # Bind it to its cluster, and protect it: images by digest only, and destruction only with consent. The uid is from
      # kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'
      # cluster: {uid: ...}
      # protected: true
";

/// Which release serves the class; without it nothing is held against what a controller cannot do.
fn controllers(class: &str) -> String {
    let project = CLASSES.iter().find(|(known, _)| *known == class).map(|(_, project)| *project);
    let why = "  # Which release serves the class: what it does not do is an error here instead of a surprise there.\n";
    match project.and_then(Release::newest) {
        Some(Release { project, version, .. }) => {
            format!("{why}  controllers: [{{gatewayClass: {}, release: {project}@{version}}}]\n", scalar(class))
        }
        None => format!("{why}  # controllers: [{{gatewayClass: {}, release: PROJECT@VERSION}}]\n", scalar(class)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_releases_of_well_known_classes_are_known() {
        for (_, project) in CLASSES {
            let newest = Release::newest(project).unwrap_or_else(|| panic!("nothing is known of {project}"));
            let written = format!("{}@{}", newest.project, newest.version);
            assert_eq!(Release::parse(&written).as_ref(), Ok(&newest));
        }
    }
}
