"""The lab's registry: images made of tars, pushed through its HTTP API. No engine is needed for it."""

import hashlib
import json
import platform
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from coreos_kit.errors import CommandFailed, Unreachable

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"  # not compressed: it only travels over a bridge
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Layer:
    """A tar and its digest."""

    file: Path
    digest: str
    size_bytes: int

    @classmethod
    def read(cls, file: Path) -> "Layer":
        """Compute the digest of a tar."""
        with file.open("rb") as stream:
            return cls(
                file, "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest(), file.stat().st_size
            )


def image_config(layers: list[Layer], command: list[str]) -> bytes:
    """Return the image's configuration; without dates, so that the same tars give the same image."""
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": command, "Env": [path]},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
            "history": [{"created_by": "coreos-kit lab up"} for _ in layers],
        }
    )


def image_manifest(config: bytes, layers: list[Layer]) -> bytes:
    """Return the manifest of Docker's schema 2."""
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "size": len(config), "digest": _digest(config)},
            "layers": [
                {"mediaType": _LAYER, "size": layer.size_bytes, "digest": layer.digest} for layer in layers
            ],
        }
    )


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that is spoken to in plain HTTP."""

    address: str  # host:port

    def answers(self) -> bool:
        """Whether it answers at all."""
        try:
            self._call("GET", "/v2/", timeout_s=1)
        except (Unreachable, CommandFailed):
            return False
        return True

    def has(self, name: str, tag: str) -> bool:
        """Whether it holds that tag."""
        return (
            self._call("HEAD", f"/v2/{name}/manifests/{tag}", accept=_MANIFEST, missing_is_fine=True)
            is not None
        )

    def push(self, name: str, tag: str, tars: list[Path], *, command: list[str]) -> None:
        """Make an image of tars, the lowest first, and push it. Blobs that are there are not sent again."""
        layers = [Layer.read(tar) for tar in tars]
        config = image_config(layers, command)
        for layer in layers:
            with layer.file.open("rb") as stream:
                self._upload(name, layer.digest, stream, layer.size_bytes)
        self._upload(name, _digest(config), config, len(config))
        self._call(
            "PUT", f"/v2/{name}/manifests/{tag}", image_manifest(config, layers), content_type=_MANIFEST
        )

    def _upload(self, name: str, digest: str, data: "bytes | IO[bytes]", size_bytes: int) -> None:
        if self._call("HEAD", f"/v2/{name}/blobs/{digest}", missing_is_fine=True) is not None:
            return
        headers = self._call("POST", f"/v2/{name}/blobs/uploads/") or {}
        location = headers["Location"]
        place = location.removeprefix(f"http://{self.address}")
        joiner = "&" if "?" in place else "?"
        self._call("PUT", f"{place}{joiner}digest={digest}", data, size_bytes=size_bytes)

    def _call(
        self,
        method: str,
        path: str,
        data: "bytes | IO[bytes] | None" = None,
        *,
        size_bytes: int = 0,
        content_type: str = "application/octet-stream",
        accept: str = "*/*",
        missing_is_fine: bool = False,
        timeout_s: float = 60,
    ) -> Any:
        """Return the answer's headers; None for a 404 where that is fine."""
        request = urllib.request.Request(f"http://{self.address}{path}", data=data, method=method)
        request.add_header("Accept", accept)
        if data is not None:
            request.add_header("Content-Type", content_type)
            request.add_header("Content-Length", str(len(data) if isinstance(data, bytes) else size_bytes))
        direct = urllib.request.build_opener(
            urllib.request.ProxyHandler({})
        )  # the lab is never behind a proxy
        try:
            with direct.open(request, timeout=timeout_s) as answer:
                return answer.headers
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404 and missing_is_fine:
                    return None
                output = error.read(2000).decode("utf-8", "replace")
            raise CommandFailed(
                f"the registry answered {error.code} to {method} {path}", output=output
            ) from error
        except OSError as error:
            raise Unreachable(
                f"the lab's registry {self.address} does not answer: {error}", hint="coreos-kit lab status"
            ) from error


def _json(data: object) -> bytes:
    return json.dumps(data, separators=(",", ":"), sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
