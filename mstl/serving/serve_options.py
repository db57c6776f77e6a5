"""What the options of ``mstl serve`` mean: checked, and what is not safe is refused."""

import logging
import re
from collections.abc import Iterable

from mstl.errors import MstlError
from mstl.features.cache_size import parse_size
from mstl.runtime.durations import parse_duration
from mstl.serving.serve_settings import LOOPBACK_NAMES, ServeSettings
from mstl.serving.web_server import is_loopback

logger = logging.getLogger("mstl")
EVERYWHERE = ("0.0.0.0", "::")  # addresses to listen at, under which no server is reached
NAME = r"(?:[a-z0-9_-][a-z0-9._-]*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
ORIGIN = re.compile(rf"https?://{NAME}")


def access_of(
    host: str, token: str | None, allow_host: Iterable[str], allow_origin: Iterable[str], insecure: bool
) -> ServeSettings:
    """Settings of who may use a server, with the usual limits.

    Args:
        host: The address to listen at.
        token: From :func:`token_of`.
        allow_host, allow_origin: Names and origins that a user has given.
        insecure: Whether others may reach the server without a token.

    Raises:
        MstlError: They could without it; or a name or an origin is none.
    """
    hosts, any_address = hosts_of(host, token, allow_host, insecure)
    return ServeSettings(hosts, any_address, origins_of(allow_origin), token)


def hosts_of(host: str, token: str | None, allowed: Iterable[str], insecure: bool) -> tuple[tuple[str, ...], bool]:
    """The names that requests may have for a server, and whether any IP address is one; see :func:`access_of`."""
    names = [name.lower() for name in allowed]
    for name in names:
        if not re.fullmatch(NAME, name):
            raise MstlError(f"--allow-host {name}: give a name such as example.org, or one with a port")
    here = host.strip("[]").lower()
    if not is_loopback(host) and token is None:
        if not insecure:
            raise MstlError(
                f"--host {host} lets others use this server: give --token (or MSTL_TOKEN), or --insecure if they may"
            )
        logger.warning("serve: whoever reaches %s may use this server, as there is no --token", host)
    elif insecure:
        logger.warning("serve: --insecure is not needed here")
    own = () if here in EVERYWHERE else (f"[{here}]" if ":" in here else here,)
    return tuple(dict.fromkeys((*LOOPBACK_NAMES, *own, *names))), here in EVERYWHERE


def origins_of(origins: Iterable[str]) -> tuple[str, ...]:
    """Origins of pages, as browsers name them.

    Raises:
        MstlError: One is none.
    """
    found = tuple(origin.lower().rstrip("/") for origin in origins)
    for origin in found:
        if not ORIGIN.fullmatch(origin):
            raise MstlError(f"--allow-origin {origin}: give an origin such as https://example.org")
    return found


def token_of(text: str | None) -> str | None:
    """A token; an empty one, as of an environment variable without a value, is none.

    Raises:
        MstlError: It cannot be in a header.
    """
    if text and not re.fullmatch(r"[!-~]+", text):
        raise MstlError("--token has blanks, or characters that are not ASCII: choose another")
    return text or None


def bytes_of(option: str, text: str) -> int:
    """Bytes of a text such as ``"50MB"``.

    Raises:
        MstlError: It is no size, or 0.
    """
    try:
        size = parse_size(text)
    except MstlError:
        size = 0
    if not size:
        raise MstlError(f"{option} {text}: give a size such as 50MB")
    return size


def seconds_of(option: str, text: str) -> float:
    """Seconds of a text such as ``"30s"``.

    Raises:
        MstlError: It is no duration.
    """
    seconds = parse_duration(text)
    if seconds is None:
        raise MstlError(f"{option} {text}: give a duration such as 30s or 2m")
    return seconds
