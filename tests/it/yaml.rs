//! Generated YAML, read here and by what kubectl reads it with: `sigs.k8s.io/yaml`, built from its pinned module.

use crate::control_plane::{cache_dir, tests_dir};
use crate::oracle::texts::Random;
use serde_json::Value;
use spinway::desired::yaml;
use spinway::object::Severity;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// How many texts CI reads, and the full campaign.
const SAMPLE: usize = 2_000;
const FULL: usize = 20_000;

/// What is refused here and read by Go: each is named in `docs/reference/yaml.md`.
const STRICTER: [&str; 7] =
    ["yaml-alias", "yaml-depth", "yaml-duplicate-key", "yaml-key", "yaml-nodes", "yaml-syntax", "yaml-value"];

#[test]
fn yaml_is_read_as_kubectl_reads_it() {
    let wanted = if std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full") { FULL } else { SAMPLE };
    let mut random = Random::new(20_261_129);
    let texts: Vec<String> = (0..wanted).map(|_| text(&mut random)).collect();
    let (mut read, mut refused, mut lenient, mut stricter) = (0, 0, Vec::new(), BTreeMap::new());
    let mut wrong = Vec::new();
    for (text, theirs) in texts.iter().zip(kubectl(&texts)) {
        let (documents, found) = yaml::read(&Arc::from("a.yaml"), text);
        let error = found.iter().find(|finding| finding.severity == Severity::Error);
        match (error, theirs) {
            (None, Ok(theirs)) => {
                let ours: Vec<Value> = documents.into_iter().map(|document| document.value).collect();
                read += 1;
                if !same(&ours.clone().into(), &theirs.clone().into()) {
                    wrong.push(format!("{text:?}\n  here {ours:?}\n  there {theirs:?}"));
                }
            }
            (Some(_), Err(_)) => refused += 1,
            (Some(error), Ok(_)) => {
                assert!(STRICTER.contains(&error.id), "{text:?} is refused: {error:?}");
                let entry =
                    stricter.entry(error.id).or_insert_with(|| (0, text.clone(), error.message.raw().to_owned()));
                entry.0 += 1;
                if entry.1.len() > text.len() {
                    (entry.1, entry.2) = (text.clone(), error.message.raw().to_owned());
                }
            }
            // Spellings of YAML 1.2 that a reader of YAML 1.1 refuses: they mean nothing else there.
            (None, Err(error)) => lenient.push(format!("{text:?}: {error}")),
        }
    }
    println!(
        "yaml: {read} read alike, {refused} refused alike, {} read here alone, refused here alone: {stricter:#?}",
        lenient.len()
    );
    wrong.sort_by_key(String::len);
    assert!(wrong.is_empty(), "{} differ, such as\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
    assert!(lenient.len() < wanted / 200, "{lenient:#?}");
    assert!(read > wanted / 3 && refused > wanted / 50, "{read} {refused}");
}

/// Whether values are the same, numbers by what they amount to.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

/// What kubectl reads in each text: its documents, or why it refuses.
fn kubectl(texts: &[String]) -> Vec<Result<Vec<Value>, String>> {
    let input: String = texts.iter().map(|text| format!("{}\n", serde_json::to_string(text).unwrap())).collect();
    let mut child = Command::new(program()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || pipe.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("a writer").expect("it reads");
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).expect("JSON");
    let answer = |line: &str| {
        let documents: Vec<Value> = serde_json::from_str(line).expect("JSON");
        documents
            .into_iter()
            .map(|document| match document["json"].as_str() {
                Some(json) => serde_json::from_str(json).map_err(|error| error.to_string()),
                None => Err(document["error"].to_string()),
            })
            .collect()
    };
    let answers: Vec<_> = answers.lines().map(answer).collect();
    assert_eq!(answers.len(), texts.len());
    answers
}

fn program() -> PathBuf {
    let path = cache_dir().join("yaml");
    std::fs::create_dir_all(cache_dir()).expect("the cache can be written");
    let module = tests_dir().join("controlplane");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&path).arg("./yaml").current_dir(module).env("CGO_ENABLED", "0");
    assert!(build.status().expect("go runs").success(), "tests/controlplane/yaml does not build");
    path
}

