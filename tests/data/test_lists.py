"""Lists as people and their programs write them: the right images, labels and parts, or one line that says why not."""

import logging
import os
import shutil
from collections import Counter

import pytest

from mstl import MstlError
from mstl.data.finding.lists.list_options import ListOptions
from mstl.data.finding.sources import find_dataset
from tests.conftest import COLORS, write_photo

IMAGES = [(f"img/{name}/{number}.jpg", name) for name in ("cat", "dog") for number in range(4)]
WANTED = {"train": set(IMAGES)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Images that no test changes."""
    folder = tmp_path_factory.mktemp("made")
    for index, (path, _) in enumerate(IMAGES):
        write_photo(folder / path, COLORS["red"], index, (8, 8))
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """Eight images in img/cat and img/dog."""
    shutil.copytree(made, tmp_path / "pets")
    return tmp_path / "pets"


def lines(form, header="", more=("",)):
    """A line for each image: a format of its number i, path p, path without suffix s, class c, cat and dog (1 or 0).

    x is one of ``more``, in turn.
    """
    values = [
        {"i": i, "p": p, "s": p[:-4], "c": c, "cat": int(c == "cat"), "dog": int(c == "dog"), "x": more[i % len(more)]}
        for i, (p, c) in enumerate(IMAGES)
    ]
    return "".join(f"{line}\n" for line in [*([header] if header else []), *(form.format(**value) for value in values)])


def csv(header, form):
    return "l.csv", lines(form, header)


def txt(form, header=""):
    return "l.txt", lines(form, header)


def found(data, **options):
    """Path and label of the samples of each part; all images must be there."""
    dataset = find_dataset(data, None, ListOptions(**options))
    top = data if data.is_dir() else data.parent
    for split in dataset.splits.values():
        assert all(os.path.isfile(sample.path) for sample in split.samples)
    return {
        part: {(os.path.relpath(sample.path, top), sample.label) for sample in split.samples}
        for part, split in dataset.splits.items()
    }


def refusal(data, **options):
    with pytest.raises(MstlError) as caught:
        find_dataset(data, None, ListOptions(**options))
    assert "\n" not in str(caught.value) and data.name in str(caught.value)
    return str(caught.value)


PLAIN = {  # name, content, and the note that is logged ("": nothing)
    "commas": (*csv("path,label", "{p},{c}"), ""),
    "semicolons": (*csv("path;label", "{p};{c}"), "divided by semicolons"),
    "tabs": (*csv("path\tlabel", "{p}\t{c}"), "divided by tabs"),
    "tsv": ("l.tsv", lines("{p}\t{c}", "path\tlabel"), ""),
    "a bar": (*csv("path|label", "{p}|{c}"), "divided by |"),
    "blanks": (*csv("", "{p} {c}"), "divided by blanks"),
    "quotes": (*csv('"image";"label"', '"{p}";"{c}"'), "in the column image"),
    "carriage returns": ("l.csv", lines("{p},{c}", "path,label").replace("\n", "\r"), ""),
    "mark": ("l.csv", "\ufeff" + lines("{p},{c}", "path,label"), ""),
    "no header": (*csv("", "{p},{c}"), "no header: paths in column 1, labels in column 2"),
    "no header, label first": (*csv("", "{c};{p}"), "paths in column 2, labels in column 1"),
    "no header, numbers": (*csv("", "{i},{p},{c}"), "paths in column 2, labels in column 3"),
    "order": (*csv("label,path", "{c},{p}"), ""),
    "index": (*csv(",path,label", "{i},{p},{c}"), ""),
    "filename,class": (*csv("filename,class", "{p},{c}"), "paths in the column filename, labels in class"),
    "more columns": (*csv("class id,filepaths,labels,note", "{i},{p},{c},x"), "not used: class id, note"),
    "names of names": (*csv("id,image,species", "x{i},{p},{c}"), "paths in the column image, labels in species"),
    "names tell nothing": (*csv("one,two", "{p},{c}"), "line 1 (one, two) taken for a header"),
    "label known": (*csv("where,breed", "{p},{c}"), "paths in the column where"),
    "path known": (*csv("image,animal", "{p},{c}"), "labels in animal"),
    "last commas": (*csv("path,label,", "{p},{c},"), ""),
    "one-hot": (*csv("path,cat,dog", "{p},{cat},{dog}"), "a class for each of the columns cat, dog"),
    "one-hot, decimal": (*csv("image_id,cat,dog", "{p},{cat}.0,{dog}.0"), "a class for each of the columns cat, dog"),
    "one-hot and label": (*csv("path,label,cat,dog", "{p},{c},0,1"), ""),
    "text": (*txt("./{p} {c}"), ""),
    "text, tabs": (*txt("{p}\t{c}"), ""),
    "text, commas": (*txt("{p},{c}"), "divided by commas"),
    "text, header": (*txt("{p} {c}", "path label"), ""),
    "text, odd header": (*txt("{p} {c}", "where what"), "line 1 (where, what) taken for a header"),
    "text, label first": (*txt("{c} {p}"), "paths in column 2, labels in column 1"),
    "text, header, label first": (*txt("{c} {p}", "class file"), "paths in the column file"),
    "no suffix": (*csv("id,breed", "{s},{c}"), "8 of 8 paths completed, such as img/cat/0 to img/cat/0.jpg"),
    "no suffix, text": (*txt("{s} {c}"), "img/cat/0 to img/cat/0.jpg"),
    "no suffix, no header": (*csv("", "{s},{c}"), "8 of 8 paths completed"),
    "no folder": ("l.csv", lines("{p},{c}", "path,label").replace("img/", ""), "cat/0.jpg to img/cat/0.jpg"),
    "backslashes": ("l.csv", lines("{p},{c}", "path,label").replace("/", "\\"), "img\\cat\\0.jpg to img/cat/0.jpg"),
    "windows": ("l.csv", lines("C:/my data/{p},{c}", "path,label").replace("/", "\\"), "C:\\my data\\img\\cat\\0.jpg"),
    "another machine": (*csv("path,label", "/home/me/{s},{c}"), "8 of 8 paths completed"),
    "capitals": (*csv("path,label", "{s}.JPG,{c}"), "img/cat/0.JPG to img/cat/0.jpg"),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_a_list_is_read(folder, kind, caplog):
    name, content, note = PLAIN[kind]
    with open(folder / name, "w", encoding="utf-8", newline="") as stream:
        stream.write(content)
    with caplog.at_level(logging.INFO, "mstl"):
        assert found(folder / name) == WANTED
    assert note in caplog.text and bool(note) == bool(caplog.text)


PARTS = {  # header, the cells of the parts, the part of each, and the note that is logged ("": nothing)
    "split": (["train", "Val", "TEST"], ["train", "val", "test"], ""),
    "data set": (["training", "valid", "test_set"], ["train", "val", "test"], "by the column data set"),
    "Usage": (["Training", "PublicTest", "PrivateTest"], ["train", "val", "test"], "by the column Usage"),
    "fold": (["train", "dev", "test"], ["train", "val", "test"], "by the column fold"),
    "folds": (["1", "2", "3"], ["train", "train", "train"], "the column folds is not used: it names no parts"),
    "set": (["phone", "camera", "phone"], ["train", "train", "train"], "the column set is not used: it names no parts"),
    "is_valid": (["0", "1", "0"], ["train", "val", "train"], "is_valid says what to validate on; all else is to train"),
    "Is Valid": (["False", "True", "False"], ["train", "val", "train"], "says what to validate on"),
    "is_train": (["1", "0", "1"], ["train", "val", "train"], "is_train says what to train on; all else is to validate"),
    "is_test": (["no", "yes", "no"], ["train", "val", "train"], "is_test says what to test on"),
    "is_valid,is_test": (["0,0", "1,0", "0,1"], ["train", "val", "test"], "is_test says what to test on"),
    "is_train,is_test": (["1,0", "0,0", "0,1"], ["train", "val", "test"], "all else is to validate on"),
    "split,is_valid": (["train,1", "val,0", "test,0"], ["train", "val", "test"], "the column is_valid is not used"),
}


@pytest.mark.parametrize("header", PARTS)
def test_parts_by_a_column(folder, header, caplog):
    cells, parts, note = PARTS[header]
    (folder / "l.csv").write_text(lines("{p},{c},{x}", f"path,label,{header}", cells))
    with caplog.at_level(logging.INFO, "mstl"):
        result = found(folder / "l.csv")
    wanted = {part: {image for i, image in enumerate(IMAGES) if parts[i % 3] == part} for part in set(parts)}
    assert result == wanted and note in caplog.text


def test_parts_without_a_header(folder):
    (folder / "l.csv").write_text(lines("{p},{c},{x}", "", ["val", "train", "train", "train"]))
    assert {part: len(images) for part, images in found(folder / "l.csv").items()} == {"train": 6, "val": 2}


BAD = {
    "parts": (*csv("path,label,partition", "{p},{c},{i}"), "has the partition '0', '1', '2'"),
    "some parts": (
        "l.csv",
        lines("{p},{c},train", "path,label,set") + "img/cat/0.jpg,cat,more\n",
        "has the set 'more'",
    ),
    "no part": ("l.csv", lines("{p},{c},train", "path,label,split") + "img/cat/0.jpg,cat,\n", "line 10: nothing in"),
    "flags": (*csv("path,label,is_valid", "{p},{c},{i}"), "line 4: is_valid is '2', neither true nor false"),
    "both flags": (*csv("path,label,is_valid,is_test", "{p},{c},1,1"), "line 2: is_valid and is_test contradict"),
    "no flag": (*csv("path,label,is_valid", "{p},{c},"), "line 2: nothing in the column is_valid"),
    "two classes": (*csv("path,a,b", "{p},1,{dog}"), "line 6: the image has 2 labels (a, b)"),
    "no class": (*csv("path,a,b", "{p},0,{dog}"), "line 2: the image has none of the labels a, b"),
    "one-hot": (*txt("{p} {cat} {dog}"), "line 1: '1 0' after img/cat/0.jpg is more than one label"),
    "one-hot, comma": (*txt("{p} {cat},{dog}"), "'0,1', which is more than one label"),
    "no header": (*csv("", "{p},{cat},{dog}"), "2 numbers for each image, but an image has one label"),
    "words": (*txt("{p} {c} retriever"), "line 1: 'cat retriever' after img/cat/0.jpg is more than one label"),
    "bar": (*csv("path,label", "{p},{c}|wet"), "'cat|wet', which is more than one label"),
    "brackets": (*csv("path,label", "{p},\"['{c}', 'wet']\""), "is more than one label"),
    "tags": ("l.csv", lines("{p},{c}", "path,label") + 'img/cat/0.jpg,"cat,dog"\n', "'cat,dog', which is more"),
    "unknown": (
        *csv("path,kind,note", "{p},{c},x"),
        "its columns are path, kind, note: choose one with --label-column",
    ),
    "none": (*csv("path", "{p}"), "has no column of labels"),
    "row numbers": (*csv("id,filename", "{i},{p}"), "has no column of labels"),
    "twice": (*csv("path,label,Label", "{p},{c},x"), "more than one column label"),
    "too much": (*csv("path,label", "{p},more,{c}"), "line 2: it does not have exactly path, label"),
    "comment": ("l.csv", "# mine\n" + lines("{p},{c}", "path,label"), "not with # mine"),
    "only a header": ("l.csv", "path,label\n", "no lines of"),
    "nothing": ("l.csv", "", "not with nothing"),
    "bytes": ("l.csv", "path,label\nimg/cat/0.jpg\0,cat\n", "NUL bytes"),
    "paths alone": (*txt("{p}"), "line 1: 'img/cat/0.jpg' is not a path, a space and a label"),
    "UTF-16": ("l.csv", lines("{p},{c}", "path,label").encode("utf-16"), "save it as UTF-8"),
    "Latin-1": ("l.csv", lines("{p},K\xe4se", "path,label").encode("latin-1"), "save it as UTF-8"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_wrong_is_one_line(folder, kind):
    name, content, message = BAD[kind]
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in refusal(folder / name)


LABELS = {  # labels of cats and dogs, and the classes in their order (None: by name)
    "00123 00456": None,
    "007 7": None,
    "+1 1": None,
    "0.0 1.0": None,
    "٣ ٤": None,
    "10 9": ("9", "10"),
    "-1 0": ("-1", "0"),
    "nan cat": None,
}


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("suffix", [".csv", ".txt"])
def test_labels_are_kept_as_they_are_written(folder, labels, suffix):
    names = [label for label in labels.split() for _ in range(4)]
    file = folder / f"l{suffix}"
    gap, header = (",", "path,label") if suffix == ".csv" else (" ", "")
    file.write_text(lines("{p}" + gap + "{x}", header, names), encoding="utf-8")
    split = find_dataset(file).train
    assert Counter(sample.label for sample in split.samples) == dict.fromkeys(labels.split(), 4)
    assert split.class_order == LABELS[labels]


def test_labels_with_leading_zeros_do_not_index_classes_txt(folder, caplog):
    (folder / "classes.txt").write_text("a\nb\n")
    (folder / "l.csv").write_text(lines("{p},0{dog}", "path,label"))
    with caplog.at_level(logging.INFO, "mstl"):
        assert find_dataset(folder / "l.csv").train.labels == {"00", "01"}
    assert "classes.txt is not used: labels such as 00" in caplog.text


def test_blanks_in_paths_and_labels_behind_tabs(folder):
    os.rename(folder / "img", folder / "my img")
    for name, header in (("l.txt", ""), ("l.tsv", "path\tlabel"), ("h.txt", "file\tclass")):
        (folder / name).write_text(lines("my {p}\t{c} with ears", header))
        assert found(folder / name) == {"train": {(f"my {path}", f"{label} with ears") for path, label in IMAGES}}


def test_a_path_that_may_mean_two_images_is_refused(folder, tmp_path):
    shutil.copytree(folder / "img", folder / "more" / "img")
    (folder / "l.csv").write_text(lines("{s},{c}", "id,label").replace("img/", ""))
    message = refusal(folder / "l.csv")
    assert "cat/0 may be img/cat/0.jpg or more/img/cat/0.jpg" in message and "--images" in message
    assert found(folder / "l.csv", images=str(folder / "img")) == WANTED
    shutil.rmtree(folder / "more")
    shutil.copy(folder / "img/cat/0.jpg", folder / "img/cat/0.png")
    assert "cat/0 may be img/cat/0.jpg or img/cat/0.png" in refusal(folder / "l.csv")


def test_a_missing_image_is_not_looked_for_elsewhere(folder):
    """Paths that others show to be complete are not completed."""
    (folder / "old").mkdir()
    (folder / "img/cat/0.jpg").rename(folder / "old" / "0.jpg")
    (folder / "l.csv").write_text(lines("{p},{c}", "path,label"))
    paths = [sample.path for sample in find_dataset(folder / "l.csv").train.samples]
    assert paths[0] == str(folder / "img/cat/0.jpg")


def flat(folder, part, names):
    """Images without class folders."""
    (folder / part).mkdir(parents=True)
    for index, name in enumerate(names):
        write_photo(folder / part / name, COLORS["blue"], index, (8, 8))


def test_a_competition_s_folder(tmp_path, caplog):
    flat(tmp_path, "train", [f"{i:03}.jpg" for i in range(6)])
    flat(tmp_path, "test", [f"{i:03}.jpg" for i in range(3)])
    text = "id,breed\n" + "".join(f"{i:03},{'ab'[i % 2]}\n" for i in range(6))
    (tmp_path / "sample_submission.csv").write_text("id,a,b\n000,0,1\n001,1,0\n002,0,1\n")
    wanted = {"train": {(f"train/{i:03}.jpg", "ab"[i % 2]) for i in range(6)}}
    (tmp_path / "labels.csv").write_text(text)
    assert "000 may be test/000.jpg or train/000.jpg" in refusal(tmp_path)
    (tmp_path / "labels.csv").unlink()
    (tmp_path / "train.csv").write_text(text)
    (tmp_path / "test.csv").write_text("id\n000\n001\n002\n")
    with caplog.at_level(logging.INFO, "mstl"):
        assert found(tmp_path) == wanted
    assert "test.csv has no column of labels" in caplog.text and "6 of 6 paths completed" in caplog.text
    (tmp_path / "train.csv").rename(tmp_path / "labels.csv")
    shutil.rmtree(tmp_path / "test")
    assert found(tmp_path) == wanted


def test_images_in_several_folders_and_a_named_column(tmp_path):
    for part in (1, 2):
        flat(tmp_path, f"images_{part}", [f"X_{i}.jpg" for i in range(6) if i % 2 == part - 1])
    rows = "".join(f"P{i},X_{i},{'ab'[i // 3]},{i}\n" for i in range(6))
    (tmp_path / "metadata.csv").write_text("lesion_id,image_id,dx,age\n" + rows)
    assert "lesion_id, image_id, dx, age: choose one with --label-column" in refusal(tmp_path / "metadata.csv")
    wanted = {"train": {(f"images_{i % 2 + 1}/X_{i}.jpg", "ab"[i // 3]) for i in range(6)}}
    assert found(tmp_path / "metadata.csv", label_column="dx") == wanted
    assert found(tmp_path / "metadata.csv", label_column="DX", path_column="image id") == wanted
    assert found(tmp_path, label_column="dx") == wanted, "the folder has such a list"


def test_other_tables_beside_class_folders_are_no_lists(folder, caplog):
    data = folder / "img"
    (data / "classes.csv").write_text("id,label\n0,cat\n1,dog\n")  # 0.jpg and 1.jpg are there, in both classes
    with caplog.at_level(logging.INFO, "mstl"):
        assert found(data) == {"train": {(path[4:], label) for path, label in IMAGES}}
    os.remove(data / "dog/0.jpg")  # now 0 could only be a cat
    assert len(find_dataset(data).train.samples) == 7
    (data / "classes.csv").write_text("name;age\ncat;3\n")
    assert len(find_dataset(data).train.samples) == 7


def test_a_list_in_a_folder_is_said_to_be_used(folder, caplog):
    (folder / "my labels.csv").write_text(lines("{p};{c}", "filename;category"))
    with caplog.at_level(logging.INFO, "mstl"):
        assert found(folder) == WANTED
    assert "my labels.csv: images and labels are as listed there" in caplog.text


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "val.csv"),
        ("Train_labels.csv", "valid.tsv"),
        ("training.txt", "dev.csv"),
        ("my labels.csv", "test.csv"),
    ],
)
def test_a_list_for_each_part(folder, names):
    for number, name in enumerate(names):
        rows = [f"{path}\t{label}" for index, (path, label) in enumerate(IMAGES) if (index % 4 == 0) == bool(number)]
        (folder / name).write_text("\n".join(["image\tclass", *rows]))
    sizes = {part: len(images) for part, images in found(folder).items()}
    assert sizes == {"train": 6, "val": 2}


def test_options_for_lists_that_do_not_suit(folder, tmp_path):
    (folder / "l.csv").write_text(lines("{p},{c}", "path,label"))
    assert "no column kind (--label-column): its columns are path, label" in refusal(
        folder / "l.csv", label_column="kind"
    )
    assert "cannot hold both" in refusal(folder / "l.csv", path_column="path", label_column="path")
    for options in ({"label_column": "label"}, {"images": str(folder)}):
        assert "is read as class folders" in refusal(folder / "img", **options)
    with pytest.raises(MstlError, match="no folder nowhere for --images"):
        find_dataset(folder / "l.csv", None, ListOptions(images="nowhere"))


def test_a_named_column_is_used_though_another_is_called_label(folder):
    (folder / "l.csv").write_text(lines("{p},x,{c}", "path,label,kind"))
    assert found(folder / "l.csv") == {"train": {(path, "x") for path, _ in IMAGES}}
    assert found(folder / "l.csv", label_column="kind") == WANTED


def test_images_elsewhere(folder, tmp_path, monkeypatch):
    (tmp_path / "lists").mkdir()
    file = tmp_path / "lists" / "l.csv"
    wanted = {"train": {(os.path.join("..", "pets", path), label) for path, label in IMAGES}}
    for cut, images in (("-", "pets"), ("img/", "pets/img"), ("-", "pets/img")):  # relative to the working directory
        file.write_text(lines("{p},{c}", "path,label").replace(cut, ""))
        monkeypatch.chdir(tmp_path)
        assert found(file, images=images) == wanted


def test_a_folder_of_too_many_files_is_not_looked_through(folder, monkeypatch):
    monkeypatch.setattr("mstl.data.finding.lists.list_paths.LARGEST", 5)
    (folder / "l.csv").write_text(lines("{s},{c}", "path,label"))
    with pytest.raises(MstlError, match="too many files .*: name their folder by --images DIR"):
        find_dataset(folder / "l.csv")
    (folder / "l.csv").write_text(lines("{p},{c}", "path,label"))
    assert found(folder / "l.csv") == WANTED, "nothing is to be looked for"
