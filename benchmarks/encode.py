"""Measures encoding speed against sentence-transformers and dedicated inference runtimes, in one run.

``python -m benchmarks.encode --data ../shared/datasets`` encodes the same real texts, short (Industrial titles) and long
(MovieLens plots, Industrial descriptions), with every variant in turn, round after round, and reports the medians of the
ratios within a round, since other load on the machine slows all variants alike. Agreement with ``SentenceTransformer`` in
fp32 is measured as cosine, as rank correlation among each text's nearest hundred, and for the static encoder as NDCG@10 of the
dense leg alone on Industrial test rows (with ``--beauty``, also on Beauty). Then items pass through a worker into a real
Qdrant, compared with the encoder alone. On CUDA, or with ``--peak``, it also reports the fraction of the measured
matrix-product peak that BERT-base reaches on texts of 256 tokens in bf16.

Other runtimes are measured if they are installed: ``pip install onnx onnxruntime openvino nncf fastembed``.
Last line: JSON with ``speedup`` (auto against SentenceTransformer fp32 as shipped), ``cosine``, ``end_to_end`` and
``rows``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich import box
from rich.table import Table

from benchmarks import movielens, quality
from benchmarks.encode_peers import peers
from llmrec_qdrant import Item, Recommender, SpaceConfig, WorkPendingWarning
from llmrec_qdrant.cli.printing import out
from llmrec_qdrant.contracts.messages import EmbedItems
from llmrec_qdrant.testing import MemoryQueue
from tests.services import QdrantServer
from workers.behaviour.vectors import normalised
from workers.dispatch import Worker
from workers.encoding.backends import Backend
from workers.encoding.encoder import SentenceEncoder, sentence_model
from workers.encoding.loading import load_encoder
from workers.text.clean import clean

Encode = Callable[[list[str]], np.ndarray]
BASE = "sentence-transformers fp32"
AUTO = "ours, auto"
NEAREST = 100


def main() -> int:
    """Run the benchmark."""
    options = _options()
    warnings.simplefilter("ignore", WorkPendingWarning)
    chance = random.Random(0)
    texts = {name: chance.sample(found, min(options.texts, len(found))) for name, found in corpora(options.data)}
    if options.threads:
        torch.set_num_threads(options.threads)
    load = os.getloadavg()[0]
    out.print(
        f"{torch.get_num_threads()} threads of {os.cpu_count()} cores, {load:.1f} processes wanting one; {_device()}; "
        f"{options.texts} texts of each kind, {options.rounds} rounds"
    )
    path = {} if options.encoder_only else end_to_end(options)  # first: a worker holds no model but its own
    made = dict(variants(texts))
    rows, vectors = measure(made, texts, options.rounds)
    for name, row in rows.items():
        row |= agreement(np.concatenate(list(vectors[name].values())), np.concatenate(list(vectors[BASE].values())))
    _print_rows(rows, texts)
    auto = rows[AUTO]
    figures: dict[str, Any] = {
        "speedup": round(statistics.geometric_mean([auto[f"times {kind}"] for kind in texts]), 2),
        "cosine": auto["cosine"],
        "backend": load_encoder(SpaceConfig()).backend,
        "static_speedup": round(
            statistics.geometric_mean([rows["ours, static"][f"times {kind}"] for kind in texts]), 1
        ),
        "device": _device(),
        "threads": torch.get_num_threads(),
        "load": round(load, 1),
    }
    figures |= path | ({} if options.encoder_only else static_share(options))
    if options.peak or torch.cuda.is_available():
        figures |= peak_share()
    else:
        out.print("no CUDA device: the share of the matrix-product peak was not measured (--peak measures it on a CPU)")
    end = f"; end to end {path['end_to_end']:.2f} of the encoder alone" if path else ""
    out.print(
        f"[bold]{AUTO} ({figures['backend']}): {figures['speedup']} × {BASE} at cosine {figures['cosine']:.4f}{end}[/bold]"
    )
    print(json.dumps(figures | {"rows": rows}))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with amazon_industrial/ and movielens_small/")
    parser.add_argument("--texts", type=int, default=200, help="texts of each kind")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=1536, help="items that go into Qdrant")
    parser.add_argument("--threads", type=int, default=None, help="cores that every variant may use; default all")
    parser.add_argument("--beauty", action="store_true", help="NDCG also on Beauty, 12,101 items")
    parser.add_argument("--encoder-only", action="store_true", help="leave out Qdrant and the figures of lists")
    parser.add_argument("--peak", action="store_true", help="measure the share of the peak on a CPU, too")
    return parser.parse_args()


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def corpora(data: Path) -> Iterator[tuple[str, list[str]]]:
    """Kind → cleaned texts, each different."""
    films = [clean(f"{film['title']}\n{film['text']}") for film in movielens.items(data)]
    with (data / "amazon_industrial" / "items.json").open(encoding="utf-8") as handle:
        goods = [(row["title"], str(row.get("description") or "")) for row in json.load(handle).values()]
    yield "short", list(dict.fromkeys(clean(title) for title, _ in goods))
    described = [clean(f"{title}\n{text}") for title, text in goods if text]
    yield "long", list(dict.fromkeys([*films[::3], *described]))


def variants(texts: dict[str, list[str]]) -> Iterator[tuple[str, Encode]]:
    """Name → function from texts to unit vectors; the reference first."""
    shipped = sentence_model(SpaceConfig())
    yield BASE, lambda given: shipped.encode(given, normalize_embeddings=True, show_progress_bar=False)
    lower = sentence_model(SpaceConfig()).to(torch.bfloat16)
    yield (
        "sentence-transformers bf16",
        lambda given: normalised(
            lower.encode(given, convert_to_numpy=False, convert_to_tensor=True, show_progress_bar=False)
            .float()
            .cpu()
            .numpy()
        ),
    )
    ways = ["fp32", "bf16"] if torch.cuda.is_available() else ["fp32", "bf16", "int8"]
    for way in ways:
        yield f"ours, {way}", SentenceEncoder(SpaceConfig(), way).encode
    yield AUTO, load_encoder(SpaceConfig()).encode
    yield "ours, static", SentenceEncoder(SpaceConfig(model=f"static:{SpaceConfig().model}")).encode
    yield from peers(sentence_model(SpaceConfig()), [text for found in texts.values() for text in found])


def measure(
    made: dict[str, Encode], texts: dict[str, list[str]], rounds: int
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, np.ndarray]]]:
    """Name → figures per kind of text; name → kind → vectors. All variants take turns within a round."""
    tokenizer = sentence_model(SpaceConfig()).tokenizer
    tokens = {
        kind: sum(map(len, tokenizer(given, truncation=True, max_length=256)["input_ids"]))
        for kind, given in texts.items()
    }
    for kind, given in texts.items():
        out.print(f"{kind}: {len(given)} texts of {tokens[kind] / len(given):.0f} tokens on average")
    seconds: dict[tuple[str, str], list[float]] = {}
    vectors: dict[str, dict[str, np.ndarray]] = {name: {} for name in made}
    for encode in made.values():
        encode(next(iter(texts.values()))[:16])
    for turn in range(rounds):
        for kind, given in texts.items():
            for name, encode in made.items():
                began = time.perf_counter()
                vectors[name][kind] = encode(given)
                seconds.setdefault((name, kind), []).append(time.perf_counter() - began)
            out.print(
                f"  round {turn + 1} of {rounds}, {kind}: {BASE} {len(given) / seconds[BASE, kind][-1]:.0f} texts/s",
                style="dim",
            )
    rows: dict[str, dict[str, Any]] = {name: {} for name in made}
    for (name, kind), found in seconds.items():
        ratios = [base / own for base, own in zip(seconds[BASE, kind], found, strict=True)]
        rows[name] |= {
            f"texts/s {kind}": round(len(texts[kind]) / statistics.median(found), 1),
            f"tokens/s {kind}": round(tokens[kind] / statistics.median(found)),
            f"times {kind}": round(statistics.median(ratios), 2),
        }
    return rows, vectors


def agreement(own: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Mean cosine with the reference; mean Spearman correlation of similarities among each text's nearest of the reference."""
    there, here = reference @ reference.T, own @ own.T
    correlations = []
    for row in range(len(own)):
        near = np.argsort(-there[row])[1 : NEAREST + 1]
        places = [np.argsort(np.argsort(sims[row, near])) for sims in (there, here)]
        correlations.append(np.corrcoef(places[0], places[1])[0, 1])
    cosine = (own * reference).sum(axis=1).mean()
    return {"cosine": round(float(cosine), 5), "neighbours": round(float(np.mean(correlations)), 4)}


