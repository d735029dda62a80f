//! `Config` as a few lines that a person can check against the file.

use std::fmt::Write;

use stagecraft::config::{
    CommandLine, Config, Driver, EnvironmentConfig, HealthCheck, OperationConfig, ServiceSource,
};

/// Returns the summary; defaults are left out.
pub(super) fn summary(config: &Config) -> String {
    let mut text = format!("project {}\n", config.project);
    if let Some(registry) = &config.registry {
        writeln!(text, "registry {}", registry.value).unwrap();
    }
    for (name, operation) in &config.operations {
        writeln!(text, "operation {name} at {}", operation.at).unwrap();
        describe_operation(operation, &mut text);
    }
    for (name, service) in &config.services {
        let source = match &service.source {
            ServiceSource::Artifact(operation) => format!("artifact {}", operation.value),
            ServiceSource::Container => "container".to_owned(),
        };
        writeln!(
            text,
            "service {name}: {source}, role {}",
            service.role.as_deref().unwrap_or("-")
        )
        .unwrap();
    }
    for (name, environment) in &config.environments {
        writeln!(
            text,
            "environment {name}: {}",
            describe_environment(environment)
        )
        .unwrap();
    }
    writeln!(text, "{:?}", config.sandbox).unwrap();
    writeln!(text, "{:?}", config.store).unwrap();
    let reserved: Vec<&str> = config.reserved.keys().map(String::as_str).collect();
    writeln!(text, "reserved: {}", reserved.join(" ")).unwrap();
    text
}

fn describe_operation(operation: &OperationConfig, text: &mut String) {
    let mut say = |key: &str, value: String| {
        if !value.is_empty() {
            writeln!(text, "  {key} {value}").unwrap();
        }
    };
    say(
        "description",
        operation.description.clone().unwrap_or_default(),
    );
    match &operation.command {
        CommandLine::Argv(argv) => say("command", format!("{argv:?}")),
        CommandLine::Script(script) => say("script", format!("{script:?}")),
        CommandLine::Fetch => say("fetch", "yes".to_owned()),
    }
    say("workdir", operation.workdir.to_string());
    let mark = |on: bool, text: &'static str| if on { text } else { "" };
    let inputs = operation.inputs.iter().map(|input| {
        let pattern = &input.value;
        format!("{}{}", mark(pattern.excludes, "!"), pattern.glob)
    });
    say("inputs", inputs.collect::<Vec<_>>().join(" "));
    let outputs = operation.outputs.iter().map(|output| {
        let pattern = &output.value;
        format!(
            "{}{}{}",
            mark(pattern.optional, "?"),
            pattern.glob,
            mark(pattern.directory, "/")
        )
    });
    say("outputs", outputs.collect::<Vec<_>>().join(" "));
    let needs = operation
        .needs
        .iter()
        .map(|need| format!("{}={}", need.mount, need.operation));
    say("needs", needs.collect::<Vec<_>>().join(" "));
    say(
        "tools",
        operation
            .tools
            .iter()
            .map(|tool| tool.value.as_str())
            .collect::<Vec<_>>()
            .join(" "),
    );
    let env = operation
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    say("env", env.collect::<Vec<_>>().join(" "));
    let passed = operation
        .pass_env
        .iter()
        .map(|pass| format!("{}{}", pass.name, mark(pass.secret, " (secret)")));
    say("pass_env", passed.collect::<Vec<_>>().join(" "));
    let limits = format!(
        "timeout {:?} retries {} cache {} network {} export {} cpu {} memory {:?}",
        operation.timeout,
        operation.retries,
        operation.cache,
        operation.network,
        operation.export,
        operation.resources.cpu,
        operation.resources.memory,
    );
    if limits != "timeout 3600s retries 0 cache true network false export false cpu 1 memory None" {
        say("limits", limits);
    }
    say(
        "reserved",
        operation
            .reserved
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" "),
    );
}

fn describe_environment(environment: &EnvironmentConfig) -> String {
    let mut text = match &environment.driver {
        Driver::Directory(driver) => {
            let mut text = format!("directory {}", driver.path);
            if let Some(activate) = &driver.activate {
                write!(text, ", activate {activate:?}").unwrap();
            }
            if let Some(health) = &driver.health {
                let check = match &health.check {
                    HealthCheck::Http(url) => format!("http {url}"),
                    HealthCheck::Tcp(address) => format!("tcp {address}"),
                    HealthCheck::Exec(argv) => format!("exec {argv:?}"),
                };
                let (every, most) = (health.interval, health.deadline);
                write!(
                    text,
                    ", health {check} x{} every {every:?} within {most:?}",
                    health.samples
                )
                .unwrap();
            }
            text
        }
        Driver::Other(name) => name.clone(),
    };
    if !environment.reserved.is_empty() {
        let keys: Vec<&str> = environment.reserved.keys().map(String::as_str).collect();
        write!(text, ", reserved {}", keys.join(" ")).unwrap();
    }
    text
}
