"""The entry of the command `tts`, also as `python -m tts`: interrupted at any moment, it ends without a traceback."""

import sys


def main() -> None:
    """Run the command line. What takes time to import is imported within reach of the `except`."""
    try:
        from tts.cli import main as run

        run()
    except KeyboardInterrupt:
        print("tts: interrupted", file=sys.stderr)
        sys.exit(130)
    finally:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left that could be interrupted


if __name__ == "__main__":
    main()
