"""Texts of all tasks side by side in one row, without a padding token: how the encoder sees a micro-batch.

Every layer that works on single tokens (nine tenths of a transformer's arithmetic) runs over the row as it is. Attention must keep
texts apart: on a GPU by FlashAttention's variable-length kernel, elsewhere by one call for all texts of the same length, which needs
neither mask nor padding.

The attention is registered under the name `packed` in transformers' attention interface
(https://huggingface.co/docs/transformers/attention_interface), so it serves every architecture that uses that interface.
"""

import inspect
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface

_GROUPED_QUERIES: dict[str, Any] = {"enable_gqa": True} if "enable_gqa" in inspect.signature(varlen_attn).parameters else {}
"""What the kernel is told where several heads of queries share keys and values: since torch 2.12; before, it asks for no leave."""


def on_device(values: np.ndarray | Sequence[float] | Sequence[bool], device: torch.device) -> Tensor:
    """`values` as a tensor there. A GPU gets them from pinned memory, in its own time: a plain copy would wait until it has computed all
    that was asked of it so far."""
    tensor = torch.as_tensor(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@dataclass(frozen=True)
class Packed:
    """S texts of N tokens in all, longest first.

    ids, positions, token_types: (N,) int64; positions count from 0 within each text.
    lengths: the S lengths, not increasing.
    kept: (M,) int64: the tokens whose states are wanted beside the texts' vectors; None: of no token.
    """

    ids: Tensor
    positions: Tensor
    token_types: Tensor
    lengths: tuple[int, ...]
    kept: Tensor | None = None

    @classmethod
    def of(
        cls, texts: Sequence[np.ndarray], token_types: Sequence[np.ndarray], device: torch.device, kept: Sequence[bool] = ()
    ) -> "Packed":
        """texts: token ids with special tokens, longest first; token_types: of the same shapes; kept: texts all of whose tokens are."""
        lengths = tuple(len(t) for t in texts)
        if any(a < b for a, b in pairwise(lengths)):
            raise ValueError("Packed texts should be sorted, longest first.")
        arrays = [np.concatenate(texts), np.concatenate([np.arange(n) for n in lengths]), np.concatenate(token_types)]
        ids, positions, types = on_device(np.stack(arrays).astype(np.int64), device)
        wanted = on_device(np.flatnonzero(np.repeat(kept, lengths)), device) if any(kept) else None
        return cls(ids, positions, types, lengths, wanted)

    @property
    def n_rows(self) -> int:
        """Of what the encoder makes of it: a vector of each text, then the states of the tokens that are kept."""
        return len(self.lengths) + (0 if self.kept is None else len(self.kept))

    @property
    def groups(self) -> list[tuple[int, int]]:
        """(texts, length) of each stretch of texts of equal length."""
        groups: list[tuple[int, int]] = []
        for length in self.lengths:
            if groups and groups[-1][1] == length:
                groups[-1] = (groups[-1][0] + 1, length)
            else:
                groups.append((1, length))
        return groups


class _Layout(threading.local):
    groups: list[tuple[int, int]]
    offsets: Tensor  # (S + 1,) int32, on the device


_layout = _Layout()


@contextmanager
def layout(packed: Packed) -> Iterator[None]:
    """What `packed_attention` needs to know of the texts, for the forward passes inside the block (of this thread)."""
    _layout.groups = packed.groups
    _layout.offsets = on_device(np.cumsum([0, *packed.lengths]).astype(np.int32), packed.ids.device)
    yield


class _GroupedAttention(torch.autograd.Function):
    """softmax(q kᵀ · scale) v for stretches of texts of equal length; one autograd node for all of them.

    The kernel is PyTorch's FlashAttention for CPUs; called by hand so that the slices of hundreds of groups leave no nodes,
    no zero-filled gradients and no concatenations behind. It computes in float32, whatever comes: in bfloat16 its backward pass took
    five to ten times as long for texts of 10 to 100 tokens.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, groups: list[tuple[int, int]], scale: float, causal: bool) -> Tensor:
        out = torch.empty(q.shape)  # (N, H, D)
        saved = []
        for qg, kg, vg, og in zip(*(_slices(t, groups) for t in (q.float(), k.float(), v.float(), out)), strict=True):
            result, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(qg, kg, vg, 0.0, causal, scale=scale)
            og.copy_(result)
            saved.append(log_sum)
        out = out.to(q.dtype)
        ctx.save_for_backward(q, k, v, out, *saved)
        ctx.groups, ctx.scale, ctx.causal = groups, scale, causal
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, *saved = ctx.saved_tensors
        grads = torch.empty(q.shape), torch.empty(k.shape), torch.empty(v.shape)
        inputs = (t.float() for t in (grad.contiguous(), q, k, v, out))
        sliced = zip(*(_slices(t, ctx.groups) for t in (*inputs, *grads)), saved, strict=True)
        for gg, qg, kg, vg, og, dq, dk, dv, log_sum in sliced:
            results = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                gg, qg, kg, vg, og, log_sum, 0.0, ctx.causal, scale=ctx.scale
            )
            for into, result in zip((dq, dk, dv), results, strict=True):
                into.copy_(result)
        return (*(found.to(q.dtype) for found in grads), None, None, None)


def _slices(tokens: Tensor, groups: list[tuple[int, int]]) -> list[Tensor]:
    """(N, H, D) → one (texts, H, length, D) view for each group."""
    return [
        part.view(n, length, *tokens.shape[1:]).transpose(1, 2)
        for part, (n, length) in zip(tokens.split([n * length for n, length in groups]), groups, strict=True)
    ]


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    position_bias: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention within each text of the current `layout`. query, key, value: (1, H, N, D) → (1, N, H, D)."""
    if position_bias is not None:
        raise TypeError("Packed texts have no bias by relative position.")
    causal = bool(getattr(module, "is_causal", False) if is_causal is None else is_causal)
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    q, k, v = (t.squeeze(0).transpose(0, 1) for t in (query, key, value))  # (N, H, D)
    groups = _layout.groups
    longest = groups[0][1]
    banded = sliding_window is not None and longest > sliding_window
    if q.is_cuda and torch.is_autocast_enabled("cuda"):  # rotary positions and norms leave float32, which no autocast rule takes back here
        q, k, v = (t.to(torch.get_autocast_dtype("cuda")) for t in (q, k, v))
    if q.is_cuda and not dropout and not banded and kernel_takes(q):
        offsets = _layout.offsets
        window = (-1, 0) if causal else (-1, -1)
        q, k, v = (t if t.stride(-1) == 1 else t.contiguous() for t in (q, k, v))
        more = _GROUPED_QUERIES if k.shape[1] != q.shape[1] else {}
        out = varlen_attn(q, k, v, offsets, offsets, longest, longest, scale=scale, window_size=window, **more)
        return cast(Tensor, out).unsqueeze(0), None
    if q.device.type == "cpu" and not dropout and not banded and k.shape[1] == q.shape[1]:
        return _GroupedAttention.apply(q, k, v, groups, scale, causal)[None], None
    parts = []
    for qg, kg, vg, (n, length) in zip(*(_slices(t, groups) for t in (q, k, v)), groups, strict=True):
        mask = _band(length, sliding_window, causal, q.device) if banded and sliding_window else None
        part = F.scaled_dot_product_attention(
            qg, kg, vg, mask, dropout, causal and mask is None, scale=scale, enable_gqa=k.shape[1] != q.shape[1]
        )
        parts.append(part.transpose(1, 2).reshape(n * length, *q.shape[1:]))
    return torch.cat(parts).unsqueeze(0), None


def kernel_takes(q: Tensor) -> bool:
    """Whether the variable-length kernel computes such queries (N, H, D), forward and back: in half precision, D a multiple of 8 and at
    most 256. Others are computed group by group."""
    return q.dtype in (torch.bfloat16, torch.float16) and q.shape[-1] % 8 == 0 and q.shape[-1] <= 256 and _has_kernel(q.device)


@cache
def _has_kernel(device: torch.device) -> bool:
    """FlashAttention is for cards since Ampere, and not in every build of torch."""
    return torch.backends.cuda.is_flash_attention_available() and torch.cuda.get_device_capability(device) >= (8, 0)


def _band(length: int, window: int, causal: bool, device: torch.device) -> Tensor:
    """(length, length) bool: tokens less than `window` apart (the past only, when causal), as transformers' sliding windows."""
    distance = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)
    return (distance >= 0) & (distance < window) if causal else distance.abs() < window


AttentionInterface.register("packed", packed_attention)
