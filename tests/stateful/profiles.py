"""How long the stateful tests look for trouble."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

THOROUGH = "thorough"


def register_profiles() -> None:
    """Name the profile that looks for longer, each time elsewhere: `pytest --hypothesis-profile=thorough`.

    The usual one fails no test for the speed of a machine that is busy with others.
    """
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
    settings.register_profile(THOROUGH, max_examples=1000, deadline=None)


def run_machine(machine: type[RuleBasedStateMachine], examples: int) -> None:
    """Run a state machine: the same few examples every time, or many new ones with the thorough profile."""
    thorough = settings.get_current_profile_name() == THOROUGH
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=settings.get_profile(THOROUGH).max_examples if thorough else examples,
            derandomize=not thorough,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # To find the smallest failure takes minutes; in a hurry the first one has to do.
            phases=list(Phase) if thorough else [Phase.generate],
        ),
    )
