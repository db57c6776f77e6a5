"""``mstl weights``: list, download, verify and bundle pretrained weights."""

from pathlib import Path

import click

from mstl.commands import completing, shared


@shared.group
def main() -> None:
    """List, download, verify and bundle pretrained weights.

    NAME is architecture.tag, such as resnet50.mindcv; an architecture alone means its default weights.
    """


@shared.command_of(main, "list")
@click.argument("model", required=False, shell_complete=completing.models)
def list_(model: str | None) -> None:
    """List the weights that mstl knows, for one MODEL or for all."""
    from mstl.models.pretrained import TABLE
    from mstl.models.weights_files import local_path

    print(f"{'name':<32}{'ImageNet top-1':<16}{'pads':<22}{'licence':<16}here")
    for entry in TABLE:
        if model in (None, entry.architecture):
            top1 = "-" if entry.top1 is None else f"{entry.top1:.1%}"
            pads = " / ".join(dict.fromkeys(entry.padding))
            licence, here = entry.licence or "none stated", "yes" if local_path(entry) else ""
            print(f"{entry.name:<32}{top1:<16}{pads:<22}{licence:<16}{here}")


@shared.command_of(main)
@click.argument("name", shell_complete=completing.weights_names)
def show(name: str) -> None:
    """Print everything known about NAME."""
    from mstl.models.pretrained import find_by_name
    from mstl.models.weights_files import local_path

    entry = find_by_name(name)
    p = entry.preprocessing
    rows = {
        "name": entry.name,
        "url": entry.url or ("(comes with mstl)" if entry.tag == "mstl" else "(inside a package of the offline extra)"),
        "file": entry.filename,
        "here": local_path(entry) or "no",
        "sha256": entry.sha256 or "none published",
        "layout": entry.layout,
        "padding": f"convolutions {entry.padding[0]}, max-pool {entry.padding[1]}",
        "classes": entry.num_classes,
        "image": f"resize {p.resize} ({p.interpolation}), centre crop {p.image_size} px",
        "mean, std": f"{', '.join(f'{x:.4g}' for x in p.mean)}; {', '.join(f'{x:.4g}' for x in p.std)} (of 0 to 1)",
        "top-1": "-" if entry.top1 is None else f"{entry.top1:.4f} on ImageNet, as published",
        "licence": entry.licence or "none stated",
        "source": entry.source,
    }
    for key, value in rows.items():
        print(f"{key:<12}{value}")


@shared.command_of(main)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=completing.weights_names)
def download(names: tuple[str, ...]) -> None:
    """Download NAMEs into the cache, unless they are here already."""
    from mstl.models.pretrained import find_by_name
    from mstl.models.weights_files import locate

    for name in names:
        print(locate(find_by_name(name)))


@shared.command_of(main)
@click.argument("name", shell_complete=completing.weights_names)
def path(name: str) -> None:
    """Print the path of NAME's file; an error if it is not on this machine."""
    from mstl.errors import MstlError
    from mstl.models.pretrained import find_by_name
    from mstl.models.weights_files import local_path

    entry = find_by_name(name)
    found = local_path(entry)
    if found is None:
        raise MstlError(f"{entry.name} is not on this machine; `mstl weights download {entry.name}` gets it")
    print(found)


@shared.command_of(main)
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=completing.weights_names)
def verify(names: tuple[str, ...]) -> None:
    """Verify the files of NAMEs, or all that are here, against their published hashes."""
    from mstl.errors import MstlError
    from mstl.files import digest
    from mstl.models.pretrained import TABLE, find_by_name
    from mstl.models.weights_files import local_path

    wrong: list[str] = []
    for entry in [find_by_name(name) for name in names] if names else TABLE:
        found = local_path(entry)
        if found is None:
            state = "not here" if names else None
        elif entry.sha256 is None:
            state = f"no published hash; its sha256 is {digest(found)}"
        else:
            right = digest(found).startswith(entry.sha256)
            state = "right" if right else "WRONG"
            wrong += [] if right else [str(found)]
        if state:
            print(f"{entry.name:<32}{state}")
    if wrong:
        raise MstlError(f"wrong content: {', '.join(wrong)}; delete it and download it again")


@shared.command_of(main)
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=completing.weights_names)
def bundle(out: Path, names: tuple[str, ...]) -> None:
    """Bundle the files of NAMEs (downloaded if missing), or all that are here, in the zip OUT."""
    from mstl.files import check_output_file
    from mstl.models.bundle import write_bundle

    check_output_file(out)
    for filename in write_bundle(out, names):
        print(filename)


@shared.command_of(main)
@click.argument("bundle", type=click.Path(path_type=Path))
def install(bundle: Path) -> None:
    """Install the weights of BUNDLE, written by `mstl weights bundle`, into the cache of this machine."""
    from mstl.models.bundle import install_bundle

    for filename in install_bundle(bundle):
        print(filename)
