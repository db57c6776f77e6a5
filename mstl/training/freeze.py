"""Freezing: which part of a model is trained, and in which mode the rest runs.

Frozen layers run in evaluation mode. In training mode their BatchNorm statistics would change even with
``requires_grad=False``, and the features would drift under the layers that are fitted to them.
"""

from collections.abc import Sequence

import mindspore as ms
from mindspore import nn

from mstl.config import FreezeName
from mstl.models.contract import Classifier
from mstl.models.precision import cast_by_operation

BATCH_NORM_STATISTICS = (".moving_mean", ".moving_variance")


class Freeze:
    """A model divided into frozen first stages and a trained rest; sets ``requires_grad`` of all parameters.

    Args:
        model: The model.
        level: ``"none"``; a stage (``"stem"``, ``"layer1"`` ... ``"layer4"``), frozen with all before it;
            ``"backbone"``, all but the head; ``"BN"``, only the BatchNorms.

    Attributes:
        num_frozen_stages: The number of stages that are frozen as a whole.
        frozen_cells: The layers of those stages.
        frozen_ids: The ``id`` of each parameter that does not change, statistics of frozen BatchNorms included.
        trained_part: The rest of the model, head included.
    """

    def __init__(self, model: Classifier, level: FreezeName) -> None:
        self.model, self.level = model, level
        stages = model.stages()
        names = list(stages)
        if level in ("none", "BN"):
            count = 0
        else:
            count = len(names) if level == "backbone" else names.index(level) + 1
        self.num_frozen_stages = count
        self.frozen_cells: list[nn.Cell] = [cell for name in names[:count] for cell in stages[name]]
        self.trained_part = TrainedPart(model, [cell for name in names[count:] for cell in stages[name]])
        cast_by_operation(self.trained_part, model.precision)
        self.frozen_ids = {id(parameter) for cell in self._evaluated() for parameter in cell.get_parameters()}
        for parameter in model.get_parameters():
            # BatchNorm statistics are parameters too, but they follow the data, not a gradient
            is_statistic = parameter.name.endswith(BATCH_NORM_STATISTICS)
            parameter.requires_grad = id(parameter) not in self.frozen_ids and not is_statistic

    def _evaluated(self) -> list[nn.Cell]:
        """The layers that run in evaluation mode."""
        if self.level == "BN":
            return [cell for _, cell in self.model.cells_and_names() if isinstance(cell, nn.BatchNorm2d)]
        return self.frozen_cells

    def set_train(self) -> None:
        """Put the trained layers into training mode and the frozen ones into evaluation mode."""
        self.model.set_train(True)
        for cell in self._evaluated():
            cell.set_train(False)


class TrainedPart(nn.Cell):
    """The trained end of a model; its parameters stay the model's, under the model's names."""

    def __init__(self, model: Classifier, cells: Sequence[nn.Cell]) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.parts = nn.CellList(cells, auto_prefix=False)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """(N, C, h, w) activations of the frozen part, or images -> (N, classes) logits."""
        for cell in self.parts:
            x = cell(x)
        return self.model.forward_head(x)
