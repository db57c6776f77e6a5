"""The map of features against NumPy's eigenvectors and clusters that anyone can tell apart."""

import sys

import numpy as np
import pytest

from mstl import MstlError
from mstl.report.plots.projection import project


def table(n, d, seed=0):
    """Correlated columns of unlike widths, around a mean that is not 0."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(0, 10, d)


def three_clusters(n=60, d=512):
    labels = np.arange(n) % 3
    return np.random.default_rng(0).normal(size=(n, d)) + 40 * np.eye(d)[labels], labels


@pytest.fixture
def no_sklearn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (7, 30), (3, 2), (200, 2)])
def test_pca_is_the_covariances_eigenvectors(n, d):
    features = table(n, d)
    _, vectors = np.linalg.eigh(np.cov(features.T))  # in growing order
    by_numpy = (features - features.mean(axis=0)) @ vectors[:, [-1, -2]]
    points, method = project(features, "pca")
    assert method == "pca" and points.dtype == np.float64
    assert np.abs(points) == pytest.approx(np.abs(by_numpy), abs=1e-8)


def test_pca_by_hand():
    """Widest along the second column; there and in the first column, larger values get larger coordinates."""
    points, _ = project([[1, -4, 7], [-1, -4, 7], [1, 4, 7], [-1, 4, 7]], "pca")
    assert points == pytest.approx(np.array([[-4, 1], [-4, -1], [4, 1], [4, -1]]), abs=1e-12)


def test_the_order_of_the_photos_turns_no_sign():
    features = table(20, 5)
    order = np.random.default_rng(1).permutation(20)
    assert project(features[order], "pca")[0] == pytest.approx(project(features, "pca")[0][order], abs=1e-9)


@pytest.mark.parametrize("method", ["auto", "pca"])
@pytest.mark.parametrize("features", [np.ones((1, 8)), np.full((12, 8), 0.3), np.ones((2, 1))])
def test_nothing_that_differs_is_one_point(features, method):
    points, used = project(features, method)
    assert used == "pca"
    assert points == pytest.approx(np.zeros((len(features), 2)), abs=1e-12)


def test_two_photos_lie_on_a_line():
    points, method = project([[0, 0, 0], [3, 4, 0]])
    assert method == "pca"
    assert points == pytest.approx(np.array([[-2.5, 0], [2.5, 0]]), abs=1e-12)


def test_a_single_feature_lies_on_a_line():
    points, method = project(np.arange(12.0)[:, None])
    assert method == "pca"
    assert points == pytest.approx(np.stack([np.arange(12) - 5.5, np.zeros(12)], axis=1), abs=1e-12)


@pytest.mark.parametrize("n", [12, 60])
def test_tsne_keeps_clusters_apart(n):
    pytest.importorskip("sklearn")
    features, labels = three_clusters(n)
    points, method = project(features)
    assert method == "tsne" and points.shape == (n, 2) and points.dtype == np.float64
    centres = np.array([points[labels == label].mean(axis=0) for label in range(3)])
    radius = np.linalg.norm(points - centres[labels], axis=1).max()
    apart = np.linalg.norm(centres[[0, 1, 2]] - centres[[1, 2, 0]], axis=1).min()
    assert apart > 3 * radius
    assert np.array_equal(project(features, "tsne")[0], points)


@pytest.mark.parametrize("scale", [2.0**-130, 2.0**100])
def test_the_unit_of_the_features_does_not_matter_to_tsne(scale):
    pytest.importorskip("sklearn")
    features = table(20, 8)
    assert np.array_equal(project(features * scale, "tsne")[0], project(features, "tsne")[0])


def test_few_photos_are_mapped_by_pca():
    pytest.importorskip("sklearn")
    assert project(table(9, 4))[1] == "pca"
    assert project(table(10, 4))[1] == "tsne"


def test_without_scikit_learn_auto_is_pca(no_sklearn):
    features = table(30, 4)
    points, method = project(features)
    assert method == "pca" and np.array_equal(points, project(features, "pca")[0])


def test_without_scikit_learn_tsne_says_how_to_install_it(no_sklearn):
    with pytest.raises(MstlError, match="pip install scikit-learn"):
        project(table(30, 4), "tsne")


@pytest.mark.parametrize("features", [table(9, 4), np.ones((20, 4)), np.arange(20.0)[:, None]])
def test_too_little_for_tsne(features):
    with pytest.raises(MstlError, match=f"10 images or more.* {len(features)} x {features.shape[1]}: take pca"):
        project(features, "tsne")


def test_wrong_method():
    with pytest.raises(MstlError, match="'umap': choose one of auto, pca, tsne"):
        project(table(5, 3), "umap")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_net_that_diverged(value):
    features = table(5, 3)
    features[2, 1] = value
    with pytest.raises(MstlError, match="diverged"):
        project(features)
