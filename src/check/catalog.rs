//! All checks, by id.

use super::{
    Check, image_tag, tenant_egress, tenant_gateway, tenant_hostname, tenant_image, tenant_kind, tenant_namespace,
    tenant_path, tenant_privilege, tenant_service_account,
};

/// All checks, by id.
pub const CHECKS: &[&Check] = &[
    &image_tag::CHECK,
    &tenant_namespace::CHECK,
    &tenant_kind::CHECK,
    &tenant_gateway::CHECK,
    &tenant_hostname::CHECK,
    &tenant_path::CHECK,
    &tenant_image::CHECK,
    &tenant_egress::CHECK,
    &tenant_service_account::CHECK,
    &tenant_privilege::CHECK,
];
