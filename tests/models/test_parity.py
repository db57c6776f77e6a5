"""mstl's nets give the logits of the implementations whose weights they load, and no other padding or name map does.

The golden files hold what the foreign implementations computed, so this is proven where none of them is installed; the
live tests compute it again where they are.
"""

import dataclasses
import itertools
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mstl.errors import MstlError
from mstl.models import efficientnet_lite, key_mapping, layers
from mstl.models.architectures import ARCHITECTURES, RESNETS
from mstl.models.bodies import find_bodies
from mstl.models.efficientnet_lite import EfficientNetLite
from mstl.models.factory import build_model
from mstl.models.loading import HEAD, Weights, load_weights, read_weights
from mstl.models.padding import SAME, SYMMETRIC
from tests.golden import foreign
from tests.reference import mindspore_net, tutorial_resnet

TOLERANCE = 1e-4  # of the largest logit
VISIBLE = 1e-3  # what a wrong padding or map must move at least: ten times what is tolerated
ODD = (97, 131)  # where "same" and symmetric padding differ in other places than at even sizes
LARGE = {"resnet101", "resnet152", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"}
PADDINGS = tuple(itertools.product((SYMMETRIC, SAME), repeat=2))
SMALL = ("torchvision-resnet18", "mindcv-resnet18", "tutorial-resnet50", "lite0-efficientnet_lite0")  # one a layout


def marked(golden):
    """A golden file's name as a test's parameter, marked slow where the net is large."""
    large = golden.partition("-")[2] in LARGE
    return pytest.param(golden, marks=pytest.mark.slow) if large else golden


def difference(logits, expected):
    """The largest absolute difference as a share of the largest logit; NaN where there is one."""
    return np.abs(logits - expected).max() / np.abs(expected).max()


def foreign_weights(golden):
    """A golden file's names, filled from the seed and read by mstl's own map; and its architecture."""
    layout, _, model = golden.partition("-")
    parameters = foreign.draw_all(foreign.load(golden)[0])
    return read_as(layout, parameters, golden), model


def read_as(layout, parameters, path="parameters"):
    """What ``read_weights`` makes of a file of these parameters, if it takes them for ``layout``."""
    return Weights(Path(path), key_mapping.MAPS[layout](parameters), layout, *key_mapping.PADDING[layout], None)


def build_for(model, weights, num_classes=foreign.CLASSES):
    """A net that pads as the weights want it; to draw convolutions for it first would take as long as to run it."""
    convolution = nn.Conv2d
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn, "Conv2d", lambda *args, **options: convolution(*args, **{**options, "weight_init": "zeros"}))
        return build_model(model, num_classes, padding=weights.padding, pool_padding=weights.pool_padding)


def run(net, images):
    """Logits in evaluation mode."""
    net.set_train(False)
    return net(ms.Tensor(images)).asnumpy()


def how_far(net, weights, images, expected):
    """The difference of the logits after loading; None where loading refuses."""
    try:
        skipped = load_weights(net, weights)
    except MstlError:
        return None
    assert skipped == []
    return difference(run(net, images), expected)


def is_caught(far):
    """Whether loading refused, or the logits moved beyond doubt (NaN, which no comparison holds for, counts)."""
    return far is None or not far <= VISIBLE


# ------------------------------------------------------------------------------------------------------ golden files


def test_there_are_golden_files_for_the_whole_family():
    wanted = {f"torchvision-{name}" for name in RESNETS}
    wanted |= {"mindcv-resnet18", "mindcv-resnet50", "tutorial-resnet50", "lite0-efficientnet_lite0"}
    assert wanted <= set(foreign.names())
    for golden in foreign.names():
        assert (foreign.FOLDER / f"{golden}.npz").stat().st_size < 20_000
        logits = foreign.load(golden)[1]
        assert logits.keys() == foreign.image_batches().keys()
        for values in logits.values():
            assert values.shape == (2, foreign.CLASSES) and np.isfinite(values).all()
            # a net that hardly looks at its input would be matched by one with other convolutions
            assert difference(values[0], values[1]) > VISIBLE