const PLAIN: [&str; 56] = [
    "a",
    "web",
    "true",
    "yes",
    "No",
    "on",
    "y",
    "~",
    "null",
    "Null",
    "",
    "0",
    "1",
    "-1",
    "+1",
    "010",
    "0o17",
    "0x1F",
    "0b11",
    "1_000",
    "0123456789",
    "1.5",
    "1e3",
    "1.",
    ".5",
    "._5",
    ".5_5",
    "1e400",
    "2001-12-14",
    "12:30:45",
    "190:20:30",
    "=",
    "a b",
    "a#b",
    "a:b",
    "http://x/y?z=1",
    "-a",
    "?a",
    "ü",
    "é\u{301}",
    "1__0",
    "0_7",
    "0x_1",
    "08",
    "0.0",
    "-0",
    "1E5",
    "+.5",
    "18446744073709551615",
    "9223372036854775808",
    "1e20",
    "0.1",
    "-1_0.5",
    "TRUE",
    "0B1",
    "0X1f",
];
/// What is refused where it stands, or nearly.
const ODD: [&str; 13] = ["-.inf", ".nan", "<<", "@a", "%a", "&", "*", "!", "|", ">", "*base", "a: b", "- a"];
const QUOTED: [&str; 12] = [
    "''",
    "'a'",
    "'it''s'",
    "\"\"",
    "\"a\\tb\"",
    "\"\\u00e9\"",
    "\"\\x41\"",
    "\"a\\\n  b\"",
    "'a\n\n  b'",
    "\"yes\"",
    "'0123'",
    "\"\\U0001f600\"",
];
const TAGS: [&str; 16] = [
    "!!str",
    "!!int",
    "!!float",
    "!!bool",
    "!!null",
    "!!binary",
    "!!timestamp",
    "!!merge",
    "!!foo",
    "!foo",
    "!",
    "!<tag:yaml.org,2002:str>",
    "!<tag:yaml.org,2002:int>",
    "!<x>",
    "!!map",
    "!!seq",
];
const ODD_KEYS: [&str; 6] = ["~", "? a", "18446744073709551615", "[a]", "@", "!!str"];
const KEYS: [&str; 22] = [
    "a",
    "b",
    "c",
    "name",
    "1",
    "01",
    "0123456789",
    "1.5",
    "1e-7",
    "0x10",
    "yes",
    "~",
    "'a'",
    "\"b\"",
    "<<",
    "!!merge <<",
    "! <<",
    "!!str 1",
    "? a",
    "k-1",
    "ü",
    "18446744073709551615",
];

/// A text of a few documents; a third of them have a few characters changed.
fn text(random: &mut Random) -> String {
    let mut out = String::new();
    for number in 0..=random.below(2) {
        if number > 0 || random.chance(20) {
            out +=
                random.of::<&str>(&["---\n", "--- # next\n", "---\n---\n", "%YAML 1.1\n---\n", "--- \n", "# c\n---\n"]);
        }
        let mut node = Node { random, anchors: 0, has_base: false };
        out += &node.document();
        if random.chance(4) {
            out += "...\n";
        }
    }
    for _ in 0..[0, 0, 0, 0, 1, 2][random.below(6)] {
        let at = random.below(out.chars().count().max(1));
        let byte = out.char_indices().nth(at).map_or(0, |(byte, _)| byte);
        match random.below(3) {
            0 if !out.is_empty() => drop(out.remove(byte)),
            _ => out.insert_str(
                byte,
                random.of::<&str>(&[
                    " ", "\n", ":", "-", "#", "'", "\"", "[", "}", ",", "&", "*", "!", "\t", "a", "\r\n",
                ]),
            ),
        }
    }
    out
}

struct Node<'a> {
    random: &'a mut Random,
    anchors: usize,
    has_base: bool,
}

