"""Changing what runs under a real fleet: rolling, gone back from, locked, held, planned, hooked.

The tests are those of the systemd driver wherever they ask for nothing that a driver has of its own. The
lab's etcd is read through its v2 API, as classic CoreOS has it.
"""

from collections.abc import Iterator

import pytest

from tests.lab.conftest import Kit
from tests.lab.etcd import EtcdV2
from tests.lab.fleet_lab import (
    NEEDS_FLEET,
    fleet_site,  # noqa: F401 - a fixture
    kit_of_fleet_site,  # noqa: F401 - a fixture
    states,
)
from tests.lab.test_plans import (
    hooks,  # noqa: F401 - a fixture
    plan_file,  # noqa: F401 - a fixture
    test_a_kept_plan_is_done_as_it_is_and_once,
    test_a_kept_plan_is_refused_where_somebody_stopped_a_unit_meanwhile,
    test_hooks_hear_of_each_instance_and_a_failing_one_stops_before_anything_is_touched,
)
from tests.lab.test_rolling_by_hand import (
    PROJECT,
    test_a_release_of_which_somebody_changed_a_text_is_not_rolled_back_to,
    test_a_release_that_somebody_changed_is_not_rolled_back_to,
    test_a_release_that_somebody_wrote_is_not_rolled_back_to,
)
from tests.lab.test_rolling_change import (
    balancer,  # noqa: F401 - a fixture
    test_a_rolling_change_and_its_rollback_lose_none_of_ten_thousand_requests_each,
    test_scaling_up_and_down_again_loses_none_of_ten_thousand_requests_each,
)
from tests.lab.test_rolling_failures import (
    test_an_ill_release_is_put_back_and_the_old_one_serves_every_request,
)
from tests.lab.test_rolling_lock import (
    test_a_killed_holder_loses_the_lock_with_its_lease_and_the_next_deploy_finishes_the_work,
    test_of_deploys_at_once_one_works_one_says_who_holds_the_lock_and_one_that_waits_has_nothing_to_do,
)

__all__ = [
    "test_a_kept_plan_is_done_as_it_is_and_once",
    "test_a_kept_plan_is_refused_where_somebody_stopped_a_unit_meanwhile",
    "test_a_killed_holder_loses_the_lock_with_its_lease_and_the_next_deploy_finishes_the_work",
    "test_a_release_of_which_somebody_changed_a_text_is_not_rolled_back_to",
    "test_a_release_that_somebody_changed_is_not_rolled_back_to",
    "test_a_release_that_somebody_wrote_is_not_rolled_back_to",
    "test_a_rolling_change_and_its_rollback_lose_none_of_ten_thousand_requests_each",
    "test_an_ill_release_is_put_back_and_the_old_one_serves_every_request",
    "test_hooks_hear_of_each_instance_and_a_failing_one_stops_before_anything_is_touched",
    "test_of_deploys_at_once_one_works_one_says_who_holds_the_lock_and_one_that_waits_has_nothing_to_do",
    "test_scaling_up_and_down_again_loses_none_of_ten_thousand_requests_each",
]

pytestmark = NEEDS_FLEET
APACHE = "apache@7777.service"


@pytest.fixture
def etcd(kit: Kit) -> Iterator[EtcdV2]:
    """Give etcd; whatever is changed in it below the project's folder is put back."""
    made = EtcdV2(kit.address_of("core-1"))
    with made.kept(PROJECT):
        yield made


def test_a_held_unit_stays_down_through_a_deploy_and_says_so(kit: Kit) -> None:
    kit("stop", "--hold", "apache@7777", "--why", "odd")
    deployed = kit("deploy", "--yes", "--json").json
    held = states(kit).get(APACHE, "")
    verified = kit("verify", "--wait", "30").out
    kit("start", "apache@7777")

    assert deployed["changed"] is False
    assert not held.startswith("active")
    assert verified.endswith("; 1 unit held\n")
    kit("verify", "--wait", "30")
    assert states(kit)[APACHE] == "active running"


@pytest.mark.parametrize("command", ["cordon", "drain"])
def test_a_machine_can_not_be_held_still_where_fleet_places(kit: Kit, command: str) -> None:
    before = states(kit)

    refused = kit(command, "core-1", code=3)

    assert "fleet" in refused.err
    assert states(kit) == before
