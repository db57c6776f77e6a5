"""Setup of a training run: from settings to dataset, model, loaders and optimizer, checked before the first step."""

import dataclasses
import logging
import os
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path

import mindspore as ms

import mstl
from mstl.config import TrainConfig
from mstl.data.dataset import ImageSet
from mstl.data.load_data import DataSplits, load_splits
from mstl.data.loading.loader import Loader
from mstl.data.loading.mixup import Mixer
from mstl.data.loading.sampler import class_weights
from mstl.data.loading.transforms import cropped_for, eval_transforms, train_transforms
from mstl.data.manifest import Manifest
from mstl.engines.choice import choices
from mstl.engines.parts import Engines
from mstl.errors import MstlError
from mstl.evaluation import feature_sample
from mstl.models.factory import build_model
from mstl.models.precision import set_precision
from mstl.models.weights_source import WeightsSource
from mstl.preprocessing import Preprocessing
from mstl.runtime.devices import MIXED_PRECISION_DEVICES, set_seed, use_device
from mstl.runtime.processes import ProcessGroup, join_process_group
from mstl.training import recipes, run_dir
from mstl.training.ema import MovingAverage
from mstl.training.folds import check_folds
from mstl.training.freeze import BATCH_NORM_STATISTICS
from mstl.training.optimizers import stage_parameters
from mstl.training.phase import Phase
from mstl.training.recipes import ResolvedConfig
from mstl.training.record import RunRecord
from mstl.training.resume import SavedRun
from mstl.training.run import TrainingRun
from mstl.training.run_cost import Ledger
from mstl.training.state import TrainState

logger = logging.getLogger("mstl")


def prepare(
    config: TrainConfig, resume: str | PathLike[str] | None = None, splits: DataSplits | None = None
) -> TrainingRun:
    """Prepare a run.

    Args:
        config: The user's settings.
        resume: The folder of a run to go on with; None for a new run.
        splits: The images of a new run, where they are loaded already; None to load what the settings say.

    Raises:
        MstlError: Settings, data, weights or folder are invalid.
    """
    ledger = Ledger()
    saved = None if resume is None else SavedRun.read(resume)
    if saved is not None:
        ledger.earlier = saved.cost
        config = saved.resumed_config(config)
    device, processes = use_device(config.device), join_process_group()
    ledger.device = device
    engines = Engines(choices(config.engine, config.precision, device, config.amp, recorded_precision(saved)))
    data = recipes.early_setting(config, "data")
    with ledger.part("scan"):
        if splits is None:
            splits = new_splits(data, config) if saved is None else saved.load_splits(config)
    train_set, val_set = splits.train, splits.val
    num_classes = len(train_set.classes)
    settings, reason = recipes.resolve(config, len(train_set), num_classes, device)
    if config.batch_size is None:
        settings = shared_batch(settings, processes)
    check_device(settings, device, processes)
    check_folds(settings, (train_set, val_set))
    set_seed(settings.seed)

    if saved is None:
        source = WeightsSource.find(settings.model, settings.weights)
        model = build_model(settings.model, num_classes, source.path)
        record = new_record(splits, source)
        preprocessing = cropped_for(model.preprocessing.at(settings.image_size), settings.augment)
        folder = Path(settings.out or run_dir.default_folder(data, settings.model))
    else:
        model, preprocessing, folder = saved.build_model(num_classes), saved.preprocessing, saved.folder
        record = saved.record_of_run
    record = dataclasses.replace(record, engine=engines.choice)
    set_precision(model, settings.amp)
    train_loader, val_loader = make_loaders(settings, preprocessing, train_set, val_set, processes)
    mixer = Mixer(num_classes, settings.mixup, settings.cutmix, settings.smoothing, settings.seed)
    weights = class_weights(train_set.labels, num_classes) if settings.class_weights == "balanced" else None

    ema = MovingAverage(model, settings.ema) if settings.ema else None
    # A resumed run begins in the phase of its last finished epoch, to which the state of its optimizer belongs
    epoch = 1 if saved is None else max(1, len(saved.record["history"]))
    phase = Phase(settings, model, epoch, weights, processes, len(train_loader))
    state = TrainState(settings, model, preprocessing, folder, train_set, val_set, phase, record, ema)
    state.test_set, state.ledger = splits.test, ledger
    if saved is not None:
        saved.restore(state)
    return TrainingRun(state, train_loader, val_loader, mixer, weights, processes, engines, reason=reason)


def new_splits(data: str, config: TrainConfig) -> DataSplits:
    """Find, read, check and split the images of a new run.

    Raises:
        MstlError: The data cannot be used.
    """
    lists = (config.path_column, config.label_column, config.images, config.group_column)
    return load_splits(data, config.val, config.val_split, config.seed, config.strict, *lists)


def new_record(splits: DataSplits, source: WeightsSource) -> RunRecord:
    """What a new run notes of what it uses."""
    digest, test_images = Manifest.of(*splits).digest, 0 if splits.test is None else len(splits.test)
    date = datetime.now(timezone.utc).date().isoformat()
    return RunRecord(digest, os.getcwd(), source, splits.validated_on, test_images, date=date, mstl=mstl.__version__)


