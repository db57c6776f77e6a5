"""Damage: bytes of a file flipped, cut off, inserted, overwritten, in ways that a seed decides."""

KINDS = ("flip", "bits", "cut", "insert", "header", "overwrite", "zeros", "random", "swap")


def damaged(content, kind, rng):
    """The content with one kind of damage."""
    data, length = bytearray(content), len(content)
    place = int(rng.integers(length))
    some = int(rng.integers(1, 65))
    if kind == "flip":
        for at in rng.integers(length, size=rng.integers(1, 21)):
            data[at] = int(rng.integers(256))
    elif kind == "bits":
        for at in rng.integers(length, size=rng.integers(1, 4)):
            data[at] ^= 1 << int(rng.integers(8))
    elif kind == "cut":  # half of the time, in the last bytes
        del data[place if rng.random() < 0.5 else max(0, length - some) :]
    elif kind == "insert":
        data[place:place] = rng.bytes(some)
    elif kind == "header":
        for at in rng.integers(min(200, length), size=rng.integers(1, 6)):
            data[at] = int(rng.integers(256))
    elif kind == "overwrite":
        data[place : place + some] = rng.bytes(some)
    elif kind == "zeros":
        data[place : place + 8 * some] = bytes(8 * some)
    elif kind == "random":
        start = int(rng.integers(min(32, length)))
        data[start:] = rng.bytes(length - start)
    elif kind == "swap":
        first, second = sorted(rng.integers(length, size=2))
        data = data[:first] + data[second:] + data[first:second]
    return bytes(data)
