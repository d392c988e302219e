//! SPW009.

use super::{Check, Context};
use crate::kinds::each;
use crate::object::{Diagnostic, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW009",
    name: "cors-credentials",
    severity: Severity::Error,
    guards: false,
    what: "A route lets scripts of every site call it with the user's cookies.",
    why: "With `allowOrigins: [\"*\"]` and `allowCredentials: true` the Gateway echoes any origin: whichever page a user visits \
          may act as them.",
    example: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: checkout}\nspec:\n  \
              rules: [{filters: [{type: CORS, cors: {allowOrigins: [\"*\"], allowCredentials: true}}]}]",
    remedy: "Name the sites, or leave out `allowCredentials`.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for route in context.routes() {
        for (pointer, cors) in each(&route.value, "spec.rules[].filters[].cors") {
            let all = each(cors, "allowOrigins[]").iter().any(|(_, origin)| *origin == "*");
            if all && cors.get("allowCredentials") == Some(&Value::Bool(true)) {
                let message = "Every site may call this with the user's credentials.";
                found.push(
                    context.finding(&CHECK, route, &format!("{pointer}/allowOrigins"), message).help(CHECK.remedy),
                );
            }
        }
    }
    found
}
