"""A small neuron in torch for the tests of modules with a state; needs torch."""

import torch

from biosnn.surrogate.nn.stateful import Stateful


class Spike(torch.autograd.Function):
    """1 at x >= 0; backwards the derivative of a sigmoid of slope 4."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx, *grads):
        s = torch.sigmoid(4 * ctx.saved_tensors[0])
        return grads[0] * 4 * s * (1 - s)


class IF(Stateful):
    """v += x; a spike at v >= 1 takes 1 away; `count` is a state variable, too."""

    def initial_state(self, x):
        return {"v": torch.zeros_like(x), "count": torch.zeros(x.shape, dtype=torch.float64)}

    def single_step(self, x):
        v = self.v + x
        s = Spike.apply(v - 1)
        self.v = v - s
        self.count = self.count + s.detach()
        return s


class Leaky(Stateful):
    """v = a v + x, answers v: linear, so gradients are known in closed form."""

    def __init__(self, a, **kwargs):
        super().__init__(**kwargs)
        self.a = torch.nn.Parameter(torch.as_tensor(a))

    def initial_state(self, x):
        return {"v": torch.zeros_like(x)}

    def single_step(self, x):
        self.v = self.a * self.v + x
        return self.v
