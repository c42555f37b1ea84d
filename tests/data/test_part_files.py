import pytest

from mtl_core.data.part_files import part_files


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["x_train.csv", "x_test.csv"], [{"train": "x_train.csv", "test": "x_test.csv"}]),
        (["test.csv", "dev.csv", "train.csv"], [{"train": "train.csv", "validation": "dev.csv", "test": "test.csv"}]),
        (["Train-reviews.CSV", "reviews valid.csv"], [{"train": "Train-reviews.CSV", "validation": "reviews valid.csv"}]),
        (["train-Reviews.csv", "reviews valid.csv"], [{"train": "train-Reviews.csv", "validation": "reviews valid.csv"}]),
        (["a_train.csv", "b_test.csv"], []),
        (["a_test.csv", "a_val.csv"], []),
        (["a_train.csv", "a_test.csv", "a-test.csv"], []),
        (["a_train.csv", "a_test.jsonl"], []),
        (["train_test.csv", "train.csv"], []),
        (["contest.csv", "constrain.csv", "x_tr.csv", "x_test.csv"], []),
        (["评论_训练.csv", "评论_测试.csv"], [{"train": "评论_训练.csv", "test": "评论_测试.csv"}]),
        (
            ["a_train.csv", "b_train.csv", "b_test.csv", "a_test.csv", "c.csv"],
            [{"train": "a_train.csv", "test": "a_test.csv"}, {"train": "b_train.csv", "test": "b_test.csv"}],
        ),
    ],
)
def test_by_names(names: list[str], groups: list[dict[str, str]]) -> None:
    assert part_files(names) == groups
