"""``mstl doctor``: show what this machine has, and whether it computes as fast as it should."""

import os
import platform
import time

from mstl.commands import shared
from mstl.config import EngineName
from mstl.runtime import devices, environment

PACKAGES = ("mstl", "mindspore", "numpy", "download", "matplotlib", "click", "pillow", "safetensors")
BRINGS: dict[EngineName, str] = {
    "onnxruntime": "makes frozen layers and answers 1.4 to 5 times as fast on a CPU",
    "openvino": "makes them twice as fast again, where the processor computes in bf16",
}
SLOW = 10  # GFLOP/s below which a convolution is slower than it should be on a single core


@shared.command
def main() -> None:
    """Print versions, devices, cores and folders; time a convolution."""
    print(f"{'python':<14}{platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in PACKAGES:
        print(f"{name:<14}{environment.installed_version(name) or 'not installed'}")
    print(f"{'devices':<14}{', '.join(devices.available_devices())}")
    print(f"{'cores':<14}{devices.cores()}")
    cap = os.environ.get(environment.ONEDNN_CAP)
    needed = "needed here" if environment.needs_onednn_cap() else "not needed here"
    print(f"{'oneDNN cap':<14}{cap or 'none'} ({environment.ONEDNN_CAP}; {needed})")
    for name in BRINGS:
        print(f"{name:<14}{describe_engine(name)}")
    print(f"{'folder':<14}{environment.home()} (weights, data; set MSTL_HOME to move it)")
    print(f"{'network':<14}{'forbidden by MSTL_OFFLINE' if environment.offline() else 'allowed'}")
    print(f"{'mirror':<14}{os.environ.get('MSTL_MIRROR') or 'none'} (MSTL_MIRROR)")
    device = devices.use_device("auto")
    speed = time_convolution()
    print(f"{'convolution':<14}{speed:.0f} GFLOP/s on {device}")
    if speed < SLOW:
        print(
            f"This is slow: convolutions should reach some tens of GFLOP/s. If the processor has AVX-512, set "
            f"{environment.ONEDNN_CAP}=AVX2; otherwise check what else is running on the machine."
        )


def describe_engine(name: EngineName) -> str:
    """The version of an engine, and what it is good for; or what is missing, and what that would bring."""
    from mstl.engines import choice

    missing = choice.missing_package(name)
    if missing is None:
        bf16 = " and bf16" if name == "openvino" and choice.computes_bf16() else ""
        return f"{choice.version(name)} (an engine for frozen layers and answers, in fp32{bf16})"
    return f'{missing} is not installed: `pip install "mstl[{choice.EXTRAS[name]}]"` {BRINGS[name]}'


def time_convolution() -> float:
    """GFLOP/s of a 3 x 3 convolution from 64 to 64 channels on 8 images of 56 x 56, the median of five runs."""
    import mindspore as ms
    import numpy as np

    from mstl.models import layers

    layer = layers.conv2d(64, 64, 3)
    images = ms.Tensor(np.random.default_rng(0).normal(size=(8, 64, 56, 56)).astype(np.float32))
    layer(images).asnumpy()  # the first call compiles the kernel
    times = []
    for _ in range(5):
        started = time.perf_counter()
        layer(images).asnumpy()
        times.append(time.perf_counter() - started)
    return 2 * 8 * 64 * 64 * 9 * 56 * 56 / float(np.median(times)) / 1e9
