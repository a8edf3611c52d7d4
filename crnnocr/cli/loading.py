"""The model and the decoder that a command line asks for, and what is said of them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from crnnocr.cli import ui
from crnnocr.config import DecodeConfig, EngineChoice
from crnnocr.machine import without_blas_threads

if TYPE_CHECKING:
    from crnnocr.decoders.decoder import Decoder
    from crnnocr.recognizer import Recognizer


def load(
    model: str | None, device: str, engine: EngineChoice, decode: DecodeConfig, which: str = "", options: str = ""
) -> tuple[str, Recognizer, Decoder]:
    """The name of the model, what reads with it, and what finds texts; said in words, as `ui.say_model` does."""
    without_blas_threads()
    from crnnocr.images import ImageWarning
    from crnnocr.model import store
    from crnnocr.recognizer import Recognizer

    warnings.simplefilter("always", ImageWarning)  # each of a million pictures may give its own; none is remembered
    found = store.find(model)
    recognizer = Recognizer.load(found.path, device, engine)
    ui.say_model(found, recognizer.engine.description, which, options)
    decoder = recognizer.decoder(decode)
    if decoder.lexicon and decoder.lexicon.left_out:
        ui.warn(f"{decoder.lexicon.left_out:,} words of {decode.lexicon} have characters that are not possible: left out")
    return found.name, recognizer, decoder
