"""Mixed batches: every image and target is worked out again from what the other says."""

import mindspore as ms
import numpy as np
import pytest

from mstl.data.loading.mixup import Mixer, box

N, SIDE = 6, 20


def batch(count=N, side=SIDE):
    """Image i has the value i everywhere and the class i, so that a mixture shows what it is of."""
    values = np.arange(count, dtype=np.float32)
    return np.broadcast_to(values[:, None, None, None], (count, 3, side, side)).copy(), np.arange(count, dtype=np.int32)


def run(mixer, epoch=1, number=0, count=N):
    images, labels = batch(count)
    mixed, targets = mixer(ms.Tensor(images), ms.Tensor(labels), epoch, number)
    assert mixed.shape == images.shape and targets.shape == (count, count)
    assert mixed.dtype == ms.float32 and targets.dtype == ms.float32
    return mixed.asnumpy(), targets.asnumpy()


def partner_and_share(targets, index):
    """From a row of targets without smoothing: whom it was mixed with, and how much is left of its own."""
    others = [other for other in range(len(targets)) if other != index and targets[index, other] > 0]
    assert len(others) <= 1
    return (others[0] if others else index), (targets[index, index] if others else 1.0)


@pytest.mark.parametrize("number", range(5))
def test_mixup_is_the_mean_that_the_targets_say(number):
    images, targets = run(Mixer(N, mixup=1.0, seed=3), number=number)
    for index in range(N):
        partner, share = partner_and_share(targets, index)
        assert images[index] == pytest.approx(share * index + (1 - share) * partner, abs=1e-5)


@pytest.mark.parametrize("number", range(8))
def test_cutmix_pastes_one_box_of_the_area_that_the_targets_say(number):
    images, targets = run(Mixer(N, cutmix=1.0, seed=3), number=number)
    places = set()
    for index in range(N):
        partner, share = partner_and_share(targets, index)
        own = images[index, 0] == index
        assert np.all(own | (images[index, 0] == partner))
        assert np.array_equal(images[index, 1], images[index, 0])
        if partner != index:
            assert own.mean() == pytest.approx(share, abs=1e-6)
            rows, columns = np.nonzero(~own)
            if len(rows):  # it fills the rectangle around it
                assert (np.ptp(rows) + 1) * (np.ptp(columns) + 1) == len(rows)
            places.add(own.tobytes())
    assert len(places) <= 1  # the same box for the whole batch


def test_the_box_has_the_area_before_clipping_and_centres_everywhere():
    rng = np.random.default_rng(0)
    rows, columns = zip(*(box(100, 60, 0.75, rng) for _ in range(2000)), strict=True)
    assert max(one.stop - one.start for one in rows) == 50
    assert max(one.stop - one.start for one in columns) == 30
    assert min(one.start for one in rows) == 0 and max(one.stop for one in rows) == 100
    whole = [one.start for one in rows if one.stop - one.start == 50]
    assert np.mean(whole) == pytest.approx(25, abs=2)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_mixup_draws_its_share_from_a_beta_distribution(alpha):
    mixer = Mixer(2, mixup=alpha, seed=1)
    images, labels = np.zeros((2, 3, 1, 1), np.float32), np.arange(2)
    shares = [targets[0, 0] for targets in (mixer(images, labels, 1, n)[1].asnumpy() for n in range(3000))]
    shares = np.array([share for share in shares if share < 1])  # half of the pairs are a photo with itself
    assert len(shares) > 1000
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert (shares * (1 - shares)).mean() == pytest.approx(alpha / (2 * (2 * alpha + 1)), rel=0.06)  # by the formula


def test_of_two_each_batch_gets_one():
    mixer = Mixer(N, mixup=1.0, cutmix=1.0, seed=0)
    cut = [np.all(images == images.round()) for images, _ in (run(mixer, number=n) for n in range(60))]
    assert 18 < sum(cut) < 42


def test_rows_sum_to_one_with_everything_at_once():
    for number in range(10):
        _, targets = run(Mixer(N, 0.4, 1.0, smoothing=0.1, seed=2), number=number)
        assert targets.sum(axis=1) == pytest.approx(1, abs=1e-6)
        assert targets.min() == pytest.approx(0.1 / N)


def test_smoothing_alone_leaves_the_images_and_gives_known_targets():
    images, targets = run(Mixer(N, smoothing=0.3))
    assert np.array_equal(images, batch()[0])
    assert targets == pytest.approx(np.full((N, N), 0.05) + 0.7 * np.eye(N))


def test_nothing_asked_gives_one_hot_targets():
    images, targets = run(Mixer(N))
    assert np.array_equal(images, batch()[0]) and np.array_equal(targets, np.eye(N))


@pytest.mark.parametrize("options", [{"mixup": 0.5}, {"cutmix": 1.0}, {"mixup": 0.5, "cutmix": 1.0}])
def test_it_depends_on_seed_epoch_and_batch_alone(options):
    first = run(Mixer(N, **options, seed=1), epoch=2, number=3)
    np.random.seed(99)
    again = run(Mixer(N, **options, seed=1), epoch=2, number=3)
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    others = (
        run(Mixer(N, **options, seed=2), 2, 3),
        run(Mixer(N, **options, seed=1), 3, 3),
        run(Mixer(N, **options, seed=1), 2, 4),
    )
    assert not any(np.array_equal(first[1], other[1]) for other in others)


@pytest.mark.parametrize("options", [{"mixup": 0.5}, {"cutmix": 1.0}])
def test_the_batch_given_is_not_changed(options):
    images, labels = batch()
    tensor = ms.Tensor(images)
    for number in range(3):
        Mixer(N, **options)(tensor, labels, 1, number)
        Mixer(N, **options)(images, labels, 1, number)
    assert np.array_equal(tensor.asnumpy(), batch()[0]) and np.array_equal(images, batch()[0])


@pytest.mark.parametrize("options", [{"mixup": 0.5}, {"cutmix": 1.0}, {}])
def test_one_photo_is_mixed_with_itself(options):
    images, targets = run(Mixer(1, **options), count=1)
    assert np.array_equal(images, batch(1)[0]) and targets == pytest.approx(1)


@pytest.mark.parametrize("options", [{"mixup": -1}, {"cutmix": -0.1}, {"smoothing": 1.0}, {"smoothing": -0.1}])
def test_values_out_of_range(options):
    with pytest.raises(ValueError, match="must be"):
        Mixer(2, **options)
