"""The lab's results."""

from coreos_kit.cli import output
from coreos_kit.cli.settings import Settings
from coreos_kit.model.lab import LabDown, LabStatus, LabUp


def up(settings: Settings, result: LabUp) -> None:
    """Show a lab that is up."""
    lab = result.lab
    if settings.json:
        output.print_json(
            "lab-up",
            {
                "name": lab.name,
                "machines": lab.machines,
                "registry": lab.registry,
                "booted": result.booted,
                "download_s": result.download_s,
                "total_s": result.total_s,
            },
        )
        return
    rows = [[machine.name, machine.private_ip, machine.public_ip] for machine in lab.all_machines]
    output.table(["machine", "private", "public"], rows)
    times = f"after {result.total_s:.0f} s, {result.download_s:.0f} s of them for downloads"
    output.line(f"lab {lab.name} is up {times}; registry {lab.registry}")


def down(settings: Settings, result: LabDown) -> None:
    """Show what was taken away."""
    if settings.json:
        output.print_json("lab-down", {"name": result.name, "removed": result.removed})
        return
    output.line(f"lab {result.name} is gone" if result.removed else f"there was no lab {result.name}")


def status(settings: Settings, seen: LabStatus) -> None:
    """Show the machines of a lab."""
    if settings.json:
        body = [
            {
                "name": s.machine.name,
                "state": s.state,
                "private_ip": s.machine.private_ip,
                "public_ip": s.machine.public_ip,
            }
            for s in seen.machines
        ]
        output.print_json(
            "lab-status",
            {
                "name": seen.lab.name,
                "profile": seen.lab.profile,
                "registry": seen.lab.registry,
                "machines": body,
                "at_work": seen.at_work,
            },
        )
        return
    output.table(
        ["machine", "state", "private", "public"],
        [[s.machine.name, s.state, s.machine.private_ip, s.machine.public_ip] for s in seen.machines],
    )
    if seen.at_work:
        being = "is being brought up" if seen.at_work.verb == "up" else "changes"
        output.line(f"lab {seen.lab.name} {being}: {seen.at_work}")


def did(settings: Settings, verb: str, machine: str, what: str) -> None:
    """Show what became of one machine."""
    if settings.json:
        output.print_json(f"lab-{verb}", {"machine": machine, "state": what})
    else:
        output.line(f"{machine} {what}")
