"""Networks for 32x32 images."""

from minigrad.models.lenet import lenet
from minigrad.models.mobilenet import mobilenet_v2
from minigrad.models.resnet import resnet20, resnet32, resnet56
from minigrad.models.small_cnn import small_cnn
from minigrad.models.vgg import vgg_small

__all__ = ["lenet", "mobilenet_v2", "resnet20", "resnet32", "resnet56", "small_cnn", "vgg_small"]
