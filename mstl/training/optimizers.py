"""Optimizers over groups of parameters: a learning rate for each stage of the model, weight decay only where it belongs.

MindSpore's optimizers are made here with every argument explicit, as their defaults change between releases.
"""

from dataclasses import dataclass

from mindspore import nn

from mstl.models import layers


def momentum(groups, momentum):
    """Gradient descent with heavy-ball momentum (Polyak 1964); L2 weight decay."""
    return nn.Momentum(groups, learning_rate=1.0, momentum=momentum, use_nesterov=False)


def sgd(groups, momentum):
    """Gradient descent with Nesterov's momentum (Sutskever et al. 2013); L2 weight decay."""
    return nn.SGD(groups, learning_rate=1.0, momentum=momentum, dampening=0.0, nesterov=momentum > 0)


def adam(groups, _momentum):
    """Adam (Kingma and Ba 2015), with its usual constants; L2 weight decay."""
    return nn.Adam(groups, learning_rate=1.0, beta1=0.9, beta2=0.999, eps=1e-8)


def adamw(groups, _momentum):
    """AdamW (Loshchilov and Hutter 2019): decoupled weight decay. nn.AdamWeightDecay leaves out the bias correction."""
    from mindspore.experimental import optim

    return optim.AdamW(groups, lr=1.0, betas=(0.9, 0.999), eps=1e-8)


def lamb(groups, _momentum):
    """LAMB (You et al. 2020), for large batches; MindSpore has it on Ascend and GPU only."""
    return nn.Lamb(groups, learning_rate=1.0, beta1=0.9, beta2=0.999, eps=1e-6)


OPTIMIZERS = {"momentum": momentum, "sgd": sgd, "adam": adam, "adamw": adamw, "lamb": lamb}


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


def make_groups(model, layer_decay=1.0):
    """Sort the trainable parameters of a net.

    Args:
        net: A net that keeps mstl's model contract.
        layer_decay: Each stage's rate over that of the stage after it; the head's is 1 (Clark et al. 2020).

    Returns:
        Groups from the stem to the head. BatchNorm's and bias parameters, the vectors, have groups without decay.
    """
    stages = model.stages()
    groups = []
    for depth, (stage, parameters) in enumerate(stage_parameters(model).items()):
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        for decays in (True, False):
            chosen = tuple(parameter for parameter in trained if (len(parameter.shape) > 1) is decays)
            if chosen:
                groups.append(Group(stage, chosen, layer_decay ** (len(stages) - depth), decays))
    return groups


def stage_parameters(model):
    """A dict from stage to its parameters, the head last; BatchNorm's statistics are among them."""
    owned = {}
    for stage, cells in model.stages().items():
        owned[stage] = [parameter for cell in cells for parameter in cell.get_parameters()]
    body = {id(parameter) for parameters in owned.values() for parameter in parameters}
    owned["head"] = [parameter for parameter in model.get_parameters() if id(parameter) not in body]
    return owned


class Stepper:
    """An optimizer whose rate is set anew before each step.

    Args:
        name: A key of :data:`OPTIMIZERS`.
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
        self.optimizer = OPTIMIZERS[name](entries, momentum)
        self.parameters = self.optimizer.parameters
        own = {parameter.name for parameter in self.parameters}
        self.state = {p.name: p for p in self.optimizer.get_parameters() if p.name not in own}

    def step(self, gradients, rate):
        """Move the parameters by one step at a base rate."""
        set_rates(self.optimizer, [rate * group.scale for group in self.groups])
        self.optimizer(gradients)


def set_rates(optimizer, rates):
    """Set the learning rate of each group of an optimizer made here."""
    if hasattr(optimizer, "param_groups"):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            layers.assign(group["lr"], rate)
        return
    by_group = {parameter.name: parameter for parameter in optimizer.learning_rate}  # one entry for each parameter
    for parameter, rate in zip(by_group.values(), rates, strict=True):
        layers.assign(parameter, rate)
