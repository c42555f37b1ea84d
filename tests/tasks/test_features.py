"""Categories and numbers as features: pieces of a number by hand, unseen and missing values, logarithms."""

import numpy as np
import pyarrow as pa
import torch

from mtl_core.tasks import features
from mtl_core.tasks.common import matrix
from mtl_core.tasks.feature_encoding import FeatureEncoding, NumberEncoding
from mtl_core.tasks.heads import TaskBatch

OPTIONS = features.FeatureOptions(minimum_count=1)


def test_a_number_is_cut_into_pieces() -> None:
    encoding = NumberEncoding([[0.0, 1.0, 3.0], [0.0, 2.0]], size=2)
    with torch.no_grad():  # shows the pieces themselves
        encoding.weight[:] = torch.eye(2)
        encoding.bias[:] = 0
    found = encoding(torch.tensor([[-1.0, 1.0], [0.5, -1.0], [2.0, 2.0], [9.0, 9.0]]))
    assert found.tolist() == [[0, 0, 0.5, 0], [0.5, 0, 0, 0], [1, 0.5, 1, 0], [1, 1, 1, 0]]


def test_rare_and_unseen_categories_share_a_code() -> None:
    spec = features.fit(pa.table({"categories": ["a", "a", "b", "b", "c", None, None]}), features.FeatureOptions(minimum_count=2))
    assert spec == {"vocabularies": [["", "a", "b"]], "numbers": []}
    rows = pa.table({"categories": ["b", "a", "c", "never", None]})
    assert matrix(pa.table(features.encode(rows, spec))["categories"])[:, 0].tolist() == [3, 2, 0, 0, 1]


def test_missing_numbers_are_the_mean_and_flagged() -> None:
    spec = features.fit(pa.table({"numbers": [[1.0, 5.0], [3.0, None]]}), OPTIONS)
    encoded = pa.table(features.encode(pa.table({"numbers": [[None, 5.0], [4.0, None]]}), spec))
    assert matrix(encoded["numbers"]).tolist() == [[0, 0], [2, 0]]  # mean 2, standard deviation 1; a constant column stays 0
    assert matrix(encoded["missing"]).tolist() == [[1, 0], [0, 1]]
    assert matrix(pa.table(features.encode(pa.table({"_line": [2]}), spec))["missing"]).tolist() == [[1, 1]]


def test_very_skewed_numbers_get_a_logarithm() -> None:
    values = np.random.default_rng(0).lognormal(3, 2, 500)
    table = pa.table({"numbers": np.stack([values, -values, np.log(values)], axis=1).tolist()})
    spec = features.fit(table, OPTIONS)
    assert [n["log"] for n in spec["numbers"]] == [True, True, False]
    assert not any(n["log"] for n in features.fit(table, features.FeatureOptions(signed_log=False))["numbers"])
    found = matrix(pa.table(features.encode(table, spec))["numbers"])
    np.testing.assert_allclose(found[:, 0], -found[:, 1], atol=1e-4)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-4)


def test_the_features_of_a_row_stand_side_by_side() -> None:
    table = pa.table({"categories": [["a", "x"], ["b", "x"]], "numbers": [1.0, 3.0]})
    spec = features.fit(table, OPTIONS)
    encoding = FeatureEncoding(spec, OPTIONS)
    encoded = pa.table(features.encode(table, spec))
    batch = TaskBatch({}, {name: torch.from_numpy(matrix(encoded[name]).copy()) for name in encoded.column_names})
    found = encoding(batch)
    assert found.shape == (2, encoding.width)
    torch.testing.assert_close(found[:, :3], encoding.embeddings[0].weight[1:])  # the first category's own vectors
    assert found[:, -2:].tolist() == [[-1, 0], [1, 0]]  # standardised; not missing


def test_a_value_is_known_in_another_spelling_of_the_same() -> None:
    known = ["1.0", "2", "007", "true", "3", "3.0", "red"]
    column = pa.chunked_array([["1", "2.0", "7", "True", "3", "3.00", "red", "blue", "", "1.0"]])
    assert features.known_codes(column, known).tolist() == [1, 2, 0, 4, 5, 0, 7, 0, 0, 1]
