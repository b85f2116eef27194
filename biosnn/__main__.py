"""``python -m biosnn`` is the command ``biosnn``."""

from biosnn.cli import app

if __name__ == "__main__":
    app(prog_name="biosnn")
