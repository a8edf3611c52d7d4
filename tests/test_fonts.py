"""Fonts: where they come from, what each draws as labeled, and which is chosen."""

from __future__ import annotations

import functools
import pickle
import random
import re
import shutil
import string
import sys
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fontTools.colorLib.builder import buildCOLR
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.boundsPen import ControlBoundsPen
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont
from PIL import Image, ImageDraw, ImageFont

from crnnocr.config import SynthConfig
from crnnocr.errors import UsageError
from crnnocr.synth import fonts, trdg
from crnnocr.synth.fonts import Chooser, FontFace, FontWarning, Kind, collect, files, glyphs
from crnnocr.synth.languages import LANGUAGES

LETTERS = string.ascii_letters

# Families that draw small letters as capitals, by looking at images.
CAPITALS_ONLY = {"Bebas Neue", "Bungee", "Cinzel", "Luckiest Guy", "Permanent Marker"}
CAPITALS_ONLY_IN_TRDG = ("Amatic", "BEBAS", "Capture", "SEASRN", "AllerDisplay")

WORDS = {
    "fil": "Magandang umaga Ñ", "hr": "Đačka čežnja šuti", "is": "Þórður æfði", "ms": "Selamat pagi",
    "ur": "اردو زبان ٹھیک ڈھے",
    "ar": "اللغة العربية ١٢٣", "bg": "Жълта книга", "bn": "বাংলা শ্রেণী", "ca": "Col·lecció",
    "cs": "Příliš žluťoučký kůň", "da": "Smørrebrød på øen", "de": "Straße über Äpfel", "el": "Ελληνικά Ώρα",
    "en": "Reading, 1984!", "es": "¿Mañana el niño?", "fa": "می\u200cخواهم پنج گچ", "fi": "Hyvää yötä",
    "fr": "Œuvre à l’été", "he": "שלום עולם", "hi": "हिन्दी पुस्तक", "hu": "Őrült tűző", "id": "Selamat pagi",
    "it": "Perché più", "ja": "日本語カタカナひらがな", "ko": "한국어 읽기", "lt": "Ąžuolų ėjimas",
    "lv": "Ģimenes šķīvis", "mk": "Ѓорѓи џвездa ќе", "nb": "Blåbærsyltetøy", "nl": "Ieder één",
    "pl": "Zażółć gęślą jaźń", "pt": "São ações", "ro": "Știință țară", "ru": "Съешь ещё Ёлку", "sk": "Vŕba ľúbi ĺ",
    "sl": "Češnje žaba", "sr": "Ђорђе Њива љубав", "sv": "Åska över ön", "ta": "தமிழ் மொழி", "th": "ภาษาไทย น้ำ",
    "tr": "Iğdır İstanbul şöyle", "uk": "Ґанок її єдність", "vi": "Tiếng Việt Đường", "zh": "中文字繁體简体",
}  # fmt: skip


@pytest.fixture(scope="module")
def installed() -> tuple[FontFace, ...]:
    return collect(SynthConfig())


@pytest.fixture(scope="module")
def of_trdg() -> dict[str, Path]:
    """All of trdg's Latin fonts, including those that `synth` leaves out."""
    return {path.name: path for path in sorted(trdg.open_font_files()[-1].parent.parent.glob("latin/*.ttf"))}


def box(left: int, bottom: int, right: int, top: int) -> Any:
    pen = TTGlyphPen(None)
    pen.moveTo((left, bottom))
    for point in ((left, top), (right, top), (right, bottom)):
        pen.lineTo(point)
    pen.closePath()
    return pen.glyph()


NOTHING = TTGlyphPen(None).glyph()
NOTDEF = box(50, 0, 450, 700)
TALL, FLAT = box(80, 0, 200, 600), box(80, 200, 500, 300)