@pytest.mark.parametrize("golden", map(marked, foreign.names()))
def test_golden_logits(golden):
    weights, model = foreign_weights(golden)
    net = build_for(model, weights)
    assert load_weights(net, weights) == []
    for size, images in foreign.image_batches().items():
        assert difference(run(net, images), foreign.load(golden)[1][size]) <= TOLERANCE, size


@pytest.mark.parametrize("golden", SMALL)
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_golden_logits_from_a_file(golden, suffix, tmp_path):
    shapes, logits = foreign.load(golden)
    path = tmp_path / f"weights{suffix}"
    write(path, foreign.draw_all(shapes))
    layout, _, model = golden.partition("-")
    net = build_model(model, foreign.CLASSES, weights=path)
    assert (net.padding, net.pool_padding) == key_mapping.PADDING[layout]
    assert read_weights(path).layout == layout
    assert difference(run(net, foreign.image_batch(160, 192)), logits["160x192"]) <= TOLERANCE


def write(path, parameters):
    """A file as the layout's own tools write it, with nothing of mstl's in it."""
    if path.suffix == ".ckpt":
        ms.save_checkpoint([{"name": name, "data": ms.Tensor(value)} for name, value in parameters.items()], str(path))
    else:
        from safetensors.numpy import save_file

        save_file(parameters, path)


# -------------------------------------------------------------------------------------------------------------- live


def assert_alike(net, expected, batches):
    for images, logits in zip(batches, expected, strict=True):
        assert np.isfinite(logits).all()
        assert difference(run(net, images), logits) <= TOLERANCE, images.shape


@pytest.mark.parametrize("model", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_live_torch(model):
    pytest.importorskip("torch")
    from tests.reference import torch_resnet

    reference = torch_resnet.ResNet(model)
    parameters = foreign.draw_all(torch_resnet.shapes(reference))
    batches = [foreign.image_batch(224, 224), foreign.image_batch(*ODD)]
    weights = read_as("torchvision", parameters)
    net = build_for(model, weights, num_classes=1000)
    load_weights(net, weights)
    assert_alike(net, torch_resnet.compute(reference, parameters, batches), batches)


@pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "legacy"])
def test_live_torch_file(zip_format, tmp_path):
    torch = pytest.importorskip("torch")
    parameters = foreign.draw_all(foreign.load("torchvision-resnet18")[0])
    path = tmp_path / "resnet18.pth"
    torch.save(
        {name: torch.tensor(value) for name, value in parameters.items()},
        path,
        _use_new_zipfile_serialization=zip_format,
    )
    net = build_model("resnet18", foreign.CLASSES, weights=path)
    logits = foreign.load("torchvision-resnet18")[1]["160x192"]
    assert difference(run(net, foreign.image_batch(160, 192)), logits) <= TOLERANCE


@pytest.mark.parametrize("model", list(RESNETS))
def test_live_torch_names(model):
    pytest.importorskip("torch")
    from tests.reference import torch_resnet

    net = torch_resnet.ResNet(model, foreign.CLASSES)
    assert torch_resnet.shapes(net) == foreign.load(f"torchvision-{model}")[0]


@pytest.mark.parametrize("model", ["resnet18", "resnet50"])
def test_live_mindcv(model):
    mindcv = pytest.importorskip("mindcv")
    reference = mindcv.create_model(model, num_classes=foreign.CLASSES)
    shapes = mindspore_net.shapes(reference)
    assert shapes == foreign.load(f"mindcv-{model}")[0]
    assert_like_mindspore(reference, "mindcv", model)


def test_live_tutorial():
    reference = tutorial_resnet.ResNet50(foreign.CLASSES)
    assert mindspore_net.shapes(reference) == foreign.load("tutorial-resnet50")[0]
    assert_like_mindspore(reference, "tutorial", "resnet50")


