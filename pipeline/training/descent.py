"""One descent along the gradients of a loss, where they are finite."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from pipeline.training.distributed import Group
from pipeline.training.loss_scale import LossScale
from pipeline.training.schedules import Scalar


def descend(
    optimisers: Iterable[Optimizer],
    losses: Iterable[Tensor],
    learning_rate: Scalar,
    group: Group,
    max_norm: float | None = None,
    condition: Tensor | None = None,
    scale: LossScale | None = None,
) -> Tensor:
    """Update the optimisers' parameters where all gradients are finite and `condition` holds.

    Gradients are the sums of those of `losses`, each of which is computed when that before it is
    done; of them the means over the processes of `group`, clipped to `max_norm` in all. Return
    whether the parameters were updated: `() bool`. Otherwise they and the moments stay. On CUDA the
    host does not wait to learn it. `scale` scales the losses, and is adapted.
    """
    optimisers = list(optimisers)
    for optimiser in optimisers:
        optimiser.zero_grad()
    for loss in losses:
        (loss if scale is None else scale.scaled(loss)).backward()  # type: ignore[no-untyped-call]
    groups = [one for optimiser in optimisers for one in optimiser.param_groups]
    parameters = [
        parameter
        for param_group in groups
        for parameter in param_group["params"]
        if parameter.grad is not None
    ]
    gradients = [parameter.grad for parameter in parameters]
    group.all_reduce_mean_(gradients)
    if scale is not None:
        scale.unscale_(gradients)
    norm = get_total_norm(gradients)
    # A finite loss may have gradients that are not finite.
    updated = torch.isfinite(norm)
    if scale is not None:
        scale.update(updated)
    if condition is not None:
        updated = updated & condition
    on_cuda = norm.device.type == "cuda"
    if not on_cuda and not updated:
        return updated
    if max_norm is not None:
        clip_grads_with_norm_(parameters, max_norm, norm)
    for param_group in groups:
        param_group["lr"] = learning_rate
    for optimiser in optimisers:
        if on_cuda:
            # As `torch.amp.GradScaler` sets it: where it is 1, the optimiser moves nothing.
            optimiser.found_inf = (~updated).float()  # type: ignore[attr-defined]
        optimiser.step()
    return updated
