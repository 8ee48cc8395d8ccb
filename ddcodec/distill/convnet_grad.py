"""The ConvNet's loss, its gradient, and the product with its Hessian, written out by hand.

Autograd differentiates a gradient through a graph of a graph, which takes more memory traffic than
arithmetic. Here a training step is one pass forward and one back, and what an unrolled step passes
back, the derivative of <gradient, v> in parameters, images and labels, is the change of those two
passes when the parameters move along v (forward over reverse; Pearlmutter, Neural Computation
1994): the same nine convolutions a layer as autograd's, six where the first passes were kept.

Activations are (N, H W, C), the memory of channels-last images: sums over pixels, pooling and
convolutions in bfloat16 are several times faster so. There sums over pixels are added up in float32
and rounded to bfloat16; the head, the loss and sums over images have the type of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .networks import ConvNet

EPS = 1e-5  # of the instance norm
# Below, PyTorch's own norm walks channels-last memory across: many times slower than three sums.
FUSED_PIXELS = 1024
PAD = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)  # stride, padding, dilation, ... of 3x3


@dataclass(frozen=True)
class _Weights:
    """One block's parameters: weight (F, C, 3, 3) of the compute type, scale and shift (F,)."""

    weight: Tensor
    scale: Tensor
    shift: Tensor


@dataclass
class _Block:
    """What one block keeps of both passes; shapes (N, H W, C) and, of statistics, (N, 1, C)."""

    size: tuple[int, int]
    x: Tensor  # its input, an image batch (N, C, H, W)
    normed: Tensor
    rstd: Tensor
    active: Tensor  # after the ReLU
    slope: Tensor | None = None  # of the loss in what the ReLU got
    mean_sn: Tensor | None = None  # pixel mean of slope * normed
    projected: Tensor | None = None  # slope without its mean and its part along normed


@dataclass
class Tape:
    """Both passes of one batch.

    Attributes:
        loss: soft cross-entropy, 0-d.
        gradient: float (num_params,).
        to_x: gradient in the images (N, C, H, W), or None where it was not asked for.
    """

    loss: Tensor
    gradient: Tensor
    to_x: Tensor | None
    net: ConvNet
    weights: list[_Weights]
    head: Tensor
    blocks: list[_Block]
    features: Tensor
    logits: Tensor
    labels: Tensor
    to_logits: Tensor


def loss_gradient(
    net: ConvNet,
    flat: Tensor,
    x: Tensor,
    labels: Tensor,
    dtype: torch.dtype | None = None,
    images: bool = False,
) -> Tape:
    """Return the mean cross-entropy of x (N, C, H, W) against labels (N, n), and its gradient.

    Args:
        net: the architecture; ``flat`` its parameters (num_params,).
        x, labels: of the type of ``flat``.
        dtype: of convolutions and activations; None is that of ``flat``.
        images: also return the gradient in x.
    """
    views = net.views(flat.detach())
    weights = _weights(net, views, dtype)
    blocks, features = _forward(weights, x, dtype)
    logits = torch.addmm(views[-1], features, views[-2].T)
    log_p = F.log_softmax(logits, 1)
    total = labels.sum(1, keepdim=True)
    loss = -(labels * log_p).sum() / len(x)
    to_logits = (total * log_p.exp() - labels) / len(x)
    parts = [to_logits.T @ features, to_logits.sum(0)]
    to_x, grads = _backward(weights, blocks, to_logits @ views[-2], images, True)
    gradient = torch.cat([g.reshape(-1) for g in (*grads, *parts)])
    return Tape(
        loss, gradient, to_x, net, weights, views[-2], blocks, features, logits, labels, to_logits,
    )  # fmt: skip


