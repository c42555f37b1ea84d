"""Generation: the head and its loss."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_core.tasks import heads
from mtl_core.tasks.base import Spec
from mtl_core.tasks.generation import GenerationOptions
from mtl_core.tasks.generation.decoding import Decoder, Decoding
from mtl_core.tasks.heads import TaskBatch, Vocabulary, WordHead, Writer


@dataclass
class Written:
    """losses: (R,) means over the tokens of a target; tokens: (R,) long, how many those are. texts: (R,) object, what was written, None
    where nothing was; others: (R,) of lists, other wordings. While training both are None, when predicting losses are 0."""

    losses: Tensor
    tokens: Tensor
    texts: np.ndarray | None = None
    others: list[list[str]] | None = None


class GenerationHead(WordHead):
    """The backbone's own language model, or a decoder over the encoder's states (see `Decoder`); taught the right tokens one after
    another, each from those before it (teacher forcing). In evaluation mode it also writes."""

    def __init__(self, hidden: int, spec: Spec, options: GenerationOptions):
        super().__init__()
        self.hidden, self.spec, self.options = hidden, spec, options

    def tie(self, words: Vocabulary) -> None:
        super().tie(words)
        o, spec = self.options, self.spec
        own = cast(nn.Module | None, words.language_model())
        self.longest = min(o.longest_target, words.max_length - 1)  # one that has all that is kept of a text may have been cut
        self.writer = own or Decoder(self.hidden, words, o.layers, o.heads, o.dropout, o.longest_target, spec)

    def forward(self, vectors: Tensor, batch: TaskBatch) -> Written:
        """vectors: (L, hidden)."""
        writer, options, n = cast(Writer, self.writer), self.options, batch.n_rows
        source, target = batch.slots["source"].tokens, batch.slots["target"].tokens
        assert source is not None and target is not None
        if batch.labels is None:
            texts = self._search(writer.begin(vectors, source), n, options.beams)
            nothing = torch.zeros(n, device=vectors.device)
            return Written(nothing, nothing.long(), texts, self._samples(vectors, batch))
        logits, wanted, rows = writer.teach(vectors, source, target, self.longest)
        smoothing = options.label_smoothing if self.training else 0.0
        tokens = rows.bincount(minlength=n)
        losses = F.cross_entropy(logits.float(), wanted, reduction="none", label_smoothing=smoothing)
        found = Written(torch.segment_reduce(losses, "mean", lengths=tokens, initial=0, unsafe=True), tokens)
        if not self.training:
            chosen = np.unique(np.linspace(0, n - 1, max(1, round(options.decoded_share * n))).astype(np.int64))
            state = writer.pick(writer.begin(vectors, source), torch.from_numpy(chosen).to(vectors.device))
            found.texts = np.full(n, None, object)
            found.texts[chosen] = self._search(state, len(chosen), options.evaluation_beams)
        return found

    def _search(self, state: Any, n: int, width: int) -> np.ndarray:
        return self._texts(self._decoding().search(cast(Writer, self.writer), state, n, width))

    def _samples(self, vectors: Tensor, batch: TaskBatch) -> list[list[str]]:
        """Always the same ones for the same rows."""
        writer, options, n = cast(Writer, self.writer), self.options, batch.n_rows
        source = batch.slots["source"].tokens
        if source is None or not options.samples:
            return [[] for _ in range(n)]
        rows = torch.arange(n, device=vectors.device).repeat_interleave(options.samples)
        state = writer.pick(writer.begin(vectors, source), rows)
        generator = torch.Generator(vectors.device).manual_seed(0)
        texts = self._texts(self._decoding().sample(writer, state, options.temperature, options.top_p, generator))
        return [list(dict.fromkeys(own)) for own in texts.reshape(n, options.samples).tolist()]

    def _decoding(self) -> Decoding:
        tokenizer, n = self.words.tokenizer, len(self.words.embeddings)
        banned = {*tokenizer.all_special_ids, *range(len(tokenizer), n)} - {cast(Writer, self.writer).end}
        return Decoding(self.longest, sorted(banned))

    def _texts(self, ids: Tensor) -> np.ndarray:
        end, found = cast(Writer, self.writer).end, np.empty(len(ids), object)
        for i, row in enumerate(ids.tolist()):
            kept = row[: row.index(end)] if end in row else row
            found[i] = self.words.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=True).strip()
        return found


class Head(heads.Head):
    def module(self, hidden: int, spec: Spec, options: GenerationOptions) -> GenerationHead:
        return GenerationHead(hidden, spec, options)

    def loss(self, logits: Written, batch: TaskBatch, spec: Spec, options: GenerationOptions) -> Tensor:
        """Mean over a target's tokens, its end among them."""
        return logits.losses

    def scores(self, logits: Written, batch: TaskBatch, spec: Spec) -> np.ndarray:
        """(R,) of {"text": what was written or None, "given", "loss", "tokens", "others": when predicting}."""
        assert logits.texts is not None
        found = np.empty(batch.n_rows, object)
        numbers = zip(logits.losses.detach().float().tolist(), logits.tokens.tolist(), strict=True)
        for r, (loss, tokens) in enumerate(numbers):
            found[r] = {"text": logits.texts[r], "given": batch.strings["given"][r], "loss": loss, "tokens": tokens}
            if logits.others is not None:
                found[r]["others"] = logits.others[r]
        return found

    def truth(self, batch: TaskBatch, spec: Spec) -> np.ndarray:
        return batch.strings["reference"]


HEAD = Head()
