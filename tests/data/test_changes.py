import pyarrow as pa

from mtl_core.data.changes import TableChanges, table_changes


def test_rows_columns_and_labels() -> None:
    before = pa.table({"_line": [2, 3], "text": ["x", "y"], "label": ["a", "b"], "old": ["1", "2"], "tags": [["p"], ["q", "r"]]})
    after = pa.table({"_line": [2, 3, 4], "label": ["b", "c", None], "tags": [["r"], ["q"], ["p"]], "new": ["u", "v", "w"]})
    found = table_changes(before, after, ["label", "tags", "old", "label"])
    assert found == TableChanges((2, 3), ["text", "old"], ["new"], {"label": (["a"], ["c"])})
    assert table_changes(before, before, ["label"]) == TableChanges((2, 2), [], [])
