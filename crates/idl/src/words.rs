//! Names and prose of declarations, as other places spell them.

/// `minimum_shares` or `MoveAttention` as `minimumShares` and `moveAttention`.
pub(crate) fn camel(name: &str) -> String {
    let mut text = String::new();
    let mut is_next = false;
    for (place, character) in name.chars().enumerate() {
        match character {
            '_' => is_next = true,
            _ if is_next => {
                text.extend(character.to_uppercase());
                is_next = false;
            }
            _ if place == 0 => text.extend(character.to_lowercase()),
            _ => text.push(character),
        }
    }
    text
}

/// The prose of a declaration without the links that only Rust's documentation knows: `[`crate::x::Y`]` is `x::Y`.
pub(crate) fn prose(docs: &[&str]) -> Vec<String> {
    let lines: Vec<String> = docs.iter().map(|line| without_links(line.strip_prefix(' ').unwrap_or(line))).collect();
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    lines[..end].to_vec()
}

/// The words as a sentence: a capital letter first, a full stop last.
pub(crate) fn capital(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

/// The prose on one line.
pub(crate) fn sentence(docs: &[&str]) -> String {
    prose(docs).join(" ").trim().to_owned()
}

fn without_links(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(start) = rest.find("[`") {
        let Some(length) = rest[start..].find("`]") else { break };
        let name = &rest[start + 2..start + length];
        text.push_str(&rest[..start]);
        let name = name.strip_prefix("crate::").or(name.strip_prefix("super::")).unwrap_or(name);
        text.push_str(&format!("`{name}`"));
        rest = &rest[start + length + 2..];
        if let Some(end) = rest.strip_prefix('(').and_then(|link| link.find(')')) {
            rest = &rest[end + 2..];
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_links_are_spelled_for_others() {
        assert_eq!(camel("minimum_shares"), "minimumShares");
        assert_eq!(camel("PayFee"), "payFee");
        assert_eq!(sentence(&[" See [`crate::a::B`] and", " [`C`](crate::d::C)."]), "See `a::B` and `C`.");
    }
}
