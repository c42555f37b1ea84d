"""Which tables suit search; see `mtl_core.tasks.suiting`."""

from collections.abc import Iterator

from mtl_core.base.messages import message
from mtl_core.data.profile import Column, Columns
from mtl_core.tasks.suiting import (
    ANSWERS,
    BODIES,
    CLICKS,
    FOUND,
    GRADES,
    LABELS,
    LONG,
    OPINIONS,
    QUERIES,
    RELEVANCES,
    SAMES,
    TITLES,
    Proposal,
    best,
    called,
    group_of,
    texts,
)


def suits(columns: Columns) -> Iterator[Proposal]:
    found = [c for c in columns.of("text", "category") if not c.turns]
    grades = [c for c in columns.of("flag", "number") if c.role == "flag" or _may_grade(c)]
    named_classes = [c for c in columns.of("category") if called(c, LABELS)]  # a flag beside them says something else
    if label := max(grades, key=lambda c: (called(c, GRADES), c.name == columns.all[-1].name), default=None):
        for query in found:
            others = [
                c for c in [*texts(columns), *columns.of("facts")] if c is not query and not called(c, QUERIES) and not called(c, ANSWERS)
            ]
            others = [c for c in others if not columns.determines(query.name, c.name)] if query.repeats >= 1.5 else others
            named = called(query, QUERIES)
            if not named and not called(label, RELEVANCES):  # products and texts of somebody's own are not what was asked
                others = [c for c in others if not called(c, OPINIONS)]
                if called(query, (*FOUND, *TITLES, *BODIES)) or query.words >= LONG:
                    continue
            if called(label, SAMES) == 1 and not named:  # it says whether two are the same, not what was found
                continue
            if not others or (query.role == "category" and named < 1 and not _phrases(query)) or query.words > LONG * 2:
                continue
            product = best(others, FOUND)
            assert product is not None
            again = query.repeats >= 1.5
            if (query.repeats < product.repeats and not named) or (not again and not (named and called(product, FOUND))):
                continue
            group = group_of(columns, query)
            given = {} if group == query.name else {"group": [group]}
            if again:
                why = message(
                    "“{query}” comes again with other texts in “{product}”, which “{label}” grades.",
                    query=query.name,
                    product=product.name,
                    label=label.name,
                )
            else:
                why = message("“{query}” is asked, and “{label}” grades what was found.", query=query.name, label=label.name)
            score = (
                0.5
                + 0.18 * named
                + 0.1 * again
                + 0.07 * called(product, FOUND)
                + 0.05 * called(label, GRADES)
                + 0.05 * (label.role != "flag")
                - 0.25 * bool(label.role == "flag" and not called(label, (*GRADES, *CLICKS)) and named_classes)
            )
            described = ("title", "description", "product_title", "name")
            is_product = called(product, ("product", "item", *described))
            more = [c.name for c in others if c is product or (is_product and called(c, described))]
            yield Proposal(score, {"query": [query.name], "product": more, "label": [label.name], **given}, why, group=group)


def _may_grade(c: Column) -> bool:
    """Few steps from 0 or 1 up; in halves or thirds where it is called like a grade."""
    return c.low >= 0 and 2 <= c.distinct <= (11 if c.whole_numbers else 21) and (c.whole_numbers or called(c, GRADES) > 0)


def _phrases(c: Column) -> bool:
    """Whether a column of few values holds searches rather than classes: of two words or more, each in a few dozen rows at most."""
    return c.words >= 1.8 and c.distinct > 12 and c.repeats <= 60 and not called(c, LABELS)
