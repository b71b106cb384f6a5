"""Number words, to see at a glance that a text holds no long number."""

from voicebot.core.words import fold

_WORDS = {
    "en": "zero oh o one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million "
    "double triple treble",
    "de": "null ein eins eine zwei zwo drei vier fünf fuenf sechs sieben acht neun zehn elf zwölf zwoelf dreizehn zwanzig "
    "dreißig dreissig vierzig fünfzig fuenfzig sechzig siebzig achtzig neunzig hundert tausend million millionen "
    "doppel doppelt dreifach",
    "fr": "zéro un une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt vingts "
    "trente quarante cinquante soixante septante huitante octante nonante cent cents mille mil million millions double triple",
    "es": "cero un uno una dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince veinte treinta "
    "cuarenta cincuenta sesenta setenta ochenta noventa cien ciento cientos mil millón millones doble triple",
    "it": "zero un uno una due tre quattro cinque sei sette otto nove dieci undici dodici tredici sedici venti ventuno "
    "trenta trentuno quaranta cinquanta sessanta settanta ottanta novanta cento mille mila milione milioni doppio doppia "
    "triplo tripla",
    "pt": "zero um uma dois duas três quatro cinco seis meia sete oito nove dez onze doze treze catorze quatorze quinze "
    "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa cem cento mil milhão milhões duplo duplo triplo",
    "nl": "nul een één eén twee drie vier vijf zes zeven acht negen tien elf twaalf dertien zestien twintig dertig veertig "
    "vijftig zestig tachtig honderd duizend miljoen dubbel dubbele",
    "da": "nul en et ét én to tre fire fem seks syv otte ni ti elleve tolv tretten fjorten femten seksten sytten atten "
    "nitten enog énog toog niog tyve tredive fyrre halvtreds tres firs hundred hundrede tusind tusinde million dobbelt",
}
_STEM = 3

NUMBER_WORDS = {
    code: (words, frozenset(word[:_STEM] for word in words if len(word) >= _STEM))
    for code, words in ((code, frozenset(map(fold, table.split()))) for code, table in _WORDS.items())
}
"""For each language its folded number words, and the first three letters of those, with which compounds begin."""
