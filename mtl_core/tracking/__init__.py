"""The record of runs: journal, states, curves, and their copy in MLflow."""
