//! `CODEOWNERS`: who must review which files.

/// Where `spinway new repository` writes it.
pub const CODEOWNERS: &str = ".github/CODEOWNERS";

/// The platform team of a repository whose author names none. No team of this name exists, so people must replace it.
pub const NO_PLATFORM_TEAM: &str = "@ORG/platform";

const HEAD: &str = "\
# Who reviews which files. The last line that matches a file decides, so the platform team has everything that no other line
# names. In GitHub's branch rules, turn on \"Require review from Code Owners\".
";
const TENANTS: &str = "# The folders of tenants. `spinway new tenant` adds a line.";
const LAST: &str =
    "# The rules and the platform's own files. Keep these lines last: no line above can give them to a tenant.";

/// What only the platform team may change, as patterns below the root.
const PLATFORM_FILES: [&str; 5] = ["spinway.yaml", ".github/", "platform/", "environments/", "approvals/"];

/// What reviews change with new files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Review {
    /// Of a new repository.
    Repository {
        /// The platform team.
        platform: String,
    },
    /// Of a new tenant.
    Tenant {
        /// Its folder.
        folder: String,
        /// Its owners, as the Config has them.
        owners: Vec<String>,
    },
}

/// The `CODEOWNERS` that a repository has already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reviewed {
    /// The folder of the repository below the root of the Git repository; empty for the root itself.
    pub prefix: String,
    /// Its path below the root of the Git repository; none without one.
    pub file: Option<String>,
    /// Its text, where it is a readable file.
    pub text: Option<String>,
}

/// What becomes of `CODEOWNERS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Codeowners {
    /// The text of the new file [`CODEOWNERS`].
    New(String),
    /// The new text of [`CODEOWNERS`].
    Changed(String),
    /// What people have to add.
    ByHand {
        /// The lines.
        text: String,
        /// The file, and where in it.
        place: String,
    },
}

impl Review {
    /// What becomes of the `CODEOWNERS` that is there; nothing where none is kept.
    pub fn of(&self, found: &Reviewed) -> Option<Codeowners> {
        match self {
            Self::Repository { platform } => Some(repository(platform, found)),
            Self::Tenant { folder, owners } => tenant(folder, owners, found),
        }
    }
}

/// Whether GitHub accepts a text as an owner: `@USER`, `@ORG/TEAM` or an email address.
pub(super) fn is_owner(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    match text.split_once('@') {
        Some(("", handle)) => handle.split('/').count() <= 2 && handle.split('/').all(is_name),
        Some((name, host)) => {
            name.split('+').all(is_name) && is_name(host) && host.contains('.') && !host.contains('_')
        }
        None => false,
    }
}

fn repository(platform: &str, found: &Reviewed) -> Codeowners {
    let text = text(&found.prefix, platform);
    match &found.file {
        None if found.prefix.is_empty() => Codeowners::New(text),
        file => {
            Codeowners::ByHand { text, place: format!("{}, as its last lines", file.as_deref().unwrap_or(CODEOWNERS)) }
        }
    }
}

/// The file of a repository without tenants.
fn text(prefix: &str, platform: &str) -> String {
    let (all, root) = if prefix.is_empty() {
        ("*".to_owned(), "/".to_owned())
    } else {
        (format!("/{prefix}/"), format!("/{prefix}/"))
    };
    let files = PLATFORM_FILES.map(|file| format!("{root}{file} {platform}\n"));
    format!("{HEAD}{all} {platform}\n\n{TENANTS}\n\n{LAST}\n{}", files.concat())
}

fn tenant(folder: &str, owners: &[String], found: &Reviewed) -> Option<Codeowners> {
    let file = found.file.as_deref()?;
    let pattern = if found.prefix.is_empty() { format!("/{folder}/") } else { format!("/{}/{folder}/", found.prefix) };
    let text = found.text.as_deref().unwrap_or_default();
    if rules(text).any(|mut words| words.next() == Some(pattern.as_str())) {
        return None;
    }
    let reviewing: Vec<&str> = owners.iter().map(String::as_str).filter(|owner| is_owner(owner)).collect();
    let is_plain = pattern.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
    let names = if reviewing.is_empty() { "@ORG/TEAM".to_owned() } else { reviewing.join(" ") };
    let line = format!("{pattern} {names}");
    // Without a team that GitHub knows the folder stays with the platform team, and a pattern must not match more than the folder.
    let changed = if is_plain && !reviewing.is_empty() && file == CODEOWNERS { with_line(text, &line) } else { None };
    Some(changed.map_or_else(
        || Codeowners::ByHand {
            text: format!("{line}\n"),
            place: format!("{file}, above the lines of the platform's own files"),
        },
        Codeowners::Changed,
    ))
}

/// The lines that are neither empty nor comments, in words.
fn rules(text: &str) -> impl Iterator<Item = std::str::SplitWhitespace<'_>> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::split_whitespace)
}

