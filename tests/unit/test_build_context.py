"""What an engine is sent to build from."""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from coreos_kit.config import load_project
from coreos_kit.errors import InvalidConfig, UsageError
from coreos_kit.model.project import Cluster, Project
from coreos_kit.model.services import Confd, LoadBalancer, Watcher
from coreos_kit.ops import images
from coreos_kit.ops.build_context import build_context
from coreos_kit.testing.images import FakeBuilder

REPOSITORY = Path(__file__).parents[2]
Write = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return replace(load_project(REPOSITORY), root=tmp_path)


@pytest.fixture
def cluster(project: Project) -> Cluster:
    return project.clusters["lab"]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str = "FROM scratch\n", mode: int = 0o644) -> Path:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def with_balancer(cluster: Cluster, **words: object) -> Cluster:
    balancer = LoadBalancer(name="nginx_lb", image="nginx_lb", upstream="apache")
    return replace(cluster, load_balancers=(replace(balancer, **words),))  # type: ignore[arg-type]


def unpack(context: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(context)) as tar:
        return {member.name: member for member in tar.getmembers()}


def text_of(context: bytes, name: str) -> str:
    with tarfile.open(fileobj=io.BytesIO(context)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read().decode()


# The sources


def test_templates_are_rendered_and_files_taken_as_they_are(
    project: Project, cluster: Cluster, write: Write
) -> None:
    write(
        "apache/Dockerfile.j2",
        "FROM {{ base_image }}\n# {{ project }} {{ image_prefix }}/{{ image }} [{{ watcher }}]\n",
    )
    write("apache/html/index.html", "{{ as it is }}\n")

    context = build_context(project, cluster, "apache")

    assert sorted(unpack(context)) == ["Dockerfile", "html", "html/index.html"]
    assert text_of(context, "Dockerfile") == "FROM debian:bookworm-slim\n# web user_name/apache []\n"
    assert text_of(context, "html/index.html") == "{{ as it is }}\n"


def test_equal_sources_give_equal_contexts(project: Project, cluster: Cluster, write: Write) -> None:
    path = write("apache/Dockerfile")
    first = build_context(project, cluster, "apache")
    os.utime(path, (1, 1))

    assert build_context(project, cluster, "apache") == first
    assert unpack(first)["Dockerfile"].mtime == 0


def test_what_is_executable_stays_so_and_nothing_else_of_its_mode(
    project: Project, cluster: Cluster, write: Write
) -> None:
    write("apache/Dockerfile", mode=0o600)
    write("apache/run.sh.j2", "#!/bin/sh\n", mode=0o700)

    members = unpack(build_context(project, cluster, "apache"))

    assert (members["Dockerfile"].mode, members["run.sh"].mode) == (0o644, 0o755)


def test_leftovers_stay_behind(project: Project, cluster: Cluster, write: Write) -> None:
    write("apache/Dockerfile")
    write("apache/__pycache__/x.pyc", "")

    assert sorted(unpack(build_context(project, cluster, "apache"))) == ["Dockerfile"]


def test_an_error_in_a_template_says_file_and_line(project: Project, cluster: Cluster, write: Write) -> None:
    path = write("apache/Dockerfile.j2", "FROM scratch\n\nLABEL x={{ base_imgae }}\n")

    with pytest.raises(InvalidConfig) as caught:
        build_context(project, cluster, "apache")

    assert str(caught.value) == f"{path}:3: 'base_imgae' is undefined"
    assert "base_image" in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_template_that_is_no_template_says_file_and_line(
    project: Project, cluster: Cluster, write: Write
) -> None:
    path = write("apache/Dockerfile.j2", "FROM scratch\n{% if %}\n")

    with pytest.raises(InvalidConfig, match=f"^{path}:2: "):
        build_context(project, cluster, "apache")


def test_an_image_without_sources_or_dockerfile_is_refused(
    project: Project, cluster: Cluster, write: Write
) -> None:
    with pytest.raises(InvalidConfig, match="image apache has no sources"):
        build_context(project, cluster, "apache")
    write("apache/README")
    with pytest.raises(InvalidConfig, match=r"has neither a Dockerfile nor a Dockerfile\.j2"):
        build_context(project, cluster, "apache")


# Links


def test_a_link_inside_the_image_stays_a_link(project: Project, cluster: Cluster, write: Write) -> None:
    write("apache/Dockerfile").with_name("same").symlink_to("Dockerfile")

    assert unpack(build_context(project, cluster, "apache"))["same"].linkname == "Dockerfile"


def test_a_link_into_the_workspace_brings_the_file(
    project: Project, cluster: Cluster, write: Write, tmp_path: Path
) -> None:
    (tmp_path / "shared.html").write_text("shared")
    write("apache/Dockerfile").with_name("index.html").symlink_to("../../shared.html")

    assert text_of(build_context(project, cluster, "apache"), "index.html") == "shared"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../outside", "missing/../../../x"])
def test_a_link_out_of_the_workspace_is_refused(
    project: Project, cluster: Cluster, write: Write, target: str
) -> None:
    write("apache/Dockerfile").with_name("secret").symlink_to(target)

    with pytest.raises(InvalidConfig, match="is no file of this workspace"):
        build_context(project, cluster, "apache")


# The balancer


def test_the_kits_watcher_comes_along(project: Project, cluster: Cluster, write: Write) -> None:
    write("nginx_lb/Dockerfile")

    names = set(unpack(build_context(project, with_balancer(cluster), "nginx_lb")))

    assert {"balancer/__init__.py", "balancer/__main__.py", "balancer/watcher.py"} <= names
    assert all(name.endswith(".py") for name in names if name.startswith("balancer/"))


def test_a_confd_of_the_workstation_comes_along(
    project: Project, cluster: Cluster, write: Write, tmp_path: Path
) -> None:
    write("nginx_lb/Dockerfile.j2", "# {{ watcher }} {{ confd.interval_s }}\n")
    (tmp_path / "confd").write_bytes(b"\x7fELF")
    digest = hashlib.sha256(b"\x7fELF").hexdigest()
    confd = with_balancer(cluster, watcher=Watcher.CONFD, confd=Confd(path="confd", sha256=digest))

    context = build_context(project, confd, "nginx_lb")

    assert text_of(context, "Dockerfile") == "# confd 10\n"
    assert text_of(context, "confd-binary") == "\x7fELF"
    assert unpack(context)["confd-binary"].mode == 0o755
    assert "balancer/watcher.py" not in unpack(context)


def test_a_confd_with_another_checksum_is_refused(
    project: Project, cluster: Cluster, write: Write, tmp_path: Path
) -> None:
    write("nginx_lb/Dockerfile")
    (tmp_path / "confd").write_bytes(b"other")
    confd = with_balancer(cluster, watcher=Watcher.CONFD, confd=Confd(path="confd", sha256="0" * 64))

    with pytest.raises(InvalidConfig, match="not 0000"):
        build_context(project, confd, "nginx_lb")


def test_a_confd_that_is_missing_is_named(project: Project, cluster: Cluster, write: Write) -> None:
    write("nginx_lb/Dockerfile")
    confd = with_balancer(cluster, watcher=Watcher.CONFD, confd=Confd(path="bin/confd"))

    with pytest.raises(InvalidConfig, match=r"confd at .*/bin/confd can't be read") as caught:
        build_context(project, confd, "nginx_lb")

    assert "load_balancers.nginx_lb.confd.path" in caught.value.hint


@pytest.mark.parametrize("watcher", list(Watcher))
def test_the_examples_images_have_a_context(watcher: Watcher) -> None:
    example = load_project(REPOSITORY)
    confd = Confd(url="https://confd.example/confd", sha256="0" * 64)
    cluster = with_balancer(example.clusters["lab"], watcher=watcher, confd=confd)

    for image in images.cluster_images(cluster):
        assert (
            text_of(build_context(example, cluster, image), "Dockerfile").count("FROM debian:bookworm-slim")
            == 1
        )


# build, push, list


def test_all_images_with_sources_are_built_and_pushed(
    project: Project, cluster: Cluster, write: Write
) -> None:
    write("apache/Dockerfile")
    builder, said = FakeBuilder(), list[str]()

    built = images.build(project, cluster, [], builder, said.append)
    pushed = images.push(project, cluster, [], builder, said.append)

    assert [result.reference for result in built] == ["user_name/apache"]
    assert [(result.target, result.digest) for result in pushed] == [("user_name/apache", built[0].id)]
    assert said[0] == "building user_name/apache on core-1 (10 KB of sources)"


def test_nothing_is_built_when_one_of_the_sources_is_refused(
    project: Project, cluster: Cluster, write: Write
) -> None:
    write("apache/Dockerfile")
    write("nginx_lb/Dockerfile.j2", "{{ nonsense }}")
    builder = FakeBuilder()

    with pytest.raises(InvalidConfig):
        images.build(project, cluster, [], builder, print)

    assert builder.contexts == {}


def test_push_to_puts_the_same_path_into_another_registry(project: Project, cluster: Cluster) -> None:
    lab = replace(cluster, push_to="10.132.1.10:5000")
    hosted = replace(project, image_prefix="registry.example:5000/team")

    assert images.push_target(project, cluster, "apache") == "user_name/apache"
    assert images.push_target(project, lab, "apache:v2") == "10.132.1.10:5000/user_name/apache:v2"
    assert images.push_target(hosted, lab, "apache") == "10.132.1.10:5000/team/apache"


def test_an_unknown_image_suggests_the_nearest(project: Project, cluster: Cluster) -> None:
    with pytest.raises(
        UsageError, match="no service or balancer of cluster lab uses an image apahce"
    ) as caught:
        images.build(project, cluster, ["apahce"], FakeBuilder(), print)

    assert caught.value.hint == "Did you mean apache?"


def test_the_list_says_who_uses_an_image_and_where_it_is(
    project: Project, cluster: Cluster, write: Write
) -> None:
    write("apache/Dockerfile")
    builder = FakeBuilder(contexts={"user_name/apache": b""})

    apache, nginx_lb = images.list_images(project, cluster, builder)

    assert (apache.used_by, apache.has_sources, apache.id[:7]) == (("apache",), True, "sha256:")
    assert (nginx_lb.used_by, nginx_lb.has_sources, nginx_lb.id) == (("nginx_lb",), False, "")
