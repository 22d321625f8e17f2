# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which libraries a shared library asks the loader for, read from its file (ELF, 64 bits).

To load it only to learn that is no way where it expects a host: ONNX Runtime's providers do.
"""

from pathlib import Path
import struct

_SECTION_OFFSET, _SECTION_SIZES = 0x28, 0x3A
"""Where the header says where the sections' table begins, and how large and many they are."""
_DYNAMIC = 6
"""Type of the section that lists what is needed."""
_NEEDED = 1


def needed_libraries(path: Path) -> list[str]:
    """Return the names that a library needs, in order.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no shared library of 64 bits, least byte first.
    """
    with path.open('rb') as file:
        header = file.read(64)
        if header[:6] != b'\x7fELF\x02\x01':
            msg = f'{path} is no shared library of 64 bits, least byte first.'
            raise ValueError(msg)
        (table,) = struct.unpack_from('<Q', header, _SECTION_OFFSET)
        size, count = struct.unpack_from('<HH', header, _SECTION_SIZES)
        file.seek(table)
        # Name, type, flags, address, offset, size, link, information, alignment, entry's size.
        sections = list(struct.iter_unpack('<IIQQQQIIQQ', file.read(size * count)))
        names: list[str] = []
        for section in sections:
            if section[1] != _DYNAMIC:
                continue
            strings = sections[section[6]]
            file.seek(strings[4])
            text = file.read(strings[5])
            file.seek(section[4])
            for tag, value in struct.iter_unpack('<qQ', file.read(section[5])):
                if tag == _NEEDED:
                    names.append(text[value : text.index(b'\0', value)].decode())
    return names
