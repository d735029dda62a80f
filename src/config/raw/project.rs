//! The table of `project`, `operations`, `images`, `sandbox`, `pools` and `store`, and of the whole file.

use super::deploy::{ENVIRONMENT, HEALTHCHECK, SERVICE};
use super::{Field, Shape, TEXT_MAP, TEXTS, optional, original, required, section};

/// A whole `stagecraft.yml`.
pub(in super::super) const STAGECRAFT: Shape = Shape::Record(&[
    section("project", Shape::Record(PROJECT), "the project"),
    optional(
        "operations",
        Shape::Map(&OPERATION),
        "what can be built or run, by name",
    ),
    optional(
        "images",
        Shape::Map(&IMAGE),
        "OCI images assembled from trees, by name",
    ),
    optional(
        "services",
        Shape::Map(&SERVICE),
        "what a deploy ships, by name",
    ),
    optional(
        "environments",
        Shape::Map(&ENVIRONMENT),
        "where a deploy ships to, by name",
    ),
    optional("compose", TEXTS, "compose files, from the project root"),
    optional(
        "sandbox",
        Shape::Record(SANDBOX),
        "how operations are confined",
    ),
    optional(
        "pools",
        Shape::Map(&Shape::Whole(1, 1_000_000)),
        "how many operations of a pool run at once",
    ),
    optional(
        "store",
        Shape::Record(STORE),
        "when unused results are removed",
    ),
    optional("backend", original::BACKEND, "the backend and its provider"),
    optional(
        "frontend",
        original::FRONTEND,
        "the frontend and its provider",
    ),
    optional("dev", original::DEV, "the development stack"),
    optional(
        "databases",
        original::DATABASES,
        "databases and their migrations, by name",
    ),
    optional(
        "migrations",
        original::MIGRATIONS,
        "migrations of the only database",
    ),
    optional("hosts", Shape::Map(&TEXTS), "host names, by role"),
    optional("network", original::NETWORK, "the mesh between hosts"),
    optional("cloud", original::CLOUD, "where hosts are made"),
    optional("infra", original::INFRA, "how hosts are prepared"),
    optional("secrets", original::SECRETS, "where secrets come from"),
    optional("ci", original::CI, "continuous integration"),
    optional(
        "terraform",
        original::TERRAFORM,
        "infrastructure that Terraform owns",
    ),
]);

/// A file that `project.include` names.
pub(in super::super) const INCLUDED: Shape = Shape::Record(&[optional(
    "operations",
    Shape::Map(&OPERATION),
    "what can be built or run, by name",
)]);

const PROJECT: &[Field] = &[
    section("name", Shape::Text, "the project's name"),
    optional(
        "registry",
        Shape::Text,
        "image prefix, such as registry.example.com/shop",
    ),
    optional(
        "include",
        TEXTS,
        "globs of files whose operations belong to this project",
    ),
];

const OPERATION: Shape = Shape::Record(&[
    optional(
        "description",
        Shape::Text,
        "shown in plans; not part of any key",
    ),
    optional(
        "command",
        TEXTS,
        "program and arguments, started without a shell",
    ),
    optional("script", Shape::Text, "run by sh -eu"),
    optional(
        "fetch",
        Shape::Record(FETCH),
        "a download with a known digest",
    ),
    optional(
        "for",
        TEXT_MAP,
        "variables: one operation for each matching directory",
    ),
    optional(
        "inputs",
        TEXTS,
        "globs of source files; the last match wins, `!` excludes",
    ),
    optional(
        "outputs",
        TEXTS,
        "what it makes, from workdir; `dir/`, `?optional`, globs",
    ),
    optional(
        "workdir",
        Shape::Text,
        "where it starts, from the project root",
    ),
    optional(
        "needs",
        Shape::Either(
            "a list of operations or a mapping of operations to paths",
            &[TEXTS, TEXT_MAP],
        ),
        "operations whose output trees it sees, and where",
    ),
    optional("tools", TEXTS, "programs it may start"),
    optional("env", TEXT_MAP, "environment variables it sees"),
    optional(
        "pass_env",
        Shape::List(&Shape::Either(
            "a variable name or `{ name, secret }`",
            &[Shape::Text, Shape::Record(PASS_ENV)],
        )),
        "variables of the caller that it sees",
    ),
    optional("timeout", Shape::Duration, "default 1h"),
    optional("retries", Shape::Whole(0, 10), "default 0"),
    optional("cache", Shape::Flag, "default true"),
    optional("network", Shape::Flag, "default false"),
    optional(
        "export",
        Shape::Flag,
        "also copy outputs into the source tree",
    ),
    optional(
        "resources",
        Shape::Record(RESOURCES),
        "what it uses while it runs",
    ),
    optional(
        "root",
        Shape::Text,
        "an image by digest, or an operation, that replaces the host",
    ),
]);

const FETCH: &[Field] = &[
    required("url", Shape::Text, "http or https"),
    required("sha256", Shape::Text, "64 hexadecimal digits"),
    optional("unpack", Shape::Flag, "default false"),
];

const PASS_ENV: &[Field] = &[
    required("name", Shape::Text, "the variable"),
    optional("secret", Shape::Flag, "only its fingerprint enters keys"),
];

const RESOURCES: &[Field] = &[
    optional("cpu", Shape::Whole(1, 4096), "processors it keeps busy"),
    optional("memory", Shape::Size, "memory it expects to use"),
    optional("pool", Shape::Text, "an entry of pools"),
];

const IMAGE: Shape = Shape::Record(&[
    optional("base", Shape::Text, "scratch, name@sha256:…, or name:tag"),
    optional(
        "layers",
        Shape::List(&Shape::Record(LAYER)),
        "trees, the lowest first",
    ),
    optional("entrypoint", TEXTS, "program and arguments"),
    optional("env", TEXT_MAP, "environment variables"),
    optional("user", Shape::Text, "user or uid, with or without group"),
    optional("expose", Shape::List(&Shape::Whole(1, 65535)), "ports"),
    optional(
        "healthcheck",
        HEALTHCHECK,
        "how the container is asked whether it is well",
    ),
]);

const LAYER: &[Field] = &[
    optional("from", Shape::Text, "an operation"),
    optional(
        "path",
        Shape::Text,
        "a path of its output tree; without `from`, of the sources",
    ),
    required("to", Shape::Text, "where it goes; absolute"),
];

const SANDBOX: &[Field] = &[
    optional(
        "level",
        Shape::Either(
            "`auto`, 0, 1 or 2",
            &[Shape::Choice(&["auto"]), Shape::Whole(0, 2)],
        ),
        "default auto",
    ),
    optional(
        "require",
        Shape::Whole(0, 2),
        "results below this level are refused",
    ),
    optional(
        "base",
        Shape::Choice(&["tracked", "trusted"]),
        "default tracked",
    ),
    optional(
        "undeclared_writes",
        Shape::Choice(&["warn", "error"]),
        "default warn",
    ),
];

const STORE: &[Field] = &[
    optional("max_size", Shape::Size, "default 20GiB"),
    optional("max_age", Shape::Duration, "default 30d"),
    optional("min_free", Shape::Percent, "default 5%"),
];
