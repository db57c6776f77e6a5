"""A callback of your own: stop as soon as the validation accuracy is high enough.

``python examples/own_callback.py [DATA] [ACCURACY]``
"""

import sys

import mstl


class GoodEnough:
    """Ends a run at a validation accuracy; mstl calls it when its own callbacks have saved everything."""

    def __init__(self, accuracy):
        self.accuracy = accuracy

    def on_epoch_end(self, state):
        """Look at the newest row of the history."""
        if state.history[-1]["val_accuracy"] >= self.accuracy:
            state.stop = f"reached {self.accuracy}: good enough"


def main(data="demo", accuracy=0.95):
    """Train with the callback, and say how it went."""
    state = mstl.fit(data=data, epochs=10, callbacks=[GoodEnough(float(accuracy))])
    print(f"{len(state.history)} epochs, {state.best['val_accuracy']:.3f}, kept in {state.folder}")


if __name__ == "__main__":
    main(*sys.argv[1:])
