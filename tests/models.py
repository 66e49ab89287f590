"""Untrained models of a few kilobytes, in folders as anybody may have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "robots",
    "learn",
    "to",
    "love",
    "a",
    "garden",
    "grows",
    "电",
    "影",
]


def tiny(kind: str) -> Any:
    """An untrained transformer of two layers."""
    import transformers

    torch.manual_seed(0)
    sizes = {"vocab_size": len(WORDS), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 64, "max_position_embeddings": 40, "pad_token_id": 0}
    if kind == "distilbert":
        config = transformers.DistilBertConfig(
            vocab_size=len(WORDS), dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=40
        )
        return transformers.DistilBertModel(config).eval()
    made = {"bert": ("BertConfig", "BertModel"), "xlm-roberta": ("XLMRobertaConfig", "XLMRobertaModel")}[kind]
    return getattr(transformers, made[1])(getattr(transformers, made[0])(**sizes), add_pooling_layer=False).eval()


def save_tiny(kind: str, folder: Path) -> Path:
    """The plain transformer with its tokenizer, without any file of sentence-transformers."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece({word: k for k, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=32, model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)  # fmt: skip
    tiny(kind).save_pretrained(folder)
    return folder
