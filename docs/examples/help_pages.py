"""Write the help of every command into docs/commands.md, below its marker. A test checks that it is up to date."""

from pathlib import Path

from typer.testing import CliRunner

from crnnocr.cli import app

PAGE = Path(__file__).parents[1] / "commands.md"
MARKER = "<!-- What follows is made by `make help-pages`. -->\n"
COMMANDS = (
    *("synth", "train", "eval", "predict", "export", "models"),
    *(f"models {command}" for command in ("show", "use", "path", "rm", "import")),
)


def page(text: str) -> str:
    """`text` with the current help below its marker."""
    runner = CliRunner(env={"COLUMNS": "100", "TERMINAL_WIDTH": "100"})
    sections = []
    for command in COMMANDS:
        help_text = runner.invoke(app, [*command.split(), "--help"], prog_name="crnnocr").stdout.strip()
        sections.append(f"## crnnocr {command}\n\n```\n{help_text}\n```\n")
    return text.partition(MARKER)[0] + MARKER + "\n" + "\n".join(sections)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