def assert_like_mindspore(reference, layout, model):
    parameters = foreign.draw_all(mindspore_net.shapes(reference))
    batches = [*foreign.image_batches().values(), foreign.image_batch(*ODD)]
    weights = read_as(layout, parameters)
    net = build_for(model, weights)
    load_weights(net, weights)
    expected = mindspore_net.compute(reference, parameters, batches)
    assert_alike(net, expected, batches)
    for logits, golden in zip(expected, foreign.load(f"{layout}-{model}")[1].values(), strict=False):
        assert difference(logits, golden) <= TOLERANCE


@pytest.mark.parametrize("padding", [SYMMETRIC, SAME])
@pytest.mark.parametrize("height, width", itertools.product((8, 9), (12, 15)))
def test_max_pool_by_hand(padding, height, width):
    images = np.random.default_rng(0).uniform(size=(2, 3, height, width)).astype(np.float32)
    bordered = np.zeros((2, 3, height + 2, width + 2), np.float32)
    # "same" shares what is missing between both sides, and gives an odd one to the end
    top, left = (1 if padding == SYMMETRIC or side % 2 else 0 for side in (height, width))
    bordered[:, :, top : top + height, left : left + width] = images
    expected = np.array(
        [
            [bordered[:, :, row : row + 3, column : column + 3].max((2, 3)) for column in range(0, width, 2)]
            for row in range(0, height, 2)
        ]
    ).transpose(2, 3, 0, 1)
    np.testing.assert_array_equal(layers.MaxPool3x3(padding)(ms.Tensor(images)).asnumpy(), expected)


# ------------------------------------------------------------------------------------------------- the wrong padding


@pytest.mark.parametrize("golden", SMALL[:3])
def test_wrong_padding_shows(golden):
    weights, model = foreign_weights(golden)
    logits = foreign.load(golden)[1]
    for padding, pool_padding in PADDINGS:
        wrong = dataclasses.replace(weights, padding=padding, pool_padding=pool_padding)
        net = build_for(model, wrong)
        right = (padding, pool_padding) == (weights.padding, weights.pool_padding)
        if not right:
            with pytest.raises(MstlError, match="was trained with padding"):
                load_weights(net, weights)
        load_weights(net, wrong)
        far = difference(run(net, foreign.image_batch(160, 192)), logits["160x192"])
        assert far <= TOLERANCE if right else far > VISIBLE, (padding, pool_padding)


def test_wrong_padding_of_lite0_shows(monkeypatch):
    weights, _ = foreign_weights("lite0-efficientnet_lite0")
    monkeypatch.setattr(efficientnet_lite, "SAME", SYMMETRIC)
    net = EfficientNetLite(foreign.CLASSES)
    load_weights(net, weights)
    logits = foreign.load("lite0-efficientnet_lite0")[1]["160x192"]
    assert difference(run(net, foreign.image_batch(160, 192)), logits) > VISIBLE


# ------------------------------------------------------------------------------------------------ the wrong name map


@pytest.fixture(scope="module")
def resnet18():
    """A net, the parameters of torchvision's resnet18 in torchvision's names, an input, and its logits."""
    shapes, logits = foreign.load("torchvision-resnet18")
    net = build_model("resnet18", foreign.CLASSES)
    return net, foreign.draw_all(shapes), foreign.image_batch(160, 192), logits["160x192"]


@pytest.fixture(scope="module")
def resnet50():
    """The same of the tutorial's resnet50."""
    shapes, logits = foreign.load("tutorial-resnet50")
    net = build_model("resnet50", foreign.CLASSES, padding=SAME)
    return net, foreign.draw_all(shapes), foreign.image_batch(160, 192), logits["160x192"]


