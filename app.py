"""The way in: `streamlit run app.py`. Who may come in, and the navigation; nothing else.

Streamlit finds `app` by reading this file, imports the file for it once, and runs it as a script for each page that is looked at.
"""

import streamlit as st

if __name__ == "__main__":
    from pages.parts import address
    from pages.parts.frame import navigation

    with address.at_the_end():
        navigation().run()
else:
    from starlette.middleware import Middleware

    from mtl_core.base.workspace import keep_private
    from pages.parts.access import AccessCode
    from pages.parts.closed import Closed

    keep_private()
    app = st.App(__file__, middleware=[Middleware(Closed), Middleware(AccessCode)])
