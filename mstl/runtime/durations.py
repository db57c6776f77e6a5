"""Durations in words, such as ``1 min 10 s``, as precise as they are worth."""


def in_words(seconds: float, decimals: int = 0) -> str:
    """A duration: hours and minutes from an hour on, whole minutes from ten minutes on, minutes and seconds before.

    Args:
        seconds: 0 or more.
        decimals: Of durations below 10 s.
    """
    if seconds < 9.95:
        return f"{seconds:.{decimals}f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
