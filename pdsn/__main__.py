"""`python -m pdsn`: the command line. The one place of the package that knows `stages`, so that both ways in are the same."""

from stages.cli import app

if __name__ == "__main__":
    app(prog_name="pdsn")
