"""The card of a model: everything that is known about it except its weights, as JSON in the header of its file.

A card may come from anywhere, so each value is checked against the type of its field. Fields are named as the JSON keys, which
never change. Loading a card needs no torch.
"""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from crnnocr.config import MAX_WIDTH, OFF, ActivationRange, ModelConfig, Orientation, Precision
from crnnocr.errors import CrnnocrError, ModelError
from crnnocr.formatting import is_encodable
from crnnocr.metrics.calibration import Calibration
from crnnocr.metrics.scores import METRICS, Scores
from crnnocr.text.charset import Charset

FORMAT_VERSION = 1
"""Of the JSON. A newer one is rejected."""

_LARGEST = 3.4e38
"""Number in single precision."""


@dataclass(frozen=True)
class DataSource:
    """A data set that a model was trained or validated on."""

    name: str
    """Of its folder or label file."""
    format: str
    samples: int
    """Labeled images, those without a use included."""
    group: str | None = None
    """The column or regular expression that told which images show one thing; none of these was on both sides of the split."""


@dataclass(frozen=True)
class TextStatistics:
    """The labels that a model was trained on."""

    characters: int
    """In all of them."""
    mean_length: float
    """In characters."""
    longest: int
    """In characters."""
    mean_width: float
    """Of the images at the model's height, in pixels."""
    distinct: int
    """Different labels."""


@dataclass(frozen=True)
class TrainingData:
    """The images that a model was trained and validated on."""

    sources: tuple[DataSource, ...]
    learned: int
    """Labeled images in the training split; synthetic ones do not count."""
    held_out: int
    """Images in the validation split, or those of all folds of a cross-validation."""
    digest: str
    """Hash of both splits: images and labels."""
    texts: TextStatistics | None
    """None if all training images were synthetic."""
    codes: str = ""
    """The form of the codes in synthetic images that were mixed in, a regular expression; empty if there were none."""
    pseudo_labeled: int = 0
    """Images without labels that were recognized confidently, and trained on too."""
    folds: int = 0
    """Parts of the cross-validation that measured it; 0 if a validation split did."""


@dataclass(frozen=True)
class Versions:
    """Of the programs that trained a model."""

    crnnocr: str
    torch: str
    numpy: str
    python: str


@dataclass(frozen=True)
class RealScore:
    """A score on real crops, with the ends of its 95 % interval."""

    pictures: int
    """Number of crops."""
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Publication:
    """Facts for users of a model that comes with crnnocr."""

    licence: str
    pictures: str
    """The images it was trained on, in words."""
    limits: str
    """Images that it does not recognize well, in words."""
    reproduce: str
    """How it was made."""
    before: str = ""
    """Earlier training of its network, in words."""
    real_crops: dict[str, RealScore] = field(default_factory=dict)
    """By kind of crop and metric."""


@dataclass(frozen=True)
class TrainingRecord:
    """How a model was trained."""

    date: str
    """When the training ended, ISO 8601."""
    data: TrainingData
    start: str | None
    """Name of the model whose weights it began with; None if the weights were random."""
    config: dict[str, Any]
    """The training options, named as in the version that trained it."""
    batch_size: int
    steps: int
    pictures_shown: int
    """Samples seen, repeats included."""
    seconds: float
    """Wall time."""
    device: str
    threads: int
    versions: Versions
    about: Publication | None = None
    """Only for a model that comes with crnnocr."""

    @property
    def synth(self) -> str | None:
        """Languages and style of the synthetic images that were made while it was trained, or the form of the codes in them;
        None if none were.
        """
        synth: str | None = self.config.get("synth")
        return self.data.codes or None if synth in (None, OFF) else synth

    @property
    def group(self) -> str | None:
        """Column or regular expression by which its training images were grouped; None if they were not."""
        return next((source.group for source in self.data.sources if source.group is not None), None)

    def to_json(self) -> dict[str, Any]:
        """The values that JSON can hold."""
        data = asdict(self)
        data["data"]["texts"] = data["data"]["texts"] or {}
        data["data"]["sources"] = [
            {key: value for key, value in source.items() if value is not None} for source in data["data"]["sources"]
        ]
        if not self.about:
            del data["about"]
        elif not self.about.before:
            del data["about"]["before"]
        return data

    @classmethod
    def from_json(cls, data: Any) -> TrainingRecord:
        """Undo `to_json`. Raises `ValueError`, naming the place, if a value is missing or of another type."""
        record: TrainingRecord = _checked(data, cls, "training")
        _checked(record.config.get("synth"), str | None, "training.config.synth")
        return record


