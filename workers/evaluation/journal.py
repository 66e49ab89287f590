"""What a tuning remembers, so that another worker can go on where one was killed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Journal", "Tried"]


@dataclass(frozen=True)
class Tried:
    """A configuration that was measured, by its parameters."""

    params: Mapping[str, Any]
    gains: Mapping[int, float]
    """Number of users → mean gain over the start on them."""
    done: bool
    """Whether it was measured on all users."""


@dataclass
class Journal:
    """The state of a tuning."""

    tried: list[Tried] = field(default_factory=list)
    seconds: float = 0.0
    """Time spent so far."""
    trial: str = ""
    """The trial space in use."""
    on_change: Callable[[dict[str, Any]], None] = lambda stored: None
    """Is called with what :meth:`of` reads."""

    @classmethod
    def of(cls, stored: Mapping[str, Any], on_change: Callable[[dict[str, Any]], None]) -> Journal:
        """Read a journal; an empty mapping is a new one."""
        tried = [
            Tried(trial["params"], {int(users): gain for users, gain in trial["gains"].items()}, trial["done"])
            for trial in stored.get("tried", ())
        ]
        return cls(tried, stored.get("seconds", 0.0), stored.get("trial", ""), on_change)

    def note(self, **changes: Any) -> None:
        """Change the journal, and store it."""
        for name, value in changes.items():
            setattr(self, name, value)
        tried = [
            asdict(trial) | {"gains": {f"{users}": gain for users, gain in trial.gains.items()}} for trial in self.tried
        ]
        self.on_change({"tried": tried, "seconds": self.seconds, "trial": self.trial})
