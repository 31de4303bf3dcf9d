"""What a column of a survey file probably is, guessed from its name and labels in several languages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from riskmodels.survey.source import ColumnInfo
from riskmodels.vocabulary import MissingKind

Role = Literal["country", "weight", "stratum", "psu", "child_id"]


def plain(text: str) -> str:
    """Small letters without accents, words parted by single blanks, for comparing."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")
    return " ".join(re.sub(r"[\W_]+", " ", bare).split())


def _words(text: str) -> tuple[str, ...]:
    return tuple(plain(word) for word in text.split("|"))


#: Words that stand alone in a column's name or label.
ROLE_WORDS: dict[Role, tuple[str, ...]] = {
    "country": _words("country|pays|pais|país|land|cntry|iso3|страна|negara|nchi|quốc gia|ประเทศ|البلد"),
    "weight": _words(
        "weight|weights|wgt|wt|wgt scaled|poids|ponderation|pondération|peso|ponderacion|factor de expansion|fexp|"
        "gewicht|gewichtung|вес|uzito|bobot|trọng số|الوزن"
    ),
    "stratum": _words("stratum|strata|strat|strate|estrato|schicht|страта|tabaka|الطبقة"),
    "psu": _words(
        "psu|ea|ea id|cluster|cluster id|enumeration area|primary sampling unit|conglomerado|upm|grappe|upe|"
        "segmento|sampling point|klumpen|кластер"
    ),
    "child_id": _words(
        "id|child id|respondent id|respid|resp id|caseid|case id|interview id|uuid|serial|folio|identifiant|"
        "identificador|respondent number|questionnaire number"
    ),
}
_PARTS_OF_WORDS: dict[Role, tuple[str, ...]] = {
    "country": ("country",),
    "weight": ("weight", "ponder", "gewicht"),
    "stratum": ("stratum", "estrato"),
    "psu": ("conglomerado", "grappe"),
    "child_id": ("respondentid", "respid", "caseid"),
}
DIMENSION_WORDS: dict[str, tuple[str, ...]] = {
    "gender": _words("gender|sex|sexe|sexo|genero|género|genre|geschlecht|jinsia|jenis kelamin|giới tính|пол"),
    "age": _words("age|age group|edad|idade|alter|umur|usia|umri|âge|tuổi|возраст"),
    "disability": _words("disability|disabled|handicap|discapacidad|deficiencia|behinderung|ulemavu"),
    "religion": _words("religion|religión|religião|faith|dini|agama"),
    "location": _words("area|urban rural|urbrur|urbanicity|residence|milieu|zona|area type|wohnort|region"),
    "ethnic origin": _words("ethnicity|ethnic group|ethnic|ethnie|etnia|ethnische gruppe|kabila"),
    "national origin": _words("nationality|nationalité|nacionalidad|nacionalidade|country of birth|born in"),
    "socio-economic background": _words("ses|wealth|wealth quintile|wealth index|socio economic|nivel socioeconomico"),
}
_IDENTIFYING = re.compile(
    r"\b(gps|latitude|longitude|phone number|telephone|telefon|telefono|telefone|mobile number|home address|adresse|"
    r"direccion|endereco|first name|last name|surname|full name|prenom|e ?mail address|birth ?date|date of birth|"
    r"fecha de nacimiento|national id|passport)\b"
)
_IDENTIFYING_NAMES = frozenset("name nom nome nombre lat lon long lng phone mobile email address dob".split())
_BODY = re.compile(r"\b(kg|kilo\w*|birth|body|height)\b")
#: Starts of labels, after `plain`.
_MISSING_STARTS: dict[MissingKind, tuple[str, ...]] = {
    "prefer_not_to_say": _words(
        "prefer not to|prefers not to|preferred not to|would rather not|rather not|refus|declined|does not want to|"
        "do not want to|don't want to|no answer|no responde|no contesta|prefiere no|prefiero no|prefere não|prefiro não|"
        "recus|ne souhaite pas|ne veut pas|préfère ne pas|prefere ne pas|pas de réponse|sans réponse|não responde|"
        "não quer|keine angabe|keine antwort|möchte nicht|verweiger|отказ|menolak|tidak mau|từ chối|amekataa|رفض|ปฏิเสธ"
    ),
    "dont_know": _words(
        "don't know|dont know|do not know|doesn't know|does not know|dk|d k|not sure|unsure|can't remember|ne sait pas|"
        "ne sais pas|nsp|je ne sais|no sabe|no sé|ns|não sabe|não sei|weiß nicht|weiss nicht|kann ich nicht|не знаю|"
        "затрудняюсь|tidak tahu|không biết|sijui|hajui|لا اعرف|لا يعرف|ไม่ทราบ|hindi alam|bilmiyorum"
    ),
    "not_fielded": _words("not fielded|not in questionnaire|not included in|question not asked in|nicht erhoben"),
    "not_asked": _words(
        "not applicable|not asked|n a|inapplicable|skip|filtered|logical skip|sans objet|non applicable|non concerné|"
        "pas concerné|no aplica|no corresponde|no procede|não se aplica|não aplicável|trifft nicht zu|nicht zutreffend|"
        "entfällt|неприменимо|tidak berlaku|không áp dụng|لا ينطبق"
    ),
    "system_missing": _words("missing|system missing|sysmis|no data|perdido|manquant|fehlend"),
}
_YES = _words(
    "yes|oui|si|sí|sim|ja|да|ya|có|ndiyo|نعم|ใช่|oo|evet|hai|selected|mentioned|named|ticked|checked|coché|mencionado|"
    "seleccionado|cité|mencionada|genannt|true"
)
_NO = _words(
    "no|non|não|nein|nee|нет|tidak|không|hapana|لا|ไม่ใช่|ไม่|hindi|hayır|not selected|not mentioned|not named|unticked|"  # noqa: RUF001
    "unchecked|not ticked|not checked|non coché|no mencionado|no seleccionado|non cité|não mencionado|nicht genannt|false"
)
_NEVER = _words(
    "never|no never|jamais|non jamais|nunca|no nunca|não nunca|nie|niemals|nein nie|никогда|tidak pernah|"
    "không bao giờ|kamwe|hapana kamwe|ابدا|مطلقا|ไม่เคย|hiçbir zaman"
)
_STEPS = re.compile(
    r"\b(not at all|a little|very|somewhat|strongly|agree|disagree|true of me|rarely|sometimes|often|always|daily|"
    r"weekly|monthly|every day|poor|good|excellent|pas du tout|tout a fait|peu|d accord|nada|poco|mucho|de acuerdo|"
    r"concordo|pouco|muito|uberhaupt nicht|stimme|sehr|grade|primary|secondary)\b"
)


