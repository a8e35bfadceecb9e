"""`sb3port`, and `python -m sb3port`: the command line, imported where Ctrl-C may end that, too."""

import signal
import sys


def main() -> None:
    """Run the command line."""
    try:
        from sb3port.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
