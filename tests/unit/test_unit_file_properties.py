import re
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.errors import InvalidUnit
from coreos_kit.units.fleet_hash import fleet_options
from coreos_kit.units.unit_file import UnitFile

ANY_TEXT = st.one_of(st.text(), st.text(st.sampled_from("[]=#;\\ \t\r\n\0\ufeff\"'aB%$é"), max_size=120))

WORD = st.from_regex(r"[A-Za-z][A-Za-z0-9./@%=\"' -]*[a-z0-9]", fullmatch=True)
KEY = st.from_regex(r"[A-Z][A-Za-z]{0,8}", fullmatch=True)
SECTION = st.sampled_from(["Unit", "Service", "X-Fleet", "Install"])
LINE = st.one_of(
    st.builds("{}={}".format, KEY, WORD),
    st.builds("[{}]".format, SECTION),
    st.sampled_from(["", "# a", "; b"]),
)
PLAIN_UNIT = st.lists(LINE, max_size=12).map(lambda lines: "\n".join(["[Unit]", *lines, ""]))


@given(ANY_TEXT)
def test_any_text_comes_back_byte_for_byte(text: str) -> None:
    assert str(UnitFile.parse(text)) == text


@given(ANY_TEXT)
def test_values_are_found_at_the_places_that_they_are_said_to_have(text: str) -> None:
    unit = UnitFile.parse(text)

    for option in unit.all_options:
        written = " ".join(unit.text[start:end] for start, end in option.spans)
        assert re.sub(r"\s+", " ", written).strip() == re.sub(r"\s+", " ", option.value).strip()


@given(PLAIN_UNIT)
def test_systemd_and_fleet_read_a_plain_unit_alike(text: str) -> None:
    unit = UnitFile.parse(text)

    assert [(o.section, o.name, o.value) for o in unit.all_options] == [
        (o.section, o.name, o.value) for o in fleet_options(text)
    ]


@given(ANY_TEXT, SECTION, KEY, WORD)
def test_a_section_that_was_set_leaves_the_others_as_they_were(
    text: str, section: str, key: str, value: str
) -> None:
    before = UnitFile.parse(text)

    after = before.with_section(section, [(key, value)])

    def read(unit: UnitFile, name: str) -> list[tuple[str, str]]:
        return [(option.name, option.value) for option in unit.options(name)]

    assert read(after, section) == [(key, value)]
    assert all(read(after, other) == read(before, other) for other in before.sections if other != section)


@given(PLAIN_UNIT, SECTION, st.lists(st.tuples(KEY, WORD), max_size=4))
def test_a_section_that_was_set_holds_what_was_set_under_both_readings(
    text: str, section: str, options: list[tuple[str, str]]
) -> None:
    unit = UnitFile.parse(text).with_section(section, options)

    assert [(option.name, option.value) for option in unit.options(section)] == options
    assert [(o.name, o.value) for o in fleet_options(unit.text) if o.section == section] == options
    assert unit.with_section(section, options) == unit


@given(ANY_TEXT)
def test_fleet_reads_or_refuses_any_text_but_never_breaks(text: str) -> None:
    with suppress(InvalidUnit):
        fleet_options(text)
