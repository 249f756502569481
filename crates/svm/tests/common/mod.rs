//! Programs for tests.

/// The smallest Solana program: its result is the first four bytes of its instruction data, so 0 is success and
/// everything else its own error code.
pub(crate) fn echo_elf() -> Vec<u8> {
    // With no accounts the input is: number of accounts (8), bytes of data (8), data.
    let load_result: [u8; 8] = [0x61, 0x10, 16, 0, 0, 0, 0, 0]; // r0 = *(u32*)(r1 + 16)
    let exit: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];
    let names = b"\0.text\0.shstrtab\0";
    let (text_offset, text_bytes) = (64u64, 16u64);
    let names_offset = text_offset + text_bytes;
    let sections_offset = (names_offset + names.len() as u64).next_multiple_of(8);

    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([3u16, 247].map(u16::to_le_bytes).concat()); // shared object, BPF
    elf.extend(1u32.to_le_bytes());
    elf.extend([text_offset, 0, sections_offset].map(u64::to_le_bytes).concat()); // entry, no segments, sections
    elf.extend(0u32.to_le_bytes());
    elf.extend([64u16, 56, 0, 64, 3, 2].map(u16::to_le_bytes).concat());
    elf.extend([load_result, exit].concat());
    elf.extend(names);
    elf.resize(sections_offset as usize, 0);
    let section = |name: u32, kind: u32, flags: u64, address: u64, offset: u64, size: u64| {
        [
            &[name, kind].map(u32::to_le_bytes).concat()[..],
            &[flags, address, offset, size, 0, 1, 0].map(u64::to_le_bytes).concat(),
        ]
        .concat()
    };
    elf.extend(section(0, 0, 0, 0, 0, 0));
    elf.extend(section(1, 1, 6, text_offset, text_offset, text_bytes));
    elf.extend(section(7, 3, 0, 0, names_offset, names.len() as u64));
    elf
}
