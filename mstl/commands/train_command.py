"""``python -m mstl.train``, also ``mstl train``: fine-tune a pretrained net on a folder of photos."""

import sys
from pathlib import Path

import click

from mstl.commands import shared
from mstl.config import TrainConfig, read_config

LATEST = "latest"
CONFIG_HELP = "Settings from a .json or .yaml file, such as a run's config.json; options override them."
RESUME_HELP = "Go on with the run of this folder; without one, with the newest run of the same data and model."


@shared.command
@shared.dataclass_options(TrainConfig)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help=CONFIG_HELP)
@click.option("--resume", is_flag=False, flag_value=LATEST, metavar="[RUN]", help=RESUME_HELP)
@click.option("--nproc", type=click.IntRange(1), default=1, show_default=True, help="Processes on this machine.")
@click.pass_context
def main(context, config_file, resume, nproc, **options):
    """Fine-tune a pretrained net on a folder of photos.

    The run's folder gets best.ckpt, last.ckpt, config.json, history.csv, curves.png, predictions.png and
    report.html.
    """
    given = {name: value for name, value in options.items() if was_given(context, name)}
    if config_file is not None:
        file_settings = read_config(config_file)
        given = {**{key: value for key, value in file_settings.items() if key != "out"}, **given}
    config = TrainConfig(**given)
    if nproc > 1:
        from mstl.training.launcher import launch

        launch(nproc, as_arguments(given, resume))
        return
    from mstl.fitting import fit
    from mstl.training import recipes, run_dir

    if resume == LATEST:
        wanted = config.out or run_dir.default_folder(recipes.first(config, "data"), recipes.first(config, "model"))
        resume = run_dir.latest_run(wanted)
    state = fit(config, resume=resume)
    if state.best:
        row = state.best
        path = state.folder / "best.ckpt"
        print(f"best validation accuracy {row['val_accuracy']:.3f} (epoch {row['epoch']}), kept in {path}")
    if state.interrupted:
        sys.exit(130)


def as_arguments(given, resume):
    """The command line that gives these settings."""
    arguments = [] if resume is None else [f"--resume={resume}"]
    for name, value in given.items():
        if isinstance(value, bool):
            arguments.append(f"--{'' if value else 'no-'}{name.replace('_', '-')}")
        elif value is not None:
            arguments.append(f"--{name.replace('_', '-')}={value}")
    return arguments


def was_given(context, name):
    """Whether the user set an option, rather than click its default."""
    return context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
