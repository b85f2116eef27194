"""Receptive fields: which weight of a layer connects which neurons.

A weight of a convolution is many synapses, one at every position of the kernel. All arrays here
have the layout ``[N, G, K, L]`` before the synapses and ``[N, G, O, L]`` behind them: samples,
groups of channels, inputs or outputs of a group, positions. ``Linear`` has one group and position.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

from biosnn.errors import ParameterError

Weighted = nn.Linear | nn.Conv1d | nn.Conv2d


class ReceptiveFields:
    """Receptive fields of the outputs of a layer of weights.

    Parameters
    ----------
    layer : torch.nn.Linear, Conv1d or Conv2d
        Any stride, padding, dilation and number of groups.

    Attributes
    ----------
    shape : tuple of int
        ``(G, O, K)``: the weights as one matrix per group.

    Raises
    ------
    ParameterError
        If it is another layer.
    """

    def __init__(self, layer: Weighted):
        if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            raise ParameterError(
                "Learner", "synapses", type(layer).__name__, "Linear, Conv1d or Conv2d of torch"
            )
        self.layer = layer
        self.convolves = not isinstance(layer, nn.Linear)
        if isinstance(layer, nn.Linear):
            self.n_dims, self.n_in = 1, layer.in_features
            self.shape = (1, layer.out_features, layer.in_features)
            return
        self.n_dims, self.n_in = layer.weight.dim() - 1, layer.in_channels
        flat = (1,) * (3 - self.n_dims)  # Conv1d has an image of height 1
        self.kernel = (*flat, *layer.kernel_size)
        # torch takes tuples where it declares one number
        self.stride: Any = (*flat, *layer.stride)
        self.dilation: Any = (*flat, *layer.dilation)
        groups, inputs = layer.groups, layer.in_channels // layer.groups
        self.shape = (groups, layer.out_channels // groups, inputs * math.prod(layer.kernel_size))

    def before(self, x: Tensor) -> Tensor:
        """Presynaptic values of one step as an image ``[N, C, H, W]``, padded as the layer does.

        Raises
        ------
        ParameterError
            If they have another shape than ``[N, C, *]``.
        """
        if x.dim() != self.n_dims + 1 or x.shape[1] != self.n_in:
            wanted = f"(N, {self.n_in}" + ", *" * (self.n_dims - 1) + ")"
            raise ParameterError(
                "Learner", "shape of the input of synapses", tuple(x.shape), wanted
            )
        layer = self.layer
        if isinstance(layer, nn.Linear):
            return x[..., None, None]
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        # As torch's own layers pad: before and behind, the last dimension first.
        x = nn.functional.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
        return x if self.n_dims == 3 else x[:, :, None]

    def behind(self, y: Tensor, image: Tensor) -> Tensor:
        """Postsynaptic values of one step ``[N, O, *]`` as ``[N, G, O, L]``.

        Raises
        ------
        ParameterError
            If they do not belong to the presynaptic `image`.
        """
        groups, outputs, _ = self.shape
        shape = (len(image), groups * outputs)
        if self.convolves:
            shape += self._positions(image)[3 - self.n_dims :]
        if tuple(y.shape) != shape:
            remedy = "Nothing between synapses and neurons may change the shape; pool behind them"
            what, got = "shape of the output of neurons", tuple(y.shape)
            raise ParameterError("Learner", what, got, str(shape), remedy)
        return y.reshape(len(y), groups, outputs, -1)

    def _positions(self, image: Tensor) -> tuple[int, ...]:
        """Rows and columns of kernel positions on a padded image."""
        along = zip(image.shape[2:], self.kernel, self.dilation, self.stride, strict=True)
        return tuple((n - d * (k - 1) - 1) // s + 1 for n, k, d, s in along)

    def unfold(self, image: Tensor) -> Tensor:
        """The receptive fields of an image: ``[N, C, H, W]`` to ``[N, G, K, L]``."""
        if self.convolves:
            image = nn.functional.unfold(
                image, self.kernel, dilation=self.dilation, stride=self.stride
            )
        return image.reshape(len(image), self.shape[0], self.shape[2], -1)

    def paired(self, post: Any, pre: Any) -> Tensor:
        """Sums over positions of products: ``[N, G, O, L]``, image to ``[N, G, O, K]``.

        One of both may be None: then its factor is 1.
        """
        if pre is None:
            return post.sum(-1, keepdim=True)
        if post is None:
            return self.unfold(pre).sum(-1)[:, :, None]
        return post @ self.unfold(pre).transpose(-1, -2)

    def pooled(self, post: Any, pre: Any) -> Tensor:
        """The same, summed over the samples too: ``[G, O, K]``.

        For a convolution this is the gradient of its weights, which torch computes.
        """
        if pre is None or post is None:
            return self.paired(post, pre).sum(0)
        groups, outputs, inputs = self.shape
        if not self.convolves:
            return (post.flatten(1).T @ pre.flatten(1))[None]
        return conv2d_weight(
            pre,
            (groups * outputs, pre.shape[1] // groups, *self.kernel),
            post.reshape(len(post), -1, *self._positions(pre)),
            stride=self.stride,
            dilation=self.dilation,
            groups=groups,
        ).reshape(groups, outputs, inputs)

    def spread(self, value: Any, like: Tensor) -> Tensor:
        """A value of single synapses for every sample of `like`: ``[N, G, O, K]``."""
        value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
        return value.expand(len(like), *self.shape)
