//! `spinway new`.

mod ask;

use super::common::{Format, Target};
use super::failure::Failure;
use super::ui;
use crate::object::Untrusted;
use crate::ops::{Created, NewError, Opened, new_repository, vacant};
use crate::scaffold::{
    self, Codeowners, Insertion, NO_PLATFORM_TEAM, NewApp, NewGateway, NewRepository, NewRoute, NewTenant,
};
use ask::Asker;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Write a repository, a Gateway, a tenant or an App, as short files that explain themselves
///
/// On a terminal it asks for what is missing, with an answer from the repository at hand. No file is ever written over, and
/// what would not pass `spinway check` is not written.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Repository(RepositoryArguments),
    Gateway(GatewayArguments),
    Tenant(TenantArguments),
    App(AppArguments),
}

/// A repository: spinway.yaml with its environments, the folders of the platform and of the apps, and CODEOWNERS
#[derive(Args)]
struct RepositoryArguments {
    /// The directory, which is made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Its name, part of the identity of what is applied; default: that of the directory
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The domain of the apps: the last environment has it, the others their names before it
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// The environments, in the order of promotion; default: staging,production
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    environment: Vec<String>,
    /// The GatewayClass that is in the cluster; default: nginx
    #[arg(long, value_name = "NAME")]
    gateway_class: Option<String>,
    /// The platform team in .github/CODEOWNERS: @ORG/TEAM, @USER or an email address; default: @ORG/platform, to be replaced
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
}

/// A Gateway of the platform team
#[derive(Args)]
struct GatewayArguments {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// The directory of the repository
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Its namespace; default: that of the Gateways there are, else infra
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Its GatewayClass; default: the only one that the repository knows
    #[arg(long, value_name = "NAME")]
    gateway_class: Option<String>,
    /// The Secret of its namespace with the certificate of a listener for HTTPS
    #[arg(long, value_name = "SECRET")]
    certificate: Option<String>,
}

/// A tenant: its rules in spinway.yaml, its namespace and executor, and the service account that its changes are made as
///
/// A list that is not given is written as an empty one, which allows nothing.
#[derive(Args)]
struct TenantArguments {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// The directory of the repository
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Its namespace; default: its name
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Its folder in the repository; default: of its name, beside those of the others
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
    /// The Gateways that its routes may attach to, NAMESPACE/NAME; default: the only one of the repository
    #[arg(long, value_name = "GATEWAY", value_delimiter = ',')]
    gateway: Vec<String>,
    /// Host names that it serves together with others; default: ${domain}, where every environment has that value
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    host: Vec<String>,
    /// The path prefixes that it may serve of them; default: its name
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    path: Vec<String>,
    /// The images that it may run, globs; default: as the other tenants have it, else none
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    image: Vec<String>,
    /// Where its apps may connect to: addresses as an App writes them, networks, namespace:NAME; default: nowhere
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    egress: Vec<String>,
    /// The kinds that it may declare, as KIND or KIND.GROUP; default: what an app needs (spinway check --explain SPW102)
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<String>,
    /// The service account that its changes are made as, NAMESPACE/NAME; default: deployer in its namespace
    #[arg(long, value_name = "ACCOUNT")]
    service_account: Option<String>,
    /// Who is told of its findings; those that GitHub knows (@ORG/TEAM, @USER, an email address) review its folder
    #[arg(long, value_name = "OWNER", value_delimiter = ',')]
    owner: Vec<String>,
}

/// An App, in the folder of the tenant that has its namespace
#[derive(Args)]
struct AppArguments {
    /// Its name, at most 43 characters
    #[arg(value_name = "NAME")]
    name: String,
    /// The directory of the repository, or a folder of the team in it
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Its namespace; default: the only one that the team has
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// The Spin app as an OCI artifact, best with its digest: registry/name:tag@sha256:...
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// The Gateway that serves it, NAMESPACE/NAME; without one only others in the cluster reach it
    #[arg(long, value_name = "GATEWAY")]
    gateway: Option<String>,
    /// The listener of the Gateway; default: the encrypted one that takes the host, else the first that does
    #[arg(long, value_name = "NAME")]
    section: Option<String>,
    /// The host; default: the first of the tenant's, else ${domain}
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The path prefix; default: its name, within what the tenant may serve
    #[arg(long, value_name = "PREFIX")]
    path: Option<String>,
}

