"""The layers that know true widths. The oracle is torch's own arithmetic on lines that are not padded at all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime
import pytest
import torch
from networks import FOLDED, NORMED, source_graph
from torch import Tensor, nn
from torch.nn import functional

from crnnocr.config import (
    Attention,
    Concat,
    Conv,
    Excitation,
    Layer,
    LayerNorm,
    ModelConfig,
    Pool,
    Residual,
)
from crnnocr.model.crnn import CRNN
from crnnocr.model.layers import (
    BidirectionalLSTM,
    ChannelNorm,
    MaskedAttention,
    MaskedBatchNorm2d,
    MaskedExcitation,
    channel_sums,
    frame_reversal,
)

CHANNELS, ROWS = 3, 4
WIDTHS = (7, 2, 5)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def norm(dtype: torch.dtype = torch.float64) -> MaskedBatchNorm2d:
    """With weights and statistics that are none of the defaults."""
    module = MaskedBatchNorm2d(CHANNELS).to(dtype)
    assert module.running_mean is not None
    assert module.running_var is not None
    for values, low, high in ((module.weight, 0.5, 2), (module.bias, -1, 1), (module.running_mean, -1, 1)):
        nn.init.uniform_(values, low, high)
    nn.init.uniform_(module.running_var, 0.5, 2)
    return module.train()


def mask(widths: Sequence[int], columns: int) -> Tensor:
    """(N, 1, 1, W) 1 in the true columns."""
    return (torch.arange(columns) < torch.tensor(widths)[:, None])[:, None, None, :].double()


def maps_of(widths: Sequence[int], columns: int | None = None, level: float = 2) -> Tensor:
    """(N, K, h, W) noise around `level`, zero past each one's width."""
    columns = columns or max(widths)
    noise = torch.randn(len(widths), CHANNELS, ROWS, max(widths), dtype=torch.float64) * 3 + level
    return functional.pad(noise, (0, columns - max(widths))) * mask(widths, columns)


def gathered(maps: Tensor, widths: Sequence[int]) -> Tensor:
    """(K, M) the values of all true columns, one line after the other."""
    return torch.cat([line[:, :, :width].flatten(1) for line, width in zip(maps, widths, strict=True)], dim=1)


def by_hand(maps: Tensor, widths: Sequence[int], module: nn.BatchNorm2d) -> Tensor:
    """(K, M) the normalized true columns, by the formula of Ioffe, Szegedy 2015, algorithm 1."""
    values = gathered(maps, widths)
    mean, variance = values.mean(1, keepdim=True), values.var(1, unbiased=False, keepdim=True)
    return module.weight[:, None] * (values - mean) / (variance + module.eps).sqrt() + module.bias[:, None]


@pytest.mark.parametrize("columns", [7, 12])
def test_the_true_columns_are_normalized_by_their_own_mean_and_variance(columns: int) -> None:
    module, maps = norm(), maps_of(WIDTHS, columns)
    out = module.over(maps, torch.tensor(WIDTHS))
    assert torch.allclose(gathered(out, WIDTHS), by_hand(maps, WIDTHS, module), atol=1e-12)


@pytest.mark.parametrize("in_one_pass", [True, False])
def test_thechannel_sums_are_the_same_with_and_without_the_kernel_for_one_pass(in_one_pass: bool) -> None:
    maps = maps_of(WIDTHS, 12)
    values = gathered(maps, WIDTHS)
    for found, expected in zip(channel_sums(maps, in_one_pass), (values.sum(1), values.square().sum(1)), strict=True):
        assert torch.allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("columns", [7, 12])
def test_gradients_are_those_of_the_true_columns(columns: int) -> None:
    module, leaf = norm(), maps_of(WIDTHS, columns).requires_grad_()
    towards = torch.randn(CHANNELS, ROWS * sum(WIDTHS), dtype=torch.float64)
    inside = mask(WIDTHS, columns)
    own = (gathered(module.over(leaf * inside, torch.tensor(WIDTHS)) * inside, WIDTHS) * towards).sum()
    plain = (by_hand(leaf, WIDTHS, module) * towards).sum()
    for mine, theirs in zip(*(torch.autograd.grad(x, (leaf, module.weight, module.bias)) for x in (own, plain)), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-12)


