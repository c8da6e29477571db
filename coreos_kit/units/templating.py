"""Jinja2 as the kit uses it: strict, and with errors that name the file and the line."""

import traceback
from collections.abc import Mapping
from functools import lru_cache

from jinja2 import FunctionLoader, StrictUndefined, TemplateError, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from coreos_kit.errors import InvalidUnit
from coreos_kit.units.sources import FOLDER

MEND = "Mend the template at that line; its language is Jinja2."


class Templates:
    """The files of unit_templates/ by name; each is compiled once, however often it is rendered."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._environment = _environment(tuple(sorted(sources.items())))

    def __contains__(self, name: str) -> bool:
        return name in self._sources

    def render(self, name: str, values: Mapping[str, object]) -> str:
        """Return the text that the file gives. Raises `InvalidUnit` with file and line."""
        try:
            return self._environment.get_template(name).render(values)
        except TemplateNotFound as error:
            raise InvalidUnit(
                f"{FOLDER}/{error.name} is missing",
                hint="Take it from a new workspace: coreos-kit init DIR",
            ) from error
        except TemplateSyntaxError as error:
            where = f"{FOLDER}/{error.name or name}:{error.lineno}"
            raise InvalidUnit(f"{where}: {as_message(error.message or '')}", hint=MEND) from error
        except Exception as error:  # a template can raise whatever Python can
            raise InvalidUnit(
                f"{FOLDER}/{_where(error, name, self._sources)}: {as_message(str(error))}",
                hint=_hint(error, values),
            ) from error


@lru_cache(maxsize=2)
def _environment(sources: tuple[tuple[str, str], ...]) -> ImmutableSandboxedEnvironment:
    # A deploy renders three times: to plan, under the lock, and to verify. Compiling is most of it.
    texts = dict(sources)
    # A template places values; it can't reach through them into Python, and so run commands here.
    return ImmutableSandboxedEnvironment(
        # The second value is what tracebacks call the file.
        loader=FunctionLoader(lambda name: (texts[name], name, None) if name in texts else None),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def _where(error: Exception, name: str, sources: Mapping[str, str]) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in sources]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else name


def _hint(error: Exception, values: Mapping[str, object]) -> str:
    return f"It can place {', '.join(sorted(values))}." if isinstance(error, TemplateError) else ""


def as_message(message: str) -> str:
    """Return what jinja2 says in the form of the kit's messages."""
    message = message.rstrip(".")
    return message[:1].lower() + message[1:] if not message[1:2].isupper() else message
