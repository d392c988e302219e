//! All checks, by id.

use super::{
    Check, api_version, app_name, backend_port, cors_credentials, dangling_reference, duplicate_match, executor,
    grpc_and_http, health_check, helm_hook, image_tag, kept_prefix, prefix_condition, reference_grant, replicas,
    root_absolute, route_attachment, secret_in_git, suppress, tenant_bounds, tenant_egress, tenant_gateway,
    tenant_hostname, tenant_image, tenant_kind, tenant_namespace, tenant_path, tenant_privilege,
    tenant_service_account, wildcard_host, zero_weights,
};

/// All checks, by id.
pub const CHECKS: &[&Check] = &[
    &dangling_reference::CHECK,
    &reference_grant::CHECK,
    &route_attachment::CHECK,
    &backend_port::CHECK,
    &app_name::CHECK,
    &executor::CHECK,
    &replicas::CHECK,
    &cors_credentials::CHECK,
    &kept_prefix::CHECK,
    &prefix_condition::CHECK,
    &root_absolute::CHECK,
    &duplicate_match::CHECK,
    &grpc_and_http::CHECK,
    &image_tag::CHECK,
    &secret_in_git::CHECK,
    &api_version::CHECK,
    &wildcard_host::CHECK,
    &health_check::CHECK,
    &zero_weights::CHECK,
    &helm_hook::CHECK,
    &suppress::CHECK,
    &tenant_namespace::CHECK,
    &tenant_kind::CHECK,
    &tenant_gateway::CHECK,
    &tenant_hostname::CHECK,
    &tenant_path::CHECK,
    &tenant_image::CHECK,
    &tenant_egress::CHECK,
    &tenant_service_account::CHECK,
    &tenant_privilege::CHECK,
    &tenant_bounds::CHECK,
];