/// The answer for an app that is not reached from outside.
const NO_ROUTE: &str = "none";

/// Writes.
pub(super) fn run(arguments: Arguments) -> Result<u8, Failure> {
    let ask = Asker::new();
    match arguments.what {
        What::Repository(asked) => repository(asked, &ask),
        What::Gateway(asked) => gateway(asked, &ask),
        What::Tenant(asked) => tenant(asked, &ask),
        What::App(asked) => app(asked, &ask),
    }
}

fn repository(asked: RepositoryArguments, ask: &Asker) -> Result<u8, Failure> {
    let root = vacant(&asked.directory)?;
    let named = root.file_name().map(|name| name.to_string_lossy().into_owned());
    let environments = if asked.environment.is_empty() {
        let answer = ask.usual(None, "Environments, in the order of promotion", "staging,production");
        answer.split(',').map(|name| name.trim().to_owned()).collect()
    } else {
        asked.environment
    };
    let name = match named.filter(|name| crate::desired::is_dns_label(name)) {
        Some(usual) => ask.usual(asked.name, "Name of the repository", &usual),
        None => ask.needed(asked.name, "--name", "Name of the repository", &[])?,
    };
    let domain = ask.needed(asked.domain, "--domain", "Domain of its apps, like shop.example", &[])?;
    let gateway_class = ask.usual(asked.gateway_class, "GatewayClass of the cluster", "nginx");
    let owner = ask.usual(asked.owner, "Platform team for CODEOWNERS", NO_PLATFORM_TEAM);
    let made = scaffold::repository(&NewRepository { name, domain, environments, gateway_class, owner })
        .map_err(NewError::from)?;
    let created = new_repository(&root, made)?;
    let next = ["new gateway public", "new tenant NAME", "new app NAME"];
    tell(&created, &asked.directory, &next)
}

fn gateway(asked: GatewayArguments, ask: &Asker) -> Result<u8, Failure> {
    let opened = Opened::at(&asked.directory)?;
    let namespaces = opened.known.gateway_namespaces();
    let usual = namespaces.first().map_or("infra", String::as_str);
    let new = NewGateway {
        name: asked.name,
        namespace: ask.usual(asked.namespace, "Namespace", usual),
        class: ask.needed(asked.gateway_class, "--gateway-class", "GatewayClass", &opened.known.classes())?,
        certificate: asked.certificate,
    };
    let made = scaffold::gateway(&new, &opened.known).map_err(NewError::from)?;
    tell(&opened.write(made)?, &asked.directory, &["check", "plan"])
}

fn tenant(asked: TenantArguments, ask: &Asker) -> Result<u8, Failure> {
    let opened = Opened::at(&asked.directory)?;
    let known = &opened.known;
    let gateways = known.gateways();
    let only = if gateways.len() == 1 { gateways } else { Vec::new() };
    let namespace = ask.usual(asked.namespace, "Namespace", &asked.name);
    let account = known.service_account_for(&asked.name, &namespace);
    let new = NewTenant {
        folder: asked.folder.map(|folder| folder.trim_end_matches('/').to_owned()),
        gateways: ask.several(asked.gateway, "Gateways of its routes", &only),
        hostnames: ask.several(asked.host, "Host names", &Vec::from_iter(known.domain())),
        path_prefixes: ask.several(asked.path, "Path prefixes", &[format!("/{}", asked.name)]),
        images: ask.several(asked.image, "Images", &Vec::from_iter(known.images_for(&asked.name))),
        egress: ask.several(asked.egress, "Where its apps may connect to", &[]),
        kinds: asked.kinds,
        service_account: asked.service_account.unwrap_or(account),
        owners: asked.owner,
        name: asked.name,
        namespace,
    };
    let made = scaffold::tenant(&new, known, known.config_text()).map_err(NewError::from)?;
    let next = format!("new app NAME --namespace {}", new.namespace);
    tell(&opened.write(made)?, &asked.directory, &[&next, "check", "plan"])
}

