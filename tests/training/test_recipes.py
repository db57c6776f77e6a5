"""What a run is told, by whom."""

import json

import pytest
from click.testing import CliRunner

from mstl import MstlError, TrainConfig
from mstl.commands import train_command
from mstl.config import RECIPES as NAMES
from mstl.config import read_config
from mstl.models import weights_files
from mstl.training.auto import auto_settings
from mstl.training.recipes import BASE, DEFAULT_LR, RECIPES, early_setting, resolve

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")

SEEDS = {  # as the two tutorials have it
    "canidae-fixed": {
        "batch_size": 18, "image_size": 224, "lr": 0.001, "momentum": 0.5, "epochs": 5, "optimizer": "momentum",
        "freeze": "backbone", "augment": "tutorial", "model": "resnet50", "schedule": "constant", "weight_decay": 0.0,
    },
    "canidae-finetune": {
        "batch_size": 18, "image_size": 224, "lr": 0.001, "momentum": 0.9, "epochs": 5, "optimizer": "momentum",
        "freeze": "none", "augment": "tutorial", "model": "resnet50", "schedule": "constant", "unfreeze_at": 0,
    },
    "food": {
        "batch_size": 64, "image_size": 224, "lr": 0.001, "epochs": 80, "optimizer": "adam", "schedule": "step",
        "lr_step": 5, "lr_gamma": 0.5, "freeze": "backbone", "augment": "food", "model": "resnet18", "best": "accuracy",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SEEDS)
def test_tutorials_settings_reach_config_json(photos, tmp_path, name):
    """A whole run, shortened and made small by options; everything else in config.json is the tutorial's."""
    quick = {"epochs": 1, "image_size": 32, "model": "resnet18"}
    arguments = [f"--{key.replace('_', '-')}={value}" for key, value in quick.items()]
    done = CliRunner().invoke(
        train_command.main,
        ["--recipe", name, "--data", str(photos), "--weights", "none", "--out", str(tmp_path / "run"), *arguments],
    )
    assert done.exit_code == 0, done.output
    kept = json.loads((tmp_path / "run" / "config.json").read_text())
    expected = {**SEEDS[name], **quick}
    assert {key: kept[key] for key in expected} == expected
    full, _ = resolve(TrainConfig(recipe=name), 240, 2)
    assert {key: getattr(full, key) for key in SEEDS[name]} == SEEDS[name]


def test_food_halves_its_rate_every_five_epochs():
    import mstl
    from mstl.runtime.processes import ProcessGroup
    from mstl.training.phase import Phase

    config, _ = resolve(TrainConfig(recipe="food", data="x"), 800, 20)
    phase = Phase(config, mstl.resnet18(num_classes=20), 1, None, ProcessGroup(), 10)
    rates = [phase.learning_rate(epoch) for epoch in range(12)]
    assert rates == pytest.approx([0.001] * 5 + [0.0005] * 5 + [0.00025] * 2)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("resnet18", "mstl")),
        ({"weights": "none"}, ("resnet18", "none")),
        ({"model": "resnet50"}, ("resnet50", "default")),
        ({"recipe": "food"}, ("resnet18", "default")),
    ],
)
def test_without_the_extra_the_model_is_mstls_own(monkeypatch, settings, expected):
    config = TrainConfig(data="x", **settings)
    if not settings:
        assert resolve(config, 100, 2)[0].model == early_setting(config, "model") == "efficientnet_lite0"
    monkeypatch.setattr(weights_files, "packaged", lambda _entry: None)
    resolved, _ = resolve(config, 100, 2)
    assert (resolved.model, resolved.weights) == expected
    assert early_setting(config, "model") == expected[0]


def test_names_are_the_configs():
    assert ("auto", *RECIPES) == NAMES


def test_nothing_is_left_open():
    for name in NAMES:
        config, why = resolve(TrainConfig(recipe=name), 500, 4)
        assert why
        may_be_open = {
            "val",
            "path_column",
            "label_column",
            "group_column",
            "folds",
            "images",
            "image_size",
            "workers",
            "out",
            "time_limit",
            "tracker",
        }
        if config.optimizer == "lbfgs":
            may_be_open |= {"batch_size", "lr", "momentum", "weight_decay", "schedule", "lr_step", "lr_gamma"}
            may_be_open |= {"warmup", "layer_decay"}
        assert {key for key, value in config.to_dict().items() if value is None} <= may_be_open