def role_rank(column: ColumnInfo, role: Role) -> int | None:
    """How well a column fits a role: 0 by its whole name, 1 by a word of it, 2 by its label; None: not at all."""
    name, label = plain(column.name), plain(column.label)
    words = ROLE_WORDS[role]
    if column.value_labels and role in {"weight", "child_id"}:
        return None
    if role == "weight" and (not column.numeric or _BODY.search(f"{name} {label}")):
        return None
    if name in words:
        return 0
    if dimension_of(column) is not None:
        return None
    if set(name.split()) & set(words) - {"id", "land"} or any(part in name for part in _PARTS_OF_WORDS[role]):
        return 1
    return 2 if label in words or any(label.startswith(f"{word} ") for word in words if len(word) > 3) else None


def dimension_of(column: ColumnInfo) -> str | None:
    """Dimension of General Comment No. 25 that the name or a short label of a column speaks for."""
    name, label = plain(column.name), plain(column.label)
    for dimension, words in DIMENSION_WORDS.items():
        if name in words or label in words:
            return dimension
        if any(re.match(rf"{re.escape(word)} (of|in|de|du|des|da|do) ", label) for word in words):
            return dimension
    return None


def may_identify(column: ColumnInfo) -> bool:
    """Whether the name or label of a column speaks of a name, an address, a telephone or a place on the map."""
    name, label = plain(column.name), plain(column.label)
    return name in _IDENTIFYING_NAMES or bool(_IDENTIFYING.search(name) or _IDENTIFYING.search(label))


def missing_kind_of(label: str) -> MissingKind | None:
    """Kind of missing that a value label speaks of; None for an answer."""
    text = plain(label)
    for kind, starts in _MISSING_STARTS.items():
        for start in starts:
            if text == start or text.startswith(f"{start} ") or (len(start) > 4 and text.startswith(start)):
                return kind
    return None


def is_yes(label: str) -> bool:
    """Whether a value label says yes, or that an option was named."""
    text = plain(label)
    return text in _YES


def is_no(label: str) -> bool:
    """Whether a value label says no, or that an option was not named."""
    return plain(label) in _NO


def is_never(label: str) -> bool:
    """Whether a value label says never."""
    text = plain(label)
    return any(text == word or text.startswith(f"{word} ") for word in _NEVER)


def are_steps(labels: Sequence[str], measure: str) -> bool:
    """Whether value labels look like steps of one scale."""
    alike = sum(1 for label in labels if _STEPS.search(plain(label)))
    return len(labels) >= 3 and (measure == "ordinal" or 2 * alike >= len(labels))
