"""The task kinds, by name. Loads no torch: what needs it is loaded with a kind's `head`."""

from mtl_core.tasks import (
    classification,
    click_through,
    extraction,
    generation,
    masked_language_modelling,
    matching,
    multilabel,
    question_answering,
    recommendation,
    regression,
    response_selection,
    search,
)
from mtl_core.tasks.base import TaskKind
from mtl_core.tasks.extras import with_extras

KINDS: dict[str, TaskKind] = {
    module.KIND.name: with_extras(module.KIND)
    for module in (
        recommendation,
        search,
        click_through,
        classification,
        multilabel,
        regression,
        matching,
        response_selection,
        generation,
        masked_language_modelling,
        extraction,
        question_answering,
    )
}