/// A file of this form with the line of one tenant more; none when it has another form.
fn with_line(text: &str, line: &str) -> Option<String> {
    if text.contains('\r') {
        return None;
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let last = lines.iter().position(|line| line.trim_end() == LAST)?;
    let (before, after) = (lines[..last].concat(), lines[last..].concat());
    let mut first = rules(&before).next()?;
    let all = first.next()?;
    let platform: Vec<&str> = first.collect();
    let platforms = |mut words: std::str::SplitWhitespace<'_>| {
        words.next().map(str::to_owned).filter(|_| words.eq(platform.iter().copied()))
    };
    let kept: Vec<String> = rules(&after).map(platforms).collect::<Option<_>>()?;
    let has_all = PLATFORM_FILES.iter().all(|file| kept.contains(&format!("/{file}")));
    if all != "*" || platform.is_empty() || !has_all {
        return None;
    }
    let at = lines[..last].iter().rposition(|line| !line.trim().is_empty())? + 1;
    Some(format!("{}{line}\n{}", lines[..at].concat(), lines[at..].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Reviewed {
        Reviewed { file: Some(CODEOWNERS.to_owned()), text: Some(text.to_owned()), ..Reviewed::default() }
    }

    fn of_tenant(folder: &str, owners: &[&str]) -> Review {
        Review::Tenant { folder: folder.to_owned(), owners: owners.iter().map(|&owner| owner.to_owned()).collect() }
    }

    fn new() -> String {
        let review = Review::Repository { platform: "@acme/platform".to_owned() };
        match review.of(&Reviewed::default()) {
            Some(Codeowners::New(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_lines_of_the_platform_stay_last() {
        let mut text = new();
        for (folder, owner) in [("apps/checkout", "@acme/checkout"), ("apps/catalog", "lead@acme.example")] {
            let Some(Codeowners::Changed(changed)) = of_tenant(folder, &[owner, "team"]).of(&found(&text)) else {
                panic!("{text}")
            };
            text = changed;
        }
        insta::assert_snapshot!(text, @r#"
        # Who reviews which files. The last line that matches a file decides, so the platform team has everything that no other line
        # names. In GitHub's branch rules, turn on "Require review from Code Owners".
        * @acme/platform

        # The folders of tenants. `spinway new tenant` adds a line.
        /apps/checkout/ @acme/checkout
        /apps/catalog/ lead@acme.example

        # The rules and the platform's own files. Keep these lines last: no line above can give them to a tenant.
        /spinway.yaml @acme/platform
        /.github/ @acme/platform
        /platform/ @acme/platform
        /environments/ @acme/platform
        /approvals/ @acme/platform
        "#);
        assert_eq!(of_tenant("apps/checkout", &["@acme/other"]).of(&found(&text)), None, "it has a line");
    }

    #[test]
    fn what_cannot_be_added_safely_is_left_to_people() {
        let text = new();
        let by_hand = |review: &Review, found: &Reviewed| match review.of(found) {
            Some(Codeowners::ByHand { text, place }) => format!("{place}: {text}"),
            other => panic!("{other:?}"),
        };
        let above = "above the lines of the platform's own files";
        let tenant = of_tenant("apps/a", &["@acme/a"]);
        // No owner that GitHub knows: the folder stays with the platform team.
        let said = by_hand(&of_tenant("apps/a", &["team-a"]), &found(&text));
        assert_eq!(said, format!(".github/CODEOWNERS, {above}: /apps/a/ @ORG/TEAM\n"));
        for other in [
            "* @acme/all\n".to_owned(),
            text.replace("* @acme/platform", "/apps/ @acme/platform"),
            text.replace("/approvals/ @acme/platform\n", ""),
            text.replace("/platform/ @acme/platform", "/platform/ @acme/all"),
            text.replace("/platform/ @acme/platform", "/platform/"),
            format!("{text}/apps/b/ @acme/b\n"),
            text.replace('\n', "\r\n"),
        ] {
            assert_eq!(
                by_hand(&tenant, &found(&other)),
                format!(".github/CODEOWNERS, {above}: /apps/a/ @acme/a\n"),
                "{other}"
            );
        }
        assert!(by_hand(&of_tenant("apps/a*", &["@acme/a"]), &found(&text)).contains("/apps/a*/"));
        let elsewhere = Reviewed { file: Some("CODEOWNERS".to_owned()), ..found(&text) };
        assert!(by_hand(&tenant, &elsewhere).starts_with("CODEOWNERS, "));
        // Another file is not replaced, and within a larger repository every pattern is below its folder.
        let repository = Review::Repository { platform: "@acme/platform".to_owned() };
        assert!(by_hand(&repository, &found("* @acme/all\n")).contains("as its last lines: # Who reviews"));
        let inside = Reviewed { prefix: "deploy/shop".to_owned(), ..Reviewed::default() };
        let said = by_hand(&repository, &inside);
        let rules: Vec<&str> = said.lines().filter(|line| line.starts_with(['/', '*'])).collect();
        assert_eq!(rules.len(), 6, "{said}");
        assert!(rules.iter().all(|line| line.starts_with("/deploy/shop/")), "{said}");
        assert_eq!(tenant.of(&Reviewed::default()), None, "no reviews are kept");
    }

    #[test]
    fn owners_are_those_of_github() {
        for owner in ["@acme/platform", "@octo-cat", "a.b@acme.example", "a+b@acme.example"] {
            assert!(is_owner(owner), "{owner}");
        }
        for other in ["", "@", "team-a", "@a/b/c", "@a b", "@a/", "a@b", "a@b c.example", "@a\n* @b", "#@a"] {
            assert!(!is_owner(other), "{other:?}");
        }
    }
}
