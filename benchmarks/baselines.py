"""What a user would pick instead: (a) the plain loop of the tutorials, (b) `transformers.Trainer`. Both learn all tasks in turns.

Both share one encoder with a linear head per task over the mean of the token vectors, AdamW with a linear schedule, batches of 16.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase, Trainer, TrainingArguments, get_linear_schedule_with_warmup

from benchmarks.mix import Rows, Task

LENGTH = 128
BATCH = 16


@dataclass(frozen=True)
class Trained:
    """seconds: training alone, without loading, tokenising and evaluation. predictions: task → class numbers of the rows looked at."""

    seconds: float
    examples: dict[str, int]
    predictions: dict[str, np.ndarray]


class Model(nn.Module):
    """The encoder with a head per task; dropout as the encoder's configuration says."""

    def __init__(self, folder: Path, tasks: list[Task]):
        super().__init__()
        self.encoder = AutoModel.from_pretrained(folder, dtype=torch.float32)
        hidden = self.encoder.config.hidden_size
        self.dropout = nn.Dropout(self.encoder.config.hidden_dropout_prob)
        self.heads = nn.ModuleList(nn.Linear(hidden, len(t.classes)) for t in tasks)

    def forward(
        self, task: int, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """input_ids, attention_mask, token_type_ids: (B, T) long; labels: (B,) long. Returns `logits` (B, C), and `loss` with labels."""
        states = self.encoder(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state  # (B, T, D)
        mask = attention_mask.unsqueeze(-1)
        vectors = (states * mask).sum(1) / mask.sum(1)  # (B, D)
        logits = self.heads[task](self.dropout(vectors))
        loss = {} if labels is None else {"loss": nn.functional.cross_entropy(logits.float(), labels)}
        return {**loss, "logits": logits}


class Examples(Dataset[dict[str, Any]]):
    """Tokenised rows of one task. padding: max_length (every row to 128 tokens) or False (rows keep their length)."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, number: int, rows: Rows, padding: str | bool):
        self.encoded = tokenizer(rows.texts, rows.seconds, truncation=True, max_length=LENGTH, padding=padding)
        self.number, self.labels = number, rows.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {**{k: v[row] for k, v in self.encoded.items()}, "labels": int(self.labels[row]), "task": self.number}


def collate(tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """Rows of one task → a batch, padded to the longest of them."""

    def batch(rows: list[dict[str, Any]]) -> dict[str, Any]:
        (number,) = {row["task"] for row in rows}
        inputs = tokenizer.pad([{k: v for k, v in row.items() if k != "task"} for row in rows], return_tensors="pt")
        return {**inputs, "task": number}

    return batch


def useful_tokens(tokenizer: PreTrainedTokenizerBase, rows: Rows) -> np.ndarray:
    """(R,) tokens of each row, special tokens included, padding not."""
    encoded = tokenizer(rows.texts, rows.seconds, truncation=True, max_length=LENGTH)
    return np.array([len(ids) for ids in encoded["input_ids"]])


def autocast(device: str) -> torch.autocast:
    """bfloat16 on a GPU, where everybody uses it; float32 on the CPU."""
    return torch.autocast(device_type=torch.device(device).type, dtype=torch.bfloat16, enabled=device != "cpu")


def synchronize(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


@torch.no_grad()
def predict(model: Model, tokenizer: PreTrainedTokenizerBase, tasks: list[Task], device: str, part: str) -> dict[str, np.ndarray]:
    model.train(False)
    predictions = {}
    for number, task in enumerate(tasks):
        examples = Examples(tokenizer, number, task.splits[part], padding=False)
        order = np.argsort([len(ids) for ids in examples.encoded["input_ids"]], kind="stable")
        answers = np.empty(len(examples), np.int64)
        for rows in np.array_split(order, max(1, len(order) // 64)):
            batch = collate(tokenizer)([examples[int(r)] for r in rows])
            del batch["labels"]
            inputs = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
            with autocast(device):
                answers[rows] = model(**inputs)["logits"].argmax(-1).cpu().numpy()
        predictions[task.name] = answers
    return predictions


def plain_loop(folder: Path, tasks: list[Task], *, epochs: int, seed: int, device: str, learning_rate: float, part: str) -> Trained:
    """(a): every row padded to 128 tokens, batch 16, float32, one task after the other in each epoch."""
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = Model(folder, tasks).to(device)
    loaders = [
        DataLoader(Examples(tokenizer, n, t.splits["train"], padding="max_length"), BATCH, shuffle=True, collate_fn=collate(tokenizer))
        for n, t in enumerate(tasks)
    ]
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, epochs * sum(map(len, loaders)))
    model.train()
    synchronize(device)
    start = time.perf_counter()
    for _ in range(epochs):
        for loader in loaders:
            for batch in loader:
                inputs = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
                with autocast(device):
                    loss = model(**inputs)["loss"]
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    synchronize(device)
    seconds = time.perf_counter() - start
    return Trained(seconds, {t.name: epochs * len(t.splits["train"]) for t in tasks}, predict(model, tokenizer, tasks, device, part))


class OneTaskBatches(Sampler[list[int]]):
    """Batches of row numbers, each within one task, in random order. Rows of the tasks follow each other in the joined dataset."""

    def __init__(self, sizes: list[int], seed: int):
        self.sizes, self.seed, self.epoch = sizes, seed, 0

    def __len__(self) -> int:
        return sum(-(-size // BATCH) for size in self.sizes)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self.seed, self.epoch])
        batches = []
        for start, size in zip(np.cumsum([0, *self.sizes]), self.sizes, strict=False):
            rows = start + random.permutation(size)
            batches += [rows[i : i + BATCH].tolist() for i in range(0, size, BATCH)]
        self.epoch += 1
        yield from (batches[i] for i in random.permutation(len(batches)))


class MultiTaskTrainer(Trainer):
    """The usual way to several tasks with the Trainer: a data loader that gives batches of one task."""

    loader: DataLoader[Any]

    def get_train_dataloader(self) -> DataLoader[Any]:
        return self.loader


def trainer(
    folder: Path, tasks: list[Task], *, epochs: int, seed: int, device: str, learning_rate: float, part: str, scratch: Path
) -> Trained:
    """(b): `transformers.Trainer`, one task per batch, padded to the longest row of the batch."""
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = Model(folder, tasks)
    parts = [Examples(tokenizer, n, t.splits["train"], padding=False) for n, t in enumerate(tasks)]
    rows: torch.utils.data.ConcatDataset[dict[str, Any]] = torch.utils.data.ConcatDataset(parts)
    arguments = TrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=epochs,
        per_device_train_batch_size=BATCH,
        learning_rate=learning_rate,
        seed=seed,
        bf16=device != "cpu",
        use_cpu=device == "cpu",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_strategy="no",
        remove_unused_columns=False,
    )
    training = MultiTaskTrainer(model=model, args=arguments, train_dataset=rows)
    training.loader = DataLoader(rows, batch_sampler=OneTaskBatches([len(p) for p in parts], seed), collate_fn=collate(tokenizer))
    synchronize(device)
    start = time.perf_counter()
    training.train()
    synchronize(device)
    seconds = time.perf_counter() - start
    return Trained(
        seconds, {t.name: epochs * len(t.splits["train"]) for t in tasks}, predict(model.to(device), tokenizer, tasks, device, part)
    )
