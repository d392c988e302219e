//! Signed commits, made without the programs gpg and ssh-keygen.

use crate::git_server::key;
use crate::repo::Repo;
use pgp::composed::{
    ArmorOptions, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedPublicKey, SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::types::Password;
use russh::keys::ssh_key::{LineEnding, SshSig};
use russh::keys::{HashAlg, PrivateKey};

/// Someone who signs.
pub enum Signer {
    Ssh(Box<PrivateKey>),
    Pgp(Box<SignedSecretKey>),
}

impl Signer {
    pub fn ssh(seed: u8) -> Self {
        Self::Ssh(Box::new(key(seed)))
    }

    pub fn pgp(name: &str) -> Self {
        let mut parameters = SecretKeyParamsBuilder::default();
        parameters.key_type(KeyType::Ed25519Legacy).can_certify(true).can_sign(true);
        parameters.primary_user_id(format!("{name} <{name}@acme.example>"));
        let parameters = parameters.build().expect("parameters");
        Self::Pgp(Box::new(parameters.generate(rand::thread_rng()).expect("a key")))
    }

    /// As allowed_signers or a keyring has it.
    pub fn public(&self) -> String {
        match self {
            Self::Ssh(key) => key.public_key().to_openssh().expect("a key"),
            Self::Pgp(key) => {
                SignedPublicKey::from((**key).clone()).to_armored_string(ArmorOptions::default()).expect("a key")
            }
        }
    }

    fn sign(&self, text: &[u8]) -> String {
        match self {
            Self::Ssh(key) => {
                let signature = SshSig::sign(&**key, "git", HashAlg::Sha512, text).expect("a signature");
                signature.to_pem(LineEnding::LF).expect("a text")
            }
            Self::Pgp(key) => {
                let (random, hash) = (rand::thread_rng(), HashAlgorithm::Sha256);
                let signature =
                    DetachedSignature::sign_binary_data(random, &key.primary_key, &Password::empty(), hash, text);
                signature.expect("a signature").to_armored_string(ArmorOptions::default()).expect("a text")
            }
        }
    }
}

/// Signs the newest commit of `main`; gives its new id.
pub fn sign_head(repo: &Repo, signer: &Signer) -> String {
    replace_head(repo, |text| signer.sign(text))
}

/// Puts the signature of another commit on the newest one.
pub fn steal(repo: &Repo, from: &str) {
    let git = git2::Repository::open(repo.path()).expect("a repository");
    let found = git.extract_signature(&git2::Oid::from_str(from).expect("an id"), None).expect("a signature");
    let signature = String::from_utf8(found.0.to_vec()).expect("a text");
    replace_head(repo, |_| signature.clone());
}

fn replace_head(repo: &Repo, sign: impl Fn(&[u8]) -> String) -> String {
    let git = git2::Repository::open(repo.path()).expect("a repository");
    let head = git.head().and_then(|head| head.peel_to_commit()).expect("a commit");
    let (tree, parents) = (head.tree().expect("a tree"), head.parents().collect::<Vec<_>>());
    let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
    let author = head.author();
    let text = git.commit_create_buffer(&author, &author, "signed", &tree, &parents).expect("a text");
    let signature = sign(&text);
    let id = git.commit_signed(std::str::from_utf8(&text).expect("a text"), signature.trim(), None).expect("a commit");
    git.reference("refs/heads/main", id, true, "").expect("a branch");
    id.to_string()
}
