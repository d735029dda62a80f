//! What globs match, in which order, and what is refused.

use super::*;

const TREE: [&str; 9] = [
    ".env",
    "a.css",
    "a.css.map",
    "lib.txt",
    "lib/.hidden/x.css",
    "lib/b.css",
    "lib/deep/er/c.css",
    "lib/draft/d.draft.css",
    "z/lib/e.css",
];

/// spec: inputs/globs R1, inputs/globs R2
#[test]
fn globs_match_by_one_table() {
    for (globs, expected) in [
        (&["**"][..], &TREE[..]),
        (&["*"], &[".env", "a.css", "a.css.map", "lib.txt"]),
        (&["*.css"], &["a.css"]),
        (
            &["lib"],
            &[
                "lib/.hidden/x.css",
                "lib/b.css",
                "lib/deep/er/c.css",
                "lib/draft/d.draft.css",
            ],
        ),
        (&["lib/*.css"], &["lib/b.css"]),
        (&["lib/*"], &["lib/b.css"]),
        (&["**/lib/*.css"], &["lib/b.css", "z/lib/e.css"]),
        (
            &["lib/**/*.css", "!**/*.draft.css"],
            &["lib/.hidden/x.css", "lib/b.css", "lib/deep/er/c.css"],
        ),
        (&["lib/deep/**/c.css"], &["lib/deep/er/c.css"]),
        (&["{a,lib/b}.css"], &["a.css", "lib/b.css"]),
        (&["?.css", "lib.txt"], &["a.css", "lib.txt"]),
        (&["a.css", "*.css"], &["a.css"]),
    ] {
        let project = Project::new(&TREE).operation("op", globs);
        assert_eq!(project.matched("op"), expected, "{globs:?}");
    }
}

/// spec: inputs/globs R3
#[test]
fn the_last_match_wins() {
    for (globs, expected) in [
        (
            &["lib", "!lib/deep"][..],
            &["lib/.hidden/x.css", "lib/b.css", "lib/draft/d.draft.css"][..],
        ),
        (&["lib/**", "!lib/**", "lib/b.css"], &["lib/b.css"]),
        (&["!lib/b.css", "lib/*"], &["lib/b.css"]),
        (
            &["lib", "!**/deep", "!**/.hidden/", "!lib/d*"],
            &["lib/b.css"],
        ),
        (&["**", "!**/*.css", "!.*"], &["a.css.map", "lib.txt"]),
    ] {
        assert_eq!(
            Project::new(&TREE).operation("op", globs).matched("op"),
            expected,
            "{globs:?}"
        );
    }
}

/// spec: inputs/globs R4
#[test]
fn some_directories_never_match() {
    let files = [
        ".git/config",
        "sub/.git",
        "a/.stagecraft/x",
        ".stagecraft/snapshot",
        "deploy/current/x",
        "b",
    ];
    let mut project = Project::new(&files).operation("op", &["**"]);
    assert_eq!(project.matched("op"), ["b", "deploy/current/x"]);
    for path in [
        "./deploy",
        "x/../deploy",
        project.place("deploy").to_str().unwrap(),
    ] {
        let driver = DirectoryDriver {
            path: path.to_owned(),
            activate: None,
            health: None,
        };
        let environment = EnvironmentConfig {
            at: at(1, 1),
            driver: Driver::Directory(driver),
            reserved: BTreeMap::new(),
        };
        project
            .config
            .environments
            .insert("local".parse().unwrap(), environment);
        assert_eq!(project.matched("op"), ["b"], "{path}");
    }
    let project = project.operation("op", &["deploy/current/x", ".git/config"]);
    assert_eq!(
        project.refused(),
        "stagecraft.yml:2:1: `deploy/current/x` is never an input: an environment deploys to `deploy`\n\
         stagecraft.yml:2:2: `.git/config` is never an input: `.git` is left out everywhere"
    );
}

/// spec: inputs/globs R5
#[test]
fn symlinks_are_content_and_are_not_followed() {
    let project = Project::new(&["real/a", "real/b"]).operation("op", &["**"]);
    symlink("real", project.place("link")).unwrap();
    symlink("/nowhere", project.place("real/dangling")).unwrap();
    assert_eq!(
        project.matched("op"),
        ["link", "real/a", "real/b", "real/dangling"]
    );
    assert_eq!(
        project.node("link"),
        Node::Symlink {
            target: "real".to_owned()
        }
    );
    let through = Project {
        directory: project.directory,
        ..Project::new(&[]).operation("op", &["link/a"])
    };
    assert_eq!(
        through.refused(),
        "stagecraft.yml:1:1: `link/a` is never an input: `link` is a symlink, and none is followed"
    );
    let Project { directory, .. } = through;
    let named = Project {
        directory,
        ..Project::new(&[]).operation("op", &["link", "link/**"])
    };
    assert_eq!(named.matched("op"), ["link"]);
}

