"""Grad-CAM where the right answer is known: nets that look at one quadrant, and the closed form for a linear head."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from PIL import Image

import mstl
from mstl import Preprocessing
from mstl.report.gradcam import evaluation_mode, gradcam, overlay, to_pixels

HEIGHT, WIDTH, PATCH = 32, 48, 8
QUADRANTS = [(rows, columns) for rows in (slice(0, 16), slice(16, 32)) for columns in (slice(0, 24), slice(24, 48))]


class Quadrants(nn.Cell):
    """Four classes; the logit of each is the brightness of its own quadrant (read from left to right, top down)."""

    def __init__(self, dtype=ms.float32):
        super().__init__()
        self.pool = nn.AvgPool2d(PATCH, PATCH, pad_mode="valid")
        masks = np.zeros((1, 4, HEIGHT, WIDTH), np.float32)
        for index, (rows, columns) in enumerate(QUADRANTS):
            masks[0, index, rows, columns] = 1
        self.masks = ms.Tensor(masks[..., ::PATCH, ::PATCH])
        self.dtype = dtype

    def forward_features(self, x):
        return (self.pool(x).mean(1, keep_dims=True) * self.masks).astype(self.dtype)

    def forward_head(self, features):
        return features.mean((2, 3))

    def construct(self, x):
        return self.forward_head(self.forward_features(x))


def bright(count=1, seed=0):
    """Bright everywhere, a little differently."""
    return np.random.default_rng(seed).uniform(0.8, 1, (count, 3, HEIGHT, WIDTH)).astype(np.float32)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("dtype", [ms.float32, ms.float16])
@pytest.mark.parametrize("quadrant", range(4))
def test_the_quadrant_that_the_answer_depends_on_is_lit(quadrant, dtype):
    net, image, (rows, columns) = Quadrants(dtype), bright(), QUADRANTS[quadrant]
    elsewhere = np.ones((HEIGHT, WIDTH), bool)
    elsewhere[rows, columns] = False
    darkened = image * ~elsewhere
    logits = [net(ms.Tensor(pixels)).asnumpy()[0, quadrant] for pixels in (image, darkened)]
    assert logits[0] == logits[1] > 0  # what the test stands on
    heat = gradcam(net, image, [quadrant])
    assert heat.shape == (1, HEIGHT, WIDTH) and heat.dtype == np.float32
    assert heat.max() == 1
    reach = np.zeros((HEIGHT, WIDTH), bool)  # interpolation goes on to the centre of the next patch
    edge = PATCH // 2
    reach[max(0, rows.start - edge) : rows.stop + edge, max(0, columns.start - edge) : columns.stop + edge] = True
    assert heat[0][~reach].max() == 0
    assert heat[0, rows, columns].min() > 0.3  # a corner where both directions fade: (1/2 + 1/16)^2
    assert heat[0, rows, columns].sum() > 0.75 * heat.sum()


def test_the_predicted_class_is_explained_unless_told_otherwise():
    images = np.repeat(bright(), 4, axis=0)
    for index, (rows, columns) in enumerate(QUADRANTS):
        images[index, :, rows, columns] *= 2
    net = Quadrants()
    assert np.array_equal(gradcam(net, images), gradcam(net, images, np.arange(4)))
    assert np.array_equal(gradcam(net, images, 2), gradcam(net, images, np.full(4, 2)))
    with pytest.raises(ValueError, match="broadcast"):
        gradcam(net, images, [0, 1])


@pytest.mark.filterwarnings("error")
def test_where_nothing_speaks_for_the_class_the_map_is_zero():
    images = bright(2)
    rows, columns = QUADRANTS[3]
    images[1, :, rows, columns] = 0
    heat = gradcam(Quadrants(), images, 3)
    assert heat[0].max() == 1 and heat[1].max() == heat[1].min() == 0
    assert not gradcam(Quadrants(), -images[:1], 3).any()


def test_no_images():
    assert gradcam(Quadrants(), bright(0)).shape == (0, HEIGHT, WIDTH)


def enlarge(cam, height, width):
    """Bilinear interpolation between the centres of the cells, constant beyond the outermost ones."""
    for axis, size in enumerate((height, width)):
        places = (np.arange(size) + 0.5) * cam.shape[axis] / size - 0.5
        cam = np.apply_along_axis(lambda line: np.interp(places, np.arange(len(line)), line), axis, cam)  # noqa: B023
    return cam


@pytest.mark.parametrize("size", [(96, 160), (224, 224), (32, 32)])
def test_closed_form_of_mean_pooling_and_a_linear_head(size):
    """The gradient is the class's row of the head over the number of places, at every place."""
    net = mstl.resnet18(num_classes=5)
    head = noise(5, net.num_features, seed=1)
    head[1] = -head[0]  # something speaks for one of the two
    net.fc.weight.set_data(ms.Tensor(head))
    net.set_train(False)
    images = noise(2, 3, *size)
    features = net.forward_features(ms.Tensor(images)).asnumpy()
    lit = set()
    for targets in ([0, 1], [1, 0]):
        heat = gradcam(net, images, targets)
        for index, target in enumerate(targets):
            weights = head[target] / features[0, 0].size
            by_hand = enlarge(np.maximum(np.einsum("c,chw->hw", weights, features[index]), 0), *size)
            assert heat[index] == pytest.approx(by_hand / (by_hand.max() or 1), abs=1e-4)
            if heat[index].max() == 1:
                lit.add(index)
    assert lit == {0, 1}


