"""What counts as a reason, and that every floor says enough of them."""

from tests.house.comment_density import Count, count, count_floors, shortfalls


def test_every_floor_says_its_reasons() -> None:
    assert not [*shortfalls(count_floors())]


def test_docstrings_directives_and_blank_lines_count_for_nothing() -> None:
    source = '"""A module."""\n\nX = 1  # noqa: X1\n"""A constant."""\n\n# A reason.\nY = 2  # another\n'
    assert count(source) == Count(comments=2, code=2)
