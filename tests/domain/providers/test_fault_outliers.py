from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.providers.fault_outliers import Runs, outliers


def at(*shares: tuple[int, int], first_renter: int = 1) -> Runs:
    """Runs of one renter after the other: how many, and how many of them its fault."""
    runs = Runs()
    for renter_id, (ended, faulted) in enumerate(shares, first_renter):
        runs.add(renter_id, ended, faulted)
    return runs


USUAL = at(*[(5, 0)] * 18, *[(5, 5)] * 2)


def test_who_blames_renter_after_renter_stands_out() -> None:
    assert list(outliers({1: at(*[(5, 5)] * 5), 2: USUAL, 3: USUAL})) == [1]
    assert list(outliers({1: at(*[(5, 4)] * 8), 2: USUAL})) == [1]


def test_one_renter_whose_program_fails_makes_nobody_stand_out() -> None:
    mostly_one = at((400, 400), *[(5, 0)] * 6)
    assert list(outliers({1: mostly_one, 2: USUAL})) == []


def test_few_runs_or_renters_prove_nothing() -> None:
    assert list(outliers({1: at(*[(3, 3)] * 6), 2: USUAL})) == []
    assert list(outliers({1: at(*[(9, 9)] * 4), 2: USUAL})) == []


def test_what_fails_everywhere_or_is_run_nowhere_else_is_its_renters() -> None:
    failing = at(*[(5, 5)] * 10)
    assert list(outliers({1: failing, 2: failing})) == []
    assert list(outliers({1: failing})) == []
    assert list(outliers({1: failing, 2: at((2, 0))})) == []


def test_a_renter_counts_the_same_at_several_machines() -> None:
    # Two machines of one cheat are not each other's excuse, as long as there are more honest ones.
    cheat = at(*[(5, 5)] * 8, first_renter=30)
    many = {machine: at(*[(4, 0)] * 20, first_renter=100 * machine) for machine in range(3, 9)}
    assert list(outliers({1: cheat, 2: cheat, **many})) == [1, 2]


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.booleans()), max_size=40))
def test_what_is_forgotten_leaves_no_trace(ended: list[tuple[int, bool, bool]]) -> None:
    """A running window is what is counted anew of what it still holds."""
    window, old, recount = Runs(), Runs(), Runs()
    for renter_id, is_fault, is_old in ended:
        window.add(renter_id, 1, is_fault)
        (old if is_old else recount).add(renter_id, 1, is_fault)
    window.forget(old)
    assert (window.ended, sorted(window.shares)) == (recount.ended, sorted(recount.shares))
