"""A machine whose answers lie: what comes out is a snapshot or a `KitError`, and memory stays bounded.

Whoever owns a machine can make it say anything. It may say what it likes of itself; it must not crash the
workstation, fill its memory, or speak for another machine.
"""

import base64
import contextlib
import gzip
import io
import json
import math
import tarfile
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coreos_kit.adapters.answers import read_answer, understood
from coreos_kit.adapters.archive import files_of
from coreos_kit.adapters.engine import MachineEngine
from coreos_kit.adapters.etcd_access import EtcdAddress, EtcdCredentials
from coreos_kit.adapters.etcd_v2 import V2Store
from coreos_kit.adapters.probe import read_probe
from coreos_kit.adapters.snapshot import read_machine
from coreos_kit.adapters.systemd import change_as_tar, read_outcomes
from coreos_kit.errors import CommandFailed, KitError, Unreachable
from coreos_kit.model.cluster import ObservedMachine
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import MachineEntry
from coreos_kit.ops.logs import read_line
from coreos_kit.ports import Change, Completed, Probe
from coreos_kit.testing.runner import Answer, FakeRunner

ENTRY = MachineEntry("core-1", "core@198.51.100.11")
NETWORK = "10.132.0.0/16"
UNIT = "apache@7777.service"
TEXT = "[Service]\nExecStart=/bin/true\n[X-CoreosKit]\nProject=web\nService=apache\n"
SHOW = (
    f"Id={UNIT}\nLoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=0\n"
    f"FragmentPath=/etc/systemd/system/{UNIT}\nActiveEnterTimestamp=Mon 2026-11-23 18:00:00 UTC\n"
)


def encoded(content: bytes | str) -> str:
    return base64.b64encode(content if isinstance(content, bytes) else content.encode()).decode()


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def snapshot(**changed: str) -> list[str]:
    """Return the lines of an honest machine; `changed` replaces what stands after a key, "" takes it away."""
    lines = {
        "machine-id": "0123456789abcdef0123456789abcdef",
        "boot-id": "01234567-89ab-cdef-0123-456789abcdef",
        "clock": "1763920800.123456789",
        "release": encoded("Debian"),
        "addresses": encoded("2: eth0    inet 10.132.0.11/16 brd 10.132.255.255 scope global eth0\n"),
        "route": encoded("192.0.2.1 via 10.132.0.1 dev eth0 src 198.51.100.11 uid 0\n"),
        "etcd": "active",
        "unit": UNIT,
        "files": encoded(packed((member(UNIT), TEXT.encode()))),
        "show": encoded(SHOW),
        "containers": encoded("apache.7777\tabc\tUp 3 minutes\tuser_name/apache\t10.132.0.11:7777->80/tcp\n"),
        "labels": encoded('abc "web" "apache@7777.service"\n'),
        **{key.replace("_", "-"): value for key, value in changed.items()},
    }
    return [*(f"{key} {value}" for key, value in lines.items() if value), "end"]


def told(lines: list[str]) -> Completed:
    return Completed((), 0, "\n".join([*lines, ""]).encode("utf-8", "surrogatepass"), b"")


def look(lines: list[str]) -> ObservedMachine:
    return read_machine(ENTRY, NETWORK, read_answer(ENTRY.name, told(lines)))