@dataclass(frozen=True)
class Card:
    """Everything that is known about a model except its weights."""

    name: str
    """As it was called when it was trained."""
    charset: Charset
    config: ModelConfig
    """Layers and sizes of the network."""
    orientation: Orientation = Orientation.HORIZONTAL
    """Which way the lines run in the images it reads."""
    rows: int = 1
    """Rows of text in them, which are put one after the other."""
    training: TrainingRecord | None = None
    """None if it has not been trained yet."""
    scores: Scores | None = None
    """On the validation split; None if there was none."""
    calibration: Calibration = field(default_factory=Calibration)
    """Maps its probabilities to confidences."""
    activation_ranges: tuple[ActivationRange, ...] = ()
    """The lowest and highest value of each of the backbone's maps, for quantization; empty if not measured."""
    precision: Precision = Precision.FP32
    """The numbers it computes with on a CPU."""
    origin: str = ""
    """The file of another program's recognizer that it was made of; empty for one of crnnocr. The config then stands for its
    frames alone.
    """

    @property
    def is_synthetic(self) -> bool:
        """Whether it was trained on nothing but synthetic images, and so its scores are on synthetic images too."""
        return bool(self.training and self.training.synth and not self.training.data.learned)

    @property
    def is_general(self) -> bool:
        """Whether it was trained for texts of all kinds: on synthetic images alone, or it comes with crnnocr."""
        return self.is_synthetic or bool(self.training and self.training.about)

    def to_json(self) -> dict[str, Any]:
        """The values that JSON can hold."""
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "charset": self.charset.characters,
            "blank": 0,
            "preprocessing": {
                "channels": 1,
                "height": self.config.height,
                "width": "round(width * height / picture height)",
                "min_width": self.config.min_width,
                "max_width": MAX_WIDTH,
                "orientation": self.orientation.value,
                **({"rows": self.rows} if self.rows > 1 else {}),
                "resampling": "bilinear, antialiased",
                "narrower": "repeat the last column",
                "black": -1,
                "white": 1,
                "padding": 0,
            },
            "model": self.config.to_json(),
            "training": self.training.to_json() if self.training else {},
            "scores": self.scores.to_json() if self.scores else {},
            "calibration": self.calibration.to_json(),
            "quantisation": {"ranges": list(map(list, self.activation_ranges)), "precision": self.precision.value},
            **({"origin": self.origin} if self.origin else {}),
        }

    @classmethod
    def from_text(cls, text: str, path: Path) -> Card:
        """Undo `to_json`, given as JSON text. Raises `ModelError`, naming the file, if it is not a card or too new."""
        try:
            data = json.loads(text)
            version = data["format_version"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(f"{path} is not a model of crnnocr: it holds no card") from error
        if not isinstance(version, int):
            raise ModelError(f"{path} is not a model of crnnocr: its card has no format version")
        if version > FORMAT_VERSION:
            raise ModelError(
                f"{path} has model format {version}, and this crnnocr reads up to {FORMAT_VERSION}: pip install -U crnnocr"
            )
        try:
            return cls._from_json(data)
        except KeyError as error:
            raise ModelError(f"{path}: its card cannot be read ({error.args[0]} is missing)") from error
        except (TypeError, ValueError, AttributeError, OverflowError, RecursionError, CrnnocrError) as error:
            raise ModelError(f"{path}: its card cannot be read ({error})") from error

    @classmethod
    def _from_json(cls, data: dict[str, Any]) -> Card:
        _checked(data["model"]["preset"], str, "model.preset")
        config = ModelConfig.from_json(data["model"])
        return cls(
            name=_checked(data["name"], str, "name"),
            charset=Charset(_checked(data["charset"], str, "charset")),
            config=config,
            orientation=Orientation(data["preprocessing"]["orientation"]),
            rows=_rows(data["preprocessing"].get("rows", 1)),
            training=TrainingRecord.from_json(data["training"]) if data["training"] != {} else None,
            scores=_scores(data["scores"]),
            calibration=Calibration.from_json(data["calibration"]),
            activation_ranges=_activation_ranges(data["quantisation"], config.activations),
            precision=Precision(data["quantisation"]["precision"]),
            origin=_checked(data.get("origin", ""), str, "origin"),
        )


def _rows(data: Any) -> int:
    if data not in (1, 2) or type(data) is not int:
        raise ValueError(f"preprocessing.rows cannot be {data!r:.40}")
    return data


def _scores(data: Any) -> Scores | None:
    numbers: dict[str, float] = _checked(data, dict[str, float], "scores")
    if not numbers:
        return None
    needed = ("cer", "exact")  # an older version may lack others
    return Scores(int(numbers["n"]), {key: numbers[key] for key in METRICS if key in numbers or key in needed})


def _activation_ranges(data: Any, maps: int) -> tuple[ActivationRange, ...]:
    if "ranges" in data:
        pairs: tuple[tuple[float, ...], ...] = _checked(data["ranges"], tuple[tuple[float, ...], ...], "ranges")
    else:  # of version 0.1, whose lowest values are all 0
        pairs = tuple((0.0, highest) for highest in _checked(data["peaks"], tuple[float, ...], "peaks"))
    if len(pairs) not in (0, maps) or not all(len(pair) == 2 and _is_range(*pair) for pair in pairs):
        raise ValueError(f"ranges must be none, or a number up to 0 and one above 0 for each of {maps} maps")
    return tuple((float(lowest), float(highest)) for lowest, highest in pairs)


def _is_range(lowest: float, highest: float) -> bool:
    """Whether both are numbers in single precision, and a 255th of their difference is."""
    return -_LARGEST <= lowest <= 0 and highest / 255 >= 1 / _LARGEST and highest <= _LARGEST


def _checked(value: Any, kind: Any, place: str) -> Any:
    """`value` from JSON as a `kind`: the type of a dataclass's field, or a dataclass. An empty object stands for None.

    Raises `ValueError`, naming the place, if it is not of that type.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:  # X | None
        return None if value is None or value == {} else _checked(value, arguments[0], place)
    if is_dataclass(kind) and isinstance(value, dict):
        return kind(**_checked_fields(value, kind, place))  # type: ignore[operator]
    if origin is tuple and isinstance(value, list):
        return tuple(_checked(item, arguments[0], place) for item in value)
    if origin is dict and isinstance(value, dict):
        return {key: _checked(item, arguments[1], f"{place}.{key}") for key, item in value.items()}
    if kind is Any or (kind is str and _is_text(value)) or (kind in (int, float) and _is_number(value, kind)):
        return value
    raise ValueError(f"{place} cannot be {value!r:.40}")


def _checked_fields(values: dict[str, Any], kind: Any, place: str) -> dict[str, Any]:
    hints, checked = get_type_hints(kind), {}
    for each in fields(kind):
        if each.name in values:
            checked[each.name] = _checked(values[each.name], hints[each.name], f"{place}.{each.name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise ValueError(f"{place}.{each.name} is missing")
    return checked


def _is_text(value: Any) -> bool:
    """Whether it is a string that can be encoded: JSON can hold half a surrogate pair."""
    return isinstance(value, str) and is_encodable(value)


def _is_number(value: Any, kind: type) -> bool:
    return type(value) in (int, kind) and math.isfinite(value)
