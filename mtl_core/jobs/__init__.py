"""Runs being executed: one training a device, the others wait. torch is loaded in the threads that train only.

registry (what pages ask and command) → queues, turns (whose turn it is) → work, evaluating (what is executed), failures (why it ended);
devices, snapshots.
"""

from mtl_core.jobs.devices import free_memory, quiet_libraries, training_device
from mtl_core.jobs.evaluating import evaluable, evaluation, perform_evaluation
from mtl_core.jobs.registry import Jobs, jobs
from mtl_core.jobs.snapshots import Snapshot
from mtl_core.jobs.work import Work, check_data, perform, replay_of, replaying, resumable, training

__all__ = [
    "Jobs",
    "Snapshot",
    "Work",
    "check_data",
    "evaluable",
    "evaluation",
    "free_memory",
    "jobs",
    "perform",
    "perform_evaluation",
    "quiet_libraries",
    "replay_of",
    "replaying",
    "resumable",
    "training",
    "training_device",
]
