"""Read a Dockerfile into its instructions."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: `COPY`, `a b`, in build stage `stage` (counted from 0)."""

    name: str
    value: str
    stage: int

    @property
    def words(self) -> list[str]:
        """The arguments: of the exec form (a JSON list) or split at spaces."""
        return json.loads(self.value) if self.value.startswith("[") else self.value.split()


def parse(text: str) -> list[Instruction]:
    """Return the instructions of a Dockerfile; comments go, continued lines are joined.

    Dockerfile reference, "Format": comment lines are removed before continuation lines are joined.
    """
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    instructions: list[Instruction] = []
    stage = -1
    for line in joined.splitlines():
        if not line.strip():
            continue
        name, _, value = line.strip().partition(" ")
        stage += name == "FROM"
        instructions.append(Instruction(name.upper(), value.strip(), stage))
    return instructions
