"""Networks for 32x32 images."""

from minigrad.models.small_cnn import small_cnn

__all__ = ["small_cnn"]
