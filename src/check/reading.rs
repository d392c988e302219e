//! What is found while the repository is read, before any check runs: the ids of those findings, and a few words to each.

use crate::object::Diagnostic;

/// The findings of reading: id, what was found, and what to do. All are errors unless the text says otherwise.
const READING: [(&str, &str, &str); 48] = [
    (
        "app",
        "A field of an App is wrong.",
        "`spinway schema App` prints all fields of an App; `spinway render --explain` shows what it comes to.",
    ),
    (
        "app-name",
        "An App has a name that SpinKube cannot use, or no namespace.",
        "Give it a DNS label of at most 43 characters: its versions take nine of SpinKube's 52.",
    ),
    (
        "app-controller",
        "Note: it is not known which controller serves the Gateway of a route, and some ignore a field of it.",
        "Say in `controllers` of spinway.yaml which release serves its GatewayClass.",
    ),
    (
        "app-timeout",
        "Note: the controller ignores `timeouts`, so the App has its own policy instead.",
        "Nothing, when a limit on the wait for each part of an answer is enough.",
    ),
    ("approval", "A field of an Approval is wrong.", "`spinway schema Approval` prints all fields of an Approval."),
    ("config", "spinway.yaml cannot be used.", "`spinway schema Config` prints all fields of the Config."),
    (
        "duplicate-object",
        "Two files, or two documents of one, declare the same object.",
        "Keep one of them; until then neither is applied.",
    ),
    (
        "egress-host",
        "Note: a NetworkPolicy cannot name hosts, so the port of this one is open to every address.",
        "Hold the app to the host by `allowed_outbound_hosts` in its artifact.",
    ),
    ("file-encoding", "A manifest is not UTF-8.", "Save it as UTF-8."),
    (
        "file-helm",
        "A Helm chart stands among plain manifests; nothing in its folder is read. Without a Config it is a note.",
        "Render it (`helm template`) and commit the result, or list the folder in .spinwayignore.",
    ),
    (
        "file-kustomization",
        "A kustomization is not built. Neither it, nor the manifests in its folder, nor the files and folders that it lists are applied.",
        "Render it into a source (`kubectl kustomize FOLDER`) and list the folder in .spinwayignore. To apply its files as they are, list \
         the kustomization alone in .spinwayignore.",
    ),
    (
        "file-name",
        "The name of a file is nearly that of a manifest or of .spinwayignore, so it is not read: `cart.YAML`, `cart.ymal`, `cart.yam`.",
        "Rename it, or list it in .spinwayignore.",
    ),
    (
        "file-no-object",
        "A document has no apiVersion or no kind, or is read by a tool and not by an API server (a kubeconfig, a Talos or Skaffold \
         file). Without a Config it is a note.",
        "Move it out of the sources, or list the file in .spinwayignore.",
    ),
    ("file-size", "A manifest has more than 8 MiB.", "Split it, or list it in .spinwayignore."),
    (
        "file-submodule",
        "A submodule stands among the sources: nothing below it is read.",
        "Put the files themselves there, or list the path in .spinwayignore.",
    ),
    (
        "file-symlink",
        "A symbolic link that may hide manifests stands among the sources: links are never followed. A link that is not named like a \
         manifest and leads to a file hides none. Without a Config it is a note.",
        "Put the file itself there, or list the path in .spinwayignore.",
    ),
    (
        "file-template",
        "Note: without a Config, a file is a template that is not YAML before another tool has filled it in.",
        "Render it and commit the result, or list the file in .spinwayignore.",
    ),
    (
        "file-unowned",
        "A file of the sources belongs neither to a tenant nor to the platform. Nothing in it is applied, and no object it declares is \
         deleted.",
        "Move it into a folder of its tenant, or add its folder to `platform.paths` or to the tenant's `paths` in spinway.yaml.",
    ),
    ("file-unreadable", "A manifest cannot be read.", "Mend it, or list it in .spinwayignore."),
    (
        "graph-cycle",
        "Objects depend on each other in a cycle, so none can be applied first. If a `depends-on` annotation closes the cycle, only the \
         object with that annotation is blocked.",
        "Remove one of the references.",
    ),
    (
        "kind-unknown",
        "A kind or its group is nearly one of spinway, SpinKube, Gateway API or Kubernetes, and is not known: `kind: app`, \
         `spinway.io/v1alpha1`, `HttpRoute`. The object is not applied.",
        "Write the kind or apiVersion that the finding names. If it is a kind of another project, add its CustomResourceDefinition to the \
         sources or to `externals` in spinway.yaml.",
    ),
    (
        "local-kind",
        "A Config or Approval stands where it counts for nothing.",
        "Keep the Config in spinway.yaml, and Approvals below `approvals.paths`, which no tenant may have.",
    ),
    (
        "namespace-default",
        "Note: without a Config, objects that declare no namespace are in that of the kubeconfig context (offline: of the snapshot), else \
         in `default`.",
        "Set metadata.namespace, or choose the context whose namespace is meant.",
    ),
    (
        "object-encrypted",
        "An object is encrypted with SOPS: it is not applied, since apps would get ciphertext.",
        "Decrypt it in the cluster: a SealedSecret, an ExternalSecret, or an operator for SOPS. spinway does not decrypt.",
    ),
    (
        "object-kind",
        "apiVersion or kind are not of the form that Kubernetes has.",
        "Use letters, digits, `.`, `/` and `-`.",
    ),
    (
        "object-mark",
        "An annotation or label of spinway is misspelt, or has a value that means nothing.",
        "Write the name or value that the finding names.",
    ),
    (
        "object-metadata",
        "Labels or annotations are no texts, or are what only the server or the tool that applies may write (then it is a warning).",
        "Put the value in quotes, or remove the field.",
    ),
    (
        "object-name",
        "An object has no name, or one that Kubernetes does not take.",
        "Give it a metadata.name of lower-case letters, digits, `-` and `.`.",
    ),
    (
        "object-namespace",
        "A namespaced object has no `metadata.namespace`, and neither its source nor its tenant names one; or, a warning, a \
         cluster-scoped object has one.",
        "Set `metadata.namespace`, or give its source one in spinway.yaml: `sources: [{path: PATH, namespace: NAME}]`. A tenant with exactly \
         one namespace needs neither.",
    ),
    (
        "object-patch",
        "A document has `$patch`: it is a strategic merge patch of kustomize, and not an object.",
        "Write a `Patch` of spinway.dev/v1alpha1, or list the file in .spinwayignore.",
    ),
    (
        "patch",
        "A Patch cannot be read, or cannot be applied to what it matches.",
        "`spinway schema Patch` prints all fields of a Patch; its paths are JSON pointers: `/spec/image`.",
    ),
    (
        "patch-foreign",
        "A Patch of a tenant matches what is not the tenant's.",
        "Narrow its target, or have the platform team write it in a path of its own.",
    ),
    (
        "patch-unmatched",
        "The target of a Patch matches no object.",
        "Correct the target, or remove the Patch: a patch without effect is a change that someone believes in.",
    ),
    (
        "source-missing",
        "A path of `sources` matches no file.",
        "Mend the path, or remove it from `sources`; until then nothing of its partitions is deleted.",
    ),
    (
        "tenant-path-missing",
        "Warning: a path of a tenant (`tenants[].paths`) does not exist in the repository, or no entry of `sources` covers it.",
        "Correct the path in spinway.yaml, add a file to the folder, or add the folder to `sources`.",
    ),
    (
        "tenant-size",
        "A tenant exceeds a limit: 32 MiB of manifests, 10,000 of them, 100,000 files and folders, 20,000 documents, 1,000,000 values, 1,000 patches, or 32 MiB added by \
         patches. None of its files is read and nothing of it is pruned; other tenants are not affected.",
        "Remove files, or split the folder between two tenants in spinway.yaml.",
    ),
    (
        "value-literal",
        "`${name}` is applied as it is written, since no values are replaced in the object: a warning where the environment has a value \
         of that name, else a note.",
        "Annotate the object with `spinway.dev/substitute: enabled`, or write another name.",
    ),
    (
        "value-unknown",
        "`${name}` has no value in this environment.",
        "Add it to `values` of the environment, or write `$${` for a literal `${`.",
    ),
    (
        "yaml-alias",
        "Aliases (`*name`) expand to far more than the document says, or into themselves.",
        "Write out what is meant.",
    ),
    ("yaml-depth", "A document nests deeper than 128 levels.", "Write it flatter."),
    (
        "yaml-duplicate-key",
        "A key stands twice in one mapping.",
        "Keep one of them: which one counts depends on who reads it.",
    ),
    (
        "yaml-flawed",
        "An object is not applied because its document has errors.",
        "Mend the errors that are named beside it.",
    ),
    (
        "yaml-key",
        "A key of a mapping is no text, number or boolean, or is too long.",
        "Write a text of at most 1024 bytes.",
    ),
    ("yaml-merge", "`<<` merges something that is no mapping.", "Merge a mapping, or a list of mappings."),
    ("yaml-nodes", "A file has more than 500,000 values, its aliases expanded.", "Split the file."),
    ("yaml-separator", "Text follows the separator `---` on its line.", "Put it on the next line, as kubectl demands."),
    (
        "yaml-syntax",
        "The text is no YAML at this place.",
        "Mend it: often the indentation, or a value that needs quotes.",
    ),
    (
        "yaml-value",
        "A value does not fit its tag (`!!int`), or has no form in JSON (`.inf`).",
        "Write a value that JSON has, or put it in quotes.",
    ),
];

