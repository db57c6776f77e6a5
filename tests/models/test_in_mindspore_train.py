"""A model of mstl in MindSpore's own training loop, with its callbacks and mindcv's."""

import contextlib
import io

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from mindspore.dataset import GeneratorDataset
from mindspore.train import CheckpointConfig, LossMonitor, Model, ModelCheckpoint, TimeMonitor

import mstl

pytestmark = pytest.mark.usefixtures("narrow_model")
EPOCHS, BATCHES, BATCH = 3, 2, 4


class DarkAndBright:
    """Images of one brightness, and whether they are bright."""

    def __len__(self):
        return BATCHES * BATCH

    def __getitem__(self, index):
        noise = np.random.default_rng(index).normal(size=(3, 32, 32))
        return (noise + (2 if index % 2 else -2)).astype(np.float32), np.int32(index % 2)


def batches():
    return GeneratorDataset(DarkAndBright(), ["image", "label"], shuffle=False, num_parallel_workers=1).batch(BATCH)


@pytest.fixture(scope="module")
def trained(narrow_model, tmp_path_factory):
    """The model after a training with MindSpore's callbacks, the folder of its checkpoints, and what was printed."""
    ms.set_seed(1)
    model = mstl.resnet18(num_classes=2)
    optimizer = nn.Momentum(model.trainable_params(), learning_rate=0.01, momentum=0.9)
    loop = Model(model, loss_fn=nn.CrossEntropyLoss(), optimizer=optimizer, metrics={"accuracy"})
    folder = tmp_path_factory.mktemp("checkpoints")
    saving = ModelCheckpoint("small", str(folder), CheckpointConfig(save_checkpoint_steps=BATCHES))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        loop.train(EPOCHS, batches(), callbacks=[LossMonitor(), TimeMonitor(), saving], dataset_sink_mode=False)
    return loop, model, folder, printed.getvalue()


def test_it_trains_with_mindspores_callbacks(trained):
    _, model, folder, printed = trained
    losses = [float(line.rpartition("loss is ")[2]) for line in printed.splitlines() if "loss is " in line]
    assert len(losses) == EPOCHS * BATCHES and losses[-1] < losses[0] / 2
    assert printed.count("per step time") == EPOCHS
    newest = folder / f"small-{EPOCHS}_{BATCHES}.ckpt"
    saved = ms.load_checkpoint(str(newest))
    for parameter in model.get_parameters():
        np.testing.assert_array_equal(saved[parameter.name].asnumpy(), parameter.asnumpy())


def test_it_is_evaluated_by_mindspore(trained):
    loop, model, *_ = trained
    images = np.stack([DarkAndBright()[index][0] for index in range(BATCH * BATCHES)])
    answers = model.set_train(False)(ms.Tensor(images)).asnumpy().argmax(1)
    expected = {"accuracy": np.mean(answers == np.arange(len(images)) % 2)}
    assert loop.eval(batches(), dataset_sink_mode=False) == expected


def test_mstl_reads_the_checkpoint(trained, caplog):
    """It has the names of MindSpore's tutorial, whose padding is another: what is guessed is said, and can be set."""
    _, model, folder, _ = trained
    file = folder / f"small-{EPOCHS}_{BATCHES}.ckpt"
    images = ms.Tensor(np.stack([DarkAndBright()[index][0] for index in range(BATCH)]))
    expected = model.set_train(False)(images).asnumpy()
    again = mstl.resnet18(num_classes=2, weights=file, padding="symmetric")
    np.testing.assert_array_equal(again.set_train(False)(images).asnumpy(), expected)
    assert "padding" not in caplog.text
    with caplog.at_level("INFO", "mstl"):
        guessed = mstl.resnet18(num_classes=2, weights=file)
    assert (guessed.padding, guessed.pool_padding) == ("same", "same")
    assert f"{file.name}: padding 'same' is taken" in caplog.text


def test_it_trains_with_mindcvs_callback(tmp_path, monkeypatch):
    pytest.importorskip("mindcv")
    from mindcv.utils.callbacks import StateMonitor

    monkeypatch.chdir(tmp_path)
    model = mstl.resnet18(num_classes=2)
    optimizer = nn.Momentum(model.trainable_params(), learning_rate=0.01, momentum=0.9)
    loop = Model(model, loss_fn=nn.CrossEntropyLoss(), optimizer=optimizer, metrics={"accuracy"})
    monitor = StateMonitor(
        loop,
        model_name="small",
        dataset_val=batches(),
        metric_name=["accuracy"],
        val_interval=1,
        ckpt_save_dir=str(tmp_path),
        summary_dir=str(tmp_path),
    )
    loop.train(EPOCHS, batches(), callbacks=[monitor], dataset_sink_mode=False)
    assert (tmp_path / "result.log").read_text().count("\n") >= EPOCHS
    assert list(tmp_path.glob("small-*.ckpt"))
