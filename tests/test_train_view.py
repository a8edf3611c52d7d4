"""The display of `train`: lines that stay everywhere, and figures that are renewed on a terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from rich.cells import cell_len
from rich.console import Console

from crnnocr.cli import console as ui
from crnnocr.cli.train_view import TrainView
from crnnocr.metrics.scores import Scorer
from crnnocr.training.schedule import Progress
from crnnocr.training.validation import Validation, ValidationSample

LRM = "\u200e"


@pytest.fixture
def console() -> Iterator[Callable[..., Console]]:
    """Makes the command's console one of this width on a terminal or not."""
    with ExitStack() as stack:

        def make(width: int = 100, is_terminal: bool = True, quiet: bool = False) -> Console:
            made = Console(file=io.StringIO(), width=width, force_terminal=is_terminal, soft_wrap=True, color_system="standard")
            stack.enter_context(ui.session(quiet=quiet, console=made))
            return made

        yield make


def progress(step: int = 1234, done: float = 0.25) -> Progress:
    return Progress(
        step=step,
        epoch=3,
        samples_seen=64 * step,
        seconds=60.0,
        loss=0.4321,
        learning_rate=1e-3,
        data_wait=0.034,
        done=done,
        images_per_second=412.3,
        seconds_left=3725.0,
    )


def validation(*pairs: tuple[str, str], is_best: bool = False) -> Validation:
    scorer = Scorer()
    for pair in pairs:
        scorer.update(*pair)
    samples = tuple(ValidationSample(reference, prediction, -0.1) for reference, prediction in pairs)
    return Validation(progress(), scorer.summary(), samples, is_best)


def lines(console: Console, *events: Progress | Validation) -> list[str]:
    """The screen after these events, while the training is still running."""
    with TrainView() as view:
        for event in events:
            if isinstance(event, Progress):
                view.progress(event)
            else:
                view.validation(event)
        return screen(console)


def written(console: Console) -> str:
    """All that was written to the console, commands for the terminal and all."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def screen(console: Console) -> list[str]:
    """The lines on the screen after all that was written: of the terminal's commands rich needs two, clear line and up."""
    rows, row = [""], 0
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", written(console)):
        if part == "\n":
            row += 1
            rows[row:] = rows[row:] or [""]
        elif part == "\x1b[2K":
            rows[row] = ""
        elif part == "\x1b[1A":
            row -= 1
        elif not part.startswith(("\x1b", "\r")):
            rows[row] += part
    return [line.rstrip() for line in rows if line.strip()]


