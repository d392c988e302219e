//! Which SSH host keys are believed: those of `known_hosts` (sshd(8)), strictly. Nothing is learnt on first use.

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, KnownHosts, Marker};
use russh::keys::{HashAlg, PublicKey};
use sha1::Sha1;

/// What is thought of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the host's.
    Known,
    /// No line is about the host; the fingerprint it shows.
    Unknown(String),
    /// The host has other keys, or this one is revoked.
    Changed {
        /// The fingerprint it shows.
        shown: String,
        /// The fingerprints that are known.
        known: String,
    },
}

/// Judges the key that a host shows. The name is `HOST`, or `[HOST]:PORT` for another port than 22.
pub fn judge(known_hosts: &str, name: &str, shown: &PublicKey) -> Verdict {
    // A line that cannot be read trusts nobody.
    let entries: Vec<Entry> = KnownHosts::new(known_hosts).flatten().filter(|entry| names(entry, name)).collect();
    let print = |key: &PublicKey| key.fingerprint(HashAlg::Sha256).to_string();
    let same = |entry: &&Entry| entry.public_key().key_data() == shown.key_data();
    let revoked = entries.iter().filter(same).any(|entry| entry.marker() == Some(&Marker::Revoked));
    // Lines of certificate authorities are about certificates, which are not taken.
    let mut plain = entries.iter().filter(|entry| entry.marker().is_none()).peekable();
    if !revoked && plain.peek().is_none() {
        return Verdict::Unknown(print(shown));
    }
    if !revoked && plain.clone().any(|entry| same(&entry)) {
        return Verdict::Known;
    }
    let known: Vec<String> = plain.map(|entry| print(entry.public_key())).collect();
    let known = if revoked { "it revoked".to_owned() } else { known.join(", ") };
    Verdict::Changed { shown: print(shown), known }
}

/// Whether a line is about a host.
fn names(entry: &Entry, name: &str) -> bool {
    match entry.host_patterns() {
        HostPatterns::Patterns(patterns) => {
            let fits = |pattern: &str| like(pattern.as_bytes(), name.as_bytes());
            let denied = patterns.iter().any(|p| p.strip_prefix('!').is_some_and(fits));
            !denied && patterns.iter().any(|pattern| fits(pattern))
        }
        HostPatterns::HashedName { salt, hash } => {
            Hmac::<Sha1>::new_from_slice(salt).is_ok_and(|mac| mac.chain_update(name).verify_slice(hash).is_ok())
        }
    }
}

/// Whether a name fits a pattern with `*` and `?`; in names of hosts case says nothing.
fn like(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut letter) = (0, 0);
    // The last `*` and the letter after the text that it stands for. An earlier `*` never has to stand for more.
    let mut star = None;
    while letter < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, letter));
                at += 1;
            }
            Some(p) if *p == b'?' || p.eq_ignore_ascii_case(&name[letter]) => {
                at += 1;
                letter += 1;
            }
            _ => {
                let Some((last, after)) = star else { return false };
                star = Some((last, after + 1));
                (at, letter) = (last + 1, after + 1);
            }
        }
    }
    pattern[at..].iter().all(|p| *p == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn verdict(known_hosts: &str, name: &str) -> &'static str {
        let key = PublicKey::from_openssh(ONE).unwrap_or_else(|error| unreachable!("{error}"));
        match judge(known_hosts, name, &key) {
            Verdict::Known => "known",
            Verdict::Unknown(_) => "unknown",
            Verdict::Changed { .. } => "changed",
        }
    }

    #[test]
    fn only_an_exact_match_is_known() {
        // The hash is that of `git.example` under the salt in front of it.
        let hashed = "|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|7nRKv0Bvz3YgNBDKjOXGaSpq6FY=";
        for (lines, name, expected) in [
            (format!("git.example {ONE}"), "git.example", "known"),
            (format!("other.example,git.example {ONE}"), "git.example", "known"),
            (format!("GIT.example {ONE}"), "git.example", "known"),
            (format!("*.example {ONE}"), "git.example", "known"),
            (format!("*.example,!git.example {ONE}"), "git.example", "unknown"),
            (format!("git.example {ONE}"), "[git.example]:2222", "unknown"),
            (format!("[git.example]:2222 {ONE}"), "[git.example]:2222", "known"),
            (format!("git.example {TWO}"), "git.example", "changed"),
            (format!("git.example {TWO}\ngit.example {ONE}"), "git.example", "known"),
            (format!("git.example {ONE}\n@revoked git.example {ONE}"), "git.example", "changed"),
            (format!("@revoked * {ONE}"), "git.example", "changed"),
            (format!("@cert-authority *.example {ONE}"), "git.example", "unknown"),
            (format!("{hashed} {ONE}"), "other.example", "unknown"),
            ("git.example ssh-ed25519 AAAA".to_owned(), "git.example", "unknown"),
            (String::new(), "git.example", "unknown"),
        ] {
            assert_eq!(verdict(&lines, name), expected, "{lines} for {name}");
        }
    }

    #[test]
    fn patterns_with_many_stars_are_matched_in_little_time() {
        let (stars, name) = ("*a".repeat(60), "a".repeat(2_000));
        assert!(like(stars.as_bytes(), name.as_bytes()));
        assert!(!like(format!("{stars}*b").as_bytes(), name.as_bytes()));
        for (pattern, name, fits) in [
            ("", "", true),
            ("*", "", true),
            ("**", "a", true),
            ("?", "", false),
            ("a*b*c", "aXbbYc", true),
            ("a*b*c", "aXcYb", false),
            ("*.example", "git.example", true),
            ("*.Example", "a.example.b", false),
            ("g?t.*", "git.", true),
        ] {
            assert_eq!(like(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_hashed_name_is_found() {
        let mac = Hmac::<Sha1>::new_from_slice(&[7; 20]).map(|mac| mac.chain_update("git.example").finalize());
        let hash = mac.map(|mac| mac.into_bytes().to_vec()).unwrap_or_default();
        use base64::Engine as _;
        let text = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        assert_eq!(verdict(&format!("|1|{}|{} {ONE}", text(&[7; 20]), text(&hash)), "git.example"), "known");
    }
}
