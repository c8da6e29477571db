"""A container engine in memory that keeps the promises of `ports.ImageBuilder`."""

import hashlib
from dataclasses import dataclass, field

from coreos_kit.errors import CommandFailed
from coreos_kit.ports import Progress


@dataclass(slots=True)
class FakeBuilder:
    """`contexts` holds what was built, by reference; `registry` what was pushed, by target."""

    where: str = "core-1"
    contexts: dict[str, bytes] = field(default_factory=dict)
    registry: dict[str, str] = field(default_factory=dict)

    def build(self, context: bytes, reference: str, progress: Progress) -> str:
        """See `ports.ImageBuilder.build`."""
        progress(f"Successfully tagged {reference}")
        self.contexts[reference] = context
        return self.image_id(reference)

    def push(self, reference: str, target: str, progress: Progress) -> str:
        """See `ports.ImageBuilder.push`."""
        if reference not in self.contexts:
            raise CommandFailed(f"pushing {target} on {self.where} failed: it has not been built there")
        progress(f"pushed {target}")
        self.registry[target] = self.image_id(reference)
        return self.registry[target]

    def image_id(self, reference: str) -> str:
        """See `ports.ImageBuilder.image_id`."""
        context = self.contexts.get(reference)
        return f"sha256:{hashlib.sha256(context).hexdigest()}" if context is not None else ""
