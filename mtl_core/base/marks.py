"""How a sentence for people is marked, in any module."""


def N_(text: str) -> str:
    """Marks `text` for the catalogues without translating it here; whoever shows it does."""
    return text
