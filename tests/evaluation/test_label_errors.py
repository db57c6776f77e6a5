"""Wrong labels in clusters whose right ones are known; the regression against scikit-learn's."""

import csv

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from mstl.errors import MstlError
from mstl.evaluation import label_errors
from mstl.evaluation.grouping import grouped_folds
from mstl.evaluation.label_errors import (
    PENALTY,
    find_label_errors,
    fit_discriminant,
    out_of_fold,
    rank_label_errors,
    write_label_errors,
)


def clusters(each=30, classes=3, width=40, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    features = 4 * np.eye(width)[labels] + noise * rng.normal(size=(len(labels), width))
    return features.astype(np.float32), labels


def centred(features):
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    return units - units.mean(axis=0)


def names(labels):
    return [f"photo {index}.jpg" for index in range(len(labels))]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("width", [40, 300])
def test_flipped_labels_come_first(seed, width):
    features, right = clusters(width=width, seed=seed)
    flipped = np.random.default_rng(seed).choice(len(right), 4, replace=False)
    labels = right.copy()
    labels[flipped] = (labels[flipped] + 1) % 3
    found = find_label_errors(features, labels, ("a", "b", "c"), names(labels))
    assert {suspect.index for suspect in found[:4]} == set(flipped)
    for suspect in found[:4]:
        assert suspect.path == f"photo {suspect.index}.jpg"
        assert suspect.label == "abc"[labels[suspect.index]]
        assert suspect.suggested == "abc"[right[suspect.index]]
    probabilities = [suspect.probability for suspect in found]
    assert probabilities == sorted(probabilities) and probabilities[0] >= 0 and probabilities[-1] <= 0.5


def test_flipped_labels_come_first_in_large_problems_too(monkeypatch):
    monkeypatch.setattr(label_errors, "LARGE", 0)
    features, right = clusters(each=200)
    labels = right.copy()
    labels[::150] = (labels[::150] + 1) % 3
    found = find_label_errors(features, labels, ("a", "b", "c"), names(labels))
    assert {suspect.index for suspect in found[:4]} == {0, 150, 300, 450}


def test_right_labels_give_no_suspects():
    features, labels = clusters(noise=0.1)
    assert find_label_errors(features, labels, ("a", "b", "c"), names(labels)) == []


def test_same_seed_same_answer():
    features, labels = clusters(noise=3)
    first, second = (find_label_errors(features, labels, ("a", "b", "c"), names(labels)) for _ in range(2))
    assert first and first == second
    assert first != find_label_errors(features, labels, ("a", "b", "c"), names(labels), seed=1)


@pytest.mark.parametrize("width", [20, 200])
def test_probabilities_and_scores_equal_those_of_scikit_learn(width):
    """The same penalty on the same features."""
    features, labels = clusters(noise=2, width=width)
    features, labels = features[:70], labels[:70]  # 10 photos of the third class: the intercept matters
    plain = centred(features)
    plain = plain.astype(np.float64) / np.sqrt((plain**2).sum(axis=1).mean())
    places = grouped_folds(labels, None, 5, seed=0)
    expected = np.zeros((len(labels), 3))
    for fold in range(5):
        inside = places == fold
        penalty = PENALTY * (~inside).sum() / 3
        model = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000).fit(plain[~inside], labels[~inside])
        expected[inside] = model.predict_proba(plain[inside])
    assert out_of_fold(features, labels, 3, places) == pytest.approx(expected, abs=2e-4)

    found = find_label_errors(features, labels, ("a", "b", "c"), names(labels))
    assert 5 < len(found) < len(labels) / 2
    for suspect in found:
        row, label = expected[suspect.index], labels[suspect.index]
        assert suspect.probability == pytest.approx(row[label], abs=2e-4)
        assert suspect.suggested == "abc"[row.argmax()] != "abc"[label]


def test_discriminants_are_those_of_scikit_learn(monkeypatch):
    monkeypatch.setattr(label_errors, "SHRINKAGE", 0.2)
    features, labels = clusters(noise=2)
    features, labels = features[:70], labels[:70]
    weights, bias = fit_discriminant(features, labels, 4)
    centres = np.stack([features[labels == number].mean(0) for number in range(3)])
    within = features - centres[labels]
    covariance = 0.8 * within.T @ within / 67
    covariance += 0.2 * np.trace(covariance / 0.8) / 40 * np.eye(40)
    expected = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Given(covariance)).fit(features, labels)
    logits = features @ weights + bias
    found = np.exp(logits - logits.max(1, keepdims=True))
    found /= found.sum(1, keepdims=True)
    np.testing.assert_allclose(found[:, :3], expected.predict_proba(features), atol=1e-3)
    assert found[:, 3].max() < 1e-6, "a class without samples"


