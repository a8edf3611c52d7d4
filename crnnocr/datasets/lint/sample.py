"""The samples that lint examines, and how its issues point to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crnnocr.datasets import Sample
from crnnocr.datasets.issues import Location
from crnnocr.formatting import quoted

if TYPE_CHECKING:
    from crnnocr.datasets.lines import LineDataset


class LintSample(NamedTuple):
    """A labeled image as lint examines it, without its pixels."""

    sample: Sample
    """The image file and the label."""
    content_id: int
    """Stands for the content of the image file."""
    size: tuple[int, int]
    """Width and height of the image in pixels, after a vertical one was turned."""

    @property
    def text(self) -> str:
        """The label."""
        return self.sample.text

    def at(self, detail: str | None = None) -> Location:
        """Return the location of this sample, with its label unless `detail` is given."""
        return Location(self.sample.name, quoted(self.text) if detail is None else detail)


def lint_samples(lines: LineDataset) -> list[LintSample]:
    """List the samples of a data set, without their pixels."""
    sizes = ((width, height) for width, height in lines.sizes.tolist())
    return list(map(LintSample, lines.samples, lines.content_ids.tolist(), sizes))
