"""Choice of an engine: which of those that are installed may compute a forward pass here, best first."""

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from mstl.config import EngineName, PrecisionName
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
NEEDED: dict[EngineName, tuple[str, ...]] = {  # packages
    "mindspore": ("mindspore",),
    "onnxruntime": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino"),
}
EXTRAS: dict[EngineName, str] = {"onnxruntime": "onnx", "openvino": "openvino"}
QUICKEST: tuple[tuple[EngineName, PrecisionName], ...] = (  # on a CPU, as benchmarks/README.md has it
    ("openvino", "bf16"),
    ("onnxruntime", "fp32"),
    ("openvino", "fp32"),
)


@dataclass(frozen=True)
class Choice:
    """Who computes a forward pass, and in which numbers.

    Attributes:
        engine: ``"mindspore"``, ``"onnxruntime"`` or ``"openvino"``.
        precision: ``"fp32"``, ``"bf16"``, or MindSpore's level of mixed precision.
        version: Of the engine.
    """

    engine: str
    precision: str
    version: str

    def __str__(self) -> str:
        return f"{self.engine} {self.version} in {self.precision}"

    @classmethod
    def from_dict(cls, values: Mapping[str, str]) -> "Choice":
        """The inverse of ``dataclasses.asdict``; what is missing is unknown."""
        return cls(*(values.get(field.name, "unknown") for field in dataclasses.fields(cls)))


def choices(
    engine: EngineName = "auto",
    precision: PrecisionName = "auto",
    device: str = "CPU",
    amp: str = "O0",
    recorded: str | None = None,
) -> list[Choice]:
    """What may compute, best first.

    Args:
        engine, precision: What the user wants. ``"auto"`` can be had from MindSpore, too, which is then the last and
            needs no proof; an engine that is named, or bf16, cannot.
        device: On which MindSpore computes; the other engines are for the CPU.
        amp: MindSpore's level of mixed precision; the other engines have none.
        recorded: The precision by which a model was trained: ``"auto"`` keeps to it, where it is possible here. None
            for a new model.

    Raises:
        MstlError: What the user wants is not installed, or impossible here.
    """
    mindspore = Choice("mindspore", "fp32" if amp == "O0" else amp, version("mindspore"))
    refuse_impossible(engine, precision, device, amp)
    if engine == "mindspore" or device != "CPU" or amp != "O0":
        return [mindspore]
    others = [] if engine != "auto" or precision == "bf16" else [mindspore]
    if precision == "auto" and recorded not in (None, "bf16"):
        precision = "fp32"
    found = [
        Choice(name, numbers, version(name))
        for name, numbers in QUICKEST
        if engine in ("auto", name) and precision in ("auto", numbers)
        if not missing_package(name) and (numbers != "bf16" or computes_bf16())
    ]
    if recorded == "bf16" and precision == "auto" and all(choice.precision != "bf16" for choice in found):
        logger.info("engine: fp32 is used, as bf16, by which the model was trained, is not computed here")
    return found + others


def refuse_impossible(engine: EngineName, precision: PrecisionName, device: str, amp: str) -> None:
    """Check what the user wants.

    Raises:
        MstlError: It is not installed, or impossible here.
    """
    wanted = f"--engine {engine}" if engine not in ("auto", "mindspore") else "--precision bf16"
    if wanted == "--precision bf16" and precision != "bf16":
        return
    if device != "CPU" or amp != "O0":
        where = f"--device {device}" if device != "CPU" else f"--amp {amp}"
        raise MstlError(f"{wanted} is for the CPU without mixed precision, not for {where}: leave one of them out")
    if precision == "bf16" and engine not in ("auto", "openvino"):
        raise MstlError(f"--engine {engine} does not compute in bf16: use --engine openvino, or leave --precision out")
    package = missing_package("openvino" if precision == "bf16" else engine)
    if package is not None:
        extra = EXTRAS["openvino" if precision == "bf16" else engine]
        raise MstlError(f'{wanted} needs {package}, which is not installed: `pip install "mstl[{extra}]"`')
    if precision == "bf16" and not computes_bf16():
        raise MstlError("--precision bf16 needs a processor that computes in it, which this one does not: leave it out")


def missing_package(engine: EngineName) -> str | None:
    """A package that an engine needs and that is not installed; None if all are. None of them is imported."""
    return next((name for name in NEEDED[engine] if importlib.util.find_spec(name) is None), None)


def version(engine: EngineName) -> str:
    """The version of an installed engine, also of one whose package has another name, such as onnxruntime-gpu."""
    try:
        return importlib.metadata.version(engine)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(importlib.import_module(engine), "__version__", "unknown"))


def computes_bf16() -> bool:
    """Whether OpenVINO, which must be installed, finds that this processor computes in bf16."""
    from mstl.engines.openvino_session import load_openvino

    _, capabilities = load_openvino()
    return "BF16" in capabilities
