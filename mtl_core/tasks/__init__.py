"""The task kinds, by name. Importing this loads torch."""

from mtl_core.tasks.base import TaskKind
from mtl_core.tasks.classification import Classification
from mtl_core.tasks.click_through import ClickThrough
from mtl_core.tasks.extraction import Extraction
from mtl_core.tasks.extras import with_extras
from mtl_core.tasks.generation import Generation
from mtl_core.tasks.masked_language_modelling import MaskedLanguageModelling
from mtl_core.tasks.matching import Matching
from mtl_core.tasks.multilabel import Multilabel
from mtl_core.tasks.question_answering import QuestionAnswering
from mtl_core.tasks.recommendation import Recommendation
from mtl_core.tasks.regression import Regression
from mtl_core.tasks.response_selection import ResponseSelection
from mtl_core.tasks.search import Search

KINDS: dict[str, TaskKind] = {
    kind.name: with_extras(kind)
    for kind in (
        Recommendation(),
        Search(),
        ClickThrough(),
        Classification(),
        Multilabel(),
        Regression(),
        Matching(),
        ResponseSelection(),
        Generation(),
        MaskedLanguageModelling(),
        Extraction(),
        QuestionAnswering(),
    )
}