/// spec: inputs/globs R6
#[test]
fn every_missing_literal_is_an_error_with_the_nearest_name() {
    let project = Project::new(&["src/main.c", "src/util/a.h", "README.md"])
        .operation("one", &["src/mian.c", "README.md", "nothing/like/it"])
        .operation("two", &["scr/main.c", "src/main.c/below", "!gone"]);
    assert_eq!(
        project.refused(),
        "stagecraft.yml:1:1: `src/mian.c` does not exist\n  hint: did you mean `src/main.c`?\n\
         stagecraft.yml:1:3: `nothing/like/it` does not exist\n\
         stagecraft.yml:2:1: `scr/main.c` does not exist\n  hint: did you mean `src/main.c`?\n\
         stagecraft.yml:2:2: `src/main.c/below` does not exist"
    );
}

/// spec: inputs/globs R7
#[test]
fn a_glob_that_matches_nothing_is_a_warning() {
    let project = Project::new(&["src/a.c"])
        .operation("op", &["src/*.h", "none/**", "src/*.c", "!*.o", "empty"]);
    fs::create_dir_all(project.place("empty/below")).unwrap();
    let warnings: Vec<_> = project
        .gather()
        .warnings
        .iter()
        .map(|w| format!("{} {}", w.at, w.message))
        .collect();
    assert_eq!(
        warnings,
        [
            "stagecraft.yml:1:1 `src/*.h` matches nothing",
            "stagecraft.yml:1:2 `none/**` matches nothing",
            "stagecraft.yml:1:5 directory `empty` holds no file",
        ]
    );
}

/// spec: inputs/globs R8
#[test]
fn what_cannot_be_an_input_is_refused_by_name_where_it_is_matched() {
    let project = Project::new(&["src/a.c", "src/sub/b"])
        .operation("one", &["src/*.c"])
        .operation("two", &["src"]);
    let name = OsStr::from_bytes(b"src/b\xff.h");
    fs::write(project.root().join(name), "").unwrap();
    fs::create_dir(project.root().join(OsStr::from_bytes(b"src/d\xfe"))).unwrap();
    fs::write(project.root().join(OsStr::from_bytes(b"src/d\xfe/x.h")), "").unwrap();
    symlink(OsStr::from_bytes(b"\xff"), project.place("src/link")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(project.place("src/socket")).unwrap();
    assert!(
        fs::symlink_metadata(project.place("src/socket"))
            .unwrap()
            .file_type()
            .is_socket()
    );
    let fifo = rustix::fs::CWD;
    rustix::fs::mknodat(
        fifo,
        project.place("src/fifo"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    assert_eq!(
        project.refused(),
        "stagecraft.yml:2:1: `src/fifo` is a fifo\n\
         stagecraft.yml:2:1: `src/socket` is a socket\n\
         stagecraft.yml:2:1: the name of `src/b\u{fffd}.h` is not UTF-8\n\
         stagecraft.yml:2:1: the name of `src/d\u{fffd}/x.h` is not UTF-8\n\
         stagecraft.yml:2:1: the target of symlink `src/link` is not UTF-8"
    );
    drop(socket);
    let Project { directory, .. } = project;
    let narrow = Project {
        directory,
        ..Project::new(&[]).operation("one", &["src/*.c", "src/sub"])
    };
    assert_eq!(narrow.matched("one"), ["src/a.c", "src/sub/b"]);
}

/// spec: inputs/globs R8
#[test]
fn an_unreadable_file_is_refused_where_it_is_matched() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let project = Project::new(&["a", "private/b", "c"]).operation("op", &["**"]);
    fs::set_permissions(project.place("a"), PermissionsExt::from_mode(0o000)).unwrap();
    fs::set_permissions(project.place("private"), PermissionsExt::from_mode(0o000)).unwrap();
    let message = project.refused();
    fs::set_permissions(project.place("private"), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(
        message,
        "stagecraft.yml:1:1: cannot read `a`: permission denied\n\
         stagecraft.yml:1:1: cannot read `private`: permission denied"
    );
}

/// spec: inputs/globs R9
#[test]
fn expand_lists_files_or_directories_for_each_glob() {
    let files = [
        "packages/a/stagecraft.yml",
        "packages/b/c/stagecraft.yml",
        "packages/x",
        ".git/packages/a/y",
    ];
    let project = Project::new(&files);
    symlink("a", project.place("packages/link")).unwrap();
    let globs = [
        "packages/*/",
        "**/a",
        "packages/b",
        "packages/x",
        "nowhere",
        "packages/*/stagecraft.yml",
    ];
    let globs = globs.map(str::to_owned);
    let list = |what, excluded: &[String]| {
        let found = expand(project.root(), &globs, what, excluded).unwrap();
        assert_eq!(found.len(), globs.len());
        globs
            .iter()
            .map(|glob| found[glob].join(" "))
            .collect::<Vec<_>>()
    };
    let directories = [
        "packages/a packages/b",
        "packages/a",
        "packages/b",
        "",
        "",
        "",
    ];
    assert_eq!(list(Match::Directories, &[]), directories);
    assert_eq!(
        list(Match::Files, &[]),
        [
            "packages/x",
            "",
            "",
            "packages/x",
            "",
            "packages/a/stagecraft.yml"
        ]
    );
    assert_eq!(
        list(Match::Directories, &["packages/a/".to_owned()])[0],
        "packages/b"
    );
    let wrong = expand(project.root(), &["a/{b".to_owned()], Match::Files, &[]).unwrap_err();
    assert_eq!(wrong.to_string(), "`a/{b` is not a glob");
}
