"""Seeded mutations of files: of bytes, of text, of JSON, and of what some formats check before anything else."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any, TypeAlias

Mutator: TypeAlias = "Callable[[bytes, Random], bytes]"

NUMBERS = (0, 1, 2, 255, 256, 70_000, *(2**bits + more for bits in (15, 16, 31, 32, 63) for more in (-1, 0)), 2**64 - 1)
"""Sizes, counts and places that are rarely right."""

CANARY = "outside/canary.pgm"
"""An image beside the folder of the inputs, which nothing may open."""

TOKENS = (
    *('"', "'", '""', "\\", "\t", ",", ";", "|", "\n", "\r", "\r\n\r\n", "\0", " ", "\u2028", "\x1b[31m", "\x85"),
    *("\ufeff", "\u200f", "\u202e", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "e\u0301", "ﷺ", "İ"),
    *("-1", "0", "1e999", "-1e999", "NaN", "Infinity", "9" * 400, "9" * 5000, "0x10", "1_000", "١٢٣", "²"),
    *("null", "true", "[]", "{}", "[" * 3000, '{"a":' * 3000, '{"a": 1, "a": 2}', "\\ud800", "\\u0000"),
    *(f"../{CANARY}", f"../../{CANARY}", f"x/../../{CANARY}"),
    *("../../../../etc/passwd", "/etc/passwd", "~root/x.png", "file:///etc/passwd", "C:\\windows\\win.ini", "\\\\host\\x.png"),
    *("http://127.0.0.1:9/x.png", "|cat /etc/passwd", "$(id)", "%00", ".", "..", "/", "a" * 300 + ".png", "/dev/zero"),
    *("<", ">", "&", "]]>", "<!--", "&a;", "<x>" * 3000, '<?xml version="1.0" encoding="utf-7"?>'),
    *('<!DOCTYPE a SYSTEM "file:///etc/passwd">', f'<!DOCTYPE a [<!ENTITY b "bbb"><!ENTITY c "{"&b;" * 10}">]>'),
    *("(a*)*" * 20, "{9999999}", "(?R)", "\\1", "=1+1", "@SUM(A1)", "x" * 100_000),
)  # fmt: skip
"""Pieces of text that parsers stumble over."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, math.nan, math.inf, -math.inf),
    *("", "x", "0", "\0", "x" * 100_000, f"../{CANARY}", "../../../etc/passwd", "/etc/passwd", "\ud800", "NaN", "é" * 300),
    *([], [[]], [None], [1e400], [0] * 2000, {}, {"": ""}, {"a": {"a": {"a": {}}}}),
)  # fmt: skip
"""Values in JSON that are rarely right."""


