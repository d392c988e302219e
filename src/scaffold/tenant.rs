//! A team, what it may do, and what it starts from.

use super::text::{list, scalar};
use super::{
    KEPT, Known, MAX_LABEL, Made, NewFile, RUNTIME_CLASS, Review, Wrong, check_name, check_value, insert, rights,
};
use crate::desired::{PLATFORM, below, is_service_account};

/// What a new tenant is to be. An empty list allows nothing, but for `kinds`.
#[derive(Clone, Debug, Default)]
pub struct NewTenant {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its folder in the repository; none for one beside those of the others.
    pub folder: Option<String>,
    /// Gateways that it may attach to.
    pub gateways: Vec<String>,
    /// Host names that it serves together with others.
    pub hostnames: Vec<String>,
    /// Path prefixes that it may serve.
    pub path_prefixes: Vec<String>,
    /// Images that it may run.
    pub images: Vec<String>,
    /// Where its apps may connect to.
    pub egress: Vec<String>,
    /// The kinds that it may declare; empty for those that an app needs.
    pub kinds: Vec<String>,
    /// The service account that its changes are made as: `NAMESPACE/NAME`.
    pub service_account: String,
    /// Who to tell, and who reviews its folder.
    pub owners: Vec<String>,
}

/// The fields of the entry, in order, each with what it means.
type Field = (&'static str, String, &'static str);

/// The files of a new tenant, and its entry in `spinway.yaml`, whose text is given.
///
/// # Errors
/// A name is none or taken, or the repository has no folder for it.
pub fn tenant(new: &NewTenant, known: &Known, config: &str) -> Result<Made, Wrong> {
    check(new, known)?;
    let folder = new.folder.clone().map_or_else(|| known.tenant_folder(&new.name), Ok)?;
    if !known.reads(&folder) {
        return Err(Wrong::Unread(folder));
    }
    let fields = fields(new, &folder);
    let insertion = insert::tenant(config, &block(new, &fields), &flow(&fields));
    let path = format!("{}/tenant-{}.yaml", known.platform_folder()?, new.name);
    if below(&path, &folder).is_some() {
        return Err(Wrong::NoFolder("what no tenant has".to_owned()));
    }
    let head = format!(
        "# What tenant {} starts from. These objects are the platform's: the tenant's own files are in {folder}.\n",
        new.name
    );
    let objects = [objects(new, known), rights::objects(new, known)?].concat();
    let mut files = vec![NewFile { path, text: head + &objects.join("---\n") }];
    if !known.has_folder(&folder) {
        files.push(NewFile { path: format!("{folder}/.spinwayignore"), text: KEPT.to_owned() });
    }
    let review = Some(Review::Tenant { folder, owners: new.owners.clone() });
    Ok(Made { files, insertion: Some(insertion), review })
}

fn check(new: &NewTenant, known: &Known) -> Result<(), Wrong> {
    check_name(&new.name, "name for a tenant", MAX_LABEL)?;
    check_value(new.name != PLATFORM, &new.name, "name for a tenant", "it stands for what no tenant has")?;
    check_name(&new.namespace, "name of a namespace", MAX_LABEL)?;
    if let Some(place) = known.place_of_tenant(&new.name) {
        return Err(Wrong::TenantThere { name: new.name.clone(), place });
    }
    for prefix in &new.path_prefixes {
        check_value(prefix.starts_with('/') || prefix == "*", prefix, "path prefix", "it starts with `/`")?;
    }
    for gateway in &new.gateways {
        let plain =
            gateway == "*" || matches!(gateway.matches('/').count(), 1 | 2) && !gateway.split('/').any(str::is_empty);
        check_value(plain, gateway, "Gateway", "write NAMESPACE/NAME")?;
    }
    let account = &new.service_account;
    check_value(is_service_account(account), account, "service account", "write NAMESPACE/NAME")?;
    if let Some(folder) = &new.folder {
        let plain = !folder.split('/').any(|part| part.is_empty() || part == ".." || part == ".");
        check_value(plain, folder, "folder of the repository", "write it like `apps/checkout`")?;
    }
    Ok(())
}

fn fields(new: &NewTenant, folder: &str) -> Vec<Field> {
    let lists = [
        ("namespaces", vec![new.namespace.clone()], "the namespaces of its objects"),
        ("gateways", new.gateways.clone(), "what its routes may attach to"),
        ("hostnames", new.hostnames.clone(), "shared with other teams; `ownHostnames` has those of its own"),
        ("pathPrefixes", new.path_prefixes.clone(), "what it may serve of the shared ones"),
        ("images", new.images.clone(), "where its images come from; * does not cross /"),
        ("egress", new.egress.clone(), "where its apps may connect to: https://HOST, 10.0.0.0/8, namespace:NAME"),
    ];
    let mut fields = vec![
        ("name", scalar(&new.name), ""),
        ("paths", list(&[folder.to_owned()]), "its files: these rules hold for all below"),
    ];
    fields.extend(lists.into_iter().map(|(key, items, why)| (key, list(&items), why)));
    if !new.kinds.is_empty() {
        fields.push(("kinds", list(&new.kinds), "what it may declare; the Role of its service account has the same"));
    }
    fields.push(("serviceAccount", scalar(&new.service_account), "its changes are made as this account"));
    if !new.owners.is_empty() {
        fields.push(("owners", list(&new.owners), "who is told"));
    }
    fields
}

/// The entry as a block, each line with its reason.
fn block(new: &NewTenant, fields: &[Field]) -> String {
    let lines: Vec<String> = fields.iter().map(|(key, value, _)| format!("{key}: {value}")).collect();
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default().min(60);
    let mut text =
        format!("# Team {}. An empty list allows nothing. docs/guides/guardrails.md has all fields.\n", new.name);
    for ((line, (_, _, why)), start) in lines.iter().zip(fields).zip(["- "].into_iter().chain(std::iter::repeat("  ")))
    {
        let line = if why.is_empty() { line.clone() } else { format!("{line:width$}  # {why}") };
        text.push_str(&format!("{start}{line}\n"));
    }
    text
}

/// The entry on one line.
fn flow(fields: &[Field]) -> String {
    let fields: Vec<String> = fields.iter().map(|(key, value, _)| format!("{key}: {value}")).collect();
    format!("{{{}}}", fields.join(", "))
}

/// What the repository does not have yet: the namespace and the executor.
fn objects(new: &NewTenant, known: &Known) -> Vec<String> {
    let mut objects = Vec::new();
    if !known.has_namespace(&new.namespace) {
        objects.push(namespace(new, known));
    }
    let executor = known.executor();
    if !known.has_executor(&new.namespace, executor) {
        objects.push(format!(
            "\
# Spin apps run by an executor of their own namespace. The RuntimeClass is from SpinKube.
apiVersion: core.spinkube.dev/v1alpha1
kind: SpinAppExecutor
metadata: {{name: {}, namespace: {}}}
spec:
  createDeployment: true
  deploymentConfig:
    runtimeClassName: {}
    installDefaultCACerts: true
",
            scalar(executor),
            scalar(&new.namespace),
            scalar(known.runtime_class(executor).unwrap_or(RUNTIME_CLASS))
        ));
    }
    objects
}

fn namespace(new: &NewTenant, known: &Known) -> String {
    let labels = known.labels_for(&new.gateways);
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{}: {}", scalar(key), scalar(value))).collect();
    let name = scalar(&new.namespace);
    if labels.is_empty() {
        return format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
    }
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  # By these its Gateways take the routes of this namespace (allowedRoutes).\n  labels: {{{}}}\n",
        labels.join(", ")
    )
}
