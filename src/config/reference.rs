//! References to things outside the project: image names, registries, URLs, host:port pairs, digests.
//! Says only whether one is well formed.

/// Returns whether the text is 64 lower-case hexadecimal digits.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns whether the text is `scheme://host…` with one of the schemes and no white space.
pub(super) fn is_url(text: &str, schemes: &[&str]) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    schemes.contains(&scheme)
        && !name.is_empty()
        && port.is_none_or(is_port)
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Returns whether the text is `HOST:PORT`.
pub(super) fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let host_fits = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.contains(':')),
        None => !host.is_empty() && !host.contains(':'),
    };
    host_fits && is_port(port) && !host.contains(|c: char| c.is_whitespace() || c == '/')
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether the text is an image prefix: `host[:port][/path]…` in lower case.
pub(super) fn is_repository(text: &str) -> bool {
    text.split('/').enumerate().all(|(index, part)| {
        let name = match part.rsplit_once(':') {
            Some((name, port)) if index == 0 && is_port(port) => name,
            _ => part,
        };
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let inner = |byte: u8| plain(byte) || matches!(byte, b'.' | b'_' | b'-');
        !name.is_empty()
            && name.bytes().all(inner)
            && name.bytes().next().is_some_and(plain)
            && name.bytes().last().is_some_and(plain)
    })
}

/// Returns whether the text is an image by digest: `name[:tag]@sha256:<64 digits>`.
pub(super) fn is_pinned(text: &str) -> bool {
    text.split_once("@sha256:")
        .is_some_and(|(name, digest)| is_sha256(digest) && is_tagged(name))
}

/// Returns whether the text is an image with or without a tag: `name[:tag]`.
pub(super) fn is_tagged(text: &str) -> bool {
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    let Some(colon) = text[last..].find(':') else {
        return is_repository(text);
    };
    let (name, tag) = (&text[..last + colon], &text[last + colon + 1..]);
    let fits = |(index, byte): (usize, u8)| {
        byte == b'_' || byte.is_ascii_alphanumeric() || (index > 0 && matches!(byte, b'.' | b'-'))
    };
    is_repository(name) && (1..=128).contains(&tag.len()) && tag.bytes().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: config/project R3
    #[test]
    fn repositories_are_lower_case_without_scheme_or_tag() {
        for good in [
            "shop",
            "ghcr.io/tidewater/harbor",
            "localhost:5000/shop",
            "a.b/c_d-e",
        ] {
            assert!(is_repository(good), "{good}");
        }
        for bad in [
            "",
            "https://ghcr.io/x",
            "ghcr.io/",
            "/x",
            "Shop",
            "a b",
            "x:latest",
            "a//b",
            "-x",
        ] {
            assert!(!is_repository(bad), "{bad}");
        }
    }

    /// spec: config/images R2
    #[test]
    fn images_have_a_name_a_tag_or_a_digest() {
        let digest = "0".repeat(64);
        assert!(is_pinned(&format!("debian@sha256:{digest}")));
        assert!(is_pinned(&format!("debian:12@sha256:{digest}")));
        assert!(!is_pinned("debian@sha256:12"));
        assert!(is_tagged("postgres:16"));
        assert!(is_tagged("localhost:5000/x:v1.2"));
        assert!(is_tagged("debian"));
        for bad in ["", ":16", "x:", "x:a b", "X:1"] {
            assert!(!is_tagged(bad), "{bad}");
        }
    }

    /// spec: config/environments R6
    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["127.0.0.1:8080", "localhost:1", "[::1]:80"] {
            assert!(is_host_port(good), "{good}");
        }
        for bad in [
            "",
            "localhost",
            ":80",
            "x:0",
            "x:65536",
            "x:+1",
            "::1:80",
            "a b:1",
            "http://x:1",
        ] {
            assert!(!is_host_port(bad), "{bad}");
        }
        assert!(is_url("http://127.0.0.1:8080/up", &["http"]));
        assert!(is_url("http://[::1]/", &["http"]));
        for bad in [
            "",
            "x",
            "https://x",
            "http://",
            "http:///x",
            "http://x:0/",
            "http://x y",
            "http://:80",
        ] {
            assert!(!is_url(bad, &["http"]), "{bad}");
        }
    }
}
