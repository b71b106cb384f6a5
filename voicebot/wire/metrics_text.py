"""Metrics of several workers as one page, in Prometheus' text format (Prometheus, exposition formats)."""

from collections.abc import Mapping

LABEL = "worker"
UP = "voicebot_worker_up"
_END = "# EOF"


def merge(pages: Mapping[int, str], workers: int) -> str:
    """Return one page: every sample with the worker it comes from, and which workers gave any.

    The samples are not added up here: when a worker is started again its counters begin anew, and only a series of its
    own shows that (Prometheus, `sum(rate(…))`).
    """
    families: dict[str, tuple[list[str], list[str]]] = {}
    """By name: what is said about it, and its samples."""
    for worker, page in sorted(pages.items()):
        name = ""
        for line in page.splitlines():
            if not line or line == _END:
                continue
            if line.startswith("#"):
                name = line.split(" ", 3)[2]
                told, _ = families.setdefault(name, ([], []))
                if line not in told:
                    told.append(line)
            else:
                families.setdefault(name, ([], []))[1].append(_labelled(line, worker))
    lines = [line for told, samples in families.values() for line in (*told, *samples)]
    lines += [f"# HELP {UP} A worker answers", f"# TYPE {UP} gauge"]
    lines += [f'{UP}{{{LABEL}="{worker}"}} {float(worker in pages)}' for worker in range(workers)]
    lines += [_END] if any(_END in page for page in pages.values()) else []
    return "\n".join([*lines, ""])


def _labelled(sample: str, worker: int) -> str:
    """Add the label; a name has no space and no brace, whatever the values of other labels have."""
    label = f'{LABEL}="{worker}"'
    brace, space = sample.find("{"), sample.find(" ")
    if 0 <= brace < space:
        rest = sample[brace + 1 :]
        return f"{sample[: brace + 1]}{label}{'' if rest.startswith('}') else ','}{rest}"
    return f"{sample[:space]}{{{label}}}{sample[space:]}"
