//! The table of `services` and `environments`.

use super::{Field, Shape, TEXTS, optional, required, section};

const COUNT: Shape = Shape::Whole(0, 1_000_000);

pub(super) const SERVICE: Shape = Shape::Record(&[
    optional(
        "artifact",
        Shape::Text,
        "an operation whose output tree is placed",
    ),
    optional("image", Shape::Text, "an entry of images"),
    optional("role", Shape::Text, "a key of hosts"),
    optional("rollout", ROLLOUT, "overrides the environment's"),
]);

pub(super) const HEALTHCHECK: Shape = Shape::Record(&[
    required("command", TEXTS, "program and arguments"),
    optional("interval", Shape::Duration, "between two asks"),
    optional("timeout", Shape::Duration, "of one ask"),
    optional("retries", COUNT, "bad answers in a row that count"),
    optional(
        "start_period",
        Shape::Duration,
        "bad answers do not count before",
    ),
]);

pub(super) const ENVIRONMENT: Shape = Shape::Record(&[
    section("driver", Shape::Text, "directory, local, or another"),
    optional(
        "path",
        Shape::Text,
        "driver directory: where releases are placed",
    ),
    optional("activate", TEXTS, "driver directory: run after each switch"),
    optional(
        "health",
        Shape::Record(HEALTH),
        "driver directory: what must hold after a switch",
    ),
    optional("env_file", Shape::Text, "variables, from the project root"),
    optional("rollout", ROLLOUT, "how containers are replaced"),
    optional(
        "proxy",
        Shape::Record(PROXY),
        "the ingress that shifts traffic",
    ),
    optional(
        "compose_project",
        Shape::Text,
        "Compose project name on this Engine",
    ),
    optional("postgres_volume", Shape::Text, "value of POSTGRES_VOLUME"),
    optional(
        "postgres_init_scripts",
        Shape::Text,
        "value of POSTGRES_INIT_SCRIPTS",
    ),
    optional("redis_volume", Shape::Text, "value of REDIS_VOLUME"),
    optional(
        "db_port_publish",
        Shape::Text,
        "value of DB_PORT_PUBLISH; empty: not published",
    ),
    optional(
        "redis_port_publish",
        Shape::Text,
        "value of REDIS_PORT_PUBLISH; empty: not published",
    ),
    optional(
        "traefik",
        Shape::Record(TRAEFIK),
        "Traefik of this environment",
    ),
    optional("api", Shape::Record(SIDE), "where the API runs"),
    optional("web", Shape::Record(SIDE), "where the web frontend runs"),
]);

const HEALTH: &[Field] = &[
    optional(
        "http",
        Shape::Text,
        "a URL answered with a status below 400",
    ),
    optional("tcp", Shape::Text, "HOST:PORT that accepts a connection"),
    optional("exec", TEXTS, "a command that exits 0"),
    optional("interval", Shape::Duration, "default 1s"),
    optional(
        "samples",
        Shape::Whole(1, 1000),
        "good answers in a row; default 1",
    ),
    optional("deadline", Shape::Duration, "default 60s"),
];

const ROLLOUT: Shape = Shape::Record(&[
    optional(
        "enabled",
        Shape::Refused("rollout is built in; remove this key"),
        "",
    ),
    optional(
        "class",
        Shape::Choice(&["rolling", "stop_first", "stateful", "job"]),
        "how the service may be replaced",
    ),
    optional(
        "order",
        Shape::Choice(&["start_first", "stop_first"]),
        "default start_first",
    ),
    optional(
        "max_surge",
        Shape::Whole(1, 1000),
        "containers above the wanted number",
    ),
    optional(
        "max_overlap",
        Shape::Duration,
        "how long old and new may run together",
    ),
    optional(
        "gate",
        Shape::Record(GATE),
        "what must hold before traffic moves",
    ),
    optional("monitor", Shape::Duration, "watched after the last switch"),
    optional(
        "drain",
        Shape::Duration,
        "between losing traffic and SIGTERM",
    ),
    optional(
        "ws_grace",
        Shape::Duration,
        "how long open sessions may stay",
    ),
    optional(
        "keep_warm",
        Shape::Duration,
        "how long stopped predecessors are kept",
    ),
    optional(
        "on_failure",
        Shape::Choice(&["revert", "stop"]),
        "default revert",
    ),
]);

const GATE: &[Field] = &[
    optional("docker", Shape::Flag, "the container's own health check"),
    optional(
        "http",
        Shape::Text,
        "a path or URL answered with a status below 400",
    ),
    optional(
        "tcp",
        Shape::Either(
            "a port or HOST:PORT",
            &[Shape::Whole(1, 65535), Shape::Text],
        ),
        "a port that accepts",
    ),
    optional("exec", TEXTS, "a command in the container that exits 0"),
    optional(
        "stable_for",
        Shape::Duration,
        "runs this long without a restart",
    ),
    optional("interval", Shape::Duration, "between two asks"),
    optional("samples", Shape::Whole(1, 1000), "good answers in a row"),
    optional("deadline", Shape::Duration, "for all of them"),
];

const PROXY: &[Field] = &[
    required("driver", Shape::Choice(&["haproxy"]), "the proxy's sort"),
    optional("socket", Shape::Text, "its runtime socket"),
    optional(
        "backends",
        Shape::Map(&Shape::Record(PROXY_BACKEND)),
        "by service",
    ),
];

const PROXY_BACKEND: &[Field] = &[
    required("backend", Shape::Text, "its name in the proxy"),
    required("port", Shape::Whole(1, 65535), "the container's port"),
];

const TEXT_OR_FLAG: Shape = Shape::Either("a string or a boolean", &[Shape::Text, Shape::Flag]);

const TRAEFIK: &[Field] = &[
    optional(
        "mode",
        Shape::Choice(&["mkcert", "acme"]),
        "where certificates come from",
    ),
    optional("mkcert_cert_dir", Shape::Text, "certificates of mkcert"),
    optional(
        "dynamic_config_dir",
        Shape::Text,
        "directory of the file provider",
    ),
    optional(
        "acme_email_env",
        Shape::Text,
        "variable with the ACME address",
    ),
    optional("acme_storage", Shape::Text, "where ACME keeps its state"),
    optional("dashboard_auth", TEXT_OR_FLAG, "guard of the dashboard"),
    optional("hsts", Shape::Flag, "strict transport security"),
    optional("cors_for_logto", TEXT_OR_FLAG, "CORS headers for Logto"),
];

const SIDE: &[Field] = &[
    optional(
        "mode",
        Shape::Choice(&["container", "external"]),
        "default container",
    ),
    optional("url", Shape::Text, "where it answers"),
];
