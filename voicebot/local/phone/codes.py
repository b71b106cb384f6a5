"""Twilio's error codes this phone can report, by name."""

from typing import Final

#: The answer was not a success, or had no content type.
RETRIEVAL_FAILURE: Final = 11200
#: The whole exchange took too long.
TOTAL_TIMEOUT: Final = 11203
#: The connection failed.
CONNECTION_FAILURE: Final = 11205
#: The TLS handshake of a webhook failed.
TLS_FAILURE: Final = 11220
#: "TwiML response body too large".
TOO_LARGE: Final = 11750
#: "Document parse failure".
PARSE_FAILURE: Final = 12100
#: "Schema validation warning".
SCHEMA_WARNING: Final = 12200
#: "Invalid Content-Type".
INVALID_CONTENT_TYPE: Final = 12300
#: A status callback was answered with something else than a success.
CALLBACK_REFUSED: Final = 15003

#: The stream's server did not answer in time.
CONNECT_TIMEOUT: Final = 31901
#: The stream's server refused the connection.
CONNECT_REFUSED: Final = 31902
#: The socket died in the middle of the stream.
BROKEN_PIPE: Final = 31903
#: The handshake was answered with something else than 101.
HANDSHAKE_FAILED: Final = 31920
#: The server closed the stream (logged for intended closes too).
CLOSED_BY_SERVER: Final = 31921
#: The stream's URL is not wss.
SCHEME_NOT_WSS: Final = 31922
#: The stream's URL is no URL.
MALFORMED_URL: Final = 31923
#: A WebSocket protocol error, or a message that this kind of stream does not take.
PROTOCOL_ERROR: Final = 31924
#: The service reads too slowly: audio to it was discarded.
CONGESTED: Final = 31930
#: More than ten minutes of the service's audio were waiting: it was discarded.
BUFFER_FULL: Final = 31931
#: "Invalid track configuration".
INVALID_TRACK: Final = 31941
#: A message that cannot be decoded (binary).
BINARY_MESSAGE: Final = 31950
#: A message that does not fit the schema.
SCHEMA_INVALID: Final = 31951

#: Codes that Twilio logs as warnings; the others are errors.
WARNINGS: Final = frozenset({SCHEMA_WARNING, CALLBACK_REFUSED, CONGESTED, BUFFER_FULL, BINARY_MESSAGE, SCHEMA_INVALID})
#: Codes that say nobody was there to talk to.
CANNOT_CONNECT: Final = frozenset({CONNECTION_FAILURE, TLS_FAILURE, CONNECT_TIMEOUT, CONNECT_REFUSED})
#: Codes that a healthy service may cause, or that are the phone's own doing.
NO_VIOLATION: Final = frozenset({SCHEMA_WARNING, CALLBACK_REFUSED, BROKEN_PIPE, CLOSED_BY_SERVER, CONGESTED})