def test_gradients_are_those_that_small_changes_show() -> None:
    module, inside = norm(), mask((3, 2), 4)

    def normalize(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        module.weight, module.bias = weight, bias  # type: ignore[assignment]
        return module.over(maps * inside, torch.tensor((3, 2))) * inside

    weight, bias = module.weight.detach().clone().requires_grad_(), module.bias.detach().clone().requires_grad_()
    del module.weight, module.bias  # so that plain tensors can stand in their place
    assert torch.autograd.gradcheck(normalize, (maps_of((3, 2), 4).requires_grad_(), weight, bias))


def test_the_gradient_of_single_rows_may_be_in_any_order() -> None:
    module, maps = norm(), maps_of(WIDTHS)[:, :, :1].contiguous().requires_grad_()
    out = module.over(maps, torch.tensor(WIDTHS))
    by_frame = torch.randn(len(WIDTHS), max(WIDTHS), CHANNELS, 1, dtype=torch.float64).permute(0, 2, 3, 1)
    given = (maps, module.weight, module.bias)
    found, expected = (torch.autograd.grad(out, given, each, retain_graph=True) for each in (by_frame, by_frame.contiguous()))
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-12)


def test_running_statistics_are_those_of_the_true_columns() -> None:
    module, maps = norm(), maps_of(WIDTHS, 12)
    assert module.running_mean is not None
    assert module.running_var is not None
    mean, variance = module.running_mean.clone(), module.running_var.clone()
    module.over(maps, torch.tensor(WIDTHS))
    values = gathered(maps, WIDTHS)
    # torch's momentum of 0.1, and its estimate of the variance without bias.
    assert torch.allclose(module.running_mean, 0.9 * mean + 0.1 * values.mean(1))
    assert torch.allclose(module.running_var, 0.9 * variance + 0.1 * values.var(1))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("training", [True, False])
def test_without_padding_it_is_torchs_own(layout: torch.memory_format, training: bool) -> None:
    widths = (6, 6)
    module = norm(torch.float32).train(training)
    own = nn.BatchNorm2d(CHANNELS)
    own.load_state_dict(module.state_dict())  # the names are the same
    own.train(training)
    maps = maps_of(widths).float().contiguous(memory_format=layout)
    leaves = [maps.clone().requires_grad_() for _ in range(2)]
    out, expected = module.over(leaves[0], torch.tensor(widths)), own(leaves[1])
    towards = torch.randn_like(maps)
    torch.autograd.backward((out * towards).sum())
    torch.autograd.backward((expected * towards).sum())
    pairs = [(out, expected), (leaves[0].grad, leaves[1].grad)]
    pairs += [(module.weight.grad, own.weight.grad), (module.bias.grad, own.bias.grad)]
    pairs += [(module.running_mean, own.running_mean), (module.running_var, own.running_var)]
    for mine, theirs in pairs:
        assert mine is not None
        assert theirs is not None
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_more_padding_changes_nothing() -> None:
    module, maps = norm(), maps_of(WIDTHS)
    wider = functional.pad(maps, (0, 30))
    one, other = (copy.deepcopy(module) for _ in range(2))
    out, out_wider = one.over(maps, torch.tensor(WIDTHS)), other.over(wider, torch.tensor(WIDTHS))
    assert torch.allclose(gathered(out, WIDTHS), gathered(out_wider, WIDTHS), atol=1e-12)
    assert all(torch.allclose(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))


def test_a_single_value_a_channel_is_normalized_to_the_bias_and_harms_no_statistics() -> None:
    module = norm()
    out = module.over(torch.full((1, CHANNELS, 1, 1), 5.0, dtype=torch.float64), torch.tensor([1]))
    assert torch.allclose(out.flatten(), module.bias)
    assert all(bool(values.isfinite().all()) for values in module.buffers())


def test_values_far_from_zero_lose_little_in_single_precision() -> None:
    maps = maps_of((500, 300), level=100)  # mean 100, deviation 3
    single = norm(torch.float32)
    double = copy.deepcopy(single).double()
    out = gathered(single.over(maps.float(), torch.tensor((500, 300))), (500, 300)).double()
    # Squares near 10,000 have 7 digits, so a variance of 9 has about 4.
    assert torch.allclose(out, by_hand(maps, (500, 300), double), atol=5e-3)


