"""What the kernel knows: processor time, memory, and which core belongs to whom (Linux)."""

import asyncio
import os
import platform
import signal
import statistics
import sysconfig
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

SERVICE_CORE = 0
"""The first one; the load tools have the one behind the service's last."""
PREFERRED_NICE = -15
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PACKAGES = ("voicebot", "aiohttp", "websockets", "uvloop", "pydantic", "sqlalchemy")


class NotPossibleError(Exception):
    """The bench cannot run here; the text says why."""


def check(*, pin: bool, workers: int = 1) -> None:
    """Raise NotPossibleError where the kernel does not tell what we need to know, or has no core to spare."""
    if not (hasattr(os, "sched_setaffinity") and hasattr(os, "timerfd_create") and Path("/proc/self/stat").exists()):
        raise NotPossibleError("the bench needs Linux: it pins processes to cores and reads /proc")
    if not os.sched_getaffinity(0) >= frozenset().union(*cores(workers, pin=pin)):
        raise NotPossibleError(
            f"the service needs a core for each worker and the load tools one, so this needs {workers + 1} (or --no-pin)"
        )


def cores(workers: int = 1, *, pin: bool) -> tuple[frozenset[int], frozenset[int]]:
    """Return the cores of a service of so many workers, and that of the load tools; none where nothing is pinned."""
    behind = SERVICE_CORE + workers
    return (frozenset(range(SERVICE_CORE, behind)), frozenset({behind})) if pin else (frozenset(), frozenset())


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """Run `work`, which `kill` and `timeout` end as Ctrl-C does: the processes that it has started end with it."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    return asyncio.run(work)


def work_ms() -> float:
    """Return the processor time that a fixed piece of Python takes, the middle of 25: how fast the machine is just now."""
    return statistics.median(_worked_s() for _ in range(25)) * 1_000


def _worked_s() -> float:
    began, counted = time.thread_time(), dict[int, int]()
    for number in range(50_000):
        counted[number % 97] = counted.get(number % 89, 0) + number
    return time.thread_time() - began


@contextmanager
def pinned(*cores: int) -> Iterator[None]:
    """Let processes started inside the `with` run on these cores only; without any nothing is pinned."""
    before = os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def prefer(pid: int) -> bool:
    """Put a process that leads its own session before others on its core; return whether we may.

    It does what a machine without neighbours would do: without it, their turns count as the service's latency.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, pid, PREFERRED_NICE)
        # The kernel weighs sessions against each other before it looks at the processes in them (sched(7), autogroup).
        Path(f"/proc/{pid}/autogroup").write_text(str(PREFERRED_NICE), encoding="ascii")
    except OSError:
        return False
    return True


def family(pid: int) -> Iterator[int]:
    """Yield a process and its descendants: of a service of several workers, the supervisor and all of them."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            yield from family(int(child))


def cpu_s(pid: int) -> tuple[float, float]:
    """Return the processor time of a family, all threads, in seconds: all of it, and that spent in the kernel."""
    stats = (Path(f"/proc/{each}/stat").read_text(encoding="ascii").rpartition(")")[2].split() for each in family(pid))
    users, systems = zip(*((int(fields[11]), int(fields[12])) for fields in stats), strict=True)
    return (sum(users) + sum(systems)) * _TICK_S, sum(systems) * _TICK_S


def busy_s(core: int) -> float:
    """Return how long a core was not idle since the machine started, in seconds."""
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *numbers = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, interrupt, soft, steal = map(int, numbers[:8])
            return (user + nice + system + interrupt + soft + steal) * _TICK_S
    raise NotPossibleError(f"/proc/stat does not know core {core}")


def rss_kib(pid: int) -> int:
    """Return the resident memory of a family in KiB."""
    return sum(map(_rss_kib, family(pid)))


def _rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise NotPossibleError(f"process {pid} has no memory")


def describe(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Return what results must be read with."""
    cpus = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": cpus[0] if cpus else platform.machine(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "python_optimised": "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
        "packages": {name: version(name) for name in packages},
    }
