//! The rules of a definition in CEL (`x-kubernetes-validations`), evaluated as the API server does on a create.

use super::{Schema, Violation};
use kube_cel::{CompiledSchema, ErrorKind, ValidationError, compile_schema};
use serde_json::Value;
use std::collections::HashMap;

/// The rules of the definitions that were asked for, each compiled once.
///
/// They are kept by the address of their schema: a set of rules must not outlive the [`Schemas`](super::Schemas) that it is
/// used with, which the lifetime says.
#[derive(Default)]
pub(super) struct Rules<'a> {
    engine: Option<kube_cel::Validator>,
    compiled: HashMap<*const serde_json::Map<String, Value>, Option<Compiled>>,
    schemas: std::marker::PhantomData<Schema<'a>>,
}

impl<'a> Rules<'a> {
    /// What the rules of a schema say of a value whose structure is right.
    ///
    /// A rule that cannot be evaluated here is the server's to judge. `oldSelf` is not known, so rules about changes are left
    /// to the server too.
    pub(super) fn broken(&mut self, value: &Value, schema: Schema<'a>) -> Vec<Violation> {
        let key: *const serde_json::Map<String, Value> = schema.node;
        let compiled = self.compiled.entry(key).or_insert_with(|| Compiled::of(schema.node));
        let Some(Compiled { schema: compiled, cost }) = compiled else { return Vec::new() };
        // What may cost much is the server's to judge, which counts it.
        if cost.of(value) > STEPS {
            return Vec::new();
        }
        let engine = self.engine.get_or_insert_with(kube_cel::Validator::new);
        match engine.validate_compiled(compiled, value, None) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.iter().filter_map(violation).collect(),
        }
    }
}

/// The most steps that a rule may take, and the most bytes of text that it may make.
const STEPS: usize = 4_000_000;
/// How long a rule may be, and how many operators in it. Those of known definitions have a quarter of that at most.
const LENGTH: usize = 8 << 10;
const OPERATORS: usize = 600;
/// How deep a rule may be: the engine reads rules by recursion, a level takes up to 40 KiB (unoptimized), and a thread has 2 MiB.
/// Those of known definitions come to 27.
const DEPTH: usize = 32;
/// How many levels a bracket takes, also in a rule with an error of syntax, which takes more.
const BRACKET: usize = 4;

/// The rules of a definition.
struct Compiled {
    schema: CompiledSchema,
    cost: Cost,
}

/// What the rules of a definition may cost: an upper bound, since their engine counts nothing.
struct Cost {
    /// How many loops stand in each other.
    depth: u32,
    /// How often a text may be put in place of each letter of a text (`replace`).
    replaces: u32,
    /// How often a value may be added to itself.
    sums: u32,
    /// Whether a text may become a list (`split`), which is looped over.
    splits: bool,
}

impl Cost {
    fn of_rules(rules: &[&str]) -> Option<Self> {
        let most = |count: fn(&str) -> u32| rules.iter().map(|rule| count(rule)).max();
        Some(Self {
            depth: most(loops)?,
            replaces: most(|rule| called(rule, "replace"))?,
            sums: most(|rule| u32::try_from(rule.matches('+').count()).unwrap_or(u32::MAX))?,
            splits: rules.iter().any(|rule| called(rule, "split") > 0),
        })
    }

    fn of(&self, value: &Value) -> usize {
        let (list, text) = (longest(value), longest_text(value));
        let looped = if self.splits { list.max(text) } else { list };
        let doubled = 2_usize.saturating_pow(self.sums.min(60));
        let made = if self.replaces > 0 { text.saturating_pow(self.replaces + 1) } else { 1 };
        looped.saturating_pow(self.depth).saturating_mul(made).saturating_mul(if self.sums > FEW_SUMS {
            doubled
        } else {
            1
        })
    }
}

/// So many sums are what messages are put together from.
const FEW_SUMS: u32 = 12;

impl Compiled {
    /// None where there are no rules, or one that could not be read within bounds.
    fn of(node: &serde_json::Map<String, Value>) -> Option<Self> {
        let mut rules = Vec::new();
        gather(node, &mut rules);
        let code: Vec<String> = rules.iter().map(|rule| without_texts(rule)).collect::<Option<_>>()?;
        if !(rules.iter().all(|rule| rule.len() <= LENGTH) && code.iter().all(|code| is_plain(code))) {
            return None;
        }
        let code: Vec<&str> = code.iter().map(String::as_str).collect();
        let cost = Cost::of_rules(&code)?;
        Some(Self { schema: compile_schema(&Value::Object(node.clone())), cost })
    }
}

