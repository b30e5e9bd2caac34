"""Health check of a container: does this address answer with success?

    python check.py URL [CA_FILE]

Exits 0 on a 2xx answer within five seconds, 1 otherwise. Needs nothing but the standard library.
"""

import ssl
import sys
import urllib.error
import urllib.request


def main(url: str, ca_file: str | None = None) -> int:
    """Return the exit code for `url`; `ca_file` is the authority that a https address must be signed by."""
    if not url.startswith(("http://", "https://")):
        return 1
    trust = ssl.create_default_context(cafile=ca_file) if ca_file else None
    try:
        with urllib.request.urlopen(url, timeout=5, context=trust) as answer:  # noqa: S310  (scheme checked above)
            return 0 if 200 <= answer.status < 300 else 1
    except (urllib.error.URLError, OSError) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