@pytest.mark.parametrize(
    "order",
    [order for order in itertools.permutations(key_mapping.NORM.values()) if order != tuple(key_mapping.NORM.values())],
)
def test_wrong_order_of_a_norms_arrays_is_caught(resnet18, order, monkeypatch):
    net, parameters, images, logits = resnet18
    monkeypatch.setattr(key_mapping, "NORM", dict(zip(key_mapping.NORM, order, strict=True)))
    assert is_caught(how_far(net, read_as("torchvision", parameters), images, logits))


def swapped(parameters, one, other):
    """The parameters with two parts of their names exchanged, wherever both names are there."""

    def rename(name):
        for here, there in ((one, other), (other, one)):
            if here in name and name.replace(here, there) in parameters:
                return name.replace(here, there)
        return name

    renamed = {rename(name): value for name, value in parameters.items()}
    assert renamed.keys() == parameters.keys() and any(renamed[name] is not parameters[name] for name in parameters)
    return renamed


@pytest.mark.parametrize(
    "one, other",
    [
        (".bn1.", ".bn2."),
        (".bn2.", ".downsample.1."),
        (".conv1.", ".conv2."),
        ("layer1.0.conv1.", "layer1.0.conv2."),
        ("layer1.0.", "layer1.1."),
        ("layer4.1.", "layer4.0."),
        ("layer1.", "layer2."),
        ("layer1.0.bn1.weight", "layer1.0.bn1.bias"),
        ("layer2.0.downsample.1.running_mean", "layer2.0.downsample.1.bias"),
    ],
)
def test_wrong_names_in_a_basic_block_are_caught(resnet18, one, other):
    net, parameters, images, logits = resnet18
    weights = read_as("torchvision", swapped(parameters, one, other))
    assert is_caught(how_far(net, weights, images, logits))


@pytest.mark.parametrize(
    "one, other", [(".norm1.", ".norm2."), (".norm3.", ".down_sample.1."), (".conv1.", ".conv3."), (".gamma", ".beta")]
)
def test_wrong_names_in_a_bottleneck_are_caught(resnet50, one, other):
    net, parameters, images, logits = resnet50
    assert is_caught(how_far(net, read_as("tutorial", swapped(parameters, one, other)), images, logits))


def test_the_right_map_is_not_caught(resnet18, resnet50):
    for layout, (net, parameters, images, logits) in (("torchvision", resnet18), ("tutorial", resnet50)):
        assert how_far(net, read_as(layout, parameters), images, logits) <= TOLERANCE


@pytest.mark.parametrize(
    "golden, wrong",
    [
        (golden, wrong)
        for golden, wrong in itertools.product(SMALL, key_mapping.MAPS)
        # lite0's map leaves the tutorial's names as they are, and both pad "same": nothing goes wrong
        if wrong != golden.partition("-")[0] and (golden, wrong) != ("tutorial-resnet50", "lite0")
    ],
)
def test_a_layout_taken_for_another_is_caught(golden, wrong):
    model = golden.partition("-")[2]
    shapes, logits = foreign.load(golden)
    weights = read_as(wrong, foreign.draw_all(shapes))
    net = build_for(model, weights)
    weights.padding, weights.pool_padding = net.padding, net.pool_padding  # EfficientNet-Lite0 has but one
    assert is_caught(how_far(net, weights, foreign.image_batch(160, 192), logits["160x192"]))


# ------------------------------------------------------------------------------------------------------------- names


def layouts(names):
    """The layouts of the models that these parameter names are of."""
    return [body.layout for body in find_bodies(names)]


@pytest.mark.parametrize("golden", foreign.names())
def test_names_settle_layout_and_architecture(golden):
    layout, _, model = golden.partition("-")
    shapes, _ = foreign.load(golden)
    assert layouts(shapes) == [layout]
    assert key_mapping.recognise(key_mapping.MAPS[layout](shapes)) == model
    headless = {name: shape for name, shape in shapes.items() if len(shape) != 2 and shape != (foreign.CLASSES,)}
    assert len(headless) == len(shapes) - 2
    assert layouts(headless) == [layout]
    assert key_mapping.recognise(key_mapping.MAPS[layout](headless)) == model


