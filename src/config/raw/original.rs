//! The table of the sections that came with the original schema and that no command uses yet.

use super::{Field, Shape, TEXT_MAP, TEXTS, optional, required, section};

const ANYTHING: Shape = Shape::Anything;
const ANY_MAP: Shape = Shape::Map(&Shape::Anything);
const MILLISECONDS: Shape = Shape::Whole(0, 86_400_000);

pub(super) const BACKEND: Shape = Shape::Record(&[
    section("provider", Shape::Text, "encore-ts or generic"),
    section(
        "providers",
        Shape::Record(BACKEND_PROVIDERS),
        "configuration, by provider",
    ),
]);

const BACKEND_PROVIDERS: &[Field] = &[
    optional("generic", Shape::Record(GENERIC_BACKEND), "any backend"),
    optional("encore-ts", Shape::Record(ENCORE), "Encore.ts"),
];

const GENERIC_BACKEND: &[Field] = &[
    optional("dev", Shape::Record(GENERIC_DEV), "development"),
    optional("build", Shape::Record(GENERIC_BUILD), "Docker build"),
];

const GENERIC_DEV: &[Field] = &[
    optional("command", TEXTS, "program and arguments"),
    optional("workdir", Shape::Text, "where it starts"),
    optional("env", TEXT_MAP, "environment variables"),
];

const GENERIC_BUILD: &[Field] = &[
    optional("dockerfile", Shape::Text, "default Dockerfile"),
    optional("context", Shape::Text, "default the working directory"),
];

const ENCORE: &[Field] = &[
    optional("dev", Shape::Record(ENCORE_DEV), "development"),
    optional("build", Shape::Record(ENCORE_BUILD), "Docker build"),
];

const ENCORE_DEV: &[Field] = &[
    optional("env_file", Shape::Text, "variables"),
    optional("listen", Shape::Text, "host:port"),
    optional("workdir", Shape::Text, "where it starts"),
    optional("entrypoint", Shape::Text, "entry file"),
    optional("node_extra_ca_certs", Shape::Text, "certificate file"),
    optional("disable_telemetry", Shape::Flag, "default false"),
    optional(
        "encore_secrets",
        Shape::Record(ENCORE_SECRETS),
        "secrets to set",
    ),
    optional(
        "secrets",
        Shape::Refused("the key is spelled `encore_secrets`"),
        "",
    ),
];

const ENCORE_SECRETS: &[Field] = &[
    optional("types", TEXTS, "default dev, preview, local"),
    optional("from_env", TEXTS, "variables"),
];

const ENCORE_BUILD: &[Field] = &[
    optional("workdir", Shape::Text, "where it starts"),
    optional("image_name", Shape::Text, "default api"),
    optional("docker_tag_suffix", Shape::Text, "appended to the tag"),
];

pub(super) const FRONTEND: Shape = Shape::Record(&[
    section("provider", Shape::Text, "generic"),
    section(
        "providers",
        Shape::Record(FRONTEND_PROVIDERS),
        "configuration, by provider",
    ),
]);

const FRONTEND_PROVIDERS: &[Field] = &[optional(
    "generic",
    Shape::Record(GENERIC_FRONTEND),
    "any frontend",
)];

const GENERIC_FRONTEND: &[Field] = &[optional("dev", Shape::Record(FRONTEND_DEV), "development")];

const FRONTEND_DEV: &[Field] = &[
    optional("command", TEXTS, "program and arguments"),
    optional("workdir", Shape::Text, "where it starts"),
    optional("env", TEXT_MAP, "environment variables"),
    optional(
        "ready_pattern",
        Shape::Text,
        "regular expression of the line that says ready",
    ),
    optional("shutdown", Shape::Record(SHUTDOWN), "how it is stopped"),
];

const SHUTDOWN: &[Field] = &[
    optional(
        "signal",
        Shape::Choice(&["SIGINT", "SIGTERM", "SIGKILL"]),
        "default SIGINT",
    ),
    optional("timeout_ms", MILLISECONDS, "default 10000"),
];

