"""Which words only say that somebody is listening."""

import re
from collections.abc import Collection, Iterable

from voicebot.core.words import primary, words

MAX_WORDS = 12
"""Longer texts say something;"""
MAX_LETTERS = 200
"""texts of more characters are not even cut into words."""

_SOUNDS = "mhm, hm, mm, mm hm, uh huh, aha, uhm hm, ah, oh, m hum"
"""Sounds of listening that are no words, in any language."""

# A bare "yes" is in no list: said over the end of a question it is the answer.
_BACKCHANNELS = {
    "en": "ok, okay, okey, right, alright, all right, yeah, i see, got it, gotcha, go on, carry on, i understand, "
    "understood, good, great, cool, nice, wow, really, i know, exactly, oh i see, "
    "oh ok, oh okay, fair enough, makes sense",
    "de": "ok, okay, genau, klar, alles klar, ach so, achso, ach ja, aja, verstehe, ich verstehe, verstanden, "
    "gut, sehr gut, schön, prima, super, so so, soso, ja ja, jaja, ja genau, ja gut, ja ok, ja okay, na ja, naja, "
    "wirklich, interessant, weiter",
    "fr": "ok, okay, d'accord, ouais, ah bon, ah oui, ah d'accord, je vois, je comprends, compris, très bien, bien, bon, "
    "entendu, voilà, c'est ça, exactement, tout à fait, hein, euh, oui oui, super, parfait, vraiment",
    "es": "ok, okay, vale, ya, ya veo, ajá, claro, entiendo, comprendo, entendido, bueno, bien, muy bien, de acuerdo, exacto, "
    "eso es, así es, ah ya, sí sí, perfecto, en serio",
    "it": "ok, okay, va bene, bene, certo, capito, ho capito, capisco, ah ecco, ecco, esatto, giusto, d'accordo, perfetto, "
    "sì sì, ah sì, davvero, infatti",
    "pt": "ok, okay, tá, tá bom, tá bem, está bem, certo, entendi, entendo, percebi, percebo, compreendo, pois, pois é, claro, "
    "sim sim, beleza, isso, isso mesmo, exato, exatamente, perfeito, muito bem, aham, uhum, ah é, é mesmo",
    "nl": "ok, oké, oke, okay, ja ja, jaja, ja precies, ja hoor, ja oké, precies, juist, goed, prima, duidelijk, begrepen, "
    "ik begrijp het, snap ik, ik snap het, klopt, echt, leuk, inderdaad, o ja, oja",
    "pl": "ok, okej, no, no tak, no dobrze, tak tak, rozumiem, jasne, dobrze, dobra, aha, dokładnie, właśnie, "
    "w porządku, racja, yhm, ehe, naprawdę",
    "sv": "ok, okej, ja ja, jaja, jaha, jo, just det, precis, visst, förstår, jag förstår, bra, absolut, okej då, jaså, klart, "
    "ja precis, ja visst",
    "da": "ok, okay, okej, ja ja, nå, nå ja, nå okay, javel, præcis, netop, klart, forstået, jeg forstår, godt, fint, jo, "
    "ja okay, ja præcis, selvfølgelig",
    "no": "ok, okei, okay, ja ja, jaja, jo, akkurat, nettopp, klart, skjønner, jeg skjønner, forstår, jeg forstår, greit, bra, fint, "
    "javel, jaha, ja akkurat, selvfølgelig",
    "fi": "ok, okei, joo, juu, niin, niinpä, aivan, just, selvä, ymmärrän, hyvä, totta, joo joo, kyllä kyllä, ai jaa, vai niin, "
    "ahaa, tosiaan, juuri niin",
    "tr": "tamam, peki, evet evet, anladim, anliyorum, hi hi, hihi, hi, ha, hi him, öyle mi, tabii, tabi, doğru, güzel, okey, ok, "
    "aynen, tamamdir",
    "ja": "うん, うんうん, ええ, ええええ, はいはい, そう, そうそう, そうですか, そうですね, そうなんですか, なるほど, へえ, ほう, "
    "たしかに, 確かに, わかりました, 分かりました, オッケー, ふむ, ああ",
    "zh": "嗯, 嗯哼, 哦, 噢, 喔, 啊, 对对, 對對, 好的, 好好, 明白, 明白了, 知道了, 是吗, 是嗎, 是的是的, 这样啊, 這樣啊, 原来如此, "
    "原來如此, 没错, 沒錯, 了解, ok",
}

LANGUAGES = frozenset(_BACKCHANNELS)
"""Languages with a list; for any other, English and the sounds stand in."""

type _Phrase = tuple[str, ...]

_STRETCHED = re.compile(r"(.)\1+")
_LENGTHENING = re.compile("[\u30fc\u301c~]")


def _squeezed(text: str) -> _Phrase:
    """Words with every doubled letter single, so that "okaaay" and "mmmhmm" are known."""
    return tuple(_STRETCHED.sub(r"\1", word) for word in words(_LENGTHENING.sub("", text)))


def _table(phrases: Iterable[str]) -> frozenset[_Phrase]:
    return frozenset(phrase for phrase in map(_squeezed, phrases) if phrase)


_SOUND_TABLE = _table(_SOUNDS.split(","))
_TABLES = {code: _table(phrases.split(",")) | _SOUND_TABLE for code, phrases in _BACKCHANNELS.items()}


def is_backchannel(text: str, languages: Collection[str], extra: Collection[str] | None = None) -> bool:
    """Is the whole text signs of listening and nothing else ("mhm, okay")?

    `languages` are those that the caller may speak (two letters, a region may follow); their lists are joined. `extra`
    replaces every list, and when it is empty nothing is a backchannel. Case, punctuation, accents, repetition and
    stretched letters make no difference. "okay, stop" is none, nor is a plain "yes".
    """
    said = _squeezed(text) if len(text) <= MAX_LETTERS else ()
    if not 0 < len(said) <= MAX_WORDS:
        return False
    tables = (_table(extra),) if extra is not None else _known(languages)
    return _consists_of(said, tables)


def _known(languages: Collection[str]) -> tuple[frozenset[_Phrase], ...]:
    codes = {primary(language) for language in languages} & LANGUAGES
    return tuple(_TABLES[code] for code in codes or {"en"})


def _consists_of(said: _Phrase, tables: Collection[frozenset[_Phrase]]) -> bool:
    """Can the words be cut into phrases of the tables? `reached` are the places up to which they can."""
    reached = {0}
    for end in range(1, len(said) + 1):
        if any(said[start:end] in table for start in reached for table in tables):
            reached.add(end)
    return len(said) in reached
