"""Ready configurations: `tiny` trains from scratch on one or two CPU cores in minutes, `full` fine-tunes on a GPU.

They are data. No training code asks which of them it was given. What follows a dash is a variant, for the kinds of
model where it differs.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

from models.errors import ConfigError

Profile = Literal["tiny", "tiny-photos", "full", "full-fast"]

_DETECTOR_TINY: Final = {
    # RT-DETRv2: DETRs without denoising or pre-training do not converge in minutes, this one does.
    "architecture": {
        "model_type": "rt_detr_v2",
        "backbone_config": {
            "model_type": "rt_detr_resnet",
            "embedding_size": 32,  # must equal hidden_sizes[0] for basic layers of depth 1
            "hidden_sizes": [32, 64, 96, 128],
            "depths": [1, 1, 1, 1],
            "layer_type": "basic",
            "out_features": ["stage2", "stage3", "stage4"],
        },
        "freeze_backbone_batch_norms": False,
        "encoder_in_channels": [64, 96, 128],
        "encoder_hidden_dim": 96,
        "encoder_ffn_dim": 192,
        "encoder_attention_heads": 4,
        "hidden_expansion": 0.5,
        "d_model": 96,
        "decoder_in_channels": [96, 96, 96],
        "decoder_ffn_dim": 192,
        "decoder_layers": 2,
        "decoder_attention_heads": 6,
        "num_queries": 30,
        "num_denoising": 30,
        "weight_loss_vfl": 2.0,  # from nothing, boxes come sooner than their names
    },
    "height": 160,
    "width": 128,
    "steps": 1700,
    "optimiser": "muon",  # after 500 steps AP50 0.69 against 0.61 with AdamW; a step takes a fifth longer
    "batch": 8,  # more, smaller steps: from scratch it learns faster per picture
    "learning_rate": 2e-3,
    "weight_decay": 1e-4,
    "clip": 1.0,
    "precision": "float32",  # bfloat16 gains little here and was behind in a short comparison
    "cache_side": 176,
    "workers": 1,  # varies the pictures meanwhile: a tenth of a step
    "crop_probability": 0.0,  # drawn people come in all framings already
    "jitter": 0.2,
}
_DETECTOR_TINY_PHOTOS: Final = {
    **_DETECTOR_TINY,
    # In the street people stand from head to foot, in a shop's photos there is half of one, or a sleeve. On unseen
    # street photos AP50 rose from 0.48 to 0.53, and 111 instead of 67 of a shop's 257 products got a box.
    "crop_probability": 0.5,
    "cache_side": 480,  # a crop of 176 px, enlarged, is blurred as no photo is: 165 instead of 111 of those products
    "jitter": 0.25,
}
_DETECTOR_FULL: Final = {
    # The prior work's recipe: 100 epochs, batch 32, cosine, weight decay 1e-4, gradient clip 0.01.
    "pretrained": "microsoft/conditional-detr-resnet-50",
    "steps": 200_000,
    "batch": 32,
    "learning_rate": 5e-5,
    "weight_decay": 1e-4,
    "clip": 0.01,
    "evaluations": 50,
    "workers": 8,
    "processes": 0,
}
_DETECTOR_FULL_FAST: Final = {
    # RT-DETRv2 converges in a fifth of Conditional DETR's epochs; rates, clip and average as its authors fine-tune it.
    "pretrained": "PekingU/rtdetr_v2_r50vd",
    "steps": 40_000,
    "batch": 32,
    "learning_rate": 1e-4,
    "weight_decay": 1e-4,
    "clip": 0.1,
    "ema": 0.9998,
    "evaluations": 20,
    "workers": 8,
    "processes": 0,
}
_CLASSIFIER_TINY: Final = {
    "architecture": {
        "model_type": "resnet",
        "embedding_size": 32,
        "hidden_sizes": [32, 64, 128, 192],
        "depths": [1, 2, 2, 1],
        "layer_type": "basic",
    },
    "height": 64,
    "width": 64,
    "steps": 2500,  # it learns beside the detector, which takes longer still
    "batch": 64,
    "optimiser": "muon",  # a quarter and a third fewer errors than with AdamW in two trainings
    "learning_rate": 2e-3,
    "weight_decay": 0.05,
    "evaluations": 1,  # on a hundred products, the best of several is luck
    "zoom": 0.15,  # shapes tell the classes apart: too much distortion costs two points
    "rotation": 6.0,
    "jitter": 0.2,
    "cast": 0.15,
    "erase": 0.1,
}
_CLASSIFIER_FULL: Final = {
    "pretrained": "google/vit-base-patch16-224-in21k",
    "height": 224,
    "width": 224,
    "steps": 20_000,
    "batch": 64,
    "learning_rate": 5e-5,
    "weight_decay": 0.01,
    "evaluations": 20,
}
_ENCODER_TINY: Final = {
    "architecture": {
        "model_type": "swin",
        "patch_size": 8,  # a third of the time of patches of 4 px, and more steps win
        "embed_dim": 64,
        "depths": [2, 2],
        "num_heads": [2, 4],
        "window_size": 4,
        "use_absolute_embeddings": True,
        "drop_path_rate": 0.0,
    },
    "height": 64,
    "width": 64,
    "steps": 2000,  # R@1 on two other worlds 0.846 after 1,500 steps, 0.855 after 2,000
    "batch": 96,
    "optimiser": "muon",  # after 400 steps R@1 0.685 against 0.567 with AdamW
    "learning_rate": 2e-3,
    "weight_decay": 0.05,
    "same_category": 0.7,
    "scales": [1.0, 0.85, 0.7],  # R@1 rises by three to six points; embedding takes three times as long
    "splice": 0.5,  # R@1 rose by one to two points in each of three comparisons
    "jitter": 0.1,
    "cast": 0.06,
    "erase": 0.0,
    "zoom": 0.25,
    "rotation": 5.0,
    "evaluations": 1,  # the schedule ends at its best; an earlier one wins by luck on a few dozen products
    "processes": 2,  # a step takes 0.216 s, with two threads of one process 0.301 s
}
_PHOTOS: Final = {
    # Of photos some show all of a product and some its cuff, beside thumbnails of the whole, while drawn boxes hold
    # whole garments. After 400 steps R@1 of unseen real pairs was 0.66 instead of 0.63.
    "zoom": 0.7,
    "thumbnails_apart": False,  # one or two points on drawn worlds; on 200 real pairs two trainings found none
}
_CATEGORY_ENCODER_TINY: Final = {
    **_ENCODER_TINY,
    "steps": 25,
    "batch": 64,
    "learning_rate": 3e-4,
    "evaluations": 1,
    "processes": 1,  # several train side by side
}
_VERIFIER_TINY: Final = {
    **_ENCODER_TINY,
    "steps": 500,  # with 600 instead of 300, a fifth fewer of the pairs that are kept are wrong
    "batch": 64,
    "processes": 1,  # both halves learn at once
    "distractors": 0,  # they would be the very products that are looked for
    "thumbnails_apart": False,  # what its answers weigh was fitted without
}
_ENCODER_FULL: Final = {
    "pretrained": "microsoft/swin-base-patch4-window7-224",
    "height": 224,
    "width": 224,
    "steps": 45_000,  # ten epochs of 290,000 pairs
    "batch": 64,
    "learning_rate": 5e-5,
    "weight_decay": 0.05,
    "evaluations": 20,
    "in_memory": False,
    "workers": 8,
    "processes": 0,
}
_CATEGORY_ENCODER_FULL: Final = {**_ENCODER_FULL, "steps": 4_500, "learning_rate": 2e-5}
_VERIFIER_FULL: Final = {**_ENCODER_FULL, "steps": 3_000, "distractors": 0, "thumbnails_apart": False}
_PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "detector-tiny": _DETECTOR_TINY,
    "detector-tiny-photos": _DETECTOR_TINY_PHOTOS,
    "detector-full": _DETECTOR_FULL,
    "detector-full-fast": _DETECTOR_FULL_FAST,
    "classifier-tiny": _CLASSIFIER_TINY,
    "classifier-full": _CLASSIFIER_FULL,
    "encoder-tiny": _ENCODER_TINY,
    "encoder-tiny-photos": {**_ENCODER_TINY, **_PHOTOS},
    "encoder-full": _ENCODER_FULL,
    "verifier-tiny": _VERIFIER_TINY,
    "verifier-full": _VERIFIER_FULL,
    "category-encoder-tiny": _CATEGORY_ENCODER_TINY,
    "category-encoder-tiny-photos": {**_CATEGORY_ENCODER_TINY, **_PHOTOS},
    "category-encoder-full": _CATEGORY_ENCODER_FULL,
}


def preset(kind: str, profile: str, **changes: Any) -> dict[str, Any]:
    """Values of a configuration, with `changes` over them.

    Args:
        kind: of model.
        profile: a `Profile`; where this kind has no such variant, what stands before the dash.
        changes: fields that win.

    Raises:
        ConfigError: there is no such preset.
    """
    name = f"{kind}-{profile}"
    if name not in _PRESETS and profile in get_args(Profile):
        name = f"{kind}-{profile.partition('-')[0]}"
    if name not in _PRESETS:
        raise ConfigError(f"no preset {name!r}; there are {', '.join(_PRESETS)}")
    return {**_PRESETS[name], **changes}
