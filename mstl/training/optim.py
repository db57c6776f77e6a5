"""Optimizers over groups of parameters: a rate for each stage of the net, weight decay only where it belongs."""

from dataclasses import dataclass

from mstl import compat


@dataclass(frozen=True)
class Group:
    """Parameters that share a rate and a weight decay.

    Attributes:
        stage: The stage of the net that they belong to; "head" for the head.
        parameters: The parameters.
        scale: What the rate is multiplied with for them.
        decays: Whether weight decay is applied to them.
    """

    stage: str
    parameters: tuple
    scale: float
    decays: bool


def make_groups(net, layer_decay=1.0):
    """Sort the trainable parameters of a net.

    Args:
        net: A net that keeps mstl's model contract.
        layer_decay: Each stage's rate over that of the stage after it; the head's is 1 (Clark et al. 2020).

    Returns:
        Groups from the stem to the head. BatchNorm's and bias parameters, the vectors, have groups without decay.
    """
    stages = net.stages()
    groups = []
    for depth, (stage, parameters) in enumerate(stage_parameters(net).items()):
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        for decays in (True, False):
            chosen = tuple(parameter for parameter in trained if (len(parameter.shape) > 1) is decays)
            if chosen:
                groups.append(Group(stage, chosen, layer_decay ** (len(stages) - depth), decays))
    return groups


def stage_parameters(net):
    """A dict from stage to its parameters, the head last; BatchNorm's statistics are among them."""
    owned = {}
    for stage, cells in net.stages().items():
        owned[stage] = [parameter for cell in cells for parameter in cell.get_parameters()]
    body = {id(parameter) for parameters in owned.values() for parameter in parameters}
    owned["head"] = [parameter for parameter in net.get_parameters() if id(parameter) not in body]
    return owned


class Stepper:
    """An optimizer whose rate is set anew before each step.

    Args:
        name: A key of :data:`mstl.compat.OPTIMIZERS`.
        groups: From :func:`make_groups`.
        momentum: For momentum and sgd.
        weight_decay: For the groups that decay.
    """

    def __init__(self, name, groups, momentum=0.9, weight_decay=0.0):
        self.groups = groups
        entries = [
            {"params": list(group.parameters), "lr": 1.0, "weight_decay": weight_decay if group.decays else 0.0}
            for group in groups
        ]
        self.optimizer = compat.OPTIMIZERS[name](entries, momentum)
        self.parameters = self.optimizer.parameters
        own = {parameter.name for parameter in self.parameters}
        self.state = {p.name: p for p in self.optimizer.get_parameters() if p.name not in own}

    def step(self, gradients, rate):
        """Move the parameters by one step at a base rate."""
        compat.set_rates(self.optimizer, [rate * group.scale for group in self.groups])
        self.optimizer(gradients)