pub(super) const DEV: Shape = Shape::Record(&[optional(
    "domains",
    Shape::Record(DOMAINS),
    "names of the local sites",
)]);

const DOMAINS: &[Field] = &[
    optional("frontend", Shape::Text, "default app.localdev.test"),
    optional("backend", Shape::Text, "default api.localdev.test"),
];

pub(super) const DATABASES: Shape = Shape::Map(&Shape::Record(&[
    optional(
        "connection_env",
        Shape::Text,
        "variable with the connection string",
    ),
    optional("service", Shape::Text, "the compose service that runs it"),
    optional("port", Shape::Whole(1, 65535), "its port"),
    optional(
        "migrations",
        Shape::Record(DATABASE_MIGRATIONS),
        "its migrations",
    ),
]));

const DATABASE_MIGRATIONS: &[Field] = &[
    section("engine", Shape::Text, "raw"),
    section("path", Shape::Text, "directory of .sql files"),
    optional("strategy", Shape::Text, "pre_deploy, post_deploy or manual"),
];

pub(super) const MIGRATIONS: Shape = Shape::Record(&[
    optional("enabled", Shape::Flag, "default true"),
    optional("default_engine", Shape::Text, "raw"),
    optional("sources", Shape::Record(SOURCES), "where migrations stand"),
    optional("selection", Shape::Record(SELECTION), "which of them run"),
    optional("engine_config", ANY_MAP, "configuration, by engine"),
    optional(
        "env",
        Shape::Map(&Shape::Record(MIGRATION_OVERRIDE)),
        "overrides, by environment",
    ),
]);

const MIGRATION_OVERRIDE: &[Field] = &[
    optional("enabled", Shape::Flag, "default true"),
    optional("default_engine", Shape::Text, "raw"),
    optional("sources", Shape::Record(SOURCES), "where migrations stand"),
    optional("selection", Shape::Record(SELECTION), "which of them run"),
    optional("engine_config", ANY_MAP, "configuration, by engine"),
];

const SOURCES: &[Field] = &[
    optional("raw_sql_dir", Shape::Text, "directory of .sql files"),
    optional("raw_sql_files", TEXTS, "single .sql files"),
];

const SELECTION: &[Field] = &[
    optional("all", Shape::Flag, "default false"),
    optional("ids", TEXTS, "migrations"),
    optional("tags", TEXTS, "tags"),
];

pub(super) const NETWORK: Shape = Shape::Record(&[
    section("provider", Shape::Text, "tailscale"),
    section(
        "providers",
        Shape::Record(NETWORK_PROVIDERS),
        "configuration, by provider",
    ),
]);

const NETWORK_PROVIDERS: &[Field] = &[optional("tailscale", Shape::Record(TAILSCALE), "Tailscale")];

const TAILSCALE: &[Field] = &[
    required(
        "auth_key_env",
        Shape::Text,
        "variable with the key, never the key",
    ),
    required("tailnet_domain", Shape::Text, "such as name.ts.net"),
    optional("default_tags", TEXTS, "tags, each starting with tag:"),
    optional("role_tags", Shape::Map(&TEXTS), "tags, by role"),
    optional(
        "install",
        Shape::Record(TAILSCALE_INSTALL),
        "how it is installed",
    ),
];

const TAILSCALE_INSTALL: &[Field] = &[
    optional("method", Shape::Choice(&["auto", "skip"]), "default auto"),
    optional("min_version", Shape::Text, "such as 1.78.0"),
];

pub(super) const CLOUD: Shape = Shape::Record(&[
    section("provider", Shape::Text, "digitalocean"),
    section(
        "providers",
        Shape::Record(CLOUD_PROVIDERS),
        "configuration, by provider",
    ),
]);

const CLOUD_PROVIDERS: &[Field] = &[optional(
    "digitalocean",
    Shape::Record(DIGITALOCEAN),
    "DigitalOcean",
)];

