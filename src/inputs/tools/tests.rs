//! Tools and the base of made-up machines: a package database, links, scripts and programs in a temporary directory.

#![expect(
    clippy::disallowed_methods,
    reason = "effects: builds machines in temporary directories"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::config::{Config, SandboxConfig, StoreConfig};

/// A root file system.
struct Fake {
    directory: TempDir,
    status: String,
}

impl Fake {
    /// Makes one with merged `/usr` and `/bin`.
    fn new() -> Self {
        let fake = Self {
            directory: TempDir::new().unwrap(),
            status: String::new(),
        };
        for path in [
            "usr/bin",
            "usr/sbin",
            "usr/lib",
            "etc/alternatives",
            "var/lib/dpkg/info",
        ] {
            fs::create_dir_all(fake.root().join(path)).unwrap();
        }
        for name in ["bin", "sbin", "lib"] {
            fake.link(&format!("usr/{name}"), name);
        }
        fake
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn machine(&self) -> Machine {
        Machine::at(self.root())
    }

    fn program(&self, path: &str, text: &str) {
        let place = self.machine().place(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, text).unwrap();
        fs::set_permissions(place, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn link(&self, target: &str, path: &str) {
        symlink(target, self.machine().place(path)).unwrap();
    }

    /// Installs a package: `fields` end a paragraph, `paths` are programs of its own unless they are there.
    fn package(&mut self, name: &str, version: &str, fields: &str, paths: &[&str]) -> &mut Self {
        write!(self.status, "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n{fields}\n\n")
            .unwrap();
        for path in paths {
            if self.machine().resolve(path).is_none() {
                self.program(path, name);
            }
        }
        fs::write(
            self.machine()
                .place(&format!("/var/lib/dpkg/info/{name}.list")),
            format!("/.\n{}\n", paths.join("\n")),
        )
        .unwrap();
        fs::write(self.machine().place(STATUS), &self.status).unwrap();
        self
    }

    fn upgrade(&mut self, from: &str, to: &str) {
        self.status = self.status.replace(from, to);
        fs::write(self.machine().place(STATUS), &self.status).unwrap();
    }

    fn find(&self, tool: &str, path: &str) -> Tool {
        let gathered = gather_one(&self.machine(), tool, path, &mut Snapshot::none());
        assert!(gathered.faults.is_empty(), "{:?}", gathered.faults);
        Tool::clone(&gathered.tools[tool])
    }

    fn base(&self) -> Base {
        Base::clone(&gather_one(&self.machine(), "none", "", &mut Snapshot::none()).base)
    }
}

fn gather_one(machine: &Machine, tool: &str, path: &str, snapshot: &mut Snapshot) -> Gathered {
    let at = Location {
        file: "stagecraft.yml".to_owned(),
        line: 1,
        column: 1,
        length: 1,
    };
    let name: crate::name::OperationName = "op".parse().unwrap();
    let operation = crate::config::OperationConfig {
        at: at.clone(),
        description: None,
        command: crate::config::CommandLine::Fetch,
        workdir: "".parse().unwrap(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        needs: Vec::new(),
        tools: vec![crate::config::Spanned {
            value: tool.to_owned(),
            at,
        }],
        env: BTreeMap::new(),
        pass_env: Vec::new(),
        timeout: std::time::Duration::from_secs(1),
        retries: 0,
        cache: true,
        network: false,
        resources: crate::config::Resources {
            cpu: 1,
            memory: None,
        },
        export: false,
        reserved: BTreeMap::new(),
    };
    let config = Config {
        project: "demo".parse().unwrap(),
        registry: None,
        operations: BTreeMap::from([(name.clone(), operation)]),
        services: BTreeMap::new(),
        environments: BTreeMap::new(),
        sandbox: SandboxConfig::default(),
        store: StoreConfig::default(),
        reserved: BTreeMap::new(),
    };
    let request = Request {
        config: &config,
        project: Path::new("/nowhere"),
        operations: &BTreeSet::from([name]),
        caller: &BTreeMap::new(),
        path: Some(OsStr::new(path)),
    };
    gather(&request, machine, snapshot).unwrap()
}

fn names(programs: &[(String, PathBuf)]) -> Vec<&str> {
    programs.iter().map(|(name, _)| name.as_str()).collect()
}

/// `cc` leads through alternatives to package `gcc`, which needs `gcc-12` and recommends one of two C libraries.
fn compiler() -> Fake {
    let mut fake = Fake::new();
    fake.package(
        "binutils",
        "2.40",
        "Recommends: doc",
        &["/usr/bin/as", "/usr/bin/ld"],
    )
    .package("doc", "1", "", &["/usr/bin/doc"])
    .package(
        "gcc-12",
        "12.2.0-14",
        "Depends: binutils (>= 2.40), cpp:any",
        &["/usr/bin/gcc-12"],
    )
    .package(
        "cpp-virtual",
        "1",
        "Provides: cpp (= 4), x",
        &["/usr/bin/cpp"],
    )
    .package(
        "libc6-dev",
        "2.36",
        "Depends: gone | linux-libc-dev",
        &["/usr/lib/libc.a"],
    )
    .package("linux-libc-dev", "6.1", "", &["/opt/vendor/x/y"])
    .package("unrelated", "1", "", &["/usr/bin/unrelated"]);
    fake.link("gcc-12", "usr/bin/gcc");
    fake.link("/usr/bin/gcc", "etc/alternatives/cc");
    fake.link("/etc/alternatives/cc", "usr/bin/cc");
    fake.link("/usr/bin/unrelated", "etc/alternatives/other");
    fake.link("/etc/alternatives/other", "usr/bin/other");
    fake.package(
        "gcc",
        "4:12.2.0-3",
        "Depends: gcc-12\nRecommends: musl-dev | libc6-dev, none",
        &["/bin/gcc"],
    );
    fake
}

/// spec: inputs/tools R2, inputs/tools R3, inputs/tools R4, inputs/tools R6
#[test]
fn a_packaged_tool_is_its_package_and_what_that_needs() {
    let fake = compiler();
    let tool = fake.find("cc", "/bin");
    assert_eq!(tool.description, "gcc 4:12.2.0-3");
    assert_eq!(
        names(&tool.programs),
        ["as", "cc", "cpp", "gcc", "gcc-12", "ld"]
    );
    assert_eq!(tool.programs[1].1, Path::new("/usr/bin/gcc-12"));
    assert_eq!(tool.files, [Path::new("/opt/vendor")]);
    assert_eq!(
        fake.find("cc", "/usr/bin").identity,
        tool.identity,
        "found through another directory"
    );
    assert_eq!(
        compiler().find("cc", "/bin").identity,
        tool.identity,
        "on another machine"
    );
}

/// spec: inputs/tools R3, inputs/tools R4
#[test]
fn an_upgrade_below_a_tool_changes_its_identity_and_no_other() {
    let before = compiler().find("cc", "/bin").identity;
    for (from, to, differs) in [
        ("Version: 4:12.2.0-3", "Version: 4:12.2.0-4", true),
        ("Version: 12.2.0-14", "Version: 12.2.0-15", true),
        ("Version: 2.40", "Version: 2.41", true),
        ("Version: 2.36", "Version: 2.37", true),
        ("Version: 6.1", "Version: 6.2", true),
        (
            "Package: cpp-virtual\nStatus: install ok installed\nArchitecture: amd64",
            "Package: cpp-virtual\nStatus: install ok installed\nArchitecture: all",
            true,
        ),
        (
            "Package: doc\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1",
            "Package: doc\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2",
            false,
        ),
        (
            "Package: unrelated\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1",
            "Package: unrelated\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2",
            false,
        ),
    ] {
        let mut fake = compiler();
        assert!(fake.status.contains(from), "{from}");
        fake.upgrade(from, to);
        assert_eq!(fake.find("cc", "/bin").identity != before, differs, "{to}");
    }
}

/// spec: inputs/tools R5
#[test]
fn a_diverted_path_belongs_to_who_diverts_it() {
    let mut fake = Fake::new();
    fake.package("original", "1", "", &["/usr/bin/x"]).package(
        "wrapper",
        "7",
        "",
        &["/usr/bin/wrapper"],
    );
    fake.program("/usr/bin/x.real", "original");
    fake.program("/usr/bin/y", "y");
    let diversions = "/usr/bin/x\n/usr/bin/x.real\nwrapper\n/usr/bin/y\n/usr/bin/y.real\n:\n";
    fs::write(fake.machine().place(DIVERSIONS), diversions).unwrap();
    assert_eq!(fake.find("x", "/usr/bin").description, "wrapper 7");
    assert_eq!(fake.find("x.real", "/usr/bin").description, "original 1");
    assert!(fake.find("y", "/usr/bin").description.starts_with("b3:"));
}

/// spec: inputs/tools R7, inputs/tools R8, inputs/tools R9
#[test]
fn a_script_outside_packages_counts_its_interpreter_by_package() {
    let make = || {
        let mut fake = Fake::new();
        fake.package("python", "3.11", "", &["/usr/bin/python3"])
            .package("coreutils", "9", "", &["/usr/bin/env"]);
        fake.program("/home/me/bin/build", "#!/usr/bin/env python3\nprint(1)\n");
        fake.link("/home/me/bin/build", "usr/bin/builder");
        fake
    };
    let fake = make();
    let tool = fake.find("build", "/home/me/bin:/usr/bin");
    assert_eq!(tool.files, [Path::new("/home/me/bin/build")]);
    assert_eq!(names(&tool.programs), ["build", "python3"]);
    let mut elsewhere = make();
    elsewhere.program("/srv/build", "#!/usr/bin/env python3\nprint(1)\n");
    assert_eq!(
        elsewhere.find("build", "/srv:/usr/bin").identity,
        tool.identity
    );
    elsewhere.upgrade("3.11", "3.12");
    assert_ne!(
        elsewhere.find("build", "/srv:/usr/bin").identity,
        tool.identity
    );
    let linked = fake.find("builder", "/usr/bin");
    assert_eq!(
        (linked.identity, &linked.files),
        (tool.identity, &tool.files),
        "through a link in /usr"
    );
    let shadowed = make();
    shadowed.program("/home/me/bin/python3", "#!/home/me/bin/loop\n");
    shadowed.program("/home/me/bin/loop", "#!/home/me/bin/loop\n");
    let shadowed = shadowed.find("build", "/home/me/bin:/usr/bin");
    assert_ne!(
        shadowed.identity, tool.identity,
        "another python3 comes first on PATH"
    );
    assert_eq!(shadowed.files.len(), 3);
}

/// spec: inputs/tools R8, inputs/tools R9
#[test]
fn a_program_outside_packages_counts_the_libraries_that_the_loader_would_take() {
    let program = fs::read("/proc/self/exe").unwrap();
    let needed = crate::inputs::elf::linkage(&program).unwrap();
    let make = |library: &[u8]| {
        let fake = Fake::new();
        fake.program("/srv/app", "");
        fs::write(fake.machine().place("/srv/app"), &program).unwrap();
        fs::create_dir_all(fake.machine().place("/opt/lib")).unwrap();
        fs::create_dir_all(fake.machine().place("/etc/ld.so.conf.d")).unwrap();
        fs::write(
            fake.machine().place("/etc/ld.so.conf"),
            "# x\ninclude ld.so.conf.d/*.conf\n",
        )
        .unwrap();
        fs::write(
            fake.machine().place("/etc/ld.so.conf.d/a.conf"),
            "/opt/other\n/opt/lib # here\n",
        )
        .unwrap();
        fs::write(
            fake.machine().place("/etc/ld.so.conf.d/ignored"),
            "/opt/none\n",
        )
        .unwrap();
        let name = &needed.needed[0];
        fs::write(fake.machine().place(&format!("/opt/lib/{name}")), library).unwrap();
        (fake.find("app", "/srv"), format!("/opt/lib/{name}"))
    };
    let (tool, library) = make(&program);
    assert_eq!(tool.files, [Path::new(&library), Path::new("/srv/app")]);
    let mut other = program.clone();
    other.push(0);
    assert_ne!(make(&other).0.identity, tool.identity, "other bytes");
    let mut foreign = program.clone();
    foreign[18] ^= 0xff;
    assert_eq!(
        make(&foreign).0.files,
        [Path::new("/srv/app")],
        "for another machine"
    );
    let text = make(b"no library").0;
    assert_eq!(
        text.files,
        [Path::new("/srv/app")],
        "what is no library of the sort is passed over"
    );
    assert_ne!(text.identity, tool.identity);
}

/// spec: inputs/tools R10
#[test]
fn the_base_is_the_essential_packages_and_what_they_need() {
    let make = || {
        let mut fake = Fake::new();
        fake.package(
            "coreutils",
            "9",
            "Essential: yes\nPre-Depends: libc",
            &["/bin/cat", "/usr/bin/env"],
        )
        .package(
            "base-files",
            "12",
            "Essential: yes\nPre-Depends: awk\nRecommends: extra",
            &["/usr/sbin/base"],
        )
        .package("mawk", "1.3", "Provides: awk", &["/usr/bin/mawk"])
        .package("libc", "2", "", &[])
        .package("extra", "1", "", &["/usr/bin/extra"]);
        fake.link("/usr/bin/mawk", "etc/alternatives/awk");
        fake.link("/etc/alternatives/awk", "usr/bin/awk");
        fake
    };
    let mut fake = make();
    let base = fake.base();
    assert_eq!(names(&base.programs), ["awk", "base", "cat", "env", "mawk"]);
    assert_eq!(base.programs[0].1, Path::new("/usr/bin/mawk"));
    assert_eq!(base.description, "4 essential packages");
    assert_eq!(make().base(), base);
    fake.upgrade("Version: 1\n", "Version: 2\n");
    assert_eq!(fake.base(), base);
    fake.upgrade("Version: 2\n", "Version: 3\n");
    assert_ne!(fake.base().identity, base.identity);
}

/// spec: inputs/tools R11
#[test]
fn without_a_database_the_base_is_a_list_of_programs() {
    let fake = Fake::new();
    fake.program("/usr/bin/sh", "sh");
    fake.program("/usr/bin/cat", "cat");
    fake.program("/usr/bin/mine", "mine");
    let base = fake.base();
    assert_eq!(names(&base.programs), ["cat", "sh"]);
    assert_eq!(base.description, "2 programs");
    fake.program("/usr/bin/mine", "other");
    assert_eq!(fake.base(), base);
    fake.program("/usr/bin/cat", "other");
    assert_ne!(fake.base().identity, base.identity);
}

/// spec: inputs/tools R1
#[test]
fn a_tool_that_the_base_has_may_be_named_though_path_lacks_it() {
    let fake = Fake::new();
    fake.program("/usr/sbin/sh", "sh");
    assert_eq!(
        fake.find("sh", "/nowhere").programs,
        [("sh".to_owned(), "/usr/sbin/sh".into())]
    );
    fake.program("/srv/cat", "");
    let relative = gather_one(&fake.machine(), "cat", "srv:", &mut Snapshot::none());
    assert_eq!(relative.faults.len(), 1, "found by a relative directory");
    let faults = gather_one(&fake.machine(), "cat", "/usr/sbin", &mut Snapshot::none()).faults;
    assert_eq!(faults[0].message, "tool `cat` is not on PATH");
}

/// spec: inputs/tools R2
#[test]
fn links_are_followed_as_the_kernel_does() {
    let fake = Fake::new();
    fake.program("/usr/bin/real", "");
    fake.link("../../../usr/bin/../bin/real", "usr/bin/relative");
    fake.link("loop", "usr/bin/loop");
    fake.link("/bin", "usr/lib/d");
    let machine = fake.machine();
    let chain = |path: &str| machine.resolve(path).map(|resolved| resolved.chain);
    let text = |paths: &[&str]| {
        Some(
            paths
                .iter()
                .map(|path| (*path).to_owned())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        chain("/bin/relative"),
        text(&["/usr/bin/relative", "/usr/bin/real"])
    );
    assert_eq!(chain("/lib/d/./real"), text(&["/usr/bin/real"]));
    assert_eq!(chain("/bin/loop"), None);
    assert_eq!(chain("/bin/absent"), None);
    assert_eq!(chain("/bin/real/below"), None);
}

/// spec: inputs/tools R12
#[test]
fn a_tool_that_has_not_changed_is_not_looked_at_again() {
    let project = TempDir::new().unwrap();
    let mut fake = compiler();
    fake.program("/srv/script", "#!/usr/bin/env gcc\n");
    let find = |fake: &Fake, tool: &str, path: &str| {
        let mut snapshot = crate::inputs::snapshot::tests::trusting(project.path());
        let gathered = gather_one(&fake.machine(), tool, path, &mut snapshot);
        snapshot.save().unwrap();
        Tool::clone(&gathered.tools[tool])
    };
    let (cc, script) = (
        find(&fake, "cc", "/bin"),
        find(&fake, "script", "/srv:/bin"),
    );
    // A list is none of the witnesses: whoever looks again sees that it is gone.
    let list = fake.machine().place("/var/lib/dpkg/info/binutils.list");
    fs::remove_file(&list).unwrap();
    assert_eq!(find(&fake, "cc", "/bin"), cc);
    assert_ne!(
        find(&fake, "cc", "/usr/bin").programs,
        cc.programs,
        "found elsewhere"
    );
    assert_eq!(find(&fake, "script", "/srv:/bin"), script);
    fake.program("/srv/gcc", "first on PATH");
    let shadowed = find(&fake, "script", "/srv:/bin");
    assert_ne!(
        shadowed.identity, script.identity,
        "a file that was absent is a witness"
    );
    fs::remove_file(fake.machine().place("/srv/gcc")).unwrap();
    fake.program("/srv/script", "#!/usr/bin/env cpp\n");
    assert_ne!(find(&fake, "script", "/srv:/bin").identity, script.identity);
    fake.upgrade("Version: 2.40", "Version: 2.41.1");
    assert_ne!(find(&fake, "cc", "/bin").identity, cc.identity);
}