class TestLines:
    @pytest.mark.parametrize("is_terminal", [True, False])
    def test_a_validation_shows_scores_predictions_and_confusions(
        self, console: Callable[..., Console], is_terminal: bool
    ) -> None:
        event = validation(("ROOM", "R0OM"), ("10 C", "1OC"), ("HOOD", "H0OD"), ("TIME", ""), ("right", "right"), is_best=True)
        shown = lines(console(is_terminal=is_terminal), event)
        # 1 + 2 + 1 + 4 edits in 21 characters.
        assert shown[:6] == [
            "step  1,234  loss 0.432  CER  38.10%  exact  20.0%  Levenshtein 1.60  kept",
            "  ✗ ROOM → R0OM",
            "  ✗ 10 C → 1OC",
            "  ✗ HOOD → H0OD",
            "  ✗ TIME → (nothing)",
            "  often: O → 0 ×2   space lost ×1   0 → O ×1   E lost ×1   I lost ×1",
        ]

    def test_right_predictions_are_shown_if_few_are_wrong(self, console: Callable[..., Console]) -> None:
        event = validation(("a", "a"), ("b", "b"), ("c", "d"), ("e", "e"), ("f", "f"), ("g", "g"))
        shown = lines(console(is_terminal=False), event, event)
        assert shown[1:6] == ["  ✗ c → d", "  ✓ a", "  ✓ b", "  ✓ e", "  often: c → d ×1"]
        assert shown[7:11] == ["  ✗ c → d", "  ✓ e", "  ✓ f", "  ✓ g"]

    def test_if_all_is_right_there_are_no_confusions(self, console: Callable[..., Console]) -> None:
        assert lines(console(is_terminal=False), validation(("a", "a")))[1:] == ["  ✓ a"]

    def test_other_wrong_predictions_are_shown_each_time(self, console: Callable[..., Console]) -> None:
        event = validation(*((f"right {i}", f"wrong {i}") for i in range(10)))
        shown = [line[10] for line in lines(console(is_terminal=False), event, event, event) if "✗" in line]
        assert "".join(shown) == "012345678901"

    def test_texts_are_compared_after_nfc(self, console: Callable[..., Console]) -> None:
        assert lines(console(is_terminal=False), validation(("cafe\u0301", "café")))[1:] == ["  ✓ café"]

    def test_differing_characters_stand_out(self, console: Callable[..., Console]) -> None:
        made = console()
        lines(made, validation(("cart", "dart")))
        assert "\x1b[1;4;32mc\x1b[0mart → \x1b[1;4;31md\x1b[0mart" in written(made)

    def test_without_colors_they_stand_out_too(self, console: Callable[..., Console], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        made = console()
        lines(made, validation(("cart", "dart")))
        assert "\x1b[1;4mc\x1b[0mart → \x1b[1;4md\x1b[0mart" in written(made)

    @pytest.mark.parametrize("width", [40, 80, 140])
    def test_no_line_is_wider_than_the_terminal(self, width: int, console: Callable[..., Console]) -> None:
        long = "漢字を読む" * 40
        event = validation((long, long[1:]), ("a" * 300, "b"), ("c", "d" * 300), ("x" * 300, "x" * 300), ("שלום " * 50, "ש"))
        shown = lines(console(width), progress(), event, progress())
        assert max(map(cell_len, shown)) <= width
        assert sum("…" in line for line in shown) >= 3

    def test_a_long_text_is_cut_so_that_what_differs_can_be_seen(self, console: Callable[..., Console]) -> None:
        reference = "a" * 200 + "O" + "b" * 200
        shown = lines(console(60), validation((reference, reference.replace("O", "0"))))[1]
        assert shown.count("…") == 4
        assert "aOb" in shown
        assert "a0b" in shown

    def test_without_a_terminal_nothing_is_cut(self, console: Callable[..., Console]) -> None:
        assert f"  ✗ {'a' * 300} → {'b' * 300}" in lines(console(80, is_terminal=False), validation(("a" * 300, "b" * 300)))

    def test_characters_that_control_the_terminal_are_shown_as_symbols(self, console: Callable[..., Console]) -> None:
        made = console(is_terminal=False)
        shown = lines(made, validation(("a\tb\x1b[31m\u202e\x9b", "[bold]x[/bold]\n")))
        assert shown[1] == "  ✗ a␉b␛[31m\ufffd\ufffd → [bold]x[/bold]␊"

    def test_right_to_left_texts_stay_on_their_sides(self, console: Callable[..., Console]) -> None:
        shown = lines(console(is_terminal=False), validation(("שלום", "שלוס"), ("abc", "abd")))
        assert shown[1] == f"  ✗ {LRM}שלום{LRM} → {LRM}שלוס"
        assert shown[2] == "  ✗ abc → abd"

    def test_quiet_shows_nothing(self, console: Callable[..., Console]) -> None:
        assert lines(console(quiet=True), progress(), validation(("a", "b"))) == []


class TestFigures:
    def test_they_show_where_the_training_stands(self, console: Callable[..., Console]) -> None:
        events = validation(("abcd", "abcd")), progress(), validation(("abcd", "abc"))
        *_, bar, names, values = lines(console(), *events)
        assert bar.startswith("training ━")
        assert bar.endswith(" 25% 1:02:05 left")
        assert names.split() == ["epoch", "step", "loss", "CER", "best", "exact", "best", "images/s", "waiting"]
        assert values.split() == ["3", "1,234", "0.432", "25.00%", "0.00%", "0.0%", "100.0%", "412", "3%"]

    def test_values_that_are_not_known_yet_are_a_dash(self, console: Callable[..., Console]) -> None:
        *_, bar, _, values = lines(console(), progress(step=5))
        assert bar.endswith("25%")
        assert values.split() == ["3", "5", "0.432", "–", "–", "–", "–", "–", "3%"]

    @pytest.mark.parametrize(("width", "columns"), [(20, 2), (40, 4), (79, 9), (140, 9)])
    def test_a_narrow_terminal_shows_the_first_ones(self, width: int, columns: int, console: Callable[..., Console]) -> None:
        shown = lines(console(width), progress())
        assert len(shown[-1].split()) == columns
        assert len(shown) == 3
        assert max(map(cell_len, shown)) <= width

    def test_they_are_renewed_in_place_and_gone_at_the_end(self, console: Callable[..., Console]) -> None:
        made = console()
        shown = lines(made, progress(step=100), validation(("a", "b")), progress(step=200))
        assert [line.split()[1] for line in shown if line.startswith("    3 ")] == ["200"]
        assert [line for line in screen(made) if "training" in line or "epoch" in line] == []
        assert screen(made) == shown[:3]

    def test_without_a_terminal_there_are_none(self, console: Callable[..., Console]) -> None:
        assert lines(console(is_terminal=False), progress()) == []
