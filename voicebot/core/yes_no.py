"""Whether an answer says yes or no."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from voicebot.core.words import primary, words

type Verdict = Literal["yes", "no", ""]

NEGATION_REACH = 3
"""A "not" turns a "right" or "correct" that comes at most so many words later: "not quite right"."""

_CLAUSES = re.compile("[,.;:!?\u2026\u3001\u3002\uff01\uff0c\uff1f]+")


@dataclass(frozen=True, slots=True)
class _Answers:
    """Phrases of one language, separated by commas; the longest that fits at a word counts."""

    yes: str
    """Say yes whatever stands before them."""
    right: str
    """Say yes, and no behind a word of `negations`."""
    no: str
    hints: str
    """Say no when nothing else is clear; "Yes, I don't have any questions" is yes."""
    neither: str
    """Look like one of the others and are none: "I don't know"."""
    negations: str
    bare: str
    """Say yes as the whole answer; in a sentence they mean anything: "please", "I do"."""


_EVERYWHERE = "yes, yeah, yep, ok, okay"

_ANSWERS = {
    "en": _Answers(
        yes="yes, yeah, yea, yep, yup, ya, aye, ok, okay, k, uh huh, mhm, mm hmm, mmhmm, sure, of course, absolutely, definitely, "
        "certainly, indeed, affirmative, please do, go ahead, yes please, "
        "would be great, would be good, would be nice, that's it, you bet, no problem, no worries, no doubt, why not, "
        "i think so, i guess so, i suppose so, i believe so, sounds good, sounds great, not a problem, i don't mind, by all means, you're right",
        right="right, correct, true, exactly, that's fine, that's good, that's great, that's perfect",
        no="no, nope, nah, naw, no way, no thanks, no thank you, not really, not at all, please don't, never, "
        "i don't think so, i don't believe so, negative, uh uh, nuh uh, wrong, incorrect, false, "
        "absolutely not, definitely not, certainly not, of course not, i'd rather not",
        hints="not now, not today, not yet, i don't, i didn't, i am not, i'm not, i wouldn't, i haven't, i would not, i do not, "
        "it isn't, it is not, it doesn't",
        neither="yes and no, yes or no, no idea, i don't know, i do not know, not sure, i'm not sure, i am not sure, right now, "
        "right away, right here, what do you mean, are you sure, good question, no one, no longer",
        negations="not, isn't, wasn't, aren't, doesn't, don't, can't, ain't, never, hardly",
        bare="please, fine, good, great, perfect, i do, i did, i am, i would, i have, i will, i can, it is, it does, we do, we are",
    ),
    "de": _Answers(
        yes="ja, jawohl, jo, joa, jup, jep, klar, klaro, na klar, sicher, natürlich, gerne, gern, selbstverständlich, "
        "auf jeden fall, auf alle fälle, freilich, unbedingt, ja bitte, bitte ja, ja gerne, doch, warum nicht, kein problem, "
        "einverstanden, ich denke schon, ich glaube schon, ich glaube ja, mhm, ok, okay, yes, yep, passt, in ordnung",
        right="richtig, korrekt, stimmt, genau, das stimmt, so ist es",
        no="nein, ne, nee, nö, nein danke, eher nicht, lieber nicht, gar nicht, überhaupt nicht, natürlich nicht, "
        "auf keinen fall, auf gar keinen fall, keinesfalls, keineswegs, niemals, nicht wirklich, ich glaube nicht, "
        "ich denke nicht, stimmt nicht, das stimmt nicht, stimmt so nicht, stimmt gar nicht, passt nicht, falsch, "
        "bitte nicht, sicher nicht",
        hints="nicht, kein, keine, keinen",
        neither="jein, keine ahnung, weiß nicht, weiß ich nicht, das weiß ich nicht, ich weiß nicht, ich weiß es nicht, "
        "nicht sicher, ich bin nicht sicher, bin mir nicht sicher, ich bin mir nicht sicher, ja oder nein, ja und nein, "
        "ich habe nicht verstanden, nicht verstanden",
        negations="nicht, kein, keine, nie",
        bare="bitte, gut, super, perfekt, prima",
    ),
    "fr": _Answers(
        yes="oui, ouais, ouaip, mais si, bien sûr, d'accord, volontiers, absolument, tout à fait, certainement, évidemment, "
        "avec plaisir, oui merci, pourquoi pas, pas de problème, aucun problème, sans problème, ok, okay, "
        "yes, je crois, je pense, je crois que oui, je pense que oui, c'est ça, ça marche, ça me va, effectivement, mhm",
        right="correct, exact, exactement, vrai",
        no="non, nan, non merci, pas du tout, pas vraiment, jamais, surtout pas, certainement pas, bien sûr que non, "
        "je ne crois pas, je crois pas, je ne pense pas, je pense pas, je crois que non, je pense que non, ce n'est pas ça, "
        "c'est pas ça, pas d'accord, pas question, absolument pas, faux, incorrect, ça ne me va pas, ça me va pas",
        hints="pas maintenant, pas aujourd'hui, pas encore",
        neither="oui et non, oui ou non, je ne sais pas, je sais pas, aucune idée, pas sûr, pas sûre",
        negations="pas, jamais, plus",
        bare="s'il vous plaît, si, parfait, juste, bon, bien, très bien",
    ),
    "es": _Answers(
        yes="sí, si, sip, claro, claro que sí, por supuesto, desde luego, vale, de acuerdo, cómo no, sin duda, sí por favor, "
        "eso es, así es, creo que sí, pienso que sí, supongo que sí, por qué no, no hay problema, ningún problema, "
        "sin problema, efectivamente, ok, okay, yes, dale, mhm, no hay ningún problema",
        right="correcto, exacto, exactamente, cierto, verdad, está bien",
        no="no, no gracias, nunca, jamás, para nada, en absoluto, claro que no, por supuesto que no, creo que no, no creo, "
        "me parece que no, qué va, tampoco, incorrecto, falso, no está bien",
        hints="",
        neither="sí y no, sí o no, no sé, no lo sé, no estoy seguro, no estoy segura, ni idea, no entiendo",
        negations="no, nunca, tampoco",
        bare="por favor, bien, muy bien, perfecto, bueno",
    ),
    "it": _Answers(
        yes="sì, si, certo, certamente, sicuro, sicuramente, ovviamente, naturalmente, d'accordo, va bene, volentieri, sì grazie, "
        "come no, senz'altro, perché no, nessun problema, non c'è problema, credo di sì, penso di sì, direi di sì, "
        "assolutamente sì, ok, okay, yes, mhm",
        right="giusto, esatto, esattamente, corretto, vero",
        no="no, no grazie, per niente, affatto, niente affatto, assolutamente no, certo che no, mai, credo di no, non credo, "
        "penso di no, direi di no, non direi, non va bene, non sono d'accordo, sbagliato, falso",
        hints="non ora, non adesso, non ancora, non oggi",
        neither="sì e no, sì o no, non lo so, non so, non sono sicuro, non sono sicura, nessuna idea, non ho idea, non ho capito",
        negations="non, mai",
        bare="per favore, grazie, perfetto, bene",
    ),
    "pt": _Answers(
        yes="sim, claro, claro que sim, com certeza, certamente, é sim, isso, isso mesmo, pois, pois é, sim por favor, "
        "de acordo, tá, tá bom, tá bem, está bem, está bom, pode ser, beleza, por que não, porque não, sem problema, "
        "sem problemas, acho que sim, penso que sim, creio que sim, quero sim, aham, uhum, ok, okay, yes",
        right="certo, correto, correcto, exato, exatamente, exacto, exactamente, verdade",
        no="não, nao, não obrigado, não obrigada, de jeito nenhum, de maneira nenhuma, claro que não, nunca, jamais, "
        "acho que não, penso que não, creio que não, ainda não, agora não, negativo, errado, errada, incorreto, falso, não pode, "
        "não está bem, não está bom, não quero",
        hints="nem",
        neither="sim e não, sim ou não, não sei, eu não sei, não tenho certeza, sei lá, não faço ideia, não entendi",
        negations="não, nunca, nem",
        bare="por favor, pode, bom, muito bem, perfeito, quero",
    ),
    "nl": _Answers(
        yes="ja, jawel, jazeker, jep, jup, zeker, natuurlijk, tuurlijk, uiteraard, graag, ja graag, prima, akkoord, goed zo, "
        "inderdaad, absoluut, waarom niet, geen probleem, ik denk het wel, ik geloof het wel, dat is goed, is goed, "
        "mhm, ok, oké, okay, oke, yes",
        right="juist, correct, klopt, dat klopt, precies, waar",
        no="nee, neen, nee dank u, nee bedankt, nee dank je, nou nee, niet echt, liever niet, helemaal niet, zeker niet, "
        "natuurlijk niet, absoluut niet, nooit, ik denk het niet, ik denk van niet, ik geloof het niet, ik geloof van niet, "
        "klopt niet, dat klopt niet, niet goed, fout, onjuist",
        hints="niet, geen, nog niet",
        neither="ja en nee, ja of nee, weet ik niet, ik weet het niet, weet niet, geen idee, niet zeker, ik weet het niet zeker",
        negations="niet, geen, nooit",
        bare="alstublieft, goed, perfect",
    ),
}

type _Kind = Literal["yes", "right", "no", "hint", "neither"]
type _Phrases = Mapping[tuple[str, ...], _Kind]


def _split(phrases: str) -> Iterable[tuple[str, ...]]:
    return (tuple(words(phrase)) for phrase in phrases.split(",") if phrase)


def _phrases(answers: _Answers) -> _Phrases:
    table: dict[tuple[str, ...], _Kind] = dict.fromkeys(_split(_EVERYWHERE), "yes")
    table.update(dict.fromkeys(_split(answers.yes), "yes"))
    table.update(dict.fromkeys(_split(answers.right), "right"))
    table.update(dict.fromkeys(_split(answers.no), "no"))
    table.update(dict.fromkeys(_split(answers.hints), "hint"))
    table.update(dict.fromkeys(_split(answers.neither), "neither"))
    return table


@dataclass(frozen=True, slots=True)
class _Table:
    phrases: _Phrases
    negations: frozenset[str]
    bare: frozenset[tuple[str, ...]]


_TABLES = {
    code: _Table(_phrases(answers), frozenset(words(answers.negations)), frozenset(_split(answers.bare)))
    for code, answers in _ANSWERS.items()
}
_LONGEST = max(len(phrase) for table in _TABLES.values() for phrase in table.phrases)

LANGUAGES = frozenset(_TABLES)
"""Languages whose answers are known; in any other, all of them are tried, English first."""


def read_yes_no(text: str, language: str | None = None) -> Verdict:
    """The last clear word of an answer; empty when there is none.

    "yes, no, wait, no" is no, "I know" is nothing, "that's not right" is no.
    """
    code = primary(language)
    tables = [_TABLES[code]] if code in _TABLES else _TABLES.values()
    return next((verdict for table in tables if (verdict := _verdict(text, table))), "")


def _verdict(text: str, table: _Table) -> Verdict:
    if tuple(words(text)) in table.bare:
        return "yes"
    verdicts = [verdict for clause in _CLAUSES.split(text) for verdict in _verdicts(words(clause), table)]
    clear: list[Verdict] = [verdict for verdict in verdicts if verdict != "hint"]
    if clear:
        return clear[-1]
    return "no" if verdicts else ""


def _verdicts(clause: Sequence[str], table: _Table) -> Iterator[Literal["yes", "no", "hint"]]:
    """What the phrases of one clause say, from left to right; a "not" does not reach over a comma."""
    at = 0
    while at < len(clause):
        size, kind = _longest(clause, at, table.phrases)
        match kind:
            case "yes" | "no" | "hint":
                yield kind
            case "right":
                yield "no" if table.negations.intersection(clause[max(0, at - NEGATION_REACH) : at]) else "yes"
            case "neither" | None:
                pass
        at += size


def _longest(clause: Sequence[str], at: int, phrases: _Phrases) -> tuple[int, _Kind | None]:
    for size in range(min(_LONGEST, len(clause) - at), 0, -1):
        if kind := phrases.get(tuple(clause[at : at + size])):
            return size, kind
    return 1, None
