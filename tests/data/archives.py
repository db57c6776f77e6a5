"""Archives as other systems and tools write them."""

import io
import tarfile
import zipfile

from PIL import Image


class Member(zipfile.ZipInfo):
    """A member whose name, given as bytes, is written as it is, without the flag that says UTF-8."""

    def __init__(self, name, extra=b"", attributes=None):
        super().__init__(name if isinstance(name, str) else name.decode("latin-1"))
        self.raw = name if isinstance(name, bytes) else None
        self.compress_type = zipfile.ZIP_DEFLATED
        self.extra = extra
        if attributes is not None:
            self.external_attr = attributes

    def _encodeFilenameFlags(self):  # noqa: N802 (zipfile's own hook)
        return (self.raw, self.flag_bits & ~0x800) if self.raw is not None else super()._encodeFilenameFlags()


def write_zip(path, members):
    """A zip of (name or Member, content); a name may be there twice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            archive.writestr(name if isinstance(name, Member) else Member(name), content)
    return path


def write_tar(path, members, mode="w:gz"):
    """A tar of names (text, or bytes that are written as they are) and contents."""
    with tarfile.open(path, mode, encoding="utf-8", errors="surrogateescape", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name if isinstance(name, str) else name.decode("utf-8", "surrogateescape"))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def image(number=0):
    """The bytes of a small JPEG."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def files_in(folder):
    """The names of all visible files below a folder."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not path.name.startswith("."))