def mutate_bytes(data: bytes, rng: Random) -> bytes:
    """One to four changes of bytes, most of them near the beginning, where headers are."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not changed:
            break
        rng.choice(_CHANGES)(changed, rng)
    return bytes(changed)


def _place(data: bytearray, rng: Random) -> int:
    return rng.randrange(min(len(data), rng.choice((16, 64, 512, len(data)))))


def _flip(data: bytearray, rng: Random) -> None:
    for _ in range(rng.choice((1, 1, 8, 64))):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: Random) -> None:
    data[_place(data, rng)] = rng.choice((0, 1, 127, 128, 255))


def _number(data: bytearray, rng: Random) -> None:
    """A number of another size: a width, a length, an offset."""
    number, size, order = rng.choice((*NUMBERS, len(data), len(data) + 1)), rng.choice((2, 4, 4, 8)), rng.choice("<>")
    at = _place(data, rng)
    data[at : at + size] = (number % 256**size).to_bytes(size, "little" if order == "<" else "big")


def _truncate(data: bytearray, rng: Random) -> None:
    del data[rng.randrange(len(data)) :]


def _delete(data: bytearray, rng: Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 4, 50, 1000))]


def _double(data: bytearray, rng: Random) -> None:
    at, size = _place(data, rng), rng.choice((1, 12, 100, 4000))
    data[at:at] = data[at : at + size] * rng.choice((1, 1, 30))


def _move(data: bytearray, rng: Random) -> None:
    at, size = _place(data, rng), rng.choice((4, 12, 100))
    piece = data[at : at + size]
    del data[at : at + size]
    to = rng.randrange(len(data) + 1)
    data[to:to] = piece


def _noise(data: bytearray, rng: Random) -> None:
    at = _place(data, rng)
    data[at : at + 32] = rng.randbytes(32)


_CHANGES: Sequence[Callable[[bytearray, Random], None]] = (
    _flip,
    _set,
    _number,
    _number,
    _truncate,
    _delete,
    _double,
    _move,
    _noise,
)


def mutate_png(data: bytes, rng: Random) -> bytes:
    """Changes of bytes; in half of the files the checksums are right all the same."""
    changed = mutate_bytes(data, rng)
    return _with_checksums(changed) if rng.random() < 0.5 else changed


def _with_checksums(data: bytes) -> bytes:
    fixed, at = bytearray(data), 8
    while at + 12 <= len(fixed):
        size = int.from_bytes(fixed[at : at + 4], "big")
        end = at + 8 + size
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = struct.pack(">I", zlib.crc32(fixed[at + 4 : end]))
        at = end + 4
    return bytes(fixed)


def mutate_text(data: bytes, rng: Random) -> bytes:
    """Changes of a text: pieces that parsers stumble over, lines in another order, another encoding; of JSON also of values."""
    if rng.random() < 0.15:
        return mutate_bytes(data, rng)
    text = data.decode()
    if rng.random() < 0.4:
        text = _mutate_json_within(text, rng)
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        text = rng.choice((_insert, _insert, _replace_number, _lines, _cut))(text, rng)
    encoding = rng.choice(("utf-8",) * 8 + ("utf-16", "utf-8-sig", "utf-16-be", "cp1252"))
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf-8") else "replace")


def _insert(text: str, rng: Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(TOKENS) + text[at + rng.choice((0, 0, 1, 10)) :]


def _replace_number(text: str, rng: Random) -> str:
    places = [index for index, character in enumerate(text) if character.isdigit()]
    if not places:
        return text
    at = rng.choice(places)
    return text[:at] + rng.choice(("-1", "1e999", "9" * 30, "0.5", "NaN", str(rng.choice(NUMBERS)))) + text[at + 1 :]


def _lines(text: str, rng: Random) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    piece = lines[at]
    how = rng.randrange(4)
    if how == 0:
        lines[at:at] = [piece] * rng.choice((1, 3, 500))
    elif how == 1:
        del lines[at]
    elif how == 2:
        rng.shuffle(lines)
    else:
        lines[at] = piece + lines[rng.randrange(len(lines))]
    return "\n".join(lines)


def _cut(text: str, rng: Random) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _mutate_json_within(text: str, rng: Random) -> str:
    """Change a value if the text is JSON, or one of its lines is."""
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    for start, end in ((0, len(lines)), (at, at + 1)):
        try:
            value = json.loads("\n".join(lines[start:end]))
        except ValueError:
            continue
        lines[start:end] = [json.dumps(mutate_value(value, rng))]
        return "\n".join(lines)
    return text


def mutate_value(value: Any, rng: Random) -> Any:
    """Change one to three values or keys somewhere in a value of JSON."""
    whole = {"value": value}
    for _ in range(rng.choice((1, 1, 1, 3))):
        places = list(_places(whole))
        inner, key = rng.choice(places)
        how = rng.random()
        if how < 0.7:
            inner[key] = deepcopy(rng.choice(VALUES))
        elif how < 0.8 and inner is not whole:
            del inner[key]
        elif how < 0.9:
            inner[key] = deepcopy(rng.choice([other[place] for other, place in places]))
        elif isinstance(inner, dict):
            inner[rng.choice(("", "x", "a.b", "0", "é", "__class__"))] = deepcopy(rng.choice(VALUES))
    return whole.get("value")


def _places(value: Any, depth: int = 0) -> Any:
    entries = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    for key, inner in entries:
        yield value, key
        if depth < 20:
            yield from _places(inner, depth + 1)


def mutate_safetensors(data: bytes, rng: Random) -> bytes:
    """Changes of the header, of the card in it, or of bytes."""
    how = rng.random()
    if how < 0.2:
        return mutate_bytes(data, rng)
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    if how < 0.5:
        key = next(iter(header["__metadata__"]))
        header["__metadata__"][key] = json.dumps(mutate_value(json.loads(header["__metadata__"][key]), rng))
    elif how < 0.8:
        name = rng.choice(sorted(header))
        header[name] = mutate_value(header[name], rng)
        if name != "__metadata__" and rng.random() < 0.4:
            header[name] = {**header[name], "dtype": rng.choice(_DTYPES)} if isinstance(header[name], dict) else header[name]
    elif how < 0.9:
        header = mutate_value(header, rng)
    else:
        at = rng.randrange(0, max(1, len(body) - 4), 4)
        number = rng.choice((math.nan, math.inf, -math.inf, 3e38, -1.0, 1e-40))
        body = body[:at] + struct.pack("<f", number) + body[at + 4 :]
    written = json.dumps(header).encode()
    return len(written).to_bytes(8, "little") + written + body


_DTYPES = ("F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "BF16", "F16", "F64", "I8", "U8", "I64", "U64", "BOOL", "C64", "X")


def mutate_onnx(data: bytes, rng: Random) -> bytes:
    """Changes of the graph, of the card in it, or of bytes."""
    import onnx

    if rng.random() < 0.3:
        return mutate_bytes(data, rng)
    model = onnx.load_model_from_string(data)
    for _ in range(rng.choice((1, 1, 3))):
        rng.choice(_GRAPH_CHANGES)(model, rng)
    return bytes(model.SerializeToString())


def _change_node(model: Any, rng: Random) -> None:
    nodes = model.graph.node
    node, other = rng.choice(nodes), rng.choice(nodes)
    how = rng.randrange(6)
    if how == 0:
        node.op_type = rng.choice((other.op_type, "Loop", "If", "Constant", "Identity", "Nothing", "ConstantOfShape"))
    elif how == 1:
        node.CopyFrom(other)
    elif how == 2:
        nodes.remove(node)
    elif how == 3 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice((*other.input, *other.output, "", "nothing"))
    elif how == 4:
        node.domain = rng.choice(("com.microsoft", "ai.onnx.ml", "x"))
    else:
        for attribute in node.attribute:
            if attribute.ints:
                attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS) % 2**63
            elif attribute.i:
                attribute.i = rng.choice(NUMBERS) % 2**63


def _change_constant(model: Any, rng: Random) -> None:
    constant = rng.choice(model.graph.initializer)
    how = rng.randrange(4)
    if how == 0 and constant.dims:
        constant.dims[rng.randrange(len(constant.dims))] = rng.choice(NUMBERS) % 2**63
    elif how == 1:
        constant.data_type = rng.randrange(25)
    elif how == 2:
        constant.raw_data = mutate_bytes(constant.raw_data, rng)
    else:
        constant.data_location = 1
        entry = constant.external_data.add()
        entry.key, entry.value = "location", rng.choice(("/etc/passwd", f"../{CANARY}", "../x", "model.onnx"))


def _change_card(model: Any, rng: Random) -> None:
    for entry in model.metadata_props:
        if entry.key == "crnnocr":
            entry.value = json.dumps(mutate_value(json.loads(entry.value), rng)) if rng.random() < 0.8 else "{}"
        elif rng.random() < 0.3:
            entry.value = rng.choice(("", "fp16", "int8", "x", "====", "AAAA"))


def _change_interface(model: Any, rng: Random) -> None:
    value = rng.choice([*model.graph.input, *model.graph.output])
    if rng.random() < 0.5:
        value.name = rng.choice(("images", "widths", "pictures", "log_probs", "x"))
    else:
        value.type.tensor_type.elem_type = rng.randrange(25)


_GRAPH_CHANGES: Sequence[Callable[[Any, Random], None]] = (_change_node, _change_constant, _change_card, _change_interface)
