"""What fleet is asked in one go: one tar, units as a workspace has them."""

import io
import tarfile

import pytest

from coreos_kit.adapters.fleet.order import Order, order_of
from coreos_kit.errors import Refused
from coreos_kit.model.names import UnitName
from coreos_kit.ports import Change
from coreos_kit.units.fleet_hash import fleet_hash

TEXT = "# a comment\n[Service]\nExecStart=/bin/sleep 1\n"
FOLLOWS = "[Service]\nExecStart=/bin/sleep 1\n[X-Fleet]\nMachineOf=apache@%i.service\n"


def names(*texts: str) -> tuple[UnitName, ...]:
    return tuple(UnitName.parse(text) for text in texts)


def unpacked(order: Order) -> dict[str, str]:
    """Return each file's text, and `-> target` for a link."""
    with tarfile.open(fileobj=io.BytesIO(order.as_tar())) as tar:
        found = {}
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            found[member.name] = content.read().decode() if content else f"-> {member.linkname}"
    return found


def test_instances_are_links_to_their_template_and_plain_units_are_static() -> None:
    seven, eight, plain = names("apache@7777.service", "apache@8888.service", "nginx_lb.service")

    files = unpacked(Order(write={seven: TEXT, eight: TEXT, plain: TEXT}, start=(seven, eight, plain)))

    assert files["templates/apache@.service"] == TEXT
    assert files["instances/apache@7777.service"] == "-> ../templates/apache@.service"
    assert files["instances/apache@8888.service"] == "-> ../templates/apache@.service"
    assert files["static/nginx_lb.service"] == TEXT
    assert files["order/start"] == "apache@7777.service\napache@8888.service\nnginx_lb.service\n"


def test_an_instance_with_a_text_of_its_own_is_a_file() -> None:
    one, two, three = names("a@1.service", "a@2.service", "a@3.service")

    files = unpacked(Order(write={one: TEXT, two: FOLLOWS, three: TEXT}))

    assert files["templates/a@.service"] == TEXT
    assert files["instances/a@2.service"] == FOLLOWS


def test_each_file_comes_with_the_hash_that_fleet_gives_it() -> None:
    (plain,) = names("cron.service")

    files = unpacked(Order(write={plain: TEXT}))

    assert files["order/write"] == f"cron.service {fleet_hash(TEXT)} static/cron.service\n"


def test_the_changes_of_all_machines_are_one_order_and_each_name_comes_once() -> None:
    everywhere, one, two = names("all.service", "a@1.service", "a@2.service")
    changes = [
        Change("core-1", stop=(everywhere,), write={everywhere: TEXT, one: TEXT}, start=(everywhere, one)),
        Change("core-2", stop=(everywhere,), remove=(two,), write={everywhere: TEXT}, start=(everywhere,)),
    ]

    order = order_of(changes)

    assert order == Order((everywhere,), (two,), {everywhere: TEXT, one: TEXT}, (everywhere, one))


def test_units_are_loaded_first_where_some_follow_others() -> None:
    main, sidekick = names("apache@1.service", "apache-discovery@1.service")

    assert Order(write={main: TEXT, sidekick: FOLLOWS}).load_first
    assert not Order(write={main: TEXT}).load_first


def test_what_fleetctl_would_take_for_a_service_is_refused() -> None:
    (target,) = names("site.target")

    with pytest.raises(Refused, match=r"it would make site\.target\.service of it"):
        order_of([Change("core-1", write={target: "[Unit]\n"})])
