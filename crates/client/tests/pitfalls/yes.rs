//! A program that says yes to everything: two instructions in the smallest file that the loader takes.

/// The program's ELF file: `mov64 r0, 0` and `exit` at the entry point.
pub(crate) fn yes_program() -> Vec<u8> {
    const HEADER: u64 = 64;
    const SECTION: u64 = 64;
    let text: [u8; 16] = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
    let names = b"\0.text\0.shstrtab\0";
    let names_offset = HEADER + text.len() as u64;
    let sections_offset = (names_offset + names.len() as u64).next_multiple_of(8);

    let mut file = Vec::new();
    // 64 bits, little endian; a shared object for BPF.
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend([3u16, 247].iter().flat_map(|half| half.to_le_bytes()));
    file.extend(1u32.to_le_bytes());
    // Entry, program headers, section headers.
    file.extend([HEADER, HEADER, sections_offset].iter().flat_map(|word| word.to_le_bytes()));
    file.extend(0u32.to_le_bytes());
    file.extend([HEADER as u16, 56, 0, SECTION as u16, 3, 2].iter().flat_map(|half| half.to_le_bytes()));
    file.extend(text);
    file.extend(names);
    file.resize(sections_offset as usize, 0);
    let sections = [
        [0; 7],
        // Name, kind (program bits), flags (allocated, executable), address, offset, size, alignment.
        [1, 1, 6, HEADER, HEADER, text.len() as u64, 8],
        [7, 3, 0, 0, names_offset, names.len() as u64, 1],
    ];
    for [name, kind, flags, address, offset, size, alignment] in sections {
        file.extend([name as u32, kind as u32].iter().flat_map(|word| word.to_le_bytes()));
        file.extend([flags, address, offset, size].iter().flat_map(|word| word.to_le_bytes()));
        file.extend([0u32; 2].iter().flat_map(|word| word.to_le_bytes()));
        file.extend([alignment, 0].iter().flat_map(|word| word.to_le_bytes()));
    }
    file
}