def build(path: Path, shapes: Mapping[str, Any], family: str = "Built", **names: str) -> FontBuilder:
    """A font file that draws each character as the given shape, and no others."""
    names_of = {character: f"g{ord(character):x}" for character in shapes}
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", *names_of.values()])
    builder.setupCharacterMap({ord(character): name for character, name in names_of.items()})
    builder.setupGlyf({".notdef": NOTDEF, **{name: shapes[character] for character, name in names_of.items()}})
    builder.setupHorizontalMetrics(dict.fromkeys(builder.font.getGlyphOrder(), (600, 50)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular", **names})
    builder.setupOS2()
    builder.setupPost()
    path.parent.mkdir(parents=True, exist_ok=True)
    builder.save(path)
    return builder


def rebuilt(source: Path, target: Path, drawn_as: Mapping[str, str], scale: float = 1.0) -> FontFace:
    """The font `source` with some characters drawn as others, `scale` times as large."""
    font = TTFont(source)
    names, glyph_set = font.getBestCmap(), font.getGlyphSet()
    drawn = {}
    for character, other in drawn_as.items():
        pen = TTGlyphPen(glyph_set)
        glyph_set[names[ord(other)]].draw(TransformPen(pen, (scale, 0, 0, scale, 0, 0)))
        drawn[names[ord(character)]] = pen.glyph(), font["hmtx"][names[ord(other)]]
    for name, (glyph, metrics) in drawn.items():
        font["glyf"][name], font["hmtx"][name] = glyph, metrics
    for hints in ("fpgm", "prep", "cvt ", "hdmx", "LTSH", "VDMX"):
        if hints in font:
            del font[hints]
    font.save(target)
    return fonts.load(target)


def draws(face: FontFace, characters: Iterable[str]) -> str:
    return "".join(character for character in characters if face.draws(character))


def ink(font: ImageFont.FreeTypeFont, text: str) -> int:
    canvas = Image.new("L", (int(font.getlength(text)) + 400, 600))
    ImageDraw.Draw(canvas).text((200, 200), text, font=font, fill=255)
    return sum(canvas.histogram()[128:])


class TestCharacters:
    def test_only_ink_of_its_own_counts(self, tmp_path: Path) -> None:
        shapes = {" ": NOTHING, "\u00a0": NOTHING, "1": TALL, "2": NOTHING, "3": NOTDEF, "!": FLAT}
        build(tmp_path / "a.ttf", shapes)
        (face,) = collect(SynthConfig(fonts=str(tmp_path)))
        assert face.characters == set(shapes)
        assert draws(face, shapes) == " \u00a01!"
        assert face.draws("1 !\u00a01")
        assert not face.draws("12")
        assert not face.draws("14"), "it has no glyph for 4"

    def test_a_character_on_glyph_0_is_not_drawn(self, tmp_path: Path) -> None:
        builder = build(tmp_path / "a.ttf", {"1": TALL})
        builder.setupCharacterMap({ord("1"): "g31", ord("2"): ".notdef"})
        builder.save(tmp_path / "a.ttf")
        assert draws(fonts.load(tmp_path / "a.ttf"), "12") == "1"

    def test_a_space_with_ink_or_without_width_is_not_drawn(self, tmp_path: Path) -> None:
        builder = build(tmp_path / "a.ttf", {" ": FLAT, "\u00a0": NOTHING, "1": TALL})
        builder.setupHorizontalMetrics({name: (0 if name == "ga0" else 600, 0) for name in builder.font.getGlyphOrder()})
        builder.save(tmp_path / "a.ttf")
        assert draws(fonts.load(tmp_path / "a.ttf"), " \u00a01") == "1"

    def test_a_letter_without_its_accent_is_not_drawn(self, tmp_path: Path) -> None:
        shapes = {"o": TALL, "ö": TALL, "ø": TALL, "õ": FLAT, "i": FLAT, "ı": FLAT}
        build(tmp_path / "a.ttf", shapes)
        assert draws(fonts.load(tmp_path / "a.ttf"), shapes) == "oõi"

    def test_letters_that_share_one_glyph_are_not_drawn(self, tmp_path: Path) -> None:
        """Fonts of last resort draw one box for all characters of a script."""
        builder = build(tmp_path / "a.ttf", {"a": TALL, "+": FLAT})
        builder.setupCharacterMap({ord("+"): "g2b", **{ord(letter): "g61" for letter in LETTERS + string.digits}})
        builder.save(tmp_path / "a.ttf")
        assert draws(fonts.load(tmp_path / "a.ttf"), LETTERS + string.digits + "+") == "+"

    def test_what_trdgs_fonts_leave_blank_is_not_drawn(self, of_trdg: dict[str, Path]) -> None:
        """The oracle is the outline in the file, not the bitmap."""
        blank: dict[str, set[str]] = {}
        for name, path in of_trdg.items():
            font = TTFont(path)
            names, outlines = font.getBestCmap(), font.getGlyphSet()
            for character in string.digits + string.punctuation:
                if ord(character) in names:
                    outlines[names[ord(character)]].draw(pen := ControlBoundsPen(outlines))
                    assert fonts.load(path).draws(character) == (pen.bounds is not None), f"{character} of {name}"
                    if pen.bounds is None:
                        blank.setdefault(name, set()).add(character)
        assert blank == {"SEASRN__.ttf": set("#%+[]{}=<>\\^|~")}

    def test_characters_that_a_font_draws_leave_ink(self, installed: tuple[FontFace, ...]) -> None:
        rng = random.Random(3)
        for face in rng.sample(installed, 60):
            font = ImageFont.truetype(str(face.path), 200, index=face.number)
            characters = sorted(character for character in face.characters if character.isprintable() and character != " ")
            for character in filter(face.draws, rng.sample(characters, 12)):
                if not character.isspace():
                    assert ink(font, character) > 50, f"{character!r} of {face.name}"

    def test_joiners_need_no_ink(self, installed: tuple[FontFace, ...]) -> None:
        face = next(face for face in installed if face.family == "Noto Sans Arabic")
        assert face.draws("می\u200cخواهم")
        assert not face.draws("\u00ad\u200b"), "what cannot be seen is no label"


class TestCase:
    @pytest.mark.parametrize("scale", [1.0, 0.75])
    @pytest.mark.parametrize("name", ["Roboto-Regular.ttf", "Lato-BlackItalic.ttf", "Raleway-Thin.ttf"])
    def test_small_letters_drawn_as_capitals_are_not_drawn(
        self, name: str, scale: float, of_trdg: dict[str, Path], tmp_path: Path
    ) -> None:
        face = rebuilt(of_trdg[name], tmp_path / name, {letter: letter.upper() for letter in string.ascii_lowercase}, scale)
        assert draws(face, LETTERS + "19") == string.ascii_uppercase + "19"

    @pytest.mark.parametrize("name", ["Roboto-Regular.ttf", "Lato-BlackItalic.ttf", "Raleway-Thin.ttf"])
    def test_capitals_drawn_as_small_letters_are_not_drawn(self, name: str, of_trdg: dict[str, Path], tmp_path: Path) -> None:
        face = rebuilt(of_trdg[name], tmp_path / name, {letter: letter.lower() for letter in string.ascii_uppercase})
        assert draws(face, LETTERS + "19") == string.ascii_lowercase + "19"

    def test_one_letter_of_the_other_case_is_not_drawn_in_either(self, of_trdg: dict[str, Path], tmp_path: Path) -> None:
        face = rebuilt(of_trdg["Roboto-Regular.ttf"], tmp_path / "a.ttf", {"e": "E", "N": "n", "o": "O"})
        assert set(LETTERS) - set(draws(face, LETTERS)) == set("eEnNoO")

    @pytest.mark.parametrize(
        ("small", "capitals"), [("абвгдежзиіклмнрсту", "АБВГДЕЖЗИІКЛМНРСТУ"), ("αβγδεηλμνξρσω", "ΑΒΓΔΕΗΛΜΝΞΡΣΩ")]
    )
    def test_other_scripts_have_case_too(self, small: str, capitals: str, of_trdg: dict[str, Path], tmp_path: Path) -> None:
        source = of_trdg["Roboto-Regular.ttf"]
        assert draws(fonts.load(source), small + capitals) == small + capitals
        face = rebuilt(source, tmp_path / "a.ttf", dict(zip(small, capitals, strict=True)), 0.8)
        assert draws(face, small + capitals + "Aa") == capitals + "Aa"

    def test_trdgs_fonts_of_capitals(self, of_trdg: dict[str, Path]) -> None:
        without = {name for name, path in of_trdg.items() if not fonts.load(path).draws("a")}
        assert len(of_trdg) == 100
        assert without == {name for name in of_trdg if name.startswith(CAPITALS_ONLY_IN_TRDG)}
        assert all(fonts.load(of_trdg[name]).draws("ABC XYZ 123") for name in without)

    def test_packaged_fonts_of_capitals(self, installed: tuple[FontFace, ...]) -> None:
        without = {face.family for face in installed if not face.draws(string.ascii_lowercase)}
        assert without == CAPITALS_ONLY
        assert all(face.draws("ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789") for face in installed)


class TestSources:
    def test_the_packages_of_the_extra_are_openly_licensed_and_found(self, installed: tuple[FontFace, ...]) -> None:
        project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
        names = [re.split(">=", line)[0] for line in project["optional-dependencies"]["fonts"]]
        assert 45 <= len(names) <= 75
        assert {metadata(name)["License-Expression"] for name in names} <= {"OFL-1.1", "Apache-2.0"}
        modules = {face.path.parent.parent.name for face in installed}
        assert {name.replace("-", "_") for name in names} <= modules
        assert "latin" in {face.path.parent.name for face in installed}, "trdg's too"

    def test_the_packages_named_for_languages_are_in_the_extra(self) -> None:
        text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
        assert all(f'"{name}>=' in text for language in LANGUAGES.values() for name in language.script.fonts)

    def test_a_folder_replaces_all_other_fonts(self, tmp_path: Path) -> None:
        build(tmp_path / "deep" / "b.TTF", {"1": TALL}, "Beta")
        build(tmp_path / "a.otf", {"1": TALL}, "Alpha")
        (tmp_path / "readme.txt").write_text("no font")
        assert [face.family for face in collect(SynthConfig(fonts=str(tmp_path)))] == ["Alpha", "Beta"]

    def test_a_collection_has_several_faces(self, tmp_path: Path) -> None:
        for name, shapes in (("One", {"1": TALL}), ("Two", {"2": FLAT, "1": NOTHING})):
            build(tmp_path / f"{name}.ttf", shapes, name)
        together = TTCollection()
        together.fonts = [TTFont(tmp_path / "One.ttf"), TTFont(tmp_path / "Two.ttf")]
        (tmp_path / "only").mkdir()
        together.save(tmp_path / "only" / "both.ttc")
        one, two = collect(SynthConfig(fonts=str(tmp_path / "only")))
        assert (one.number, two.number) == (0, 1)
        assert (draws(one, "12"), draws(two, "12")) == ("1", "2")
        assert ink(one.pillow(100), "1") > 0
        assert ink(two.pillow(100), "2") > 0

    def test_a_corrupt_file_is_named_and_left_out(self, tmp_path: Path) -> None:
        build(tmp_path / "good.ttf", {"1": TALL})
        (tmp_path / "bad.ttf").write_bytes(b"\x00\x01\x00\x00 and so on")
        with pytest.warns(FontWarning, match=r"bad\.ttf"):
            (face,) = collect(SynthConfig(fonts=str(tmp_path)))
        assert face.path.name == "good.ttf"

    def test_a_folder_without_fonts_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"^fonts .*nowhere"):
            collect(SynthConfig(fonts=str(tmp_path / "nowhere")))
        (tmp_path / "bad.ttf").write_bytes(b"")
        with pytest.raises(UsageError, match=re.escape(str(tmp_path))), pytest.warns(FontWarning):
            collect(SynthConfig(fonts=str(tmp_path)))

    def test_no_damage_to_a_file_gets_further_than_a_warning(self, of_trdg: dict[str, Path], tmp_path: Path) -> None:
        whole = of_trdg["Capture_it.ttf"].read_bytes()
        rng = random.Random(0)
        for number in range(60):
            broken = bytearray(whole)
            for _ in range(rng.choice((1, 20))):
                broken[rng.randrange(2000 if number % 2 else len(broken))] = rng.randrange(256)
            path = tmp_path / f"{number}.ttf"
            path.write_bytes(broken[: rng.randrange(len(broken))] if number % 3 == 0 else broken)
            try:
                files.load_faces(path)
            except files.UnusableFontError:
                continue
            fonts.load(path).draws("A")
            draws(fonts.load(path), LETTERS + "+ é")

    @pytest.mark.parametrize("kind", ["symbols", "color", "named"])
    def test_fonts_without_letters_are_left_out(self, kind: str, tmp_path: Path) -> None:
        builder = build(tmp_path / "a.ttf", {"a": TALL}, "Some Wingdings" if kind == "named" else "Some")
        if kind == "symbols":
            builder.font["OS/2"].panose.bFamilyType = 5
        if kind == "color":
            builder.font["COLR"] = buildCOLR({"g61": [("g61", 0)]}, version=0)
        builder.save(tmp_path / "a.ttf")
        with pytest.raises(UsageError), pytest.warns(FontWarning, match=r"a\.ttf"):
            collect(SynthConfig(fonts=str(tmp_path)))

    @pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="sets the variables of Linux")
    def test_system_fonts_are_added(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        build(tmp_path / "data" / "fonts" / "x" / "s.ttf", {"1": TALL}, "Of the System")
        (tmp_path / "data" / "fonts" / "bad.ttf").write_bytes(b"not a font")
        build(tmp_path / "own" / "o.ttf", {"1": TALL}, "Own")
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        monkeypatch.setenv("XDG_DATA_DIRS", "/none")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        config = SynthConfig(fonts=str(tmp_path / "own"), system_fonts=True)
        assert [face.family for face in collect(config)] == ["Of the System", "Own"]

    def test_font_folders_of_each_system(self) -> None:
        home = Path("/home/a")
        of_linux = files.system_folders("linux", {}, home)
        assert [str(path) for path in of_linux] == [
            "/home/a/.local/share/fonts", "/home/a/.fonts", "/usr/local/share/fonts", "/usr/share/fonts",
        ]  # fmt: skip
        assert Path("/System/Library/Fonts") in files.system_folders("darwin", {}, home)
        windows = files.system_folders("win32", {"WINDIR": "W", "LOCALAPPDATA": "L"}, home)
        assert windows == (Path("W/Fonts"), Path("L/Microsoft/Windows/Fonts"))

    def test_order_and_digest_do_not_depend_on_place(self, tmp_path: Path) -> None:
        for name in "abc":
            build(tmp_path / "one" / f"{name}.ttf", {"1": TALL, name: FLAT}, "Same")
        (tmp_path / "two").mkdir()
        for name in "cab":
            shutil.copy(tmp_path / "one" / f"{name}.ttf", tmp_path / "two")
        one, two = (collect(SynthConfig(fonts=str(tmp_path / folder))) for folder in ("one", "two"))
        assert [face.path.name for face in one] == [face.path.name for face in two] == ["a.ttf", "b.ttf", "c.ttf"]
        assert fonts.digest(one) == fonts.digest(two)
        assert fonts.digest(one) != fonts.digest(one[1:])

    def test_the_digest_depends_on_contents_and_axes(self, installed: tuple[FontFace, ...], tmp_path: Path) -> None:
        build(tmp_path / "1" / "a.ttf", {"1": TALL})
        build(tmp_path / "2" / "a.ttf", {"1": FLAT})
        one, two = (fonts.digest(collect(SynthConfig(fonts=str(tmp_path / folder)))) for folder in "12")
        assert one != two
        light, bold = [face for face in installed if face.family == "Oswald"][:2]
        assert light.path == bold.path
        assert fonts.digest([light]) != fonts.digest([bold])


class TestVariableFonts:
    def test_weights_differ_in_ink(self, installed: tuple[FontFace, ...]) -> None:
        faces = [face for face in installed if face.path.name == "Montserrat[wght].ttf"]
        by_weight = sorted(faces, key=lambda face: face.axes)
        assert [face.axes for face in by_weight] == [(300,), (400,), (500,), (700,), (900,)]
        assert [face.name.removeprefix("Montserrat ") for face in by_weight] == ["Light", "Regular", "Medium", "Bold", "Black"]
        inks = [ink(face.pillow(120), "Hamburg") for face in by_weight]
        assert inks == sorted(inks)
        assert inks[-1] > 2 * inks[0]

    def test_widths_differ_in_length(self, installed: tuple[FontFace, ...]) -> None:
        faces = {face.name: face for face in installed if face.family == "Noto Serif"}
        wide, narrow = faces["Noto Serif Regular"], faces["Noto Serif Regular Condensed"]
        assert narrow.pillow(100).getlength("Hamburg") < 0.9 * wide.pillow(100).getlength("Hamburg")

    def test_variants_are_few_and_within_the_axes(self, installed: tuple[FontFace, ...]) -> None:
        assert max(Counter((face.path, face.number) for face in installed).values()) <= 15
        for face in installed:
            font = ImageFont.truetype(str(face.path), 20, index=face.number)
            axes = font.get_variation_axes() if face.axes else []
            ranges = [(axis["minimum"] or 0, axis["maximum"] or 0) for axis in axes]
            assert all(low <= value <= high for (low, high), value in zip(ranges, face.axes, strict=True))

    def test_names_are_unique_within_a_file(self, installed: tuple[FontFace, ...]) -> None:
        assert max(Counter((face.path, face.name) for face in installed).values()) == 1


class TestFaces:
    def test_faces_can_be_pickled(self, installed: tuple[FontFace, ...]) -> None:
        assert installed[0].draws("a")
        sent = pickle.dumps(installed[0])
        assert pickle.loads(sent) == installed[0]
        assert len(sent) < 1000, "nothing that was measured is pickled"

    def test_loaded_fonts_are_cached(self, installed: tuple[FontFace, ...]) -> None:
        assert installed[0].pillow(31) is installed[0].pillow(31)
        assert installed[0].pillow(31).size == 31

    def test_characters_of_all_faces(self, installed: tuple[FontFace, ...]) -> None:
        together = fonts.characters(installed)
        assert together >= set("aЖΩ中あ한عשहবதไ")
        assert "\U0010ffff" not in together


class TestChoosing:
    def test_every_language_has_sample_words(self) -> None:
        assert set(WORDS) == set(LANGUAGES)

    @pytest.mark.parametrize("lang", sorted(LANGUAGES))
    def test_every_language_finds_a_font(self, lang: str, installed: tuple[FontFace, ...]) -> None:
        text = unicodedata.normalize("NFC", WORDS[lang])
        face = Chooser(installed).choose(text, np.random.default_rng(0))
        assert face is not None, fonts.missing(installed, text, (lang,))
        assert set(text) - set("\u200c") <= face.characters
        assert ink(face.pillow(60), text) > 100

    @pytest.mark.parametrize("text", ["Reading", "Съешь ещё", "हिन्दी"])
    def test_families_that_draw_a_text_are_equally_likely(self, text: str, installed: tuple[FontFace, ...]) -> None:
        able = {re.sub(r"^(Noto S[a-z]+) .*", r"\1", face.family) for face in installed if face.draws(text)}
        chooser, rng, times = Chooser(installed), np.random.default_rng(1), 60 * len(able)
        chosen = Counter(
            re.sub(r"^(Noto S[a-z]+) .*", r"\1", face.family) for _ in range(times) if (face := chooser.choose(text, rng))
        )
        assert set(chosen) == able
        assert min(chosen.values()) > 20, "60 each are expected, with a standard deviation below 8"
        assert max(chosen.values()) < 100

    def test_each_face_of_a_family_is_chosen(self, installed: tuple[FontFace, ...]) -> None:
        faces = [face for face in installed if face.family == "Lora"]
        chooser, rng = Chooser(faces), np.random.default_rng(0)
        assert {chooser.choose("Reading", rng) for _ in range(100)} == set(faces)

    def test_the_same_random_numbers_give_the_same_face(self, installed: tuple[FontFace, ...]) -> None:
        texts = ["Reading", "42", "Straße", "عربي", "中文"]
        warm = Chooser(installed)
        first, second = ([each.choose(text, np.random.default_rng(5)) for text in texts] for each in (warm, Chooser(installed)))
        assert first == second

    def test_kinds_of_fonts_have_their_shares(self, installed: tuple[FontFace, ...]) -> None:
        chooser, rng = Chooser(installed), np.random.default_rng(0)
        chosen = [chooser.choose("Wii", rng, ((Kind.MONOSPACED, 0.5), (Kind.TEXT, 0.3))) for _ in range(400)]
        advances = [(face.pillow(60).getlength("i"), face.pillow(60).getlength("W")) for face in chosen if face]
        # Of the 20 % of any kind 9 % are monospaced: 52 % in all, and four standard deviations are 10 %.
        assert np.mean([i == w for i, w in advances]) == pytest.approx(0.52, abs=0.1)
        signs = Counter(face.family for face in chosen if face)
        assert 0 < signs["Abril Fatface"] + signs["Bungee"] + signs["Lobster"] < 10, "3 of 76 families in a fifth of 400"

    def test_if_no_font_of_a_kind_draws_a_text_another_does(self, installed: tuple[FontFace, ...]) -> None:
        rng = np.random.default_rng(0)
        assert Chooser(installed).choose("中文", rng, ((Kind.MONOSPACED, 1.0),)) is not None

    def test_no_face_if_no_font_draws_all_of_a_text(self, installed: tuple[FontFace, ...]) -> None:
        assert Chooser(installed).choose("a\U00012345", np.random.default_rng(0)) is None
        assert Chooser(installed).choose("aשع한", np.random.default_rng(0)) is None, "each is drawn, but not by one font"


class TestShaping:
    def test_letters_join(self, installed: tuple[FontFace, ...]) -> None:
        for face in (face for face in installed if face.family in ("Amiri", "Cairo", "Noto Sans Arabic", "Rubik")):
            font = face.pillow(80)
            assert font.getlength("ببب") < 0.9 * 3 * font.getlength("ب"), "an isolated ب is wider than a joined one"

    def test_a_font_that_cannot_shape_a_script_does_not_draw_it(self, installed: tuple[FontFace, ...], tmp_path: Path) -> None:
        source = next(face for face in installed if face.path.name == "Amiri-Regular.ttf")
        assert source.draws("عربي Latin")
        font = TTFont(source.path)
        del font["GSUB"]
        font.save(tmp_path / "a.ttf")
        assert draws(fonts.load(tmp_path / "a.ttf"), "عربي Latin ١") == " Latin ١"

    def test_without_raqm_the_language_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(glyphs, "has_raqm", lambda: False)
        with pytest.raises(UsageError, match=r"^lang hi: .*raqm"):
            collect(SynthConfig(lang=("en", "hi")))
        fonts.require_shaping(("en", "ru", "zh"))


class TestMissing:
    def test_the_packages_of_a_language_are_named(self, of_trdg: dict[str, Path]) -> None:
        missing = functools.partial(fonts.missing, is_installed=lambda _: False)
        latin = [fonts.load(of_trdg["Roboto-Regular.ttf"])]
        message = missing(latin, "a ש", ("he",))
        assert "U+05E9" in message
        assert "U+0061" not in message
        assert "pip install 'crnnocr[fonts]' (or fontpkg-heebo alone)" in message
        assert "alone" not in missing(latin, "ש", ("he", "ar"))
        assert "heebo" not in missing(latin, "☃", ("he",))

    def test_otherwise_a_folder_of_fonts_is_named(self, installed: tuple[FontFace, ...]) -> None:
        for text, langs in (("𒍅", ("en",)), ("𒍅", ("he",)), ("aשع한", ("en",))):
            message = fonts.missing(installed, text, langs)
            assert "`fonts`" in message
            assert message.endswith("leave the text out")
            assert "pip" not in message

    def test_the_extra_is_named_if_no_package_is_installed(
        self, installed: tuple[FontFace, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "packages", list)
        assert "pip install 'crnnocr[fonts]'" in fonts.missing(installed, "𒍅", ("en",))