@pytest.mark.parametrize("golden", SMALL)
def test_maps_are_pure(golden):
    layout = golden.partition("-")[0]
    parameters = {name: object() for name in foreign.load(golden)[0]}
    before = dict(parameters)
    renamed = key_mapping.MAPS[layout](parameters)
    assert parameters == before and renamed is not parameters
    kept = [value for name, value in parameters.items() if not name.endswith(".num_batches_tracked")]
    assert list(renamed.values()) == kept  # none lost, none doubled, none moved
    assert key_mapping.MAPS[layout](parameters) == renamed


@pytest.mark.parametrize("golden", SMALL)
def test_mstls_own_names_are_a_layout_too(golden):
    layout = golden.partition("-")[0]
    own = key_mapping.MAPS[layout](foreign.load(golden)[0])
    assert layouts(own) == ["tutorial"]
    assert key_mapping.from_tutorial(own) == own


def test_names_of_nothing_known():
    for names in ((), ("features.0.weight", "classifier.6.bias"), ("conv1.weight",), ("layer1.0.conv1.weight",)):
        assert layouts(names) == []
        assert key_mapping.recognise(dict.fromkeys(names, (64, 3, 3, 3))) is None


def test_recognise_names_no_net_that_it_does_not_build():
    shapes = key_mapping.from_torchvision(foreign.load("torchvision-resnet50")[0])
    deeper = {**shapes, "layer1.3.conv1.weight": (64, 256, 1, 1)}
    narrower = {**shapes, "layer1.0.conv2.weight": (32, 32, 3, 3)}
    flat = {**shapes, "layer1.0.conv2.weight": (64,)}
    empty = {**shapes, "layer1.0.conv2.weight": (64, 0, 3, 3)}
    for strange in (deeper, narrower, flat, empty):
        assert key_mapping.recognise(strange) is None
    for part in ("layer1.0.conv3.weight", "layer1.0.norm3.gamma"):  # a damaged resnet50 is no resnet34
        damaged = {name: shape for name, shape in shapes.items() if name != part}
        assert key_mapping.recognise(damaged) != "resnet34"


# --------------------------------------------------------------------------------------------------- strict loading


def test_every_missing_parameter_is_refused_by_name(resnet18):
    net, parameters, _, _ = resnet18
    whole = read_as("torchvision", parameters, "some.pth")
    before = net.conv1.weight.asnumpy()
    for name in whole.parameters:
        if name in HEAD:
            continue
        rest = {other: value for other, value in whole.parameters.items() if other != name}
        with pytest.raises(MstlError) as error:
            load_weights(net, dataclasses.replace(whole, parameters=rest))
        assert f"1 missing ({name})" in str(error.value) and "some.pth" in str(error.value)
    np.testing.assert_array_equal(net.conv1.weight.asnumpy(), before)


@pytest.mark.parametrize("name", ["bn3.weight", "layer1.2.conv1.weight", "layer1.0.conv1.bias", "optimizer.step"])
def test_unexpected_parameters_are_refused_by_name(resnet18, name):
    net, parameters, _, _ = resnet18
    weights = read_as("torchvision", {**parameters, name: np.ones(64, np.float32)})
    with pytest.raises(MstlError) as error:
        load_weights(net, weights)
    (renamed,) = key_mapping.from_torchvision({name: None})
    assert f"1 unexpected ({renamed})" in str(error.value)


@pytest.mark.parametrize(
    "name",
    ["_bn0.scale", "_conv_stem.deep.weight", "_blocks.0._bn1.scale", "_blocks.0._se.fc.weight", "_blocks.weight"],
)
def test_names_strange_to_lite0_are_left_to_be_refused(name):
    shapes = foreign.load("lite0-efficientnet_lite0")[0]
    usual = key_mapping.from_lite0(shapes)
    renamed = key_mapping.from_lite0({name: "extra", **shapes})
    assert renamed == {name: "extra", **usual}


