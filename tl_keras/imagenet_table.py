"""Where Keras gets its ImageNet weights without a classifier, as a table of facts.

Known without loading Keras, so that missing weights are told at once. A test compares it with what
Keras asks for.
"""

_HOST = "https://storage.googleapis.com"
_TENSORFLOW = f"{_HOST}/tensorflow/keras-applications"
_MOBILENET_V2 = f"{_TENSORFLOW}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels"
_MOBILENET_V3 = f"{_TENSORFLOW}/mobilenet_v3/weights_mobilenet_v3"
_KERNELS = "weights_tf_dim_ordering_tf_kernels"

# By backbone; {tenths} is alpha as in 7_5, {size} the side where a backbone has several files.
URLS = {
    "MobileNet": f"{_TENSORFLOW}/mobilenet/mobilenet_{{tenths}}_{{size}}_tf_no_top.h5",
    "MobileNetV2": f"{_MOBILENET_V2}_{{alpha}}_{{size}}_no_top.h5",
    "MobileNetV3Small": f"{_MOBILENET_V3}_small_224_{{alpha}}_float_no_top_v2.h5",
    "MobileNetV3Large": f"{_MOBILENET_V3}_large_224_{{alpha}}_float_no_top_v2.h5",
    **{
        f"EfficientNetB{number}": f"{_HOST}/keras-applications/efficientnetb{number}_notop.h5"
        for number in range(4)
    },
    **{
        f"EfficientNetV2B{number}": (
            f"{_TENSORFLOW}/efficientnet_v2/efficientnetv2-b{number}_notop.h5"
        )
        for number in range(3)
    },
    "ResNet50": f"{_TENSORFLOW}/resnet/resnet50_{_KERNELS}_notop.h5",
    "ResNet50V2": f"{_TENSORFLOW}/resnet/resnet50v2_{_KERNELS}_notop.h5",
    "DenseNet121": f"{_TENSORFLOW}/densenet/densenet121_{_KERNELS}_notop.h5",
    "Xception": f"{_TENSORFLOW}/xception/xception_{_KERNELS}_notop.h5",
    "InceptionV3": f"{_TENSORFLOW}/inception_v3/inception_v3_{_KERNELS}_notop.h5",
    "VGG16": f"{_TENSORFLOW}/vgg16/vgg16_{_KERNELS}_notop.h5",
    "ConvNeXtTiny": f"{_TENSORFLOW}/convnext/convnext_tiny_notop.h5",
    "NASNetMobile": f"{_TENSORFLOW}/nasnet/NASNet-mobile-no-top.h5",
}
# Input sides, pixels, that have weights of their own; others take those of 224.
_SIZES = {"MobileNet": (128, 160, 192, 224), "MobileNetV2": (96, 128, 160, 192, 224)}
_OTHER_NAMES = {"NASNetMobile": "nasnet_mobile_no_top.h5"}


def imagenet_url(backbone: str, alpha: float | None, image_size: int) -> str:
    """What Keras downloads.

    Args:
        backbone: a key of `URLS`.
        alpha: width multiplier; None is 1.0.
        image_size: side of the input, pixels.
    """
    factor = float(alpha or 1.0)
    return URLS[backbone].format(
        alpha=factor,
        tenths="1_0" if factor == 1 else f"{factor * 10:.1f}".replace(".", "_"),
        size=image_size if image_size in _SIZES.get(backbone, ()) else 224,
    )


def imagenet_file(backbone: str, alpha: float | None, image_size: int) -> str:
    """The name under which Keras keeps it; the arguments are those of `imagenet_url`."""
    url = imagenet_url(backbone, alpha, image_size)
    return _OTHER_NAMES.get(backbone, url.rpartition("/")[2])
