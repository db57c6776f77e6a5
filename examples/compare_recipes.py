"""Train with several recipes on the same photos, and see whether they differ by more than chance.

``python examples/compare_recipes.py [DATA] [RECIPE ...]``, such as ``... pets linear finetune``

`finetune` trains the whole model, which takes minutes on a plain CPU, where `linear` takes seconds.
"""

import sys
from pathlib import Path

import mstl
from mstl.report import plots

OUT = Path("checkpoints/recipes")


def main(data="demo", *recipes):
    """Train with each recipe, print how good it is, and draw all of them into one picture."""
    states = {}
    for recipe in recipes or ("linear", "finetune"):
        print(f"{recipe}:")
        states[recipe] = mstl.fit(data=data, recipe=recipe, out=str(OUT / recipe))
    for recipe, state in states.items():
        low, high = state.best_evaluation.interval
        seconds = sum(row["seconds"] for row in state.history)
        print(f"{recipe:<18}{state.best_evaluation.accuracy:.3f} ({low:.3f} to {high:.3f}), {seconds:.0f} s of epochs")
    plots.save(plots.compare_accuracies({name: state.history for name, state in states.items()}), OUT / "recipes.png")
    print(f"picture in {OUT / 'recipes.png'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
