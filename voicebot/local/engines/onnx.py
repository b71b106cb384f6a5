"""Opens a model file with onnxruntime on one thread, so that our own small pool decides how many cores are used."""

from pathlib import Path
from typing import Any

from voicebot.errors import ConfigurationError
from voicebot.local.engines.files import install_hint

EXTRA = "local"
ERRORS_ONLY = 3


def open_model(path: Path) -> Any:
    """An onnxruntime session for `path`; raises ConfigurationError naming the extra when onnxruntime is missing."""
    try:
        import onnxruntime as ort  # noqa: PLC0415 - an optional package: only who asks for an engine needs it
    except ImportError as missing:
        raise ConfigurationError(f"onnxruntime is not installed; run: {install_hint(EXTRA)}") from missing
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    return ort.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
