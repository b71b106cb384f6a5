"""The names that letters and signs go by when somebody spells."""

_NATO = (
    "alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet juliett kilo lima mike november oscar papa quebec "
    "romeo sierra tango uniform victor whiskey whisky xray yankee zulu"
)
_GERMAN = (
    "anton berta cäsar dora emil friedrich gustav heinrich ida julius kaufmann konrad ludwig martha nordpol otto paula "
    "quelle richard samuel siegfried theodor ulrich viktor wilhelm xanthippe ypsilon zacharias zeppelin"
)

CODEWORDS = frozenset(f"{_NATO} {_GERMAN}".split())
"""Words that stand for their first letter by themselves: the radio alphabet, and the German one."""


def _names(table: str) -> dict[str, str]:
    return {name: letter for letter, *names in (line.split() for line in table.split(",")) for name in names}


LETTER_NAMES = {
    "en": _names(
        "b bee, c cee, d dee, f ef eff, g gee, h aitch haitch, j jay, k kay, l el ell, m em, n en, p pee, q cue queue, r ar, "
        "s ess, t tee, v vee, x ex, y wye, z zee zed"
    ),
    "de": _names("f ef, j jot, k ka, l el, m em, n en, v vau, x ix, y ypsilon, z zett, ß eszett"),
    "es": _names("f efe, h hache, j jota, l ele, m eme, n ene, ñ eñe, r erre, s ese, v uve, x equis, z zeta"),
    "fr": _names("h hache, x ixe, z zède"),
    "it": _names("f effe, h acca, k kappa, l elle, m emme, n enne, r erre, s esse, x ics, y ipsilon, z zeta"),
    "nl": _names("z zet"),
    "pt": _names("f efe, h agá, j jota, l ele, m eme, n ene, r erre, s esse, w dábliu, x xis, y ípsilon, z zê"),
}
"""Letters that a recogniser writes as words, by language."""

WEAK_LETTERS = {"en": _names("a ay, b be, c see sea, i eye, o oh, r are, t tea, u you, y why")}
"""Letters that are common words as well: they count only among letters."""

ONE_LETTER_WORDS = {
    "en": frozenset("ai"),
    "es": frozenset("aeoy"),
    "fr": frozenset("ayà"),
    "it": frozenset("aeioè"),
    "pt": frozenset("aeoéà"),
}
"""Letters that are words when they stand alone: they need another letter beside them."""

PHRASES: dict[tuple[str, ...], str] = {
    ("double", "u"): "w",
    ("double", "you"): "w",
    ("double", "v"): "w",
    ("doble", "u"): "w",
    ("doble", "v"): "w",
    ("uve", "doble"): "w",
    ("doppia", "v"): "w",
    ("doppia", "vu"): "w",
    ("x", "ray"): "x",
    ("i", "grec"): "y",
    ("i", "griega"): "y",
    ("i", "greca"): "y",
    ("griekse", "ij"): "y",
    ("scharfes", "s"): "ß",
    ("a", "umlaut"): "ä",
    ("o", "umlaut"): "ö",
    ("u", "umlaut"): "ü",
    ("full", "stop"): ".",
    ("under", "score"): "_",
    ("liggend", "streepje"): "_",
    ("guion", "bajo"): "_",
    ("guión", "bajo"): "_",
    ("trattino", "basso"): "_",
    ("tiret", "bas"): "_",
}
"""Letters and signs of two words, in any language."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _all(sign: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), sign)


SIGNS = (
    _all("-", "dash hyphen minus strich bindestrich traço tiret guion guión trattino hífen streepje koppelteken")
    | _all("'", "apostrophe apostroph apóstrofo apostrofo apostrof")
    | _all("_", "underscore unterstrich underline sublinhado")
    | _all(".", "dot period punkt point punto ponto punt")
    | _all("+", "plus")
    | _all("/", "slash schrägstrich")
)
"""Signs that may stand among letters, in any language."""

HESITATIONS = _set("um uh uhm erm er äh ähm eh euh hum hm")
"""Said and not meant."""

CASES = _set(
    "capital uppercase lowercase upper lower case letter majuscule minuscule mayúscula minúscula maiuscola minuscola "
    "maiúscula großes kleines großbuchstabe kleinbuchstabe hoofdletter buchstabe lettre letra lettera"
)
"""How a letter is written; entries are lower case throughout."""

LINKS = _set("and then und dann et puis luego poi depois dan")
"""What may join two letters."""

EXPLAINING = frozenset(
    {
        ("as", "in"),
        ("like", "in"),
        ("like",),
        ("as",),
        ("for",),
        ("wie",),
        ("wie", "in"),
        ("comme",),
        ("como",),
        ("come",),
    }
    | {("de",), ("di",), ("van",), ("als",), ("als", "in")}
)
"""What joins a letter to the word that explains it: "s as in sugar"."""