const DIGITALOCEAN: &[Field] = &[
    required("token_env", Shape::Text, "variable with the token"),
    required("ssh_key_name", Shape::Text, "key of the account"),
    optional("default_region", Shape::Text, "where a host names none"),
    optional("default_size", Shape::Text, "where a host names none"),
    optional("regions", TEXTS, "the only ones allowed"),
    optional("sizes", TEXTS, "the only ones allowed"),
    optional(
        "hosts",
        Shape::Map(&Shape::Map(&Shape::Record(DROPLET))),
        "by environment and name",
    ),
];

const DROPLET: &[Field] = &[
    required("role", Shape::Text, "its role"),
    optional("size", Shape::Text, "default default_size"),
    optional("region", Shape::Text, "default default_region"),
];

pub(super) const INFRA: Shape = Shape::Record(&[optional(
    "bootstrap",
    Shape::Record(BOOTSTRAP),
    "first steps on a host",
)]);

const BOOTSTRAP: &[Field] = &[
    optional("ssh_user", Shape::Text, "who logs in"),
    optional("ssh", Shape::Record(SSH), "how to log in"),
    optional("docker", Shape::Record(DOCKER), "the Engine"),
    optional(
        "network",
        Shape::Record(&[required("provider", Shape::Text, "tailscale")]),
        "the mesh",
    ),
];

const SSH: &[Field] = &[
    optional("user", Shape::Text, "who logs in"),
    optional("privateKeyPath", Shape::Text, "key file"),
    optional("port", Shape::Whole(1, 65535), "default 22"),
    optional("knownHostsFile", Shape::Text, "known hosts"),
    optional("extraArgs", TEXTS, "more arguments of ssh"),
];

const DOCKER: &[Field] = &[
    optional("enabled", Shape::Flag, "default true"),
    optional(
        "installMethod",
        Shape::Choice(&["apt", "script", "skip"]),
        "default apt",
    ),
    optional("version", Shape::Text, "default latest"),
];

pub(super) const SECRETS: Shape = Shape::Record(&[
    optional("provider", Shape::Text, "envfile"),
    optional(
        "providers",
        Shape::Record(SECRET_PROVIDERS),
        "configuration, by provider",
    ),
    optional("deliver", Shape::Choice(&["file", "env"]), "default file"),
]);

const SECRET_PROVIDERS: &[Field] = &[optional(
    "envfile",
    Shape::Record(ENVFILE),
    "a file of variables",
)];

const ENVFILE: &[Field] = &[
    optional("source_file", Shape::Text, "read"),
    optional("target_file", Shape::Text, "written"),
];

pub(super) const CI: Shape = Shape::Record(&[
    optional("provider", Shape::Text, "github"),
    optional(
        "providers",
        Shape::Record(CI_PROVIDERS),
        "configuration, by provider",
    ),
]);

const CI_PROVIDERS: &[Field] = &[optional("github", Shape::Record(GITHUB), "GitHub Actions")];

const GITHUB: &[Field] = &[
    optional("workflow_file", Shape::Text, "path of the workflow"),
    optional("token_env", Shape::Text, "variable with the token"),
];

pub(super) const TERRAFORM: Shape = Shape::Record(&[
    optional("enabled", Shape::Flag, "default false"),
    optional("root", Shape::Text, "root module"),
    optional("terraform_version", Shape::Text, "version constraint"),
    optional("workspace", Shape::Text, "workspace"),
    optional("var_files", TEXTS, "files of variables"),
    optional("vars", ANY_MAP, "variables"),
    optional("env", TEXT_MAP, "environment variables"),
    optional("backend", Shape::Record(TERRAFORM_BACKEND), "state backend"),
    optional(
        "outputs_contract",
        Shape::Record(OUTPUTS),
        "outputs that must be there",
    ),
]);

const TERRAFORM_BACKEND: &[Field] = &[
    optional("mode", Shape::Text, "default repo"),
    optional("override", ANYTHING, "backend configuration"),
];

const OUTPUTS: &[Field] = &[
    optional("mode", Shape::Text, "default strict"),
    optional("required", TEXTS, "names of outputs"),
];
