"""Which releases machines vouch for, and which seals they get."""

from coreos_kit.model.secret import FileNames, Secret, SeenFiles
from coreos_kit.planning.machine_files import file_changes
from coreos_kit.planning.seals import Seal, seal_changes, seal_of, sealed_numbers
from coreos_kit.units.secret_files import KEY_FILE, digest_of, is_seal, is_the_kits, seal_name

KEY = Secret(b"k" * 32)
OTHER_KEY = Secret(b"o" * 32)
RIGHT, WRONG = Secret(b"right"), Secret(b"wrong")


def machine(*, key: Secret | None = KEY, **seals: Secret) -> SeenFiles:
    """Return what a machine has: `r3=RIGHT` is the seal of release 3."""
    digests = {
        seal_name(int(name[1:])): digest_of(key, content) if key else "" for name, content in seals.items()
    }
    return SeenFiles(key, digests)


def test_a_release_holds_where_most_machines_with_a_say_vouch_for_it() -> None:
    seen = {"core-1": machine(r3=RIGHT), "core-2": machine(r3=RIGHT), "core-3": machine(r3=WRONG)}

    seal = seal_of(3, RIGHT, seen)

    assert seal == Seal(frozenset({"core-1", "core-2"}), frozenset({"core-3"}), frozenset())
    assert seal.holds
    assert not seal_of(3, WRONG, seen).holds


def test_half_of_the_machines_are_not_enough() -> None:
    assert not seal_of(3, RIGHT, {"core-1": machine(r3=RIGHT), "core-2": machine(r2=RIGHT)}).holds


def test_what_no_machine_has_sealed_does_not_hold() -> None:
    assert not seal_of(3, RIGHT, {}).holds
    assert not seal_of(3, RIGHT, {"core-1": machine(), "core-2": machine()}).holds
    assert not seal_of(4, RIGHT, {"core-1": machine(r3=RIGHT)}).holds


def test_a_new_machine_has_no_say() -> None:
    seen = {"core-1": machine(r3=RIGHT), "core-2": machine(), "core-3": SeenFiles()}

    assert seal_of(3, RIGHT, seen) == Seal(frozenset({"core-1"}))


def test_each_machine_is_compared_under_its_own_key_and_one_without_a_key_has_no_say() -> None:
    seen = {
        "core-1": machine(key=OTHER_KEY, r3=RIGHT),
        "core-2": machine(key=None, r3=RIGHT),
    }

    assert seal_of(3, RIGHT, seen) == Seal(frozenset({"core-1"}))


def test_a_file_that_others_can_write_is_no_seal() -> None:
    spoilt = SeenFiles(KEY, {seal_name(3): ""})

    assert seal_of(3, RIGHT, {"core-1": spoilt}).differing == {"core-1"}


def test_the_new_seal_goes_everywhere_and_what_is_not_kept_goes() -> None:
    seen = {"core-1": machine(r1=RIGHT, r2=RIGHT), "core-2": SeenFiles()}

    changes = seal_changes({2: RIGHT, 3: RIGHT}, 3, seen)

    assert changes["core-1"] == FileNames((seal_name(3),), (seal_name(1),))
    assert changes["core-2"] == FileNames((seal_name(2), seal_name(3)), ())


def test_a_machine_that_was_away_gets_the_seals_that_most_vouch_for_and_no_other() -> None:
    seen = {
        "core-1": machine(r1=RIGHT, r2=RIGHT),
        "core-2": machine(r1=RIGHT, r2=WRONG),
        "core-3": machine(r1=RIGHT),
        "core-4": machine(r2=WRONG),
    }

    changes = seal_changes({1: RIGHT, 2: RIGHT, 3: RIGHT}, 3, seen)

    assert changes["core-4"].write == (seal_name(1), seal_name(3))
    assert changes["core-3"].write == (seal_name(3),)


def test_numbers_that_machines_know_are_not_given_again() -> None:
    seen = [machine(r1=RIGHT, r7=RIGHT), SeenFiles(KEY, {"etcd/login": "x", "releases/notes": "y"})]

    assert sealed_numbers(seen) == {1, 7}


def test_seals_stay_when_secrets_go_and_so_does_the_key_that_tells_them() -> None:
    seen = {
        "core-1": SeenFiles(KEY, {**machine(r3=RIGHT).digests, "etcd/login": "x"}),
        "core-2": SeenFiles(KEY),
    }

    changes = file_changes({"core-1": frozenset(), "core-2": frozenset()}, {}, KEY, seen)

    assert changes["core-1"] == FileNames((), ("etcd/login",))
    assert changes["core-2"] == FileNames((), (KEY_FILE,))


def test_a_seal_is_a_number_in_its_folder_and_no_secret() -> None:
    assert seal_name(12) == "releases/00000012"
    assert is_seal("releases/00000012")
    assert not is_seal("releases/12")
    assert not is_seal("releases/00000012.new")
    assert not is_the_kits("releases/00000012")
