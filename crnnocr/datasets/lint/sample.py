"""The samples that lint examines, and how its issues point to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crnnocr.datasets import Sample
from crnnocr.datasets.issues import Location
from crnnocr.formatting import quoted
from crnnocr.images import Line

if TYPE_CHECKING:
    from crnnocr.datasets.lines import LineDataset


class LintSample(NamedTuple):
    """A labeled image as lint examines it."""

    sample: Sample
    """The image file and the label."""
    content_id: int
    """Stands for the content of the image file."""
    size: tuple[int, int]
    """Width and height of the image in pixels, after a vertical one was turned."""
    lines: LineDataset | None = None
    """Where its pixels are, if they are known."""
    row: int = 0
    """Its number there."""

    @property
    def line(self) -> Line | None:
        """(H, W) gray values of the image as a line."""
        return None if self.lines is None else self.lines[self.row].pixels

    @property
    def text(self) -> str:
        """The label."""
        return self.sample.text

    def at(self, detail: str | None = None) -> Location:
        """Return the location of this sample, with its label unless `detail` is given."""
        return Location(self.sample.name, quoted(self.text) if detail is None else detail)


def lint_samples(lines: LineDataset) -> list[LintSample]:
    """List the samples of a data set."""
    sizes = ((width, height) for width, height in lines.sizes.tolist())
    columns = zip(lines.samples, lines.content_ids.tolist(), sizes, strict=True)
    return [LintSample(*column, lines, i) for i, column in enumerate(columns)]
