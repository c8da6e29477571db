"""The root file system that all machines share, made once with debootstrap and kept in the cache.

A folder of the cache is either complete or called `….part`: whoever is interrupted leaves only the latter.
"""

import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from coreos_kit.adapters.nspawn import mounts
from coreos_kit.adapters.nspawn.host import run, script
from coreos_kit.adapters.nspawn.sources import SUITE, Upstream
from coreos_kit.adapters.nspawn.state import cache_folder, lab_roots, locked
from coreos_kit.ports import Progress

PACKAGES = (
    "ca-certificates", "curl", "dbus", "docker-registry", "docker.io", "etcd-client", "etcd-server",
    "iproute2", "iptables", "iputils-ping", "nftables", "openssh-server", "procps", "sudo", "systemd",
    "systemd-sysv",
)  # fmt: skip
PODMAN_PACKAGES = ("podman", "crun", "aardvark-dns", "netavark")

_SCRIPTS = ("make-base.sh", "install-packages.sh", "settle-root.sh")
_INSTALL_TIMEOUT_S = 1800

# In mount and process namespaces of its own, and with a death signal: nothing of an installation outlives us,
# neither a process nor a mount, not even after a kill -9.
_CONTAINED = (
    "setpriv", "--pdeathsig", "KILL",
    "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Root:
    """What the cache holds, and how much of the time that making it took was download."""

    system: Path  # the root file system, read only by convention: it is every machine's lower layer
    base_layer: Path  # debian:…-slim as one tar
    etcd_layer: Path  # etcd and etcdctl as one tar, to lie over the base
    podman: Path | None = None  # what installing podman adds to `system`
    download_s: float = 0.0


def cache_key(upstream: Upstream, scripts: tuple[str, ...], packages: tuple[str, ...] = PACKAGES) -> str:
    """Return the name of a root in the cache: it changes with everything that goes into it."""
    parts = (SUITE, platform.machine(), upstream.sources_list, upstream.apt_conf, *packages, *scripts)
    return sha256("\0".join(parts).encode()).hexdigest()[:12]


def ensure_root(upstream: Upstream, progress: Progress, *, podman: bool) -> Root:
    """Return the cached root, made first where it is missing. One process at a time; others wait."""
    texts = tuple(script(name) for name in _SCRIPTS)
    folder = cache_folder() / f"root-{cache_key(upstream, texts)}"
    layer = cache_folder() / f"podman-{cache_key(upstream, texts, PACKAGES + PODMAN_PACKAGES)}"
    download_s = 0.0
    with locked(cache_folder() / "lock", lambda: progress("waiting: another command is filling the cache")):
        _clear_leftovers(cache_folder())
        if not folder.exists():
            download_s += _make_root(folder, upstream, progress)
            _remove_unused(folder)
        if podman and not layer.exists():
            download_s += _make_podman_layer(layer, folder / "system", upstream, progress)
            _remove_unused(layer)
    return Root(
        system=folder / "system",
        base_layer=folder / "base.tar",
        etcd_layer=folder / "etcd.tar",
        podman=layer / "upper" if podman else None,
        download_s=download_s,
    )


def add_podman(layer: Path, root: Path) -> None:
    """Copy podman's layer into a machine's root, running or not; once."""
    done = root / "usr/lib/coreos-kit-lab/podman.complete"
    if not done.exists():
        # Not the extended attributes: overlayfs keeps marks of its own in them.
        keep = "--preserve=mode,ownership,timestamps,links"
        run(["cp", "--recursive", "--no-dereference", keep, f"{layer}/.", str(root)])
        done.touch()


def _make_root(folder: Path, upstream: Upstream, progress: Progress) -> float:
    part = folder.with_name(folder.name + ".part")
    part.mkdir(parents=True)
    system = part / "system"

    def base(step: str) -> None:
        arguments = (
            str(system),
            SUITE,
            upstream.sources[0].uri,
            upstream.sources_list,
            upstream.apt_conf,
            step,
        )
        env = {"http_proxy": upstream.proxy} if upstream.proxy else {}
        _contained(script("make-base.sh"), *arguments, env=env)

    progress(f"making the machines' root file system in {folder}: it takes minutes, once, and is kept")
    download_s = _timed(progress, f"downloading Debian {SUITE}", lambda: base("download"))
    _timed(progress, "unpacking it", lambda: base("unpack"))
    if upstream.ca_bundle:
        bundle = system / "etc/ssl/certs/ca-certificates.crt"
        bundle.parent.mkdir(parents=True, exist_ok=True)
        bundle.write_bytes(upstream.ca_bundle)
    tar = ["tar", "--create", "--numeric-owner", "--sort=name"]
    run([*tar, f"--file={part / 'base.tar'}", f"--directory={system}", "--exclude=./dev/*", "."])

    download_s += _timed(
        progress,
        f"downloading {len(PACKAGES)} packages and what they need",
        lambda: _install(system, upstream, "download", PACKAGES),
    )
    _timed(progress, "installing them", lambda: _install(system, upstream, "unpack", PACKAGES))
    _inside(system, script("settle-root.sh"))
    programs = ["usr/bin/etcd", "usr/lib/coreos-kit-lab/etcdctl"]
    flat = r"--transform=s,usr/lib/coreos-kit-lab,usr/bin,"
    run([*tar, f"--file={part / 'etcd.tar'}", f"--directory={system}", flat, *programs])
    part.rename(folder)
    return download_s


def _make_podman_layer(layer: Path, system: Path, upstream: Upstream, progress: Progress) -> float:
    part = layer.with_name(layer.name + ".part")
    upper, work, merged = (part / name for name in ("upper", "work", "merged"))
    for made in (upper, work, merged):
        made.mkdir(parents=True)
    mounts.mount_overlay(merged, lower=[system], upper=upper, work=work)
    progress(f"making a layer with podman in {layer}: it takes a minute, once, and is kept")
    download_s = _timed(
        progress, "downloading podman", lambda: _install(merged, upstream, "download", PODMAN_PACKAGES)
    )
    _timed(progress, "installing it", lambda: _install(merged, upstream, "unpack", PODMAN_PACKAGES))
    # Like etcdctl: only a profile whose system has podman puts it in its place.
    (merged / "usr/bin/podman").rename(merged / "usr/lib/coreos-kit-lab/podman")
    mounts.unmount_below(merged)
    part.rename(layer)
    return download_s


def _install(root: Path, upstream: Upstream, step: str, packages: tuple[str, ...]) -> None:
    (root / "etc/resolv.conf").write_text(upstream.resolv_conf)
    _inside(root, script("install-packages.sh"), step, *packages)


def _inside(root: Path, text: str, *args: str) -> None:
    _contained(text, *args, options=[f"--root={root}"])


def _contained(
    text: str, *args: str, options: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> None:
    argv = [*_CONTAINED, *options, "/bin/bash", "-c", text, "install", *args]
    run(argv, env=env, timeout_s=_INSTALL_TIMEOUT_S)


def _clear_leftovers(cache: Path) -> None:
    for part in cache.glob("*.part"):
        mounts.unmount_below(part)
        shutil.rmtree(part)


def _remove_unused(newest: Path) -> None:
    """Remove the newest folder's predecessors from the cache, but for those that a lab lies over."""
    table = Path("/proc/self/mounts").read_text("utf-8")
    for folder in newest.parent.glob(newest.name.split("-")[0] + "-*"):
        in_use = str(folder) in table or any(folder in root.parents for root in lab_roots())
        if folder != newest and not in_use:
            shutil.rmtree(folder)


def _timed(progress: Progress, what: str, step: Callable[[], None]) -> float:
    """Say what is done, before it is silent for long; return how long it took."""
    progress(what)
    started = time.monotonic()
    step()
    return time.monotonic() - started
