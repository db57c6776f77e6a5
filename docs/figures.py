"""The figures of the documentation, made by mstl from its demo: ``python -m docs.figures`` (two minutes on two cores).

Most are what its commands draw. Two are drawn here of what they write (folds, distances), one shows how windows lie,
and two are pages as Chromium shows them.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

IMAGES = Path(__file__).parent / "images"
WIDTH, COLORS = 900, 96  # pixels at most, and colours: a figure has about 100 kB
RIGHT, WRONG, GREY = "#0072B2", "#D55E00", "#777777"
UNKNOWN = "clock"  # the kind of objects that one of the models has never seen
PORT = 8765


def mstl(*arguments):
    """Run a command in the working folder; what it printed."""
    command = [sys.executable, "-m", "mstl", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def keep(source, name, width=WIDTH):
    """Keep a picture, no larger than it must be."""
    image = Image.open(source).convert("RGB")
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    image.quantize(COLORS, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)


def of_commands(demo):
    """What the commands draw of two models of the demo, of which the second one makes some mistakes."""
    model = ("--data", demo, "--model", "resnet18", "--weights", "mstl")
    mstl("train", *model, "--out", "good")
    mstl("visualize", "good/best.ckpt", "--kind", "gradcam", "--n", "8", "--out", "gradcam.png", "--no-show")
    keep("gradcam.png", "gradcam.png")
    mstl("data", "preview", demo, "--augment", "light", "--out", "preview.png")
    keep("preview.png", "preview.png")
    mstl("train", *model, "--image-size", "64", "--folds", "5", "--out", "run")
    mstl("evaluate", "run/best.ckpt")
    keep("run/evaluation/reliability.png", "reliability.png", 600)
    keep("run/curves.png", "weight_decays.png", 600)
    for kind in ("features", "confusion"):
        mstl("visualize", "run/best.ckpt", "--kind", kind, "--out", f"{kind}.png", "--no-show")
        keep(f"{kind}.png", f"{kind}.png", 600)


def of_predictions():
    """The predictions of a model, drawn with the first seed by which one wrong one is among them."""
    from mstl import Predictor

    evaluation, count = Predictor("run/best.ckpt").evaluate(), 8
    wrong = evaluation.predictions != evaluation.labels

    def wrong_ones(seed):
        return wrong[np.random.default_rng(seed).permutation(evaluation.total)[:count]].sum()

    seed = next(seed for seed in range(1000) if wrong_ones(seed) == 1)
    mstl("visualize", "run/best.ckpt", "--n", str(count), "--seed", str(seed), "--no-show")
    keep("run/predictions.png", "predictions.png")


def of_folds():
    """The accuracy of each fold, and the interval of all."""
    with open("run/folds.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figures = json.loads(Path("run/folds.json").read_text(encoding="utf-8"))
    right = {}
    for row in rows:
        right.setdefault(int(row["fold"]), []).append(row["label"] == row["predicted"])
    low, high = figures["interval"]
    figure, axes = plt.subplots(figsize=(5, 2.6), layout="constrained")
    axes.axvspan(low, high, color=RIGHT, alpha=0.15, label=f"interval of all, {low:.1%} to {high:.1%}")
    axes.axvline(figures["accuracy"], color=RIGHT, label=f"all {len(rows)} images, {figures['accuracy']:.1%}")
    accuracies = [np.mean(right[fold]) for fold in sorted(right)]
    axes.plot(accuracies, range(1, len(accuracies) + 1), "o", color=WRONG, label="one fold")
    axes.set(xlabel="accuracy", ylabel="fold", yticks=range(1, len(accuracies) + 1))
    axes.xaxis.set_major_formatter(plt.FuncFormatter(lambda value, _: f"{value:.1%}"))
    axes.invert_yaxis()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.35), ncols=3, fontsize=8, frameon=False)
    figure.savefig("folds.png", dpi=130)
    keep("folds.png", "folds.png", 650)


def of_distances(demo):
    """Distances of new images of the kinds that a model knows, and of a kind that it has never seen."""
    from mstl import Predictor

    paths = sorted(demo.glob("*/*/*.jpg"))
    others = [path for path in paths if path.parent.name == UNKNOWN]
    known = [path for path in paths if path not in others]
    new = [path for path in known if path.parts[-3] == "train" and path.stem >= "25"]  # of the known kinds
    with open("four.csv", "w", encoding="utf-8") as file:
        file.write("path,label,split\n")
        file.writelines(f"{path},{path.parent.name},{path.parts[-3]}\n" for path in known if path not in new)
    mstl("train", "--data", "four.csv", "--image-size", "128", "--out", "four", "--no-report")
    predictor = Predictor("four/best.ckpt")

    def distances(images):
        features = [predictor.answers(pixels)[1] for _, _, pixels in predictor.prepared(images, 20)]
        return predictor.rejector.distances(np.concatenate(features))

    known, unknown = distances(new), distances(others)
    limit = predictor.rejector.distance_limit
    bins = np.linspace(0, 1.1 * max(known.max(), unknown.max()), 40)
    figure, axes = plt.subplots(figsize=(5, 2.8), layout="constrained")
    axes.hist(known, bins, color=RIGHT, alpha=0.7, label=f"known kinds: {np.mean(known > limit):.0%} rejected")
    axes.hist(unknown, bins, color=WRONG, alpha=0.7, label=f"unknown kind: {np.mean(unknown > limit):.0%} rejected")
    axes.axvline(limit, color="black", linestyle="--", label="distance_limit")
    axes.set(xlabel="distance to the nearest known images", ylabel="images")
    axes.legend(fontsize=8, frameon=False)
    figure.savefig("rejection.png", dpi=130)
    keep("rejection.png", "rejection.png", 650)


def of_windows():
    """Where windows of 3 x 3 with stride 2 lie on an input of 6 x 6, padded in both ways; as SVG."""
    cell, parts = 22, []
    for left, (name, before, after) in enumerate((("symmetric", 1, 0), ("same", 0, 1))):
        x0, y0 = 20 + left * 230, 40
        parts.append(f'<text x="{x0}" y="24" font-size="15">{name}</text>')
        size = 6 + before + after
        for row in range(size):
            for column in range(size):
                padded = not (before <= row < before + 6 and before <= column < before + 6)
                fill = "#dddddd" if padded else "#ffffff"
                x, y = x0 + column * cell, y0 + row * cell
                parts.append(f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="{fill}" stroke="{GREY}"/>')
        for color, place in ((RIGHT, 0), (WRONG, 2)):
            at, side = place * cell, 3 * cell
            parts.append(
                f'<rect x="{x0 + at}" y="{y0 + at}" width="{side}" height="{side}" fill="none" stroke="{color}" '
                'stroke-width="3"/>'
            )
    parts.append(f'<text x="20" y="222" font-size="13" fill="{GREY}">grey: zeros; blue: 1st window; orange: 2nd</text>')
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="450" height="235" font-family="sans-serif">'
    background = '<rect width="100%" height="100%" fill="#ffffff"/>'
    (IMAGES / "padding.svg").write_text("\n".join([head, background, *parts, "</svg>\n"]), encoding="utf-8")


def of_pages(demo):
    """The page about a run, and that of the server with an image, in Chromium."""
    from playwright.sync_api import sync_playwright

    from tests.chromium import CHROMIUM

    served = [sys.executable, "-m", "mstl", "serve", "good/best.ckpt", "--port", str(PORT)]
    with subprocess.Popen(served, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 800})
        page.goto(Path("run/report.html").resolve().as_uri())
        page.screenshot(path="report.png")
        keep("report.png", "report.png", 1000)
        server.stdout.readline()
        page.set_viewport_size({"width": 900, "height": 640})
        page.goto(f"http://127.0.0.1:{PORT}/")
        page.set_input_files("input[type=file]:not([capture])", sorted(demo.glob("val/cup/*.jpg"))[1])
        page.wait_for_selector("text=%")
        page.wait_for_timeout(500)
        page.screenshot(path="serve.png")
        keep("serve.png", "serve.png")
        browser.close()
        server.terminate()


def main():
    """Make all figures."""
    demo = Path(mstl("data", "get", "demo").strip()).resolve()
    IMAGES.mkdir(exist_ok=True)
    of_windows()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        of_commands(demo)
        of_predictions()
        of_folds()
        of_distances(demo)
        of_pages(demo)


if __name__ == "__main__":
    main()
