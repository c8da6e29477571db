"""lab up|down|status|ssh|kill|revive|cut|heal: a cluster of real machines on this workstation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coreos_kit.cli.options import LabNameOpt, MachineArg

if TYPE_CHECKING:
    from coreos_kit.adapters.nspawn.lab import NspawnLab

_group = typer.Typer(
    help="A cluster of real machines on this workstation.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DEFAULT = "default"


@_group.command("up")
def up_command(
    ctx: typer.Context,
    name: LabNameOpt = DEFAULT,
    machines: Annotated[
        int | None,
        typer.Option(
            "--machines",
            metavar="N",
            min=1,
            help="How many, beside the registry's; 3 for a new lab.",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="Whose names the machines carry: coreos, flatcar, fedora-coreos or debian.",
            show_default=False,
        ),
    ] = None,
    fleet: Annotated[
        Path | None,
        typer.Option(
            "--fleet", metavar="DIR", help="Install fleetd and fleetctl from there.", show_default=False
        ),
    ] = None,
) -> None:
    """Boot the lab, or continue one that is there.

    Needs root. Safe to repeat.

    Example: coreos-kit lab up --machines 4
    """
    from coreos_kit.cli import show_lab

    show_lab.up(ctx.obj, _lab().up(name, machines=machines, profile=profile, fleet=fleet))


@_group.command("down")
def down_command(ctx: typer.Context, name: LabNameOpt = DEFAULT) -> None:
    """Take the lab away, with everything that it added here.

    Needs root. Safe to repeat.

    Example: coreos-kit lab down
    """
    from coreos_kit.cli import show_lab

    show_lab.down(ctx.obj, _lab().down(name))


@_group.command("status")
def status_command(ctx: typer.Context, name: LabNameOpt = DEFAULT) -> None:
    """Show the lab's machines and their state.

    Example: coreos-kit lab status
    """
    from coreos_kit.cli import show_lab

    seen = _lab().status(name)
    show_lab.status(ctx.obj, seen)
    raise typer.Exit(0 if seen.is_up else 1)


@_group.command("ssh")
def ssh_command(
    machine: MachineArg,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND…]", help="None: a login shell.")
    ] = None,
    name: LabNameOpt = DEFAULT,
) -> None:
    """Open a shell on a machine of the lab, or run a command there.

    The registry's machine is one of them.

    Example: coreos-kit lab ssh registry -- systemctl status docker-registry
    """
    import subprocess

    from coreos_kit.adapters.nspawn.login import machine_named, ssh_argv
    from coreos_kit.adapters.nspawn.state import read_lab

    lab = read_lab(name)
    raise typer.Exit(subprocess.call(ssh_argv(lab, machine_named(lab, machine), command or [])))


@_group.command("kill")
def kill_command(ctx: typer.Context, machine: MachineArg, name: LabNameOpt = DEFAULT) -> None:
    """Take a machine's power away.

    Example: coreos-kit lab kill core-1
    """
    from coreos_kit.cli import show_lab

    show_lab.did(
        ctx.obj, "kill", machine, "has no power" if _lab().kill(machine, name) else "was not running"
    )


@_group.command("revive")
def revive_command(ctx: typer.Context, machine: MachineArg, name: LabNameOpt = DEFAULT) -> None:
    """Boot a machine that was killed.

    Waits until it offers everything again.

    Example: coreos-kit lab revive core-1
    """
    from coreos_kit.cli import show_lab

    show_lab.did(ctx.obj, "revive", machine, "is back" if _lab().revive(machine, name) else "was running")


@_group.command("cut")
def cut_command(ctx: typer.Context, machine: MachineArg, name: LabNameOpt = DEFAULT) -> None:
    """Unplug a machine's network; it runs on, and nothing reaches it.

    Example: coreos-kit lab cut core-2
    """
    from coreos_kit.cli import show_lab

    _lab().cut(machine, name)
    show_lab.did(ctx.obj, "cut", machine, "is cut off")


@_group.command("heal")
def heal_command(ctx: typer.Context, machine: MachineArg, name: LabNameOpt = DEFAULT) -> None:
    """Plug a machine in again.

    Example: coreos-kit lab heal core-2
    """
    from coreos_kit.cli import show_lab

    _lab().heal(machine, name)
    show_lab.did(ctx.obj, "heal", machine, "is plugged in")


def _lab() -> "NspawnLab":
    from coreos_kit.adapters.nspawn.lab import NspawnLab
    from coreos_kit.cli import output

    return NspawnLab(output.say)


def add_to(app: typer.Typer) -> None:
    """Add this group of commands."""
    app.add_typer(_group, name="lab")
