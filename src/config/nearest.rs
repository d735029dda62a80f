//! The nearest known name to a mistyped one, and the hint that offers it.

/// Returns the candidate with the fewest edits from `text`, if that is at most a third of its
/// length (and at least one edit is allowed); the first in order among equals.
pub(crate) fn nearest<'a>(
    text: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = text.chars().count();
    let limit = (length / 3).max(1);
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        // The length differs by at most the number of edits: most candidates end here.
        if candidate.chars().count().abs_diff(length) > limit {
            continue;
        }
        let edits = strsim::osa_distance(text, candidate);
        let better = best.is_none_or(|known| (edits, candidate) < known);
        if edits <= limit && edits < length.max(1) && better {
            best = Some((edits, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Returns the hint that offers the nearest candidate, else the whole list if it is short.
pub(super) fn suggest<'a>(
    text: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
    what: &str,
) -> Option<String> {
    if let Some(name) = nearest(text, candidates.clone()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let mut all: Vec<&str> = candidates.into_iter().collect();
    all.sort_unstable();
    match all.len() {
        0 => Some(format!("there are no {what}")),
        1..=24 => Some(format!("{what}: {}", all.join(", "))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: config/diagnostics R6
    #[test]
    fn the_fewest_edits_win_and_far_names_are_not_offered() {
        let known = ["inputs", "outputs", "needs", "env"];
        assert_eq!(nearest("input", known), Some("inputs"));
        assert_eq!(nearest("ouptuts", known), Some("outputs"));
        assert_eq!(nearest("evn", known), Some("env"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("b", ["a", "c"]), None);
    }

    /// spec: config/diagnostics R6
    #[test]
    fn without_a_near_name_the_short_list_is_shown() {
        assert_eq!(
            suggest("zebra", ["b", "a"], "known keys").as_deref(),
            Some("known keys: a, b")
        );
        assert_eq!(
            suggest("zebra", [], "operations").as_deref(),
            Some("there are no operations")
        );
    }
}