def _print_rows(rows: dict[str, dict[str, Any]], texts: dict[str, list[str]]) -> None:
    table = Table(box=box.SIMPLE, header_style="bold", pad_edge=False)
    table.add_column("", no_wrap=True)
    for kind in texts:
        table.add_column(f"{kind}: texts/s", justify="right")
        table.add_column("×", justify="right", style="cyan")
    for name in ("cosine", "rank corr."):
        table.add_column(name, justify="right")
    for name, row in rows.items():
        speeds = [cell for kind in texts for cell in (f"{row[f'texts/s {kind}']:,.0f}", f"{row[f'times {kind}']:.1f}")]
        cosine = "–" if name.endswith("static") else f"{row['cosine']:.4f}"  # other axes: only distances compare
        table.add_row(name, *speeds, cosine, f"{row['neighbours']:.3f}")
    out.print(table)


def static_share(options: argparse.Namespace) -> dict[str, Any]:
    """NDCG@10 of the dense leg alone on test rows, with the model and with what is distilled from it."""
    found: dict[str, Any] = {}
    for dataset in ["industrial", *(["beauty"] if options.beauty else [])]:
        data = quality.DATASETS[dataset](options.data)
        texts = [item.source for item in data.items]
        ndcg = {}
        for model in (SpaceConfig().model, f"static:{SpaceConfig().model}"):
            began = time.perf_counter()
            rows = load_encoder(SpaceConfig(model=model)).encode(texts)
            ndcg[model] = dense_ndcg(rows, data)
            out.print(
                f"{dataset}: dense leg of {model} NDCG@10 {ndcg[model]:.4f}, "
                f"{len(texts):,} items in {time.perf_counter() - began:.0f} s", style="dim",
            )  # fmt: skip
        dense, static = ndcg.values()
        found[f"{dataset}_dense_ndcg"], found[f"{dataset}_static_ndcg"] = round(dense, 4), round(static, 4)
        found[f"{dataset}_static_share"] = round(static / dense, 3)
        out.print(f"{dataset}: the static encoder reaches {static / dense:.2f} of the dense leg's NDCG@10")
    return found


