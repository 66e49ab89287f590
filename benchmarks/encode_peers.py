"""Other runtimes for the same model, each measured only if it is installed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llmrec_qdrant.cli.printing import out
from workers.behaviour.vectors import normalised

Encode = Callable[[list[str]], np.ndarray]
Run = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Token ids, mask and token kinds, all (texts, length) → token vectors."""

BATCH = 32
"""Texts per batch, the default of sentence-transformers."""


class Bare(torch.nn.Module):
    """The transformer without its dictionary of results."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
        return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)[0]


def peers(model: Any, texts: Sequence[str]) -> Iterator[tuple[str, Encode]]:
    """Name → function from texts to unit vectors; what is not installed is named and left out."""
    model = model.cpu()  # these runtimes are measured on the CPU
    for kind, build in (("ONNX Runtime", _onnx), ("OpenVINO", _openvino)):
        try:
            for name, run in build(model, texts):
                yield name, _padded(model.tokenizer, model.max_seq_length, run)
        except ImportError as missing:
            out.print(f"{kind} is left out: {missing}", style="dim")
    try:
        from fastembed import TextEmbedding

        found = TextEmbedding("sentence-transformers/all-MiniLM-L6-v2")
        yield "fastembed", lambda given: normalised(np.stack(list(found.embed(given))))
    except ImportError as missing:
        out.print(f"fastembed is left out: {missing}", style="dim")
    except Exception as error:  # whatever a download can raise
        out.print(f"fastembed is left out, its model cannot be had: {str(error)[:80]}", style="dim")


def _padded(tokenizer: Any, limit: int, run: Run) -> Encode:
    """Sorted by length, padded to the longest of a batch, averaged over the tokens."""

    def encode(texts: list[str]) -> np.ndarray:
        rows: list[Any] = [None] * len(texts)
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            given = tokenizer(
                [texts[index] for index in part], padding=True, truncation=True, max_length=limit, return_tensors="np"
            )
            mask = given["attention_mask"]
            states = run(given["input_ids"], mask, given["token_type_ids"])
            pooled = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
            for index, row in zip(part, pooled, strict=True):
                rows[index] = row
        return normalised(np.stack(rows))

    return encode


def _example(model: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    given = model.tokenizer(["two short texts", "of different length, padded"], padding=True, return_tensors="pt")
    return given["input_ids"], given["attention_mask"], given["token_type_ids"]


def _onnx(model: Any, texts: Sequence[str]) -> Iterator[tuple[str, Run]]:
    import onnx  # noqa: F401
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    names = ["input_ids", "attention_mask", "token_type_ids"]
    with tempfile.TemporaryDirectory(prefix="llmrec-onnx-") as folder:
        plain, small = Path(folder) / "model.onnx", Path(folder) / "int8.onnx"
        axes = {name: {0: "texts", 1: "tokens"} for name in [*names, "states"]}
        torch.onnx.export(
            Bare(model[0].auto_model).eval(), _example(model), str(plain), input_names=names, output_names=["states"],
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
        quantize_dynamic(plain, small, weight_type=QuantType.QInt8)
        for name, path in (("ONNX Runtime fp32", plain), ("ONNX Runtime int8, dynamic", small)):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
            yield (
                name,
                lambda ids, mask, kinds, session=session: session.run(
                    None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
                )[0],
            )


def _openvino(model: Any, texts: Sequence[str]) -> Iterator[tuple[str, Run]]:
    import openvino

    def convert() -> Any:
        found = openvino.convert_model(Bare(model[0].auto_model).eval(), example_input=_example(model))
        found.reshape({port: openvino.PartialShape([-1, -1]) for port in found.inputs})
        return found

    def compiled(graph: Any, precision: str) -> Run:
        hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        request = openvino.Core().compile_model(graph, "CPU", hints).create_infer_request()
        return lambda ids, mask, kinds: next(iter(request.infer([ids, mask, kinds]).values())).astype(np.float32)

    for precision in ("f32", "bf16"):
        yield f"OpenVINO {precision}", compiled(convert(), precision)
    import nncf

    def feed(text: str) -> Any:
        given = model.tokenizer(text, truncation=True, max_length=model.max_seq_length, return_tensors="np")
        return [given["input_ids"], given["attention_mask"], given["token_type_ids"]]

    graph = nncf.quantize(
        convert(), nncf.Dataset(list(texts)[:64], feed), model_type=nncf.ModelType.TRANSFORMER, subset_size=64
    )
    yield "OpenVINO int8 (nncf)", compiled(graph, "f32")
