"""Parameters that several commands share, named once."""

from pathlib import Path
from typing import Annotated

import typer

YesOpt = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
SkipOpt = Annotated[
    list[str] | None,
    typer.Option("--skip", metavar="MACHINE", help="Leave this machine as it is; repeat for more."),
]
EvacuateOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--evacuate", metavar="MACHINE", help="Move this machine's units elsewhere; repeat for more."
    ),
]
AllowRemoveOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-remove", metavar="SERVICE", help="Remove a service that is no longer configured as a whole."
    ),
]
LockWaitOpt = Annotated[
    int,
    typer.Option("--lock-wait", metavar="S", min=0, help="Wait so long for the lock if another has it."),
]
AllowDowntimeOpt = Annotated[
    bool, typer.Option("--allow-downtime", help="Take services down that have nothing left to serve.")
]
NoRollbackOpt = Annotated[
    bool, typer.Option("--no-rollback", help="Leave everything as it stands where a step fails.")
]
UnitsArg = Annotated[
    list[str], typer.Argument(metavar="UNIT…", help="Units; globs work, .service may be left out.")
]
WatchOpt = Annotated[
    bool, typer.Option("--watch", "-w", help="Show it again whenever it changes, until Ctrl-C.")
]
WhyOpt = Annotated[
    str, typer.Option("--why", metavar="TEXT", help="For whoever wonders; shown with it.", show_default=False)
]
LabNameOpt = Annotated[str, typer.Option("--name", metavar="NAME", help="The lab's name.")]
MachineArg = Annotated[str, typer.Argument(metavar="MACHINE", help="A machine's name, core-1 say.")]
OutputOpt = Annotated[
    Path | None, typer.Option("--output", metavar="DIR", help="Write there instead.", show_default=False)
]
