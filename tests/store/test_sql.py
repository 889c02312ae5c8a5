"""The reader of named statements."""

import pytest

from troth.store.sql import load, parse


def test_statements_by_name_without_their_comments_and_semicolons() -> None:
    text = (
        "-- Names are verbs.\n\n-- name: a\n-- Why a.\nselect $1;\n\n-- name: b_2\n-- Why b.\nselect 'x;'\n  from t;\n"
    )
    assert parse(text, "x.sql") == {"a": "select $1", "b_2": "select 'x;'\n  from t"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-- name: a\n-- Why.\nselect 1;\n-- name: a\n-- Why.\nselect 2;\n", "two statements are named a"),
        ("-- name: a\nselect 1;\n", "with a why-line below it"),
        ("-- name: A!\n-- Why.\nselect 1;\n", "stands alone on its line"),
    ],
)
def test_a_careless_file_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse(text, "x.sql")


def test_nobody_can_change_a_statement() -> None:
    with pytest.raises(TypeError):
        load("pool.sql")["take_role"] = "drop table events"  # type: ignore[index]
