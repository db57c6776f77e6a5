"""The optimizer: Muon for convolutions, AdamW for everything else."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn


def orthogonalise(gradient: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Bring all singular values of a matrix near 1 by Newton-Schulz iterations.

    The polynomial and its coefficients are those of Muon (Jordan et al. 2024). It is applied to the Gram matrix, and
    to the matrix itself only once: for a 512 x 4608 convolution that is a third of the work.

    Args:
        gradient: Matrix with no more rows than columns.
        steps: Iterations.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = gradient / (gradient.norm() + 1e-7)
    gram = x @ x.T
    identity = torch.eye(len(gram), device=gram.device)
    total = None
    for step in range(steps):
        poly = a * identity + b * gram + c * gram @ gram
        total = poly if total is None else poly @ total
        if step < steps - 1:
            gram = poly @ gram @ poly
    return total @ x


class Muon(torch.optim.Optimizer):
    """Momentum whose step is orthogonalised, on weights of fixed length.

    A convolution before a BatchNorm does not care about the length of its weight, so it is held at its first value; the
    rate is then the angle by which each step turns the weight.

    Args:
        params: Convolution weights.
        lr: Rate.
        pool: Threads among which the weights are shared out.
        momentum: Decay of the (Nesterov) momentum.
    """

    def __init__(self, params, lr: float, pool: ThreadPoolExecutor, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.pool = pool

    def step(self, closure=None):
        """Take one step."""
        for group in self.param_groups:
            # The largest first, so that no thread is left with one at the end.
            params = sorted(group["params"], key=torch.numel, reverse=True)
            list(self.pool.map(self._update, params, [group] * len(params)))

    @torch.no_grad()
    def _update(self, p: torch.Tensor, group: dict):
        """Take one step with one weight."""
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
            state["length"] = p.norm()
        momentum = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
        update = p.grad.lerp(momentum, group["momentum"]).flatten(1)
        tall = update.shape[0] > update.shape[1]
        update = orthogonalise(update.T if tall else update)
        update = (update.T if tall else update).reshape(p.shape)
        # The step's length is lr times the weight's, whatever the shape.
        p.sub_(update * (group["lr"] * state["length"] / (update.norm() + 1e-7)))
        p.mul_(state["length"] / p.norm())


def make_optimizers(
    student: nn.Module, heads: nn.Module, muon_lr: float, adam_lr: float, pool: ThreadPoolExecutor
) -> list[torch.optim.Optimizer]:
    """Return the optimizers of both nets' parameters.

    Args:
        student: The net that is kept.
        heads: The projections, used in training only.
        muon_lr: Rate of the convolutions; 0 gives them to AdamW too.
        adam_lr: Rate of the rest.
        pool: Threads for Muon.
    """
    convs = [p for p in student.parameters() if p.ndim == 4 and muon_lr]
    known = {id(p) for p in convs}
    rest = [p for net in (student, heads) for p in net.parameters() if id(p) not in known]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": 0.02},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, lr=adam_lr, foreach=True)
    optimizers = [adam] + ([Muon(convs, muon_lr, pool)] if convs else [])
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers
