//! The lock on layouts: where every field of every account lies, and in which version.

use std::fmt::Write;

use sip_protocol::{
    accounts,
    ground::layout::{Layout, Type},
};

/// The lock: a section for each kind of account, its fields with all that is inside of them.
pub(crate) fn lock() -> String {
    let mut text = String::from(
        "# Where every field of every account lies: offset, bytes, type, name. Written by `cargo run -p sip-idl -- --write`, which refuses\n\
         # a change without a new version.\n",
    );
    for account in accounts::all() {
        let (layout, kind) = (account.layout, account.kind);
        let _ =
            writeln!(text, "\n[{} kind {} version {} bytes {}]", layout.name, kind as u8, kind.version(), layout.bytes);
        lines(&mut text, layout, 0, "");
    }
    text
}

fn lines(text: &mut String, layout: &Layout, start: usize, path: &str) {
    for field in layout.fields {
        let (offset, bytes) = (start + field.offset, field.kind.bytes());
        let _ = writeln!(text, "{offset:5} {bytes:5} {} {path}{}", name(&field.kind), field.name);
        // Of several structs, where the fields of the first lie.
        let mut kind = &field.kind;
        while let Type::Array(item, _) = kind {
            kind = item;
        }
        if let Type::Struct(inner) = kind {
            let mark = if matches!(field.kind, Type::Array(..)) { "[0]" } else { "" };
            lines(text, inner, offset, &format!("{path}{}{mark}.", field.name));
        }
    }
}

fn name(kind: &Type) -> String {
    match kind {
        Type::Integer(bytes) => format!("u{}", 8 * bytes),
        Type::Array(item, count) => format!("[{};{count}]", name(item)),
        Type::Struct(layout) => layout.name.to_owned(),
    }
}

/// The sections of a lock: the account's name, its version, its lines.
fn sections(lock: &str) -> Vec<(&str, &str, &str)> {
    let sections = lock.split("\n[").skip(1);
    let parts = sections.filter_map(|section| {
        let (head, lines) = section.split_once("]\n")?;
        let (name, rest) = head.split_once(' ')?;
        let version = rest.split_once("version ")?.1.split(' ').next()?;
        Some((name, version, lines.trim_end()))
    });
    parts.collect()
}

/// The accounts whose fields differ between two locks although their versions do not.
pub(crate) fn silent_changes(before: &str, after: &str) -> Vec<String> {
    let after = sections(after);
    let changed = sections(before).into_iter().filter(|(name, version, lines)| {
        after.iter().any(|(other, now, changed)| other == name && now == version && changed != lines)
    });
    changed.map(|(name, ..)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_moves_without_a_new_version_is_noticed() {
        let before = "\n[A kind 1 version 1 bytes 8]\n0 8 u64 a\n\n[B kind 2 version 1 bytes 8]\n0 8 u64 b\n";
        let silent = before.replace("u64 b", "u32 b");
        assert_eq!(silent_changes(before, before), [""; 0]);
        assert_eq!(silent_changes(before, &silent), ["B"]);
        assert_eq!(silent_changes(before, &silent.replace("kind 2 version 1", "kind 2 version 2")), [""; 0]);
    }

    #[test]
    fn the_lock_holds_what_is_inside_of_structs() {
        let lock = lock();
        assert!(lock.contains(" parameters.penalties.false_score.bond_bps\n") && lock.contains(" auditors[0].pool\n"));
        assert_eq!(sections(&lock).len(), accounts::all().count());
    }
}
