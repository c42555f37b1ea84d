"""The way in: `streamlit run app.py`. Navigation and nothing else."""

from pages.parts.frame import navigation

navigation().run()