def test_the_user_overrides_the_recipe_and_the_recipe_the_base():
    config, _ = resolve(TrainConfig(recipe="food", epochs=3, lr=0.5), 500, 4)
    assert (config.epochs, config.lr, config.optimizer, config.momentum) == (3, 0.5, "adam", BASE["momentum"])


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({"epochs": 5}, 0.01),
        ({"freeze": "none"}, 0.003),
        ({"optimizer": "adamw"}, 0.001),
        ({"optimizer": "adam", "freeze": "layer2"}, 0.0001),
        ({"recipe": "canidae-fixed"}, 0.001),
    ],
)
def test_the_rate_suits_what_is_trained(options, rate):
    assert resolve(TrainConfig(**options), 300, 2)[0].lr == rate


def test_who_says_what_to_freeze_means_the_whole_run():
    assert resolve(TrainConfig(recipe="finetune"), 300, 2)[0].unfreeze_at == 3
    assert resolve(TrainConfig(recipe="finetune", freeze="layer1"), 300, 2)[0].unfreeze_at == 0
    large, why = resolve(TrainConfig(freeze="backbone"), 3000, 2, "GPU")
    assert large.unfreeze_at == 0 and why.endswith("then all layers; but freeze backbone holds for the whole run")
    assert large.lr == DEFAULT_LR["head", "gradient"]
    assert "freeze none holds for the whole run" in resolve(TrainConfig(freeze="none"), 300, 2)[1]
    assert "holds" not in resolve(TrainConfig(freeze="backbone"), 300, 2)[1]
    assert resolve(TrainConfig(recipe="finetune", freeze="layer1", unfreeze_at=2), 300, 2)[0].unfreeze_at == 2


def test_linear_solves_unless_steps_are_asked_for():
    solved, why = resolve(TrainConfig(recipe="linear"), 300, 2)
    assert (solved.optimizer, solved.epochs, solved.views, solved.lr, solved.weight_decay) == (
        "lbfgs",
        1,
        3,
        None,
        None,
    )
    assert "solved for by L-BFGS" in why
    assert resolve(TrainConfig(recipe="linear", weight_decay=0.3, smoothing=0.1), 300, 2)[0].weight_decay == 0.3
    for said in ({"epochs": 9}, {"ema": 0.9}, {"freeze": "layer4"}, {"cache": False}, {"weight_decay": 0.0}):
        stepped, why = resolve(TrainConfig(recipe="linear", **said), 300, 2)
        assert (stepped.optimizer, stepped.schedule) == ("momentum", "cosine")
        assert f"lbfgs has no {next(iter(said))}" in why
    steps, why = resolve(TrainConfig(recipe="linear", optimizer="momentum"), 300, 2)
    assert (steps.epochs, steps.lr, steps.momentum, steps.batch_size) == (40, 0.03, 0.9, 18)
    assert "lbfgs" not in why
    assert resolve(TrainConfig(recipe="linear", optimizer="adam"), 300, 2)[0].lr == DEFAULT_LR["head", "adaptive"]


@pytest.mark.parametrize(
    "said", [{"epochs": 2}, {"lr": 0.1}, {"mixup": 0.2}, {"sampler": "balanced"}, {"mode": "graph"}, {"batch_size": 8}]
)
def test_what_lbfgs_does_not_have_is_refused(said):
    ((name, value),) = said.items()
    for recipe in ("auto", "linear", "finetune"):
        with pytest.raises(MstlError, match=f"{name} {value!r} does not go with it") as caught:
            resolve(TrainConfig(recipe=recipe, optimizer="lbfgs", **said), 300, 2)
        assert "\n" not in str(caught.value)
    with pytest.raises(MstlError, match="weight_decay 0 does not go with it"):
        resolve(TrainConfig(optimizer="lbfgs", weight_decay=0.0), 300, 2)


def test_lbfgs_solves_for_the_head_in_any_recipe():
    for recipe in NAMES:
        config, _ = resolve(TrainConfig(recipe=recipe, optimizer="lbfgs"), 30_000, 2)
        assert (config.freeze, config.unfreeze_at, config.mixup, config.epochs) == ("backbone", 0, 0, 1)
        again, _ = resolve(TrainConfig(**config.to_dict()), 30_000, 2)  # from its config.json
        assert again == config


def all_of_their_own(num_images, device):
    """Each recipe with each of its own settings, and with all of them."""
    for name in NAMES:
        chosen = auto_settings(num_images, 2, device)[0] if name == "auto" else RECIPES[name]
        own = {key: value for key, value in {**BASE, **chosen}.items() if value is not None and key != "model"}
        for said in ({key: value} for key, value in own.items()):
            if name != "auto" or not {"freeze", "unfreeze_at", "epochs"} & said.keys():  # by which auto chooses
                yield name, said
        yield name, own


@pytest.mark.parametrize("device", ["CPU", "GPU"])
@pytest.mark.parametrize("num_images", [100, 3000, 30_000])
def test_saying_a_recipes_own_value_again_changes_nothing(num_images, device):
    for name, said in all_of_their_own(num_images, device):
        plain, repeated = (resolve(TrainConfig(recipe=name, **more), num_images, 2, device)[0] for more in ({}, said))
        assert repeated == plain, (name, said)


