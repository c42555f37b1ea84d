"""The way in: `streamlit run app.py`. Navigation and nothing else."""

from pages.parts import address
from pages.parts.frame import navigation

address.begin()
navigation().run()
address.send()
