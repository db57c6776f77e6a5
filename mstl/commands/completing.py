"""What a shell offers for names and paths as values; it offers options and choices by itself."""

import glob
from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def paths(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Files and folders."""
    return [CompletionItem(incomplete, type="file")]


def folders(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Folders."""
    return [CompletionItem(incomplete, type="dir")]


def datasets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The datasets that are known by name."""
    from mstl.data.finding.known_datasets import KNOWN

    return beginning(["demo", *KNOWN], incomplete)


def data(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Files and folders; known datasets, where there is none that begins so. bash cannot show both."""
    is_path = not incomplete or any(glob.iglob(glob.escape(incomplete) + "*"))
    return (not is_path and datasets(context, parameter, incomplete)) or paths(context, parameter, incomplete)


def models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The architectures."""
    from mstl.models.architectures import ARCHITECTURES

    return beginning(ARCHITECTURES, incomplete)


def weights(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The tags of weights, of the model that the command line has so far; else files and folders."""
    from mstl.models.pretrained import TABLE

    model = context.params.get("model")
    tags = ["default", "none", *(entry.tag for entry in TABLE if model in (None, entry.architecture))]
    return beginning(tags, incomplete) or paths(context, parameter, incomplete)


def weights_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The full names of weights."""
    from mstl.models.pretrained import TABLE

    return beginning((entry.name for entry in TABLE), incomplete)


def beginning(names: Iterable[str], incomplete: str) -> list[CompletionItem[str]]:
    """The names that begin with what is there of one, each once."""
    return [CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(incomplete)]


SETTINGS: dict[str, Completer] = {  # by the fields of TrainConfig
    "data": data,
    "val": data,
    "images": folders,
    "model": models,
    "weights": weights,
    "out": folders,
}
