"""Messages that are nearly as they should be: what has much wrong about it is refused for the first thing alone."""

import json
from copy import deepcopy

from hypothesis import strategies as st

ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "²", "\ud800", "5", "-5", 10**20, str(10**20), 1e13])
    | st.lists(st.none() | st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=4), st.none() | st.text(max_size=4), max_size=2)
)
FAULTS = st.sampled_from([0, 1, 1, 1, 2])


def places(document):
    """Yield every place in a document that has a value: what it is in, and its key or index there."""
    for key, value in list(document.items() if isinstance(document, dict) else enumerate(document)):
        yield document, key
        if isinstance(value, dict | list):
            yield from places(value)


@st.composite
def nearly(draw, documents):
    """Write one of the documents as JSON with at most two things wrong about it."""
    document = deepcopy(draw(documents))
    for _ in range(draw(FAULTS)):
        found = list(places(document))
        if not found:
            break
        inside, key = draw(st.sampled_from(found))
        fault = draw(st.sampled_from(["other", "other", "gone", "more"]))
        if fault == "other":
            inside[key] = draw(ODD)
        elif fault == "gone":
            del inside[key]
        elif isinstance(inside, dict):
            inside[draw(st.text(max_size=4))] = draw(ODD)
        else:
            inside.append(draw(ODD))
    return json.dumps(document, ensure_ascii=draw(st.booleans()))


@st.composite
def damaged(draw, messages, inserts):
    """Put something into a message, or in the place of some of it."""
    written = draw(messages)
    at, length = draw(st.integers(0, len(written))), draw(st.sampled_from([0, 1, 5]))
    return written[:at] + draw(inserts) + written[at + length :]
