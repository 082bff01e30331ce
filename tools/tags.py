"""List the releases in the history, and tag them for Copier: `python -m tools.tags`."""

import sys

from tests.support.releases import releases, tag_releases


def main() -> None:
    try:
        found = releases()
    except LookupError as error:
        sys.exit(str(error))
    for version, commit in found.items():
        print(f"v{version} {commit}")
    tag_releases()


if __name__ == "__main__":
    main()
