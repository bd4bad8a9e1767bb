"""Gradient caching: the gradients of the plain batch, in less memory."""

import torch  # noqa: TID253
from transformers import SwinConfig, SwinModel  # noqa: TID253

from models.encoder.caching import cached
from models.encoder.loss import info_nce
from models.encoder.model import ImageEncoder

PAIRS, MICRO = 12, 5  # parts of 5, 5 and 2 pairs
LABELS = torch.tensor([0, 0, *range(2, PAIRS)])


def encoder(drop):
    torch.manual_seed(0)
    config = SwinConfig(
        image_size=32,
        patch_size=4,
        embed_dim=16,
        depths=[1, 1],
        num_heads=[2, 2],
        window_size=4,
        hidden_dropout_prob=drop,
        attention_probs_dropout_prob=drop,
        drop_path_rate=drop,
    )
    return ImageEncoder(SwinModel(config), 8).train()


def embedding(model):
    """Noise for augmentation, then the encoder."""

    def embed(anchors, positives, source):
        images = torch.cat([anchors, positives]) + 0.1 * torch.randn(1, generator=source)
        return model(images).reshape(2, len(anchors), -1)

    return embed


def gradients(model, make):
    draw = torch.Generator().manual_seed(7)
    sides = torch.randn(2, PAIRS, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(3)  # dropout
    anchors, positives = make(*sides, draw)
    info_nce(anchors, positives, LABELS, 0.1).backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def in_parts(model):
    """The plain way: the same parts, all their activations kept."""

    def make(anchors, positives, draw):
        sides = list(zip(anchors.split(MICRO), positives.split(MICRO), strict=True))
        seeds = torch.randint(2**62, (len(sides),), generator=draw).tolist()
        embed = embedding(model)
        parts = [embed(*side, torch.Generator().manual_seed(seed)) for side, seed in zip(sides, seeds, strict=True)]
        return torch.cat(parts, dim=1)

    return make


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        assert (gradient - other[name]).abs().max() < 1e-5 * gradient.abs().max().clamp(min=1), name


def test_cached__gradients_of_the_plain_batch_with_dropout_and_drop_path():
    plain, model = encoder(0.2), encoder(0.2)
    expected = gradients(plain, in_parts(plain))
    assert_same(expected, gradients(model, lambda a, p, draw: cached(embedding(model), a, p, MICRO, draw)))
    undropped = encoder(0.0)
    without = gradients(undropped, in_parts(undropped))
    assert max((expected[name] - without[name]).abs().max() for name in expected) > 1e-3  # dropout did something


def test_cached__whole_batch_at_once_is_the_same():
    plain, model = encoder(0.0), encoder(0.0)
    whole = gradients(plain, lambda a, p, _: embedding(plain)(a, p, torch.Generator().manual_seed(0)))
    same = gradients(
        model,
        lambda a, p, draw: cached(
            lambda x, y, _: embedding(model)(x, y, torch.Generator().manual_seed(0)), a, p, MICRO, draw
        ),
    )
    assert_same(whole, same)


def test_cached__holds_the_activations_of_one_part():
    model = encoder(0.0)

    def kept(make):
        held = {}

        def pack(tensor):
            held[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
            return tensor

        sides = torch.randn(2, 64, 3, 32, 32)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            make(*sides, torch.Generator())
        return sum(held.values())

    everything = kept(embedding(model))
    assert kept(lambda a, p, draw: cached(embedding(model), a, p, 4, draw)) < everything / 8
