"""The build context of an image: the files of images/<image>/ as a tar that is the same for the same sources.

Files that end in .j2 are Jinja2 templates. They know:

    project         the project's name
    image           the image's name, without its tag
    image_prefix    where images are pushed
    base_image      the distribution's image to build from
    load_balancer   the first balancer of the cluster that uses this image, or None
    service         the first service that does, or None
    watcher         "kit", "confd", or "" for an image without a balancer
    confd           of the balancer: path, url, sha256, interval_s

For a balancer with `watcher = "kit"` the watcher's modules lie under balancer/; for one whose confd is a
local binary, that lies at confd-binary.
"""

import hashlib
import io
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
import jinja2.sandbox

from coreos_kit.errors import InvalidConfig
from coreos_kit.model.project import Cluster, Project
from coreos_kit.model.services import Confd, LoadBalancer, Service, Watcher
from coreos_kit.units.templating import MEND, as_message

_LEFT_OUT = ("__pycache__", ".DS_Store", ".git")
_TEMPLATE = ".j2"


@dataclass(frozen=True, slots=True)
class ContextFile:
    """One file of a context; `link` is where a symbolic link points to."""

    path: str
    content: bytes = b""
    is_executable: bool = False
    link: str = ""


def build_context(project: Project, cluster: Cluster, image: str) -> bytes:
    """Return the context of an image as a tar. Raises `InvalidConfig` for a source that can't be taken."""
    files = {file.path: file for file in _context_files(project, cluster, image)}
    if "Dockerfile" not in files:
        raise InvalidConfig(f"{_folder(project, image)} has neither a Dockerfile nor a Dockerfile.j2")
    return pack(list(files.values()))


def has_sources(project: Project, image: str) -> bool:
    """Whether the workspace can build that image."""
    return _folder(project, image).is_dir()


def pack(files: list[ContextFile]) -> bytes:
    """Pack files into a tar without times or owners, so that equal sources hit the engine's cache."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in sorted({str(parent) for file in files for parent in Path(file.path).parents} - {"."}):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(member)
        for file in sorted(files, key=lambda file: file.path):
            member = tarfile.TarInfo(file.path)
            member.mode = 0o755 if file.is_executable else 0o644
            if file.link:
                member.type, member.linkname = tarfile.SYMTYPE, file.link
            member.size = len(file.content)
            tar.addfile(member, io.BytesIO(file.content))
    return buffer.getvalue()


def _folder(project: Project, image: str) -> Path:
    return project.root / "images" / image.partition(":")[0]


def _context_files(project: Project, cluster: Cluster, image: str) -> Iterator[ContextFile]:
    folder = _folder(project, image)
    if not folder.is_dir():
        raise InvalidConfig(f"image {image} has no sources: {folder} is no folder")
    if not folder.resolve().is_relative_to(project.root.resolve()):
        hint = f"Replace it by a folder: rm {folder} && mkdir {folder}"
        raise InvalidConfig(f"{folder} leads out of {project.root}", hint=hint)
    balancer = next((one for one in cluster.load_balancers if one.image == image), None)
    service = next((one for one in cluster.services if one.image == image), None)
    words = _words(project, image, service, balancer)
    # As for units: a template can't reach through its values into Python.
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    for file in _sources(project.root.resolve(), folder):
        yield _rendered(environment, folder, file, words) if file.path.endswith(_TEMPLATE) else file
    if balancer and balancer.watcher is Watcher.KIT:
        yield from _watcher_modules()
    if balancer and balancer.watcher is Watcher.CONFD and balancer.confd.path:
        yield ContextFile("confd-binary", _confd_binary(project.root, balancer), is_executable=True)


def _words(
    project: Project, image: str, service: Service | None, balancer: LoadBalancer | None
) -> dict[str, object]:
    return {
        "project": project.name,
        "image": image.partition(":")[0],
        "image_prefix": project.image_prefix,
        "base_image": project.base_image_of(image),
        "service": service,
        "load_balancer": balancer,
        "watcher": balancer.watcher.value if balancer else "",
        "confd": balancer.confd if balancer else Confd(),
    }


def _sources(root: Path, folder: Path) -> Iterator[ContextFile]:
    """Yield the files below a folder. Links are kept inside it, followed in the workspace, refused beyond."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if any(part in _LEFT_OUT or part.endswith(".pyc") for part in Path(name).parts):
            continue
        if path.is_symlink():
            yield _link(root, folder, path, name)
        elif path.is_file():
            yield _file(path, name)
        elif not path.is_dir():
            raise InvalidConfig(f"{path} is neither a file nor a folder, and can't go into an image")


def _file(path: Path, name: str) -> ContextFile:
    try:
        return ContextFile(name, path.read_bytes(), is_executable=bool(path.stat().st_mode & stat.S_IXUSR))
    except OSError as error:
        raise InvalidConfig(f"{path} can't be read: {error.strerror}") from error


def _link(root: Path, folder: Path, path: Path, name: str) -> ContextFile:
    target = path.resolve()
    if target.is_relative_to(folder.resolve()) and not path.readlink().is_absolute():
        return ContextFile(name, link=str(path.readlink()))
    if target.is_relative_to(root) and target.is_file():
        return _file(target, name)
    raise InvalidConfig(
        f"{path} is a link to {target}, which is no file of this workspace",
        hint="Copy the file into the image's folder.",
    )


def _rendered(
    environment: jinja2.Environment, folder: Path, file: ContextFile, words: dict[str, object]
) -> ContextFile:
    where = folder / file.path
    try:
        text = environment.get_template(file.path).render(words)
    except jinja2.TemplateSyntaxError as error:
        raise InvalidConfig(
            f"{where}:{error.lineno}: {as_message(error.message or '')}", hint=MEND
        ) from error
    except jinja2.TemplateNotFound as error:
        raise InvalidConfig(f"{where}: there is no template {error.message} to include") from error
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        hint = f"A template of an image knows {', '.join(sorted(words))}."
        raise InvalidConfig(
            f"{where}:{_line_of(error, where)}: {as_message(str(error))}", hint=hint
        ) from error
    return ContextFile(file.path.removesuffix(_TEMPLATE), text.encode(), is_executable=file.is_executable)


def _line_of(error: BaseException, where: Path) -> int:
    """Return the template's line that an error comes from; jinja2 puts it into the traceback."""
    line, trace = 0, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(where):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _watcher_modules() -> Iterator[ContextFile]:
    for module in resources.files("coreos_kit.balancer").iterdir():
        if module.name.endswith(".py"):
            yield ContextFile(f"balancer/{module.name}", module.read_bytes())


def _confd_binary(root: Path, balancer: LoadBalancer) -> bytes:
    confd = balancer.confd
    path = root / Path(confd.path).expanduser()
    try:
        content = path.read_bytes()
    except OSError as error:
        hint = (
            f"Set load_balancers.{balancer.name}.confd.path to a confd binary for the machines' architecture."
        )
        raise InvalidConfig(f"confd at {path} can't be read: {error.strerror}", hint=hint) from error
    found = hashlib.sha256(content).hexdigest()
    if confd.sha256 and confd.sha256.lower() != found:
        raise InvalidConfig(f"confd at {path} has the sha256 {found}, not {confd.sha256} as configured")
    return content
