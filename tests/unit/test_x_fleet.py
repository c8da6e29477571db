import pytest

from coreos_kit.errors import InvalidUnit
from coreos_kit.model.names import UnitName
from coreos_kit.units import x_fleet
from coreos_kit.units.x_fleet import UnitRequirements

NAME = UnitName.parse("web@7.service")


def requirements(*lines: str) -> UnitRequirements:
    return UnitRequirements.of(NAME, "\n".join(["[X-Fleet]", *lines, ""]))


def refusal(*lines: str) -> str | None:
    return x_fleet.refusal("\n".join(["[X-Fleet]", *lines, ""]))


def test_without_a_section_nothing_is_required() -> None:
    assert UnitRequirements.of(NAME, "[Service]\nExecStart=/bin/true\n") == UnitRequirements()


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ('"a=b" "c=d"', ("a=b", "c=d")),
        ("a=b c=d", ("a=b c=d",)),
        ('"a=b" c=d', ('"a=b" c=d',)),
        ('"a=b"  "c=d"', ("a=b", "", "c=d")),
        ('"a b"', ("a b",)),
        ('"a"b" "c"', ("ab c",)),
        ('"', ("",)),
        ("", ("",)),
    ],
)
def test_a_line_is_taken_apart_only_if_it_begins_and_ends_with_a_quote(
    line: str, values: tuple[str, ...]
) -> None:
    assert x_fleet.split_values(line) == values


def test_of_several_machine_ids_the_first_counts_and_the_newest_spelling() -> None:
    lines = ["X-ConditionMachineBootID=boot", "X-ConditionMachineID=old", "MachineID=one", "MachineID=two"]

    assert requirements(*lines).machine_id == "one"
    assert requirements(*lines[:2]).machine_id == "old"
    assert requirements(*lines[:1]).machine_id == "boot"


def test_lists_take_the_old_spelling_first() -> None:
    wanted = requirements(
        "MachineOf=new.service", "X-ConditionMachineOf=old.service", "Conflicts=b*", "X-Conflicts=a*"
    )

    assert wanted.peers == ("old.service", "new.service")
    assert wanted.conflicts == ("a*", "b*")


def test_only_conflicts_are_split_at_blanks() -> None:
    assert requirements("Conflicts=a* b*", "Conflicts=c*").conflicts == ("a*", "b*", "c*")
    assert requirements("MachineOf=a.service b.service").peers == ("a.service b.service",)
    assert requirements("Replaces=a* b*").replaces == ("a* b*",)


def test_an_empty_value_resets_nothing() -> None:
    assert requirements("Conflicts=a*", "Conflicts=").conflicts == ("a*",)
    assert requirements("MachineOf=a.service", "MachineOf=").peers == ("a.service", "")


def test_metadata_is_any_of_a_keys_values_and_all_of_the_keys() -> None:
    wanted = requirements(
        "MachineMetadata=region=fra",
        "X-ConditionMachineMetadata=region=ams",
        'MachineMetadata="disk=ssd" "n=1"',
    )

    assert wanted.metadata == {"region": {"fra", "ams"}, "disk": {"ssd"}, "n": {"1"}}


@pytest.mark.parametrize("value", ["region=fra disk=ssd", "region=", "=fra", "region", "a=b=c"])
def test_metadata_that_is_not_one_pair_is_ignored(value: str) -> None:
    assert requirements(f"MachineMetadata={value}").metadata == {}


@pytest.mark.parametrize(
    ("lines", "is_global"),
    [
        (["Global=true"], True),
        (["Global=YES"], True),
        (["Global=1"], True),
        (["Global=on"], True),
        (["Global=t"], True),
        (["Global=enabled"], False),
        (["Global=true", "Global=false"], False),
        (["X-Global=true"], False),
        (["global=true"], False),
    ],
)
def test_global_is_true_by_its_last_value(lines: list[str], is_global: bool) -> None:
    assert requirements(*lines).is_global is is_global


def test_specifiers_are_expanded_with_the_units_own_name() -> None:
    wanted = requirements(
        "MachineOf=%p-db@%i.service", "Conflicts=%N-old.service %n", "MachineMetadata=port=%i"
    )

    assert wanted.peers == ("web-db@7.service",)
    assert wanted.conflicts == ("web@7-old.service", "web@7.service")
    assert wanted.metadata == {"port": {"7"}}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["MachineID=a", "MachineOf=b.service"], "MachineID cannot be used with Peers"),
        (["MachineID=a", "Conflicts=b"], "MachineID cannot be used with Conflicts"),
        (["MachineID=a", "Global=true"], "MachineID cannot be used with Global"),
        (["MachineID=a", "Replaces=b"], "MachineID cannot be used with Replaces"),
        (["Global=true", "MachineOf=b.service"], "Global cannot be used with Peers"),
        (["Global=true", "Replaces=b"], "Global cannot be used with Replaces"),
        (["Conflicts=a", "Replaces=b"], "Conflicts cannot be used with Replaces"),
        (
            ["MachineOf=b@%i.service", "Conflicts=b@*.service"],
            'unresolvable requirements: peer "b@%i.service" matches conflict "b@*.service"',
        ),
        (
            ["MachineOf=b.service", "Replaces=b*"],
            'unresolvable requirements: peer "b.service" matches replace "b*"',
        ),
    ],
)
def test_what_fleet_refuses_is_refused_in_its_words(lines: list[str], reason: str) -> None:
    assert refusal(*lines) == reason


@pytest.mark.parametrize(
    "lines",
    [
        ["MachineID=a", "MachineMetadata=region=fra"],
        ["Global=true", "Conflicts=a.service"],
        ["Unknown=key"],
        ["MachineOf=a.service", "Conflicts=b@*.service"],
        ["MachineOf=web@7.service", "Conflicts=%p@%i.service"],  # matched before expansion
    ],
)
def test_what_fleet_takes_is_taken(lines: list[str]) -> None:
    assert refusal(*lines) is None


def test_a_refused_unit_has_no_requirements() -> None:
    with pytest.raises(InvalidUnit) as caught:
        requirements("MachineID=a", "Conflicts=b")

    assert str(caught.value) == (
        "web@7.service is refused, as fleet would: MachineID cannot be used with Conflicts"
    )


def test_a_unit_that_stands_already_is_read_whatever_it_says() -> None:
    contradictory = UnitRequirements.as_found(NAME, "[X-Fleet]\nMachineID=a\nConflicts=b\n")

    assert (contradictory.machine_id, contradictory.conflicts) == ("a", ("b",))
    assert UnitRequirements.as_found(NAME, "[X-Fleet\nMachineID=a\n") == UnitRequirements()
