"""Who follows a deploy hears of its steps in order, and can stop it before one is touched."""

import pytest

from coreos_kit.errors import DeployFailed, KitError
from coreos_kit.model.plan import Step
from coreos_kit.ops.deploy import DeployOptions, deploy
from coreos_kit.ops.rollout.listening import Listener
from tests.unit.test_deploy import Site, deployed, site

__all__ = ["deployed", "site"]


class Heard(Listener):
    def __init__(self, stop_at: str = "") -> None:
        self.said: list[str] = []
        self._stop_at = stop_at

    def before_step(self, step: Step) -> None:
        if step.machine == self._stop_at:
            raise KitError(f"nobody may touch {step.machine}")
        self.said.append(f"before {step.machine}")

    def after_step(self, step: Step) -> None:
        self.said.append(f"after {step.machine}")

    def going_back(self, error: KitError) -> None:
        self.said.append("going back")


def test_of_steps_that_run_at_once_each_is_announced_before_any_is_touched(site: Site) -> None:
    heard = Heard()

    deploy(site.session, site.prepare(), DeployOptions(), [heard])

    assert heard.said == [f"{when} core-{n}" for when in ("before", "after") for n in (1, 2, 3)]


def test_a_listener_can_stop_a_deploy_before_a_step_is_touched(deployed: Site) -> None:
    deployed.edit("[Service]", "[Service]\nEnvironment=NEW=1")
    heard = Heard(stop_at="core-2")

    with pytest.raises(DeployFailed, match="nobody may touch core-2"):
        deploy(deployed.session, deployed.prepare(), DeployOptions(), [heard])

    assert heard.said == ["before core-1", "after core-1", "going back", "before core-1", "after core-1"]
    assert not any(line.startswith("core-2: stop") for line in deployed.fake.log)
