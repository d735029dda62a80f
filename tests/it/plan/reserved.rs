//! What cannot be built yet is refused by name, where it would be needed and nowhere else.

use super::succeed;
use crate::support::TestApp;

fn said(config: &str, arguments: &[&str]) -> String {
    let app = TestApp::with_config(config);
    let output = app.run(&[&["plan"], arguments].concat()).expect(1);
    assert_eq!(output.stdout, "");
    output.stderr
}

const HEAD: &str = "project: { name: a }\n";
const OPERATION: &str = "operations:\n  o: { script: echo, outputs: [out] }\n";
const ENVIRONMENT: &str = "environments:\n  l: { driver: directory, path: ./d }\n";

/// spec: plan/reserved R1, plan/reserved R2
#[test]
fn keys_of_an_operation_are_refused_only_when_it_is_reached() {
    let cases = [
        (
            "fetch: { url: \"https://e.com/x\", sha256: \"0000000000000000000000000000000000000000000000000000000000000000\" }",
            "operations.f.fetch",
        ),
        ("script: echo, outputs: [out], root: o", "operations.f.root"),
        (
            "script: echo, outputs: [out], resources: { pool: p }",
            "operations.f.resources.pool",
        ),
    ];
    for (keys, key) in cases {
        let config = format!("{HEAD}{OPERATION}  f: {{ {keys} }}\npools: {{ p: 1 }}\n");
        let said = said(&config, &["f"]);
        let line = "stagecraft.yml:4:";
        assert!(
            said.contains(&format!("{key} is not supported yet")),
            "{said}"
        );
        assert!(said.contains(line), "{said}");
        succeed(&TestApp::with_config(&config), &["plan", "o"]);
    }
}

/// spec: plan/reserved R1, plan/reserved R3
#[test]
fn services_are_refused_unless_they_are_left_out() {
    let services = "services:\n  s: { artifact: o }\n  r: { artifact: o, rollout: { order: start_first } }\n  i: { image: w }\nimages:\n  w: { base: scratch, layers: [{ from: o, to: / }] }\n";
    let config = format!("{HEAD}{OPERATION}{services}{ENVIRONMENT}");
    let app = TestApp::with_config(&config);
    let refused = |arguments: &[&str], key: &str| {
        let output = app.run(arguments).expect(1);
        let message = format!("{key} is not supported yet");
        assert!(output.stderr.contains(&message), "{output}");
    };
    refused(&["plan", "--env", "l"], "services.i.image");
    let dry = ["build", "--env", "l", "--dry-run", "--services"];
    refused(&[&dry[..], &["i"]].concat(), "services.i.image");
    succeed(&app, &[&dry[..], &["s,r"]].concat());
    app.edit("stagecraft.yml", "  i: { image: w }\n", "");
    refused(&["plan", "--env", "l"], "services.r.rollout");
    app.edit("stagecraft.yml", ", rollout: { order: start_first }", "");
    succeed(&app, &["plan", "--env", "l"]);
}

/// spec: plan/reserved R1, plan/reserved R4
#[test]
fn other_drivers_and_keys_of_environments_are_refused() {
    let with =
        |environment: &str| format!("{HEAD}{OPERATION}environments:\n  l: {{ {environment} }}\n");
    let text = said(&with("driver: local"), &["--env", "l"]);
    assert!(
        text.contains("environments.l.driver local is not supported yet"),
        "{text}"
    );
    let keys = "driver: directory, path: ./d, env_file: .env";
    let text = said(&with(keys), &["--env", "l"]);
    assert!(
        text.contains("environments.l.env_file is not supported yet"),
        "{text}"
    );
    let app = TestApp::with_config(&with("driver: local"));
    succeed(&app, &["plan", "--all", "--env", "l"]);
}

/// spec: plan/reserved R1, plan/reserved R5
#[test]
fn sections_are_refused_where_they_would_be_needed() {
    let databases = "databases:\n  main: { connection_env: DB }\n";
    let config =
        format!("{HEAD}{OPERATION}services:\n  s: {{ artifact: o }}\n{ENVIRONMENT}{databases}");
    let text = said(&config, &["--env", "l"]);
    assert!(text.contains("databases is not supported yet"), "{text}");
    let app = TestApp::with_config(&config);
    succeed(&app, &["build", "--env", "l", "--dry-run"]);
    succeed(&app, &["plan", "--all"]);
}
