"""How tasks weight experts, in words: the names of the experts, and whether experts have collapsed."""

from collections.abc import Mapping

from mtl_core.base.messages import N_, Message, message

FEW = 0.01
"""An expert with less of every task's weight is not used."""
NEARLY_ALL = 0.95
"""An expert with at least this much of every task's weight has made the others superfluous; own experts: the task shares nothing."""
_NAMES = {"expert": N_("expert {n}"), "own": N_("own expert {n}"), "tower": N_("the tower of “{n}”")}


def expert_name(key: str) -> Message:
    """As in the event `Gated`: `expert 2` (of all tasks), `own 1` (of the task alone) or `tower search` (of another task)."""
    sort, n = key.split(" ", 1)
    return Message(_NAMES[sort], {"n": n})


def collapse(weights: Mapping[str, Mapping[str, float]]) -> list[Message]:
    """What is wrong with the shares, one sentence each; none where all is well. weights: task → expert → its share."""
    if not weights:
        return []
    experts = list(dict.fromkeys(key for row in weights.values() for key in row))
    common = [key for key in experts if not key.startswith("own ")]
    found = []
    for key in common if len(experts) > 1 else []:
        shares = [row.get(key, 0.0) for row in weights.values()]
        if min(shares) >= NEARLY_ALL:
            found.append(
                message(
                    "The experts have collapsed: every task gives {expert} at least {share} of its gate weight.",
                    expert=expert_name(key),
                    share=f"{NEARLY_ALL:.0%}",
                )
            )
        if max(shares) < FEW:
            found.append(
                message(
                    "{expert} is hardly used: it has under {share} of every task's gate weight.",
                    expert=expert_name(key),
                    share=f"{FEW:.0%}",
                )
            )
    for task, row in weights.items():
        if len(row) > 1 and sum(share for key, share in row.items() if key.startswith("own ") or key == f"tower {task}") >= 1 - FEW:
            found.append(message("“{task}” weights nothing but its own expert or tower: above the encoder it shares nothing.", task=task))
    return found


def sentence(weights: Mapping[str, Mapping[str, float]]) -> Message:
    """The first thing that is wrong and how many more there are, or that all is well."""
    found = collapse(weights)
    if not found:
        return message("No expert has collapsed: every expert is used, and none has nearly all of every task's gate weight.")
    return found[0] if len(found) == 1 else message("{first} And {n} more.", first=found[0], n=len(found) - 1)
