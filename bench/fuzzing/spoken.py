"""The readers of what callers say: redaction, entries, barge-in words, the memory of the bot's own voice."""

from fuzzing.laws import Target, check_value, declared, loose_text_of, same
from voicebot.core.actions import Expect, ExpectKind
from voicebot.core.backchannels import is_backchannel
from voicebot.core.echo_words import is_echo
from voicebot.core.entries import read_entry
from voicebot.core.events import Token
from voicebot.core.redaction import RedactionPolicy, Redactor

KINDS: tuple[ExpectKind, ...] = ("yes_no", "digits", "spelling", "email")
LANGUAGES = (None, "en", "de", "fr", "es", "it", "pt", "nl", "zz")
ALL = Redactor(RedactionPolicy(kinds=("card_number", "iban", "email", "phone", "number_sequence", "digits_entered")))


@declared()
def run_redaction(data: bytes) -> object:
    """Redaction of a text, whole and as tokens; the first byte chooses the language."""
    language, text = LANGUAGES[data[0] % len(LANGUAGES)] if data else None, loose_text_of(data[1:])
    hidden = ALL.text(text, language)
    same(ALL.text(hidden, language), hidden, "hiding twice")
    tokens = ALL.tokens([Token(text=" " + word, language=language) for word in text.split()[:200]])
    ALL.partial(text, hidden, language)
    ALL.cut(text, hidden, language)
    return hidden, tokens


@declared()
def run_entries(data: bytes) -> object:
    """What is expected, read from words and keys; the first bytes choose kind, language and where keys were pressed."""
    if len(data) < 3:
        return None
    kind, language = KINDS[data[0] % len(KINDS)], LANGUAGES[data[1] % len(LANGUAGES)]
    text = loose_text_of(data[3:])
    keys = [(data[2] % 20, "4")] * (data[2] % 3)
    entry = read_entry(Expect(kind=kind, digits=4), text, keys, language)
    if kind != "yes_no" and text.isascii():
        check_value(entry)
    return entry


@declared()
def run_words(data: bytes) -> object:
    """Backchannels and the bot's own words."""
    text = loose_text_of(data)
    heard, _, said = text.partition("\n")
    return is_backchannel(text, ["en", "de"]), is_backchannel(text, [], ["mhm"]), is_echo(heard, said)


_SAID = tuple(
    text.encode()
    for text in (
        "\1my card is 4111 1111 1111 1111 and four one one one",
        "\2mein Konto ist DE89 3704 0044 0532 0130 00, die Nummer null eins sieben",
        "\3jean point dupont arobase exemple point fr",
        "\1write to jane.doe@example.com or call +1 555 0100",
        "\1double seven triple oh twenty three hundred and five",
        "\1A for Alpha, B as in Bravo, c d e",
    )
)
_WORDS = tuple(
    word.encode()
    for word in (
        " double ",
        " seven ",
        " at ",
        " dot ",
        "@",
        " hundred ",
        " [digits]",
        " as in ",
        " plus ",
        "\uff14",
        "①",
        "ß",
        "İ",
        "\u200d",
    )
)

TARGETS = (
    Target("redaction", run_redaction, _SAID, _WORDS),
    Target(
        "entries", run_entries, tuple(bytes([kind, 1, 4]) + said[1:] for kind in range(4) for said in _SAID), _WORDS
    ),
    Target("words", run_words, (b"mhm okay\nhello there", b"uh huh", *(said[1:] for said in _SAID)), _WORDS),
)
"""What callers say."""
