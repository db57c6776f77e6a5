"""``mstl train``, also ``python -m mstl.train``: fine-tune a pretrained model on a folder of images."""

import sys
from pathlib import Path
from typing import Any

import click

from mstl.commands import completing, shared
from mstl.config import TrainConfig, read_config
from mstl.runtime import stopping
from mstl.runtime.environment import is_worker
from mstl.runtime.garbage import not_collected

LATEST = "latest"
CONFIG_HELP = "Settings from a .json or .yaml file, such as a run's config.json; options override them."
RESUME_HELP = "Resume the run in this folder; without a folder, the newest run of the same data and model."


@shared.grouped_command
@shared.dataclass_options(TrainConfig)
@shared.grouped_option("Training", "--config", "config_file", type=click.Path(path_type=Path), help=CONFIG_HELP)
@shared.grouped_option(
    "Training",
    "--resume",
    is_flag=False,
    flag_value=LATEST,
    metavar="[RUN]",
    help=RESUME_HELP,
    shell_complete=completing.folders,
)
@shared.grouped_option(
    "Device", "--nproc", type=click.IntRange(1), default=1, show_default=True, help="Processes on this machine."
)
@click.pass_context
def main(context: click.Context, /, config_file: Path | None, resume: str | None, nproc: int, **options: Any) -> None:
    """Fine-tune a pretrained model on a folder of images.

    Writes best.ckpt, last.ckpt, config.json, history.csv, curves.png, predictions.png and report.html into the run's
    folder.
    """
    given = {name: value for name, value in options.items() if was_given(context, name)}
    if config_file is not None:
        file_settings = read_config(config_file)
        given = {**{key: value for key, value in file_settings.items() if key != "out"}, **given}
    config = TrainConfig(**given)
    if nproc > 1:
        from mstl.training.launcher import launch

        sys.exit(launch(nproc, as_arguments(given, resume)))
    stopping.watch()
    # MindSpore that is loaded by half aborts the process when it ends
    with stopping.deferred(), not_collected():
        from mstl.fitting import fit
        from mstl.training import recipes, run_dir
    stopping.check()

    resume_from: str | Path | None = resume
    if resume == LATEST:
        wanted = config.out or run_dir.default_folder(
            recipes.early_setting(config, "data"), recipes.early_setting(config, "model")
        )
        resume_from = run_dir.latest_run(wanted)
    state = fit(config, resume=resume_from)
    if state.best:
        accuracy, epoch = state.best["val_accuracy"], state.best["epoch"]
        print(f"best validation accuracy {accuracy:.3f} (epoch {epoch}), saved in {state.folder / 'best.ckpt'}")
    if state.stopped_by is not None and not is_worker():  # msrun would take a worker's exit code for a failure
        sys.exit(128 + state.stopped_by)


def as_arguments(given: dict[str, Any], resume: str | None) -> list[str]:
    """The command line that gives these settings."""
    arguments = [] if resume is None else [f"--resume={resume}"]
    for name, value in given.items():
        if isinstance(value, bool):
            arguments.append(f"--{'' if value else 'no-'}{name.replace('_', '-')}")
        elif value is not None:
            arguments.append(f"--{name.replace('_', '-')}={value}")
    return arguments


def was_given(context: click.Context, name: str) -> bool:
    """Whether the user set an option, rather than click its default."""
    return context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
