"""Every command, in the order in which `--help` shows them."""

from pathlib import Path
from typing import Annotated

import typer

from coreos_kit import __version__
from coreos_kit.cli import (
    adopting,
    balancer,
    cluster,
    deploying,
    history,
    holding,
    images,
    lab,
    locking,
    scaling,
    units,
    workspace,
)
from coreos_kit.cli.parsing import Commands
from coreos_kit.cli.settings import Settings

_EPILOG = (
    "Global options stand before or after the command. "
    "First steps: coreos-kit init web && cd web && coreos-kit lab up"
)

app = typer.Typer(
    name="coreos-kit",
    cls=Commands,
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"coreos-kit {__version__}")
        raise typer.Exit


@app.callback()
def settings(
    ctx: typer.Context,
    project: Annotated[Path, typer.Option(metavar="DIR", help="The workspace.", show_default=False)] = Path(),
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", envvar="COREOS_KIT_CLUSTER", help="The cluster to work on.", show_default=False
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say on stderr what is run where.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback does it
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run template units, their sidekicks and a balancer that follows, on fleet or on plain systemd."""
    ctx.obj = Settings(project, cluster, json, verbose)


workspace.add_to(app)
images.add_to(app)
deploying.add_to(app)
cluster.add_to(app)
units.add_to(app)
holding.add_to(app)
scaling.add_to(app)
history.add_to(app)
locking.add_to(app)
balancer.add_to(app)
adopting.add_to(app)
lab.add_to(app)
