"""Documents that are nearly valid: good examples in which a little is wrong."""

import re

from fuzzing.targets import ODD
from hypothesis import strategies as st

SCALAR = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null|[A-Za-z_]+')


@st.composite
def near(draw, seeds, words=()):
    """A seed with one to four changes; now and then no seed at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = draw(st.sampled_from(seeds))
    pieces = st.one_of(
        st.sampled_from((*ODD, *words)),
        st.sampled_from(seeds),
        st.text(max_size=20).map(lambda text: text.encode(errors="surrogatepass")),
        st.binary(max_size=20),
    )
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(("value", "value", "insert", "cut", "double", "flip"))):
            case "value":
                places = [match.span() for match in SCALAR.finditer(data)]
                if places:
                    begin, end = draw(st.sampled_from(places))
                    data = data[:begin] + draw(pieces) + data[end:]
            case "insert":
                data = data[:at] + draw(pieces) + data[at:]
            case "cut":
                data = data[:at] + data[at + draw(st.integers(1, 40)) :]
            case "double":
                size = draw(st.integers(1, 80))
                data = data[: at + size] + data[at : at + size] + data[at + size :]
            case "flip":
                data = (
                    data[:at]
                    + bytes(byte ^ (1 << draw(st.integers(0, 7))) for byte in data[at : at + 1])
                    + data[at + 1 :]
                )
    return data