def test_a_recipe_unfreezes_in_the_last_epoch_at_the_latest():
    for options, images in (({"recipe": "finetune"}, 300), ({}, 3000)):
        for epochs in (1, 2, 3, 4):
            config, why = resolve(TrainConfig(epochs=epochs, **options), images, 2, "GPU")
            usual = resolve(TrainConfig(**options), images, 2, "GPU")[0].unfreeze_at
            assert config.unfreeze_at == min(epochs, usual)
            assert (f"from epoch {epochs} on rather than {usual}" in why) == (epochs < usual)
    assert resolve(TrainConfig(recipe="linear", epochs=1), 300, 2)[0].unfreeze_at == 0


@pytest.mark.parametrize("options", [{"epochs": 2}, {"recipe": "finetune", "epochs": 2}, {"recipe": "finetune"}])
def test_who_unfreezes_after_the_last_epoch_is_told(options):
    with pytest.raises(MstlError, match=r"unfreeze_at 9 is after the last epoch \([28]\)") as caught:
        resolve(TrainConfig(unfreeze_at=9, **options), 300, 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("images", "device", "epochs", "optimizer", "unfreeze_at", "mixup"),
    [
        (10, "CPU", 1, "lbfgs", 0, 0),
        (244, "Ascend", 1, "lbfgs", 0, 0),
        (5000, "CPU", 1, "lbfgs", 0, 0),
        (50_000, "CPU", 1, "lbfgs", 0, 0),
        (5000, "GPU", 8, "momentum", 2, 0),
        (50_000, "Ascend", 6, "momentum", 2, 0.2),
    ],
)
def test_auto_follows_the_size_of_the_data_and_the_device(images, device, epochs, optimizer, unfreeze_at, mixup):
    config, why = resolve(TrainConfig(), images, 3, device)
    assert (config.epochs, config.optimizer, config.unfreeze_at) == (epochs, optimizer, unfreeze_at)
    assert config.mixup == mixup
    assert str(images) in why and "3 classes" in why


@pytest.mark.parametrize(("images", "epochs"), [(10, 100), (100, 40), (244, 20), (5000, 20)])
def test_auto_takes_steps_where_it_cannot_solve(images, epochs):
    asked, _ = resolve(TrainConfig(ema=0.9), images, 3)
    assert (asked.epochs, asked.freeze, asked.unfreeze_at, asked.optimizer) == (epochs, "backbone", 0, "momentum")
    for said in (1, 7):
        named, _ = resolve(TrainConfig(epochs=said), images, 3)
        assert (named.epochs, named.freeze, named.optimizer) == (said, "backbone", "momentum")


def test_auto_fine_tunes_if_more_than_the_head_is_asked_for():
    for said in ({"freeze": "none"}, {"freeze": "layer3"}, {"unfreeze_at": 2}):
        config, why = resolve(TrainConfig(**said), 5000, 2)
        assert (config.epochs, config.schedule, config.layer_decay) == (8, "cosine", 0.5)
        assert "as by the recipe finetune" in why


def test_config_files(tmp_path):
    config = TrainConfig(data="pets", epochs=7, lr=0.25)
    (tmp_path / "a.json").write_text(json.dumps(config.to_dict()))
    assert TrainConfig(**read_config(tmp_path / "a.json")) == config
    yaml = pytest.importorskip("yaml")
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(config.to_dict()))
    assert TrainConfig(**read_config(tmp_path / "a.yaml")) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"epochs": 3, "learning_rate": 0.1}', "has unknown settings: learning_rate; known are accumulate"),
        ("[1, 2]", "no table of settings"),
        ("{", "is not valid JSON"),
        ('{"lr": "fast"}', "a.json: lr must be a number, not 'fast'"),
        ('{"lr": -1}', "lr must be above 0"),
    ],
)
def test_config_files_that_are_wrong(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(MstlError, match=message) as caught:
        read_config(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


def test_config_on_the_command_line(photos, tmp_path):
    settings = {"data": str(photos), "model": "resnet18", "weights": "none", "image_size": 32, "epochs": 5, "seed": 4}
    (tmp_path / "a.json").write_text(json.dumps(settings))
    out = tmp_path / "run"
    done = CliRunner().invoke(
        train_command.main, ["--config", str(tmp_path / "a.json"), "--epochs", "1", "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    kept = json.loads((out / "config.json").read_text())
    assert {**settings, "epochs": 1}.items() <= kept.items()
    done = CliRunner().invoke(train_command.main, ["--config", str(tmp_path / "nothing.json")])
    assert done.exit_code == 1 and "cannot read the settings" in done.stderr