def test_the_two_lstms_are_torch_s_bidirectional_lstm_on_packed_lines() -> None:
    torch.manual_seed(2)
    ours = BidirectionalLSTM(features=6, hidden=5)
    torchs = nn.LSTM(6, 5, batch_first=True, bidirectional=True)
    forward = ours.along.state_dict()
    backward = {f"{name}_reverse": value for name, value in ours.against.state_dict().items()}
    torchs.load_state_dict({**forward, **backward})

    frames = torch.tensor([9, 1, 4, 12, 9])
    features = torch.randn(5, 12, 6)
    packed = nn.utils.rnn.pack_padded_sequence(features, frames, batch_first=True, enforce_sorted=False)
    expected, _ = nn.utils.rnn.pad_packed_sequence(torchs(packed)[0], batch_first=True)
    found = ours(features, frame_reversal(frames, 12))
    for line, expected_line, true_frames in zip(found, expected, frames.tolist(), strict=True):
        # Sums of some ten 32-bit products below 1, rounded by 6e-8 each.
        torch.testing.assert_close(line[:true_frames], expected_line[:true_frames], rtol=0, atol=1e-6)


def test_a_reversal_reverses_the_true_frames_and_leaves_the_padding() -> None:
    assert frame_reversal(torch.tensor([3, 5, 1]), 5).tolist() == [[2, 1, 0, 3, 4], [4, 3, 2, 1, 0], [0, 1, 2, 3, 4]]


SHAPE = ModelConfig(preset="x", height=8, backbone=(Conv(4), Pool((2, 2), (2, 2)), Conv(6), Pool((2, 1), (2, 1))), hidden=4)


def excited(stage: MaskedExcitation, maps: Tensor) -> Tensor:
    """Squeeze-and-excitation of a single line, by the formula of Hu, Shen, Sun 2018, section 3."""
    squeezed = (stage.squeeze.weight @ maps.mean((0, 2, 3)) + stage.squeeze.bias).clamp(min=0)
    factors = ((stage.excite.weight @ squeezed + stage.excite.bias) / 6 + 0.5).clamp(0, 1)
    return maps * factors[:, None, None]


def test_the_means_of_an_excitation_are_those_of_the_true_columns() -> None:
    stage, maps = MaskedExcitation(CHANNELS, 2).double(), maps_of(WIDTHS, 12)
    for line, given, width in zip(stage(maps, torch.tensor(WIDTHS)), maps, WIDTHS, strict=True):
        torch.testing.assert_close(line[None, :, :, :width], excited(stage, given[None, :, :, :width]))


def test_the_means_of_an_excitation_are_finite_in_half_precision() -> None:
    stage, ones = (
        MaskedExcitation(CHANNELS, 2),
        torch.ones(1, CHANNELS, ROWS, 20_000),
    )  # 80,000 values, and no half is above 65,504
    (expected,) = stage(ones, torch.tensor([20_000]))
    (found,) = stage.half()(ones.half(), torch.tensor([20_000]))
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=2e-3)  # a half from 1/2 to 1 is rounded by 2**-12


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda maps: maps,
    "relu": torch.relu,
    "gelu": lambda maps: maps * (1 + torch.erf(maps / 2**0.5)) / 2,
    "swish": lambda maps: maps * torch.sigmoid(maps),
    "hard-swish": lambda maps: maps * (maps / 6 + 0.5).clamp(0, 1),
}


def normalized(stage: nn.Module, epsilon: float, maps: Tensor) -> Tensor:
    """Layer normalization as in its paper."""
    assert isinstance(stage, ChannelNorm)
    apart = maps - maps.mean(1, keepdim=True)
    scaled = apart / (apart.square().mean(1, keepdim=True) + epsilon).sqrt()
    return scaled * stage.weight[:, None, None] + stage.bias[:, None, None]


def attended(stage: nn.Module, heads: int, maps: Tensor) -> Tensor:
    """softmax(Q·Kᵀ / √d)·V of each head, as in its paper."""
    assert isinstance(stage, MaskedAttention)
    rows = []
    for row in maps[0].permute(1, 2, 0):  # (W, K)
        queries, keys, values = (row @ stage.given.weight.T + stage.given.bias).chunk(3, dim=1)
        seen = []
        for q, k, v in zip(*(each.chunk(heads, dim=1) for each in (queries, keys, values)), strict=True):
            seen.append(torch.softmax(q @ k.T / q.shape[1] ** 0.5, dim=1) @ v)
        rows.append(torch.cat(seen, dim=1) @ stage.result.weight.T + stage.result.bias)
    return torch.stack(rows).permute(2, 0, 1)[None]


