"""Where jobs train, and what they leave there. Loads torch when a device has to be looked for."""

import gc
import sys


def known_device(wanted: str) -> str | None:
    """The queue of a `training.device`, when its name says it; None: it has to be looked for."""
    return wanted if wanted in ("cpu", "mps") or ":" in wanted else None


def training_device(wanted: str) -> str:
    """The queue of a `training.device`: "cpu", "mps", "cuda:0" ... Loads torch unless `known_device` knows."""
    if known := known_device(wanted):
        return known
    import torch

    if torch.cuda.is_available():
        return f"cuda:{torch.cuda.current_device()}"
    return "mps" if wanted == "auto" and torch.backends.mps.is_available() else "cpu"


def quiet_libraries() -> None:
    """transformers draws a bar for each file and reports every weight that our models do without: not on our terminal."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def free_memory() -> None:
    """Gives back what a job held, on the GPU too."""
    gc.collect()
    torch = sys.modules.get("torch")
    try:
        if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.empty_cache()
    except AttributeError:
        pass  # another thread is loading torch in this moment: nothing of ours is on a GPU yet
