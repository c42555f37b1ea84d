"""Which folders become packages. A clone has the sample shop and the screens beside `mtl_core/`; installed, they lie inside it, so that
nothing else lands among a person's packages (mtl_core/base/program.py). All else is in pyproject.toml, which cannot say this."""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

BESIDE = {
    "mtl_core.sample_shop": "data",
    "mtl_core.screen": ".",
    "mtl_core.screen.pages": "pages",
    "mtl_core.screen.pages.parts": "pages/parts",
}
MODULES = {"mtl_core.sample_shop": (), "mtl_core.screen": ("app",)}
"""Package → which of the modules in its folder are meant, where it is not all."""


class BuildPy(build_py):
    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        found = super().find_package_modules(package, package_dir)
        return [one for one in found if package not in MODULES or one[1] in MODULES[package]]


setup(
    packages=[*find_packages(include=["mtl_core", "mtl_core.*"]), *BESIDE],
    package_dir=BESIDE,
    package_data={
        "mtl_core": ["py.typed", "locale/*/LC_MESSAGES/*.po"],
        "mtl_core.sample_shop": ["*.csv", "*.yaml", "README.md"],
        "mtl_core.screen": [".streamlit/config.toml"],
        "mtl_core.screen.pages.parts": ["*.svg", "*.css", "*.html"],
    },
    include_package_data=False,
    cmdclass={"build_py": BuildPy},
)