class Given:
    """A covariance that is known."""

    def __init__(self, covariance):
        self.covariance_ = covariance

    def fit(self, _):
        return self


def test_copies_do_not_confirm_each_other():
    """Of a picture unlike others, copies have the same wrong label: they are found, as they are held out together."""
    features, right = clusters(each=20, noise=0.1)
    copies = [3, 25, 30, 50]
    features[copies] = features[3] + 6 * np.eye(40)[20]
    labels = np.where(np.isin(np.arange(60), copies), 2, right)
    groups = np.arange(60)
    groups[copies] = 3
    found = find_label_errors(features, labels, ("a", "b", "c"), names(labels), groups=groups)
    assert {each.index for each in found} == set(copies) and {each.suggested for each in found} == {"a"}
    assert find_label_errors(features, labels, ("a", "b", "c"), names(labels)) == []


@pytest.mark.parametrize("classes", [2, 7])
def test_the_ranking_is_that_of_cleanlab(classes):
    filters = pytest.importorskip("cleanlab.filter", reason="cleanlab is in the extra test")
    rank = pytest.importorskip("cleanlab.rank")
    rng = np.random.default_rng(classes)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 300)])
    probabilities = rng.dirichlet(np.ones(classes), len(labels))
    found = rank_label_errors(probabilities, labels, [str(each) for each in range(classes)], names(labels))
    theirs = filters.find_label_issues(
        labels, probabilities, filter_by="predicted_neq_given", return_indices_ranked_by="self_confidence", n_jobs=1
    )
    assert [each.index for each in found] == theirs.tolist() and len(found) > 50
    quality = rank.get_label_quality_scores(labels, probabilities)  # as cleanlab ranks if it is not told how
    assert [each.probability for each in found] == pytest.approx(quality[theirs])


def test_only_photo_of_a_class_and_features_that_do_not_vary():
    features, labels = clusters(each=10)
    features = np.vstack([features, features[:1]])
    features[:, -1] = 7
    labels = np.append(labels, 3)  # a copy of one of class 0, but all there is of class 3; class 4 has none
    with np.errstate(all="raise", under="ignore"):
        assert find_label_errors(features, labels, tuple("abcde"), names(labels), groups=[*range(30), 0]) == []
        alike = find_label_errors(np.ones((6, 4)), [0, 0, 0, 1, 1, 1], ("a", "b"), names(range(6)))
    # only the other folds' shares are left: 2 of 5 against 3 of 5, and 1 in 2 for the two that share a fold
    assert [suspect.probability for suspect in alike[:4]] == pytest.approx([0.4] * 4, abs=0.01)
    assert all(suspect.probability == pytest.approx(0.5, abs=0.01) for suspect in alike[4:])


def test_csv(tmp_path):
    features, labels = clusters(each=10)
    labels[3] = 2
    paths = [f"蚂蚁, or not/{index}.jpg" for index in range(30)]
    found = find_label_errors(features, labels, ("蚂蚁", "b", 'c "d"'), paths)
    write_label_errors(tmp_path / "suspects.csv", found)
    with open(tmp_path / "suspects.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["path", "label", "suggested", "probability"]
    assert len(rows) == 1
    assert (rows[0]["path"], rows[0]["label"], rows[0]["suggested"]) == ("蚂蚁, or not/3.jpg", 'c "d"', "蚂蚁")
    assert float(rows[0]["probability"]) == pytest.approx(found[0].probability, abs=1e-4)


def test_failed_writing_keeps_the_old_csv(tmp_path):
    path = tmp_path / "suspects.csv"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_label_errors(path, [None])
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_features_that_are_no_numbers_are_named():
    features, labels = clusters(each=5)
    features[3, 2] = np.nan
    with pytest.raises(MstlError, match="diverged"):
        find_label_errors(features, labels, ("a", "b", "c"), names(labels))