def alone(layer: Layer, stage: nn.Module, maps: list[Tensor]) -> list[Tensor]:
    """What a layer makes of lines, none of which is ever padded: only the statistics are taken over all of them."""
    if isinstance(layer, Residual):
        return [one + more for one, more in zip(maps, chain(layer.layers, stage, maps), strict=True)]
    if isinstance(layer, Concat):
        assert isinstance(stage, nn.ModuleList)
        branches = [chain(branch, stages, maps) for branch, stages in zip(layer.branches, stage, strict=True)]
        return [torch.cat(parts, dim=1) for parts in zip(*branches, strict=True)]
    if isinstance(layer, Excitation):
        assert isinstance(stage, MaskedExcitation)
        return [excited(stage, one) for one in maps]
    if isinstance(layer, LayerNorm):
        return [normalized(stage, layer.epsilon, one) for one in maps]
    if isinstance(layer, Attention):
        return [attended(stage, layer.heads, one) for one in maps]
    maps = [functional.pad(one, (0, layer.more_padding[1], 0, layer.more_padding[0])) for one in maps]
    if isinstance(layer, Pool):
        return [stage(one) for one in maps]
    assert isinstance(stage, nn.Sequential)
    maps = [stage[0](one) for one in maps]
    if layer.norm:
        assert isinstance(stage[1], MaskedBatchNorm2d)
        values = torch.cat([one.transpose(0, 1).flatten(1) for one in maps], dim=1)
        mean, variance = values.mean(1)[:, None, None], values.var(1, unbiased=False)[:, None, None]
        scale, shift = stage[1].weight[:, None, None], stage[1].bias[:, None, None]
        maps = [(one - mean) / (variance + stage[1].eps).sqrt() * scale + shift for one in maps]
    return [ACTIVATIONS[layer.activation](one) for one in maps]


def chain(layers: Sequence[Layer], stages: nn.Module, maps: list[Tensor]) -> list[Tensor]:
    assert isinstance(stages, nn.ModuleList)
    for layer, stage in zip(layers, stages, strict=True):
        maps = alone(layer, stage, maps)
    return maps


def line_by_line(model: CRNN, lines: Sequence[Tensor]) -> list[Tensor]:
    """(T, F) features of (H, W) lines, none of which is ever padded."""
    maps = chain(model.backbone.layers, model.backbone.stages, [line[None, None] for line in lines])
    return [one[0].permute(2, 0, 1).flatten(1) for one in maps]


@pytest.mark.parametrize("shape", [SHAPE, NORMED, FOLDED], ids=["vgg", "normed", "folded"])
def test_lines_of_several_widths_are_trained_on_as_if_none_was_padded(shape: ModelConfig) -> None:
    model = CRNN(shape, 3).double().train()
    for values in model.backbone.parameters():
        nn.init.uniform_(values, -1, 1)  # shifts that turn zeros into something else
    widths = (30, 11, 5)
    lines = [torch.rand(shape.height, width, dtype=torch.float64) * 2 - 1 for width in widths]
    batch = torch.stack([functional.pad(line, (0, 33 - line.shape[1])) for line in lines])[:, None]
    features, frames = model.features(batch, torch.tensor(widths))
    expected = line_by_line(model, lines)
    assert frames.tolist() == [len(one) for one in expected] == [shape.frames(width) for width in widths]
    for mine, count, theirs in zip(features, frames.tolist(), expected, strict=True):
        assert torch.allclose(mine[:count], theirs, atol=1e-9)
        assert not mine[count:].any()
    towards = [torch.randn_like(one) for one in expected]
    own = sum((mine[: len(to)] * to).sum() for mine, to in zip(features, towards, strict=True))
    plain = sum((theirs * to).sum() for theirs, to in zip(expected, towards, strict=True))
    weights = list(model.backbone.parameters())
    assert isinstance(own, Tensor)
    assert isinstance(plain, Tensor)
    found, wanted = torch.autograd.grad(own, weights), torch.autograd.grad(plain, weights)
    largest = max(float(each.abs().max()) for each in wanted)
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-7 * largest)  # torch's hard sigmoid has a sixth in single precision


@pytest.mark.parametrize("shape", [NORMED, FOLDED], ids=["normed", "folded"])
def test_the_maps_are_those_of_the_source_graph(shape: ModelConfig) -> None:
    model = CRNN(shape, 3).eval()
    for name, values in model.backbone.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(values, -1, 1)
    for buffer in model.backbone.buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.5, 2)
    source = onnxruntime.InferenceSession(source_graph({name: value.numpy() for name, value in model.state_dict().items()}))
    for width in (5, 6, 7, 8, 9, 33, 150, 501, 2000):
        images = torch.rand(1, 1, shape.height, width) * 2 - 1
        (expected,) = source.run(None, {"images": images.numpy()})
        with torch.inference_mode():
            found, frames = model.backbone(images, torch.tensor([width]))
        assert frames.tolist() == [expected.shape[3]]
        assert expected.std() > 0.1
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-5)
