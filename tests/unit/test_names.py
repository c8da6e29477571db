import pytest

from coreos_kit.errors import InvalidUnit
from coreos_kit.model.names import UnitName


@pytest.mark.parametrize(
    ("text", "prefix", "instance", "type_"),
    [
        ("nginx_lb.service", "nginx_lb", None, "service"),
        ("apache@.service", "apache", "", "service"),
        ("apache@7777.service", "apache", "7777", "service"),
        ("a@b@c.d.service", "a", "b@c.d", "service"),
        ("a.b.timer", "a.b", None, "timer"),
        (".service", "", None, "service"),
    ],
)
def test_a_name_is_split_at_the_first_at_and_the_last_dot(
    text: str, prefix: str, instance: str | None, type_: str
) -> None:
    name = UnitName.parse(text)

    assert (name.prefix, name.instance, name.type) == (prefix, instance, type_)
    assert str(name) == text


def test_plain_units_templates_and_instances_are_told_apart() -> None:
    plain, template, instance = map(UnitName.parse, ["a.service", "a@.service", "a@1.service"])

    assert (plain.is_template, plain.is_instance) == (False, False)
    assert (template.is_template, template.is_instance) == (True, False)
    assert (instance.is_template, instance.is_instance) == (False, True)
    assert template.instantiate("1") == instance
    assert instance.template == template


def test_only_a_template_unit_can_be_instantiated() -> None:
    with pytest.raises(InvalidUnit) as caught:
        UnitName.parse("web.service").instantiate("1")

    assert str(caught.value) == "web.service is not a template unit"
    assert caught.value.hint == "Did you mean web@.service?"


def test_a_plain_unit_has_no_template() -> None:
    with pytest.raises(InvalidUnit, match="neither an instance nor a template unit"):
        _ = UnitName.parse("web.service").template


def test_names_sort_numbers_as_numbers() -> None:
    texts = [
        "web@10.service",
        "web.service",
        "web-log@1.service",
        "web@2.service",
        "web@.service",
        "web2.service",
    ]

    in_order = [str(name) for name in sorted(map(UnitName.parse, texts))]

    assert in_order == [
        "web.service", "web@.service", "web@2.service", "web@10.service", "web2.service", "web-log@1.service",
    ]  # fmt: skip


def test_names_that_differ_only_in_leading_zeros_have_an_order() -> None:
    one, padded = UnitName("web", instance="1"), UnitName("web", instance="01")

    assert one != padded
    assert (one < padded) != (padded < one)
    assert one <= one >= one


def test_specifiers_are_fleets_four() -> None:
    name = UnitName.parse("web-log@7.service")

    assert name.expand("%n %N %p %i %m %%i") == "web-log@7.service web-log@7 web-log 7 %m %7"
    assert UnitName.parse("foo.service").expand("%p-%i") == "foo-"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "unit name cannot be empty"),
        ("x" * 250 + ".service", "unit name exceeds maximum length (256)"),
        ("web", 'unit name must contain "."'),
        ("web.", 'unit name cannot end in "."'),
        ("web.conf", 'invalid unit type: "conf"'),
        ("web@1.mount", 'invalid unit type for template: "mount"'),
        ("we b.service", "invalid character ' ' in unit name"),
        ("../web.service", "invalid character '/' in unit name"),
        ("web\n.service", "invalid character '\\n' in unit name"),
        ("wéb.service", "invalid character 'é' in unit name"),
        ("@1.service", 'unit name cannot start in "@"'),
    ],
)
def test_what_fleet_refuses_as_a_name_is_refused_in_its_words(text: str, reason: str) -> None:
    with pytest.raises(InvalidUnit) as caught:
        UnitName.parse(text)

    assert str(caught.value) == f"{text!r} is not a unit name: {reason}"


def test_a_name_without_its_type_is_given_back_with_one() -> None:
    with pytest.raises(InvalidUnit) as caught:
        UnitName.parse("web@1")

    assert caught.value.hint == "Did you mean web@1.service?"
