"""The full profile's networks as published, with random weights: as fast as trained ones, and as useful as none."""

from typing import Any


def conditional_detr() -> tuple[Any, Any]:
    """`microsoft/conditional-detr-resnet-50` with the seven classes, and its image processor."""
    from transformers import (
        ConditionalDetrConfig,
        ConditionalDetrForObjectDetection,
        ConditionalDetrImageProcessor,
        ResNetConfig,
    )

    from curation.taxonomy import CATEGORIES

    resnet = ResNetConfig(out_features=["stage4"])
    config = ConditionalDetrConfig(use_timm_backbone=False, backbone=None, backbone_config=resnet)
    config.id2label = dict(enumerate(CATEGORIES))
    return ConditionalDetrForObjectDetection(config).eval(), ConditionalDetrImageProcessor()


def swin_base(dimension: int = 128) -> tuple[Any, Any]:
    """The encoder on `microsoft/swin-base-patch4-window7-224`, and its image processor."""
    from transformers import SwinConfig, SwinModel, ViTImageProcessor

    from models.encoder.model import ImageEncoder

    config = SwinConfig(embed_dim=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32])
    return ImageEncoder(SwinModel(config), dimension).eval(), ViTImageProcessor()
