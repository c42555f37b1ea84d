"""What the sample shop holds, and its training with one click."""

from pathlib import Path

import streamlit as st

from mtl_core.base.program import SAMPLE_SHOP
from mtl_core.config.experiment import load_experiment
from mtl_core.jobs import jobs
from mtl_core.studies.estimates import BACKGROUND
from pages.parts.clicks import Once
from pages.parts.frame import workspace

SHOPS = {"sample": SAMPLE_SHOP / "shop.yaml", "whole": SAMPLE_SHOP / "whole_shop.yaml"}
"""How the page Train calls it in its URL → its experiment. sample: five tasks, a quick start; whole: a task of every kind."""


def tables() -> list[Path]:
    """The sample tables, by name; empty when the folder holds none."""
    return sorted(p for p in SAMPLE_SHOP.iterdir() if p.suffix in {".csv", ".jsonl", ".parquet", ".tsv", ".gz"})


def train(name: str, once: Once[str]) -> None:
    """A run with the settings that the shop comes with; the page Home goes to it. name: a key of SHOPS."""

    def start() -> str:
        BACKGROUND.stop()
        return jobs().submit(load_experiment(SHOPS[name]), workspace(), SAMPLE_SHOP)

    st.session_state.shop_run = once(start)
