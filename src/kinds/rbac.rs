//! Roles and bindings.

use super::general::exists;
use super::reference::{Rule, To};
use super::{Kind, PLAIN};

const RBAC: Kind = Kind { group: "rbac.authorization.k8s.io", health: exists, ..PLAIN };
const BINDING: Kind = Kind {
    references: &[Rule { at: "roleRef", to: To::Role }, Rule { at: "subjects[]", to: To::Subject }],
    immutable: &["roleRef"],
    ..RBAC
};

pub(super) const KINDS: &[Kind] = &[
    Kind { kind: "Role", ..RBAC },
    Kind { kind: "ClusterRole", held: true, ..RBAC },
    Kind { kind: "RoleBinding", ..BINDING },
    Kind { kind: "ClusterRoleBinding", held: true, ..BINDING },
];
