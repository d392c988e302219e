//! Many environments and clusters for few agents: each of them falls to one, by a stable hash.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// All environments and clusters of a fleet.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// Each of them.
    pub members: Vec<Member>,
}

/// One environment in one cluster.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name, which decides whom it falls to; a DNS label, since files are named by it.
    pub name: String,
    /// The environment of the repository; needed when there are several.
    pub env: Option<String>,
    /// The kubeconfig file of its cluster; none for the agent's own.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; none for the current one.
    pub context: Option<String>,
}

impl Fleet {
    /// What is wrong with the names, if anything: they must be different, and be DNS labels (RFC 1123).
    pub fn fault(&self) -> Option<String> {
        let is_label = |name: &str| {
            let inner = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            inner && (1..=63).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
        };
        let mut names: Vec<&str> = self.members.iter().map(|member| member.name.as_str()).collect();
        if let Some(wrong) = names.iter().find(|name| !is_label(name)) {
            return Some(format!("the member name `{wrong}` is no DNS label"));
        }
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1])?;
        Some(format!("there are two members `{}`", twice[0]))
    }

    /// An environment of which there are two members, if there is one.
    pub fn shared_environment(&self) -> Option<&str> {
        let mut environments: Vec<&str> =
            self.members.iter().map(|member| member.env.as_deref().unwrap_or_default()).collect();
        environments.sort_unstable();
        environments.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }

    /// The members that fall to one of so many agents. Each falls to exactly one, whatever the order; with another number of
    /// agents as few as possible change hands (rendezvous hashing).
    pub fn share(&self, shard: Shard) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| shard.is_of(&member.name))
    }
}

/// One of so many agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

impl Shard {
    /// Whether a name falls to it: it has the highest hash of all with that name.
    fn is_of(self, name: &str) -> bool {
        let weight = |index: u32| (Sha256::digest(format!("{index}/{name}")), index);
        (0..self.count).max_by_key(|index| weight(*index)) == Some(self.index)
    }
}

/// `INDEX/COUNT`, as `0/8`.
impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse::<u32>().ok();
        let parts = text.split_once('/').and_then(|(index, count)| Some((number(index)?, number(count)?)));
        match parts {
            Some((index, count)) if index < count && count <= 10_000 => Ok(Self { index, count }),
            _ => Err("a shard is INDEX/COUNT, from 0/1; the index is below the count".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(count: usize) -> Fleet {
        let member = |n| Member { name: format!("c{n}"), env: None, kubeconfig: None, context: None };
        Fleet { members: (0..count).map(member).collect() }
    }

    fn owner(fleet: &Fleet, count: u32) -> Vec<u32> {
        let of = |member: &Member| {
            let mut owners = (0..count).filter(|index| Shard { index: *index, count }.is_of(&member.name));
            let owner = owners.next();
            assert!(owners.next().is_none(), "one owner");
            owner.unwrap_or(u32::MAX)
        };
        fleet.members.iter().map(of).collect()
    }

    #[test]
    fn each_member_falls_to_one_agent_and_few_change_hands() {
        let fleet = fleet(300);
        let (ten, eleven) = (owner(&fleet, 10), owner(&fleet, 11));
        for shard in 0..10 {
            let share = ten.iter().filter(|owner| **owner == shard).count();
            assert!((15..=50).contains(&share), "{shard} has {share} of 300");
        }
        let moved = ten.iter().zip(&eleven).filter(|(before, after)| before != after).count();
        assert!(moved <= 60, "{moved} of 300 changed hands");
        // Every one that did went to the new agent.
        assert!(ten.iter().zip(&eleven).all(|(before, after)| before == after || *after == 10));
    }

    #[test]
    fn names_and_shards_are_checked() {
        assert_eq!(fleet(3).fault(), None);
        let mut twice = fleet(2);
        twice.members[1].name = "c0".to_owned();
        assert!(twice.fault().is_some_and(|fault| fault.contains("two members `c0`")));
        twice.members[1].name = "../x".to_owned();
        assert!(twice.fault().is_some());
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, count: 3 }));
        for wrong in ["3/3", "1", "a/b", "0/0", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