def test_the_honest_machine_that_the_cases_start_from_is_read() -> None:
    machine = look(snapshot())

    assert (machine.private_ip, machine.public_ip) == ("10.132.0.11", "198.51.100.11")
    assert [(str(unit.name), unit.text, unit.active_state) for unit in machine.units] == [
        (UNIT, TEXT, "active")
    ]


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"clock": ""}, "KeyError: 'clock'"),
        ({"clock": "now"}, "could not convert string to float"),
        ({"clock": "nan"}, "is no time"),
        ({"clock": "1e999"}, "is no time"),
        ({"addresses": ""}, "KeyError: 'addresses'"),
        ({"addresses": encoded("2: eth0")}, "IndexError"),
        ({"addresses": encoded("2: eth0 inet 10.132.0.11;reboot/16")}, "does not appear to be an IPv4"),
        ({"files": encoded("no tar at all")}, "ReadError"),
        ({"show": ""}, "systemctl told of 0 units, not of 1"),
        ({"show": encoded(SHOW + "\n" + SHOW)}, "systemctl told of 2 units, not of 1"),
        ({"show": encoded(SHOW.replace("NRestarts=0", "NRestarts=many"))}, "invalid literal for int()"),
        ({"show": encoded(SHOW.replace("NRestarts=0", f"NRestarts={'9' * 5000}"))}, "ValueError"),
        ({"release": "!!!"}, "the answer's line 'release' is garbled"),
        ({"containers": "YQ"}, "the answer's line 'containers' is garbled"),
    ],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_an_error_that_names_the_machine(
    changed: dict[str, str], complaint: str
) -> None:
    with pytest.raises(CommandFailed) as refused:
        look(snapshot(**changed))

    assert str(refused.value).startswith("core-1: ")
    assert complaint in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    "cut", [pytest.param(lambda lines: lines[:-1], id="its end"), pytest.param(lambda _: [], id="everything")]
)
def test_half_an_answer_is_never_read_as_a_whole_one(cut: Callable[[list[str]], list[str]]) -> None:
    with pytest.raises(CommandFailed, match="core-1: the answer is not whole"):
        look(cut(snapshot()))


@pytest.mark.parametrize(
    "hostile",
    [
        member("../../etc/cron.d/evil"),
        member("/etc/cron.d/evil"),
        member(UNIT, tarfile.SYMTYPE, "/etc/passwd"),
        member(UNIT, tarfile.SYMTYPE, UNIT),
        member(UNIT, tarfile.LNKTYPE, "nowhere"),
        member(UNIT, tarfile.CHRTYPE),
        member(UNIT, tarfile.BLKTYPE),
        member(UNIT, tarfile.FIFOTYPE),
        member(UNIT, tarfile.DIRTYPE),
    ],
    ids=["..", "absolute", "symlink", "loop", "hard link", "character device", "block device", "fifo", "dir"],
)
def test_whatever_a_tar_holds_only_plain_files_by_the_names_of_units_are_looked_at(
    hostile: tarfile.TarInfo, tmp_path: object
) -> None:
    machine = look(snapshot(files=encoded(packed((hostile, b"")))))

    assert [unit.text for unit in machine.units] == [None]


def sparse(size: int) -> bytes:
    """Return a tar whose one file of a few bytes says that it is `size` bytes of nothing."""
    header = bytearray(member(UNIT, tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % size  # realsize
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + b"\0" * 1024


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(sparse(4 * 1024**3), id="a sparse file of four gigabytes"),
        pytest.param(gzip.compress(packed((member(UNIT), b"\0" * 200_000_000))), id="a bomb of gzip"),
    ],
)
def test_a_small_answer_never_becomes_a_large_one(archive: bytes) -> None:
    lines = snapshot(files=encoded(archive))
    tracemalloc.start()
    try:
        with contextlib.suppress(CommandFailed):
            assert [unit.text for unit in look(lines).units] == [None]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 20 * len("\n".join(lines)) + 5_000_000


def test_an_address_that_is_none_never_becomes_the_machines() -> None:
    assert look(snapshot(route=encoded("192.0.2.1 src $(reboot) uid 0"))).public_ip == ""


# Any answer at all

KEYS = sorted(
    {line.split(" ")[0] for line in snapshot()} | {"engine-error", "environment", "unit", "journal"}
)
JUNK = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"\x1b[2J", b"9" * 5000, b"[" * 5000, b'{"servers": ', b"nan", b"-1", b"\0" * 1024]),
    st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
WORDS = st.one_of(
    JUNK.map(encoded), st.text(st.characters(exclude_characters="\n"), max_size=20), st.just(UNIT)
)
LINES = st.builds("{} {}".format, st.sampled_from(KEYS), WORDS)