fn app(asked: AppArguments, ask: &Asker) -> Result<u8, Failure> {
    let opened = Opened::at(&asked.directory)?;
    let namespaces = opened.known.namespaces(&opened.folder);
    let namespace = ask.needed(asked.namespace.clone(), "--namespace", "Namespace", &namespaces)?;
    let image = ask.needed(asked.image.clone(), "--image", "Image, registry/name:tag@sha256:...", &[])?;
    let route = asked.route(&opened, &namespace, ask)?;
    let new = NewApp { name: asked.name, namespace, image, route, folder: opened.folder.clone() };
    let made = scaffold::app(&new, &opened.known).map_err(NewError::from)?;
    tell(&opened.write(made)?, &asked.directory, &["check", "plan"])
}

impl AppArguments {
    /// How it is to be reached: asked for on a terminal, and without one only when an option says so.
    fn route(&self, opened: &Opened, namespace: &str, ask: &Asker) -> Result<Option<NewRoute>, Failure> {
        let known = &opened.known;
        let is_meant = self.gateway.is_some() || self.section.is_some() || self.host.is_some() || self.path.is_some();
        let gateways = known.gateways_for(namespace);
        if !is_meant && (!ask.is_interactive() || gateways.is_empty()) {
            return Ok(None);
        }
        let question = format!("Gateway that serves it, or {NO_ROUTE}");
        let gateway = ask.needed(self.gateway.clone(), "--gateway", &question, &gateways)?;
        if gateway == NO_ROUTE {
            return Ok(None);
        }
        // A tenant may be bound to one listener: NAMESPACE/NAME/LISTENER.
        let mut parts = gateway.splitn(3, '/');
        let (first, second, bound) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let gateway = format!("{}/{}", second.map_or(namespace, |_| first), second.unwrap_or(first));
        let usual = known.host_for(namespace, &self.name);
        let host = match &usual {
            Some(usual) => Some(ask.usual(self.host.clone(), "Host", usual)),
            None => Some(ask.needed(self.host.clone(), "--host", "Host", &[])?),
        };
        let path = ask.usual(self.path.clone(), "Path prefix", &known.path_for(namespace, &self.name));
        let section = self.section.clone().or_else(|| bound.map(str::to_owned));
        let section = section.or_else(|| known.section(&gateway, host.as_deref()));
        Ok(Some(NewRoute { gateway, section, host, path }))
    }
}

/// Says what was written and what comes next, then what the checks find.
fn tell(created: &Created, directory: &Path, next: &[&str]) -> Result<u8, Failure> {
    let mut text = String::new();
    let mut line = |words: &str| text.push_str(&format!("{}\n", Untrusted::new(words).terminal()));
    created.files.iter().for_each(|file| line(&format!("wrote {file}")));
    match &created.insertion {
        Some(Insertion::Text(_)) => line("wrote spinway.yaml (the tenant was added)"),
        Some(Insertion::ByHand { text, place }) => {
            line(&format!("add this to {place}; as it is written it cannot be changed safely:"));
            text.lines().for_each(|item| line(&format!("  {item}")));
        }
        None => {}
    }
    match &created.codeowners {
        Some(Codeowners::Changed(_)) => line("wrote .github/CODEOWNERS (the tenant's folder was added)"),
        Some(Codeowners::ByHand { text, place }) => {
            line(&format!("add this to {place}:"));
            text.lines().for_each(|item| line(&format!("  {item}")));
        }
        Some(Codeowners::New(text)) if text.contains(NO_PLATFORM_TEAM) => {
            line(&format!("replace {NO_PLATFORM_TEAM} in .github/CODEOWNERS with the platform team"));
        }
        _ => {}
    }
    line("");
    line("next:");
    next.iter().for_each(|verb| line(&format!("  {}", command(verb, directory, &created.environments))));
    Target { format: Format::Text, file: None }.write(&text)?;
    ui::diagnostics(&created.found, &created.tree, false);
    Ok(0)
}

/// A command that comes next, for the same directory.
fn command(verb: &str, directory: &Path, environments: &[String]) -> String {
    let mut words = vec![format!("spinway {verb}")];
    if directory != Path::new(".") {
        words.push(directory.display().to_string());
    }
    if let (true, [first, _, ..]) = (verb == "plan", environments) {
        words.push(format!("--env {first}"));
    }
    words.join(" ")
}
