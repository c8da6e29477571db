"""docker and podman as programs, on the workstation or on a machine: argument lists, no library.

The libraries are slow to import, know one engine of the two, and hide a failed push inside its output.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

from coreos_kit.adapters.command_line import script_argv
from coreos_kit.adapters.engine_sayings import explain, is_missing
from coreos_kit.errors import CommandFailed
from coreos_kit.model.image_names import digests_of, fully_qualified, pinned_digest, repository_of
from coreos_kit.model.secret import Secret
from coreos_kit.ports import Completed, Progress, Runner

_PULL_S = 900
_ASK_S = 60
_KEPT_LINES = 40

# Both in one question, because what was pulled has a digest only under the name that it was pulled by.
_PULL = """
"$1" pull -q "$2" >/dev/null && exec "$1" image inspect --format '{{json .RepoDigests}}' "$2"
"""
# A digest never means another image: what is there is not asked of a registry, which may be away.
_PULL_DIGEST = """
"$1" image inspect "$2" >/dev/null 2>&1 || exec "$1" pull -q "$2"
"""
# Runs a command that finds the login of standard input: docker by the one variable, podman by the other.
# /run is in memory, and the folder root's alone.
_LOGGED_IN = """
umask 077
folder=$(mktemp -d /run/coreos-kit.XXXXXX) || exit 1
trap 'rm -rf -- "$folder"' EXIT
cat > "$folder/config.json" || exit 1
DOCKER_CONFIG=$folder REGISTRY_AUTH_FILE=$folder/config.json "$@"
"""
# podman takes no tar as a context, docker does.
_PODMAN_BUILD = """
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar -x -C "$folder"
"$1" build -t "$2" "$folder"
"""
# docker prints the digest, podman writes it to a file.
_PODMAN_PUSH = """
set -eu
file=$(mktemp)
trap 'rm -f "$file"' EXIT
"$1" push --digestfile "$file" "$2" "$3"
echo "digest: $(cat "$file")"
"""


def _nobody() -> None:
    """Pull as whoever is logged in there, or as nobody."""


@dataclass(frozen=True, slots=True)
class MachineEngine:
    """The engine on one machine (or here) as `Engine` and `ImageBuilder`."""

    runner: Runner
    program: str
    root: bool = True
    login: Callable[[], Secret | None] = _nobody  # docker's config.json, with which it pulls

    @property
    def where(self) -> str:
        """The machine, for messages."""
        return self.runner.machine or "this workstation"

    @property
    def is_podman(self) -> bool:
        """Whether it is podman, which takes short names, contexts and digests in its own way."""
        return self.program.rpartition("/")[2].startswith("podman")

    def pull(self, reference: str) -> str:
        """Pull an image and return its digest in the repository that it came from; mostly one round trip.

        One that is named by its digest and is there already is not pulled.
        """
        name, digest = self._name(reference), pinned_digest(reference)
        done = self._pulling(script_argv(_PULL_DIGEST if digest else _PULL, [self.program, name]))
        if done.code != 0:
            raise self._failure(f"pulling {reference}", done.code, done.error_text)
        if digest:
            return digest
        digests = digests_of(name, _strings(done.text))
        if len(digests) == 1:
            return digests[0]
        # podman also lists the manifest of the image as it was built here, which no registry has.
        for digest in digests:
            argv = [self.program, "pull", "-q", f"{repository_of(name)}@{digest}"]
            if self._pulling(argv).code == 0:
                return digest
        raise self._failure(f"pulling {reference}", 0, "it has no digest that its registry knows")

    def remove_container(self, container_id: str) -> None:
        """Remove it by force; both engines stop it first."""
        done = self.runner.run(
            [self.program, "rm", "--force", container_id], root=self.root, timeout_s=_ASK_S, check=False
        )
        if done.code != 0 and "no such container" not in done.error_text.lower():
            raise self._failure(f"removing the container {container_id[:12]}", done.code, done.error_text)

    def build(self, context: bytes, reference: str, progress: Progress) -> str:
        """Build a context and tag it; the build's lines go to `progress` as they come."""
        name = self._name(reference)
        if self.is_podman:
            argv = script_argv(_PODMAN_BUILD, [self.program, name])
        else:
            argv = [self.program, "build", "-t", name, "-"]
        code, said = self._watch(argv, progress, stdin=context)
        if code != 0:
            raise self._failure(f"building {reference}", code, said)
        return self.image_id(reference)

    def push(self, reference: str, target: str, progress: Progress) -> str:
        """Push a local image under another name, or its own; docker has to tag it first."""
        local, name = self._name(reference), self._name(target)
        if self.is_podman:
            argv = script_argv(_PODMAN_PUSH, [self.program, local, name])
        else:
            if local != name:
                self._run([self.program, "tag", local, name], f"tagging {reference} as {target}")
            argv = [self.program, "push", name]
        code, said = self._watch(argv, progress)
        digests = re.findall(r"digest: (sha256:[0-9a-f]{64})", said)
        if code != 0 or not digests:
            raise self._failure(f"pushing {target}", code, said)
        return str(digests[-1])

    def image_id(self, reference: str) -> str:
        """Return the id of a local image; "" when there is none."""
        argv = [self.program, "image", "inspect", "--format", "{{.Id}}", self._name(reference)]
        done = self.runner.run(argv, root=self.root, timeout_s=_ASK_S, check=False)
        if done.code == 0:
            return f"sha256:{done.text.strip().removeprefix('sha256:')}"
        if any(
            words in done.error_text.lower() for words in ("no such image", "no such object", "not known")
        ):
            return ""
        raise self._failure(f"looking for {reference}", done.code, done.error_text)

    def _pulling(self, argv: Sequence[str]) -> Completed:
        login = self.login()
        stdin = b"" if login is None else login.reveal()
        line = argv if login is None else script_argv(_LOGGED_IN, argv)
        return self.runner.run(line, stdin=stdin, root=self.root, timeout_s=_PULL_S, check=False)

    def _run(self, argv: Sequence[str], doing: str) -> Completed:
        done = self.runner.run(argv, root=self.root, timeout_s=_ASK_S, check=False)
        if done.code != 0:
            raise self._failure(doing, done.code, done.error_text)
        return done

    def _watch(self, argv: Sequence[str], progress: Progress, stdin: bytes = b"") -> tuple[int, str]:
        lines: list[str] = []

        def listen(line: str) -> None:
            lines.append(line)
            del lines[:-_KEPT_LINES]
            progress(line)

        code = self.runner.stream(argv, listen, stop=Event(), stdin=stdin, root=self.root)
        return code, "\n".join(lines)

    def _name(self, reference: str) -> str:
        """Return the name as the engine takes it: podman would ask which registry a short name means."""
        return fully_qualified(reference) if self.is_podman else reference

    def _failure(self, doing: str, code: int, said: str) -> CommandFailed:
        reason, hint = explain(said, code, self.program, self.runner.machine)
        return CommandFailed(
            f"{doing} on {self.where} failed: {reason}",
            machine=self.runner.machine,
            argv=[self.program],
            code=code,
            output=said,
            hint=hint,
        )