@st.composite
def answers(draw: st.DrawFn) -> list[str]:
    """Draw an honest answer with some lines changed, doubled, dropped or cut off."""
    lines = snapshot()
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from(["replace", "add", "drop", "cut", "damage"]))
        if what == "replace":
            lines[at] = f"{lines[at].split(' ')[0]} {draw(WORDS)}"
        elif what == "add":
            lines.insert(at, draw(LINES))
        elif what == "drop":
            lines = [*lines[:at], *lines[at + 1 :], "end"]
        elif what == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        else:
            key, _, word = lines[at].partition(" ")
            try:
                content = bytearray(base64.b64decode(word) or bytes(8))
            except ValueError:  # the word was cut before
                content = bytearray(8)
            for _ in range(draw(st.integers(1, 8))):
                content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
            lines[at] = f"{key} {encoded(bytes(content))}"
    return lines


@given(answers())
def test_whatever_a_machine_answers_is_a_snapshot_or_an_error_of_the_kit(lines: list[str]) -> None:
    try:
        machine = look(lines)
    except CommandFailed:
        return

    assert math.isfinite(machine.clock)
    assert {unit.machine for unit in machine.units} <= {"core-1"}


@given(st.binary(max_size=2000))
@example(b"end")
@example(b"end\n")
@example(b"unit \nend\n")
def test_whatever_bytes_come_they_are_an_answer_or_an_error_of_the_kit(stdout: bytes) -> None:
    try:
        lines = read_answer("core-1", Completed((), 0, stdout, b""))
        read_machine(ENTRY, NETWORK, lines)
    except CommandFailed:
        return


@pytest.mark.parametrize(
    "lines",
    [
        ["unit a.service"],
        ["unit a.service", "unit b.service", f"show {encoded('ActiveState=active')}"],
        ["unit a.service", f"show {encoded('ActiveState=active')[1:]}"],
        [f"show {encoded('ActiveState=active')}"],
    ],
)
def test_an_answer_that_does_not_tell_of_just_the_units_it_names_is_an_error(lines: list[str]) -> None:
    with pytest.raises(CommandFailed, match="core-1: "):
        read_outcomes("core-1", read_answer("core-1", told([*lines, "end"])))


@given(
    st.lists(st.builds("{} {} {}".format, st.sampled_from(["unit", "show", "journal", "x"]), WORDS, WORDS))
)
def test_whatever_a_machine_says_of_a_change_is_an_outcome_or_an_error_of_the_kit(lines: list[str]) -> None:
    try:
        outcomes = read_outcomes("core-1", read_answer("core-1", told([*lines, "end"])))
    except CommandFailed:
        return

    assert {outcome.machine for outcome in outcomes} <= {"core-1"}


POOLS = st.one_of(
    JUNK,
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=10)),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["servers", "held", "etcd", "x"]), inner, max_size=4)
        ),
    ).map(lambda value: json.dumps(value).encode()),
)


@given(
    st.lists(
        st.one_of(
            st.builds("pool {}".format, POOLS.map(encoded)),
            st.builds("code {}".format, WORDS),
            st.builds("code {}".format, st.sampled_from(["200", "²", "9" * 5000, "-1", "٣"])),
            st.builds("backend {} {} {}".format, WORDS, st.sampled_from(["yes", "no", ""]), WORDS),
            st.builds("log {}".format, JUNK.map(encoded)),
            st.builds("pool-error {}".format, WORDS),
        )
    )
)
@example([f"pool {encoded(b'[' * 100_000)}"])
@example([f"pool {encoded(json.dumps({'servers': '10.132.0.11:80'}))}"])
def test_whatever_a_prober_answers_is_a_probe_or_an_error_of_the_kit(lines: list[str]) -> None:
    try:
        with understood("core-1"):
            probe = read_probe(read_answer("core-1", told([*lines, "end"])), "nonce")
    except CommandFailed:
        return

    assert isinstance(probe, Probe)
    assert all(100 <= code < 1000 or code == 0 for code in probe.codes)