def features(
    net: ConvNet, flat: Tensor, x: Tensor, dtype: torch.dtype | None = None
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the head's inputs (N, F) of the type of ``flat``, and the way back to the images.

    That takes a gradient of the features (N, F) to one of x (N, C, H, W).
    """
    weights = _weights(net, net.views(flat), dtype)
    blocks, found = _forward(weights, x, dtype)

    def back(to_features: Tensor) -> Tensor:
        to_x, _ = _backward(weights, blocks, to_features, True, False)
        assert to_x is not None
        return to_x

    return found, back


def mixed_product(tape: Tape, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the derivative of <gradient, direction> in (flat, images, labels).

    ``direction`` is (num_params,); the results have the shapes of the three.
    """
    net, views = tape.net, tape.net.views(direction)
    dtype = tape.weights[0].weight.dtype
    moved = _weights(net, views, dtype)
    x_move: Tensor | None = None
    kept: list[tuple[Tensor | None, Tensor, Tensor]] = []
    for block, w, move in zip(tape.blocks, tape.weights, moved, strict=True):
        entered = x_move
        x_move, normed_move, rstd_move = _forward_move(block, w, move, entered)
        kept.append((entered, normed_move, rstd_move))
    assert x_move is not None
    features_move = x_move.flatten(1).to(tape.features.dtype)
    logits_move = torch.addmm(views[-1], features_move, tape.head.T) + tape.features @ views[-2].T
    p = F.softmax(tape.logits, 1)
    log_p_move = logits_move - (p * logits_move).sum(1, keepdim=True)
    count = len(tape.labels)
    to_logits_move = tape.labels.sum(1, keepdim=True) * p * log_p_move / count
    to_labels = log_p_move / -count
    head_move = to_logits_move.T @ tape.features + tape.to_logits.T @ features_move
    parts = [head_move, to_logits_move.sum(0)]
    out_move = to_logits_move @ tape.head + tape.to_logits @ views[-2]
    to_x, grads = _backward_move(tape, moved, kept, out_move)
    return torch.cat([g.reshape(-1) for g in (*grads, *parts)]), to_x, to_labels


def _weights(net: ConvNet, views: list[Tensor], dtype: torch.dtype | None) -> list[_Weights]:
    found = []
    for block in range(net.depth):
        weight, scale, shift = views[3 * block : 3 * block + 3]
        weight = weight.to(dtype=dtype or weight.dtype, memory_format=torch.channels_last)
        found.append(_Weights(weight, scale, shift))
    return found


def _forward(
    weights: list[_Weights], x: Tensor, dtype: torch.dtype | None
) -> tuple[list[_Block], Tensor]:
    out_type = x.dtype
    x = x.to(dtype=dtype or x.dtype, memory_format=torch.channels_last)
    blocks = []
    for w in weights:
        z = F.conv2d(x, w.weight, padding=1)
        size = (z.shape[2], z.shape[3])
        normed, rstd = _normalise(z)
        scale, shift = w.scale.to(z.dtype), w.shift.to(z.dtype)
        active = torch.addcmul(shift, normed, scale).relu_()
        blocks.append(_Block(size, x, normed, rstd, active))
        x = _pool(active, size)
    return blocks, x.flatten(1).to(out_type)


def _backward(
    weights: list[_Weights], blocks: list[_Block], to_out: Tensor, images: bool, params: bool
) -> tuple[Tensor | None, list[Tensor]]:
    """Return the gradient in the images and those of every block's parameters.

    ``images`` and ``params`` say which are asked for.
    """
    grads: list[Tensor] = []
    to: Tensor | None = None
    for index in range(len(blocks) - 1, -1, -1):
        block, w = blocks[index], weights[index]
        if to is None:
            to = _as_images(to_out, block)
        slope = _unpool(to, block)
        pixels = slope.shape[1]
        sum_s, sum_sn = slope.sum(1, keepdim=True), (slope * block.normed).sum(1, keepdim=True)
        block.slope, block.mean_sn = slope, sum_sn / pixels
        block.projected = _project(slope, sum_s / pixels, block.normed, block.mean_sn)
        to_z = block.projected * (w.scale * block.rstd).to(slope.dtype)
        wanted = [images or index > 0, params, False]
        to, to_weight, _ = _convolution_backward(to_z, block, block.x, w.weight, wanted)
        if params:
            total_sn, total_s = sum_sn.to(w.scale).sum((0, 1)), sum_s.to(w.scale).sum((0, 1))
            grads = [to_weight.to(w.scale), total_sn, total_s, *grads]
    if not images or to is None:
        return None, grads
    return to.to(to_out.dtype), grads


def _forward_move(
    block: _Block, w: _Weights, move: _Weights, x_move: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return how the block's output, normed values and rstd change."""
    z_move = F.conv2d(block.x, move.weight, padding=1)
    if x_move is not None:
        z_move = z_move.add_(F.conv2d(x_move, w.weight, padding=1))
    z = _flat(z_move)
    pixels = z.shape[1]
    mean_zn = (z * block.normed).sum(1, keepdim=True) / pixels
    mean_z = z.sum(1, keepdim=True) / pixels
    normed_move = _project(z, mean_z, block.normed, mean_zn).mul_(block.rstd.to(z.dtype))
    rstd_move = -(block.rstd * block.rstd) * mean_zn.to(block.rstd)
    scale, scale_move = w.scale.to(z.dtype), move.scale.to(z.dtype)
    inside = torch.addcmul(move.shift.to(z.dtype), normed_move, scale)
    inside.addcmul_(block.normed, scale_move)
    active_move = torch.ops.aten.threshold_backward(inside, block.active, 0)
    return _pool(active_move, block.size), normed_move, rstd_move


def _backward_move(
    tape: Tape,
    moved: list[_Weights],
    kept: list[tuple[Tensor | None, Tensor, Tensor]],
    out_move: Tensor,
) -> tuple[Tensor, list[Tensor]]:
    grads: list[Tensor] = []
    to_move: Tensor | None = None
    for index in range(len(tape.blocks) - 1, -1, -1):
        block, w, move = tape.blocks[index], tape.weights[index], moved[index]
        x_move, normed_move, rstd_move = kept[index]
        assert block.slope is not None
        assert block.projected is not None
        assert block.mean_sn is not None
        if to_move is None:
            to_move = _as_images(out_move, block)
        slope_move = _unpool(to_move, block)
        pixels = slope_move.shape[1]
        sum_s = slope_move.sum(1, keepdim=True)
        both = slope_move * block.normed
        sum_sn = both.addcmul_(block.slope, normed_move).sum(1, keepdim=True)
        move_projected = _project(slope_move, sum_s / pixels, block.normed, sum_sn / pixels)
        move_projected.addcmul_(normed_move, block.mean_sn, value=-1)
        factor = (w.scale * block.rstd).to(slope_move.dtype)
        factor_move = (move.scale * block.rstd + w.scale * rstd_move).to(slope_move.dtype)
        to_z = block.projected * factor
        to_z_move = move_projected.mul_(factor).addcmul_(block.projected, factor_move)
        # The two halves of the product rule: what moves behind, then what moves here.
        to_move, to_weight, _ = _convolution_backward(
            to_z_move, block, block.x, w.weight, [True, True, False]
        )
        here = block.x if x_move is None else x_move
        wanted = [True, x_move is not None, False]
        to_here, weight_here, _ = _convolution_backward(to_z, block, here, move.weight, wanted)
        to_move = to_move.add_(to_here)
        if x_move is not None:
            to_weight = to_weight + weight_here
        total_sn, total_s = sum_sn.to(w.scale).sum((0, 1)), sum_s.to(w.scale).sum((0, 1))
        grads = [to_weight.to(w.scale), total_sn, total_s, *grads]
    assert to_move is not None
    return to_move.to(out_move.dtype), grads


def _normalise(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return z (N, C, H, W) normalised per image and channel (N, H W, C), and rstd (N, 1, C)."""
    n, c, h, w = z.shape
    if z.device.type == "cpu" and h * w >= FUSED_PIXELS:
        kind = torch.float32 if z.dtype == torch.bfloat16 else z.dtype
        one, none = torch.ones(c, dtype=kind), torch.zeros(c, dtype=kind)
        normed, _, rstd = torch.native_group_norm(z, one, none, n, c, h * w, c, EPS)
        return _flat(normed), rstd.view(n, 1, c)
    x = _flat(z)
    centred = x - x.sum(1, keepdim=True) / (h * w)
    variance = (centred * centred).sum(1, keepdim=True) / (h * w)
    if variance.dtype == torch.bfloat16:
        variance = variance.float()
    rstd = torch.rsqrt(variance + EPS)
    return centred.mul_(rstd.to(z.dtype)), rstd


def _project(u: Tensor, mean: Tensor, normed: Tensor, mean_un: Tensor) -> Tensor:
    """Return u without its pixel mean and its part along ``normed``; its own adjoint."""
    return (u - mean).addcmul_(normed, mean_un, value=-1)


def _flat(x: Tensor) -> Tensor:
    """View (N, C, H, W) as (N, H W, C); a copy where the memory is not channels-last."""
    n, c, h, w = x.shape
    return x.permute(0, 2, 3, 1).reshape(n, h * w, c)


def _images(x: Tensor, size: tuple[int, int]) -> Tensor:
    n, _, c = x.shape
    return x.view(n, *size, c).permute(0, 3, 1, 2)


def _as_images(out: Tensor, block: _Block) -> Tensor:
    """Return a gradient of features (N, F) as one of the last block's output."""
    height, width = block.size
    if min(block.size) >= 2:
        height, width = height // 2, width // 2
    shape = (len(out), -1, height, width)
    return out.view(shape).to(block.x.dtype, memory_format=torch.channels_last)


def _pool(x: Tensor, size: tuple[int, int]) -> Tensor:
    images = _images(x, size)
    return F.avg_pool2d(images, 2) if min(size) >= 2 else images


def _unpool(to: Tensor, block: _Block) -> Tensor:
    """Carry a gradient of the block's output to what its ReLU got (N, H W, C)."""
    height, width = block.size
    if min(block.size) < 2:
        spread = to
    elif height % 2 == 0 and width % 2 == 0:
        spread = F.interpolate(to * 0.25, scale_factor=2)  # twice as fast as pooling's own
    else:
        like = _images(block.active, block.size)
        spread = torch.ops.aten.avg_pool2d_backward(
            to, like, [2, 2], [2, 2], [0, 0], False, True, None
        )
    found: Tensor = torch.ops.aten.threshold_backward(_flat(spread), block.active, 0)
    return found


def _convolution_backward(
    to_z: Tensor, block: _Block, x: Tensor, weight: Tensor, wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        _images(to_z, block.size), x, weight, None, *PAD, wanted
    )
    return found
