"""Which part of a net is trained, and what the frozen part does meanwhile."""

import mindspore as ms


class BackboneFrozen:
    """Only the head is trained; the backbone computes features as it does in evaluation.

    A backbone in training mode would move its BatchNorm statistics even with ``requires_grad=False``: the features
    would drift away under the head that is being fitted to them.

    Args:
        net: A net that keeps mstl's model contract.
    """

    def __init__(self, net):
        self.net = net
        for parameter in net.get_parameters():
            parameter.requires_grad = parameter.name in net.head_names

    def set_train(self):
        """Head in training mode, backbone in evaluation mode."""
        self.net.set_train(False)
        self.net.set_head_train(True)

    def inputs(self, images):
        """What the trained part gets: features, computed without a gradient."""
        return ms.ops.stop_gradient(self.net.forward_features(images))

    def forward(self, features):
        """The trained part: (N, C, h, w) features to (N, classes) logits."""
        return self.net.forward_head(features)


class NothingFrozen:
    """The whole net is trained.

    Args:
        net: A net that keeps mstl's model contract.
    """

    def __init__(self, net):
        self.net = net
        for parameter in net.get_parameters():
            # BatchNorm statistics are parameters too, but they follow the data, not a gradient
            parameter.requires_grad = not parameter.name.endswith((".moving_mean", ".moving_variance"))

    def set_train(self):
        """All of it in training mode."""
        self.net.set_train(True)

    def inputs(self, images):
        """The images as they are."""
        return images

    def forward(self, images):
        """(N, 3, H, W) images to (N, classes) logits."""
        return self.net(images)


POLICIES = {"backbone": BackboneFrozen, "none": NothingFrozen}
