"""Where and in which number format a training computes."""

import os
from contextlib import AbstractContextManager, nullcontext

for _cache in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
    # On a processor oneDNN, and PyTorch beside it, keep what they prepared for each shape of a product, 1,024 of them: texts of all lengths
    # fill that over hundreds of steps, and a training grew by 4 MiB a step (benchmarks/RESULTS.md). Few are as fast. Read at first use.
    os.environ.setdefault(_cache, "16")

import torch  # noqa: E402 - after what it reads


def device_of(wanted: str) -> torch.device:
    """auto: the first GPU when there is one, else the CPU. Raises ValueError: the wanted device is not there."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(wanted)
    if device.type == "cuda" and not (torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()):
        raise ValueError(f"The device {wanted!r} is not there. Choose auto or cpu.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"The device {wanted!r} is not there. Choose auto or cpu.")
    return device


def precision_of(wanted: str, device: torch.device) -> str:
    """auto: bfloat16 where the hardware multiplies in it (an emulation would be several times slower than float32)."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return "bfloat16" if capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") else "float32"
    return "float32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def memory_bytes(device: torch.device) -> int:
    """Most memory held on a GPU since the last call, or the process's resident set (0 where nothing can tell it)."""
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        return peak
    try:
        import psutil  # a machine that only trains on its GPU can do without
    except ImportError:
        return 0
    return psutil.Process().memory_info().rss


def random_state(device: torch.device) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Where the random numbers of the processor and of the device stand."""
    if device.type == "cuda":
        return torch.get_rng_state(), torch.cuda.get_rng_state(device)
    return torch.get_rng_state(), torch.mps.get_rng_state() if device.type == "mps" else None


def set_random_state(device: torch.device, state: tuple[torch.Tensor, torch.Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is None:
        return
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[1], device)
    else:
        torch.mps.set_rng_state(state[1])
