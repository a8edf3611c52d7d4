"""The rows of a training's history for TensorBoard, where the extra of this name is installed."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from crnnocr.errors import UsageError
from crnnocr.training.history import Row


def check_installed() -> None:
    """Raise `UsageError` where the extra is not installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise UsageError("TensorBoard is not installed: pip install 'crnnocr[tensorboard]'") from error


class TensorBoard:
    """Writes scalars over the steps of a training to a folder that `tensorboard --logdir` shows."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, which is made if need be. Raises `UsageError` where the extra is not installed."""
        check_installed()
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))
        self._before: Row | None = None

    def add(self, row: Row) -> None:
        """Write one row. The pace is that since the row before."""
        before = self._before
        pictures, seconds = (row.pictures, row.seconds) if before is None else _since(before, row)
        scalars = {
            "loss": row.loss,
            "held out/CER": row.cer,
            "held out/exact": row.exact,
            "pace/images a second": pictures / max(seconds, 1e-9),
            "pace/waiting": row.waiting,
            "learning rate": row.learning_rate,
        }
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, row.step)
        self._writer.flush()
        self._before = row

    def close(self) -> None:
        """Close the folder."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def _since(before: Row, row: Row) -> tuple[int, float]:
    """Pictures and seconds between two rows."""
    return row.pictures - before.pictures, row.seconds - before.seconds
