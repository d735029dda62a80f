//! The shape of the code: which layer may import which, where a library may be named, who prints, how long files and
//! functions are. Each rule is a function from sources to findings, so that each is also tried on code that breaks it.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: lists the repository's top level"
)]

use crate::source::{Source, Token, files, read, repository, sources};

/// The layers from `docs/architecture.md`; each may import only those of a line above it.
const LAYERS: &[&[&str]] = &[
    &["name"],
    &["config"],
    &["inputs"],
    &["plan"],
    &["rules"],
    &["action"],
    &["evaluate"],
    &["sandbox", "oci"],
    &["release"],
    &["providers"],
    &["cli"],
];

/// Where a library may be named: a folder or a file, without `.rs`.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("anyhow", &[]),
    ("blake3", &["store/src/digest", "store/src/encode"]),
    ("clap", &["src/cli", "src/main"]),
    ("petgraph", &["src/plan"]),
    ("saphyr_parser", &["src/config/yaml"]),
    (
        "serde",
        &[
            "src/config",
            "src/plan/show",
            "src/plan/graph",
            "src/release",
            "src/providers",
            "src/cli",
        ],
    ),
    (
        "serde_json",
        &[
            "src/config",
            "src/plan/show",
            "src/plan/graph",
            "src/release",
            "src/providers",
            "src/cli",
        ],
    ),
    (
        "serde_yaml",
        &[
            "src/config/compose",
            "src/rules/render",
            "src/providers/compose",
            "src/cli/init",
        ],
    ),
];

/// Names that say nothing about what is inside.
const DRAWERS: &[&str] = &[
    "common", "helpers", "manager", "misc", "mod", "types", "utils",
];

const TOP_LEVEL: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "benches",
    "docs",
    "spec",
    "src",
    "store",
    "target",
    "tests",
];

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 60;

/// One thing wrong, with its place.
type Finding = String;

fn report(rule: &str, findings: &[Finding]) {
    assert!(
        findings.is_empty(),
        "{rule}:\n  {}\n",
        findings.join("\n  ")
    );
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|line| line.contains(&module))
}

/// The names that follow `crate::` or the `super::`s that lead there: one, or each of a group.
fn heads<'s>(tokens: &'s [Token<'s>]) -> Vec<&'s str> {
    if tokens.first().is_none_or(|token| token.text != "{") {
        return tokens.first().map(|token| token.text).into_iter().collect();
    }
    let (mut open, mut found, mut wanted) = (0, Vec::new(), false);
    for token in tokens {
        match token.text {
            "{" => (open, wanted) = (open + 1, open == 0),
            "}" => open -= 1,
            "," => wanted = open == 1,
            name if wanted => {
                found.push(name);
                wanted = false;
            }
            _ => {}
        }
        if open == 0 {
            break;
        }
    }
    found
}

/// Every module of the crate root that a file names, with the line.
fn roots(source: &Source) -> Vec<(usize, String)> {
    let tokens = source.tokens();
    let file_depth = source.modules("src").len();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let start = &tokens[at];
        let mut end = at;
        let mut up = 0;
        while ["crate", "super"].contains(&tokens[end].text)
            && tokens.get(end + 1).is_some_and(|next| next.text == "::")
        {
            up += usize::from(tokens[end].text == "super");
            end += 2;
        }
        let reaches_root = end > at && (start.text == "crate" || up == file_depth + start.depth);
        if reaches_root {
            found.extend(
                heads(&tokens[end..])
                    .into_iter()
                    .map(|head| (start.line, head.to_owned())),
            );
        }
        at = end.max(at + 1);
    }
    found
}

fn imports_below(source: &Source) -> Vec<Finding> {
    let modules = source.modules("src");
    let Some(own) = modules.first() else {
        return Vec::new();
    };
    let Some(own_rank) = rank(own) else {
        return vec![format!(
            "{}: module `{own}` is not in the table of layers",
            source.path
        )];
    };
    roots(source)
        .into_iter()
        .filter(|(_, head)| head != own)
        .filter_map(|(line, head)| match rank(&head) {
            Some(other) if other < own_rank => None,
            Some(_) => Some(format!(
                "{}:{line}: `{own}` imports `{head}`, which is not above it",
                source.path
            )),
            None => Some(format!(
                "{}:{line}: `{head}` of the crate root is no layer; name the layer",
                source.path
            )),
        })
        .collect()
}

