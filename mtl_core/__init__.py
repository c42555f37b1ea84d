"""The MTL Workbench without its screens: everything but Streamlit lives here. Imports go down the floors only (docs/architecture.md)."""
