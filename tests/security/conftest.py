"""Who comes to the doors: Twilio, a client of the API, and an application's web server, as elsewhere."""

from tests.service.conftest import site
from tests.web.api.conftest import api
from tests.web.conftest import carrier

__all__ = ["api", "carrier", "site"]
