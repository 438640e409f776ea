"""Prints what this environment has, as lines for constraints.txt: plain versions, no hashes, no local parts."""

from __future__ import annotations

from importlib.metadata import distributions

NOT_LOCKED = {"pip", "tailorbird"}  # what installs, and what is installed from here


def lines() -> list[str]:
    """One `name==version` for each distribution; torch 2.13.0+cpu is locked as 2.13.0, which either build answers."""
    found = {dist.metadata["Name"].lower().replace("_", "-"): dist.version for dist in distributions()}
    return sorted(f"{name}=={version.partition('+')[0]}" for name, version in found.items() if name not in NOT_LOCKED)


if __name__ == "__main__":
    print("\n".join(lines()))
