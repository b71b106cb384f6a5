"""Which certificates the phone trusts: the system's, and more if asked; a self-signed one is refused, as by Twilio."""

import ssl
from pathlib import Path


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """A client context; blocking, it reads files."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context