def dense_ndcg(rows: np.ndarray, data: quality.Data) -> float:
    """NDCG@10 of a user's recency-weighted mean against all items, under the dataset's protocol and default decay."""
    config = SpaceConfig()
    number = {item.id: place for place, item in enumerate(data.items)}
    gains = []
    for case in data.test:
        past = [number[one] for one in case.past][-config.history :][::-1]
        scores = rows @ (rows[past] * config.position_decay ** np.arange(len(past))[:, None]).sum(axis=0)
        if data.exclude_seen:
            scores[past] = -np.inf
        place = int((scores > scores[number[case.target]]).sum()) + 1
        gains.append(1 / np.log2(place + 1) if place <= 10 else 0.0)
    return float(np.mean(gains))


def end_to_end(options: argparse.Namespace) -> dict[str, float]:
    """A worker's whole path into a real Qdrant beside the encoder alone, message by message on the same texts."""
    films = random.Random(1).sample(list(movielens.items(options.data)), options.items)
    items = {film["id"]: Item(**film) for film in films}
    encoder = load_encoder(SpaceConfig())
    shares, alone = [], []
    with ExitStack() as stack:
        qdrant = stack.enter_context(QdrantServer())
        rec = stack.enter_context(Recommender.connect(qdrant.url, space="encode"))
        queue = rec._queue = MemoryQueue()
        rec.create(SpaceConfig())
        rec.upsert_items(items.values())
        worker = Worker(rec.client)
        messages = [message for message in queue.sent if isinstance(message, EmbedItems)]
        for number, message in enumerate(messages, 1):
            records = rec.client.retrieve(rec._space.items, message.ids, with_payload=["item_id"])
            texts = [items[(record.payload or {})["item_id"]].source for record in records]
            began = time.perf_counter()
            encoder.encode(texts)
            middle = time.perf_counter()
            worker.run(message)
            end = time.perf_counter()
            encoder.encode(texts)
            own = (middle - began + time.perf_counter() - end) / 2
            shares.append(own / (end - middle))
            alone.append(len(texts) / own)
            out.print(f"  message {number} of {len(messages)}: share {shares[-1]:.2f}", style="dim")
        stale = rec.status().items_stale
    if stale:
        raise SystemExit(f"{stale} items were not encoded")
    share = statistics.median(shares)
    out.print(
        f"end to end (read, encode, TF-IDF, write) {share * statistics.median(alone):.0f} items/s beside "
        f"{statistics.median(alone):.0f} of the encoder alone"
    )
    return {"end_to_end": round(share, 3), "encode_only_items_per_s": round(statistics.median(alone), 1)}


def peak_share() -> dict[str, float]:
    """BERT-base on texts of 256 tokens in bf16: share of the peak that one large matrix product reaches here."""
    from transformers import BertConfig, BertModel

    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    size, texts, tokens = (8192, 512, 256) if cuda else (2048, 16, 256)

    def best(run: Callable[[], Any]) -> float:
        found = []
        for _ in range(6):
            began = time.perf_counter()
            run()
            if cuda:
                torch.cuda.synchronize()
            found.append(time.perf_counter() - began)
        return min(found[1:])

    matrix = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    repeats = 10 if cuda else 1
    peak = 2 * size**3 * repeats / best(lambda: [matrix @ matrix for _ in range(repeats)])
    config = BertConfig()
    torch.manual_seed(0)
    model = BertModel(config).eval().to(device, torch.bfloat16)

    @torch.inference_mode()
    def forward(given: Any) -> torch.Tensor:  # texts of one length: nothing to pad
        return model(input_ids=torch.tensor(given, device=device)).last_hidden_state.float().mean(dim=1)

    backend = Backend("bf16", forward, device)
    ids = [[random.Random(k).randrange(1000, 30_000) for _ in range(tokens)] for k in range(texts)]
    seconds = best(lambda: backend.encode(ids))
    width, wide = config.hidden_size, config.intermediate_size
    work = texts * tokens * config.num_hidden_layers * (2 * (4 * width**2 + 2 * width * wide) + 4 * tokens * width)
    out.print(
        f"BERT-base, {tokens} tokens, bf16: {texts / seconds:,.0f} texts/s, {work / seconds / 1e12:.2f} of "
        f"{peak / 1e12:.2f} TFLOP/s of a {size} × {size} product: {work / seconds / peak:.2f}"
    )
    return {"peak_share": round(work / seconds / peak, 3), "peak_tflops": round(peak / 1e12, 2)}


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    sys.exit(main())