fn store_imports(source: &Source) -> Vec<Finding> {
    let tokens = source.tokens();
    tokens
        .windows(2)
        .filter(|pair| pair[0].text == "stagecraft" && pair[1].text == "::")
        .map(|pair| format!("{}:{}: the store names the app", source.path, pair[0].line))
        .collect()
}

fn libraries_out_of_place(source: &Source) -> Vec<Finding> {
    let stem = source.path.trim_end_matches(".rs");
    let allowed = |place: &str| stem == place || stem.starts_with(&format!("{place}/"));
    let tokens = source.tokens();
    let mut found: Vec<Finding> = Vec::new();
    for (library, places) in LIBRARIES {
        if places.iter().any(|place| allowed(place)) {
            continue;
        }
        let mut named = tokens.iter().enumerate().filter(|(at, token)| {
            let next = tokens.get(at + 1).map(|next| next.text);
            let before = at.checked_sub(1).map(|index| tokens[index].text);
            token.text == *library && !token.test && (next == Some("::") || before == Some("use"))
        });
        if let Some((_, token)) = named.next() {
            found.push(format!(
                "{}:{}: `{library}` may be named only in {places:?}",
                source.path, token.line
            ));
        }
    }
    found
}

fn prints(source: &Source) -> Vec<Finding> {
    if source.path == "src/cli/ui.rs" {
        return Vec::new();
    }
    let tokens = source.tokens();
    let text = |index: Option<usize>| {
        index
            .and_then(|index| tokens.get(index))
            .map_or("", |token| token.text)
    };
    (0..tokens.len())
        .filter(|at| !tokens[*at].test)
        .filter(|at| {
            let next = [text(Some(at + 1)), text(Some(at + 2))];
            match tokens[*at].text {
                "print" | "println" | "eprint" | "eprintln" | "dbg" => next[0] == "!",
                "stdout" | "stderr" => {
                    let before = [text(at.checked_sub(1)), text(at.checked_sub(2))];
                    let of_another = before[0] == "." || (before[0] == "::" && before[1] != "io");
                    next == ["(", ")"] && !of_another
                }
                _ => false,
            }
        })
        .map(|at| {
            format!(
                "{}:{}: `{}` outside `src/cli/ui.rs`",
                source.path, tokens[at].line, tokens[at].text
            )
        })
        .collect()
}

fn shape_of_file(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES {
        found.push(format!(
            "{}: {lines} lines; {FILE_LINES} is the most",
            source.path
        ));
    }
    let stem = source
        .path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".rs");
    if DRAWERS.contains(&stem) {
        found.push(format!(
            "{}: `{stem}` names a drawer; name what is inside",
            source.path
        ));
    }
    if !source.text.starts_with("//!") {
        found.push(format!(
            "{}: does not open with `//!`, what it owns and what it refuses",
            source.path
        ));
    }
    found
}

fn long_functions(source: &Source) -> Vec<Finding> {
    let tokens = source.tokens();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.text != "fn" || token.test {
            continue;
        }
        let Some((name, last)) = tokens.get(at + 1).zip(body_end(&tokens[at..])) else {
            continue;
        };
        let lines = last - token.line + 1;
        if lines > FUNCTION_LINES {
            found.push(format!(
                "{}:{}: `{}` has {lines} lines; {FUNCTION_LINES} is the most",
                source.path, token.line, name.text
            ));
        }
    }
    found
}

