"""``mstl serve best.ckpt``: a page to try a model on, and an API to build on."""

import dataclasses
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from mstl.commands import shared

if TYPE_CHECKING:  # neither the model nor the server is loaded for --help
    from mstl.config import EngineName, PrecisionName

NEEDED = ("fastapi", "uvicorn", "python_multipart")  # by the extra `serve`


@shared.command
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 = any free one.")
@click.option("--open", "is_opened", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--collect",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for images whose label is corrected on the page, a folder a class, for the next training.",
)
@click.option("--token", envvar="MSTL_TOKEN", show_envvar=True, help="Token that requests must bring (Bearer).")
@click.option("--allow-origin", multiple=True, help="Origin of other pages that may use the API (repeatable).")
@click.option("--allow-host", multiple=True, help="Further name under which the server is reached (repeatable).")
@click.option("--insecure", is_flag=True, help="Allow an address that others reach, without a token.")
@click.option("--max-size", default="50MB", show_default=True, help="Largest body of a request.")
@click.option("--max-files", type=click.IntRange(1), default=32, show_default=True, help="Images in a request.")
@click.option("--timeout", default="30s", show_default=True, help="Time within which a body must come.")
@click.option("--grace", default="30s", show_default=True, help="Time to finish what is accepted, at the end.")
@click.option("--queue", type=click.IntRange(1), default=256, show_default=True, help="Images that may wait.")
@click.option("--batch-size", "-b", type=click.IntRange(1), default=16, show_default=True, help="Largest batch.")
@shared.device_option()
@shared.engine_options
def main(
    model: Path,
    host: str,
    port: int,
    is_opened: bool,
    collect: Path | None,
    token: str | None,
    allow_origin: tuple[str, ...],
    allow_host: tuple[str, ...],
    insecure: bool,
    max_size: str,
    max_files: int,
    timeout: str,
    grace: str,
    queue: int,
    batch_size: int,
    device: str,
    engine: "EngineName",
    precision: "PrecisionName",
) -> None:
    """Serve MODEL: a page to try it on, and an API to build on.

    MODEL is a checkpoint, such as best.ckpt, or an .onnx file of `mstl export`, which needs no MindSpore. What it
    answers is what `mstl predict` does. Images stay on this machine, and in memory, unless --collect is given.

    By default only this machine reaches the server. With another --host, give --token (better in MSTL_TOKEN, as others
    on this machine see the options of commands). POST /predict takes an image, or a form with several; /openapi.json
    describes the rest. Ctrl-C and SIGTERM end it once what it has accepted is answered.
    """
    check_extra("mstl serve")
    from mstl.files import make_folder
    from mstl.serving import serve_options, web_server
    from mstl.serving.app import create_app
    from mstl.serving.served_model import ServedModel

    token = serve_options.token_of(token)
    settings = dataclasses.replace(
        serve_options.access_of(host, token, allow_host, allow_origin, insecure),
        collect=collect,
        max_bytes=serve_options.bytes_of("--max-size", max_size),
        max_files=max_files,
        body_seconds=serve_options.seconds_of("--timeout", timeout),
        grace_seconds=serve_options.seconds_of("--grace", grace),
        queue=queue,
        batch_size=batch_size,
    )
    bound = web_server.bind(host, port)
    if collect is not None:
        make_folder(collect)
    served = ServedModel.load(model, device, engine, precision)
    served.warm_up()
    address = web_server.url(host, bound.getsockname()[1])

    def announce() -> None:
        print(f"{model} is served at {address} (Ctrl-C ends it)", flush=True)
        if is_opened:
            click.launch(address if token is None else f"{address}#token={quote(token, safe='')}")

    web_server.run(create_app(served, settings), bound, settings, announce)


def check_extra(command: str) -> None:
    """Check that the libraries of a command's server are installed.

    Raises:
        MstlError: They are not.
    """
    from mstl.errors import MstlError

    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MstlError(f'{command} needs {", ".join(missing)}: pip install "mstl[serve]"')
