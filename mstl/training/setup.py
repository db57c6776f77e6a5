"""From settings to everything that a run needs, checked before the first step."""

import dataclasses
import logging
from pathlib import Path

import mindspore as ms

from mstl.config import TrainConfig
from mstl.data.dataset import load_data
from mstl.data.loading.loader import Loader
from mstl.data.loading.mixup import Mixer
from mstl.data.loading.sampler import class_weights
from mstl.data.loading.transforms import eval_transforms, train_transforms
from mstl.errors import MstlError
from mstl.files import make_folder, write_json
from mstl.models.factory import build_model
from mstl.runtime.devices import MIXED_PRECISION_DEVICES, set_seed, use_device
from mstl.runtime.processes import join_process_group
from mstl.training import recipes, run_dir
from mstl.training import resume as resume_state
from mstl.training.context import TrainingContext
from mstl.training.ema import MovingAverage
from mstl.training.freeze import STATISTICS
from mstl.training.optimizers import stage_parameters
from mstl.training.state import TrainState

logger = logging.getLogger("mstl")


def prepare(config, resume=None):
    """Load data and net, and settle what the settings leave open.

    Args:
        config: A :class:`mstl.TrainConfig`.
        resume: The folder of a run to go on with; None starts a new one.

    Returns:
        A :class:`mstl.training.context.TrainingContext`.

    Raises:
        MstlError: Settings, data, weights or folder are not right.
    """
    old = None
    if resume is not None:
        old = resume_state.read_run(resume)
        config = resume_state.settings_of_resumed(old.config, given_settings(config), resume)
    device, processes = use_device(config.device), join_process_group()
    data = recipes.first(config, "data")
    train_set, val_set = load_data(data, config.val, config.val_split, config.seed, config.strict)
    config, why = recipes.resolve(config, len(train_set), len(train_set.classes))
    check_device(config, device, processes)
    set_seed(config.seed)

    model = old.build(train_set) if old else build_model(config.model, len(train_set.classes), config.weights)
    preprocessing = old.preprocessing if old else model.preprocessing.at(config.image_size)
    folder = Path(resume or config.out or run_dir.default_folder(data, config.model))
    state = TrainState(
        config, model, train_set.classes, preprocessing, folder, train_set, val_set, resume_state.data_digest(train_set)
    )
    shared = {"workers": config.workers, "num_shards": processes.size, "shard_id": processes.rank}
    context = TrainingContext(
        state,
        Loader(
            train_set,
            train_transforms(preprocessing, config.augment),
            config.batch_size // processes.size,
            config.seed,
            sampler=None if config.sampler == "shuffle" else config.sampler,
            **shared,
        ),
        Loader(val_set, eval_transforms(preprocessing, config.augment), config.batch_size, **shared),
        Mixer(len(train_set.classes), config.mixup, config.cutmix, config.smoothing, config.seed),
        class_weights(train_set.labels, len(train_set.classes)) if config.class_weights == "balanced" else None,
        processes,
    )
    if config.ema:
        state.average = MovingAverage(model, config.ema)
    context.begin_phase(max(1, len(old.history)) if old else 1)
    if old:
        restore(state, old)
    if processes.is_first:
        logger.info("recipe: %s (%s)", config.recipe, why)
        describe(context, device)
    return context


def open_folder(context, resumed):
    """Make the run's folder, a new one unless the run is resumed, and write the settings into it."""
    state = context.state
    if context.processes.is_first:
        state.folder = make_folder(state.folder) if resumed else run_dir.new_folder(state.folder)
        write_json(state.folder / "config.json", state.config.to_dict())
        logger.info("run: %s", state.folder)


def given_settings(config):
    """What the user has set: the fields that differ from their defaults."""
    return {
        item.name: getattr(config, item.name)
        for item in dataclasses.fields(TrainConfig)
        if getattr(config, item.name) != item.default
    }


def check_device(config, device, processes):
    """Refuse what the device or the number of processes does not allow.

    Raises:
        MstlError: Mixed precision, LAMB or a batch that cannot be shared.
    """
    if config.amp != "O0" and device not in MIXED_PRECISION_DEVICES:
        raise MstlError(f"--amp {config.amp} needs {' or '.join(MIXED_PRECISION_DEVICES)}; on {device} use --amp O0")
    if config.optimizer == "lamb" and device == "CPU":
        raise MstlError("MindSpore has no LAMB for the CPU; use --optimizer adamw")
    if config.batch_size % processes.size:
        raise MstlError(f"batch_size {config.batch_size} is no multiple of the {processes.size} processes that share it")


def restore(state, old):
    """Bring back net, optimizer, moving average and history as they were after the last finished epoch.

    Raises:
        MstlError: The data is not what the run was started with, or there is nothing left to do.
    """
    if old.record["data"] != state.data_digest:
        raise MstlError(
            f"cannot resume {state.folder}: the photos of {state.config.data} are not those that it was started with"
        )
    state.history = old.history
    if len(state.history) >= state.config.epochs:
        raise MstlError(f"{state.folder} is finished ({state.config.epochs} epochs): raise --epochs to go on")
    for parameter in state.model.get_parameters():
        parameter.set_data(ms.Tensor(old.parameters[parameter.name], parameter.dtype))
    for name, parameter in state.phase.stepper.state.items():
        value = old.values[f"optimizer/{name}"].reshape(parameter.shape)
        parameter.set_data(ms.Tensor(value, parameter.dtype))
    if state.average is not None:
        values = {name.removeprefix("average/"): v for name, v in old.values.items() if name.startswith("average/")}
        state.average.restore(values, old.record["average_steps"])


def describe(context, device):
    """Say what is about to happen, on stderr."""
    state, processes, config = context.state, context.processes, context.state.config
    train_set, val_set = context.train_loader.images, context.val_loader.images
    names = ", ".join(train_set.classes[:8]) + (", ..." if len(train_set.classes) > 8 else "")
    logger.info("device: %s%s", device, f", {processes.size} processes" if processes.size > 1 else "")
    sizes = (len(train_set), len(val_set), len(train_set.classes))
    logger.info("data: %s, %d training and %d validation photos of %d classes (%s)", config.data, *sizes, names)
    logger.info("model: %s, weights %s", config.model, config.weights)
    logger.info("%-8s %12s %12s %10s", "stage", "trained", "frozen", "rate")
    scales = {group.stage: group.scale for group in state.phase.stepper.groups}
    for stage, parameters in stage_parameters(state.model).items():
        weights = [parameter for parameter in parameters if not parameter.name.endswith(STATISTICS)]
        trained = sum(parameter.size for parameter in weights if parameter.requires_grad)
        frozen = sum(parameter.size for parameter in weights) - trained
        rate = f"{config.lr * scales[stage]:.2g}" if stage in scales else "-"
        logger.info("%-8s %12s %12s %10s", stage, f"{trained:,}", f"{frozen:,}", rate)
    if config.unfreeze_at:
        logger.info("everything is trained from epoch %d on", config.unfreeze_at)
