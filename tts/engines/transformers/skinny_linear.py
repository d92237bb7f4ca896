"""A linear layer that is quick for the few rows of a decoding step on a CPU, and gives a row the same bits in each.

How it works. BLAS picks its kernel by the shape of a product, and kernels sum in different orders. So the last bits of
a row may depend on how many rows there are and on its place among them: on one CPU they are the same for 4 to 48 rows,
on another for 12 to 64, while of 5 rows the last differs from the first four. No constant is right for every processor,
number of threads and release of BLAS. Therefore `settle` tries a few products of each shape that a model has, once it
is loaded, and finds for each number of rows that will be decoded together another one, as large or a little larger,
with which every row gets the bits that it also gets among `MOST_ROWS`. Idle rows of zeros fill up to it, in the product
alone: they take no memory of attention, and their results are dropped.

What it does not see are the other parts of a model; `self_check.has_same_bits` looks at the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import nn

FEWEST_ROWS, MOST_ROWS = 4, 48
"""From and up to how many rows weight x inputs is the quicker product, as far as was measured."""

STEP, MOST_IDLE = 4, 16
"""Where another number of rows is sought: at every `STEP`-th, up to `MOST_IDLE` more than there are."""


class Shape(NamedTuple):
    """How a product is computed: with how many rows, and whether as weight x inputs instead of inputs x weight."""

    num_rows: int
    swapped: bool


class SkinnyLinear(nn.Linear):  # type: ignore[misc]  # torch is not type-checked here
    """A drop-in `nn.Linear` that multiplies weight x inputs instead of inputs x weight for 4 to 48 rows.

    BLAS repacks the large right-hand matrix of a product at every call. With the operands swapped that is the inputs,
    which are small, and the products of a decoding step of 16 rows in float32 take less than half the time.
    """

    shapes: Mapping[int, Shape] = MappingProxyType({})
    """How so many rows of one token each, a decoding step, are multiplied. Prompts are computed alone as they are."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return `inputs` `[..., in_features]` times the weight, plus the bias: `[..., out_features]`."""
        num_rows = inputs.numel() // self.in_features
        shape = Shape(num_rows, FEWEST_ROWS <= num_rows <= MOST_ROWS)
        if inputs.dim() == 3 and inputs.shape[1] == 1:
            shape = self.shapes.get(num_rows, shape)
        rows = inputs.reshape(num_rows, self.in_features)
        if shape.num_rows > num_rows:
            rows = nn.functional.pad(rows, (0, 0, 0, shape.num_rows - num_rows))
        return self.product(rows, swapped=shape.swapped)[:num_rows].view(*inputs.shape[:-1], self.out_features)

    def product(self, rows: torch.Tensor, *, swapped: bool) -> torch.Tensor:
        """Return `rows` `[num_rows, in_features]` times the weight, plus the bias, in one order or the other."""
        if not swapped:
            return super().forward(rows)
        if self.bias is None:
            return torch.mm(self.weight, rows.t()).t().contiguous()
        return torch.addmm(self.bias.unsqueeze(1), self.weight, rows.t()).t().contiguous()


def make_skinny(model: nn.Module) -> None:
    """Turn every plain float32 `nn.Linear` of `model` into a `SkinnyLinear`, in place and sharing its weights."""
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.dtype == torch.float32:
            module.__class__ = SkinnyLinear


@torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not type-checked
def settle(model: nn.Module, sizes: Iterable[int]) -> None:
    """Let each decoding step of one of the `sizes`, in rows, give a row the same bits, where shapes are found that do.

    It depends on the number of threads. One layer stands for all that have its shape.
    """
    skinny = [module for module in model.modules() if isinstance(module, SkinnyLinear)]
    layers = {(layer.weight.shape, layer.bias is None): layer for layer in skinny}
    quickest_first = sorted(layers.values(), key=lambda layer: layer.weight.numel())

    @cache
    def bits(layer: SkinnyLinear, shape: Shape) -> torch.Tensor | None:
        """Return what a row becomes; None where that depends on its place."""
        row = torch.randn(1, layer.in_features, generator=torch.Generator().manual_seed(0))
        product = layer.product(row.repeat(shape.num_rows, 1), swapped=shape.swapped)
        return product[0] if bool((product == product[0]).all()) else None

    def fits(shape: Shape) -> bool:
        for layer in quickest_first:
            here, there = bits(layer, shape), bits(layer, Shape(MOST_ROWS, swapped=True))
            if here is None or there is None or not torch.equal(here, there):
                return False
        return True

    found = {size: next(filter(fits, shapes_for(size)), None) for size in sizes}
    shapes = {size: shape for size, shape in found.items() if shape is not None}
    for layer in skinny:
        layer.shapes = shapes


def shapes_for(num_rows: int) -> Iterator[Shape]:
    """Yield the shapes in which `num_rows` can be multiplied: the fewest idle rows first, then the quicker order."""
    swapped_first = num_rows <= MOST_ROWS
    next_step = (num_rows // STEP + 1) * STEP
    for padded in (num_rows, *range(next_step, num_rows + MOST_IDLE + 1, STEP)):
        yield Shape(padded, swapped_first)
        yield Shape(padded, not swapped_first)
