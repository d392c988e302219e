//! How much of a repository each owner may take, so that no tenant stops another one (law 10).
//!
//! Beyond its share nothing of a tenant is read: what it wants is unknown, so nothing of it is applied or deleted, and the
//! others go on. The platform team has no share of its own but that of the whole repository.

use super::{Config, FileOwner};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a share is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Amount {
    /// Bytes of manifests.
    Bytes,
    /// Files and folders of any kind.
    Entries,
    /// Manifests.
    Files,
    /// Documents in them, items of lists included.
    Documents,
    /// Values in them, aliases expanded.
    Values,
    /// Patches.
    Patches,
    /// Bytes that patches and values add.
    Growth,
}

impl Amount {
    const ALL: [Self; 7] =
        [Self::Bytes, Self::Entries, Self::Files, Self::Documents, Self::Values, Self::Patches, Self::Growth];

    /// The most that one tenant may have.
    pub const fn most(self) -> usize {
        match self {
            Self::Bytes => 32 << 20,
            Self::Entries => 100_000,
            Self::Files => 10_000,
            Self::Documents => 20_000,
            Self::Values => 1_000_000,
            Self::Patches => 1_000,
            Self::Growth => 32 << 20,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => write!(f, "{} MiB of manifests", self.most() >> 20),
            Self::Entries => write!(f, "{} files and folders", self.most()),
            Self::Files => write!(f, "{} manifests", self.most()),
            Self::Documents => write!(f, "{} documents", self.most()),
            Self::Values => write!(f, "{} values", self.most()),
            Self::Patches => write!(f, "{} patches", self.most()),
            Self::Growth => write!(f, "{} MiB that patches add", self.most() >> 20),
        }
    }
}

/// What each owner has taken so far; several threads may take at once.
#[derive(Debug, Default)]
pub struct Shares {
    config: Option<Config>,
    taken: BTreeMap<String, [AtomicUsize; Amount::ALL.len()]>,
}

impl Shares {
    /// Nothing is taken yet.
    pub fn new(config: Option<Config>) -> Self {
        let tenants = config.iter().flat_map(|config| &config.tenants).map(|tenant| tenant.name.clone());
        // The empty name is that of files which nobody owns.
        let taken = tenants.chain([String::new()]).map(|name| (name, Default::default())).collect();
        Self { config, taken }
    }

    /// Who has a file: a tenant's name, empty for nobody; none for the platform.
    pub fn owner(&self, file: &str) -> Option<&str> {
        match self.config.as_ref()?.owner_of(file) {
            FileOwner::Tenant(tenant) => Some(&tenant.name),
            FileOwner::Nobody => Some(""),
            FileOwner::Platform => None,
        }
    }

    /// Takes something for an owner. False once its share is used up; the platform's never is.
    pub fn take(&self, owner: Option<&str>, amount: Amount, count: usize) -> bool {
        let Some(taken) = owner.and_then(|owner| self.taken.get(owner)) else { return true };
        let before = taken[amount as usize].fetch_add(count, Ordering::Relaxed);
        before.saturating_add(count) <= amount.most()
    }

    /// The owners that wanted more than their share, each with what there was too much of.
    pub fn exceeded(&self) -> BTreeMap<String, Amount> {
        let of = |taken: &[AtomicUsize; Amount::ALL.len()]| {
            Amount::ALL.into_iter().find(|amount| taken[*amount as usize].load(Ordering::Relaxed) > amount.most())
        };
        self.taken.iter().filter_map(|(owner, taken)| Some((owner.clone(), of(taken)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Tenant;

    #[test]
    fn each_tenant_has_its_own_share_and_the_platform_all() {
        let tenant = |name: &str| Tenant { name: name.to_owned(), paths: vec![name.to_owned()], ..Tenant::default() };
        let config = Config { tenants: vec![tenant("a"), tenant("b")], ..Config::default() };
        let shares = Shares::new(Some(config));
        let a = shares.owner("a/x.yaml").map(str::to_owned);
        assert_eq!(a.as_deref(), Some("a"));
        assert!(shares.take(a.as_deref(), Amount::Files, Amount::Files.most()));
        assert!(!shares.take(a.as_deref(), Amount::Files, 1));
        assert!(shares.take(Some("b"), Amount::Files, 1) && shares.take(None, Amount::Files, usize::MAX));
        assert_eq!(shares.exceeded(), BTreeMap::from([("a".to_owned(), Amount::Files)]));
    }
}
