"""Editions of the example's service that can be told from each other by their page, and some that are ill."""

from tests.lab.conftest import MACHINES, Kit

CONFIG = "coreos-kit.toml"
PLACE = '# env = { LOG = "info" }'
PAGE = "<h1>Running from Docker on CoreOS</h1>\n"  # the example's own

_FILES = """
for edition in 1 2 3 4; do
  mkdir -p /srv/edition-$edition
  echo edition $edition > /srv/edition-$edition/index.html
done
mkdir -p /srv/edition-500
printf 'ServerName localhost\\nRedirect 500 /\\n' > /srv/edition-500/site.conf
"""


def offer(kit: Kit) -> None:
    """Put the editions' files on all machines."""
    for number in range(1, MACHINES + 1):
        kit.machine(f"core-{number}", _FILES)


def page(edition: int) -> str:
    """Return what an edition answers."""
    return f"edition {edition}\n"


def choose(kit: Kit, edition: int) -> None:
    """Configure an edition that is well."""
    _put(kit, f'volumes = ["/srv/edition-{edition}:/var/www/html:ro"]')


def choose_one_that_answers_500(kit: Kit) -> None:
    _put(kit, 'volumes = ["/srv/edition-500/site.conf:/etc/apache2/sites-enabled/000-default.conf:ro"]')


def choose_one_that_exits(kit: Kit) -> None:
    """Configure one whose container ends as soon as it starts."""
    kit.edit(CONFIG, 'command = "/usr/sbin/apache2ctl -D FOREGROUND"', 'command = "/bin/false"')


def _put(kit: Kit, line: str) -> None:
    file = kit.workspace / CONFIG
    lines = file.read_text().splitlines(keepends=True)
    marked = [number for number, old in enumerate(lines) if old.startswith((PLACE, "volumes = "))]
    lines[marked[0]] = f"{line}\n"
    file.write_text("".join(lines))
