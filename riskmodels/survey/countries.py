"""ISO 3166-1 alpha-3 country codes, the codes of pooled rows, and a check of both."""

from __future__ import annotations

import difflib
import functools
import unicodedata
from collections.abc import Sequence

ISO_ALPHA_3 = frozenset(
    """
ABW AFG AGO AIA ALA ALB AND ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE BDI BEL BEN BES BFA BGD BGR BHR BHS BIH BLM BLR BLZ
BMU BOL BRA BRB BRN BTN BVT BWA CAF CAN CCK CHE CHL CHN CIV CMR COD COG COK COL COM CPV CRI CUB CUW CXR CYM CYP CZE DEU
DJI DMA DNK DOM DZA ECU EGY ERI ESH ESP EST ETH FIN FJI FLK FRA FRO FSM GAB GBR GEO GGY GHA GIB GIN GLP GMB GNB GNQ GRC
GRD GRL GTM GUF GUM GUY HKG HMD HND HRV HTI HUN IDN IMN IND IOT IRL IRN IRQ ISL ISR ITA JAM JEY JOR JPN KAZ KEN KGZ KHM
KIR KNA KOR KWT LAO LBN LBR LBY LCA LIE LKA LSO LTU LUX LVA MAC MAF MAR MCO MDA MDG MDV MEX MHL MKD MLI MLT MMR MNE MNG
MNP MOZ MRT MSR MTQ MUS MWI MYS MYT NAM NCL NER NFK NGA NIC NIU NLD NOR NPL NRU NZL OMN PAK PAN PCN PER PHL PLW PNG POL
PRI PRK PRT PRY PSE PYF QAT REU ROU RUS RWA SAU SDN SEN SGP SGS SHN SJM SLB SLE SLV SMR SOM SPM SRB SSD STP SUR SVK SVN
SWE SWZ SXM SYC SYR TCA TCD TGO THA TJK TKL TKM TLS TON TTO TUN TUR TUV TWN TZA UGA UKR UMI URY USA UZB VAT VCT VEN VGB
VIR VNM VUT WLF WSM YEM ZAF ZMB ZWE XKX
""".split()
)

#: Codes of rows that pool several countries; never a country of the model.
POOLED_CODES = frozenset({"ALL", "WLD", "POOLED", "TOTAL"})


def is_country(code: str) -> bool:
    """Whether `code` is an ISO 3166-1 alpha-3 code (Kosovo's XKX included)."""
    return code in ISO_ALPHA_3


#: Names in use that ISO 3166 does not list, folded; English, French, Spanish and older ones.
ALIASES = {
    "ivory coast": "CIV",
    "cote divoire": "CIV",
    "costa de marfil": "CIV",
    "turkey": "TUR",
    "turquie": "TUR",
    "turquia": "TUR",
    "swaziland": "SWZ",
    "cape verde": "CPV",
    "cap vert": "CPV",
    "czech republic": "CZE",
    "macedonia": "MKD",
    "burma": "MMR",
    "east timor": "TLS",
    "dr congo": "COD",
    "drc": "COD",
    "democratic republic of congo": "COD",
    "congo kinshasa": "COD",
    "congo brazzaville": "COG",
    "republic of the congo": "COG",
    "south korea": "KOR",
    "north korea": "PRK",
    "laos": "LAO",
    "russia": "RUS",
    "syria": "SYR",
    "palestine": "PSE",
    "kosovo": "XKX",
    "tanzania": "TZA",
    "united republic of tanzania": "TZA",
    "tanzanie": "TZA",
    "vietnam": "VNM",
    "viet nam": "VNM",
    "camboya": "KHM",
    "cambodge": "KHM",
    "filipinas": "PHL",
    "tailandia": "THA",
    "thailande": "THA",
    "malasia": "MYS",
    "malaisie": "MYS",
    "etiopia": "ETH",
    "ethiopie": "ETH",
    "ouganda": "UGA",
    "namibie": "NAM",
    "brasil": "BRA",
    "bresil": "BRA",
    "espana": "ESP",
    "espagne": "ESP",
    "alemania": "DEU",
    "allemagne": "DEU",
    "great britain": "GBR",
    "uk": "GBR",
    "england": "GBR",
    "usa": "USA",
    "united states of america": "USA",
    "estados unidos": "USA",
    "etats unis": "USA",
    "republica dominicana": "DOM",
    "republique dominicaine": "DOM",
    "noruega": "NOR",
    "norvege": "NOR",
    "paises bajos": "NLD",
    "pays bas": "NLD",
    "holland": "NLD",
}


def folded(text: str) -> str:
    """Fold a name for comparison: no accents, no case, no punctuation.

    Examples
    --------
    >>> folded("Côte d'Ivoire"), folded("VIET-NAM ")
    ('cote divoire', 'viet nam')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()
    kept = "".join(" " if sign in "-_/,.()" else sign for sign in plain if sign.isalnum() or sign in " -_/,.()")
    return " ".join(word for word in kept.split() if word != "the")


@functools.cache
def _names() -> dict[str, str]:
    """Folded names and codes -> ISO 3166-1 alpha-3."""
    import pycountry

    found: dict[str, str] = {}
    for country in pycountry.countries:
        names = [country.alpha_2, country.alpha_3, country.numeric, country.name]
        names += [getattr(country, part) for part in ("common_name", "official_name") if hasattr(country, part)]
        names += (
            [names[3].split(",")[0]] if "," in names[3] and names[3].split(",")[0] not in ("Congo", "Korea") else []
        )
        for name in names:
            found.setdefault(folded(name), country.alpha_3)
    return {**found, "xkx": "XKX", **ALIASES}


def country_code(text: str) -> str | None:
    """Find the ISO 3166-1 alpha-3 code of a country's name or code; None where it is unknown or ambiguous.

    Parameters
    ----------
    text
        Alpha-2, alpha-3 or numeric code, or a name in English (many in French and Spanish), accents and case ignored.

    Examples
    --------
    >>> country_code("Viet Nam"), country_code("NA"), country_code("no"), country_code("Türkiye"), country_code("Congo")
    ('VNM', 'NAM', 'NOR', 'TUR', 'COG')
    >>> country_code("Atlantis") is None
    True
    """
    if text in ISO_ALPHA_3:
        return text
    return _names().get(folded(text)) if text.strip() else None


def near_countries(texts: Sequence[str]) -> str:
    """Name countries whose names are near to texts that are none, for an error message."""
    names = _names()
    found = [names[near] for text in texts for near in difflib.get_close_matches(folded(text), names, n=1, cutoff=0.75)]
    return ", ".join(dict.fromkeys(found))