def test_a_pool_that_is_no_list_of_servers_is_an_error_not_letters() -> None:
    lines = read_answer("core-1", told([f"pool {encoded(json.dumps({'servers': '10.132.0.11:80'}))}", "end"]))

    probe = read_probe(lines, "nonce")

    assert probe.pool is None
    assert probe.pool_error.startswith("confd-watch --show printed no pool: ")


# Journals


@given(st.one_of(st.text(max_size=200), POOLS.map(lambda raw: raw.decode("utf-8", "replace"))))
@example('{"__REALTIME_TIMESTAMP": Infinity}')
@example('{"__REALTIME_TIMESTAMP": 1e400}')
@example('{"__REALTIME_TIMESTAMP": "' + "9" * 400 + '", "MESSAGE": "a"}')
@example('{"__REALTIME_TIMESTAMP": 1, "MESSAGE": ' + "[" * 900 + "]" * 900 + "}")
@example("[" * 100_000)
@example("[]")
@example('{"__REALTIME_TIMESTAMP": -1}')
def test_whatever_a_journal_holds_is_a_line_with_a_time_or_nothing(text: str) -> None:
    line = read_line("core-1", text)

    assert line is None or 0 <= line.time_us < 253_402_300_800_000_000  # the year 10000


# Engines and etcd


@given(JUNK)
@example(b"{}")
@example(b"[1, null]")
@example(b"[" * 100_000)
@example(f'["docker.io/user_name/apache@sha256:{"a" * 64}; reboot"]'.encode())
def test_whatever_an_engine_prints_there_is_a_digest_or_an_error_of_the_kit(printed: bytes) -> None:
    runner = FakeRunner(
        "core-1", {"bash": lambda args, stdin: Answer(printed), "docker": lambda args, stdin: Answer()}
    )

    with pytest.raises(CommandFailed, match="core-1 failed: it has no digest that its registry knows"):
        MachineEngine(runner, "docker").pull("user_name/apache")


def test_keys_that_lie_deeper_than_python_can_read_are_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = b'{"node": {"dir": true, "nodes": [' * 2000 + b"]}}" * 2000
    monkeypatch.setattr("coreos_kit.adapters.etcd_v2.http_ask", lambda *_: (200, deep))

    with pytest.raises(Unreachable, match=r"etcd core-1 answers 200: "):
        V2Store(EtcdAddress("core-1", "127.0.0.1", 2379), EtcdCredentials()).entries("/services")


def test_a_text_that_is_not_utf_8_is_put_back_byte_for_byte() -> None:
    name, data = UnitName.parse("apache@7777.service"), b"[Service]\n# f\xfcr Bob\n"
    text, _ = files_of(tar_of(str(name), data))[str(name)]

    packed = change_as_tar(Change("core-1", write={name: text}))

    assert files_of(packed) == {f"units/{name}": (text, 0.0)}
    assert data in packed


def tar_of(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


NODES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=10)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["node", "nodes", "dir", "key", "value", "ttl", "modifiedIndex", "x"]),
            inner,
            max_size=6,
        )
    ),
)


@given(st.sampled_from([200, 201, 404, 500]), NODES)
@example(200, {"node": {"nodes": "letters"}})
@example(200, {"node": {"nodes": [7]}})
@example(200, {"node": {"nodes": 7}})
@example(200, {"node": {"nodes": [{"key": "/a", "ttl": "soon"}]}})
@example(200, {"node": {"value": "x", "modifiedIndex": None}})
@example(200, {"node": {"value": "x"}})
def test_whatever_answers_as_v2_is_entries_or_an_error_of_the_kit(status: int, answer: object) -> None:
    body = json.dumps(answer).encode()
    store = V2Store(EtcdAddress("core-1", "127.0.0.1", 2379), EtcdCredentials())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("coreos_kit.adapters.etcd_v2.http_ask", lambda *_: (status, body))
        for ask in (
            lambda: store.entries("/services"),
            lambda: store.entry("/a"),
            lambda: store.create("/a", "x", 30),
            lambda: store.renew("/a", "x", "", 30),
            lambda: store.delete_if_value("/a", "x"),
        ):
            with contextlib.suppress(KitError):
                ask()
