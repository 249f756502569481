//! TensorBoard's event files: records of protocol buffers, each between two checksums.
//!
//! A record is its length (u64), the masked CRC-32C of the length, the event, and the masked CRC-32C of the event. An
//! event holds its time (field 1), its step (2), and either the format's version (3) or a summary (5) of values (1) with
//! a tag (1) and a number (2).

/// The record that every file begins with.
pub(crate) fn first_record(unix_seconds: f64) -> Vec<u8> {
    let mut event = time_and_step(unix_seconds, 0);
    bytes_field(&mut event, 3, b"brain.Event:2");
    record(&event)
}

/// A record with the value of every tag at a step.
pub(crate) fn scalars_record(unix_seconds: f64, step: u64, scalars: &[(&str, f32)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, number) in scalars {
        let mut value = Vec::new();
        bytes_field(&mut value, 1, tag.as_bytes());
        value.push(2 << 3 | 5);
        value.extend(number.to_le_bytes());
        bytes_field(&mut summary, 1, &value);
    }
    let mut event = time_and_step(unix_seconds, step);
    bytes_field(&mut event, 5, &summary);
    record(&event)
}

fn time_and_step(unix_seconds: f64, step: u64) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend(unix_seconds.to_le_bytes());
    event.push(2 << 3);
    variable_length(&mut event, step);
    event
}

fn bytes_field(message: &mut Vec<u8>, number: u8, content: &[u8]) {
    message.push(number << 3 | 2);
    variable_length(message, content.len() as u64);
    message.extend(content);
}

fn variable_length(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(event);
    record.extend(masked_crc(event).to_le_bytes());
    record
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// CRC-32C (Castagnoli), bit by bit: the records are few and short.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
    }

    #[test]
    fn a_record_is_the_one_that_tensorboard_writes() {
        // Written by tensorboard 2.21 (EventFileWriter) for time 1.5, step 300, tag "loss", value 2.5.
        assert_eq!(scalars_record(1.5, 300, &[("loss", 2.5)]), GOLDEN);
    }

    const GOLDEN: [u8; 43] = [
        27, 0, 0, 0, 0, 0, 0, 0, 26, 13, 158, 19, 9, 0, 0, 0, 0, 0, 0, 248, 63, 16, 172, 2, 42, 13, 10, 11, 10, 4, 108,
        111, 115, 115, 21, 0, 0, 32, 64, 104, 153, 124, 81,
    ];
}
