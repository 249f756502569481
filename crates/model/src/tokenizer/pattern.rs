//! What a regular expression takes in memory, by its marks: compiled, a pattern of some hundred bytes can have many megabytes. And whether what it
//! matches is never empty: the library loses count of a text in which it replaces nothing by something.

/// A class of characters in Unicode, in the machines of both directions.
const CLASS_BYTES: usize = 200_000;
/// A group, which may look ahead or behind and then is a machine of its own.
const GROUP_BYTES: usize = 200_000;
/// One character.
const CHARACTER_BYTES: usize = 2_000;

/// Bytes that a pattern takes at most, roughly from above.
pub(super) fn compiled_bytes(pattern: &str) -> usize {
    let mut rest = pattern.chars().peekable();
    let (mut whole, mut last) = (GROUP_BYTES, 0usize);
    while let Some(mark) = rest.next() {
        if mark == '{' {
            let inside: String = rest.clone().take_while(|&next| next != '}').take(16).collect();
            if let Some(times) = inside.split(',').filter_map(|number| number.trim().parse::<usize>().ok()).max() {
                // After a group it counts for all that stands before.
                let repeated = if last == 0 { &mut whole } else { &mut last };
                *repeated = repeated.saturating_mul(times.max(1));
                rest.by_ref().find(|&next| next == '}');
                continue;
            }
        }
        if matches!(mark, '*' | '+' | '?' | '|') {
            continue;
        }
        whole = whole.saturating_add(last);
        last = match mark {
            ')' => 0,
            '(' => GROUP_BYTES,
            '[' => {
                skip_class(&mut rest);
                CLASS_BYTES
            }
            '\\' => match rest.next() {
                Some('p' | 'P') => {
                    if rest.peek() == Some(&'{') {
                        rest.by_ref().find(|&next| next == '}');
                    }
                    CLASS_BYTES
                }
                Some(letter) if letter.is_ascii_alphabetic() => CLASS_BYTES,
                _ => CHARACTER_BYTES,
            },
            _ => CHARACTER_BYTES,
        };
    }
    whole.saturating_add(last)
}

/// Whether every match of a pattern has a character; not of one that looks around itself, of which that cannot be told.
pub(super) fn matches_something(pattern: &str) -> bool {
    let parsed = regex_syntax::parse(pattern);
    parsed.is_ok_and(|parsed| parsed.properties().minimum_len().is_some_and(|bytes| bytes > 0))
}

/// Goes behind the end of a class of characters, which may hold others.
fn skip_class(rest: &mut impl Iterator<Item = char>) {
    let mut depth = 1;
    let mut is_first = true;
    while let Some(mark) = rest.next() {
        match mark {
            '\\' => drop(rest.next()),
            '[' => depth += 1,
            // A bracket at the beginning is one of the characters.
            ']' if !is_first => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
        is_first = is_first && mark == '^';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_groups_and_repetitions_are_counted() {
        let bytes = |pattern| compiled_bytes(pattern) - GROUP_BYTES;
        assert_eq!(bytes(r"\p{L}+"), CLASS_BYTES);
        assert_eq!(bytes(r"[^\r\n\p{L}[a-z]]?"), CLASS_BYTES);
        assert_eq!(bytes(r"[]a]"), CLASS_BYTES);
        assert_eq!(bytes(r"\p{N}{1,3}|x"), 3 * CLASS_BYTES + CHARACTER_BYTES);
        assert_eq!(bytes(r"\.{2}"), 2 * CHARACTER_BYTES);
        assert_eq!(compiled_bytes(r"((a{100}){100}){100}"), 10_000 * (3 * GROUP_BYTES + 100 * CHARACTER_BYTES));
    }

    #[test]
    fn a_pattern_that_may_match_nothing_is_told_from_one_that_never_does() {
        for pattern in [" {2,}", r"\s+", "``|''", r"[^\p{L}]", r"\p{Mn}+", "(?i)a|bc?"] {
            assert!(matches_something(pattern), "{pattern}");
        }
        for pattern in ["", "x*", "x{0,2}", "x{,2}", "a|b?", "(x*)+", "^", r"\b", "(?=x)", "(?<!x)y", "(", "[]"] {
            assert!(!matches_something(pattern), "{pattern}");
        }
    }

    #[test]
    fn patterns_of_published_models_take_some_megabytes() {
        for pattern in [
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ] {
            assert!(compiled_bytes(pattern) < 5_000_000, "{}", compiled_bytes(pattern));
        }
    }
}
