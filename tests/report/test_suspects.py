"""Wrong labels are looked for on features that have not seen them."""

import csv

import numpy as np
import pytest

import mstl
from mstl.checkpoint import save_checkpoint
from mstl.data.dataset import ImageSet
from mstl.evaluation import feature_sample
from mstl.models.fusing import FusedModel
from mstl.report import suspects
from mstl.report.suspects import check_labels, pretrained_features, trains_backbone, unseen_backbone
from tests.checkpoints import scatter
from tests.conftest import COLORS, write_folder, write_photo

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")
TINY = {"model": "resnet18", "image_size": 32, "batch_size": 5, "workers": 1, "report": False, "augment": "none"}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A fine-tuned run on images of which one has a wrong label, and the weights that it started from."""
    root = tmp_path_factory.mktemp("tuned")
    data = write_folder(root / "photos", {"train": 12, "val": 4})
    write_photo(data / "train" / "blue" / "wrong.jpg", COLORS["red"], 77)
    net = scatter(mstl.resnet18(num_classes=5))
    record = {"padding": net.padding, "pool_padding": net.pool_padding, "preprocessing": mstl.Preprocessing().to_dict()}
    weights = root / "start.ckpt"
    save_checkpoint(weights, {each.name: each.asnumpy() for each in net.get_parameters()}, record)
    mstl.fit(
        data=str(data), weights=str(weights), out=str(root / "run"), freeze="none", epochs=2, lr=0.003,
        best="loss", **TINY,
    )  # fmt: skip
    return root


def look(root, out):
    predictor = mstl.Predictor(root / "run" / "best.ckpt")
    sets = list(predictor.image_sets())
    return check_labels(predictor, sets, [predictor.evaluate(images) for images in sets], out), predictor, sets


def test_after_fine_tuning_the_pretrained_features_are_used(tuned, tmp_path):
    said, predictor, sets = look(tuned, tmp_path)
    wanted = " of 33 look wrong (suspects.csv; by the features of start.ckpt, from which the model was fine-tuned)"
    assert said.startswith("labels: ") and wanted in said.splitlines()[0]
    found = [row["path"] for row in csv.DictReader((tmp_path / "suspects.csv").open())]
    assert found[0].endswith("wrong.jpg")
    ours = pretrained_features(predictor, sets[0], tuned / "start.ckpt").features
    start = FusedModel(mstl.build_model("resnet18", 5, tuned / "start.ckpt")).compile_classifier()
    from mstl.data.loading.loader import Loader
    from mstl.data.loading.transforms import eval_transforms

    batch, _ = next(iter(Loader(sets[0], eval_transforms(predictor.preprocessing), 25).batches()))
    assert np.allclose(ours, start(batch)[1], atol=1e-4)
    assert not np.allclose(ours, predictor.evaluate(sets[0]).features, atol=1e-3), "fine-tuning has changed them"


def test_without_those_weights_nothing_is_looked_for(tuned, tmp_path):
    (tmp_path / "suspects.csv").write_text("old")
    weights, kept = tuned / "start.ckpt", (tuned / "start.ckpt").read_bytes()
    try:
        weights.write_bytes(kept + b"0")
        said, _, _ = look(tuned, tmp_path)
    finally:
        weights.write_bytes(kept)
    assert said.startswith("labels: not checked, as the backbone was fine-tuned on them, and the weights that it ")
    assert "are not here: start.ckpt (SHA-256 " in said and "\n" not in said
    assert not (tmp_path / "suspects.csv").exists(), "that was another look's"


@pytest.mark.parametrize(
    ("config", "weights", "reason"),
    [
        ({"freeze": "backbone", "unfreeze_at": 0}, None, ""),
        ({"freeze": "backbone", "unfreeze_at": 0}, {"tag": "none"}, ""),
        ({"freeze": "backbone", "unfreeze_at": 2}, None, "does not record from which weights"),
        ({"freeze": "layer3", "unfreeze_at": 0}, {"tag": "none"}, "from random weights"),
        ({"freeze": "BN"}, {"tag": "a.b", "file": "/no/c.pth", "sha256": "12"}, "not here: a.b (c.pth, SHA-256 12)"),
    ],
)
def test_what_has_seen_the_labels(config, weights, reason):
    file, why = unseen_backbone({"config": config, "record": {"weights": weights}})
    assert file is None and reason in why and bool(reason) == bool(why)
    assert trains_backbone(config) == bool(reason)


def test_weights_of_another_fine_tuned_run_may_have_seen_them(tuned):
    from mstl.models.weights_source import WeightsSource

    source = WeightsSource.find("resnet18", tuned / "run" / "best.ckpt")
    for freeze in ("backbone", "none"):
        file, why = unseen_backbone({"config": {"freeze": freeze}, "record": {"weights": source.to_dict()}})
        assert file is None and "are another run's, which may have seen them" in why


def test_of_many_images_a_sample_is_looked_at(tuned, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_sample, "KEEP_FEATURES", 10)
    monkeypatch.setattr(suspects, "unseen_backbone", lambda metadata: (None, ""))
    assert " of 18 look wrong (suspects.csv; a random sample of all 33 images)" in look(tuned, tmp_path)[0]
    assert isinstance(look(tuned, tmp_path)[2][0], ImageSet)
