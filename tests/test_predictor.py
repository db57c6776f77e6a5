"""From a checkpoint to predictions: any kind of photo, in any order, with the unusable ones named."""

import contextlib
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mstl
from mstl import MstlError, checkpoint
from mstl.checkpoint import read_checkpoint, save_checkpoint
from mstl.data.finding.predict_inputs import Unreadable
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import eval_transforms
from mstl.predictor import Prediction
from mstl.runtime.interrupts import interruptible
from tests.checkpoints import write_checkpoint
from tests.conftest import COLORS, write_folder, write_photo

pytestmark = pytest.mark.usefixtures("narrow_model")
CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data folder, a checkpoint trained on it, and its rejector."""
    root = tmp_path_factory.mktemp("predictor")
    write_folder(root / "photos", {"train": 8, "val": 4}, CLASSES)
    return root / "photos", root / "run" / "best.ckpt", write_checkpoint(root / "run" / "best.ckpt", root / "photos")


@pytest.fixture(scope="module")
def predictor(made):
    return mstl.Predictor(made[1])


@pytest.fixture(scope="module")
def expected(made, predictor):
    """By the model itself and by the formulas: a dict from path to (probabilities, rejected)."""
    _, val = mstl.load_data(str(made[0]))
    rejector, rows = made[2], {}
    for index, (images, _) in enumerate(Loader(val, eval_transforms(predictor.preprocessing), 1).batches()):
        maps = predictor.model.forward_features(images)
        logits, features = predictor.model.forward_head(maps).asnumpy(), maps.asnumpy().mean(axis=(2, 3))
        powers = np.exp(logits[0].astype(float) / rejector.temperature)
        rows[val.paths[index]] = powers / powers.sum(), bool(rejector.rejected(logits, features)[0])
    assert len({probabilities.argmax() for probabilities, _ in rows.values()}) == 3
    assert max(probabilities.max() for probabilities, _ in rows.values()) < 0.999
    return rows


def check(prediction, expected):
    probabilities, rejected = expected
    order = np.argsort(-probabilities)
    assert isinstance(prediction, Prediction)
    assert [label for label, _ in prediction.top] == [CLASSES[index] for index in order]
    assert [share for _, share in prediction.top] == pytest.approx(probabilities[order], abs=1e-4)
    assert (prediction.label, prediction.probability) == prediction.top[0]
    assert prediction.rejected is rejected


def test_every_kind_of_photo_gives_the_same(predictor, expected):
    for path, answer in expected.items():
        with open(path, "rb") as file:
            content = file.read()
        kinds = [path, Path(path), content, Image.open(path), np.asarray(Image.open(path))]
        for prediction in predictor(kinds):
            check(prediction, answer)
        assert [prediction.path for prediction in predictor(kinds)] == [path, path, None, None, None]
        check(predictor(path), answer)  # one photo gives one prediction


def test_arrays(predictor, expected):
    path, answer = next(iter(expected.items()))
    pixels = np.asarray(Image.open(path))
    check(predictor(pixels), answer)
    check(predictor(np.dstack([pixels, np.full(pixels.shape[:2], 9, np.uint8)])), answer)  # transparency is dropped
    both = predictor(np.stack([pixels, pixels]))
    assert len(both) == 2
    check(both[1], answer)
    grey = np.asarray(Image.open(path).convert("L"))
    as_colours = predictor(np.repeat(grey[..., None], 3, axis=2))
    assert predictor(grey) == predictor(grey[..., None]) == as_colours
    assert predictor([]) == []


def test_pictures_are_turned_upright(predictor, tmp_path):
    pixels = np.zeros((60, 40, 3), np.uint8)
    pixels[:20] = COLORS["red"]
    upright = predictor(pixels)
    tags = Image.Exif()
    tags[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "turned.png", exif=tags)
    for photo in (tmp_path / "turned.png", Image.open(tmp_path / "turned.png")):
        prediction = predictor(photo)
        assert prediction.top == upright.top
    assert predictor(np.rot90(pixels)).probability != pytest.approx(upright.probability, abs=1e-3)
    assert predictor(tmp_path / "turned.png").path == str(tmp_path / "turned.png")


def test_top(predictor, expected):
    path = next(iter(expected))
    assert [len(predictor(path, top=top).top) for top in (1, 2, 3, 9)] == [1, 2, 3, 3]


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        ("no-such.jpg", "cannot read no-such.jpg: cannot be read: No such file or directory"),
        (b"hello", "cannot read the image: not an image"),
        ([np.zeros((8, 8, 3), np.uint8), b"hello"], "cannot read image 1 of the list: not an image"),
        (np.zeros((8, 8, 3)), r"an array of float64 and shape \(8, 8, 3\) is not an image"),
        (np.zeros((8, 8, 2), np.uint8), r"shape \(8, 8, 2\) is not an image"),
        (np.zeros((0, 8, 3), np.uint8), r"shape \(0, 8, 3\) has no pixels"),
        (3, "int is not an image: give paths"),
    ],
)
def test_what_is_no_photo(predictor, photo, message):
    with pytest.raises(MstlError, match=message):
        predictor(photo)


# streams


@pytest.fixture
def mixed(expected, tmp_path, monkeypatch):
    """Good photos among bad ones, and what each must give: a probability, or why not. In a folder of its own."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    good = list(expected)
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty.jpg").touch()
    shutil.copy(good[0], tmp_path / "cut.jpg")
    os.truncate(tmp_path / "cut.jpg", os.path.getsize(good[0]) - 90)
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    os.truncate(tmp_path / "cut.png", os.path.getsize(tmp_path / "cut.png") // 2)  # this one the C++ decoder refuses
    Image.open(good[0]).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    at = content.find(b"\xff\xc0\x00\x11\x08") + 5
    (tmp_path / "flat.jpg").write_bytes(content[:at] + b"\0\0" + content[at + 2 :])  # a height of 0: it is dumped, too
    bad = {
        "text.jpg": "its content is not an image",
        "empty.jpg": "empty file",
        "cut.jpg": "truncated",
        "cut.png": "truncated",
        "flat.jpg": "its content is not an image",
        "gone.jpg": "No such file",
        ".": "neither a file nor a link",
    }
    photos = []
    for number, (name, why) in enumerate(bad.items()):
        photos += [(path, None) for path in good[number : number + 2]]
        photos += [(str(tmp_path / name), why)]
    return photos + [(path, None) for path in good]


@pytest.mark.parametrize("batch_size", [4, 32, 3])
def test_a_stream_names_what_it_cannot_read_and_goes_on(predictor, expected, mixed, batch_size):
    answers = list(predictor.stream((path for path, _ in mixed), batch_size))
    assert len(answers) == len(mixed)
    for answer, (path, why) in zip(answers, mixed, strict=True):
        assert answer.path == path
        if why is None:
            check(answer, expected[path])
        else:
            assert isinstance(answer, Unreadable) and why in answer.reason, answer
    assert os.listdir() == []


def test_nothing_but_unreadable_images(predictor, mixed):
    paths = [path for path, why in mixed if why]
    assert [answer.path for answer in predictor.stream(paths, 3)] == paths


def test_a_stream_reads_no_more_than_it_must(predictor, expected):
    asked = []

    def endless():
        while True:
            asked.append(1)
            yield next(iter(expected))

    stream = predictor.stream(endless(), 4)
    for _ in range(20):
        next(stream)
    assert len(asked) <= 20 + 4 + 1  # a batch ahead
    stream.close()


@pytest.mark.filterwarnings("ignore:Image size")
def test_what_would_fill_the_memory_is_refused(predictor, tmp_path):
    Image.new("1", (20_000, 5_001)).save(tmp_path / "bomb.png")  # 12 kB
    with pytest.raises(MstlError, match="more than the limit of 100,000,000"):
        predictor(tmp_path / "bomb.png")
    with pytest.raises(MstlError, match="20000 x 5001 pixels, more than the limit"):
        predictor((tmp_path / "bomb.png").read_bytes())


# evaluation


def test_evaluation_is_calibrated(made, predictor, expected):
    evaluation = predictor.evaluate()
    assert evaluation.paths == tuple(expected)
    assert evaluation.temperature == predictor.rejector.temperature == made[2].temperature
    np.testing.assert_allclose(evaluation.probabilities, [row for row, _ in expected.values()], atol=1e-4)
    assert evaluation.features.shape == (12, predictor.model.num_features)
    training = predictor.evaluate(split="train")
    assert (training.total, training.temperature) == (24, evaluation.temperature)
    with pytest.raises(MstlError, match="unknown split 'dev': choose one of train, val, test"):
        predictor.evaluate(split="dev")
    with pytest.raises(MstlError, match="the data of the run has no test split"):
        predictor.evaluate(split="test")


def labelled(evaluation):
    """Names by path: the label and the prediction."""
    labels = [evaluation.classes[label] for label in evaluation.labels]
    return dict(zip(evaluation.paths, labels, strict=True))


def test_other_data(made, predictor, tmp_path):
    """A folder of class folders is evaluated as a whole, and its classes, fewer and in another order, by name."""
    for name in ("red", "green"):
        for number in range(5):
            write_photo(tmp_path / "test" / name / f"{number}.jpg", COLORS[name], 100 + number)
    evaluation = predictor.evaluate(tmp_path / "test")
    assert evaluation.classes == CLASSES and evaluation.total == 10
    assert all(name == path.split(os.sep)[-2] for path, name in labelled(evaluation).items())
    assert evaluation.accuracy == 1
    assert predictor.image_sets(tmp_path / "test")[0] is None
    with pytest.raises(MstlError, match="has no train split"):
        predictor.evaluate(tmp_path / "test", split="train")
    assert predictor.evaluate(tmp_path).total == 10  # a folder that has test/ alone
    assert predictor.evaluate(tmp_path / "test" / "red" / "..").total == 10
    shutil.rmtree(tmp_path / "test" / "red")
    one = predictor.evaluate(tmp_path / "test")  # one class alone
    assert set(labelled(one).values()) == {"green"} and one.accuracy == 1
    shutil.rmtree(tmp_path / "test" / "green")
    with pytest.raises(MstlError, match="no images in"):
        predictor.evaluate(tmp_path / "test")


def test_divided_data(made, predictor, tmp_path):
    write_folder(tmp_path / "other", {"train": 2, "val": 1}, ("green", "red"))
    training, validation = predictor.image_sets(tmp_path / "other")
    assert (len(training), len(validation)) == (4, 2)
    assert [CLASSES[label] for label in validation.labels] == ["green", "red"]
    assert predictor.evaluate(tmp_path / "other").total == 2
    write_photo(tmp_path / "other" / "train" / "brown" / "a.jpg", (120, 80, 40))
    with pytest.raises(MstlError, match=r"does not know: brown; it knows blue, green, red"):
        predictor.evaluate(tmp_path / "other")


def test_a_list(made, predictor, tmp_path):
    photo = made[0] / "val" / "green" / "green-0.jpg"
    (tmp_path / "list.csv").write_text(f"path,label\n{photo},green\n{photo},red\n")
    evaluation = predictor.evaluate(tmp_path / "list.csv")
    assert evaluation.correct == 1 and evaluation.total == 2


def test_the_data_of_the_training_is_divided_as_it_was_then(tmp_path):
    """Also under another name: else, all photos would be evaluated, those that it was trained on too."""
    write_folder(tmp_path, {"photos": 10})
    write_checkpoint(tmp_path / "best.ckpt", tmp_path / "photos", rejector=False, val_split=0.3, seed=5)
    predictor = mstl.Predictor(tmp_path / "best.ckpt")
    _, val = mstl.load_data(str(tmp_path / "photos"), None, 0.3, 5)
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    assert len(val) == 6
    assert predictor.evaluate().paths == val.paths
    assert predictor.evaluate(tmp_path / "photos").paths == val.paths
    assert predictor.evaluate(tmp_path / "link").paths == val.paths
    assert predictor.temperature == 1 and predictor.rejector is None
    assert predictor(val.paths[0]).rejected is None

    for name in ("b", "r"):  # since then, other classes have come
        shutil.copytree(tmp_path / "photos" / "red", tmp_path / "photos" / f"{name}-new")
    assert predictor.evaluate().paths == val.paths
    shutil.rmtree(tmp_path / "photos")
    with pytest.raises(MstlError, match=r"no data .* \(the model was trained on that: --data says where it is now\)"):
        predictor.evaluate()


def test_classes_that_have_changed_places(tmp_path):
    """Photos are labelled in the order of the net's outputs, wherever the names stand in the data now."""
    write_folder(tmp_path / "photos", {"train": 8, "val": 3}, CLASSES)
    write_checkpoint(tmp_path / "best.ckpt", tmp_path / "photos")
    for part in ("train", "val"):
        shutil.rmtree(tmp_path / "photos" / part / "blue")
    evaluation = mstl.Predictor(tmp_path / "best.ckpt").evaluate()
    assert evaluation.total == 6 and evaluation.accuracy == 1
    assert sorted(set(evaluation.labels.tolist())) == [1, 2]


# checkpoints


def rewritten(made, tmp_path, change):
    values, record = read_checkpoint(made[1])
    change(values, record)
    save_checkpoint(tmp_path / "other.ckpt", values, record)
    return tmp_path / "other.ckpt"


def test_a_checkpoint_that_lost_its_bank_does_not_reject(made, tmp_path, expected):
    path = rewritten(made, tmp_path, lambda values, record: values.pop("trust/bank"))
    prediction = mstl.Predictor(path)(next(iter(expected)))
    assert prediction.rejected is None


def test_a_head_that_does_not_fit_the_names(made, tmp_path):
    path = rewritten(made, tmp_path, lambda values, record: record.update(classes=["blue", "red"]))
    with pytest.raises(MstlError, match="a head of 3 classes, but the names of 2"):
        mstl.Predictor(path)


def test_weights_that_are_no_numbers(made, tmp_path):
    def diverge(values, record):
        values["fc.bias"] = np.array([0, np.nan, 0], np.float32)

    with pytest.MonkeyPatch.context() as patch:  # which save_checkpoint itself refuses to write
        patch.setattr(checkpoint, "first_not_finite", lambda arrays: None)
        path = rewritten(made, tmp_path, diverge)
    with pytest.raises(MstlError, match="fc.bias has values that are not finite .*training diverged"):
        mstl.Predictor(path)


def test_answers_that_are_no_numbers(made, tmp_path, expected):
    """Finite weights may be so large that what they give is not."""

    def diverge(values, record):
        values["fc.weight"] = np.full_like(values["fc.weight"], 3e38)

    predictor = mstl.Predictor(rewritten(made, tmp_path, diverge))
    with pytest.raises(MstlError, match="training diverged"):
        predictor(next(iter(expected)))


def test_ctrl_c_while_a_net_runs():
    """MindSpore turns it into SIGTERM then."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


# threads


def test_any_number_of_threads_hear_what_one_would(made, predictor, expected, tmp_path):
    """Of two models at once, photo by photo and in streams that are read in turn."""
    bias = {"fc.bias": np.array([3, 2, 1], np.float32)}
    other = mstl.Predictor(rewritten(made, tmp_path, lambda values, record: values.update(bias)))
    paths = list(expected)
    alone = {model: model(paths) for model in (predictor, other)}
    assert alone[predictor] != alone[other]

    def ask(number):
        model = (predictor, other)[number % 2]
        order = [(number + step) % len(paths) for step in range(4)]
        one_by_one = [model(paths[index]) for index in order]
        streamed = list(model.stream((paths[index] for index in order), 2))
        return model, order, one_by_one, streamed

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(16)))
    for model, order, one_by_one, streamed in answers:
        assert one_by_one == streamed == [alone[model][index] for index in order]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_after_a_fork_it_says_what_to_do(made, predictor, expected):
    predictor(next(iter(expected)))
    for ask in (lambda: predictor(next(iter(expected))), lambda: mstl.Predictor(made[1]), predictor.evaluate):
        read, write = os.pipe()
        if (child := os.fork()) == 0:
            with contextlib.suppress(BaseException):
                try:
                    ask()
                except MstlError as error:
                    os.write(write, str(error).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as told:
            assert "forked" in told.read()
        assert os.waitpid(child, 0)[1] == 0