def _strings(text: str) -> list[str]:
    """Read a JSON array of strings; whatever else an engine prints is none."""
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [item for item in listed if isinstance(item, str)] if isinstance(listed, list) else []


def find_engine(
    runner: Runner, programs: Sequence[str] = ("docker", "podman"), *, root: bool = False
) -> MachineEngine:
    """Return the first engine that works; `CommandFailed` tells one that is missing from one that is down."""
    where = runner.machine or "this workstation"
    complaint: tuple[str, str] | None = None
    for program in programs:
        engine = MachineEngine(runner, program, root)
        # docker's client answers alone; only with its server's version is there a daemon.
        question = "{{.Client.Version}}" if engine.is_podman else "{{.Server.Version}}"
        done = runner.run(
            [program, "version", "--format", question], root=root, timeout_s=_ASK_S, check=False
        )
        if done.code == 0:
            return engine
        if not is_missing(done.code, done.error_text):
            complaint = complaint or explain(done.error_text, done.code, program, runner.machine)
    if complaint:
        message = f"no container engine works on {where}: {complaint[0]}"
        raise CommandFailed(message, machine=runner.machine, hint=complaint[1])
    raise CommandFailed(
        f"there is neither {' nor '.join(programs)} on {where}",
        machine=runner.machine,
        hint="Install one (apt-get install docker.io), or use a machine's: --on MACHINE",
    )
