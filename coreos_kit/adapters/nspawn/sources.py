"""Where packages and names come from: the workstation's own apt and DNS settings, as a machine needs them.

No mirror's name stands in this project; whatever the workstation uses, the lab uses.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coreos_kit.adapters.nspawn.host import run
from coreos_kit.errors import Refused

SUITE = "bookworm"  # what the images' FROM line names; Debian's mirrors hold it beside newer suites

_APT_KEYS = re.compile(
    r"Acquire::(https?::(Proxy|CaInfo|Verify-(Peer|Host)).*|Check-Valid-Until|Check-Date|Retries)",
    re.IGNORECASE,
)
_RELEASE_PARTS = ("", "-updates", "-security")


@dataclass(frozen=True, slots=True)
class AptSource:
    """One archive: where it is, which suite of it, which parts."""

    uri: str
    suite: str
    components: tuple[str, ...]

    def line(self) -> str:
        """Return it as a line of sources.list; the key is Debian's own, which every Debian has."""
        key = "/usr/share/keyrings/debian-archive-keyring.gpg"
        return f"deb [signed-by={key}] {self.uri} {self.suite} {' '.join(self.components)}"


@dataclass(frozen=True, slots=True)
class Upstream:
    """What the lab takes over from the workstation."""

    sources: tuple[AptSource, ...]  # the release itself first
    apt_conf: str
    resolv_conf: str
    proxy: str  # for debootstrap, which does not read apt's settings
    ca_bundle: bytes  # b"" where nothing is fetched through https

    @property
    def sources_list(self) -> str:
        """The text of sources.list."""
        return "".join(source.line() + "\n" for source in self.sources)


def read_upstream() -> Upstream:
    """Read the workstation's settings; raise `Refused` where they don't lead to a Debian mirror."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    texts = {
        file.name: file.read_text("utf-8", "replace")
        for file in files
        if file.suffix in {".list", ".sources"} and file.exists()
    }
    sources = debian_sources(parse_sources(texts))
    conf = run(["apt-config", "dump"]).text
    secure = any(source.uri.startswith("https:") for source in sources)
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    return Upstream(
        sources=sources,
        apt_conf=apt_settings(conf),
        resolv_conf=choose_resolv_conf(
            [file.read_text("utf-8", "replace") for file in map(Path, _RESOLV_CONFS) if file.exists()]
        ),
        proxy=_value(conf, "Acquire::http::Proxy"),
        ca_bundle=bundle.read_bytes() if secure and bundle.exists() else b"",
    )


_RESOLV_CONFS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")


def parse_sources(texts: Mapping[str, str]) -> tuple[AptSource, ...]:
    """Return the binary archives that apt's files name, in both formats; disabled ones are left out."""
    found: list[AptSource] = []
    for name, text in texts.items():
        found += _stanzas(text) if name.endswith(".sources") else _lines(text)
    return tuple(found)


def debian_sources(sources: Iterable[AptSource]) -> tuple[AptSource, ...]:
    """Return the workstation's Debian archives, turned to the lab's suite; the release itself first."""
    chosen: dict[tuple[str, str], AptSource] = {}
    for source in sources:
        part = _debian_part(source.suite)
        if part is not None and "main" in source.components:
            suite = SUITE + part
            chosen.setdefault((source.uri, suite), AptSource(source.uri, suite, ("main",)))
    ordered = sorted(
        chosen.values(), key=lambda source: _RELEASE_PARTS.index(source.suite.removeprefix(SUITE))
    )
    if not ordered or ordered[0].suite != SUITE:
        hint = "The lab installs from the Debian mirror that this workstation's apt uses; add one."
        raise Refused("apt's sources on this workstation name no Debian mirror", hint=hint)
    return tuple(ordered)


def apt_settings(dump: str) -> str:
    """Return those lines of `apt-config dump` that say how to get through to the mirror."""
    lines = (line for line in dump.splitlines() if _APT_KEYS.match(line) and not line.endswith('"";'))
    return "".join(line + "\n" for line in lines)


def choose_resolv_conf(texts: Sequence[str]) -> str:
    """Return the first resolver configuration whose name servers the lab's machines can reach."""
    for text in texts:
        servers = re.findall(r"^\s*nameserver\s+(\S+)", text, re.MULTILINE)
        if servers and not any(server.startswith("127.") or server == "::1" for server in servers):
            return "".join(
                line + "\n"
                for line in text.splitlines()
                if re.match(r"\s*(nameserver|search|options)\s", line)
            )
    hint = "Give /etc/resolv.conf a name server that the lab's machines can reach, too."
    raise Refused("every name server of this workstation listens on loopback only", hint=hint)


def _debian_part(suite: str) -> str | None:
    match = re.fullmatch(
        r"(bookworm|trixie|forky|stable|oldstable|testing|sid|unstable)(-updates|-security)?/?", suite
    )
    return (match[2] or "") if match else None


def _lines(text: str) -> list[AptSource]:
    matches = re.finditer(r"^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#\n]+)", text, re.MULTILINE)
    return [AptSource(match[1].rstrip("/"), match[2], tuple(match[3].split())) for match in matches]


def _stanzas(text: str) -> list[AptSource]:
    found = []
    for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)):
        joined = re.sub(r"\n[ \t]+", " ", stanza)
        fields = {
            match[1].lower(): match[2].split()
            for match in re.finditer(r"^([\w-]+):[ \t]*(.*)$", joined, re.MULTILINE)
        }
        if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"])[0].lower() not in {
            "no",
            "false",
        }:
            components = tuple(fields.get("components", []))
            found += [
                AptSource(uri.rstrip("/"), suite, components)
                for uri in fields.get("uris", [])
                for suite in fields.get("suites", [])
            ]
    return found


def _value(dump: str, key: str) -> str:
    match = re.search(rf'^{re.escape(key)} "(.*)";$', dump, re.MULTILINE)
    return match[1] if match else ""
