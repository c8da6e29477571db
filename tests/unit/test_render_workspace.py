import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from coreos_kit.config.loading import load_project
from coreos_kit.errors import KitError, Refused
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, Project
from coreos_kit.ops.render import apply_render, plan_render, read_sources

REPOSITORY = Path(__file__).parents[2]
FILES = ("templates/apache@.service", "templates/apache-discovery@.service", "static/nginx_lb.service")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copy(REPOSITORY / "coreos-kit.toml", tmp_path)
    shutil.copytree(REPOSITORY / "unit_templates", tmp_path / "unit_templates")
    return load_project(tmp_path)


@pytest.fixture
def cluster(project: Project) -> Cluster:
    return project.clusters[project.default_cluster]


def render(project: Project, cluster: Cluster) -> tuple[str, ...]:
    """Render the workspace; return what was written or removed."""
    changes = plan_render(project, cluster)
    apply_render(changes)
    return tuple(change.path for change in changes.drift)


def test_the_committed_example_is_what_its_sources_render() -> None:
    project = load_project(REPOSITORY)

    changes = plan_render(project, project.clusters[project.default_cluster])

    assert [change.diff for change in changes.drift] == []
    assert changes.unchanged == FILES


def test_a_new_workspace_is_written_and_then_nothing_is_left_to_do(
    project: Project, cluster: Cluster
) -> None:
    assert render(project, cluster) == FILES

    changes = plan_render(project, cluster)

    assert (changes.is_empty, changes.drift, changes.unchanged) == (True, (), FILES)


def test_planning_writes_nothing(project: Project, cluster: Cluster) -> None:
    plan_render(project, cluster)

    assert not (project.root / "templates").exists()
    assert not (project.root / "static").exists()


def test_a_file_edited_by_hand_is_drift_with_a_diff_and_is_written_anew(
    project: Project, cluster: Cluster
) -> None:
    render(project, cluster)
    file = project.root / "static/nginx_lb.service"
    file.write_text(file.read_text().replace("RestartSec=2", "RestartSec=90"))

    (change,) = plan_render(project, cluster).drift

    assert change.path == "static/nginx_lb.service"
    assert change.diff.startswith("--- a/static/nginx_lb.service\n+++ b/static/nginx_lb.service\n")
    assert "-RestartSec=90\n+RestartSec=2\n" in change.diff
    assert render(project, cluster) == ("static/nginx_lb.service",)
    assert plan_render(project, cluster).is_empty


def test_a_source_that_is_edited_reaches_every_unit_made_of_it(project: Project, cluster: Cluster) -> None:
    render(project, cluster)
    source = project.root / "unit_templates/service@.service.j2"
    source.write_text(source.read_text().replace("RestartSec=2", "RestartSec=5"))

    assert render(project, cluster) == ("templates/apache@.service",)


def test_what_is_no_longer_configured_is_removed_and_what_is_not_the_kits_stays(
    project: Project, cluster: Cluster
) -> None:
    render(project, cluster)
    (project.root / "static/mine.service").write_text("[Service]\nExecStart=/bin/true\n")
    (project.root / "static/notes").write_bytes(b"\xff\xfe")

    removed = render(project, replace(cluster, load_balancers=()))

    assert removed == ("static/nginx_lb.service",)
    assert sorted(path.name for path in (project.root / "static").iterdir()) == ["mine.service", "notes"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[Service]\nExecStart=/bin/true\n", "has no [X-CoreosKit] section of the kit"),
        ("[X-CoreosKit]\nProject=other\nService=nginx_lb\n", "is of project other"),
    ],
)
def test_a_file_of_somebody_else_is_refused_and_nothing_is_written(
    text: str, reason: str, project: Project, cluster: Cluster
) -> None:
    file = project.root / "static/nginx_lb.service"
    file.parent.mkdir()
    file.write_text(text)

    with pytest.raises(Refused) as refused:
        plan_render(project, cluster)

    assert refused.value.details == (f"static/nginx_lb.service {reason}",)
    assert refused.value.hint == f"Move it away: mv {file} {file}.old"
    assert file.read_text() == text
    assert not (project.root / "templates").exists()


def test_another_cluster_is_written_elsewhere(project: Project, tmp_path: Path) -> None:
    coreos = replace(project.clusters["lab"], profile=PROFILES["coreos"])

    apply_render(plan_render(project, coreos, tmp_path / "out" / "coreos"))

    assert "KillMode=none" in (tmp_path / "out/coreos/static/nginx_lb.service").read_text()
    assert not (project.root / "static").exists()


def test_a_folder_that_is_a_way_out_of_the_workspace_is_refused(
    project: Project, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (project.root / "static").symlink_to(elsewhere)

    with pytest.raises(Refused, match="leads out of") as refused:
        plan_render(project, cluster)

    assert refused.value.hint.startswith("Replace it by a folder: rm ")
    assert list(elsewhere.iterdir()) == []


def test_only_files_that_end_in_j2_are_sources(project: Project) -> None:
    (project.root / "unit_templates/README.md").write_text("what these are\n")
    (project.root / "unit_templates/service@.service.j2~").write_text("a backup\n")

    assert sorted(read_sources(project.root)) == [
        "load_balancer.service.j2",
        "service@.service.j2",
        "sidekick@.service.j2",
    ]


def test_a_workspace_without_sources_says_where_to_take_them_from(project: Project) -> None:
    shutil.rmtree(project.root / "unit_templates")

    with pytest.raises(KitError) as missing:
        read_sources(project.root)

    assert str(missing.value) == f"no folder {project.root / 'unit_templates'}"
    assert missing.value.hint == "Take it from a new workspace: coreos-kit init DIR"
