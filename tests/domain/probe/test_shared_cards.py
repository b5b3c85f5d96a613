"""Which rounds that began together may be the work of one card."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.probe.shared_cards import SideBySide, is_one_card

alone = st.floats(0.6, 1.5)
noise = st.floats(0.95, 1.15)


@pytest.mark.parametrize(
    ("rounds", "is_one"),
    [
        # Two cards, in step; one of two that had something else to do; both at half, as one card has them.
        ([(1.2, 1.2), (1.2, 1.2)], False),
        ([(1.2, 1.2), (1.8, 1.2)], False),
        ([(2.4, 1.2), (2.4, 1.2)], True),
        # One card, by turns: the first is as fast as ever.
        ([(1.2, 1.2), (2.4, 1.2)], True),
        # Four machines of one card, and four that wait for their processor half of the time.
        ([(4.8, 1.2)] * 4, True),
        ([(2.4, 1.2)] * 4, False),
        # A short round beside a long one tells nothing.
        ([(1.5, 1.5), (0.4, 0.3)], False),
        ([(1.8, 1.5), (0.4, 0.3)], False),
    ],
)
def test_one_card_is_told_from_several(rounds: list[tuple[float, float]], is_one: bool) -> None:
    assert is_one_card([SideBySide(*each) for each in rounds]) is is_one


@given(st.lists(st.tuples(alone, noise), min_size=2, max_size=8), st.booleans())
def test_a_card_that_answers_for_several_is_found_however_it_divides_its_time(
    machines: list[tuple[float, float]], by_turns: bool
) -> None:
    work = sum(seconds for seconds, _ in machines)
    done, rounds = 0.0, []
    for seconds, factor in machines:
        done += seconds
        rounds.append(SideBySide((done if by_turns else work) * factor, seconds))
    # Its machines' rounds are as long as each other, for they are sized for a goal.
    assert is_one_card(rounds) is (work >= 1.6 * max(seconds for seconds, _ in machines))


@given(st.lists(st.tuples(alone, st.floats(0.9, 1.25)), min_size=2, max_size=2))
def test_cards_of_their_own_are_not_taken_for_one_for_a_fifth_more_or_less(machines: list[tuple[float, float]]) -> None:
    rounds = [SideBySide(seconds * factor, seconds) for seconds, factor in machines]
    assert not is_one_card(rounds)
