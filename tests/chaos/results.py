"""What a case or a scenario has shown. Values only."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Result:
    """`recovery_s`: from each fault to the next transition of each run that its worker held, in seconds. `log`: only where something is wrong."""

    name: str
    faults: list[str] = field(default_factory=list)
    runs: int = 0
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    unsound: list[str] = field(default_factory=list)
    failed_as_lost: int = 0
    recovery_s: list[float] = field(default_factory=list)
    took_s: float = 0.0
    skipped: str = ""
    log: str = ""

    @property
    def problems(self) -> list[str]:
        return self.lost + self.duplicated + self.unsound
