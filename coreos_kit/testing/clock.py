"""Time in a test: it stands still while nobody sleeps."""

from dataclasses import dataclass


@dataclass(slots=True)
class FakeClock:
    """Time that passes only when somebody sleeps."""

    time: float = 0.0

    def now(self) -> float:
        """Return the time."""
        return self.time

    def wall(self) -> float:
        """Return the time as one of the year 2026."""
        return 1_790_000_000 + self.time

    def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.time += seconds
