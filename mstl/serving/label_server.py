"""The server of labelling: images are found and ordered, and a page to label them served until a signal comes."""

from collections.abc import Callable
from pathlib import Path

from mstl.data.finding.predict_inputs import counted
from mstl.predictor import Predictor
from mstl.review.label_list import LabelList
from mstl.review.unlabelled import find_unlabelled
from mstl.serving import web_server
from mstl.serving.explainer import Explainer
from mstl.serving.label_app import create_label_app
from mstl.serving.label_desk import LabelDesk
from mstl.serving.label_material import label_material
from mstl.serving.local_page import HOST, local_settings, serve_page
from mstl.serving.served_model import ServedModel


def serve_labels(
    folder: Path, checkpoint: Path, labels: LabelList, port: int, device: str, announce: Callable[[str], None]
) -> None:
    """Serve the page to this machine.

    Args:
        folder: With the images.
        checkpoint: Of the model that proposes labels.
        labels: The list, which may have some already.
        port: 0 for one that is free.
        device: See :class:`mstl.Predictor`.
        announce: Called with the page's address, the token in it, once it can be opened.

    Raises:
        MstlError: There is nothing to be labelled, the checkpoint cannot be used, the list is another kind of list, or
            the port is taken.
    """
    bound = web_server.bind(HOST, port)
    labels.read()
    predictor = Predictor(checkpoint, device)
    found = find_unlabelled(folder, labels, predictor.run_data.split_of)
    material = label_material(predictor, found.samples)
    desk = LabelDesk(found.images, found.groups, labels, material, lambda line: print(line, flush=True))
    explainer, settings = Explainer(ServedModel(predictor)), local_settings()
    try:
        serve_page(create_label_app(desk, folder.resolve().name, settings, explainer), bound, settings, announce)
    finally:
        explainer.close()
    if rows := labels.read():
        told = counted(rows, "label")
        print(f"{told} in {labels.path}: mstl train --data {labels.path} learns from it", flush=True)
