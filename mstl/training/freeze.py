"""Which part of a net is trained, and what the frozen part does meanwhile.

A frozen part runs in evaluation mode: in training mode it would move its BatchNorm statistics even with
``requires_grad=False``, and its features would drift away under what is being fitted to them.
"""

from mindspore import nn

STATISTICS = (".moving_mean", ".moving_variance")


class Freeze:
    """A frozen beginning of a net and a trained end.

    Args:
        net: A net that keeps mstl's model contract.
        upto: ``"none"``; a stage (``"stem"``, ``"layer1"`` ... ``"layer4"``), frozen with all before it;
            ``"backbone"``, all but the head; ``"BN"``, the BatchNorms alone.

    Attributes:
        stages: How many of the net's stages are frozen as a whole.
        frozen: Their cells.
        still: The ``id`` of each parameter that stays as it is, the statistics of frozen BatchNorms among them.
        forward: The rest of the net, head included, as a Cell.
    """

    def __init__(self, model, upto):
        self.model, self.upto = model, upto
        stages = model.stages()
        names = list(stages)
        count = {"none": 0, "BN": 0, "backbone": len(names)}.get(upto)
        if count is None:
            count = names.index(upto) + 1
        self.frozen = [cell for name in names[:count] for cell in stages[name]]
        self.forward = TrainedPart(model, [cell for name in names[count:] for cell in stages[name]])
        self.stages = count
        still = self.norms() if upto == "BN" else self.frozen
        self.still = {id(parameter) for cell in still for parameter in cell.get_parameters()}
        for parameter in model.get_parameters():
            # BatchNorm statistics are parameters too, but they follow the data and not a gradient
            parameter.requires_grad = id(parameter) not in self.still and not parameter.name.endswith(STATISTICS)

    def norms(self):
        """All BatchNorms of the net."""
        return [cell for _, cell in self.model.cells_and_names() if isinstance(cell, nn.BatchNorm2d)]

    def set_train(self):
        """Trained part in training mode, frozen part in evaluation mode."""
        self.model.set_train(True)
        for cell in self.norms() if self.upto == "BN" else self.frozen:
            cell.set_train(False)


class TrainedPart(nn.Cell):
    """The trained end of a net: what comes out of the frozen part to (N, classes) logits.

    It owns nothing: the parameters stay the net's, under the net's names.
    """

    def __init__(self, model, cells):
        super().__init__(auto_prefix=False)
        self.model = model
        self.parts = nn.CellList(cells, auto_prefix=False)

    def construct(self, x):
        """(N, C, h, w) -> (N, classes)."""
        for cell in self.parts:
            x = cell(x)
        return self.model.forward_head(x)
