"""The sidekick's two scripts: the loop that keeps a registration alive, and what ExecStop runs to leave.

The scripts are constant texts in scripts/, in bash with curl and etcdctl, which is what the machines have.
A few assignments before them carry the values; $1 is the instance. docs/decisions/sidekick.md has the rest.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from coreos_kit.model.profile import Profile
from coreos_kit.model.project import EtcdApi, EtcdSettings
from coreos_kit.model.services import Health, HealthKind, KeyForm, Registration
from coreos_kit.units.escape import shell_word
from coreos_kit.units.secret_files import CA, CERT, KEY, LOGIN

# At most this long between two checks of a backend that is well: what HAProxy does by default.
_LONGEST_PAUSE_S = 2
_CALL_TIMEOUT_S = 3
# What leaving may take besides the drain: 4 s for the loop, 7 s for two calls of etcdctl, 1 s to look.
LEAVE_MARGIN_S = 20

# etcdctl explains itself at length; its last line is the reason.
_LAST_LINE = 'said=${said##*"$nl"}; return 1;'

_FILE_FLAGS = {
    EtcdApi.V2: ("--ca-file", "--cert-file", "--key-file"),
    EtcdApi.V3: ("--cacert", "--cert", "--key"),
}
_LOGIN_VARIABLE = {EtcdApi.V2: "ETCDCTL_USERNAME", EtcdApi.V3: "ETCDCTL_USER"}

_SCRIPTS = Path(__file__).with_name("scripts")


@dataclass(frozen=True, slots=True)
class Etcd:
    """How a sidekick reaches etcd; `folder` is where the machine keeps what etcd wants to see."""

    api: EtcdApi
    settings: EtcdSettings
    folder: str


def loop_script(profile: Profile, etcd: Etcd, registration: Registration, health: Health) -> str:
    """Return the script that registers, renews and deregisters, until SIGTERM."""
    every = min(registration.renew_s, _LONGEST_PAUSE_S)
    assignments = [
        f"ttl={registration.ttl_s}; renew={registration.renew_s}; every={every}; fall={health.fall};",
        f"check() {{ {_check(health)}; }};",
    ]
    return "\n".join(
        [
            _head(profile, etcd, registration),
            *assignments,
            _text(f"forget_{etcd.api}"),
            _text(f"register_{etcd.api}"),
            _text("loop"),
        ]
    )


def leave_script(profile: Profile, etcd: Etcd, registration: Registration) -> str:
    """Return the script that deregisters and drains; systemd names the loop's process in $MAINPID."""
    return "\n".join(
        [
            _head(profile, etcd, registration),
            f"drain={registration.drain_s};",
            _text(f"forget_{etcd.api}"),
            _text("leave"),
        ]
    )


def _head(profile: Profile, etcd: Etcd, registration: Registration) -> str:
    last = "$COREOS_PRIVATE_IPV4" if registration.key is KeyForm.IP else "$COREOS_PRIVATE_IPV4-$1"
    words = [*_etcdctl(profile, etcd), *_flags(etcd)]
    login = "login; " if etcd.settings.username else ""
    call = f"timeout {_CALL_TIMEOUT_S} {' '.join(shell_word(word) for word in words)}"
    return "\n".join(
        [
            f'key={shell_word(registration.prefix)}/"{last}"; value="$COREOS_PRIVATE_IPV4:$1";',
            "nl=$'\\n';",
            # etcdctl can wait for ever (txn and lease keep-alive do where nothing listens): timeout counts.
            *_login(etcd),
            f'ctl() {{ {login}said=$({call} "$@" 2>&1) && return; {_LAST_LINE} }};',
        ]
    )


def _flags(etcd: Etcd) -> list[str]:
    """Return etcdctl's flags before its command. The login is none of them: ps would show it."""
    settings = etcd.settings
    flags = ["--command-timeout=2s"] if etcd.api is EtcdApi.V3 else []
    if settings.endpoints:
        flags.append(f"--endpoints={','.join(settings.endpoints)}")
    files = ((settings.ca, CA), (settings.cert, CERT), (settings.key, KEY))
    names = _FILE_FLAGS[etcd.api]
    return [
        *flags,
        *(f"{flag}={etcd.folder}/{name}" for flag, (given, name) in zip(names, files, strict=True) if given),
    ]


def _etcdctl(profile: Profile, etcd: Etcd) -> list[str]:
    words = list(profile.etcdctl)
    if etcd.settings.username and "ETCDCTL_API" in words:  # handed into a container by name
        at = words.index("ETCDCTL_API") + 1
        words[at:at] = ["-e", _LOGIN_VARIABLE[etcd.api]]
    return words


def _login(etcd: Etcd) -> list[str]:
    """Return a function that reads the login anew each time, so that a new password needs no restart."""
    if not etcd.settings.username:
        return []
    variable = _LOGIN_VARIABLE[etcd.api]
    read = f"IFS= read -r {variable} 2>/dev/null <{shell_word(f'{etcd.folder}/{LOGIN}')}"
    return [f"login() {{ {read}; export {variable}; }};"]


def _check(health: Health) -> str:
    match health.kind:
        case HealthKind.HTTP:
            # --noproxy, because an environment file may name a proxy for everything else.
            path = shell_word("/" + health.path.removeprefix("/"))
            return f'curl -fsSg --noproxy "*" -m {health.timeout_s} -o /dev/null "http://$value"{path}'
        case HealthKind.TCP:
            # Killed by timeout, it answers 124: slow, which is not refused.
            connect = '/bin/bash -c ": <>/dev/tcp/${value/://}"'
            return (
                f"timeout {health.timeout_s} {connect};"
                " case $? in 0) : ;; 124) echo no connection in time; false ;; *) return 7 ;; esac"
            )
        case HealthKind.NONE:
            return ":"


@cache
def _text(name: str) -> str:
    return (_SCRIPTS / f"{name}.bash").read_text(encoding="utf-8").rstrip("\n")