def test_a_net_in_training_comes_back_as_it_was():
    net = mstl.resnet18(num_classes=5)
    images = ms.Tensor(noise(2, 3, 64, 64))
    expected = gradcam(net, images)
    net.set_train(True)
    net.layer1.set_train(False)
    modes = {name: cell.training for name, cell in net.cells_and_names()}
    assert set(modes.values()) == {True, False}
    before = {parameter.name: parameter.asnumpy().copy() for parameter in net.get_parameters()}
    heat = gradcam(net, images)
    assert np.array_equal(heat, expected) and heat.min() >= 0 and heat.max() <= 1
    assert {name: cell.training for name, cell in net.cells_and_names()} == modes
    assert "norm.moving_mean" in before
    for parameter in net.get_parameters():
        assert np.array_equal(parameter.asnumpy(), before[parameter.name]), parameter.name


def test_the_mode_comes_back_after_an_error():
    net = nn.SequentialCell([nn.Dense(2, 2), nn.Dense(2, 2)]).set_train(True)
    with pytest.raises(KeyboardInterrupt), evaluation_mode(net):
        assert not any(cell.training for _, cell in net.cells_and_names())
        raise KeyboardInterrupt
    assert all(cell.training for _, cell in net.cells_and_names())


def test_overlay_by_hand():
    photo = np.array([[[200, 100, 50], [10, 20, 30]]], np.uint8)
    heat = np.array([[0.0, 1.0]], np.float32)
    # 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2; inferno ends at (252, 255, 164)
    assert overlay(photo, heat, alpha=1).tolist() == [[[124, 124, 124], [252, 255, 164]]]
    # 0.75 * (0.299 * 10 + 0.587 * 20 + 0.114 * 30) + 0.25 * (252, 255, 164), where the first part is 13.6
    assert overlay(photo, heat, alpha=0.25)[0, 1].tolist() == [77, 77, 55]


def test_a_cold_photo_is_pillows_grey_one():
    photo = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
    drawn = overlay(photo, np.zeros((2, 9, 7), np.float32))
    assert drawn.dtype == np.uint8 and drawn.shape == photo.shape
    for one, original in zip(drawn, photo, strict=True):
        grey = np.asarray(Image.fromarray(original).convert("L")).astype(int)
        assert np.abs(one - grey[..., None]).max() <= 1


def test_the_hotter_the_more_of_the_heat():
    """On the middle grey that heat is drawn over, the distance from it grows from the coldest to the hottest."""
    heat = np.linspace(0, 1, 11, dtype=np.float32)[None]
    drawn = overlay(np.full((1, 11, 3), 90, np.uint8), heat).astype(int)
    assert np.all(np.diff(np.linalg.norm(drawn[0] - 90, axis=1)) > 0)


@pytest.mark.parametrize("wrap", [ms.Tensor, np.asarray])
def test_to_pixels_takes_the_normalisation_back(wrap):
    preprocessing = Preprocessing()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3), dtype=np.uint8)
    normalised = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]  # ImageNet's, as it is everywhere
    images = wrap(normalised.transpose(0, 3, 1, 2).astype(np.float32))
    assert np.array_equal(to_pixels(images, preprocessing), pixels)


def test_to_pixels_clips():
    images = np.array([[-9.0, 9.0]] * 3, np.float32)[None, :, None]
    assert to_pixels(images, Preprocessing()).tolist() == [[[[0, 0, 0], [255, 255, 255]]]]