/// The page of a finding of reading, in Markdown.
pub(super) fn page(asked: &str) -> Option<String> {
    let (id, what, remedy) = READING.iter().find(|(id, ..)| id.eq_ignore_ascii_case(asked))?;
    Some(format!("# {id}\n\n{what}\n\nIt is found while the repository is read.\n\n## What to do\n\n{remedy}\n"))
}

/// The part of the index that names them all, in Markdown.
pub(super) fn index() -> String {
    let mut text = String::from(
        "\n## Findings of reading\n\nThey come before any check, and have no page but these lines.\n\n| | | |\n|---|---|---|\n",
    );
    for (id, what, remedy) in READING {
        text.push_str(&format!("| `{id}` | {what} | {remedy} |\n"));
    }
    text
}

/// A finding of reading with what to do about it, if it does not say that itself.
pub(super) fn with_help(finding: &Diagnostic) -> Diagnostic {
    let known = READING.iter().find(|(id, ..)| *id == finding.id).filter(|_| finding.help.is_none());
    match known {
        Some((.., remedy)) => finding.clone().help(*remedy),
        None => finding.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// The texts of the program below a folder, without their tests.
    fn sources(folder: &Path, texts: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, texts);
            } else if path.file_name().is_some_and(|name| name != "tests.rs") {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                texts.push(text.split("#[cfg(test)]").next().unwrap_or_default().to_owned());
            }
        }
    }

    #[test]
    fn every_finding_of_reading_is_explained() {
        let mut texts = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/desired"), &mut texts);
        let text = texts.concat();
        let call = r#"(?:Diagnostic::(?:error|warning|note)|Diagnostic::new\(severity,|fail|unread|unread_at|hidden|foreign|say)\(?\s*(?:Severity::\w+,[^,]+,\s*)?(?:severity,[^,]+,\s*)?"([a-z]+(?:-[a-z]+)*)""#;
        let call = regex::Regex::new(call).unwrap_or_else(|error| unreachable!("{error}"));
        let written: BTreeSet<&str> =
            call.captures_iter(&text).filter_map(|found| Some(found.get(1)?.as_str())).collect();
        let known: BTreeSet<&str> = READING.iter().map(|(id, ..)| *id).collect();
        // The graph, too, is part of what a repository says.
        let of_graph = BTreeSet::from(["graph-cycle"]);
        assert_eq!(&written | &of_graph, known);
    }

    #[test]
    fn a_finding_without_help_gets_the_general_one() {
        let help = |finding: Diagnostic| with_help(&finding).help.map(|help| help.raw().to_owned());
        assert_eq!(help(Diagnostic::error("yaml-depth", "m")).as_deref(), Some("Write it flatter."));
        assert_eq!(help(Diagnostic::error("yaml-depth", "m").help("own")).as_deref(), Some("own"));
        assert_eq!(help(Diagnostic::error("else", "m")), None);
    }

    #[test]
    fn a_page_and_the_index_say_what_to_do() {
        let page = page("YAML-depth").unwrap_or_default();
        assert!(
            page.starts_with("# yaml-depth\n\nA document nests") && page.ends_with("Write it flatter.\n"),
            "{page}"
        );
        assert!(super::page("SPW001").is_none());
        assert!(index().contains("| `yaml-depth` | A document nests deeper than 128 levels. | Write it flatter. |\n"));
    }
}
