from dataclasses import dataclass

import pyarrow as pa
import pytest

from mtl_core.data.mapping import decimals_of, map_columns, suggest


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    required: bool = True
    many: bool = False
    aliases: tuple[str, ...] = ()
    holds: str = "class"
    suggested: bool = True


TEXT = Field("text", "text", many=True, aliases=("review", "message", "title"))
LABEL = Field("label", "label", aliases=("class", "intent", "revenue"))
GROUP = Field("group", "group", required=False, aliases=("qid", "user_id"))
CATEGORIES = Field("categories", "category", required=False, many=True, aliases=("browser",))
NUMBERS = Field("numbers", "number", required=False, many=True, aliases=("price",))
HISTORY = Field("history", "texts")


def table(**columns: list) -> pa.Table:
    n = len(next(iter(columns.values())))
    return pa.table({**columns, "_line": list(range(2, n + 2))})


# -- suggestions ----------------------------------------------------------------------------------------------------------


def test_names_are_known() -> None:
    found = suggest(table(Class=["a", "b"], Review=["red shoe", "hat"], User_ID=["1", "2"]), (TEXT, LABEL, GROUP))
    assert found == {"text": ["Review"], "label": ["Class"], "group": ["User_ID"]}


def test_texts_and_labels_are_known_by_what_they_hold() -> None:
    n = 40
    rows = table(
        a=[str(i) for i in range(n)],
        b=[f"a long text about item {i}" for i in range(n)],
        c=["yes", "no"] * (n // 2),
        d=["x", "y", "z", "w"] * 10,
    )
    found = suggest(rows, (TEXT, LABEL))
    assert found == {"text": ["b"], "label": ["c"]}


def test_numbers_and_categories_are_what_is_left() -> None:
    n = 100
    rows = table(
        row_id=[str(i) for i in range(n)],
        price=[f"{i}.5" for i in range(n)],
        pages=[str(i % 7) for i in range(n)],
        month=["May", "June"] * 50,
        weekend=["True", "False"] * 50,
        constant=["1"] * n,
        comment=[f"text {i} that nobody else wrote like this, with words" for i in range(n)],
        Revenue=["TRUE", "FALSE"] * 50,
    )
    found = suggest(rows, (CATEGORIES, NUMBERS, LABEL))
    assert found == {
        "numbers": ["price", "pages"],
        "categories": ["month", "weekend"],
        "label": ["Revenue"],
    }


def test_nothing_fits() -> None:
    assert suggest(table(n=["1", "2"]), (TEXT,)) == {}
    assert suggest(table(empty=[None, None]), (TEXT, LABEL)).keys() <= {"text"}


def test_word_inside_a_name() -> None:
    assert suggest(table(buyerMessage=["a", "b"], other=["c", "d"]), (TEXT,))["text"] == ["buyerMessage"]


# -- mapping --------------------------------------------------------------------------------------------------------------


def test_each_type() -> None:
    rows = table(
        title=["Red", None, None],
        body=["shoe", "hat", None],
        n=["1", "NA", None],
        m=[1.5, 2.5, None],
        c=["x", None, "z"],
        d=[1, 2, None],
        y=["1", "0", None],
        q=[7.0, 8.0, None],
        h=["a | b", None, '"'],
    )
    mapping = {"text": ["title", "body"], "label": "y", "group": "q", "categories": ["c", "d"], "numbers": ["n", "m"], "history": "h"}
    mapped, problems = map_columns(rows, (TEXT, LABEL, GROUP, CATEGORIES, NUMBERS, HISTORY), mapping)
    assert problems == []
    assert mapped.to_pydict() == {
        "text": ["Red shoe", "hat", None],
        "label": ["1", "0", None],
        "group": ["7", "8", None],
        "categories": [["x", "1"], [None, "2"], ["z", None]],
        "numbers": [[1.0, 1.5], [None, 2.5], [None, None]],
        "history": [["a", "b"], None, ['"']],
        "_line": [2, 3, 4],
    }
    assert mapped.schema.field("numbers").type == pa.list_(pa.float64())
    assert mapped.schema.field("categories").type == pa.list_(pa.string())


def test_one_column_is_no_list() -> None:
    mapped, _ = map_columns(table(c=["x"], n=["2"]), (CATEGORIES, NUMBERS), {"categories": "c", "numbers": ["n"]})
    assert mapped.drop_columns(["_line"]).to_pylist() == [{"categories": "x", "numbers": 2.0}]


def test_the_decimal_sign_of_each_column_of_numbers_is_said() -> None:
    written = table(a=["1,5", "1.234"], b=["1.5", "1.234"], c=["1", "2"])
    mapped, _ = map_columns(written, (NUMBERS,), {"numbers": ["a", "b", "c"]})
    assert decimals_of(mapped) == {"numbers": [",", ".", "."]} and mapped["numbers"].to_pylist() == [[1.5, 1.5, 1.0], [1234.0, 1.234, 2.0]]


def test_dictionaries_stay_so_for_texts() -> None:
    column = pa.array(["a", "b", "a"]).dictionary_encode()
    mapped, _ = map_columns(pa.table({"t": column, "_line": [1, 2, 3]}), (TEXT,), {"text": "t"})
    assert pa.types.is_dictionary(mapped.schema.field("text").type)


def test_several_chunks() -> None:
    rows = pa.concat_tables([table(a=["1", "x"], b=["2", "3"]), table(a=["4"], b=["5"])])
    mapped, _ = map_columns(rows, (CATEGORIES, TEXT), {"categories": ["a", "b"], "text": ["b", "a"]})
    assert mapped.column("categories").to_pylist() == [["1", "2"], ["x", "3"], ["4", "5"]]
    assert mapped.column("text").to_pylist() == ["2 1", "3 x", "5 4"]


@pytest.mark.parametrize(
    ("mapping", "code", "column"),
    [
        ({"text": "t"}, "missing_label", "label"),
        ({"text": "t", "label": None}, "missing_label", "label"),
        ({"text": "t", "label": "Y"}, "missing_column", "Y"),
        ({"text": ["t", "nowhere"], "label": "y"}, "missing_column", "nowhere"),
        ({"text": "t", "label": ["y", "t"]}, "one_column", "y, t"),
        ({"text": "t", "label": "y", "colour": "t"}, "unknown_field", None),
    ],
)
def test_wrong_mappings_are_errors(mapping: dict, code: str, column: str | None) -> None:
    _, (problem,) = map_columns(table(t=["a"], y=["1"]), (TEXT, LABEL), mapping, "a.csv")
    assert (problem.code, problem.column, problem.file, problem.severity) == (code, column, "a.csv", "error")


def test_all_wrong_mappings_are_reported_together() -> None:
    _, problems = map_columns(table(t=["a"]), (TEXT, LABEL), {"text": "Text"})
    assert {p.code for p in problems} == {"missing_column", "missing_label"}


def test_values_that_are_no_numbers() -> None:
    rows = table(n=["1", "much", None, "little"], m=["a", "b", "c", "d"])
    mapped, problems = map_columns(rows, (NUMBERS,), {"numbers": ["n", "m"]}, "a.csv")
    assert mapped.column("numbers").to_pylist()[1] == [None, None]
    assert [(p.code, p.severity, p.line, p.column, p.count) for p in problems] == [
        ("not_a_number", "warning", 3, "n", 2),
        ("not_a_number", "error", 2, "m", 4),
    ]
    assert "“much”" in str(problems[0].why)


def test_tags_in_columns_of_0_and_1_are_the_names_of_those_that_say_yes() -> None:
    rows = table(toxic=[1, 0, None], threat=["yes", "no", None], insult=["true", "false", "true"])
    found, problems = map_columns(rows, (Field("label", "label", many=True, holds="tags"),), {"label": ["toxic", "threat", "insult"]})
    assert not problems and found["label"].to_pylist() == [["toxic", "threat", "insult"], [], ["insult"]]
    _, problems = map_columns(
        table(a=["1", "maybe", "2"], b=[0, 1, 0]), (Field("label", "label", many=True, holds="tags"),), {"label": ["a", "b"]}
    )
    assert [(p.code, p.severity, p.line, p.column, p.count) for p in problems] == [("label_type", "error", 3, "a", 2)]
    assert "(lines 3, 4); the first is “maybe”" in str(problems[0].why)
    none, _ = map_columns(table(a=[None, 1], b=[None, 0]), (Field("label", "label", many=True, holds="tags"),), {"label": ["a", "b"]})
    assert none["label"].to_pylist() == [None, ["a"]], "a row without any value has no label"


def test_a_label_that_is_an_input_too_is_said() -> None:
    _, (problem,) = map_columns(table(a=["x", "y"], b=["1", "2"]), (TEXT, LABEL), {"text": ["a", "b"], "label": "b"})
    assert (problem.code, problem.column, str(problem.severity)) == ("label_as_input", "b", "warning")


def test_a_class_that_looks_like_a_list_among_classes_is_said() -> None:
    mapped, (problem,) = map_columns(table(a=["x", "y"], b=["a", '["a"]']), (TEXT, LABEL), {"text": "a", "label": "b"})
    assert (problem.code, problem.line, problem.count) == ("label_like_list", 3, 1) and mapped["label"].to_pylist() == ["a", '["a"]']


def test_things_of_a_list_keep_their_spelling() -> None:
    cells = ["[1.10, 2]", "[1_0, 0x10, -3, 'x']", '["a", true, null, 12345678901234567890123]', "['a' 'b']"]
    mapped, problems = map_columns(table(h=cells), (HISTORY,), {"history": "h"})
    assert problems == []
    found = [["1.10", "2"], ["1_0", "0x10", "-3", "x"], ["a", "true", "12345678901234567890123"], ["a", "b"]]
    assert mapped["history"].to_pylist() == found
