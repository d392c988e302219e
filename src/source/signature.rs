//! Who signed a commit: SSH signatures by the keys of `allowed_signers` (ssh-keygen(1)), PGP signatures by those of a
//! keyring (RFC 9580). Hosted Git signs its merge commits by PGP, people sign by either.

use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};
use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails as _, VerifyingKey};
use russh::keys::PublicKey;
use russh::keys::ssh_key::SshSig;

/// What an SSH signature of a commit is for (gitformat-signature).
const NAMESPACE: &str = "git";

/// Whose signatures count. With neither file no signature is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signers {
    /// The text of `allowed_signers`.
    pub ssh: Option<String>,
    /// A keyring of public keys, armored.
    pub pgp: Option<String>,
}

/// Why a commit is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// There is no signature.
    #[error("it is not signed")]
    Missing,
    /// The signature is by nobody who may sign.
    #[error("its signature is by no allowed signer")]
    Stranger,
    /// The signature does not belong to the commit, or its key is no longer good.
    #[error("its signature is wrong: {0}")]
    Wrong(String),
}

impl Signers {
    /// Whether signatures are asked for.
    pub fn is_asked_for(&self) -> bool {
        self.ssh.is_some() || self.pgp.is_some()
    }

    /// Judges the signature of a commit at a time, in seconds since 1970; gives who signed. A key that is no longer good
    /// now is not believed for older commits either: whoever stole it writes any date.
    ///
    /// # Errors
    /// There is none, or it is not by an allowed signer, or it is wrong.
    pub fn judge(&self, signature: Option<&str>, signed: &[u8], now: i64) -> Result<String, Unsigned> {
        let signature = signature.ok_or(Unsigned::Missing)?;
        if signature.contains("BEGIN SSH SIGNATURE") {
            by_ssh(self.ssh.as_deref().unwrap_or_default(), signature, signed, now)
        } else {
            by_pgp(self.pgp.as_deref().unwrap_or_default(), signature, signed, now)
        }
    }
}

#[allow(clippy::needless_pass_by_value)]
fn wrong(why: impl ToString) -> Unsigned {
    Unsigned::Wrong(why.to_string())
}

fn by_ssh(allowed: &str, signature: &str, signed: &[u8], now: i64) -> Result<String, Unsigned> {
    let signature = SshSig::from_pem(signature).map_err(wrong)?;
    let lines = allowed.lines().filter_map(|line| signer(line, now));
    let found = lines.filter(|(_, key)| key.key_data() == signature.public_key());
    let (name, key) = found.into_iter().next().ok_or(Unsigned::Stranger)?;
    key.verify(NAMESPACE, signed, &signature).map_err(wrong)?;
    Ok(name.to_owned())
}

/// A line of `allowed_signers` that is in force: `PRINCIPALS [OPTIONS] TYPE KEY`. One with an option that is not known
/// trusts nobody.
fn signer(line: &str, now: i64) -> Option<(&str, PublicKey)> {
    let (name, rest) = line.trim().split_once([' ', '\t'])?;
    if name.starts_with('#') {
        return None;
    }
    if let Ok(key) = PublicKey::from_openssh(rest.trim()) {
        return Some((name, key));
    }
    let (options, key) = rest.trim().split_once([' ', '\t'])?;
    let key = PublicKey::from_openssh(key.trim()).ok()?;
    split_options(options).all(|option| in_force(option, now)).then_some((name, key))
}

/// Options are separated by commas outside quotes.
fn split_options(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

fn in_force(option: &str, now: i64) -> bool {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let value = value.trim_matches('"');
    match name.to_ascii_lowercase().as_str() {
        "namespaces" => value.split(',').any(|namespace| namespace == NAMESPACE),
        "valid-after" => seconds(value).is_some_and(|from| now >= from),
        "valid-before" => seconds(value).is_some_and(|until| now < until),
        _ => false,
    }
}

/// A time as ssh-keygen writes it: `YYYYMMDD[HHMM[SS]]`, with `Z`; without it the machine's zone, which in a cluster is
/// UTC too.
fn seconds(text: &str) -> Option<i64> {
    let text = text.trim_end_matches('Z');
    let format = match text.len() {
        8 => return seconds(&format!("{text}000000")),
        12 => "%Y%m%d%H%M",
        _ => "%Y%m%d%H%M%S",
    };
    let time: DateTime = DateTime::strptime(format, text).ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_second())
}

fn by_pgp(keyring: &str, signature: &str, signed: &[u8], now: i64) -> Result<String, Unsigned> {
    let (signature, _) = DetachedSignature::from_string(signature).map_err(wrong)?;
    let weak = |hash| matches!(hash, HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160);
    if signature.signature.hash_alg().is_none_or(weak) {
        return Err(wrong("its hash is too weak"));
    }
    let keys = keys(keyring);
    let mut found = Unsigned::Stranger;
    for key in &keys {
        match signed_by(key, &signature, signed, now) {
            Ok(true) => return Ok(key.fingerprint().to_string()),
            Ok(false) => {}
            Err(why) => found = wrong(why),
        }
    }
    Err(found)
}

