"""Which BatchNorm belongs to which convolution: said by each cell that holds both, so that no order has to tell."""

from dataclasses import dataclass

from mindspore import nn


class ConvNorm(nn.SequentialCell):
    """A convolution, its BatchNorm and possibly an activation, in this order."""

    conv_norms = (("0", "1"),)


@dataclass(frozen=True)
class ConvNormPair:
    """A convolution and its BatchNorm.

    Attributes:
        parent: The cell that holds both.
        conv_name, norm_name: Their names in it.
    """

    parent: nn.Cell
    conv_name: str
    norm_name: str

    @property
    def conv(self) -> nn.Conv2d:
        """The convolution."""
        return getattr(self.parent, self.conv_name)

    @property
    def norm(self) -> nn.BatchNorm2d:
        """The BatchNorm."""
        return getattr(self.parent, self.norm_name)

    def replace(self, conv: nn.Cell, norm: nn.Cell) -> None:
        """Put other cells in the place of the two."""
        for name, cell in ((self.conv_name, conv), (self.norm_name, norm)):
            if isinstance(self.parent, nn.SequentialCell):  # runs a list of its own, which only this keeps up to date
                self.parent[int(name)] = cell
            else:
                setattr(self.parent, name, cell)


def find_pairs(model: nn.Cell) -> list[ConvNormPair]:
    """All pairs in a model, as its cells say them.

    A cell that holds convolutions with BatchNorms says so in ``conv_norms``, an attribute of its class: pairs of the
    convolution's name and the BatchNorm's.
    """
    return [
        ConvNormPair(cell, conv_name, norm_name)
        for _, cell in model.cells_and_names()
        for conv_name, norm_name in getattr(type(cell), "conv_norms", ())
    ]