def recorded_precision(saved: SavedRun | None) -> str | None:
    """The precision by which a run to go on with was computed; None for a new run."""
    if saved is None:
        return None
    engine = saved.record_of_run.engine
    return "fp32" if engine is None else engine.precision  # before engines, all was MindSpore's


def make_loaders(
    config: ResolvedConfig,
    preprocessing: Preprocessing,
    train_set: ImageSet,
    val_set: ImageSet,
    processes: ProcessGroup,
) -> tuple[Loader, Loader]:
    """The loaders of this process's share of the training and of the validation images."""
    # Of features, if the head is solved for
    batch_size = config.batch_size or max(recipes.BASE["batch_size"], processes.size)
    train_loader = Loader(
        train_set,
        train_transforms(preprocessing, config.augment),
        batch_size // processes.size,
        config.seed,
        workers=config.workers,
        sampler=None if config.sampler == "shuffle" else config.sampler,
        num_shards=processes.size,
        shard_id=processes.rank,
    )
    val_loader = Loader(
        val_set,
        eval_transforms(preprocessing),
        batch_size,
        workers=config.workers,
        num_shards=processes.size,
        shard_id=processes.rank,
    )
    return train_loader, val_loader


def shared_batch(config: ResolvedConfig, processes: ProcessGroup) -> ResolvedConfig:
    """The settings with a recipe's batch size made a multiple of the processes that share a batch; that is logged."""
    if not config.batch_size or config.batch_size % processes.size == 0:
        return config
    multiple = -(-config.batch_size // processes.size) * processes.size
    logger.info("batch size: %d rather than %d, for %d processes", multiple, config.batch_size, processes.size)
    return dataclasses.replace(config, batch_size=multiple)


def check_device(config: ResolvedConfig, device: str, processes: ProcessGroup) -> None:
    """Check that device and number of processes suit the settings.

    Raises:
        MstlError: The device lacks mixed precision or LAMB, or the processes cannot share a batch.
    """
    if config.amp != "O0" and device not in MIXED_PRECISION_DEVICES:
        raise MstlError(f"--amp {config.amp} needs {' or '.join(MIXED_PRECISION_DEVICES)}; on {device} use --amp O0")
    if config.optimizer == "lamb" and device == "CPU":
        raise MstlError("MindSpore has no LAMB for the CPU; use --optimizer adamw")
    if config.optimizer != "lbfgs" and config.batch_size % processes.size:
        multiple = -(-config.batch_size // processes.size) * processes.size
        raise MstlError(
            f"batch_size {config.batch_size} is no multiple of the {processes.size} processes that share it: give "
            f"--batch-size {multiple}"
        )


def log_setup(run: TrainingRun) -> None:
    """Log what is about to be trained, with the learning rate of each stage."""
    state, processes = run.state, run.processes
    config, train_set, classes = state.config, state.train_set, state.classes
    logger.info("recipe: %s (%s)", config.recipe, run.reason)
    shared = f", {processes.size} processes" if processes.size > 1 else ""
    logger.info("device: %s%s", ms.get_context("device_target"), shared)
    logger.info("engine: %s", state.record.engine)
    names = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
    sizes = (len(train_set), len(state.val_set), len(classes))
    logger.info("data: %s, %d training and %d validation images of %d classes (%s)", config.data, *sizes, names)
    if len(state.val_set) > feature_sample.KEEP_FEATURES:
        sample = "temperature and rejection: fitted on a random sample of %d of the %d validation images"
        logger.info(sample, feature_sample.KEEP_FEATURES, len(state.val_set))
    if state.test_set is not None:
        logger.info("data: %d test images, for the best epoch at the end of the run", len(state.test_set))
    logger.info("model: %s, weights %s", config.model, state.record.weights or config.weights)
    if state.history:
        logger.info("resumed: %s, after epoch %d of %d", state.folder / "last.ckpt", len(state.history), config.epochs)
    logger.info("%-8s %12s %12s %14s", "stage", "trained", "frozen", "learning rate")
    scales = {group.stage: group.lr_scale for group in state.phase.optimizer.groups}
    for stage, parameters in stage_parameters(state.model).items():
        weights = [parameter for parameter in parameters if not parameter.name.endswith(BATCH_NORM_STATISTICS)]
        trained = sum(parameter.size for parameter in weights if parameter.requires_grad)
        frozen = sum(parameter.size for parameter in weights) - trained
        learning_rate = "-" if stage not in scales else "solved for"
        if stage in scales and config.optimizer != "lbfgs":
            learning_rate = f"{config.lr * scales[stage]:.2g}"
        logger.info("%-8s %12s %12s %14s", stage, f"{trained:,}", f"{frozen:,}", learning_rate)
    if config.unfreeze_at:
        logger.info("all layers are trained from epoch %d on", config.unfreeze_at)