impl Node<'_> {
    fn document(&mut self) -> String {
        let mut out = String::new();
        self.has_base = self.random.chance(50);
        if self.has_base {
            out += "base: &base {x: 1, y: yes}\n";
        }
        for number in 0..=self.random.below(4) {
            if self.random.chance(10) {
                out += "# a comment\n";
            }
            let key = self.key(number);
            let value = self.value(2, 0);
            out += &format!("{key}:{value}\n");
        }
        out
    }

    /// Mostly keys that differ, so that few texts are refused for one that stands twice.
    fn key(&mut self, number: usize) -> String {
        match self.random.below(100) {
            0 => (*self.random.of(&ODD_KEYS)).to_owned(),
            1..=10 => (*self.random.of(&KEYS)).to_owned(),
            _ => format!("k{number}"),
        }
    }

    /// What follows a colon or dash at an indentation.
    fn value(&mut self, indent: usize, depth: usize) -> String {
        let pad = " ".repeat(indent);
        let properties = self.properties();
        match self.random.below(if depth < 3 { 14 } else { 7 }) {
            0..=3 => format!(" {properties}{}", self.scalar()),
            4 => format!(" {properties}{}", self.random.of(&QUOTED)),
            5 => {
                let header = *self.random.of(&["|", "|-", "|+", ">", ">-", "|2", ">1-"]);
                let line = *self.random.of(&["a\n", "a\n\nb\n", " a\nb\n", "\ta\n", "\n\na\n", "# a\n", "a: |\n"]);
                let lines: String = line.lines().map(|line| format!("{pad}{line}\n")).collect();
                format!(" {properties}{header}\n{}", lines.trim_end_matches('\n'))
            }
            6 if self.random.chance(50) => format!(" {}", self.alias()),
            6 => format!(" {properties}{}", self.flow(depth)),
            7..=9 => {
                let entries: Vec<String> = (0..=self.random.below(3))
                    .map(|number| {
                        let (key, value) = (self.key(number), self.value(indent + 2, depth + 1));
                        format!("\n{pad}{key}:{value}")
                    })
                    .collect();
                format!(" {properties}{}", entries.concat())
            }
            10..=11 => {
                let items: Vec<String> = (0..=self.random.below(3))
                    .map(|_| {
                        let value = self.value(indent + 2, depth + 1);
                        format!("\n{pad}-{value}")
                    })
                    .collect();
                format!(" {properties}{}", items.concat())
            }
            _ => {
                let merged = *self.random.of(&["*base", "[*base, {x: 2}]", "{z: 1}", "[*base]"]);
                let merged = if self.has_base { merged } else { "{z: 1}" };
                format!("\n{pad}<<: {merged}\n{pad}m: {}", self.scalar())
            }
        }
    }

    fn properties(&mut self) -> String {
        let mut out = String::new();
        if self.random.chance(8) {
            self.anchors += 1;
            out += &format!("&a{} ", self.anchors);
        }
        if self.random.chance(4) {
            out += &format!("{} ", self.random.of(&TAGS));
        }
        out
    }

    fn alias(&mut self) -> String {
        match (self.has_base, self.anchors) {
            (true, _) if self.random.chance(90) => "*base".to_owned(),
            (_, 0) => "*a1".to_owned(),
            (_, last) => format!("*a{}", 1 + self.random.below(last)),
        }
    }

    fn scalar(&mut self) -> String {
        let text = if self.random.chance(1) { *self.random.of(&ODD) } else { *self.random.of(&PLAIN) };
        if self.random.chance(10) { format!("{text} # here") } else { text.to_owned() }
    }

    fn flow(&mut self, depth: usize) -> String {
        if depth > 3 {
            return "x".to_owned();
        }
        let item = |node: &mut Self| match node.random.below(5) {
            0 => node.flow(depth + 1),
            1 => (*node.random.of(&QUOTED)).to_owned(),
            _ => {
                let properties = node.properties();
                format!("{properties}{}", node.random.of(&["1", "yes", "a", "010", "1.5", "~", "b c", ""]))
            }
        };
        let count = self.random.below(4);
        if self.random.chance(50) {
            let items: Vec<String> = (0..count).map(|_| item(self)).collect();
            format!("[{}]", items.join(", "))
        } else {
            let entries: Vec<String> = (0..count)
                .map(|number| {
                    let key = self.key(number);
                    format!("{key}: {}", item(self))
                })
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}
