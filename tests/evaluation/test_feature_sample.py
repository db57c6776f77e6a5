"""Of a large dataset, the features of a sample are kept, and what needs features is fitted on that."""

import mindspore as ms
import numpy as np
import pytest

import mstl
from mstl.checkpoint import read_checkpoint
from mstl.data.dataset import ImageSet
from mstl.data.samples import Sample
from mstl.evaluation import feature_sample
from mstl.evaluation.evaluate import evaluate
from mstl.evaluation.feature_sample import featured_part, sample_rows
from mstl.evaluation.rejection import fit_rejector

CLASSES = ("a", "b", "c")


@pytest.fixture
def evaluated(monkeypatch):
    """What is known of 300 images, with the features of at most ``limit`` of them."""
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [30, 90, 180])[rng.permutation(300)].astype(np.int32)
    samples = tuple(Sample(f"{n}.jpg", CLASSES[label], "val", f"{n}.jpg") for n, label in enumerate(labels))
    features = (np.eye(3)[labels] + rng.normal(0, 0.3, (300, 3))).astype(np.float32)

    class Batches:
        images = ImageSet(samples, CLASSES)

        def batches(self):
            for rows in np.split(np.arange(300), 20):
                yield ms.Tensor(features[rows]), ms.Tensor(labels[rows])

    def run(limit):
        monkeypatch.setattr(feature_sample, "KEEP_FEATURES", limit)
        return evaluate(lambda batch: (4 * batch.asnumpy(), batch.asnumpy()), Batches()), features

    return run


def test_a_sample_has_the_same_share_of_each_class():
    labels = np.random.default_rng(0).choice(3, 1000, p=[0.7, 0.2, 0.1])
    chosen = sample_rows(labels, 100)
    assert len(set(chosen)) == 100 and (np.diff(chosen) > 0).all()
    assert np.abs(np.bincount(labels[chosen]) - np.bincount(labels) / 10).max() <= 1
    assert np.array_equal(chosen, sample_rows(labels, 100))
    assert np.array_equal(sample_rows(labels, 1000), np.arange(1000))
    assert np.array_equal(sample_rows(labels, 2000), np.arange(1000))


def test_up_to_the_limit_all_features_are_kept(evaluated):
    evaluation, features = evaluated(300)
    assert evaluation.featured is None and np.array_equal(evaluation.features, features)
    assert featured_part(evaluation) is evaluation


def test_beyond_it_those_of_a_sample_are(evaluated):
    evaluation, features = evaluated(100)
    rows = evaluation.featured
    assert evaluation.total == 300 and len(rows) == 100
    assert np.array_equal(evaluation.features, features[rows])
    part = featured_part(evaluation)
    assert np.array_equal(part.logits, evaluation.logits[rows]) and np.array_equal(part.features, features[rows])
    assert part.paths == tuple(evaluation.paths[row] for row in rows) and part.featured is None
    assert evaluation.part(rows[:3]).features is None


def test_temperature_and_rejection_are_fitted_on_the_sample(evaluated):
    evaluation, _ = evaluated(100)
    fitted, expected = fit_rejector(evaluation), fit_rejector(featured_part(evaluation))
    assert fitted.to_record() == expected.to_record() and np.array_equal(fitted.bank, expected.bank)
    whole = fit_rejector(evaluated(300)[0])
    assert fitted.temperature == pytest.approx(whole.temperature, rel=0.5)


@pytest.mark.usefixtures("no_pictures", "narrow_model")
def test_a_run_says_so_and_has_a_temperature(photos, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "mstl")
    monkeypatch.setattr(feature_sample, "KEEP_FEATURES", 4)
    options = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 6, "workers": 1, "epochs": 1}
    state = mstl.fit(data=str(photos), out=str(tmp_path / "run"), report=False, augment="none", **options)
    assert "fitted on a random sample of 4 of the 6 validation images" in caplog.text
    assert len(state.rejector.bank) == 4
    assert read_checkpoint(tmp_path / "run" / "best.ckpt")[1]["trust"] == state.rejector.to_record()
