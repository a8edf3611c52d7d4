"""The languages that `--lang` takes: one row of data each, and no code of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crnnocr.errors import ConfigError
from crnnocr.text.confusables import LATIN_CONFUSABLES


@dataclass(frozen=True)
class Script:
    """A writing system."""

    fonts: tuple[str, ...] = ()
    """PyPI font packages that draw it if trdg's own fonts do not; `crnnocr[fonts]` installs them."""
    spaced: bool = True
    """Spaces separate words."""
    latin_confusables: str = ""
    """Letters of ASCII that look like its own. They come in Latin words only, where the other letters tell them apart."""
    shaped: bool = False
    """Letters change their shape or order with their neighbors, so that drawing needs raqm."""


@dataclass(frozen=True)
class Language:
    """A language that texts can be made in."""

    name: str
    """In English."""
    script: Script
    tag: str
    """BCP 47 tag for the font's own variants of a glyph."""
    words: str | None
    """Its code in wordfreq; None if wordfreq lacks it and faker's words are used."""
    locale: str | None
    """Its locale in faker, for names, addresses and months; None if faker lacks it and plain words stand in for them."""
    folded: str = ""
    """A letter that wordfreq, which folds case, writes as others: ß as ss, ς as σ."""


_LATIN = Script()
_CYRILLIC = Script(latin_confusables=LATIN_CONFUSABLES["CYRILLIC"])
_GREEK = Script(latin_confusables=LATIN_CONFUSABLES["GREEK"])
_HAN = Script(spaced=False)
_HANGUL = Script()
_ARABIC = Script(fonts=("fontpkg-noto-sans-arabic", "fontpkg-amiri", "fontpkg-cairo"), shaped=True)
_HEBREW = Script(fonts=("fontpkg-heebo", "fontpkg-frank-ruhl-libre"), shaped=True)
_DEVANAGARI = Script(fonts=("fontpkg-noto-sans-devanagari", "fontpkg-mukta"), shaped=True)
_BENGALI = Script(fonts=("fontpkg-hind-siliguri",), shaped=True)
_TAMIL = Script(fonts=("fontpkg-noto-sans-tamil",), shaped=True)
_THAI = Script(fonts=("fontpkg-noto-sans-thai", "fontpkg-sarabun"), spaced=False, shaped=True)

LANGUAGES: dict[str, Language] = {
    "ar": Language("Arabic", _ARABIC, "ar", "ar", "ar_DZ"),
    "bg": Language("Bulgarian", _CYRILLIC, "bg", "bg", "bg_BG"),
    "bn": Language("Bengali", _BENGALI, "bn", "bn", "bn_BD"),
    "ca": Language("Catalan", _LATIN, "ca", "ca", "es_CA"),
    "cs": Language("Czech", _LATIN, "cs", "cs", "cs_CZ"),
    "da": Language("Danish", _LATIN, "da", "da", "da_DK"),
    "de": Language("German", _LATIN, "de", "de", "de_DE", folded="ß"),
    "el": Language("Greek", _GREEK, "el", "el", "el_GR", folded="ς"),
    "en": Language("English", _LATIN, "en", "en", "en_US"),
    "es": Language("Spanish", _LATIN, "es", "es", "es_ES"),
    "fa": Language("Persian", _ARABIC, "fa", "fa", "fa_IR"),
    "fi": Language("Finnish", _LATIN, "fi", "fi", "fi_FI"),
    "fil": Language("Filipino", _LATIN, "fil", "fil", "fil_PH"),
    "fr": Language("French", _LATIN, "fr", "fr", "fr_FR"),
    "he": Language("Hebrew", _HEBREW, "he", "he", "he_IL"),
    "hi": Language("Hindi", _DEVANAGARI, "hi", "hi", "hi_IN"),
    "hr": Language("Croatian", _LATIN, "hr", "sh", "hr_HR"),
    "hu": Language("Hungarian", _LATIN, "hu", "hu", "hu_HU"),
    "id": Language("Indonesian", _LATIN, "id", "id", "id_ID"),
    "is": Language("Icelandic", _LATIN, "is", "is", "is_IS"),
    "it": Language("Italian", _LATIN, "it", "it", "it_IT"),
    "ja": Language("Japanese", _HAN, "ja", "ja", "ja_JP"),
    "ko": Language("Korean", _HANGUL, "ko", "ko", "ko_KR"),
    "lt": Language("Lithuanian", _LATIN, "lt", "lt", "lt_LT"),
    "lv": Language("Latvian", _LATIN, "lv", "lv", "lv_LV"),
    "mk": Language("Macedonian", _CYRILLIC, "mk", "mk", "mk_MK"),
    "ms": Language("Malay", _LATIN, "ms", "ms", None),
    "nb": Language("Norwegian", _LATIN, "nb", "nb", "no_NO"),
    "nl": Language("Dutch", _LATIN, "nl", "nl", "nl_NL"),
    "pl": Language("Polish", _LATIN, "pl", "pl", "pl_PL"),
    "pt": Language("Portuguese", _LATIN, "pt", "pt", "pt_PT"),
    "ro": Language("Romanian", _LATIN, "ro", "ro", "ro_RO"),
    "ru": Language("Russian", _CYRILLIC, "ru", "ru", "ru_RU"),
    "sk": Language("Slovak", _LATIN, "sk", "sk", "sk_SK"),
    "sl": Language("Slovene", _LATIN, "sl", "sl", "sl_SI"),
    "sr": Language("Serbian (Latin script)", _LATIN, "sr-Latn", "sh", "hr_HR"),
    "sv": Language("Swedish", _LATIN, "sv", "sv", "sv_SE"),
    "ta": Language("Tamil", _TAMIL, "ta", "ta", "ta_IN"),
    "th": Language("Thai", _THAI, "th", None, "th_TH"),
    "tr": Language("Turkish", _LATIN, "tr", "tr", "tr_TR"),
    "uk": Language("Ukrainian", _CYRILLIC, "uk", "uk", "uk_UA"),
    "ur": Language("Urdu", _ARABIC, "ur", "ur", None),
    "vi": Language("Vietnamese", _LATIN, "vi", "vi", "vi_VN"),
    "zh": Language("Chinese", _HAN, "zh-Hans", "zh", "zh_CN"),
}
"""Every language by its code. To add one, add a row here, and a font package if no font of trdg has its letters."""


def languages(codes: Sequence[str]) -> tuple[Language, ...]:
    """The languages with these codes. Raises `ConfigError`, with the choices, if one is not known."""
    for code in codes:
        if code not in LANGUAGES:
            raise ConfigError("lang", f"{code} is not there: choose from {', '.join(LANGUAGES)}")
    return tuple(LANGUAGES[code] for code in codes)
