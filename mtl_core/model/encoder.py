"""The shared pretrained transformer: from a name to pooled text vectors."""

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core.base.messages import message
from mtl_core.model.folders import check_folder
from mtl_core.model.loading import RECORD, attention, checked, load, load_model, load_tokenizer, record_of
from mtl_core.model.packaged import EncoderError
from mtl_core.model.packing import Packed, layout, on_device
from mtl_core.model.saving import save_weights
from mtl_core.model.taps import by_task, hook, overlap, record, recorded
from mtl_core.model.writing import CausalWriter, Seq2SeqWriter

_DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "attention_dropout",
    "dropout_rate",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
    "embedding_dropout",
    "mlp_dropout",
    "activation_dropout",
)  # what configurations call it
_LAYER_DROPOUTS = ("encoder_layerdrop", "decoder_layerdrop", "layerdrop")  # of whole layers, which we do not drop
_DECODER_LAYERS = ("num_decoder_layers", "decoder_layers")  # of encoder–decoders


@dataclass(frozen=True)
class Template:
    """How bare token ids become a sequence: special tokens around one text or two. Arrays of int64.

    single: (before, after); pair: (before, between, after); second_type: the token type of the second text.
    mask: the id that stands for a hidden token, None where the tokenizer has none; vocabulary: how many ids there are.
    continues: what is to be written is read behind the text that it continues (see `Encoder.continues`).
    """

    single: tuple[np.ndarray, np.ndarray]
    pair: tuple[np.ndarray, np.ndarray, np.ndarray]
    second_type: int
    max_length: int
    mask: int | None = None
    vocabulary: int = 0
    continues: bool = False

    @classmethod
    def of(cls, tokenizer: Any, max_length: int, continues: bool = False) -> "Template":
        """Read off the tokenizer by one text and one pair. max_length: in tokens, special ones included.

        Where the tokenizer puts nothing behind a text (most decoders), each is closed by its end-of-text token, so that none is without
        tokens and the last one has seen the whole; as in "Improving Text Embeddings with Large Language Models"
        (https://arxiv.org/abs/2401.00368), 3.2. Raises EncoderError: it has no special token at all.
        """
        one = tokenizer.backend_tokenizer.encode("a")
        two = tokenizer.backend_tokenizer.encode("a", "b")
        before, after = _around(one.ids, one.sequence_ids, 0)
        pair = before, _between(two.ids, two.sequence_ids), _around(two.ids, two.sequence_ids, 1)[1]
        if not len(after):
            after = np.array([_closing(tokenizer)], np.int64)
            pair = before, after, after
        return cls(
            single=(before, after),
            pair=pair,
            second_type=two.type_ids[two.sequence_ids.index(1)],
            max_length=max_length,
            mask=tokenizer.mask_token_id,
            vocabulary=len(tokenizer),
            continues=continues,
        )

    def places(self, first: int, second: int | None = None) -> list[tuple[int, int]]:
        """Of texts of so many tokens: (where it begins in the sequence, how many of its tokens are kept). The longer is cut first."""
        if second is None:
            before, after = self.single
            return [(len(before), min(first, self.max_length - len(before) - len(after)))]
        before, between, after = self.pair
        room = self.max_length - len(before) - len(between) - len(after)
        first = min(first, max(room - second, (room + 1) // 2))
        return [(len(before), first), (len(before) + first + len(between), min(second, room - first))]

    def one(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(ids with special tokens, token types), cut to max_length."""
        before, after = self.single
        [(_, kept)] = self.places(len(ids))
        sequence = np.concatenate([before, ids[:kept], after])
        return sequence, np.zeros(len(sequence), np.int64)

    def two(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `one` for a pair."""
        before, between, after = self.pair
        (_, kept), (start, kept_second) = self.places(len(first), len(second))
        sequence = np.concatenate([before, first[:kept], between, second[:kept_second], after])
        types = np.zeros(len(sequence), np.int64)
        types[start:] = self.second_type
        return sequence, types


def _around(ids: list[int], sequences: list[int | None], text: int) -> tuple[np.ndarray, np.ndarray]:
    """The tokens before the first and after the last token of a text."""
    first, last = sequences.index(text), len(sequences) - 1 - sequences[::-1].index(text)
    return np.array(ids[:first], np.int64), np.array(ids[last + 1 :], np.int64)


def _closing(tokenizer: Any) -> int:
    """The special token that ends a text."""
    for name in ("eos", "sep", "bos", "cls", "pad"):
        if (found := getattr(tokenizer, f"{name}_token_id")) is not None:
            return int(found)
    raise EncoderError(message("The tokenizer of the encoder has no end-of-text token. Give it one (eos_token) and save it again."))


def _between(ids: list[int], sequences: list[int | None]) -> np.ndarray:
    return np.array(ids[len(sequences) - sequences[::-1].index(0) : sequences.index(1)], np.int64)


class TaskAdapters(Protocol):
    """Adapters in the encoder that belong to single tasks."""

    def current(self) -> list[nn.Parameter]:
        """Those of the task that the encoder works on."""

    def apart(self) -> list[nn.Parameter]:
        """Those of all tasks."""

    def base_state(self, model: nn.Module) -> dict[str, Tensor]:
        """The weights of a model beside all adapters, named as without them."""

    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


class Encoder(nn.Module):
    """A transformers model that turns packed texts into one vector each.

    hidden: width of the vectors. Of an encoder–decoder it is the encoder; see `language_model` for the rest.
    The word embeddings are a table of which a step touches a few rows: `begin_sparse_rows` takes them out as a leaf of their own, so that
    neither the gradient nor the optimiser ever sees the rest (as torch.nn.Embedding(sparse=True), and with every architecture).
    """

    def __init__(self, model: Any, pooling: str, max_length: int):
        super().__init__()
        self._whole = (model,)  # not a module of its own: of its decoder there is next to nothing
        self.model = model = model.get_encoder() if model.config.is_encoder_decoder else model
        self.causal = any(getattr(module, "is_causal", None) for module in model.modules())
        self.pooling = pooling if pooling != "auto" else "last" if self.causal else "mean"
        self.hidden: int = model.config.hidden_size
        embeddings = getattr(model, "embeddings", None)
        padding = getattr(embeddings, "padding_idx", None) if hasattr(embeddings, "create_position_ids_from_input_ids") else None
        self.first_position = 0 if padding is None else padding + 1  # RoBERTa counts positions from behind its padding token
        longest = getattr(model.config, "max_position_embeddings", None)
        self.max_length = min(max_length, longest - self.first_position) if longest else max_length
        self.rows: Tensor | None = None
        self.row_ids: Tensor | None = None
        self.adapters: TaskAdapters | None = None
        self.name = ""
        self.dropouts: dict[str, float] = {}
        self.writes = False
        self.packs = bool(getattr(model, "_supports_attention_backend", False)) and self._packing_agrees()

    @classmethod
    def load(cls, name: str, *, pooling: str = "auto", max_length: int = 128, dropout: float = 0.0, trainable: str = "full") -> "Encoder":
        """name: `minilm`, a Hugging Face model or a local folder; pooling: auto, mean, cls, last; max_length in tokens; dropout in
        [0, 0.9]; trainable: full, frozen or top:K (the upper K layers). Raises EncoderError."""
        check_folder(name)
        config = load(transformers.AutoConfig, name)
        if not hasattr(config, "hidden_size") or not hasattr(config, "vocab_size"):
            raise EncoderError(
                message(
                    "The encoder “{name}” is no model of texts (its architecture is {type}). Choose one such as BERT, Qwen or T5.",
                    name=name,
                    type=config.model_type,
                )
            )
        if quantised := getattr(config, "quantization_config", None):
            method = quantised.get("quant_method") if isinstance(quantised, dict) else getattr(quantised, "quant_method", None)
            raise EncoderError(message("The encoder “{name}” is quantised ({method}): its weights are not for training. Use the model that "
                                       "it was made from.", name=name, method=str(method)))  # fmt: skip
        options: dict[str, Any] = dict.fromkeys((key for key in _DROPOUTS if hasattr(config, key)), dropout)
        options |= dict.fromkeys((key for key in _LAYER_DROPOUTS if hasattr(config, key)), 0.0)
        dropouts = dict(options)
        extra = {}
        family: Any = transformers.MODEL_MAPPING.get(type(config), None)
        if inspect.isclass(family) and "add_pooling_layer" in inspect.signature(family).parameters:
            extra["add_pooling_layer"] = False  # an untrained one would be made, at random
        decoder = {key: getattr(config, key) for key in _DECODER_LAYERS if config.is_encoder_decoder and hasattr(config, key)}
        model = checked(
            name,
            *load_model(transformers.AutoModel, family, name, options | dict.fromkeys(decoder, 0), ignore_mismatched_sizes=True, **extra),
        )
        model.config.update(decoder)  # as it was, for those who load what we save
        _copy(model)
        record = record_of(name)
        encoder = cls(model, record.get("pooling", "auto") if pooling == "auto" else pooling, max_length)
        encoder.name, encoder.dropouts, encoder.writes = name, dropouts, record.get("writes", False)
        encoder.train_only(trainable)
        return encoder

    def train_only(self, trainable: str) -> None:
        """Sets which parameters learn: full, frozen, or top:K (the K layers nearest to the heads)."""
        self.requires_grad_(trainable == "full")
        if trainable.startswith("top:"):
            count = int(trainable.removeprefix("top:"))
            for layer in self._layers()[-count:]:
                layer.requires_grad_(True)

    @property
    def embeddings(self) -> nn.Parameter:
        """(V, E): the word embeddings."""
        return self.model.get_input_embeddings().weight

    @cached_property
    def tokenizer(self) -> Any:
        """Of the model that was loaded."""
        return load_tokenizer(self.name)

    @property
    def continues(self) -> bool:
        """Whether what is to be written is read behind the text that it continues: by a causal backbone whose own head writes."""
        return self.causal and self.writes

    def template(self, tokenizer: Any = None) -> Template:
        """How texts become sequences. tokenizer: None for that of the model that was loaded."""
        return Template.of(tokenizer or self.tokenizer, self.max_length, self.continues)

    def language_model(self) -> Seq2SeqWriter | CausalWriter | None:
        """The backbone's own pretrained part that writes, new in each call; None where it has none, or not all of it was saved.

        On the device `meta` (a checkpoint is loaded) it is made without weights, if the model that was saved had it.
        """
        config = self._whole[0].config
        loader: Any = transformers.AutoModelForCausalLM
        of = transformers.MODEL_FOR_CAUSAL_LM_MAPPING
        if config.is_encoder_decoder:
            loader, of = transformers.AutoModelForSeq2SeqLM, transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
        kind = Seq2SeqWriter if config.is_encoder_decoder else CausalWriter
        if type(config) not in of or not (self.causal or config.is_encoder_decoder):
            return None
        if torch.empty(0).is_meta:
            return kind(self, loader.from_config(config, attn_implementation=attention(of[type(config)]))) if self.writes else None
        model, found = load_model(loader, of[type(config)], self.name, self.dropouts)
        _copy(model)
        self.writes = not found["missing_keys"] and (config.is_encoder_decoder or self._head_agrees(model))
        return kind(self, model) if self.writes else None

    @property
    def drops(self) -> bool:
        """Whether there is dropout anywhere inside."""
        return any(getattr(self.model.config, key, 0) for key in _DROPOUTS)

    def learning(self) -> list[Tensor]:
        """What a backward pass ends at and all tasks move: the trainable parameters, and of the word embeddings the open rows only."""
        apart = set() if self.adapters is None else {id(p) for p in self.adapters.apart()}
        parameters: list[Tensor] = [p for p in self.parameters() if p.requires_grad and p is not self.embeddings and id(p) not in apart]
        return parameters if self.rows is None else [*parameters, self.rows]

    def own(self) -> list[nn.Parameter]:
        """What a backward pass ends at beside `learning`, and only the task at work moves: its adapters."""
        return [] if self.adapters is None else self.adapters.current()

    def parts(self, learning: Sequence[Tensor]) -> list[str]:
        """For each of `learning()` the part of the encoder it belongs to: `embeddings`, `layer 1`, ... or `other`."""
        names = {id(p): name for name, p in self.named_parameters()}
        tables = {id(m.weight) for m in self.modules() if isinstance(m, nn.Embedding)}
        layers = {id(p): f"layer {i + 1}" for i, layer in enumerate(self._layers()) for p in layer.parameters()}
        found = []
        for parameter in learning:
            in_words = parameter is self.rows or id(parameter) in tables or "embed" in names.get(id(parameter), "")
            found.append(layers.get(id(parameter), "embeddings" if in_words else "other"))
        return found

    def _layers(self) -> list[nn.Module]:
        """The transformer's layers, lowest first."""
        lists = {name: list(m) for name, m in self.model.named_modules() if isinstance(m, nn.ModuleList)}
        inner = {name for name in lists for other in lists if name.startswith(f"{other}.")}  # the parts of a layer, in T5
        return max((found for name, found in lists.items() if name not in inner), key=len)

    def begin_sparse_rows(self, ids: np.ndarray) -> None:
        """Makes the embedding rows of `ids` (unique, ascending) the leaf `rows` for the forward passes until `end_sparse_rows`."""
        self.row_ids = on_device(ids.astype(np.int64), self.embeddings.device)
        self.rows = self.embeddings.detach()[self.row_ids].requires_grad_()

    def end_sparse_rows(self) -> None:
        self.rows = self.row_ids = None

    def forward(self, packed: Packed) -> Tensor:
        """→ (S + M, hidden) float32: one vector a text, in the order of `packed`, then the states of the tokens that it keeps."""
        states = self.states(packed)
        vectors = self.pool(states, packed)
        return vectors if packed.kept is None else torch.cat([vectors, states[packed.kept].float()])

    def states(self, packed: Packed) -> Tensor:
        """→ (N, hidden): one vector a token."""
        if not self.packs:
            return self._padded_states(packed)
        inputs = self._inputs(packed.ids[None], packed.token_types[None], packed.positions[None])
        self.model.config._attn_implementation = "packed"
        with layout(packed):
            return self.model(**inputs).last_hidden_state[0]

    def pool(self, states: Tensor, packed: Packed) -> Tensor:
        """(N, hidden) → (S, hidden) float32 by mean, first or last token of each text."""
        lengths = on_device(packed.lengths, states.device)
        if self.pooling == "mean" and states.device.type in ("cpu", "cuda"):
            return torch.segment_reduce(states.float(), "mean", lengths=lengths, axis=0, unsafe=True)
        if self.pooling == "mean":
            return mean_by_index(states.float(), lengths)
        ends = lengths.cumsum(0)
        return states[(ends - lengths) if self.pooling == "cls" else (ends - 1)].float()

    def _inputs(self, ids: Tensor, token_types: Tensor, positions: Tensor) -> dict[str, Tensor]:
        inputs = {"position_ids": positions + self.first_position}
        if (getattr(self.model.config, "type_vocab_size", 0) or 0) > 1:
            inputs["token_type_ids"] = token_types
        if self.rows is None:
            return inputs | {"input_ids": ids}
        assert self.row_ids is not None  # set together with rows
        rows, places = self.rows, torch.searchsorted(self.row_ids, ids)
        words = F.embedding(places, rows)
        record(lambda i: F.embedding(i, rows), [rows], places, words)
        return inputs | {"inputs_embeds": words * getattr(self.model.get_input_embeddings(), "embed_scale", 1.0)}

    def _padded_states(self, packed: Packed) -> Tensor:
        """For models that transformers cannot give another attention: padded to the longest, (S, L) → (N, hidden)."""
        lengths = on_device(packed.lengths, packed.ids.device)
        mask = torch.arange(packed.lengths[0], device=packed.ids.device) < lengths[:, None]  # (S, L)
        text = torch.repeat_interleave(lengths, output_size=len(packed.ids))  # (N,)
        grids = [t.new_zeros(mask.shape).index_put((text, packed.positions), t) for t in (packed.ids, packed.token_types, packed.positions)]
        if self.rows is not None and self.row_ids is not None:
            grids[0] = grids[0].masked_fill(~mask, self.row_ids[0])
        inputs = self._inputs(*grids)
        accepted = _arguments(self.model)
        self.pad()
        output = self.model(**{k: v for k, v in inputs.items() if k in accepted}, attention_mask=mask.long())
        return output.last_hidden_state[text, packed.positions]

    def pad(self) -> None:
        """The model is used with padding and a mask from now on, until `states` packs."""
        self.model.config._attn_implementation = attention(type(self.model))

    def _sample(self) -> Packed:
        """Three short texts."""
        vocabulary, lengths = self.model.config.vocab_size, (min(9, self.max_length), 5, 5)
        texts = [np.arange(n, dtype=np.int64) * 7 % (vocabulary - 5) + 5 for n in lengths]
        return Packed.of(texts, [np.zeros(n, np.int64) for n in lengths], self.embeddings.device)

    @torch.no_grad()
    def _packing_agrees(self) -> bool:
        """Whether this architecture gives the same states packed as padded, tried on three short texts."""
        packed, training = self._sample(), self.model.training
        self.model.train(False)
        padded = self._padded_states(packed)
        self.packs = True
        try:
            return torch.allclose(self.states(packed), padded, atol=1e-3)
        except (RuntimeError, TypeError, ValueError):
            return False
        finally:
            self.model.train(training)

    @torch.no_grad()
    def _head_agrees(self, model: Any) -> bool:
        """Whether a causal model's scores are its last matrix times the states, tried on a text; some bend them."""
        ids = self._sample().ids[: min(9, self.max_length)].cpu()
        output = model(input_ids=ids[None], output_hidden_states=True)
        return torch.allclose(output.logits, model.get_output_embeddings()(output.hidden_states[-1]), atol=1e-3)

    def splits(self) -> bool:
        """Whether the gradients of several tasks can be had from one backward pass (see `taps`), tried on three short texts of two tasks.
        Not where parameters work on other than single tokens, or where texts must be padded."""
        if not self.packs or not self.learning():
            return False
        for module in self.modules():
            if not [*module.children()] and [*module.parameters()] and hook not in module._forward_hooks.values():
                module.register_forward_hook(hook)
        packed, training = self._sample(), self.model.training
        owners = torch.tensor([0, 1, 0]).repeat_interleave(torch.tensor(packed.lengths))
        order, sizes = owners.argsort(stable=True).to(self.embeddings.device), owners.bincount().tolist()
        if self.embeddings.requires_grad:
            self.begin_sparse_rows(np.unique(packed.ids.cpu().numpy()))
        self.model.train(False)
        try:
            learning = self.learning()
            with recorded() as taps:
                vectors = self(packed)
            outward = torch.arange(vectors.numel(), device=vectors.device).view_as(vectors).sin()
            found = [[torch.zeros_like(p) for p in learning] for _ in range(2)]
            places = {id(p): i for i, p in enumerate(learning)}
            if overlap(taps) or any(tap.inputs.shape[1] != len(packed.ids) for tap in taps):
                return False
            uses = [use for tap in taps for use in tap.uses]
            outwards = iter(torch.autograd.grad(vectors, [use.output for use in uses], outward, retain_graph=True, allow_unused=True))
            for tap in taps:
                for task, parameter, gradient in by_task([tap], [[next(outwards) for _ in tap.uses]], order, sizes):
                    found[task][places[id(parameter)]] += gradient
            for task, texts in enumerate(([0, 2], [1])):
                wanted = torch.autograd.grad(vectors[texts], learning, outward[texts], retain_graph=True, allow_unused=True)
                for ours, theirs in zip(found[task], wanted, strict=True):
                    if not torch.allclose(ours, torch.zeros_like(ours) if theirs is None else theirs, rtol=1e-2, atol=1e-3):
                        return False
            return True
        except (RuntimeError, TypeError, ValueError, KeyError):
            return False
        finally:
            self.model.train(training)
            self.end_sparse_rows()

    def save(self, folder: Path, tokenizer: Any, before: Path | None = None) -> None:
        """As transformers saves a model: safetensors, config and tokenizer; without adapters, and without the layers of a decoder.

        before: a folder that the same encoder was saved in, from which what does not learn is taken.
        """
        model = self._whole[0]
        state = model.state_dict() if self.adapters is None else self.adapters.base_state(model)
        save_weights(model, state, folder, before)
        tokenizer.save_pretrained(folder)
        (folder / RECORD).write_text(json.dumps({"pooling": self.pooling, "writes": self.writes}))


def mean_by_index(states: Tensor, lengths: Tensor) -> Tensor:
    """(N, hidden), (S,) → (S, hidden), where torch has no kernel for segments: on a Mac's GPU."""
    text = torch.repeat_interleave(lengths, output_size=len(states))
    return states.new_zeros(len(lengths), states.shape[1]).index_add(0, text, states) / lengths[:, None]


def _copy(model: nn.Module) -> None:
    """Out of the file, whose slices begin anywhere: slower, and rounded by where they begin."""
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()


def _arguments(model: Any) -> set[str]:
    return set(inspect.signature(model.forward).parameters)
