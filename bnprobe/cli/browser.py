"""The user's browser."""

from __future__ import annotations


def open_address(address: str) -> None:
    """Open a page in the user's browser; say so where there is none."""
    import webbrowser

    if not webbrowser.open(address):
        print(f"no browser could be started; open {address} in one")
