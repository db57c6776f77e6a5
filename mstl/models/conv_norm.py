"""Which BatchNorm follows which convolution: each cell that holds such pairs states them."""

from dataclasses import dataclass

from mindspore import nn

from mstl.models.precision import unwrapped


class ConvNorm(nn.SequentialCell):
    """A convolution, its BatchNorm and possibly an activation."""

    conv_norms = (("0", "1"),)  # the names that a SequentialCell gives to the first two


@dataclass(frozen=True)
class ConvNormPair:
    """A convolution and the BatchNorm that follows it.

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
        return unwrapped(getattr(self.parent, self.conv_name))

    @property
    def norm(self) -> nn.BatchNorm2d:
        """The BatchNorm."""
        return unwrapped(getattr(self.parent, self.norm_name))

    def replace(self, conv: nn.Cell, norm: nn.Cell) -> None:
        """Put other cells into the parent in place of the two."""
        for name, cell in ((self.conv_name, conv), (self.norm_name, norm)):
            if isinstance(self.parent, nn.SequentialCell):  # has a list of its own beside the attributes
                self.parent[int(name)] = cell
            else:
                setattr(self.parent, name, cell)


def find_pairs(model: nn.Cell) -> list[ConvNormPair]:
    """All pairs in a model.

    A cell with convolutions that BatchNorms follow states them as a class attribute ``conv_norms``: a tuple of pairs of
    attribute names, the convolution's and the BatchNorm's.
    """
    return [
        ConvNormPair(cell, conv_name, norm_name)
        for _, cell in model.cells_and_names()
        for conv_name, norm_name in getattr(type(cell), "conv_norms", ())
    ]
