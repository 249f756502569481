//! Files up to a size, and files of lines.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::weight::{Budget, Overweight, Weight};

/// The bytes of a file, which has at most `limit_bytes`; asked for at once, so that they are never there twice.
///
/// # Errors
/// Those of the file system, and [`io::ErrorKind::InvalidData`] for a file that has more.
pub fn read_file(path: &Path, limit_bytes: usize) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    // One byte more than there should be, so that the end is seen without asking for more memory.
    let mut bytes = Vec::with_capacity(size.min(limit_bytes).saturating_add(1));
    // Something else than a plain file may say that it is empty and go on for ever.
    file.take((limit_bytes as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limit_bytes {
        let reason = format!("it has more than {limit_bytes} bytes, as many as such a file may have");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(bytes)
}

/// As [`read_file`], of a text in UTF-8.
///
/// # Errors
/// Those of [`read_file`], and [`io::ErrorKind::InvalidData`] for text that is not UTF-8.
pub fn read_text(path: &Path, limit_bytes: usize) -> io::Result<String> {
    String::from_utf8(read_file(path, limit_bytes)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The values of all lines that hold one; a line that is none, such as one that a crash cut short, is left out.
///
/// All lines share one limit: three bytes a byte of the text, and `floor_bytes`. `held_bytes` says what a value holds beside itself.
///
/// # Errors
/// A line that takes more than is left of it.
pub fn lines<T: DeserializeOwned>(
    text: &str,
    floor_bytes: usize,
    held_bytes: impl Fn(&T) -> usize,
) -> Result<Vec<T>, Overweight> {
    let mut budget = Budget::new(text.len(), floor_bytes);
    let mut values = Vec::new();
    for line in text.lines() {
        let weight = Weight::of(line.as_bytes());
        // While it is read a line may take more than what is kept of it.
        let mut left = budget;
        left.take(weight.records_bytes())?;
        let Some(value) = weight.check_depth().ok().and_then(|()| serde_json::from_str(line).ok()) else { continue };
        // The list is there twice while it grows, the second time twice as long.
        budget.take(3 * size_of::<T>() + held_bytes(&value))?;
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_not_beyond() {
        let path = std::env::temp_dir().join(format!("sip-json-{}", std::process::id()));
        std::fs::write(&path, "four").unwrap();
        assert_eq!(read_file(&path, 4).unwrap(), b"four");
        assert_eq!(read_text(&path, 9).unwrap(), "four");
        let said = read_file(&path, 3).unwrap_err().to_string();
        assert!(said.contains("more than 3 bytes"), "{said}");
        std::fs::write(&path, b"\xff").unwrap();
        assert!(read_text(&path, 9).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(read_file(&path, 9).is_err());
    }

    #[test]
    #[cfg(unix)]
    fn a_file_without_an_end_is_refused_at_its_limit() {
        assert!(read_file(Path::new("/dev/zero"), 1000).is_err());
    }

    #[test]
    fn lines_that_are_no_values_are_left_out() {
        let found = lines::<[u32; 1]>("[1]\n\n[2\nx\n[3]\r\n[4]", 1 << 20, |_| 0);
        assert_eq!(found, Ok(vec![[1], [3], [4]]));
        let said = lines::<[u32; 1]>(&"[1]\n".repeat(100), 0, |_| 1000);
        assert!(matches!(said, Err(Overweight::Memory { .. })));
    }
}