/// The line of the brace that closes the body of the function whose `fn` is the first token.
fn body_end(tokens: &[Token<'_>]) -> Option<usize> {
    let (mut nested, mut braces) = (0, 0);
    for token in tokens {
        match token.text {
            "(" | "[" => nested += 1,
            ")" | "]" => nested -= 1,
            ";" if nested == 0 && braces == 0 => return None,
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                if braces == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

fn findings(folders: &[&str], rule: fn(&Source) -> Vec<Finding>) -> Vec<Finding> {
    sources(folders).iter().flat_map(rule).collect()
}

/// spec: house/layers R1, house/layers R2
#[test]
fn imports_go_one_way() {
    report(
        "a layer imports only those above it",
        &findings(&["src"], imports_below),
    );
}

/// spec: house/layers R3
#[test]
fn the_store_knows_no_app() {
    let mut found = findings(&["store/src"], store_imports);
    let manifest = read("store/Cargo.toml");
    for (number, line) in manifest.lines().enumerate() {
        let key = line.split(['=', '.']).next().unwrap_or_default().trim();
        if key == "stagecraft" || key.starts_with("serde") {
            found.push(format!(
                "store/Cargo.toml:{}: the store depends on `{key}`",
                number + 1
            ));
        }
    }
    report(
        "the store is below everything and encodes without serde",
        &found,
    );
}

/// spec: house/layers R4
#[test]
fn libraries_stay_behind_their_file() {
    report(
        "a library is named only where it is wrapped",
        &findings(&["src", "store/src"], libraries_out_of_place),
    );
}

/// spec: house/layers R5
#[test]
fn only_the_ui_prints() {
    report(
        "data and talk pass `cli/ui.rs`",
        &findings(&["src", "store/src"], prints),
    );
}

/// spec: house/layers R6, house/layers R7, house/layers R8
#[test]
fn files_are_short_named_and_introduced() {
    let found = findings(&["src", "store", "tests", "benches"], shape_of_file);
    report("a file is one concept", &found);
}

/// spec: house/layers R9
#[test]
fn functions_are_short() {
    report(
        "a function does one step",
        &findings(&["src", "store/src"], long_functions),
    );
}

/// spec: house/layers R10
#[test]
fn the_top_level_holds_what_the_architecture_names() {
    let mut found: Vec<Finding> = std::fs::read_dir(repository())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    found.sort();
    report("what the top level may not hold", &found);
}

/// spec: house/layers R11
#[test]
fn docs_name_every_layer() {
    let pages = [read("docs/architecture.md"), read("src/lib.rs")];
    let missing: Vec<Finding> = files("src", "rs")
        .iter()
        .filter_map(|path| path.strip_prefix("src/")?.strip_suffix(".rs"))
        .filter(|module| !module.contains('/') && !["lib", "main"].contains(module))
        .filter(|module| {
            pages
                .iter()
                .any(|page| !page.contains(&format!("`{module}`")))
        })
        .map(|module| {
            format!("`{module}` is missing in docs/architecture.md or in the table of src/lib.rs")
        })
        .collect();
    report("every layer is in the tables that teach it", &missing);
}

mod broken {
    use super::*;

    fn found(rule: fn(&Source) -> Vec<Finding>, path: &str, text: &str) -> Vec<Finding> {
        rule(&Source::new(path, text))
    }

    /// spec: house/layers R1
    #[test]
    fn an_import_of_a_lower_layer_is_found() {
        let below = |text: &str| found(imports_below, "src/plan/hash.rs", text);
        assert_eq!(
            below("use crate::cli::Ui;"),
            ["src/plan/hash.rs:1: `plan` imports `cli`, which is not above it"]
        );
        assert_eq!(
            below("use crate::{\n name::Name, rules::{self, x}};").len(),
            1
        );
        assert_eq!(below("fn f() -> crate::release::Id { todo() }").len(), 1);
        assert_eq!(
            below("mod tests { use super::super::super::action::Key; }").len(),
            1
        );
        assert_eq!(below("use super::super::evaluate;").len(), 1);
        assert!(
            below(
                "use crate::{config::Config, inputs, name::Name, plan::x};\nuse super::operation;"
            )
            .is_empty()
        );
        assert!(below("mod tests { use super::*; use super::super::operation; }").is_empty());
        assert!(
            below("// use crate::cli\nlet x = \"crate::cli\"; pub(crate) fn f() {}").is_empty()
        );
    }

    /// spec: house/layers R1
    #[test]
    fn layers_of_one_line_do_not_import_each_other() {
        assert_eq!(
            found(imports_below, "src/oci.rs", "use crate::sandbox::Sandbox;").len(),
            1
        );
    }

    /// spec: house/layers R2
    #[test]
    fn a_module_outside_the_table_is_found() {
        assert_eq!(
            found(imports_below, "src/extra.rs", ""),
            ["src/extra.rs: module `extra` is not in the table of layers"]
        );
        assert_eq!(
            found(imports_below, "src/cli.rs", "use crate::Thing;").len(),
            1
        );
        assert_eq!(found(imports_below, "src/cli.rs", "use super::*;").len(), 1);
    }

    /// spec: house/layers R3
    #[test]
    fn a_store_that_names_the_app_is_found() {
        assert_eq!(
            found(store_imports, "store/src/gc.rs", "use stagecraft::plan;").len(),
            1
        );
        assert!(
            found(
                store_imports,
                "store/src/gc.rs",
                "use stagecraft_store::Digest;"
            )
            .is_empty()
        );
    }

    /// spec: house/layers R4
    #[test]
    fn a_library_out_of_place_is_found() {
        let named = |path: &str, text: &str| found(libraries_out_of_place, path, text);
        assert_eq!(
            named("src/config/raw.rs", "use saphyr_parser::Event;"),
            ["src/config/raw.rs:1: `saphyr_parser` may be named only in [\"src/config/yaml\"]"]
        );
        assert_eq!(
            named("store/src/tree.rs", "let x = blake3::hash(b);").len(),
            1
        );
        assert_eq!(named("src/name.rs", "use serde;").len(), 1);
        assert!(named("src/config/yaml.rs", "use saphyr_parser::Event;").is_empty());
        assert!(named("store/src/encode.rs", "blake3::derive_key(c, b)").is_empty());
        assert!(
            named(
                "store/src/tree.rs",
                "#[cfg(test)]\nmod tests { use blake3::hash; }"
            )
            .is_empty()
        );
    }

    /// spec: house/layers R5
    #[test]
    fn a_print_is_found() {
        let printed = |text: &str| found(prints, "src/evaluate.rs", text);
        assert_eq!(
            printed("fn f() { println!(); }"),
            ["src/evaluate.rs:1: `println` outside `src/cli/ui.rs`"]
        );
        assert_eq!(printed("let mut out = std::io::stdout();").len(), 1);
        assert!(
            printed(
                "command.stdout(Stdio::null()); child.stderr(); Target::stderr(); // println!()"
            )
            .is_empty()
        );
        assert!(found(prints, "src/cli/ui.rs", "println!()").is_empty());
    }

    /// spec: house/layers R6, house/layers R7, house/layers R8
    #[test]
    fn a_long_nameless_or_silent_file_is_found() {
        let lines = |count: usize| format!("//! Doc.\n{}", "\n".repeat(count - 1));
        assert!(found(shape_of_file, "src/a.rs", &lines(FILE_LINES)).is_empty());
        assert_eq!(
            found(shape_of_file, "src/a.rs", &lines(FILE_LINES + 1)).len(),
            1
        );
        assert_eq!(found(shape_of_file, "src/plan/mod.rs", "//! Doc.").len(), 1);
        assert_eq!(found(shape_of_file, "src/utils.rs", "//! Doc.").len(), 1);
        assert_eq!(found(shape_of_file, "src/a.rs", "use b;").len(), 1);
    }

    /// spec: house/layers R9
    #[test]
    fn a_long_function_is_found() {
        let function = |lines: usize| {
            format!(
                "trait T {{ fn g(x: [u8; 2]); }}\nfn f() {{{}}}",
                "\n".repeat(lines - 1)
            )
        };
        assert!(found(long_functions, "src/a.rs", &function(FUNCTION_LINES)).is_empty());
        assert_eq!(
            found(long_functions, "src/a.rs", &function(FUNCTION_LINES + 1)),
            ["src/a.rs:2: `f` has 61 lines; 60 is the most"]
        );
    }
}