/// The texts of all rules at and below a node, and of what makes their messages.
fn gather<'a>(node: &'a serde_json::Map<String, Value>, rules: &mut Vec<&'a str>) {
    for (keyword, child) in node {
        match child {
            Value::Array(all) if keyword == "x-kubernetes-validations" => {
                let texts = all.iter().flat_map(|rule| ["rule", "messageExpression"].map(|field| rule.get(field)));
                rules.extend(texts.flatten().filter_map(Value::as_str));
            }
            Value::Object(map) => gather(map, rules),
            Value::Array(items) => items.iter().filter_map(Value::as_object).for_each(|map| gather(map, rules)),
            _ => {}
        }
    }
}

fn is_plain(code: &str) -> bool {
    let operators = code.chars().filter(|c| "+-*/%.?|&=<>!,".contains(*c)).count();
    operators <= OPERATORS && depth(code) <= DEPTH && !is_misread(code)
}

/// How many levels of recursion a rule takes: those of the brackets around a place, of the members in front of it, and of the
/// conditions that it is an alternative of.
fn depth(code: &str) -> usize {
    let (mut above, mut members, mut conditions) = (Vec::new(), 0_usize, 0_usize);
    let (mut outside, mut deepest) = (0_usize, 0_usize);
    for c in code.chars() {
        if matches!(c, '.' | '[') {
            members += 1;
        }
        match c {
            '(' | '[' | '{' => {
                above.push((outside, members, conditions));
                outside += BRACKET + members + conditions;
                (members, conditions) = (0, 0);
            }
            ')' | ']' | '}' => (outside, members, conditions) = above.pop().unwrap_or((outside, members, conditions)),
            '?' => conditions += 1,
            ',' => (members, conditions) = (0, 0),
            '&' | '|' | '=' | '<' | '>' | '!' | ':' | '+' | '-' | '*' | '/' | '%' => members = 0,
            _ => {}
        }
        deepest = deepest.max(outside + members + conditions);
    }
    deepest
}

/// Whether a rule has a sign that the engine gets wrong: two in a row, of which it does one and reads what follows twice (so
/// that time doubles with each), a minus in front of something else than a digit, which it does on the least integer
/// without looking, and a message (`Name{}`), which it panics on.
fn is_misread(code: &str) -> bool {
    let after = |at: usize| code[at + 1..].trim_start().chars().next();
    let doubled = code.match_indices(['!', '-']).any(|(at, sign)| after(at) == sign.chars().next());
    let is_value = |c: char| c.is_alphanumeric() || "_)]}'".contains(c);
    let is_message = code.match_indices('{').any(|(at, _)| {
        let before = code[..at].trim_end();
        before.ends_with(is_value) && !before.ends_with(" in")
    });
    doubled
        || is_message
        || code.match_indices('-').any(|(at, _)| {
            let before = code[..at].trim_end();
            let is_unary = before.ends_with(" in") || !before.ends_with(is_value);
            is_unary && !after(at).is_some_and(|c| c.is_ascii_digit() || c == '.')
        })
}

/// A rule with empty texts in place of those in quotes. None where it cannot be told what is in quotes without reading all of
/// the grammar: texts in single quotes over several lines, texts without end, and comments.
fn without_texts(rule: &str) -> Option<String> {
    let mut code = String::with_capacity(rule.len());
    let mut chars = rule.chars();
    while let Some(c) = chars.next() {
        if !matches!(c, '"' | '\'' | '`') {
            code.push(c);
            if code.ends_with("//") {
                return None;
            }
            continue;
        }
        let has_escapes = c != '`' && !code.ends_with(['r', 'R']);
        let thrice = c.to_string().repeat(3);
        if chars.as_str().starts_with(&thrice[1..]) {
            chars.nth(1);
            while !chars.as_str().starts_with(&thrice) {
                if chars.next()? == '\\' && has_escapes {
                    chars.next()?;
                }
            }
            chars.nth(2);
            code.push_str("''");
            continue;
        }
        loop {
            match chars.next()? {
                '\n' | '\r' => return None,
                '\\' if has_escapes => drop(chars.next()?),
                inside if inside == c => break,
                _ => {}
            }
        }
        if code.ends_with("''") {
            return None;
        }
        code.push_str("''");
    }
    Some(code)
}

