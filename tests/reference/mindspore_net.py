"""Shapes and logits of any MindSpore net, without mstl's loading."""

import mindspore as ms


def shapes(net):
    """Names and shapes of all parameters of ``net``."""
    return {parameter.name: tuple(parameter.shape) for parameter in net.get_parameters()}


def compute(net, parameters, images):
    """Logits in evaluation mode, from arrays and as arrays: one (N, classes) for each of ``images``."""
    wanted = {parameter.name: parameter for parameter in net.get_parameters()}
    if wanted.keys() != parameters.keys():
        raise ValueError(f"not the net's parameters: {sorted(wanted.keys() ^ parameters.keys())}")
    for name, parameter in wanted.items():
        parameter.set_data(ms.Tensor(parameters[name]))
    net.set_train(False)
    return [net(ms.Tensor(batch)).asnumpy() for batch in images]