/// The keys of a keyring; it may be one armored block, or several one after the other.
fn keys(keyring: &str) -> Vec<SignedPublicKey> {
    let end = "-----END PGP PUBLIC KEY BLOCK-----";
    let blocks = keyring.split_inclusive(end).filter(|block| block.contains("BEGIN PGP"));
    let read = |block: &str| -> Vec<SignedPublicKey> {
        let keys = SignedPublicKey::from_string_many(block.trim());
        keys.map(|(keys, _)| keys.flatten().collect()).unwrap_or_default()
    };
    blocks.flat_map(read).collect()
}

/// Whether a key, or a signing key below it, made a signature; an error says why one that did is not believed.
fn signed_by(key: &SignedPublicKey, signature: &DetachedSignature, signed: &[u8], now: i64) -> Result<bool, String> {
    let claims = |candidate: &dyn Fn(&Signature) -> bool| candidate(&signature.signature);
    let by_primary = claims(&|s| issued_by(s, &key.primary_key.fingerprint(), &key.primary_key.legacy_key_id()));
    let subkey = key
        .public_subkeys
        .iter()
        .find(|sub| claims(&|s| issued_by(s, &sub.key.fingerprint(), &sub.key.legacy_key_id())));
    if !by_primary && subkey.is_none() {
        return Ok(false);
    }
    let text = |error: pgp::errors::Error| error.to_string();
    key.verify_bindings().map_err(text)?;
    if !key.details.revocation_signatures.is_empty() {
        return Err("its key is revoked".to_owned());
    }
    let created = i64::from(key.primary_key.created_at().as_secs());
    let own = key.details.users.iter().flat_map(|user| &user.signatures).chain(&key.details.direct_signatures);
    in_time(created, own, now)?;
    if let Some(sub) = subkey {
        sub.verify_bindings(&key.primary_key).map_err(text)?;
        if sub.signatures.iter().any(|s| s.typ() == Some(SignatureType::SubkeyRevocation)) {
            return Err("its key is revoked".to_owned());
        }
        if !sub.signatures.iter().any(|s| s.key_flags().sign()) {
            return Err("its key is not for signing".to_owned());
        }
        in_time(i64::from(sub.key.created_at().as_secs()), sub.signatures.iter(), now)?;
    }
    in_time_itself(&signature.signature, now)?;
    let verified = match subkey {
        Some(sub) => verify(signature, &sub.key, signed),
        None => verify(signature, &key.primary_key, signed),
    };
    verified.map(|()| true)
}

fn verify(signature: &DetachedSignature, key: &impl VerifyingKey, signed: &[u8]) -> Result<(), String> {
    signature.verify(key, signed).map_err(|error| error.to_string())
}

fn issued_by(signature: &Signature, fingerprint: &pgp::types::Fingerprint, id: &pgp::types::KeyId) -> bool {
    signature.issuer_fingerprint().contains(&fingerprint) || signature.issuer_key_id().contains(&id)
}

/// Whether a key is still good: the newest self-signature says for how long.
fn in_time<'a>(created: i64, own: impl Iterator<Item = &'a Signature>, now: i64) -> Result<(), String> {
    let newest = own.max_by_key(|signature| signature.created().map(pgp::types::Timestamp::as_secs));
    let lasts = newest.and_then(Signature::key_expiration_time).map(|lasts| i64::from(lasts.as_secs()));
    match lasts {
        Some(lasts) if lasts > 0 && now >= created + lasts => Err("its key has expired".to_owned()),
        _ => Ok(()),
    }
}

fn in_time_itself(signature: &Signature, now: i64) -> Result<(), String> {
    let made = signature.created().map_or(0, |at| i64::from(at.as_secs()));
    let lasts = signature.signature_expiration_time().map_or(0, |lasts| i64::from(lasts.as_secs()));
    if lasts > 0 && now >= made + lasts { Err("it has expired".to_owned()) } else { Ok(()) }
}

/// The time now, in seconds since 1970.
pub(super) fn now() -> i64 {
    Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    #[test]
    fn a_line_of_allowed_signers_counts_only_while_all_its_options_say_so() {
        let now = seconds("20261122120000Z").unwrap_or_default();
        for (options, counts) in [
            ("", true),
            ("namespaces=\"git\" ", true),
            ("namespaces=\"file,git\" ", true),
            ("namespaces=\"file\" ", false),
            ("valid-after=\"20260101\",valid-before=\"20270101\" ", true),
            ("valid-before=\"20261122115959Z\" ", false),
            ("valid-after=\"202611230000\" ", false),
            ("cert-authority ", false),
            ("some-new-option ", false),
        ] {
            let line = format!("alice@acme.example {options}{KEY} laptop");
            assert_eq!(signer(&line, now).is_some(), counts, "{line}");
        }
        assert!(signer(&format!("# {KEY}"), now).is_none());
    }
}
