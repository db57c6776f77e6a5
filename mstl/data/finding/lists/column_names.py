"""Column names: what people call the columns of paths and of labels in a list."""

import re
import unicodedata
from typing import Literal

Role = Literal["path", "label"]
# Letters and digits alone, in lower case, those that say most first
PATHS = (
    *("path", "filepath", "imagepath", "imgpath", "relativepath", "filename", "imagefilename", "imagefile", "imgfile"),
    *("file", "fname", "imagename", "imgname", "image", "img", "picture", "pic", "photo", "photoid", "photoname"),
    *("imageid", "imgid", "fileid", "id", "name", "路径", "文件名", "图片", "图像"),
)
LABELS = (
    *("label", "labelname", "class", "classname", "category", "categoryname", "target", "breed", "species"),
    *("labelid", "classid", "classindex", "classidx", "categoryid", "targetid", "variety", "diagnosis", "y"),
    *("标签", "类别"),
)
WORDS: dict[Role, tuple[str, ...]] = {"path": PATHS, "label": LABELS}


def plain(name: str) -> str:
    """A name without case, marks and blanks: ``Image ID`` and ``image_id`` are one."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def rank(name: str, role: Role) -> int | None:
    """How well a column's name suits a role, 0 best; None if it does not. Plurals suit as well."""
    word, words = plain(name), WORDS[role]
    for form in (word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ies") + "y"):
        if form in words:
            return words.index(form)
    return None


def role_of(name: str) -> Role | None:
    """What a column of this name holds; None if that is not clear."""
    return next((role for role in WORDS if rank(name, role) is not None), None)
