//! Tools of the real machine; made-up machines are in `src/inputs/tools/tests.rs`.

use super::*;

/// spec: inputs/tools R1
#[test]
fn every_tool_that_is_not_on_path_is_an_error() {
    let mut project = Project::new(&["bin/tool", "bin/data"])
        .operation("a", &[])
        .operation("b", &["gone"])
        .tools("a", &["tool", "nope"])
        .tools("b", &["data", "nope"]);
    fs::set_permissions(project.place("bin/tool"), PermissionsExt::from_mode(0o755)).unwrap();
    project.path = std::env::join_paths([Path::new("bin"), &project.place("bin")]).unwrap();
    assert_eq!(
        project.refused(),
        "stagecraft.yml:1:101: tool `nope` is not on PATH\n\
         stagecraft.yml:2:1: `gone` does not exist\n\
         stagecraft.yml:2:100: tool `data` is not on PATH\n\
         stagecraft.yml:2:101: tool `nope` is not on PATH"
    );
    project.path = "bin".into();
    assert!(
        project.refused().contains("tool `tool` is not on PATH"),
        "a relative directory of PATH"
    );
}

/// spec: inputs/tools R7, inputs/tools R9
#[test]
fn a_script_outside_packages_is_its_bytes_and_its_interpreter() {
    let identity = |text: &str| {
        let mut project = Project::new(&[])
            .operation("op", &[])
            .tools("op", &["tool"]);
        project.write("bin/tool", text);
        fs::set_permissions(project.place("bin/tool"), PermissionsExt::from_mode(0o755)).unwrap();
        project.path = project.place("bin").into();
        let inputs = project.gather();
        let tool = &inputs.tools["tool"];
        let real = fs::canonicalize(project.place("bin/tool")).unwrap();
        assert_eq!(tool.programs, [("tool".to_owned(), real.clone())]);
        assert!(tool.files.contains(&real));
        assert_eq!(tool.description, Digest::of(text.as_bytes()).to_string());
        tool.identity
    };
    let one = identity("#!/bin/sh\necho 1\n");
    assert_eq!(identity("#!/bin/sh\necho 1\n"), one, "in another directory");
    assert_ne!(identity("#!/bin/sh\necho 2\n"), one);
    assert_ne!(identity("#!/bin/cat\necho 1\n"), one);
}