@pytest.mark.parametrize("shape", [(), (64,), (64, 64, 3), (64, 64, 1, 1), (64, 0, 3, 3)])
@pytest.mark.parametrize(
    "name", ["conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight", "layer4.1.bn2.bias"]
)
def test_misshapen_parameters_are_refused_by_name(resnet18, name, shape):
    net, parameters, _, _ = resnet18
    weights = read_as("torchvision", {**parameters, name: np.ones(shape, np.float32)})
    with pytest.raises(MstlError) as error:
        load_weights(net, weights)
    (renamed,) = key_mapping.from_torchvision({name: None})
    assert f"1 of another shape ({renamed})" in str(error.value)


def test_all_differences_are_named_at_once(resnet18):
    net, parameters, _, _ = resnet18
    changed = {**parameters, "extra": np.ones(1, np.float32), "layer2.0.bn1.bias": np.ones(7, np.float32)}
    for name in ("layer1.0.bn1.weight", "layer1.0.bn1.bias", "layer1.0.bn2.weight", "layer1.0.bn2.bias"):
        del changed[name]
    with pytest.raises(MstlError) as error:
        load_weights(net, read_as("torchvision", changed))
    message = str(error.value)
    assert "4 missing (layer1.0.norm1.beta, layer1.0.norm1.gamma, layer1.0.norm2.beta, ...)" in message
    assert "1 unexpected (extra)" in message and "1 of another shape (layer2.0.norm1.beta)" in message
    assert "\n" not in message


@pytest.mark.parametrize("other", [name for name in ARCHITECTURES if name != "resnet18"])
def test_another_architecture_is_named(resnet18, other):
    net = resnet18[0]
    layout = "lite0" if other == "efficientnet_lite0" else "torchvision"
    shapes = foreign.load(f"{layout}-{other}")[0]
    blank = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
    weights = read_as(layout, blank, "other.pth")
    weights.padding, weights.pool_padding = net.padding, net.pool_padding
    with pytest.raises(MstlError, match=f"other.pth is a {other}; use --model {other}$"):
        load_weights(net, weights)


@pytest.mark.parametrize(
    "golden, model", [("torchvision-resnet34", "resnet18"), ("lite0-efficientnet_lite0", "resnet18")]
)
def test_a_file_of_another_architecture_is_named(golden, model, tmp_path):
    path = tmp_path / "weights.safetensors"
    write(path, foreign.draw_all(foreign.load(golden)[0]))
    found = golden.partition("-")[2]
    with pytest.raises(MstlError, match=f"is a {found}; use --model {found}$"):
        build_model(model, foreign.CLASSES, weights=path)


def test_a_file_for_lite0_of_another_architecture_is_named(tmp_path):
    path = tmp_path / "weights.safetensors"
    write(path, foreign.draw_all(foreign.load("torchvision-resnet18")[0]))
    with pytest.raises(MstlError, match="is a resnet18; use --model resnet18$"):
        build_model("efficientnet_lite0", foreign.CLASSES, weights=path)


def test_a_head_of_another_size_is_left_out_and_said(resnet18, caplog):
    _, parameters, images, _ = resnet18
    weights = read_as("torchvision", parameters, "some.pth")
    net = build_for("resnet18", weights, num_classes=7)
    with caplog.at_level("INFO", logger="mstl"):
        assert load_weights(net, weights) == ["fc.weight", "fc.bias"]
    assert f"some.pth has a head of {foreign.CLASSES} classes" in caplog.text
    np.testing.assert_array_equal(net.conv1.weight.asnumpy(), parameters["conv1.weight"])
    assert run(net, images).shape == (2, 7)
