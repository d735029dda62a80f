//! One plain HTTP/1.1 GET, of whose answer only the status counts.
//! Refuses TLS, credentials in the URL, and to follow redirects.

use std::io;

use super::Answer;
use super::dial::dial;
use crate::evaluate::Cancel;
use crate::providers::wait::Deadline;

/// A status line has less than this.
const LIMIT: usize = 1024;

/// A text is not a URL that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlError {
    /// TLS is not spoken.
    #[error("https is not supported; ask the server behind the proxy by http")]
    Https,
    /// It does not begin with `http://`.
    #[error("the URL must begin with `http://`")]
    Scheme,
    /// It has no host, or credentials, or what no request line may hold.
    #[error(
        "the URL must be `http://host[:port][/path]`, without credentials, blanks and fragments"
    )]
    Form,
}

/// The parts of a URL that a request needs.
#[derive(Debug, PartialEq, Eq)]
struct Url<'u> {
    authority: &'u str,
    address: String,
    path: String,
}

fn parse(url: &str) -> Result<Url<'_>, UrlError> {
    let has_scheme = |scheme: &str| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if has_scheme("https://") {
        return Err(UrlError::Https);
    }
    if !has_scheme("http://") {
        return Err(UrlError::Scheme);
    }
    let rest = url.get("http://".len()..).unwrap_or_default();
    if rest
        .chars()
        .any(|character| character.is_whitespace() || character.is_control() || character == '#')
    {
        return Err(UrlError::Form);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        Some(_) | None => (authority, "80"),
    };
    if host.is_empty() || authority.contains('@') || port.parse::<u16>().is_err() {
        return Err(UrlError::Form);
    }
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok(Url {
        authority,
        address: format!("{host}:{port}"),
        path,
    })
}

/// Asks `url` once; a status from 200 to 399 is good.
pub(super) fn ask(url: &str, cancel: &Cancel, deadline: Deadline) -> Answer {
    match parse(url) {
        Ok(url) => request(&url, cancel, deadline).unwrap_or_else(|error| Answer::failure(&error)),
        Err(error) => Answer::Bad(error.to_string()),
    }
}

fn request(url: &Url<'_>, cancel: &Cancel, deadline: Deadline) -> io::Result<Answer> {
    let Some(connection) = dial(&url.address, cancel, deadline)? else {
        return Ok(Answer::Cancelled);
    };
    let Url {
        authority, path, ..
    } = url;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: stagecraft\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    if !connection.send(request.as_bytes(), cancel, deadline)? {
        return Ok(Answer::Cancelled);
    }
    let Some(line) = connection.first_line(LIMIT, cancel, deadline)? else {
        return Ok(Answer::Cancelled);
    };
    let line = String::from_utf8_lossy(&line);
    Ok(judge(line.trim_end()))
}

fn judge(line: &str) -> Answer {
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1));
    match status.and_then(|status| status.parse::<u16>().ok()) {
        Some(200..=399) => Answer::Good,
        Some(_) => Answer::Bad(format!(
            "status {}",
            line.split_once(' ').map_or("", |(_, rest)| rest)
        )),
        None if line.is_empty() => {
            Answer::Bad("the connection was closed without an answer".to_owned())
        }
        None => Answer::Bad("it does not speak HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: deploy/health R4
    #[test]
    fn urls_are_taken_apart() {
        for (text, authority, address, path) in [
            (
                "http://127.0.0.1:8080/up",
                "127.0.0.1:8080",
                "127.0.0.1:8080",
                "/up",
            ),
            ("http://localhost", "localhost", "localhost:80", "/"),
            ("HTTP://host?x=1", "host", "host:80", "/?x=1"),
            ("http://[::1]:81/", "[::1]:81", "[::1]:81", "/"),
            ("http://[::1]/a", "[::1]", "[::1]:80", "/a"),
        ] {
            let url = Url {
                authority,
                address: address.to_owned(),
                path: path.to_owned(),
            };
            assert_eq!(parse(text), Ok(url), "{text}");
        }
    }

    /// spec: deploy/health R4
    #[test]
    fn urls_that_cannot_be_asked_are_refused() {
        assert_eq!(parse("https://host/"), Err(UrlError::Https));
        assert_eq!(parse("ftp://host/"), Err(UrlError::Scheme));
        for bad in [
            "http://",
            "http:///x",
            "http://user@host/",
            "http://host:x/",
            "http://host/a b",
            "http://host/\r\nX: y",
            "http://host/#f",
        ] {
            assert_eq!(parse(bad), Err(UrlError::Form), "{bad}");
        }
    }

    /// spec: deploy/health R4
    #[test]
    fn only_the_status_counts() {
        for (line, good) in [
            ("HTTP/1.1 200 OK", true),
            ("HTTP/1.0 204", true),
            ("HTTP/1.1 302 Found", true),
            ("HTTP/1.1 404 Not Found", false),
            ("HTTP/1.1 503 Service Unavailable", false),
            ("HTTP/1.1 100 Continue", false),
            ("SSH-2.0-OpenSSH", false),
            ("", false),
        ] {
            assert_eq!(matches!(judge(line), Answer::Good), good, "{line}");
        }
    }
}
