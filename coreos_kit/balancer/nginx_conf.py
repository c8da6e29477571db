"""nginx.conf from the image's template and the environment. Pure: tested and swapped elsewhere."""

from __future__ import annotations

import re
from typing import List

from .settings import Paths, Settings

NGINX = "/usr/sbin/nginx"
_WORD = re.compile(r"@([A-Z_]+)@")


def render_nginx_conf(
    template: str, settings: Settings, paths: Paths, generation: str, *, ipv6: bool, hand_written: bool
) -> str:
    """Fill in the template's words. Raises `ValueError` on a word that nobody knows."""
    port = settings.listen_port
    listen = [f"listen {port} default_server;"]
    if ipv6:
        listen.append(f"listen [::]:{port} default_server ipv6only=on;")
    includes = ["include conf.d/*.conf;", "include sites-enabled/*;"] if hand_written else []
    words = {
        "GENERATION": generation,
        "INCLUDES": _lines(includes, 4) if includes else "",
        "LIBRARY": paths.library,
        "LISTEN": _lines(listen, 8).lstrip(),
        "PID_FILE": paths.pid_file,
        "POOL_FILE": paths.pool_file,
        "SOCKET": paths.socket,
        "UPSTREAM": settings.upstream,
    }

    def word(match: re.Match[str]) -> str:
        if match.group(1) not in words:
            raise ValueError(f"nginx.conf has the unknown word {match.group()}")
        return words[match.group(1)]

    return _WORD.sub(word, template)


def nginx_test(conf: str) -> List[str]:
    """Return the command line that tests the configuration file `conf`, quiet if it is good."""
    return [NGINX, "-t", "-q", "-e", "stderr", "-c", conf]


def nginx_run(conf: str) -> List[str]:
    """Return the command line that runs Nginx from `conf`, which keeps it in the foreground."""
    return [NGINX, "-e", "stderr", "-c", conf]


def _lines(directives: List[str], indent: int) -> str:
    return "\n".join(" " * indent + directive for directive in directives)
