"""Optimizers over parameter groups: a learning rate for each stage of the model, weight decay only on weights.

MindSpore's optimizers are made here with every argument explicit, because their defaults change between releases.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mindspore as ms
from mindspore import nn

from mstl.config import OptimizerName
from mstl.models import layers
from mstl.models.contract import Classifier

OptimizerFactory = Callable[[list[dict[str, Any]], float], nn.Cell]  # from MindSpore's parameter groups and momentum


def momentum(groups: list[dict[str, Any]], momentum: float) -> nn.Cell:
    """Gradient descent with heavy-ball momentum (Polyak 1964); L2 weight decay."""
    return nn.Momentum(groups, learning_rate=1.0, momentum=momentum, use_nesterov=False)


def sgd(groups: list[dict[str, Any]], momentum: float) -> nn.Cell:
    """Gradient descent with Nesterov momentum (Sutskever et al. 2013); L2 weight decay."""
    return nn.SGD(groups, learning_rate=1.0, momentum=momentum, dampening=0.0, nesterov=momentum > 0)


def adam(groups: list[dict[str, Any]], _momentum: float) -> nn.Cell:
    """Adam (Kingma and Ba 2015) with its usual constants; L2 weight decay."""
    return nn.Adam(groups, learning_rate=1.0, beta1=0.9, beta2=0.999, eps=1e-8)


def adamw(groups: list[dict[str, Any]], _momentum: float) -> nn.Cell:
    """AdamW (Loshchilov and Hutter 2019): decoupled weight decay. nn.AdamWeightDecay lacks the bias correction."""
    from mindspore.experimental import optim

    return optim.AdamW(groups, lr=1.0, betas=(0.9, 0.999), eps=1e-8)


def lamb(groups: list[dict[str, Any]], _momentum: float) -> nn.Cell:
    """LAMB (You et al. 2020), for large batches; MindSpore has it on Ascend and GPU only."""
    return nn.Lamb(groups, learning_rate=1.0, beta1=0.9, beta2=0.999, eps=1e-6)


OPTIMIZERS: dict[OptimizerName, OptimizerFactory] = {
    "momentum": momentum,
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
    "lamb": lamb,
}


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate and a weight decay.

    Attributes:
        stage: The stage of the model that they belong to; "head" for the head.
        parameters: The parameters.
        lr_scale: Factor on the learning rate.
        decay: Whether weight decay is applied.
    """

    stage: str
    parameters: tuple[ms.Parameter, ...]
    lr_scale: float
    decay: bool


def make_groups(model: Classifier, layer_decay: float = 1.0) -> list[ParameterGroup]:
    """Group the trainable parameters of a model, from the stem to the head.

    Args:
        model: The model.
        layer_decay: Learning rate of each stage over that of the next one; the head's factor is 1 (Clark et al. 2020).

    Returns:
        Groups without weight decay for vectors (BatchNorm parameters and biases), groups with it for the rest.
    """
    stages = model.stages()
    groups = []
    for depth, (stage, parameters) in enumerate(stage_parameters(model).items()):
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        for decay in (True, False):
            members = tuple(parameter for parameter in trainable if (len(parameter.shape) > 1) is decay)
            if members:
                groups.append(ParameterGroup(stage, members, layer_decay ** (len(stages) - depth), decay))
    return groups


def stage_parameters(model: Classifier) -> dict[str, list[ms.Parameter]]:
    """The parameters of each stage, BatchNorm statistics included; the head comes last."""
    by_stage = {}
    for stage, cells in model.stages().items():
        by_stage[stage] = [parameter for cell in cells for parameter in cell.get_parameters()]
    backbone = {id(parameter) for parameters in by_stage.values() for parameter in parameters}
    by_stage["head"] = [parameter for parameter in model.get_parameters() if id(parameter) not in backbone]
    return by_stage


@dataclass(frozen=True)
class Unstepped:
    """In the place of an Optimizer where the parameters are solved for: there are no steps, and no state.

    Attributes:
        groups: What is solved for.
    """

    groups: Sequence[ParameterGroup]
    state: Mapping[str, ms.Parameter] = field(default_factory=dict)


class Optimizer:
    """One of MindSpore's optimizers, given the base learning rate anew at each step.

    Args:
        name: The algorithm.
        groups: What to train.
        momentum: For ``"momentum"`` and ``"sgd"``, from 0 to below 1.
        weight_decay: For the groups that have it.

    Attributes:
        parameters: What is trained, in the order in which :meth:`step` takes the gradients.
        rates: The learning rate of each group.
        state: The optimizer's own parameters (moments, step counts) by name.
    """

    def __init__(
        self, name: OptimizerName, groups: Sequence[ParameterGroup], momentum: float = 0.9, weight_decay: float = 0.0
    ) -> None:
        self.groups = groups
        entries = [
            {"params": list(group.parameters), "lr": 1.0, "weight_decay": weight_decay if group.decay else 0.0}
            for group in groups
        ]
        self.cell = OPTIMIZERS[name](entries, momentum)
        self.parameters = self.cell.parameters
        self.rates = rate_parameters(self.cell)
        trained = {parameter.name for parameter in self.parameters}
        self.state: dict[str, ms.Parameter] = {p.name: p for p in self.cell.get_parameters() if p.name not in trained}

    def step(self, gradients: tuple[ms.Tensor, ...], learning_rate: float) -> None:
        """Update the parameters once."""
        for rate, group in zip(self.rates, self.groups, strict=True):
            layers.assign(rate, learning_rate * group.lr_scale)
        self.cell(gradients)


def rate_parameters(optimizer: nn.Cell) -> list[ms.Parameter]:
    """The learning rate of each group of a MindSpore optimizer made here."""
    if hasattr(optimizer, "param_groups"):
        return [group["lr"] for group in optimizer.param_groups]
    by_group = {parameter.name: parameter for parameter in optimizer.learning_rate}  # listed once for each parameter
    return list(by_group.values())
