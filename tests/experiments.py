"""The smallest experiment, for tests that train nothing or bring their own work."""

from mtl_core.config.experiment import Experiment, experiment_from_yaml

YAML = """
data: {ads: {file: ads.csv}}
tasks: {clicks: {kind: click_through, data: ads, columns: {label: click}}}
training: {device: cpu}
"""


def smallest(*settings: str) -> Experiment:
    """settings: as `--set` takes them."""
    return experiment_from_yaml(YAML, settings)
