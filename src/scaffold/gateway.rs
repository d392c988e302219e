//! A Gateway.

use super::text::scalar;
use super::{Known, MAX_LABEL, Made, NewFile, Wrong, check_name, check_subdomain};

/// What a new Gateway is to be.
#[derive(Clone, Debug)]
pub struct NewGateway {
    /// Its name.
    pub name: String,
    /// Its namespace, which is declared beside it where the repository does not have it.
    pub namespace: String,
    /// Its GatewayClass.
    pub class: String,
    /// The Secret of its certificate, in its namespace.
    pub certificate: Option<String>,
}

/// The label of namespaces whose routes a Gateway takes.
fn label(gateway: &str) -> String {
    format!("exposed-by/{gateway}")
}

/// The files of a new Gateway.
///
/// # Errors
/// A name is none, or the platform has no folder.
pub fn gateway(new: &NewGateway, known: &Known) -> Result<Made, Wrong> {
    check_name(&new.name, "name for a Gateway", MAX_LABEL)?;
    check_name(&new.namespace, "name of a namespace", MAX_LABEL)?;
    check_subdomain(&new.class, "name of a GatewayClass")?;
    if let Some(certificate) = &new.certificate {
        check_subdomain(certificate, "name of a Secret")?;
    }
    let path = format!("{}/gateway-{}.yaml", known.platform_folder()?, new.name);
    let mut text = format!("# The Gateway {}/{}: one address for the apps of all teams.\n", new.namespace, new.name);
    if !known.has_namespace(&new.namespace) {
        let namespace = scalar(&new.namespace);
        text.push_str(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n---\n"));
    }
    text.push_str(&object(new));
    Ok(Made { files: vec![NewFile { path, text }], ..Made::default() })
}

fn object(new: &NewGateway) -> String {
    let (name, namespace, class) = (scalar(&new.name), scalar(&new.namespace), scalar(&new.class));
    let allowed =
        format!("{{namespaces: {{from: Selector, selector: {{matchLabels: {{{}: \"true\"}}}}}}}}", label(&new.name));
    format!(
        "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  gatewayClassName: {class}
  # A listener without `hostname` takes every host. Which of them a team may serve is said in spinway.yaml, by tenant.
  listeners:
    - name: http
      port: 80
      protocol: HTTP
      # Only of namespaces with this label, which `spinway new tenant` gives to theirs.
      allowedRoutes: {allowed}
{https}",
        https = https(new, &allowed),
    )
}

fn https(new: &NewGateway, allowed: &str) -> String {
    let secret = new.certificate.as_deref().unwrap_or("NAME");
    let listener = format!(
        "    - name: https\n      port: 443\n      protocol: HTTPS\n      tls: {{certificateRefs: [{{name: {}}}]}}\n      \
         allowedRoutes: {allowed}\n",
        scalar(secret)
    );
    if new.certificate.is_some() {
        return format!("    # Apps name this one as their `section`: what is on it is encrypted.\n{listener}");
    }
    let commented: String = listener.lines().map(|line| format!("    # {}\n", &line[4..])).collect();
    format!(
        "    # With a certificate, a Secret of this namespace, which cert-manager or External Secrets make:\n{commented}"
    )
}