/// How many loops of a rule stand in each other.
fn loops(rule: &str) -> u32 {
    const LOOPS: [&str; 6] = ["all", "exists", "exists_one", "existsOne", "map", "filter"];
    let mut open = Vec::new();
    let mut deepest = 0;
    for (at, character) in rule.char_indices() {
        match character {
            '(' => {
                let before = rule[..at].trim_end();
                let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |dot| dot + 1);
                open.push(u32::from(LOOPS.contains(&before.get(start..).unwrap_or_default())));
                deepest = deepest.max(open.iter().sum());
            }
            ')' => drop(open.pop()),
            _ => {}
        }
    }
    deepest
}

/// How often a rule calls a function.
fn called(rule: &str, name: &str) -> u32 {
    let calls = rule.match_indices(name).filter(|(at, _)| rule[at + name.len()..].trim_start().starts_with('('));
    u32::try_from(calls.count()).unwrap_or(u32::MAX)
}

/// The bytes of the longest text of a value.
fn longest_text(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(longest_text).max().unwrap_or_default(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| longest_text(value).max(key.len())).max().unwrap_or_default()
        }
        _ => 1,
    }
}

/// The length of the longest list or map of a value.
fn longest(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(longest).max().unwrap_or_default().max(items.len()),
        Value::Object(map) => map.values().map(longest).max().unwrap_or_default().max(map.len()),
        _ => 1,
    }
}

/// What the engine says of a field that is not there, by itself and as the argument of a function.
const ABSENT: [&str; 2] = ["No such key", "Missing argument or target"];

fn violation(error: &ValidationError) -> Option<Violation> {
    let (kind, reason) = (&error.kind, error.reason.as_deref());
    // A field that is not there ends an evaluation there as here; whatever else fails may be this engine's fault.
    let absent = matches!(kind, ErrorKind::EvaluationError)
        && ABSENT.iter().any(|said| error.message.ends_with(said) || error.message.contains(&format!("{said}: ")));
    if !matches!(kind, ErrorKind::ValidationFailure) && !absent {
        return None;
    }
    let message = match reason {
        Some("FieldValueRequired") => format!("Required value: {}", error.message),
        Some("FieldValueForbidden") => format!("Forbidden: {}", error.message),
        Some("FieldValueDuplicate") => format!("Duplicate value: {}", error.message),
        _ => format!("Invalid value: {}", error.message),
    };
    Some(Violation::new(pointer(&error.field_path), message))
}

/// The JSON pointer of a path such as `spec.rules[0].name`.
fn pointer(path: &str) -> String {
    let mut made = String::new();
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        made.push('/');
        made.push_str(&crate::object::escape(step.trim_end_matches(']').trim_matches(['\'', '"'])));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_that_the_engine_gets_wrong_are_seen() {
        let is_plain = |rule: &str| without_texts(rule).is_some_and(|code| is_plain(&code));
        for rule in [
            "-self.i < 0",
            "1 - -self.i",
            "!!self.b",
            "! ! self.b",
            "--1 == 1",
            "self.l[-self.i]",
            "1 in -self.l",
            "r'\\' + -x",
            "'a\\'' + -x",
            "// '\n-x // '",
            "'\n-x'",
            "'''a'b''' == '' && -x",
        ] {
            assert!(!is_plain(rule), "{rule}");
        }
        for rule in [
            "self.i - self.j == -1",
            "!self.b && self.c != 1",
            "self.s.matches('^[-a-z]--!!//((((((((((((((((')",
            "size(self)-size(x) > -.5",
            "self.s == \"-x\" || !(a)",
        ] {
            assert!(is_plain(rule), "{rule}");
        }
    }

    #[test]
    fn texts_in_three_quotes_are_texts() {
        let rule = "self.value.matches(r\"\"\"^[a-z'\"]+$\"\"\") ? x : y";
        assert_eq!(without_texts(rule).as_deref(), Some("self.value.matches(r'') ? x : y"));
        assert_eq!(without_texts("a == \"\"\"b").as_deref(), None);
        assert_eq!(without_texts("'' == ''").as_deref(), Some("'' == ''"));
    }

    #[test]
    fn depth_is_that_of_the_recursion() {
        assert_eq!(depth("a.b.c == a.b || a.b"), 2);
        assert_eq!(depth("f(a.b, [c])"), BRACKET + 1 + BRACKET);
        assert_eq!(depth("a ? b : c ? d : (e)"), 2 + BRACKET);
        assert_eq!(depth(&format!("self{}", ".a".repeat(60))), 60);
        assert_eq!(depth(&"(".repeat(13)), 13 * BRACKET);
    }

    #[test]
    fn brackets_in_texts_hide_no_loop() {
        let rule = "self.all(x, '))' != x || self.all(y, '))' != y || self.all(z, x + y != z)))";
        assert_eq!(without_texts(rule).map(|code| loops(&code)), Some(3));
    }
}
