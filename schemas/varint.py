"""Avro's int and long: zigzag, then seven bits a byte, the lowest first (Avro specification, Binary Encoding)."""


def varint(number: int) -> bytes:
    """Its bytes. ValueError beyond 64 bits."""
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{number} is no long")
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left > 127:
        out.append(left & 127 | 128)
        left >>= 7
    out.append(left)
    return bytes(out)


def read_varint(data: bytes, at: int) -> int | None:
    """The number that begins at `at`; None when the bytes end first or it is longer than a long."""
    left = shift = 0
    for byte in data[at : at + 10]:
        left |= (byte & 127) << shift
        if byte < 128:
            return (left >> 1) ^ -(left & 1)
        shift += 7
    return None
